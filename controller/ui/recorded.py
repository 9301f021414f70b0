"""What can be done with recorded runs: watch, name, export and delete them, fill the form to launch one again.

Each is a short conversation, as those in `controller.ui.asking`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.hostsfile import HostsFile, HostsFileError
from controller.plainfile import replaceable
from controller.runs import RunInfo, hosts_file, read_run, removal
from controller.runs.export import Gone, rows, whole_file, write_csv, write_json
from controller.runs.label import LabelError, relabel
from controller.ui import attending, formats
from controller.ui.asking import CANCEL
from controller.ui.screens.dialogs import Answer, Choice, Line, Message, Question
from controller.ui.screens.reading import Reading, reading
from controller.ui.screens.renaming import Renaming
from controller.ui.talks import ask
from controller.ui.widgets.runtable import started, title_of

if TYPE_CHECKING:
    from controller.hosts import Host
    from controller.ui.app import GarfieldApp

NAMED = 6  # runs, or hosts, that a question names
FORMS = (
    ("csv", "CSV", "one value a row: run, time, step, rank, role, metric, value"),
    ("json", "JSON", "one document: the same values, with the parameters and the outcome of each run"),
)
AWAY = {"detached": "was left to itself", "cut off": "has no recorded end"}  # outcomes after which a run may go on


def _names(runs: Sequence[RunInfo]) -> str:
    more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
    return ", ".join(title_of(run) for run in runs[:NAMED]) + more


async def replay(app: GarfieldApp, run: RunInfo, *, example: bool = False) -> None:
    """Read `run`, and open it as a recording over the list of runs, or say why it can't be."""
    from controller.runs.replay import ReplayRun
    from controller.ui.screens.replay import ReplayScreen

    try:
        found = ReplayRun(run.folder)
    except OSError as error:  # no room for the saved states
        app.say(f"{title_of(run)} can't be opened: {error.strerror or error}.", "error")
        return
    await app.switch_mode("runs")  # so that each digit leads to its screen, and this one back to the recording
    pieces = ((share, "Its records are read once; then any moment of it is near.") for share in found.index())
    if not await ask(app, Reading(f"Reading {title_of(run)}", pieces)):
        found.close()
        return
    for sentence in found.damage:
        app.say(f"Not all of it could be read: {sentence}", "warning")
    if run.outcome == "running":
        app.say("It goes on: this is what was recorded until now.", "warning")
    if not found.state.now.ranks:
        found.close()
        app.say(f"{title_of(run)} recorded nothing that could be shown.", "warning")
    else:
        app.push_screen(ReplayScreen(found, example=example))


async def compare(app: GarfieldApp, runs: Sequence[RunInfo]) -> None:
    """Read `runs`, and show them side by side."""
    from controller.ui.screens.compare import CompareScreen

    found, pieces = reading(runs)
    if await ask(app, Reading(f"Reading {formats.plural(len(runs), 'run')}", pieces)):
        app.push_screen(CompareScreen(found))


async def watch_example(app: GarfieldApp) -> None:
    """Play the run that comes with the program."""
    from controller.runs.replay import EXAMPLE

    await replay(app, await asyncio.to_thread(read_run, EXAMPLE), example=True)


async def export(app: GarfieldApp, runs: Sequence[RunInfo]) -> None:
    """Ask for a form and a file, and write there what `runs` measured."""
    form = await ask(
        app, Choice("Export", FORMS, text=f"What {_names(runs)} measured, as", keys="⏎ chooses   esc exports nothing")
    )
    if form is None:
        return
    text = {form: f"{name}: {what}." for form, name, what in FORMS}[form]
    first = f"{runs[0].id if len(runs) == 1 else 'runs'}.{form}"
    typed, problem = str(_path(first)), ""
    while (answer := await ask(app, Line("Export to", f"{text}{problem}", typed))) and answer.strip():
        typed, path = answer, _path(answer)
        damage: list[str] = []
        try:
            if await asyncio.to_thread(_is_there, path) and not await _overwrites(app, path):
                return
            count = await asyncio.to_thread(_write, runs, path, form, damage)
        except Gone as error:
            await ask(app, Message("Not exported", str(error)))
            return
        except IsADirectoryError:
            problem = "\n✖ That is a folder: name a file in it."
        except OSError as error:
            problem = f"\n✖ It can't be written ({error.strerror or error})."
        else:
            app.say(f"Wrote {formats.plural(count, 'value')} to {path}.")
            for sentence in damage:
                app.say(f"Not all of it could be read: {sentence}", "warning")
            return


