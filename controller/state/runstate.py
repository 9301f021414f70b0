"""The only place where what is known of a run changes: live view, replay, headless command and tests all feed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controller import acts
from controller.state import endings, quorum, telemetry
from controller.state.exits import Exit
from controller.state.fields import (
    LONGEST,
    BadRecord,
    count,
    integer,
    maybe_integer,
    maybe_number,
    table,
    tables,
    text,
    texts,
)
from controller.state.now import GONE, HostNow, LogLine, Mark, Now, Output, RankNow
from controller.state.series import Series
from controller.wire import one_line
from garfield import experiment

_HOST_LEVELS = {"failed": "✖", "lost": "✖", "silent": "!", "reconnecting": "!"}
_MARKING = ("pause", "resume", "kill", "restart", "attack")  # acts on a rank that show in what is measured
_FACTS = 64  # kept facts of a host
_LABELS = {"run": 100, "name": 100, "note": 300}  # characters; a person may give a name 60
_TOLD_STATES = ("ready", "ended", *_HOST_LEVELS)


class RunState:
    """A run as its records tell it: `now` is small, `series` bounded.

    Nothing here has a clock: times are those of the records. `apply` never raises: a record that doesn't say what its
    kind must say changes nothing but `now.bad_records`, one of an unknown kind nothing at all.
    """

    def __init__(self) -> None:
        self.now = Now()
        self.series = Series()

    def apply(self, record: Mapping[str, Any]) -> None:
        """Take in one record; they come in the order of their `n`."""
        now = self.now
        now.records += 1
        try:
            kind = text(record, "kind")
            received = maybe_number(record, "received")
            now.last = max(now.last, received or 0.0)
            if not kind:
                raise BadRecord("kind is missing")
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, record)
            if kind in quorum.NEWS:
                quorum.look(self)
        except (BadRecord, AttributeError, TypeError, KeyError, RecursionError):
            now.bad_records += 1

    def host_of(self, record: Mapping[str, Any]) -> HostNow:
        """The host that `record` is about."""
        name = record.get("host")
        if not isinstance(name, str) or name not in self.now.hosts:
            raise BadRecord("there is no such host")
        host = self.now.hosts[name]
        host.last = self.now.last
        return host

    def rank_of(self, record: Mapping[str, Any]) -> RankNow:
        """The rank that `record` is about."""
        rank = self.now.ranks.get(integer(record, "rank"))
        if rank is None:
            raise BadRecord("there is no such rank")
        rank.last = self.now.last
        if rank.host in self.now.hosts:
            self.now.hosts[rank.host].last = self.now.last
        return rank

    def say(self, level: str, sentence: str, host: str | None = None, rank: int | None = None) -> None:
        """Add one sentence to the event log."""
        self.now.logged += 1
        self.now.log.append(LogLine(self.now.last, level, host, rank, sentence[:LONGEST]))

    def blame(self, sentence: str, rank: int | None = None, facts: Exit | None = None) -> None:
        """State the root cause of the run's end; where it is a rank's end, which one's and how that ended."""
        self.now.root_cause, self.now.root_rank, self.now.root_exit = sentence, rank, facts

    def set_host_state(self, host: HostNow, state: str, detail: str = "") -> None:
        """Move `host` to `state`, which began now."""
        if host.state != state:
            host.since = self.now.last
        host.state, host.detail = state, detail


def _run(state: RunState, record: Mapping[str, Any]) -> None:
    now = state.now
    if now.hosts or now.ranks:
        raise BadRecord("the run is stated already")
    hosts = [_host(entry, now.last) for entry in tables(record, "hosts")]
    ranks = [_rank(entry) for entry in tables(record, "ranks")]
    values = table(record, "values")
    now.run, now.name, now.note = (one_line(text(record, key), most) for key, most in _LABELS.items())
    now.values, now.lease, now.origin = values, maybe_number(record, "lease"), table(record, "origin")
    now.started = now.last
    now.hosts = {host.name: host for host in hosts}
    now.ranks = {rank.rank: rank for rank in ranks}
    for rank in ranks:
        if rank.host in now.hosts:
            now.hosts[rank.host].ranks.append(rank.rank)
    state.series.band.expected = {rank.rank for rank in ranks if rank.role == "worker"}
    now.quorum = _derived(experiment.gradient_quorum, values)
    now.server_quorum = _derived(experiment.model_quorum, values)
    now.one_acts = acts.one_acts("ps", values)
    now.total_steps = _derived(experiment.total_steps, values)
    now.steps_per_epoch = _derived(experiment.steps_per_epoch, values)


