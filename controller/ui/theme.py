"""The app's own colours; Textual's themes can be chosen in the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App
from textual.theme import Theme

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

GARFIELD = Theme(
    name="garfield",
    primary="#F59B3A",
    secondary="#56B4E9",
    accent="#F0C674",
    success="#4FBF8B",
    warning="#E8C547",
    error="#E5534B",
    foreground="#DCE0E6",
    background="#11151B",
    surface="#171C24",
    panel="#222A35",
    dark=True,
    variables={
        "block-cursor-background": "#2F3B4B",
        "block-cursor-foreground": "#FFFFFF",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#222A35",
        "input-selection-background": "#56B4E9 35%",
    },
)


# Variables of ours, for every theme: solid, because a line-API widget can't blend.
VARIABLES = {"muted": "#8A94A3"}


def register(app: App) -> None:
    """Make it one of the themes, and the one in use."""
    app.register_theme(GARFIELD)
    app.theme = GARFIELD.name


def keep(app: GarfieldApp) -> None:
    """Use the theme that was chosen last, if there still is one of that name, and keep what is chosen from now on."""
    chosen = str(app.kept["theme"])
    if chosen in app.available_themes:
        app.theme = chosen
    app.theme_changed_signal.subscribe(app, lambda theme: app.kept.put("theme", theme.name))
