"""Every screen and dialog fits the terminal; a few look as they did when somebody last looked at them.

Those few are kept as SVGs beside this file, drawn by the Textual that pyproject.toml pins, on a simulated run with its
own clock, in a terminal of 80 by 24: small enough to keep, and a failed comparison leaves both pictures side by side in
snapshot_report.html. After a change that is meant:

    .venv/bin/python -m pytest tests/test_tui_pictures.py --snapshot-update

and look at each file that changed under tests/__snapshots__, in a browser, before it is committed.
"""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests import runtours, tours
from tests.cast import SIX, SIXTY_FOUR
from tests.screens import TOURS, Clock, in_utc
from tests.tours import file_of, still
from tests.tuitools import Driven, driven, staged

SMALLEST = (80, 24)
KEPT = [
    (tours.hosts, "cluster-checked"),
    (tours.hosts, "findings"),
    (tours.experiment, "experiment-refused"),
    (tours.experiment, "launch"),
    (runtours.live, "live"),
    (runtours.logs, "logs-found"),
]


@pytest.fixture(autouse=True)
def _as_anywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    with in_utc():
        yield


@pytest.mark.parametrize(("tour", "stop"), KEPT, ids=[stop for _, stop in KEPT])
def test_it_looks_as_it_did(tmp_path, snap_compare, tour, stop):
    clock = Clock()
    app, runs = staged(tmp_path, file_of(tour, SIX), clock=clock)
    clock.app, app.animation_level = app, "none"

    async def walk(pilot: Pilot) -> None:
        tui = Driven(app, pilot, app.session.path, runs)
        async for name in tour(tui, SIX):
            if name == stop:
                await still(tui)
                return
        raise AssertionError(f"{stop} is not on the way")

    assert snap_compare(app, terminal_size=SMALLEST, run_before=walk)


@pytest.mark.parametrize("tour", TOURS, ids=[tour.__name__ for tour in TOURS])
async def test_all_of_it_fits_the_smallest_terminal(tmp_path, tour):
    cast = SIXTY_FOUR if tour in (runtours.live, runtours.losing) else SIX
    stops = 0
    async with driven(tmp_path, file_of(tour, cast), size=SMALLEST, clock=Clock()) as tui:
        async for name in tour(tui, cast):
            stops += 1
            assert tui.app.screen.max_scroll_y == 0, f"{name} is higher than the terminal\n{tui.picture()}"
            assert tui.app.screen.max_scroll_x == 0, f"{name} is wider than the terminal\n{tui.picture()}"
            assert all(character.isprintable() for character in tui.picture().replace("\n", "")), name
            for dialog in tui.app.screen.query(".dialog"):
                within = dialog.content_region
                for widget in dialog.query("Button"):
                    assert within.contains_region(widget.region), f"{name}: {widget} is cut off\n{tui.picture()}"
    assert stops