def _derived(meaning: Callable[[Mapping[str, Any]], int], values: Mapping[str, Any]) -> int | None:
    """What the parameters mean; None where a recorded run lacks some of them."""
    try:
        number = meaning(values)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return number if isinstance(number, int) and 0 < number < 2**53 else None


def _host(entry: Mapping[str, Any], since: float) -> HostNow:
    return HostNow(text(entry, "name"), text(entry, "connection"), text(entry, "address"), since=since)


def _rank(entry: Mapping[str, Any]) -> RankNow:
    role = text(entry, "role")
    if role not in ("ps", "worker"):
        raise BadRecord("a rank is a ps or a worker")
    return RankNow(integer(entry, "rank"), role, text(entry, "host"), entry.get("byzantine") is True)


def _act(state: RunState, record: Mapping[str, Any]) -> None:
    act, sentence = text(record, "act"), text(record, "text")
    if record.get("rank") is not None:
        rank, attack = state.rank_of(record), text(record, "attack")
        _act_on_rank(rank, act, attack)
        if act in _MARKING:
            state.now.acts += 1
            state.now.marks.append(Mark(state.now.step, act, rank.rank, attack))
    elif act in ("launch", "attach") and state.now.state == "planned":
        state.now.state, state.now.attached = "launching", act == "attach"
    elif act in ("stop", "kill") and state.now.state != "ended":
        state.now.state = "stopping"
    state.say("i", sentence or f"{act} by you")


def _act_on_rank(rank: RankNow, act: str, attack: str) -> None:
    if act == "pause" and rank.alive:
        rank.state = "paused"
    elif act == "resume" and rank.state == "paused":
        rank.state, rank.resumed = "running" if rank.step else "joining", True
    elif act == "kill":
        rank.kill_asked = True
    elif act == "attack" and attack:
        rank.byzantine = attack != "none"


def _host_state(state: RunState, record: Mapping[str, Any]) -> None:
    host, name, detail = state.host_of(record), text(record, "state"), text(record, "detail")
    if not name:
        raise BadRecord("state is missing")
    if host.left is not None and name in ("stopping", "ended"):
        return  # it has said goodbye already
    changed = host.state != name
    state.set_host_state(host, name, detail)
    if state.now.state == "planned":
        state.now.state = "launching"
    if changed and name in _TOLD_STATES:
        state.say(_HOST_LEVELS.get(name, "i"), endings.of_host(host, name, detail), host.name)
    if name in GONE:
        endings.host_gone(state, host, detail)


def _facts(state: RunState, record: Mapping[str, Any]) -> None:
    host = state.host_of(record)
    for key, value in table(record, "facts").items():
        if key not in host.facts and len(host.facts) >= _FACTS:
            continue
        plain = value is None or isinstance(value, bool | int | float)
        host.facts[one_line(key, 200)] = value if plain else one_line(str(value), 200)


def _started(state: RunState, record: Mapping[str, Any]) -> None:
    rank, pid = state.rank_of(record), maybe_integer(record, "pid")
    if rank.state == "waiting" or not rank.alive:  # else its own first words were quicker than the agent's
        rank.state, rank.phase, rank.detail = "starting", "", ""
        rank.exit = rank.end = rank.failure = None
        rank.missing, rank.kill_asked = [], False
        rank.forget_absence()
    rank.pid, rank.incarnation = pid, maybe_integer(record, "incarnation") or 1
    rank.backup = state.now.one_acts and rank.role == "ps" and rank.incarnation > 1  # another one acts by now


def _output(state: RunState, record: Mapping[str, Any]) -> None:
    rank = maybe_integer(record, "rank")
    host = state.host_of(record).name if rank is None else state.rank_of(record).host
    stream, lines = text(record, "stream"), texts(record, "lines")
    state.now.output.setdefault((host, rank), Output()).add(state.now.last, stream, lines)


