"""Which of a run's endings was the first cause, and what it brought about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.state.exits import Exit, ending
from controller.state.now import FALLEN, HostNow, Now, RankNow

if TYPE_CHECKING:
    from controller.state.runstate import RunState

LOST_A_RANK = 3  # exit code of a rank that ended because of another one
_STDERR = 20  # last lines of stderr that are told with a cause


def judge(state: RunState, rank: RankNow, facts: Exit) -> None:
    """The root cause is the first end that no one asked for; or the kill or restart, though asked for, of a rank that
    it needed.

    A rank that ended because it lost another one is a cause only until that other one's end is known: the news of it
    may come second, and that other one may itself have ended because of a third. What ends after a stop is no cause.
    """
    now, before = state.now, _provisional(state.now)
    if now.root_cause is None:
        if now.state == "stopping":
            return
    elif before is None or (facts.code == LOST_A_RANK and rank.rank not in before.missing):
        return
    blame(state, *(_asked_before(now, rank, facts) or (rank, facts)))


def judge_asked(state: RunState, rank: RankNow, facts: Exit) -> None:
    """`rank` ended as somebody asked: that is the cause if another one has ended because of it already."""
    before = _provisional(state.now)
    if before is not None and rank.rank in before.missing:
        blame(state, rank, facts)


def blame(state: RunState, rank: RankNow, facts: Exit) -> None:
    """That end of `rank` is the root cause."""
    state.blame(sentence(state.now, rank, facts), rank.rank, facts)


def kills(now: Now) -> str:
    """The ranks that somebody killed or restarted, for a run that failed and no rank says why; may be empty."""
    asked = [(rank, facts) for rank in now.ranks.values() if (facts := _as_asked(rank)) is not None]
    return "; ".join(sentence(now, rank, facts) for rank, facts in asked)


def judge_host(state: RunState, host: HostNow, text: str) -> None:
    """A host can't be heard any more: that is the cause, unless there was one before which is none of its ranks'."""
    now, before = state.now, _provisional(state.now)
    explains = before is not None and any(rank in host.ranks for rank in before.missing)
    if now.state != "stopping" and (now.root_cause is None or explains):
        state.blame(text)


def sentence(now: Now, rank: RankNow, facts: Exit) -> str:
    """How `rank` ended, and what a PS that noticed says of it."""
    how = ending(facts) if facts.code != 0 else "it ended before the run did"
    again = facts is rank.restarted  # what it said since is no reason for that
    if (rank.kill_asked or again) and facts.signal is not None:
        how += ", as asked, to be started again" if again else ", as asked"
    told = f"{rank.title} on {rank.host}: {how}{'' if again else last_words(rank, facts)}"
    witness = next((s for s in now.servers() if s is not rank and s.failure and rank.rank in s.missing), None)
    return (
        told if witness is None or (rank.failure and not again) else f"{told}; {witness.title} says: {witness.failure}"
    )


def last_words(rank: RankNow, facts: Exit) -> str:
    """Why `rank` says that it ended, else the last line it printed, to go on a sentence with; may be empty."""
    words = rank.failure or next((line.strip() for line in reversed(facts.stderr) if line.strip()), "")
    return f": {words}" if words else ""


def collateral(now: Now) -> list[int]:
    """The ranks that ended because another one had: all that didn't finish, but the one that is to blame."""
    if now.root_rank is None:
        return []
    ended = [rank for rank in now.ranks.values() if rank.exit is not None or rank.state in FALLEN]
    return sorted(rank.rank for rank in ended if rank.end != "finished" and rank.rank != now.root_rank)


def cause(now: Now) -> dict[str, Any] | None:
    """The rank whose end is the root cause, as data; None where the cause is no rank's end.

    {"rank", "role", "host", "step", "code", "signal", "stderr": its last lines, "collateral": ranks}
    """
    rank = now.ranks.get(now.root_rank) if now.root_rank is not None else None
    facts = now.root_exit
    if rank is None or facts is None:
        return None
    return {
        "rank": rank.rank,
        "role": rank.role,
        "host": rank.host,
        "step": rank.step,
        "code": facts.code,
        "signal": facts.signal,
        "stderr": list(facts.stderr[-_STDERR:]),
        "collateral": collateral(now),
    }


def _provisional(now: Now) -> RankNow | None:
    """The rank that is the cause so far, if it ended because it lost another one."""
    before = now.ranks.get(now.root_rank) if now.root_rank is not None else None
    return before if now.root_exit is not None and now.root_exit.code == LOST_A_RANK else None


def _asked_before(now: Now, rank: RankNow, facts: Exit) -> tuple[RankNow, Exit] | None:
    """The rank whose end somebody had asked for, and that end, if `rank` ended because it lost one."""
    lost = [now.ranks[number] for number in rank.missing if number in now.ranks] if facts.code == LOST_A_RANK else []
    return next(((other, end) for other in lost if (end := _as_asked(other)) is not None), None)


def _as_asked(rank: RankNow) -> Exit | None:
    """How `rank` ended when somebody had it killed or restarted; None where nobody did."""
    return rank.exit if rank.kill_asked and rank.exit is not None else rank.restarted
