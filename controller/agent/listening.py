"""The socket a parameter server will listen on, bound before anything is spawned."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

from . import facts

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

BACKLOG = 1024


def listen(where: Mapping[str, Any]) -> socket.socket:
    """Listen on one address only: a PS asks nobody who they are.

    `where` says on which: the `address`, the `interface`, or the one on the route `towards` an address. `port` is what
    people expect; when another run has it, any free one is taken. Raises OSError.
    """
    address = where.get("address") or facts.address_of(where.get("interface"))
    if not address:
        address = facts.route_address(where["towards"])
    try:
        return _bind(address, where["port"])
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return _bind(address, 0)


def _bind(address: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound
