"""Tours of the screens of a run: Live, Logs, Runs, and what they ask. See `tests.tours`."""

from __future__ import annotations

from controller.ui.screens.live import LiveScreen
from controller.ui.screens.replay import ReplayScreen
from controller.ui.widgets.ranktable import RankTable
from tests.cast import SIXTY_FOUR, Cast, stalling, until_step, without
from tests.recording import launched_from, opened, record_run
from tests.simulated import Fault
from tests.tours import Stops, ask, close, feed, no_torch
from tests.tuitools import Driven


async def live(tui: Driven, cast: Cast) -> Stops:
    """Live: a run from its launch to its end, and the questions on the way."""
    records = cast.records()
    first = next(index for index, record in enumerate(records) if record["kind"] == "step")
    ready = next(index for index, record in enumerate(records) if record.get("state") == "ready")
    await tui.launch()
    await feed(tui, records[: ready - 1])
    yield "checklist"
    await feed(tui, records[ready - 1 : first])
    yield "checklist-first-step"
    rest = iter(records[first:])
    await feed(tui, until_step(rest, 60))
    await tui.run.act(cast.worker, "pause")
    await feed(tui, until_step(rest, 100))
    yield "live-paused"
    await tui.run.act(cast.worker, "resume")
    await feed(tui, until_step(rest, 130))
    await tui.run.act(cast.other, "attack", "sign-flip(scale=100)")
    await feed(tui, until_step(rest, 220))
    yield "live"
    for panel in LiveScreen.PANELS:
        await tui.press("z")
        yield f"live-zoom-{panel}"
        if panel == "trust" and cast is SIXTY_FOUR:
            await tui.press(*["t"] * 4)
            yield "live-trust-of-models"
            await tui.press(*["t"] * 4)
    await tui.press("z", "v", *["left"] * 20)
    yield "live-values"
    await tui.press("v", "a")
    yield "live-revealed"
    for number in range(1, len(LiveScreen.PANELS)):
        await tui.press("c")
        yield f"live-chart-{number}"
    await tui.press("c", "a", "space")
    yield "live-frozen"
    await tui.press("space")
    tui.app.screen.query_one(RankTable).focus()
    if cast is SIXTY_FOUR:
        await tui.press("f")
        yield "live-flat"
    await tui.press("home", *["down"] * cast.worker)
    yield "live-cursor"
    await ask(tui, "enter")
    yield "rank-acts"
    await tui.press(*["down"] * 2)
    await ask(tui, "enter")
    yield "rank-kill"
    await close(tui)
    await ask(tui, "enter")
    await tui.press("down")
    await ask(tui, "enter")
    yield "rank-attack"
    await close(tui)
    for key, name in (("S", "stop"), ("D", "detach"), ("q", "quit-running")):
        await ask(tui, key)
        yield name
        await close(tui)
    await tui.press("1")
    yield "cluster-running"
    await tui.press("3")
    await ask(tui, "S")
    await tui.press("S")
    await tui.until(lambda: tui.app.session.stopping)
    await tui.until(lambda: tui.screen_name == "LiveScreen")
    yield "live-stopping"
    await ask(tui, "S")
    yield "kill-all"
    await close(tui)
    await ask(tui, "q")
    yield "stopping"
    end = {"kind": "outcome", "outcome": "stopped", "left": 0, "unconfirmed": [], "seconds": 38.5}
    tui.run.feed([end | {"received": tui.run.state.now.last}])


async def left_alone(tui: Driven, cast: Cast) -> Stops:
    """Live after a run was left to itself."""
    await tui.launch()
    await feed(tui, cast.records(until=80))
    end = {"kind": "outcome", "outcome": "detached", "left": None, "unconfirmed": [], "seconds": 16.5}
    tui.run.feed([end | {"received": tui.run.state.now.last}])
    await tui.until(lambda: not tui.app.session.running)
    yield "live-detached"
    await tui.press("1")
    yield "cluster-detached"


async def finished(tui: Driven, cast: Cast) -> Stops:
    """Live after the end of a run."""
    await tui.launch()
    await feed(tui, cast.records(outcome=True))
    yield "finished"


async def failed(tui: Driven, cast: Cast) -> Stops:
    """Live and Logs after a worker was killed that the run could not do without."""
    await tui.launch()
    await feed(tui, cast.records(outcome=True, faults=[Fault(cast.worker, 50, "crash")]))
    yield "failed"
    await tui.press("4")
    yield "logs-failed"


