"""What a person does to one rank while the run goes on: pause, resume, kill, restart, switch its attack."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping

from . import processes
from .crew import Crew
from .rank import Rank

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

ATTACK = 500  # characters of an attack

Told = Callable[["str | None"], None]


def act(crew: Crew, message: Mapping[str, Any], told: Told) -> None:
    """Do what `message` asks of its rank; `told` gets None when that is done, or the reason why it can't be."""
    number, name = message["rank"], message["act"]
    rank = crew.ranks.get(number)
    if rank is None:
        return told("this host has no such rank")
    if crew.closing:
        return told("the run is being stopped")
    if name == "restart":
        return crew.restart(number, told)
    if name not in _ACTS:
        return told(f"{name!r} is nothing that can be done to a rank")
    if rank.ended:
        return told("it has ended; restart starts it again")
    if rank.process is None:
        return told("it is just being started")
    return told(_ACTS[name](rank, message))


def _pause(rank: Rank, _: Mapping[str, Any]) -> str | None:
    if rank.paused:
        return "it is paused already; resume lets it go on"
    rank.paused = True
    return _send(rank, signal.SIGSTOP)


def _resume(rank: Rank, _: Mapping[str, Any]) -> str | None:
    rank.paused = False
    return _send(rank, signal.SIGCONT)


def _kill(rank: Rank, _: Mapping[str, Any]) -> str | None:
    rank.asked = True
    return _send(rank, signal.SIGKILL)


def _attack(rank: Rank, message: Mapping[str, Any]) -> str | None:
    attack = message.get("attack")
    if not isinstance(attack, str) or not 0 < len(attack) <= ATTACK:
        return "no attack is named"
    if why := rank.control({"type": "attack", "attack": attack}):
        return why
    rank.attack = attack
    return None


def _finish(rank: Rank, _: Mapping[str, Any]) -> str | None:
    rank.asked = True
    return rank.control({"type": "finish"})


def _checkpoint(rank: Rank, _: Mapping[str, Any]) -> str | None:
    return rank.control({"type": "checkpoint"})


def _send(rank: Rank, number: int) -> str | None:
    return None if rank.process and processes.send_signal(rank.process, number) else "its process is gone"


_ACTS: Mapping[str, Callable[[Rank, Mapping[str, Any]], str | None]] = {
    "pause": _pause,
    "resume": _resume,
    "kill": _kill,
    "attack": _attack,
    "finish": _finish,
    "checkpoint": _checkpoint,
}
