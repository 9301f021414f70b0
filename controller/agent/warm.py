"""The warm process: it imports torch once and forks the ranks of this host, whose parent it never becomes.

Its descriptor 0 is a socket to the agent: JSON lines both ways, and with each order for a rank its pipes
(SCM_RIGHTS). It runs in the host's Python with its site packages; the shipped code stands first on sys.path.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback

from . import processes

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

ADOPTED_WITHIN = 10.0  # seconds a new rank waits for the agent to become its parent


def main(_: bytes) -> None:
    """Take the `warm` order, import, say ready, then fork a rank for each `spawn` until the agent is gone."""
    processes.set_name("garfield-warm")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    agent = socket.socket(fileno=os.dup(0))
    _use_null_as_stdin()
    orders = _orders(agent)
    order, _fds = next(orders)
    sys.path.insert(0, order["code"])
    gc.disable()  # imports make much and drop little: collecting only slows them
    answer = _import(order)
    gc.freeze()  # what is imported stays in pages that the ranks share
    gc.enable()
    _say(agent, answer)
    if answer["state"] != "ready":
        return
    for order, fds in orders:
        try:
            pid = _fork_rank(order, fds, agent)
            _say(agent, {"rank": order["rank"], "pid": pid})
        except OSError as error:
            _say(agent, {"rank": order["rank"], "pid": None, "error": f"fork: {error.strerror}"})
        for fd in fds:
            os.close(fd)


def _import(order: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        importlib.import_module("garfield.trainer").warm_up(order["dataset"], order["model"])
    except ModuleNotFoundError as error:
        traceback.print_exc()
        return {"state": "failed", "text": str(error), "missing": error.name or ""}
    except Exception as error:  # what an import raises is up to the package
        traceback.print_exc()
        return {"state": "failed", "text": f"{type(error).__name__}: {error}", "missing": ""}
    versions = {
        name: str(getattr(sys.modules[name], "__version__", ""))
        for name in ("torch", "torchvision")
        if name in sys.modules
    }
    threads = len(os.listdir("/proc/self/task"))
    return {"state": "ready", "seconds": time.monotonic() - began, "threads": threads, "versions": versions}


def _orders(agent: socket.socket) -> Any:
    """Yield (order, its descriptors) until the agent is gone."""
    text, received = b"", []
    while True:
        data, fds, _, _ = socket.recv_fds(agent, 64 << 10, 16)
        received += fds
        if not data:
            return
        *lines, text = (text + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            count = order.get("fds", 0)
            own, received = received[:count], received[count:]
            yield order, own


def _say(agent: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        agent.sendall(json.dumps(message).encode() + b"\n")


def _fork_rank(order: dict[str, Any], fds: list[int], agent: socket.socket) -> int:
    """Fork twice; returns the pid of the grandchild, which the agent, a child subreaper, adopts."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            rank = os.fork()
            if rank == 0:
                _be_rank(order, fds)  # never returns
            os.write(tell, str(rank).encode())
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    os.set_blocking(told, False)  # what was to be written is there; the rank still holds the other end
    try:
        pid = os.read(told, 20)
    except BlockingIOError:
        pid = b""
    finally:
        os.close(told)
    if not pid:
        raise OSError(0, "the second fork failed")
    return int(pid)


def _be_rank(order: dict[str, Any], fds: list[int]) -> None:
    """Turn the forked copy into a rank and run it. Ends the process."""
    code = 1
    try:
        _settle(order, fds)
        values, (event, control, listen) = order["values"], (3, 4, 5 if order["listen"] else None)
        from garfield.trainer import run_rank

        incarnation = order["incarnation"]
        code = run_rank(values, event_fd=event, control_fd=control, listen_fd=listen, incarnation=incarnation)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # this copy must not go on as another warm process
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):  # nobody may read them any more, or something else stand in their place
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(int(code or 0) & 0xFF)


def _settle(order: dict[str, Any], fds: list[int]) -> None:
    agent = order["agent"]
    give_up = time.monotonic() + ADOPTED_WITHIN
    while os.getppid() != agent:
        if time.monotonic() > give_up:
            os._exit(1)
        time.sleep(0.0005)  # nothing tells of a new parent
    os.setsid()
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != agent:
        os._exit(1)
    event, stdout, stderr, control, *listen = fds
    # Out of the way of 0 to 5 first, then into place.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (stdout, stderr, event, control, *listen)]
    for place, fd in enumerate(high, start=1):
        os.dup2(fd, place, inheritable=place < 3)
    processes.close_all_but({0, 1, 2, 3, 4, *([5] if listen else [])})
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    processes.set_name(f"garfield-rank{order['rank']}")


def _use_null_as_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