async def launch_failed(tui: Driven, cast: Cast) -> Stops:
    """A launch that a host refuses."""
    await tui.launch()
    records = cast.records(outcome=True)
    checking = next(index for index, record in enumerate(records) if record.get("state") == "shipping")
    await feed(tui, records[:checking])
    found = no_torch()
    sentence = f"{found.text} {found.command}"
    host = {"kind": "host", "host": "lab2", "state": "failed", "detail": sentence}
    problem = {"kind": "problem", "host": "lab2", "text": sentence, "command": found.command}
    end = {"kind": "outcome", "outcome": "failed", "root_cause": sentence, "left": 0, "seconds": 3.1}
    at = {"received": records[checking - 1]["received"] + 0.5}
    tui.run.feed([host | at, problem | at, end | at])
    await tui.until(lambda: tui.screen_name == "Question" and "Copy the command" in tui.picture())
    yield "launch-failed"
    await close(tui)
    yield "live-launch-failed"


async def losing(tui: Driven, cast: Cast) -> Stops:
    """Live while a worker was lost and another one is silent, and the run goes on."""
    await tui.launch()
    values = {"aggregator": "median", "quorum": "n-f", "fw": 2, "byz_workers": 1}
    records = stalling(without(cast.records(values=values), cast.worker, 90), cast.other, 150, 170)
    await feed(tui, records)
    yield "live-lost"


async def logs(tui: Driven, cast: Cast) -> Stops:
    """Logs: followed, searched, and of a host."""
    await tui.press("4")
    yield "logs-no-run"
    await tui.launch()
    records = cast.records(until=40)
    await feed(tui, records)
    last = records[-1]
    for step in range(1, 41):
        text = f"step {step:>4} loss {2.3 / (1 + step / 20):.4f} 142 ms"
        at = {"kind": "output", "rank": 2, "received": last["received"] - (40 - step) * 0.15}
        lines = [f"UserWarning: step {step}: the learning rate is large for this batch"]
        tui.run.feed([at | {"stream": "stdout", "lines": [text]}])
        if step % 9 == 0:
            tui.run.feed([at | {"stream": "stderr", "lines": lines}])
    await tui.press("4", "right", "right")
    await feed(tui, [])
    yield "logs"
    await tui.press("slash")
    await tui.write("warning")
    yield "logs-search"
    await tui.press("enter", "N", "N")
    yield "logs-found"


async def runs(tui: Driven, cast: Cast) -> Stops:
    """Runs: the list, one played, two compared."""
    await tui.press("5")
    yield "runs-empty"
    small = cast.options | {"steps": 120}
    for seed in (1, 2):
        launched_from(record_run(f"20260920-1{seed}0000-krum", f"krum-{seed}", seed=seed, **small), cast.hosts)
    undefended = {"aggregator": "average"}
    record_run("20260920-130000-mean", "undefended", note="as it was before", seed=3, values=undefended, **small)
    record_run("20260920-140000-died", "night", seed=4, faults=[Fault(3, 40, "crash")], **small)
    record_run("20260920-150000-cut", "", seed=5, until=30, end=False, **small)
    await opened(tui, 5)
    yield "runs"
    await tui.press("slash")
    await tui.write("krum")
    yield "runs-filter"
    await tui.write(" nowhere")
    yield "runs-none-found"
    await tui.press("escape", "escape", "end")
    await ask(tui, "x")
    yield "export"
    await close(tui)
    await ask(tui, "delete")
    yield "delete"
    await close(tui)
    await tui.press("home", "down", "down", "space", "space", "space")
    yield "runs-marked"
    await ask(tui, "c")
    await tui.until(lambda: tui.screen_name == "CompareScreen")
    yield "compare"
    await tui.press("c")
    yield "compare-c"
    await close(tui)
    await ask(tui, "enter")
    await tui.until(lambda: isinstance(tui.app.screen, ReplayScreen) and tui.app.screen.ready)
    await tui.pilot.pause()
    yield "replay-end"
    screen = tui.app.screen
    assert isinstance(screen, ReplayScreen)
    for _ in range(20):
        await tui.press("left")
        await tui.until(lambda: screen._target is None)
    yield "replay"
    await close(tui)
    await tui.press("1", "greater_than_sign", "ctrl+s")
    await tui.until(lambda: not tui.app.unsaved)
    await tui.press("5")
    await ask(tui, "r")
    yield "again"


async def helps(tui: Driven, cast: Cast) -> Stops:
    """The keys of every screen, and the command palette."""
    await tui.launch()
    await feed(tui, cast.records(until=30))
    for digit in "12345":
        await tui.press(digit)
        await ask(tui, "question_mark")
        yield f"keys-{digit}"
        await close(tui)
    await tui.press("3")
    await ask(tui, "ctrl+p")
    yield "palette"
    await tui.write("paus")
    yield "palette-typed"
