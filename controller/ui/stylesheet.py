"""The app's styles, parsed no more often than they change."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class Sheet(Stylesheet):
    """Textual parses all styles anew, twice, whenever a screen is shown for the first time: some 100 ms in which no key
    is answered. That is needed where a variable has changed, as with another theme, and only there."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._told, self._changed = variables, True

    def set_variables(self, variables: dict[str, str]) -> None:
        """Use these from the next parse on."""
        if variables != self._told:
            self._told, self._changed = variables, True
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse all if a variable has changed; what is new among the styles is parsed when it is needed."""
        if self._changed:
            self._changed = False
            super().reparse()
