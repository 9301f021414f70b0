"""What the tests of the launcher share: a tiny package to ship in place of the real one; its ranks do as told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.cluster import Cluster
from controller.hosts import Host
from controller.plan import Plan, make_plan

# Each rank does what the environment variable DO_<rank> says; several words are done in turn.
TRAINER = """
import json, os, select, signal, sys, time

def warm_up(dataset, model):
    if os.environ.get("WARM") == "missing":
        import torchless_machine
    if os.environ.get("WARM") == "broken":
        raise RuntimeError("libcuda is from another age")
    print("warm")

def run_rank(values, *, event_fd, control_fd, listen_fd, incarnation):
    stop = []
    control = os.fdopen(control_fd, "rb", 0)
    signal.signal(signal.SIGINT, lambda *_: stop.append(1))

    def tell(**event):
        raw({**event, "time": time.time()})

    def raw(event):
        line = json.dumps(event).encode() + b"\\n"
        while line:
            line = line[os.write(event_fd, line):]

    tell(kind="phase", phase="train", detail="life %d" % incarnation)
    listening = "listening" if listen_fd else ""
    print("rank", values["rank"], "joins", values["master"], listening, os.environ.get("COLOUR", ""))
    reason = "stopped"
    for word in os.environ.get("DO_%d" % values["rank"], "").split():
        if word == "ignore-int":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        elif word == "ignore-term":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif word == "daemon":
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                        signal.signal(number, signal.SIG_IGN)
                    time.sleep(600)
                os._exit(0)
            os.wait()
        elif word == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif word == "awkward":
            import garfield.awkward
            garfield.awkward.bear()
        elif word == "raise":
            raise ValueError("no gradient today")
        elif word == "three":
            tell(kind="failure", text="rank 1 is gone", missing=[1])
            return 3
        elif word == "kill-self":
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "flood":
            for _ in range(400):
                os.write(1, b"x" * 99 + b"\\n" + b"y" * 65000 + b"\\n")
        elif word == "hostile":
            raw({"kind": "step", "step": 1, "loss": 1, "seconds": 1, "parts": {}, "rank": 0, "time": 1})
            raw({"kind": "notice", "level": "info", "text": "\\x1b]0;owned\\x07 \\u202e\\ud800", "time": 1})
            os.write(event_fd, b'{"kind": "step"}, "rank": 0}\\n' + b"[" * 30000 + b"\\n" + b"\\xff\\xfe\\n")
            os.write(2, b"\\x1b[2J\\xff\\x9b31m red\\n" + b"z" * 3000000 + b"\\n")
        elif word == "deaf":
            control.close()
        elif word == "environ":
            print(sorted(os.listdir("/proc/self/fd")), sys.path[0], os.getsid(0) == os.getpid())
        elif word == "finisher":
            reason = "finished"
    step = 0
    while not stop:
        while not control.closed and select.select([control], [], [], 0)[0] and (line := control.readline()):
            tell(kind="notice", level="info", text=line.decode().strip())
            stop += [1] * (json.loads(line)["type"] == "finish")
        step += 1
        tell(kind="step", step=step, loss=0.5, seconds=0.02, parts={})
        time.sleep(0.02)
    tell(kind="end", step=step, reason=reason)
    return 0
"""


def write_package(folder: Path) -> Path:
    """A package `garfield` as the agent expects it, without torch."""
    package = folder / "garfield"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "trainer.py").write_text(TRAINER)
    (package / "awkward.py").write_text(Path(__file__).with_name("awkward.py").read_text())
    return package


def local_host(name: str = "here", workers: int = 2, servers: int = 1, **env: str) -> Host:
    """This machine over pipes."""
    return Host(name, connection="local", servers=servers, workers=workers, env=env)


class Launch:
    """A cluster and every record it emitted."""

    def __init__(self, package: Path, *hosts: Host, lease: float = 15.0) -> None:
        self.run = f"test-{uuid.uuid4().hex[:12]}"
        self.plan: Plan = make_plan(hosts, {}, lease)
        self.records: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self.cluster = Cluster(self.plan, self.run, self._take, package)

    def _take(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        self._changed.set()

    def of(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The records of a kind whose fields are as given."""
        wanted = {"kind": kind, **fields}
        return [record for record in self.records if all(record.get(key) == value for key, value in wanted.items())]

    def states(self, host: str) -> list[str]:
        """The states this host went through, each once in a row."""
        states = [record["state"] for record in self.of("host", host=host)]
        return [state for place, state in enumerate(states) if states[place - 1 : place] != [state]]

    async def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Wait for a record that makes `condition` true."""
        async with asyncio.timeout(seconds):
            while not (found := condition()):
                self._changed.clear()
                await self._changed.wait()
        return found

    async def steps(self, ranks: int, seconds: float = 10.0) -> None:
        """Wait until so many ranks have made a step."""
        await self.until(lambda: len({record["rank"] for record in self.of("step")}) >= ranks, seconds)

    async def end(self, kill: bool = False) -> Mapping[str, Any]:
        await self.cluster.stop(kill)
        return await self.cluster.ended()


def processes_of(run: str) -> dict[int, str]:
    """Every living process that carries this run in its environment: pid and command name."""
    wanted, found = f"GARFIELD_RUN={run}".encode(), {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if wanted in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    found[int(entry)] = Path("/proc", entry, "comm").read_text().strip()
            except OSError:
                continue  # it ended, or is none of ours
    return found


async def until_gone(run: str, within: float) -> float:
    """Seconds until no process of the run is left; fails after `within`."""
    began = time.monotonic()
    while left := processes_of(run):
        assert time.monotonic() - began < within, f"still there after {within} s: {left}"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def until_running(run: str, count: int, within: float = 5.0) -> None:
    """Wait until the run has so many processes."""
    began = time.monotonic()
    while len(found := processes_of(run)) != count:
        assert time.monotonic() - began < within, f"not {count} processes after {within} s: {found}"
        await asyncio.sleep(0.02)


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    entries = Path("/proc", str(pid), "environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def pid_of(run: str, name: str) -> int:
    """The one process of the run with this command name."""
    (pid,) = [pid for pid, found in processes_of(run).items() if found == name]
    return pid


@contextlib.contextmanager
def controller(package: Path, *hosts: Host, lease: float = 15.0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A controller in a process of its own that has launched a run: (process, run)."""
    keys = ("name", "connection", "address", "port", "python", "env", "servers", "workers")
    described = [{key: getattr(host, key) for key in keys} for host in hosts]
    argument = json.dumps([str(package), [{**one, "env": dict(one["env"])} for one in described], lease])
    command = [sys.executable, "-m", "tests.launching", argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            run = process.stdout.readline().strip()
            assert run, "the controller did not launch"
            yield process, run
        finally:
            process.kill()


async def _hold(package: str, hosts: list[dict[str, Any]], lease: float) -> None:
    """Launch, say so with the run's id, then do nothing until somebody ends us."""
    launch = Launch(Path(package), *(Host(**host) for host in hosts), lease=lease)
    await launch.cluster.launch({"run": launch.run, "name": "held", "started": time.time(), **launch.plan.to_record()})
    await launch.steps(1)
    print(launch.run, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_hold(*json.loads(sys.argv[1])))
