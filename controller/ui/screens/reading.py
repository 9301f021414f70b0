"""Shown while recorded runs are read: how far that is, and a way to give it up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from controller.runs import RunInfo
from controller.runs.compare import Curves, read_curves
from controller.ui import formats
from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.runtable import title_of

WIDTH = 44  # cells of the bar


class Reading(Dialog[bool]):
    """Runs a reading in pieces, between which the screens go on. True when it was read to its end; Esc gives it up.

    A reading that fails gives False, and its sentence as a word in passing.
    """

    BINDINGS: ClassVar = [Binding("escape", "cancel", "Cancel", tooltip="Give the reading up")]

    def __init__(self, title: str, pieces: Iterable[tuple[float, str]]) -> None:
        """`pieces` yields how much is read, 0 to 1, and what of it in words; all text is shown as it is."""
        super().__init__()
        self._title, self._pieces = title, pieces

    def compose(self) -> ComposeResult:
        """A bar, and what is read."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._title} ")
            frame.border_subtitle = Content(" esc gives it up ")
            yield Static(id="read-bar", markup=False)
            yield Static(id="read-words", markup=False)

    def on_mount(self) -> None:
        """Begin."""
        self.run_worker(self._read(), group="reading", exclusive=True)

    async def _read(self) -> None:
        told = -1
        try:
            for share, words in self._pieces:
                if int(share * 100) != told:
                    told = int(share * 100)
                    done, rest = formats.bar(share, WIDTH)
                    self.query_one("#read-bar", Static).update(
                        Content.assemble((done, "$primary"), (rest, "$muted"), f" {told:>3} %")
                    )
                    self.query_one("#read-words", Static).update(Content(words))
                await asyncio.sleep(0)
        except OSError as error:
            self.app.notify(f"It can't be read: {error.strerror or error}.", severity="error", markup=False)
            self.dismiss(False)
            return
        self.dismiss(True)

    def action_cancel(self) -> None:
        """Give it up: nothing more is read."""
        self.workers.cancel_group(self, "reading")
        self.dismiss(False)


def reading(runs: Sequence[RunInfo]) -> tuple[list[Curves], Iterator[tuple[float, str]]]:
    """The curves of `runs`, and the pieces of a Reading; the curves are there once all of these were gone through."""
    found = [Curves(run) for run in runs]
    return found, _read(found)


def _read(found: Sequence[Curves]) -> Iterator[tuple[float, str]]:
    for index, curves in enumerate(found):
        which = f"{title_of(curves.run)}, {index + 1} of {len(found)}"
        yield index / len(found), which
        for records in read_curves(curves):
            yield index / len(found), f"{which}: {formats.plural(records, 'record')}"
    yield 1.0, ""