async def _overwrites(app: GarfieldApp, path: Path) -> bool:
    """Whether a person wants what is at `path` replaced."""
    answers = [CANCEL, Answer("over", "Overwrite", "error")]
    return await ask(app, Question("Overwrite it?", f"{path} is there already.", answers)) == "over"


def _path(text: str) -> Path:
    """The path that a person typed; ~ is their home."""
    return Path(os.path.expanduser(text.strip())).absolute()


def _is_there(path: Path) -> bool:
    """Whether a file is. Raises OSError where none can be put."""
    return replaceable(path).exists()


def _write(runs: Sequence[RunInfo], path: Path, form: str, damage: list[str]) -> int:
    with whole_file(path) as target:
        if form == "json":
            return write_json(runs, target, damage=damage)
        return write_csv((row for run in runs for row in rows(run, damage=damage)), target)


async def rename(app: GarfieldApp, run: RunInfo) -> bool:
    """Ask for another name and note of `run`, and keep them; whether that is done."""
    typed = await ask(app, Renaming(title_of(run), run.note))
    if typed is None:
        return False
    name, note = typed
    try:
        await asyncio.to_thread(relabel, run.folder, "" if name == run.id else name, note)
    except LabelError as error:
        await ask(app, Message("Not changed", str(error)))
        return False
    return True


async def delete(app: GarfieldApp, runs: Sequence[RunInfo]) -> list[RunInfo]:
    """Ask, naming them and their bytes, and delete `runs`; those that are gone."""
    running = [run for run in runs if run.outcome == "running"]
    if running:
        app.say(f"{_names(running)} goes on: what is being recorded can't be deleted.", "warning")
        return []
    beneath = app.session.pinned.run.id if app.session.pinned is not None else None
    note = ", pinned beneath the charts of Live"
    sizes = await asyncio.to_thread(lambda: [removal.size(run.folder) for run in runs])
    listed = [
        f"{title_of(run)}, launched {started(run, '%Y-%m-%d %H:%M')}: {formats.size(size)}{note * (run.id == beneath)}"
        for run, size in zip(runs[:NAMED], sizes, strict=False)
    ]
    more = [f"and {len(runs) - NAMED} more"] if len(runs) > NAMED else []
    away = [run for run in runs if run.outcome in AWAY]
    total = [f"{formats.size(sum(sizes))} together"] if len(runs) > 1 else []
    text = "\n".join([*listed, *more, *total, "", "Records, outcome and model are gone for good.", *map(_away, away)])
    which = title_of(runs[0]) if len(runs) == 1 else formats.plural(len(runs), "run")
    follows = len(runs) == len(away) == 1 and not app.session.running
    answers = [CANCEL, *([Answer("attach", "Attach to it", "primary")] if follows else [])]
    answers.append(Answer("delete", "Delete", "error"))
    answer = await ask(app, Question(f"Delete {which}?", text, answers))
    if answer == "attach":
        await _attach(app, runs[0])
    if answer != "delete":
        return []
    gone, kept = await asyncio.to_thread(_delete, runs)
    if kept:
        await ask(app, Message("Not deleted", "\n".join(kept)))
    return gone


def _away(run: RunInfo) -> str:
    """What is not ended by deleting the record of a run that was left to itself."""
    hosts = f" on {', '.join(run.hosts[:NAMED])}{' …' if len(run.hosts) > NAMED else ''}" if run.hosts else ""
    return f"! {title_of(run)} {AWAY[run.outcome]}: it may still be running{hosts}, and is not ended by this."


