"""The kinds of entry of the catalogue. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class CatalogError(ValueError):
    """A name, option or (n, f) that can't work; the text is one sentence."""


@dataclass(frozen=True)
class Option:
    """An option of a rule or attack. `above` is an exclusive minimum.

    The default's type is the option's type; with a default of "auto" it is `number`, and auto stands for a number that
    is found later.
    """

    default: int | float | str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    number: type = float
    pattern: str = ""  # a regular expression that a text has to match; the default is the example

    @property
    def kind(self) -> type:
        """int, float or str."""
        return self.number if self.default == "auto" else type(self.default)


@dataclass(frozen=True)
class Rule:
    """An aggregation rule. `least_n(f)` is the smallest number of inputs that tolerates f Byzantine ones.

    `check(options, n, f)` says in one sentence why these options can't work with n and f, or returns None.
    """

    summary: str
    needs: str
    least_n: Callable[[int], int]
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""
    aliases: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any], int, int], str | None] = lambda options, n, f: None


@dataclass(frozen=True)
class PreAggregation:
    """A step before the rule. It hands on `hands_on(options, n)` rows, among them f Byzantine ones as before."""

    summary: str
    needs: str
    least_n: Callable[[int], int]
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""
    hands_on: Callable[[Mapping[str, Any], int], int] = lambda options, n: n


@dataclass(frozen=True)
class Attack:
    """What a Byzantine rank of one of `sides` (worker, server) sends.

    `estimates`: a worker estimates the honest gradients from parts of its own batch.
    """

    summary: str
    sides: tuple[str, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""
    aliases: tuple[str, ...] = ()
    estimates: bool = False


@dataclass(frozen=True)
class Model:
    """A model; `shape` is the one input shape (channels, height, width) it takes.

    Without a shape it takes colour images of `least` pixels a side or more, or of no other size where `only`.
    `batch_norm`: it normalises over its batch.
    """

    summary: str
    shape: tuple[int, int, int] | None = None
    least: int = 0
    only: bool = False
    batch_norm: bool = False
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A data set of images of `shape` (channels, height, width), with the sizes of its two splits.

    `augmented`: training images are cropped and flipped at random. `files` are those below `data_dir`, none where
    nothing is downloaded; `origin` is the class of torchvision.datasets that fetches them.
    """

    summary: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    options: Mapping[str, Option] = field(default_factory=dict)
    augmented: bool = False
    files: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class Split:
    """A way to divide the training samples among the workers. Every one gives all of them the same number, or one less,
    so that the length of an epoch is known without the labels."""

    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes in the course of a run."""

    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Spec:
    """A name with its options, those not written filled in with their defaults."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
