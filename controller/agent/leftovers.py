"""What runs have left on this host although nothing supervises it any more, and ending exactly that.

A process counts as a run's only by what the host records say: its pid with its start time, in this boot, of this user,
and with the run's id in its environment where that can be read. What ranks have started themselves is in no record; it
is known by the id in its environment, which only processes of that run inherit.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from . import facts, processes, records, remains

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

MOST = 300  # runs, processes and files told of at once: they have to fit into one message
LARGEST = 1 << 20  # bytes of a record
LOOKS = 5  # looks in a row that have to find nothing
TERM_SECONDS, KILL_SECONDS = 2.0, 5.0  # from SIGTERM to SIGKILL, and from that until we give up


def find(run: str | None = None, running: bool = False) -> dict[str, Any]:
    """What is left of `run`, or of every run on record here.

    {"machine": id, "found": [{"run", "hosts", "origin", "running", "processes": [process], "files"}], "more": how many
    runs, processes and files are not listed}; a process is {"pid", "start", "what", "name", "age": seconds}, and the
    files are as `remains` tells them. What a living agent still supervises is in it only with `running`. A run without
    processes and files has left only its record.
    """
    found: list[dict[str, Any]] = []
    room, more = MOST, 0
    for left in _runs(run):
        processes_left = left.all() if running else left.unsupervised()
        if left.supervised and not processes_left:
            continue
        files = left.files()
        size = 1 + len(processes_left) + len(files)
        listed = min(size, room)
        room, more = room - listed, more + size - listed
        if not listed:
            continue
        processes_left = processes_left[: listed - 1]
        found.append(
            {
                "run": left.run,
                "hosts": left.hosts(),
                "origin": left.records[0].get("origin"),
                "running": left.supervised,
                "processes": [_told(process, what) for process, what in processes_left],
                "files": files[: listed - 1 - len(processes_left)],
            }
        )
    return {"machine": facts.machine_id(), "found": found, "more": more}


def moment() -> int:
    """This moment in clock ticks since boot, as start times are."""
    with open("/proc/uptime") as file:
        return int(float(file.read().split()[0]) * processes.TICK)


def end(
    run: str, chosen: Iterable[Iterable[int]], since: int | None = None, files: Collection[str] = ()
) -> dict[str, Any]:
    """End those processes of `run` that are `chosen`, each a pid with its start time, and remove those `files`.

    SIGTERM, then SIGKILL. What was started after the moment `since` was started by these, and ends with them. A run
    that left nothing is forgotten. {"ended": how many, "left": [process], as `find` tells them, "removed": how many}.
    """
    wanted = {tuple(one) for one in chosen}
    meant = [
        (process, what) for left in _runs(run) for process, what in left.all() if (process.pid, process.start) in wanted
    ]
    _kill([process for process, _ in meant])
    if meant and since is not None:
        _chase(run, since)
    still = {process.pid: (process, what) for process, what in meant if _same(process)}
    ended, removed = len(meant) - len(still), 0
    for left in _runs(run):
        if left.files():
            removed += remains.remove(run, left.ranks(), files)
        still |= {process.pid: (process, what) for process, what in left.unsupervised()}
        left.forget()
    return {"ended": ended, "left": [_told(*still[pid]) for pid in sorted(still)[:MOST]], "removed": removed}


def of(run: str) -> list[processes.Process]:
    """The living processes of this user whose environment names `run`, supervised or not."""
    return _marked().get(run, [])


class _Run:
    """One run by its records here, one an agent, and the living processes that are its own."""

    def __init__(self, run: str, marked: list[processes.Process]) -> None:
        self.run = run
        self.records: list[dict[str, Any]] = []
        self._recorded: list[tuple[Path, list[tuple[processes.Process, str]]]] = []
        self._marked = marked

    def add(self, path: Path, record: dict[str, Any]) -> None:
        self.records.append(record)
        self._recorded.append((path, _alive(record)))

    @property
    def supervised(self) -> bool:
        """Some agent of it is alive."""
        return any(_has_agent(alive) for _, alive in self._recorded)

    def hosts(self) -> list[str]:
        return sorted({str(record.get("host")) for record in self.records})

    def ranks(self) -> set[int]:
        """Those that were started on this machine."""
        return {rank for record in self.records for rank in _ranks(record)}

    def files(self) -> list[dict[str, Any]]:
        """What its servers saved here; nothing while the run goes on, here or on a machine with the same home."""
        saved = [] if self.supervised else remains.find(self.run, self.ranks())
        return [] if saved and _on_record_elsewhere(self.run) else saved

    def all(self) -> list[tuple[processes.Process, str]]:
        """Every living process of the run, and what it is."""
        below = [(process, "below") for process in self._marked]
        return _once([*(pair for _, alive in self._recorded for pair in alive), *below])

    def unsupervised(self) -> list[tuple[processes.Process, str]]:
        """Those whose agent is dead. While another agent lives, what is in no record may be that one's."""
        if not self.supervised:
            return self.all()
        return _once([pair for _, alive in self._recorded if not _has_agent(alive) for pair in alive])

    def forget(self) -> None:
        """Remove the records of agents that have left nothing."""
        for (path, alive), record in zip(self._recorded, self.records, strict=True):
            left = alive or remains.find(self.run, _ranks(record))
            if not left and (self.supervised or not self._marked):
                with contextlib.suppress(OSError):
                    path.unlink()


