"""What a person calls a run, and the sentence that they keep with it: what these can be, and changing them later."""

from __future__ import annotations

from pathlib import Path

from controller.runs.library import description
from controller.runs.recorder import write_json
from controller.wire import one_line

LONGEST_NAME = 60  # characters
LONGEST_NOTE = 300


class LabelError(ValueError):
    """A name or note that can't be, or that can't be written; one sentence."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))  # a folder may be called anything


def why_not(name: str, note: str = "") -> str | None:
    """The sentence that says why a run can't be called `name`, or have that `note`; None where it can."""
    if name.startswith("-"):
        return "A name can't begin with -: commands would take it for an option."
    if name.endswith(".toml"):
        return "A name can't end in .toml: commands would take it for a hosts file."
    for what, text, longest in (("name", name, LONGEST_NAME), ("note", note, LONGEST_NOTE)):
        if len(text) > longest:
            return f"The {what} has {len(text)} characters; it can have {longest}."
        odd = next((character for character in text if not character.isprintable()), None)
        if odd is not None:
            return f"The {what} has U+{ord(odd):04X} in it, which can't be shown; letters, digits and signs can be."
    return None


def relabel(folder: Path, name: str, note: str) -> None:
    """Call the run in `folder` `name` from now on, with that `note`. Raises LabelError."""
    if why := why_not(name, note):
        raise LabelError(why)
    path, told = folder / "run.json", description(folder)
    if not told:
        raise LabelError(f"{path} can't be read, so no name can be kept there.")
    try:
        write_json(path, told | {"name": name, "note": note})
    except OSError as error:
        raise LabelError(f"{path} can't be written ({error.strerror or error}).") from None


def label(folder: Path) -> dict[str, str]:
    """The name and note that the run in `folder` has, as a part of its description; empty where there is none."""
    told = description(folder)
    return {key: told[key] for key in ("name", "note") if isinstance(told.get(key), str)}