async def _attach(app: GarfieldApp, run: RunInfo) -> None:
    """Follow `run` again, if it goes on, where it was launched."""
    hosts = await asyncio.to_thread(_hosts, run)
    await attending.attach(app, hosts, run.id)


def _delete(runs: Sequence[RunInfo]) -> tuple[list[RunInfo], list[str]]:
    gone, kept = [], []
    for run in runs:
        try:
            removal.delete(run)
            gone.append(run)
        except removal.NotDeleted as error:
            kept.append(str(error))
    return gone, kept


async def again(app: GarfieldApp, run: RunInfo) -> None:
    """Fill the form with the parameters of `run`; ask first where unsaved edits would be mixed with them.

    Where the hosts carry other ranks than then, ask whether they are to carry those again.
    """
    draft, name = app.session.draft, title_of(run)
    if draft is None or not run.values:
        app.say(f"Nothing is recorded of the parameters of {name}.", "warning")
        return
    if draft.dirty:
        text = f"{app.session.path} has edits that are not saved; all parameters would become those of {name}."
        answers = [CANCEL, Answer("fill", "Fill them in", "warning")]
        if await ask(app, Question("Unsaved edits", text, answers)) != "fill":
            return
    had = {key: run.values[key] for key in ("num_ps", "num_workers") if key in run.values}
    now = {key: draft.value(key) for key in had}
    told: list[str] = []
    hosts: list[Host] = []
    if had != now:
        hosts = await asyncio.to_thread(_hosts, run)
        there = {host.name for host in draft.file.hosts}
        if hosts and there.issuperset(host.name for host in hosts):
            answers = [CANCEL, Answer("leave", "Leave them"), Answer("place", "Set them", "primary")]
            text = _placed(name, had, now, hosts, draft.file)
            answer = await ask(app, Question("Other ranks than now", text, answers))
            if answer not in ("leave", "place"):
                return
            hosts = hosts if answer == "place" else []
        else:
            hosts = []
            told = [f"It had {_ranks(had)}; 1 Cluster says how many the hosts carry now."]
    told = draft.fill(run.values, hosts) + told
    app.draft_changed()
    app.switch_mode("experiment")
    if told:
        await ask(app, Message(f"Not all is as in {name}", "\n".join(told)))
    else:
        app.say(f"All parameters are those of {name} now. L launches it again.")


def _hosts(run: RunInfo) -> list[Host]:
    """The hosts that `run` was launched on, as its record has them."""
    with contextlib.suppress(HostsFileError):
        file = hosts_file(run)
        return [host for host in file.hosts if host.enabled] if file is not None else []
    return []


def _placed(name: str, had: Mapping[str, Any], now: Mapping[str, Any], then: Sequence[Host], file: HostsFile) -> str:
    """What is asked where the hosts of `file` carry other ranks than `then`, in the run of this `name`."""
    carried = {host.name: host for host in then}
    both = [(host.name, _carries(carried.get(host.name)), _carries(host)) for host in file.hosts]
    changes = [f"{host}: {before}, now {after}" for host, before, after in both if before != after]
    more = [f"and {len(changes) - NAMED} more"] if len(changes) > NAMED else []
    listed = "\n".join(changes[:NAMED] + more)
    return (
        f"{name} had {_ranks(had)}, the hosts carry {_ranks(now)} now. They can be set to what they carried then:\n\n"
        f"{listed}"
    )


def _carries(host: Host | None) -> str:
    if host is None or not host.enabled or not host.servers + host.workers:
        return "nothing"
    return _ranks({"num_ps": host.servers, "num_workers": host.workers})


def _ranks(counts: Mapping[str, Any]) -> str:
    servers, workers = (counts.get(key) for key in ("num_ps", "num_workers"))
    told = [f"{formats.count(servers)} PS"] if isinstance(servers, int) and servers else []
    told += [formats.plural(workers, "worker")] if isinstance(workers, int) and workers else []
    return " and ".join(told) or "no ranks"