def _ranks(record: dict[str, Any]) -> set[int]:
    return {int(one["what"]) for one in record["processes"] if str(one.get("what")).isdecimal()}


def _on_record_elsewhere(run: str) -> bool:
    """Whether another machine with this home has a record of `run`: it may go on there."""
    machine, names = facts.machine_id(), [path.name for path in records.records_dir().glob("*.json")]
    return any(f"-{run}-" in name and not name.startswith(f"{machine}-") for name in names)


def _has_agent(alive: list[tuple[processes.Process, str]]) -> bool:
    return any(what == "agent" for _, what in alive)


def _once(pairs: list[tuple[processes.Process, str]]) -> list[tuple[processes.Process, str]]:
    """Each process once, as what it is called first, lowest pid first."""
    found: dict[int, tuple[processes.Process, str]] = {}
    for process, what in pairs:
        found.setdefault(process.pid, (process, what))
    return [found[pid] for pid in sorted(found)]


def _runs(run: str | None) -> list[_Run]:
    """The runs on record here, or `run` alone if it is."""
    marked, found = _marked(), {}
    for path, record in _records(run):
        name = record["run"]
        if name not in found:
            found[name] = _Run(name, marked.get(name, []))
        found[name].add(path, record)
    return list(found.values())


def _records(run: str | None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The records of this machine and user, of `run` if it is given; a home may be shared by several machines."""
    machine, user = facts.machine_id(), os.getuid()
    for path in sorted(records.records_dir().glob(f"{machine}-*.json")):
        try:
            if path.stat().st_uid != user or path.stat().st_size > LARGEST:
                continue
            record = json.loads(path.read_text())
            known = (record["machine"], record["uid"]) == (machine, user) and isinstance(record["run"], str)
            processes_known = all(
                isinstance(one["pid"], int) and isinstance(one["start"], int) for one in record["processes"]
            )
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue  # it is none of ours, or was cut short: it names nothing that could be trusted
        if known and processes_known and run in (None, record["run"]):
            yield path, record


def _alive(record: dict[str, Any]) -> list[tuple[processes.Process, str]]:
    """The recorded processes that are still alive, each with what it is; none of an earlier boot."""
    if record.get("boot") != facts.place()["boot"]:
        return []
    found = []
    for one in record["processes"]:
        process = processes.read_process(one["pid"])
        if process and process.alive and process.start == one["start"] and _is_of(process.pid, record["run"]):
            found.append((process, str(one.get("what", ""))))
    return found


def _marked() -> dict[str, list[processes.Process]]:
    """The living processes of this user by the run that their environment names."""
    found: dict[str, list[processes.Process]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (run := _run_of(int(entry))) and _is_ours(int(entry)):
            process = processes.read_process(int(entry))
            if process and process.alive:
                found.setdefault(run, []).append(process)
    return found


def _is_of(pid: int, run: str) -> bool:
    """Whether nothing speaks against a recorded process being of `run`: it is ours, and its environment agrees."""
    named = _run_of(pid)
    return _is_ours(pid) and (named is None or named == run)


def _is_ours(pid: int) -> bool:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1]) == os.getuid()
    return False


def _run_of(pid: int) -> str | None:
    """The run that the environment of `pid` names; empty when it names none, None when it can't be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = b"GARFIELD_RUN="
    return next((one[len(prefix) :].decode(errors="replace") for one in environment if one.startswith(prefix)), "")


def _told(process: processes.Process, what: str) -> dict[str, Any]:
    age = (moment() - process.start) / processes.TICK
    return {
        "pid": process.pid,
        "start": process.start,
        "what": what,
        "name": process.name,
        "age": round(max(0.0, age), 1),
    }


def _kill(chosen: list[processes.Process]) -> None:
    """SIGTERM, then SIGKILL to what is still there; SIGCONT after each, for what is stopped."""
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        chosen = [process for process in chosen if _same(process)]
        for process in chosen:
            processes.send_signal(process, number)
            processes.send_signal(process, signal.SIGCONT)
        _await_end(chosen, seconds)


def _chase(run: str, since: int) -> None:
    """SIGKILL what was started meanwhile, until none is seen any more.

    A process that forks and ends is another each time we look, and at times is missed: hence several looks.
    """
    give_up, looks = time.monotonic() + KILL_SECONDS, 0
    while looks < LOOKS and time.monotonic() < give_up:
        left = [process for one in _runs(run) for process, _ in one.unsupervised() if process.start >= since]
        for process in left:
            processes.send_signal(process, signal.SIGKILL)
        looks = 0 if left else looks + 1
        time.sleep(0.005)  # none of these is our child, so nothing tells of one more


def _await_end(chosen: list[processes.Process], seconds: float) -> None:
    """Return when all have ended, or after so many seconds; each is told by its pidfd, as none is our child."""
    give_up = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        waiting = set()
        for process in chosen:
            with contextlib.suppress(OSError):
                waiting.add(handle := os.pidfd_open(process.pid))
                stack.callback(os.close, handle)
        while waiting and (wait := give_up - time.monotonic()) > 0:
            waiting -= set(select.select(list(waiting), [], [], wait)[0])


def _same(process: processes.Process) -> bool:
    """Whether that very process is still alive."""
    now = processes.read_process(process.pid)
    return now is not None and now.start == process.start and now.alive
