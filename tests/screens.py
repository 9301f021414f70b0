"""Pictures of every screen and dialog: python -m tests.screens OUT [--only WORD]

Each is saved as an SVG and as the characters on the screen, at both sizes that the screens are drawn for, with six
ranks and with 64. The runs are simulated and the clock is theirs: the same code and OUT give the same pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.ui.app import GarfieldApp
from tests import runtours, tours
from tests.cast import SIX, SIXTY_FOUR, Cast
from tests.simulated import START
from tests.svg import portable
from tests.tours import Tour, file_of, still
from tests.tuitools import driven

SIZES = ((80, 24), (120, 40))
CASTS = (SIX, SIXTY_FOUR)
HOME = ".home"  # below OUT: where the app of a tour keeps its files; some pictures show its path
TOURS: tuple[Tour, ...] = (
    tours.hosts,
    tours.experiment,
    tours.first_start,
    tours.broken_file,
    tours.changed_file,
    tours.too_small,
    runtours.live,
    runtours.left_alone,
    runtours.finished,
    runtours.failed,
    runtours.launch_failed,
    runtours.losing,
    runtours.logs,
    runtours.runs,
    runtours.helps,
)


@contextmanager
def in_utc() -> Iterator[None]:
    """Hours are those of Greenwich, wherever one is."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


class Clock:
    """The time of the newest record of the app's run; the START of all simulated runs before there is one."""

    app: GarfieldApp | None = None

    def __call__(self) -> float:
        """Unix seconds."""
        now = self.app.session.now if self.app is not None else None
        return START if now is None else max(START, now.last) + 0.4


async def walk(tour: Tour, cast: Cast, size: tuple[int, int], out: Path) -> None:
    """Walk `tour` and save a picture at each stop."""
    clock = Clock()
    home = out / HOME
    home.mkdir()
    try:
        async with driven(home, file_of(tour, cast), size=size, clock=clock) as tui:
            clock.app, tui.app.animation_level = tui.app, "none"
            async for name in tour(tui, cast):
                await still(tui)
                path = out / f"{name}-{cast.name}-{size[0]}x{size[1]}"
                path.with_suffix(".svg").write_text(portable(tui.app), encoding="utf-8")
                path.with_suffix(".txt").write_text(tui.picture() + "\n", encoding="utf-8")
    finally:
        shutil.rmtree(home)


def main(arguments: list[str] | None = None) -> None:
    """Save all pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.screens", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder to save them in")
    parser.add_argument("--only", default="", metavar="WORD", help="only tours whose name has WORD")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(chosen.out / HOME, ignore_errors=True)  # of a tour that was cut off
    with in_utc():
        for tour in (tour for tour in TOURS if chosen.only in tour.__name__):
            for cast in CASTS:
                for size in SIZES:
                    asyncio.run(walk(tour, cast, size, chosen.out))


if __name__ == "__main__":
    main()
