"""How ranks, hosts and so the run end, taken into a RunState, as its records tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller.state import causes, telemetry
from controller.state.exits import Exit, ending
from controller.state.fields import BadRecord, integer, integers, maybe_integer, tables, text, texts
from controller.state.now import ALIVE, HostNow, Now, RankNow

if TYPE_CHECKING:
    from controller.state.runstate import RunState

_NAMED = 20  # processes that are left, by name


def end(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank says that it is done; its exit follows."""
    rank, made, reason = state.rank_of(record), integer(record, "step"), text(record, "reason")
    if reason not in ("finished", "stopped"):
        raise BadRecord("an end is finished or stopped")
    rank.end, rank.step = reason, max(rank.step, made)
    if rank.alive:
        rank.state, rank.phase, rank.detail = reason, "", ""
    _workers_changed(state)


def failure(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank says why it is about to end without having finished; its exit follows."""
    rank, sentence, missing = state.rank_of(record), text(record, "text"), integers(record, "missing")
    rank.failure, rank.missing, rank.detail = sentence, missing, sentence
    if state.now.state == "stopping" and state.now.root_cause is None:  # who hears of the stop late misses the others
        state.say("i", f"{rank.title} on {rank.host}, while the run is stopped: {sentence}", rank.host, rank.rank)
        return
    state.say("✖", f"{rank.title} on {rank.host}: {sentence}", rank.host, rank.rank)
    root = state.now.ranks.get(state.now.root_rank) if state.now.root_rank is not None else None
    if root is not None and state.now.root_exit is not None and root.rank in missing:
        causes.blame(state, root, state.now.root_exit)  # the witness spoke after the exit


def exited(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank's process has ended."""
    if record.get("rank") is None:
        _helper_exited(state, record)
        return
    rank, facts = state.rank_of(record), _exit_facts(state, record)
    if record.get("restarting") is True:
        rank.state, rank.phase, rank.detail, rank.pid = "starting", "", "it is started again", None
        rank.restarted = facts
        rank.forget_absence()
        causes.judge_asked(state, rank, facts)
        state.say("i", f"{rank.title} on {rank.host} {ending(facts)}, to be started again", rank.host, rank.rank)
        return
    rank.exit, rank.pid = facts, None
    rank.state = _state_after(state.now, rank, facts)
    rank.phase, rank.detail = "", "" if rank.state == "finished" else rank.failure or ending(facts)
    state.series.band.expected.discard(rank.rank)
    _workers_changed(state)
    if rank.state in ("failed", "lost"):
        causes.judge(state, rank, facts)
    elif rank.kill_asked:
        causes.judge_asked(state, rank, facts)
    _tell_exit(state, rank, facts)
    if rank.role == "ps":
        telemetry.lead_changed(state)


def of_host(host: HostNow, name: str, detail: str) -> str:
    """A sentence about a host's new state `name`; bad news says itself what happened."""
    if not detail:
        return f"{host.name} {name}"
    if detail.startswith(f"{host.name}: "):
        return detail
    return f"{host.name}: {detail}" if name in ("failed", "lost") else f"{host.name} {name}: {detail}"


def host_gone(state: RunState, host: HostNow, detail: str) -> None:
    """Nothing more is expected from `host`: what became of its ranks is unknown."""
    for number in host.ranks:
        rank = state.now.ranks[number]
        if rank.alive and rank.state != "waiting":
            rank.state, rank.detail = "lost", "its host ended" if host.state == "ended" else "its host is lost"
            state.series.band.expected.discard(number)
    _workers_changed(state)
    unknown = f"{host.name} was lost; what happened there is unknown."
    causes.judge_host(state, host, of_host(host, "lost", detail) if detail else unknown)


def bye(state: RunState, record: Mapping[str, Any]) -> None:
    """A host's agent says goodbye, and which processes it leaves behind."""
    host, left = state.host_of(record), tables(record, "left")
    names = [
        f"{text(entry, 'name') or 'process'}{telemetry.maybe_pid(entry)}"
        if maybe_integer(entry, "rank") is None
        else f"rank {entry['rank']}{telemetry.maybe_pid(entry)}"
        for entry in left[:_NAMED]
    ]
    names += [f"{len(left) - _NAMED} more"] if len(left) > _NAMED else []
    host.left = len(left)
    if untold := [n for n in host.ranks if state.now.ranks[n].alive and state.now.ranks[n].state != "waiting"]:
        host_gone(state, host, f"it said goodbye without a word of how rank {untold[0]} ended")
    if host.state not in ("failed", "lost"):
        state.set_host_state(host, "ended")
    if names:
        state.say("✖", f"{host.name}: still alive: {', '.join(names)}", host.name)
    else:
        state.say("i", f"{host.name}: ended, nothing left", host.name)


def _exit_facts(state: RunState, record: Mapping[str, Any]) -> Exit:
    code, signal = maybe_integer(record, "code"), maybe_integer(record, "signal")
    stderr, starved = tuple(texts(record, "stderr")[-50:]), record.get("starved") is True
    return Exit(code, signal, record.get("asked") is True, stderr, starved, state.now.last)


def _helper_exited(state: RunState, record: Mapping[str, Any]) -> None:
    """A process of a host that is no rank ended: its warm process. Ranks live on; none can be started there."""
    host, facts = state.host_of(record), _exit_facts(state, record)
    if facts.bad:
        state.say("!", f"{host.name}: the process that starts ranks ended: {ending(facts)}", host.name)


def _state_after(now: Now, rank: RankNow, facts: Exit) -> str:
    """The state of a rank whose process ended so."""
    if facts.code == causes.LOST_A_RANK and now.state == "stopping" and now.root_cause is None:
        return "stopped"  # with those that were told before it
    if facts.signal is not None:
        return "killed" if facts.asked else "lost"
    if facts.code == 0 and rank.end is not None:
        return rank.end
    return "stopped" if facts.asked else "failed"


def _tell_exit(state: RunState, rank: RankNow, facts: Exit) -> None:
    where, now = f"{rank.title} on {rank.host}", state.now
    after = ""
    if rank.rank in causes.collateral(now):
        after = f" (collateral: {now.ranks[now.root_rank].title} ended first)"
    met, left = (True, after) if after else _left(now, rank)
    level = "!" if met else "✖"  # nobody has to act while the others are enough
    if rank.state == "lost":
        state.say(level, f"{where} lost: {ending(facts)}{left}", rank.host, rank.rank)
    elif rank.state == "failed":
        how = ending(facts) if facts.code else "it ended before the run did"
        words = "" if rank.failure else causes.last_words(rank, facts)  # a failure was told when it came
        state.say(level, f"{where} failed: {how}{words}{left}", rank.host, rank.rank)
    elif rank.state == "killed":
        state.say("!", f"{where} {ending(facts)}, as asked", rank.host, rank.rank)
    elif rank.role == "ps" or rank.state == "stopped":
        state.say("i", f"{where} {rank.state} after step {rank.step}", rank.host, rank.rank)


def _left(now: Now, fallen: RankNow) -> tuple[bool, str]:
    """Whether those that are left of its role after `fallen` are enough, and that in words, while steps are made."""
    many, needed, noun = (
        (now.servers(), now.server_quorum, "PSs") if fallen.role == "ps" else (now.workers(), now.quorum, "workers")
    )
    if needed is None or now.first_step is None or now.state != "running":
        return False, ""
    live = sum(rank.alive for rank in many)
    return live >= needed, f"; {live} live {noun}, quorum {needed} {'still' if live >= needed else 'not'} met"


def _workers_changed(state: RunState) -> None:
    """Steps wait no longer for workers that have ended."""
    band = state.series.band
    band.expected = {rank for rank in band.expected if state.now.ranks[rank].state in ALIVE}
    band.close()
