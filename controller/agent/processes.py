"""Linux processes: what /proc says of them, and the few prctl calls that tie their lives together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

_SET_PDEATHSIG, _SET_NAME, _SET_CHILD_SUBREAPER = 1, 15, 36
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class Process:
    """One process at one moment.

    `start` is its start time in clock ticks since boot: together with the pid it names a process for good. `cpu` is the
    processor time it has used, in seconds; `memory` its resident size in bytes.
    """

    __slots__ = ("cpu", "memory", "name", "parent", "pid", "start", "state")

    def __init__(self, pid: int, stat: bytes) -> None:
        name, _, rest = stat.partition(b"(")[2].rpartition(b")")  # a name may hold parentheses
        fields = rest.split()
        self.pid, self.name, self.state = pid, name.decode(errors="replace"), fields[0].decode()
        self.parent, self.start = int(fields[1]), int(fields[19])
        self.cpu = (int(fields[11]) + int(fields[12])) / TICK
        self.memory = int(fields[21]) * PAGE

    @property
    def alive(self) -> bool:
        """False for what only waits to be reaped."""
        return self.state not in "ZX"


def read_process(pid: int) -> Process | None:
    """What /proc says of `pid`, None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return Process(pid, file.read())
    except OSError:
        return None


def descendants(ancestor: int) -> list[Process]:
    """Every process below `ancestor`, children before grandchildren, those waiting to be reaped too.

    For a child subreaper this holds all that was ever started below it: orphans become its children.
    """
    children: dict[int, list[Process]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := read_process(int(entry))):
            children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    level = [ancestor]
    while level:
        below = [child for parent in level for child in children.get(parent, ())]
        found += below
        level = [child.pid for child in below]
    return found


def send_signal(process: Process, number: int) -> bool:
    """Signal exactly that process: whoever has taken over its pid is left alone. False if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        now = read_process(process.pid)
        if now is None or now.start != process.start:
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def reap() -> list[tuple[int, int]]:
    """(pid, wait status) of every child that has ended; never blocks."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended.append(child)
    return ended


def has_children() -> bool:
    """Whether this process has children, ended or not. A child subreaper without any has nothing below it at all.

    A list made from /proc is no proof of that: a process that forks and ends may be missed while it is made.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_descendants(seconds: float) -> list[Process]:
    """SIGKILL everything below this child subreaper and wait until it is gone; what is still there after `seconds`."""
    give_up, pause = time.monotonic() + seconds, 0.001
    while True:
        reap()
        if not has_children():
            return []
        alive = [process for process in descendants(os.getpid()) if process.alive]
        for process in alive:
            send_signal(process, signal.SIGKILL)
        if time.monotonic() > give_up:
            return alive
        time.sleep(pause)  # not a wait for SIGCHLD alone: what is below may fork meanwhile
        pause = min(2 * pause, 0.02)


def become_subreaper() -> None:
    """From now on orphans below this process become its children."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int) -> None:
    """Get this signal when the thread that is our parent ends. Check the parent again after it: it may be gone."""
    _prctl(_SET_PDEATHSIG, number)


def set_name(name: str) -> None:
    """Name this process for ps and top; 15 bytes of it are kept."""
    _prctl(_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def _prctl(option: int, argument: object) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor of this process that isn't in `keep`."""
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(entry))
