"""What the main screens share: the top line, the key line, the smallest size, and being told of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.widgets import Static

from controller.ui.screens.sized import SizedScreen, needed
from controller.ui.widgets.keybar import KeyBar
from controller.ui.widgets.topbar import SCREENS, TopBar

if TYPE_CHECKING:
    from controller.liverun import LiveRun
    from controller.runs.replay import ReplayRun
    from controller.state import Now
    from controller.ui.app import GarfieldApp


class MainScreen(SizedScreen[None]):
    """One of the screens behind a digit. Subclasses compose a `body` and follow the draft and the run."""

    MODE = ""
    UNSEEN_KEYS: ClassVar = SizedScreen.UNSEEN_KEYS | {key: f"show_screen('{mode}')" for mode, key, _ in SCREENS}
    app: GarfieldApp
    _version = -1  # of the draft that is shown
    SIGNS: ClassVar[Mapping[str, Sequence[tuple[str, str]]]] = {}  # what ? explains beside the keys, by what it is of
    ready = False  # composed and shown once: it may be told of changes
    _key_facts: tuple[object, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._css_update_count = self.app.styled

    @property
    def watched(self) -> LiveRun | ReplayRun | None:
        """The run that the screen shows; None before the first."""
        return self.app.session.run

    @property
    def now(self) -> Now | None:
        """The facts of the run that the screen shows."""
        return self.watched.state.now if self.watched is not None else None

    def compose(self) -> ComposeResult:
        """The top line, the screen's own body, the keys.

        They are styled once, for the size there is; Textual would style them for none, then for it, then again as if
        the theme had changed since.
        """
        self._css_update_count = self.app.styled
        self._sign_size(self.app.size)
        yield TopBar(self.MODE)
        yield from self.body()
        yield KeyBar(self.key_told)
        yield Static(id="too-small", markup=False)

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        yield from ()

    def key_told(self, action: str, told: str) -> str:
        """What the key line says that an act does here and now, where it isn't `told`; empty: it isn't offered."""
        return told

    def keys_follow(self, *facts: object) -> None:
        """Write the key line anew where `facts`, by which `key_told` differs, are others than before."""
        if facts != self._key_facts:
            self._key_facts = facts
            self.query_one(KeyBar).refresh()

    def draft_changed(self) -> None:
        """Hosts, parameters or the preset changed, here or on another screen."""

    def tick(self, charts: bool) -> None:
        """The run has new facts; `charts` tells that it is a charts' turn too."""

    def follow_draft(self) -> None:
        """Show the draft as it is now, unless that is what is shown."""
        if self._version != self.app.session.version:
            self._version = self.app.session.version
            self.draft_changed()
        self.refresh_top()

    def refresh_top(self) -> None:
        """The file, its unsaved mark and the run in the top line."""
        self.query_one(TopBar).show(
            file=self.app.file_title, unsaved=self.app.unsaved, run=self.app.run_text(self.size.width)
        )

    def on_mount(self) -> None:
        """Show what is known when the screen is first opened."""
        self.ready = True
        self.follow_draft()
        self.tick(True)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Things may have changed while another screen was shown; its styles not, but with the theme, which Textual
        sees to itself: computing them anew takes half as long as all else of showing a screen again."""
        event.refresh_styles = not self.ready
        if self.ready:
            self.follow_draft()
            self.tick(True)
        if self.is_current:
            self.app.call_later(self.app.curtain.lift)  # behind what the widgets have to say of what is new in them

    def _screen_resized(self, size: Size) -> None:
        """Textual lays out all of a screen whenever it is shown, and twice when it is first shown."""
        if size != self._compositor.size:
            super()._screen_resized(size)

    def _sign_size(self, size: Size) -> None:
        """Have the classes of a terminal of `size`."""
        widths = self._get_breakpoint_classes(size.width, self.HORIZONTAL_BREAKPOINTS)
        heights = self._get_breakpoint_classes(size.height, self.VERTICAL_BREAKPOINTS)
        self.add_class(*widths, *heights)

    def on_resize(self) -> None:
        """Say which size is needed when there is too little room."""
        self.query_one("#too-small", Static).update(needed(self.size))
