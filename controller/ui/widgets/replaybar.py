"""The line that says that one looks at a recording, at which moment of it, and how fast it plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from controller import moments
from controller.ui import formats

if TYPE_CHECKING:
    from controller.runs.replay import ReplayRun

ROOMY = 100
LONGEST_NAME = 24
SHORTEST_BAR = 8


class ReplayBar(Widget):
    """The recording, its moment, its speed, and a bar; a click on the bar goes to that place."""

    class Sought(Message):
        """A click on the bar: `part` of the recording, 0 to 1."""

        def __init__(self, bar: ReplayBar, part: float) -> None:
            super().__init__()
            self.bar, self.part = bar, part

        @property
        def control(self) -> ReplayBar:
            """The bar."""
            return self.bar

    def __init__(self, replay: ReplayRun, word: str = "RECORDING", **options) -> None:
        """`word` says what it is."""
        super().__init__(**options)
        self._replay, self._word = replay, word
        self._playing, self._speed, self._moment = False, 1.0, replay.time
        self._bar = (0, 0)  # where the bar begins, and its width

    def show(self, *, playing: bool, speed: float, moment: float) -> None:
        """Say whether it plays, how fast, and at which moment (Unix seconds) it stands or is on its way to."""
        if (playing, speed, moment) != (self._playing, self._speed, self._moment):
            self._playing, self._speed, self._moment = playing, speed, moment
            self.refresh()

    def render(self) -> Content:
        """The line; the bar takes what the words leave."""
        replay, width = self._replay, self.size.width
        length, gone = replay.end - replay.start, self._moment - replay.start
        name = replay.info.name or replay.run_id
        when = moments.told(self._moment, "%Y-%m-%d %H:%M:%S" if width >= ROOMY else "%H:%M:%S")
        of = f" of {name[:LONGEST_NAME]}" if width >= ROOMY else ""
        left = Content.assemble(
            (" ▶ " if self._playing else " ‖ ", "bold"),
            (self._word, "bold $text-warning"),
            f"{of}  {when}  ×{self._speed:g}  ",
        )
        right = f"  {formats.duration(max(0.0, gone))} of {formats.duration(length)} "
        room = width - left.cell_length - len(right)
        if room < SHORTEST_BAR:
            self._bar = (0, 0)
            return left + Content.styled(right.strip(), "$muted")
        self._bar = (left.cell_length, room)
        place = round(max(0.0, min(1.0, gone / length if length > 0 else 1.0)) * (room - 1))
        return Content.assemble(
            left, ("━" * place, "$primary"), ("●", "bold $primary"), ("─" * (room - 1 - place), "$muted"), right
        )

    def on_click(self, event: events.Click) -> None:
        """Tell where on the bar it was."""
        start, width = self._bar
        if width > 1 and start <= event.x < start + width:
            self.post_message(self.Sought(self, (event.x - start) / (width - 1)))
