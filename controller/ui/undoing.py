"""How two states of a draft differ, in words: what an undo took back, what is not saved yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.hosts import HOST_KEYS
from controller.ui.screens.hostform import as_text
from controller.ui.widgets.field import FLAG_WORDS
from garfield.settings import SETTINGS

if TYPE_CHECKING:
    from controller.draft import Draft

NONE_TEXT = "nothing"  # how an empty value is said
MOST_TOLD = 4  # changes that an undo names; a run set up again changes many parameters at once
ENABLED = "enabled"  # the key of a host that is told in words of its own


@dataclass(frozen=True)
class Texts:
    """Everything of a draft that an edit can change, as it is typed: hosts by name in their order, parameters."""

    hosts: Mapping[str, Mapping[str, str]]
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, draft: Draft) -> Texts:
        """The draft as it is now."""
        hosts = {
            host.name: {key: as_text(getattr(host, key)) for key in HOST_KEYS if key != "name"}
            for host in draft.file.hosts
        }
        names = [name for name, setting in SETTINGS.items() if setting.scope == "experiment"]
        parameters = {name: SETTINGS[name].format(draft.value(name)) for name in names}
        return cls(hosts, parameters | {"lease": str(draft.value("lease"))} | draft.invalid)


def taken_back(before: Texts, after: Texts) -> str:
    """What was undone: `before` it and `after` it."""
    came = [name for name in after.hosts if name not in before.hosts]
    went = [name for name in before.hosts if name not in after.hosts]
    if came and went:
        said = [f"{', '.join(went)} is {', '.join(came)} again"]
    else:
        said = [f"{name} is back" for name in came] + [f"{name} is gone again" for name in went]
    for name, keys in after.hosts.items():
        switched = _switched(before.hosts.get(name, keys), keys)
        said += [f"{name} {switched} again"] if switched else []
        said += [f"{name}: {change}" for change in _changes(before.hosts.get(name, keys), keys)]
    said += _changes(before.parameters, after.parameters)
    said = [*said[:MOST_TOLD], f"and {len(said) - MOST_TOLD} more"] if len(said) > MOST_TOLD + 1 else said
    if not said and list(before.hosts) != list(after.hosts):
        said = ["the hosts are in the order before"]
    return f"Undone: {'; '.join(said) or 'the last edit'}."


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [
        f"{key} is {_told(text)} again, not {_told(before[key])}"
        for key, text in after.items()
        if before.get(key, text) != text and key != ENABLED
    ]


def _told(text: str) -> str:
    """A value as the forms show it."""
    return FLAG_WORDS.get(text, text) or NONE_TEXT


def _switched(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What became of a host that was switched on or off; empty if it was not."""
    if before.get(ENABLED) == after.get(ENABLED):
        return ""
    return "is switched on" if after.get(ENABLED) == "True" else "is switched off"


def differences(before: Texts, after: Texts) -> list[str]:
    """What `after` has that `before` has not, and what it has otherwise, in a few words each."""
    said = [f"host {name} is new" for name in after.hosts if name not in before.hosts]
    said += [f"host {name} is gone" for name in before.hosts if name not in after.hosts]
    for name, keys in after.hosts.items():
        switched = _switched(before.hosts.get(name, keys), keys)
        said += [f"{name} {switched}"] if switched else []
        said += [f"{name}: {pair}" for pair in _pairs(before.hosts.get(name, keys), keys)]
    said += _pairs(before.parameters, after.parameters)
    return said or ["the order of the hosts" if list(before.hosts) != list(after.hosts) else "how it is written"]


def _pairs(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [
        f"{key} {_told(before[key])} → {_told(text)}"
        for key, text in after.items()
        if before.get(key, text) != text and key != ENABLED
    ]
