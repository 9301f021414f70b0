"""What ranks say of their work, taken into a RunState: phases, steps, evaluations, notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller.state.fields import (
    BadRecord,
    count,
    integer,
    integers,
    maybe_integer,
    maybe_number,
    maybe_numbers,
    number,
    numbers,
    text,
)
from controller.state.now import WAITING, RankNow
from controller.state.series import RECENT, Line, Trust

if TYPE_CHECKING:
    from controller.state.runstate import RunState

_STATES = {"data": "starting", "join": "joining", "train": "running", "evaluate": "running"}
MOST_CLASSES = 1_000  # of a data set that are counted
_LONGEST_STEP = 1e6  # seconds of a step that are believed
_RATE_STEPS = 10  # steps that a point of the rate line is measured over


def phase(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank says what it is busy with."""
    rank, name, detail = state.rank_of(record), text(record, "phase"), text(record, "detail")
    rank.phase, rank.detail = name, detail
    if rank.alive and rank.state != "paused":  # what it said before may come after
        rank.state = _STATES.get(name, rank.state)


def begin(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank is about to make its first step."""
    rank, total, epoch = state.rank_of(record), integer(record, "total_steps"), integer(record, "steps_per_epoch")
    if total < 1 or epoch < 1:
        raise BadRecord("a run has steps")
    samples, classes = maybe_integer(record, "samples"), integers(record, "classes")
    rank.total, rank.samples, rank.classes = total, samples, classes[:MOST_CLASSES]
    if rank.role == "ps" and rank is state.now.lead():
        state.now.total_steps, state.now.steps_per_epoch = total, epoch


def step(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank has made a step."""
    rank, made = state.rank_of(record), integer(record, "step")
    if made < 1:
        raise BadRecord("steps count from 1")
    loss, seconds, parts = maybe_number(record, "loss"), number(record, "seconds"), numbers(record, "parts")
    sent, received = count(record, "bytes_sent"), count(record, "bytes_received")
    members, weights, late, dropped = (
        integers(record, "quorum"),
        maybe_numbers(record, "weights"),
        count(record, "late"),
        count(record, "dropped"),
    )
    models, shares = integers(record, "models"), maybe_numbers(record, "model_weights")
    if (weights and len(weights) != len(members)) or (shares and len(shares) != len(models)):
        raise BadRecord("there is one weight a member")
    time = maybe_number(record, "time") or state.now.last

    rank.step, rank.loss, rank.seconds, rank.parts, rank.restarted = made, loss, seconds, parts, None
    rank.bytes_sent, rank.bytes_received = sent, received
    rank.held = rank.resumed
    if not rank.held:  # else its own clock went on while it was held, in whichever part of the step that was
        work = sum(seconds for part, seconds in parts.items() if part not in WAITING)
        rank.work = work if rank.work is None else rank.work + (work - rank.work) * max(1 / made, RECENT)
        counted = max(1, made - 1)
        rank.mean = seconds if rank.mean is None else rank.mean + (seconds - rank.mean) * max(1 / counted, RECENT)
    if rank.alive and rank.state != "paused":
        rank.resumed = False
        rank.state = "running"
        rank.phase = rank.detail = ""
    if loss is not None:
        _append(state.series.loss, rank.rank, made, loss)
    if rank.role == "worker":
        state.series.band.add(rank.rank, made, loss)
        return
    rank.quorum, rank.late, rank.dropped = members, late, dropped
    rank.backup = not (members or models)
    rank.weights = dict(zip(members, weights, strict=True)) if weights else {}
    if members:
        _weigh(state, rank, members)
    if shares:
        known = {peer: share for peer, share in zip(models, shares, strict=True) if peer in state.now.ranks}
        state.series.model_trust.setdefault(rank.rank, Trust()).add(made, known)
    if rank is state.now.lead():
        _lead_step(state, rank, time)


def evaluation(state: RunState, record: Mapping[str, Any]) -> None:
    """A PS knows its accuracy on the test set."""
    rank, made, accuracy = state.rank_of(record), integer(record, "step"), number(record, "accuracy")
    if not 0 <= accuracy <= 1:
        raise BadRecord("an accuracy is from 0 to 1")
    rank.accuracy, rank.evaluated = accuracy, made
    state.now.accuracies[rank.rank] = accuracy
    _append(state.series.accuracy, rank.rank, made, accuracy)
    judge_accuracy(state)
    state.say("i", f"{rank.title}: accuracy {accuracy:.3f} after step {made}", rank.host, rank.rank)


def checkpoint(state: RunState, record: Mapping[str, Any]) -> None:
    """A PS saved the model on its host."""
    rank, made, name = state.rank_of(record), integer(record, "step"), text(record, "name")
    size = count(record, "bytes") / 1e6
    state.say("i", f"{rank.title} on {rank.host} saved step {made} as {name}, {size:.1f} MB", rank.host, rank.rank)


def notice(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank tells something that ends nothing."""
    rank, level, sentence = state.rank_of(record), text(record, "level"), text(record, "text")
    state.say("!" if level == "warning" else "i", f"{rank.title} on {rank.host}: {sentence}", rank.host, rank.rank)


def stalled(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank goes on without another one, which is still connected. The first to say so is told."""
    rank, peer, sentence = state.rank_of(record), _peer(state, record), text(record, "text")
    if not peer.stalled:
        peer.stalled = True
        state.say("!", f"{rank.title} on {rank.host}: {sentence}", rank.host, peer.rank)


def lost(state: RunState, record: Mapping[str, Any]) -> None:
    """A rank has lost its link to another one, whose end, if it is one, is told by its own host."""
    rank, peer, sentence = state.rank_of(record), _peer(state, record), text(record, "text")
    if not peer.missed:
        peer.missed = True
        state.say("!", f"{rank.title} on {rank.host}: {sentence}", rank.host, peer.rank)


def back(state: RunState, record: Mapping[str, Any]) -> None:
    """What another rank sends counts again. The first to say so is told."""
    rank, peer, sentence = state.rank_of(record), _peer(state, record), text(record, "text")
    if peer.stalled or peer.missed or peer.returning:
        peer.stalled = peer.missed = peer.returning = False
        state.say("i", f"{rank.title} on {rank.host}: {sentence}", rank.host, peer.rank)


def _peer(state: RunState, record: Mapping[str, Any]) -> RankNow:
    """The other rank that a rank speaks of."""
    peer = state.now.ranks.get(integer(record, "peer"))
    if peer is None:
        raise BadRecord("there is no such rank")
    return peer


def judge_accuracy(state: RunState) -> None:
    """The run's accuracy: that of the PS that judges; while it has none that of another honest one that has."""
    judges = [s for s in state.now.servers() if not s.byzantine and s.accuracy is not None]
    judge = state.now.judge()
    if judge is not None and judge.accuracy is not None:
        state.now.accuracy = judge.accuracy
    elif judges:
        newest = max(judges, key=lambda s: s.evaluated)
        state.now.accuracy = (newest if state.now.one_acts else judges[0]).accuracy


def _append(lines: dict[int, Line], rank: int, made: int, value: float) -> None:
    if rank not in lines:
        lines[rank] = Line()
    lines[rank].append(made, value)


def _weigh(state: RunState, server: RankNow, members: list[int]) -> None:
    """How the PS weighed each worker: the trust panel's columns, and for the leading PS the workers' own facts."""
    known = {member: server.weights.get(member, 0.0) for member in members if member in state.now.ranks}
    trust = state.series.trust.get(server.rank)
    if server.weights:
        trust = state.series.trust.setdefault(server.rank, Trust())
        trust.add(server.step, known)
    if server is not state.now.lead():
        return
    for worker in state.now.workers():
        worker.in_quorum = worker.rank in known
        if worker.in_quorum and worker.alive:
            _heard_elsewhere(state, worker, server)
        if trust is not None:
            worker.weight = trust.recent.get(worker.rank)


def _heard_elsewhere(state: RunState, worker: RankNow, server: RankNow) -> None:
    """Say of a worker whose host doesn't reach us that it still works, as a PS has its gradient."""
    host = state.now.hosts.get(worker.host)
    sentence = f"not heard from here, but {server.title} hears it"
    if host is not None and host.state in ("silent", "reconnecting") and worker.detail != sentence:
        worker.detail = sentence
        state.say("i", f"{worker.title} on {worker.host}: {sentence}", worker.host, worker.rank)


def _lead_step(state: RunState, rank: RankNow, time: float) -> None:
    now = state.now
    if now.first_step is None:
        now.first_step = now.last
        took = "" if now.started is None else f" after {max(0.0, now.last - now.started):.1f} s"
        state.say("i", f"first step{took}", rank.host, rank.rank)
    if now.state in ("planned", "launching"):
        now.state = "running"
    if now.clock and (rank.step <= now.clock[-1][0] or time < now.clock[-1][1]):
        now.clock.clear()  # another PS leads now, its clock may differ, or it went back a step
    series = state.series
    took = time - now.clock[-1][1] if now.clock else rank.seconds or 0.0
    series.trained += max(0.0, min(took, _LONGEST_STEP))
    if series.clock.newest is None or rank.step > series.clock.newest[0]:
        series.clock.append(rank.step, series.trained)
    now.step = rank.step
    if rank.loss is not None:
        now.diverged = None
    elif now.diverged is None:
        now.diverged = rank.step
    now.clock.append((rank.step, time))
    now.paces.append(rank.seconds or 0.0)
    pace = now.rate(_RATE_STEPS)
    if pace is not None:
        series.rate.append(rank.step, pace)
    series.bytes.append(rank.step, rank.bytes_sent + rank.bytes_received)


def lead_changed(state: RunState) -> None:
    """A PS has fallen: the next one tells the run's step and accuracy."""
    lead = state.now.lead()
    if lead is not None and lead.alive:
        state.now.step = lead.step
        state.now.clock.clear()
        state.now.total_steps = lead.total or state.now.total_steps
    judge_accuracy(state)


def maybe_pid(record: Mapping[str, Any]) -> str:
    """The pid in `record` as part of a sentence."""
    pid = maybe_integer(record, "pid")
    return "" if pid is None else f" (pid {pid})"
