"""The two lines that start our code in any Python: the constant command, and the first line sent to its stdin."""

from __future__ import annotations

# All that a remote shell ever sees of our code, so: one line, and no quote, backslash or "!" that some shell treats
# as special inside '…'. One byte at a time (buffering 0), so that nothing after the first line is swallowed.
CONSTANT = 'import os;exec(os.fdopen(os.dup(0),"rb",0).readline())'


def first_line(bootstrap: str, nonce: str, mode: str, size: int) -> bytes:
    """The line that runs `bootstrap.start`; `size` bytes of compressed sources are to follow it."""
    return b"exec(%s)\n" % repr(f"{bootstrap}\nstart({nonce!r}, {mode!r}, {size})\n").encode()