def _resources(state: RunState, record: Mapping[str, Any]) -> None:
    target = state.host_of(record) if record.get("rank") is None else state.rank_of(record)
    target.cpu, target.memory = maybe_number(record, "cpu"), maybe_number(record, "memory")


def _dropped(state: RunState, record: Mapping[str, Any]) -> None:
    host, first, last = state.host_of(record), integer(record, "from"), integer(record, "to")
    number = last - first + 1
    state.say("!", f"{host.name}: {number} message{'' if number == 1 else 's'} cut, too many at once", host.name)


def _problem(state: RunState, record: Mapping[str, Any]) -> None:
    sentence, command = text(record, "text"), text(record, "command")
    host = state.host_of(record).name if record.get("host") is not None else None
    state.now.problems.append(sentence)
    state.now.remedy = state.now.remedy or command
    del state.now.problems[:-100]
    if not any(line.text == sentence and line.host == host for line in list(state.now.log)[-5:]):
        state.say("✖", sentence, host)  # the host's state may have told it already
    if state.now.root_cause is None and state.now.state != "stopping":
        state.blame(sentence)


def _warning(state: RunState, record: Mapping[str, Any]) -> None:
    """What did not go well here; `lost` is what the run's folder lacks for it: "records" from now on, its "model"."""
    now, lost = state.now, record.get("lost")
    state.say("!", text(record, "text"))
    if lost == "records" and now.unrecorded is None:
        now.unrecorded = now.step
    now.model_lost = now.model_lost or lost == "model"


def _fetch(state: RunState, record: Mapping[str, Any]) -> None:
    """The model is on its way here."""
    now, rank, done, size = state.now, state.rank_of(record), count(record, "done"), count(record, "bytes")
    if not now.model_bytes:
        state.say("i", f"bringing the model of {rank.title} here, {size / 1e6:.0f} MB", rank.host, rank.rank)
    now.fetched, now.model_bytes = done, size


def _model(state: RunState, record: Mapping[str, Any]) -> None:
    """The model is in the run's folder."""
    rank, step, name = state.rank_of(record), integer(record, "step"), text(record, "name")
    if not name:
        raise BadRecord("name is missing")
    state.now.model = name
    sentence = f"the model of {rank.title} after step {step} is here: {name}, {count(record, 'bytes') / 1e6:.1f} MB"
    state.say("i", sentence, rank.host, rank.rank)


def _outcome(state: RunState, record: Mapping[str, Any]) -> None:
    now = state.now
    word = text(record, "outcome")
    left, seconds = maybe_integer(record, "left"), maybe_number(record, "seconds")
    if word not in ("finished", "stopped", "failed", "detached"):
        raise BadRecord("outcome is finished, stopped, failed or detached")
    now.outcome = {**record, "left": left, "unconfirmed": texts(record, "unconfirmed")}
    now.state, now.ended, now.root_cause = "ended", now.last, text(record, "root_cause") or None
    if seconds is not None and now.started is not None:  # who came to it later may have come long after its end
        now.ended = min(now.last, now.started + max(0.0, seconds))
    for host in now.hosts.values():
        if host.state not in (*GONE, "detached") and host.name not in now.outcome["unconfirmed"]:
            state.set_host_state(host, "ended")
    took = "" if seconds is None else f" after {seconds:.0f} s"
    cause = f": {now.root_cause}" if now.root_cause and word == "failed" else ""
    state.say("✖" if word == "failed" else "i", f"run {word}{took}{cause}")


_HANDLERS: dict[str, Callable[[RunState, Mapping[str, Any]], None]] = {
    "run": _run,
    "act": _act,
    "host": _host_state,
    "facts": _facts,
    "started": _started,
    "phase": telemetry.phase,
    "begin": telemetry.begin,
    "step": telemetry.step,
    "evaluation": telemetry.evaluation,
    "checkpoint": telemetry.checkpoint,
    "notice": telemetry.notice,
    "stalled": telemetry.stalled,
    "lost": telemetry.lost,
    "back": telemetry.back,
    "failure": endings.failure,
    "end": endings.end,
    "output": _output,
    "exit": endings.exited,
    "resources": _resources,
    "dropped": _dropped,
    "bye": endings.bye,
    "problem": _problem,
    "warning": _warning,
    "fetch": _fetch,
    "model": _model,
    "outcome": _outcome,
}
