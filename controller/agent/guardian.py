"""The guardian: parent of the agent. It parses nothing, so nothing a rank or a controller sends can bring it down.

When the agent ends, or is silent on its watchdog pipe, the guardian kills every process that was ever started below it.
Its own end closes the connection to the controller: then nothing of the run is left on this host.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

from . import processes
from .cgroup import Cgroup

WATCHDOG = 4.0  # seconds without a word from the agent after which it counts as stuck
GIVE_UP = 10.0  # seconds after which what can't be killed (D state) is left
LEFT = 3  # our exit status when something is left


def main(blob: bytes) -> None:
    """Start the agent and watch it; `blob` is the compressed sources, which the agent needs for the warm process."""
    if not sys.platform.startswith("linux"):
        os.write(1, b'{"type":"hello","seq":1,"refused":"the host runs %s, and ranks need Linux"}\n' % _platform())
        return
    processes.set_name("garfield-guard")
    processes.become_subreaper()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    heard, heartbeat = os.pipe()
    guardian, group = os.getpid(), Cgroup.make()
    agent = os.fork()
    if agent == 0:
        processes.die_with_parent(signal.SIGTERM)  # the agent then ends its ranks and itself
        if os.getppid() != guardian:
            os._exit(1)
        os.close(heard)
        if group:
            group.enter()
        from . import agent as agent_module

        agent_module.main(heartbeat, blob)  # never returns
    os.close(heartbeat)
    signal.signal(signal.SIGTERM, lambda *_: _signal(agent, signal.SIGTERM))
    stuck = _watch(heard)
    status = _end(agent)
    if group:
        group.kill()
    left = processes.kill_descendants(GIVE_UP)
    if group and not left:
        group.remove()
    if stuck:
        _say("the agent was silent for 4 s: it and its processes were killed")
    elif status != 0:
        how = f"killed by signal {-status}" if status < 0 else f"exit code {status}"
        _say(f"the agent ended unexpectedly ({how}): its processes were killed")
    if left:
        _say("could not be killed: " + ", ".join(f"{process.name} ({process.pid})" for process in left))
    os._exit(LEFT if left else 0)


def _watch(heard: int) -> bool:
    """Wait until the agent ends (False) or is silent for too long (True)."""
    while True:
        if not select.select([heard], [], [], WATCHDOG)[0] and not select.select([heard], [], [], 0.1)[0]:
            return True
        if not os.read(heard, 4096):
            return False


def _end(agent: int) -> int:
    """Kill the agent, which may have ended already; its exit code, or minus the signal that ended it."""
    _signal(agent, signal.SIGKILL)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(agent, 0)[1])
    except ChildProcessError:
        return 0


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.set_blocking(2, False)
        os.write(2, text.encode() + b"\n")


def _platform() -> bytes:
    return sys.platform.encode("ascii", "replace")
