"""The first line of every screen: the screens, the file, the run."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widget import Widget

SCREENS = (
    ("cluster", "1", "Cluster"),
    ("experiment", "2", "Experiment"),
    ("live", "3", "Live"),
    ("logs", "4", "Logs"),
    ("runs", "5", "Runs"),
)
ROOMY = 100  # columns from which the app's own name fits too
LEAST_FILE = 14  # cells below which the name of the file is cut no further but left out


class TopBar(Widget):
    """Garfield, the screens with the one shown, the hosts file and whether it is saved, and the run."""

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current
        self._file = self._run = ""
        self._unsaved = False
        self._start = 0  # where the first tab begins
        self._ends: list[tuple[int, str]] = []  # where each tab ends, for clicks

    def show(self, *, file: str, unsaved: bool, run: str) -> None:
        """Set what the line says; it is only painted anew when that changed."""
        if (file, unsaved, run) != (self._file, self._unsaved, self._run):
            self._file, self._unsaved, self._run = file, unsaved, run
            self.refresh()

    def render(self) -> Content:
        """The line, the run at its right end; where it doesn't fit, the other screens are their digits alone."""
        width = self.size.width
        run = Content(f"  {self._run} ")
        unsaved = Content.styled(" • unsaved", "$text-warning") if self._unsaved else Content("")
        file = Content(f"  {self._file}")
        left = self._tabs(titled=True)
        if left.cell_length + file.cell_length + unsaved.cell_length + run.cell_length > width:
            left = self._tabs(titled=False)
        room = width - left.cell_length - run.cell_length - unsaved.cell_length
        if file.cell_length > room:  # a few letters of a name tell nothing
            file = file.truncate(room, ellipsis=True) if room >= LEAST_FILE else Content("")
        file += unsaved
        gap = max(0, width - left.cell_length - file.cell_length - run.cell_length)
        return left + file + " " * gap + run

    def _tabs(self, *, titled: bool) -> Content:
        """The screens, those that are not shown with their titles or without; clicks find them where they are now."""
        left = Content.assemble((" Garfield ", "bold $primary")) if self.size.width >= ROOMY else Content("")
        self._start, self._ends = left.cell_length, []
        for mode, digit, title in SCREENS:
            here = mode == self._current
            text = f"[{digit} {title}]" if here else f" {digit} {title} " if titled else f" {digit} "
            left += Content.styled(text, "bold $primary" if here else "$muted")
            self._ends.append((left.cell_length, mode))
        return left

    def on_click(self, event: events.Click) -> None:
        """A click on a screen's name goes there."""
        start = self._start
        for end, mode in self._ends:
            if start <= event.x < end:
                self.app.run_worker(self.app.run_action(f"show_screen('{mode}')"))
                return
            start = end
