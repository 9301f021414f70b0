"""A real terminal for the TUI: tmux on a socket of its own, every byte kept, and what may be sent to it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
import unicodedata
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MISSING = None if shutil.which("tmux") else "tmux is not installed"
BOUND = 120.0  # seconds that anything may take: two slow cores, and torch to import
DONE = "the terminal is back"  # what is on it once the program has ended
MODES = ("alternate_on", "mouse_any_flag", "keypad_flag", "keypad_cursor_flag")  # what a program may leave behind
# Two shells: one that runs the program and tells how it ended, and one to type commands into, with jobs.
WATCHED = "stty -g >before; read -r _; {words}; echo $? >code; stty -g >after; echo {done}; exec cat"
PROMPT = "stty -g >before; PS1='ready> ' exec bash --norc --noprofile -i"


class Terminal:
    """A tmux session in `folder` that runs `words` and then `cat`; or, without words, a shell with job control.

    `sent` has every byte that the program sent to the terminal.
    """

    def __init__(
        self,
        folder: Path,
        words: Sequence[str] = (),
        size: tuple[int, int] = (120, 40),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self._socket = folder, f"garfield-{uuid.uuid4().hex[:8]}"
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
        self._env |= {"GARFIELD_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
        self._env |= {"TERM": "xterm-256color", **(env or {})}
        self._raw = folder / f"sent-{self._socket}"
        width, height = map(str, size)
        self._at_rest = {b"7", b"25"} if words else {b"7", b"25", b"2004"}  # modes that a shell has on
        script = WATCHED.format(words=shlex.join(words), done=shlex.quote(DONE)) if words else PROMPT
        self._tmux("new-session", "-d", "-x", width, "-y", height, script)
        self._tmux("pipe-pane", f"touch {shlex.quote(str(self._raw))}; exec cat >>{shlex.quote(str(self._raw))}")
        until(self._raw.exists, self.picture)
        if words:
            self.keys("Enter")

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, env=self._env, cwd=self.folder, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type text."""
        self._tmux("send-keys", "-l", text)

    def paste(self, data: bytes) -> None:
        """Paste as a person does, with the terminal's marks around it."""
        file = self.folder / "pasted"
        file.write_bytes(data)
        self._tmux("load-buffer", str(file))
        self._tmux("paste-buffer", "-p")

    def picture(self) -> str:
        """What is on the terminal."""
        return self._tmux("capture-pane", "-p")

    def shows(self, *texts: str) -> str:
        """Wait until all `texts` are on the terminal; what is on it then."""

        def there() -> str:
            picture = self.picture()
            if all(text in picture for text in texts):
                return picture
            assert DONE not in picture, f"the program ended without {texts}\n{picture}"
            return ""

        return until(there, lambda: f"for {texts} on\n{self.picture()}")

    def words(self) -> str:
        """What is on the terminal without any blank or line end, as it breaks lines where it likes."""
        return "".join(self.picture().split())

    def modes(self) -> dict[str, str]:
        """The modes that the terminal is in, by tmux's names; all "0" as a shell has them."""
        return dict(zip(MODES, self._said(*MODES), strict=True))

    @property
    def cursor_shown(self) -> bool:
        """The cursor is to be seen."""
        return self._said("cursor_flag") == ["1"]

    @property
    def title(self) -> str:
        """The title that a program has given the terminal."""
        return self._tmux("display-message", "-p", "#{pane_title}").rstrip("\n")

    def _said(self, *names: str) -> list[str]:
        return self._tmux("display-message", "-p", " ".join(f"#{{{name}}}" for name in names)).split()

    @property
    def shell(self) -> int:
        """The process that the terminal was opened with."""
        return int(self._said("pane_pid")[0])

    @property
    def program(self) -> int:
        """The process that it runs."""
        return until(lambda: next(iter(children(self.shell)), 0), self.picture)

    @property
    def sent(self) -> bytes:
        """All that was sent to the terminal until now."""
        return self._raw.read_bytes()

    def ended(self) -> int:
        """Wait until the program has ended and the terminal is as it was before; the program's exit code."""
        self.shows(DONE)
        self.check_restored()
        return int((self.folder / "code").read_text())

    def check_restored(self) -> None:
        """The terminal is as before: its settings, its screen, its mouse, its cursor."""
        after = self.folder / "after"
        if after.exists():
            assert after.read_text() == (self.folder / "before").read_text()
        assert set(self.modes().values()) == {"0"}, self.modes()
        assert self.cursor_shown
        for mode in set(re.findall(rb"\x1b\[\?(\d+)h", self.sent)) - self._at_rest:
            assert self.sent.rfind(b"\x1b[?%sl" % mode) > self.sent.rfind(b"\x1b[?%sh" % mode), mode

    def close(self) -> None:
        """Close the terminal, whatever runs in it."""
        command = ["tmux", "-L", self._socket, "kill-server"]
        subprocess.run(command, capture_output=True, timeout=30, check=False)


def until(condition: Callable[[], Any], tell: Callable[[], str] = lambda: "") -> Any:
    """What `condition` returns once that is true; fails after BOUND seconds."""
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {BOUND:.0f} s in vain\n{tell()}")


def children(pid: int) -> list[int]:
    """The children of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:  # it ended
            continue
    return found


def ranks_of(home: Path) -> list[int]:
    """Processes of runs whose agents have `home` as their GARFIELD_HOME: guardians, agents and ranks."""
    mark, found = f"GARFIELD_HOME={home}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environment and any(item.startswith(b"GARFIELD_RUN=") for item in environment):
            found.append(int(entry.name))
    return found


# What Textual sends: styles, places, modes, the keyboard's, the pointer's shape (OSC 22), what is copied (OSC 52).
_OURS = re.compile(
    r"\x1b\[[0-9;:]*[mHJKABCDG]|\x1b\[\?[0-9;]+[hl]|\x1b\[\?[0-9]+\$p|\x1b\[[<>=?]?[0-9;]*u|\x1b\[[0-9;]*t|\x1b\[c"
    r"|\x1b[78]|\x1b\]52;c;[A-Za-z0-9+/=]*\x07|\x1b\]22;[a-z-]*\x07"
)


def foreign(sent: bytes) -> list[str]:
    """What of `sent` neither Textual makes nor is to be seen: other sequences, controls, marks that turn the writing.

    Each with what is around it.
    """
    text = _OURS.sub("", sent.decode()).replace("\r\n", " ")
    bad = (at for at, character in enumerate(text) if _unseen(character))
    return [repr(text[max(0, at - 20) : at + 30]) for at in bad]


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
