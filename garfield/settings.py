"""Every parameter of the trainer, once: its name, type, default, help, choices and who may set it.

The trainer's `--help`, the form of the TUI, the `[experiment]` table of a hosts file and all checks are made from this
table. Checks that look at several parameters together are in `garfield.combinations`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from garfield import catalog, kinds
from garfield.catalog.spelling import written_value


class SettingError(ValueError):
    """A value that a parameter can't take; the text is one sentence that begins with the parameter's name."""


@dataclass(frozen=True)
class Setting:
    """One parameter.

    `kind` is one of `garfield.kinds`. `scope` says who sets it: an `experiment` sets it for all ranks, the `placement`
    of ranks on hosts implies it. `group` orders help and form.
    """

    name: str
    kind: str
    default: Any
    help: str
    group: str
    scope: str = "experiment"
    choices: Callable[[], tuple[str, ...]] | None = None
    minimum: float | None = None
    above: float | None = None  # an exclusive minimum
    below: float | None = None  # an exclusive maximum
    unit: str = ""

    def parse(self, raw: Any) -> Any:
        """The value of `raw`, which is text from a command line or form, or a typed value from a TOML file.

        Raises SettingError.
        """
        try:
            value = kinds.PARSERS[self.kind](raw)
        except catalog.CatalogError as error:
            raise SettingError(f"{self.name}: {error}") from None
        except (TypeError, ValueError, OverflowError):
            raise SettingError(f"{self.name} = {raw!r:.100}: {kinds.EXPECTED[self.kind]}.") from None
        self._check(value)
        return value

    def _check(self, value: Any) -> None:
        if self.kind == "choice" and value not in self.choices():
            near = get_close_matches(value, self.choices(), 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise SettingError(f"{self.name} = {value!r:.100}: must be one of {', '.join(self.choices())}{hint}")
        if self.kind == "int" and abs(value) > kinds.LARGEST:
            raise SettingError(f"{self.name}: must be at most {kinds.LARGEST:,} either way.")
        if self.kind in ("int", "float"):
            if self.minimum is not None and value < self.minimum:
                raise SettingError(f"{self.name} = {value}: must be at least {self.minimum:g}.")
            if self.above is not None and value <= self.above:
                raise SettingError(f"{self.name} = {value}: must be above {self.above:g}.")
            if self.below is not None and value >= self.below:
                raise SettingError(f"{self.name} = {value}: must be below {self.below:g}.")

    def format(self, value: Any) -> str:
        """The text that `parse` turns back into `value`."""
        if self.kind == "ranks" and isinstance(value, tuple):
            return "[" + ", ".join(map(str, value)) + "]"
        return written_value(value)


def _setting_table(*settings: Setting) -> dict[str, Setting]:
    return {setting.name: setting for setting in settings}


SETTINGS: dict[str, Setting] = _setting_table(
    Setting(
        "master",
        "text",
        "127.0.0.1",
        "addresses of the parameter servers, of the first at the least: host[:port], … (port 29500 unless given)",
        "cluster",
        scope="placement",
    ),
    Setting("rank", "int", 0, "this process: parameter servers come first, from 0", "cluster", "placement", minimum=0),
    Setting("num_ps", "int", 1, "number of parameter servers", "cluster", "placement", minimum=1),
    Setting("num_workers", "int", 1, "number of workers", "cluster", "placement", minimum=1),
    Setting("dataset", "dataset", "mnist", f"data set to train on: {', '.join(catalog.DATASETS)}", "data"),
    Setting("shards", "shards", "iid", f"how the training samples are divided: {', '.join(catalog.SHARDS)}", "data"),
    Setting("batch", "int", 128, "training samples a worker reads each step", "data", minimum=1, unit="samples"),
    Setting(
        "data_dir",
        "text",
        "~/.cache/garfield/data",
        "folder of the data sets on each host; what is missing is downloaded into it",
        "data",
    ),
    Setting(
        "model",
        "model",
        "convnet",
        f"model to train: {', '.join(catalog.OWN_MODELS)}, or one of torchvision for classification, as in resnet18",
        "model",
    ),
    Setting("loss", "choice", "nll", "loss function", "model", choices=lambda: ("nll", "cross-entropy")),
    Setting("lr", "float", 0.01, "learning rate of SGD", "optimisation", above=0),
    Setting(
        "schedule", "schedule", "auto", f"how the learning rate changes: {', '.join(catalog.SCHEDULES)}", "optimisation"
    ),
    Setting("momentum", "float", 0.5, "momentum of SGD", "optimisation", minimum=0, below=1),
    Setting(
        "momentum_at",
        "choice",
        "server",
        "where momentum is: of the aggregate, or of each worker's gradients before they are aggregated",
        "optimisation",
        choices=lambda: ("server", "worker"),
    ),
    Setting("wd", "float", 0.0, "weight decay of SGD, at the server", "optimisation", minimum=0),
    Setting(
        "clip",
        "float",
        0.0,
        "norm that a worker scales a longer gradient down to; 0: none is scaled",
        "optimisation",
        minimum=0,
    ),
    Setting("epochs", "int", 10, "passes over the largest shard, unless steps is given", "optimisation", minimum=1),
    Setting("steps", "int", 0, "stop after so many steps; 0: train for epochs", "optimisation", minimum=0),
    Setting("fw", "int", 0, "declared f: Byzantine workers the aggregator withstands", "resilience", minimum=0),
    Setting("fps", "int", 0, "declared f: Byzantine servers the mar withstands", "resilience", minimum=0),
    Setting("aggregator", "rule", "vanilla", "gradient aggregation rule (GAR)", "resilience"),
    Setting(
        "mar",
        "mar",
        "vanilla",
        "with several servers: model aggregation rule (MAR), or crash: one acts and the others stand by",
        "resilience",
    ),
    Setting(
        "quorum",
        "quorum",
        "auto",
        "gradients that a server waits for each step: all, n-f, or a count; auto is n-f where servers merge, else all",
        "resilience",
    ),
    Setting("attack", "attack", "none", "what the Byzantine workers send", "attack"),
    Setting("byz_workers", "ranks", 0, "workers that really attack: how many, or which ranks as [3]", "attack"),
    Setting("attack_ps", "attack", "none", "what the Byzantine servers send", "attack"),
    Setting("byz_servers", "ranks", 0, "servers that really attack: how many, or which ranks as [1]", "attack"),
    Setting(
        "backend",
        "choice",
        "gloo",
        "what the collectives of vanilla go over, all else goes over TCP: gloo; or nccl, which carries everything "
        "from GPU to GPU and needs one server, quorum all and a GPU for each rank",
        "run",
        choices=lambda: ("gloo", "nccl"),
    ),
    Setting("seed", "int", 1, "seed of all randomness: data order, initial model, attacks", "run", minimum=0),
    Setting("eval_every", "int", 0, "steps between evaluations on the test set; 0: every epoch", "run", minimum=0),
    Setting(
        "checkpoint_every", "int", 0, "steps between checkpoints of a server; 0: only at the end", "run", minimum=0
    ),
    Setting("checkpoint_dir", "text", "", "folder a server saves in; empty: the current one", "run", "placement"),
    Setting("resume", "text", "", "checkpoint to go on from: a file, or of a launch a recorded run", "run"),
    Setting("timeout", "float", 60.0, "longest wait for another rank", "run", above=0, unit="seconds"),
    Setting("threads", "int", 0, "compute threads of a rank; 0: its share of the host's cores", "run", minimum=0),
    Setting("bench", "flag", False, "print what the time of each step went to", "run"),
    Setting("log", "flag", False, "print the accumulated loss at each step", "run"),
)


def find_setting(name: str, lists: str = "python -m garfield.trainer --help") -> Setting:
    """The parameter called `name`; a SettingError names a near one, or what `lists` all, when there is none."""
    try:
        return SETTINGS[name]
    except KeyError:
        near = get_close_matches(name, SETTINGS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"{lists} lists them."
        raise SettingError(f"{name}: there is no such parameter; {hint}") from None


def experiment_setting(name: str) -> Setting:
    """The parameter called `name` if an experiment may set it; else a SettingError that says where it comes from."""
    setting = find_setting(name, "python -m controller keys")
    if setting.scope == "placement":
        raise SettingError(
            f"{name}: follows from where the hosts place their servers and workers and can't be set in an experiment."
        )
    return setting


def defaults(scope: str | None = None) -> dict[str, Any]:
    """Default of every parameter, or of those of one scope."""
    return {s.name: s.default for s in SETTINGS.values() if scope in (None, s.scope)}


def changed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that differ from their default: what a save writes."""
    return {name: value for name, value in values.items() if value != SETTINGS[name].default}


def command_line(values: Mapping[str, Any]) -> list[str]:
    """Trainer arguments that say `values`, without those that equal their default."""
    words: list[str] = []
    for name, value in changed(values).items():
        setting = SETTINGS[name]
        words += [f"--{name}"] if setting.kind == "flag" and value else [f"--{name}", setting.format(value)]
    return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every parameter to `parser`, grouped; values are parsed by `Setting.parse`."""
    groups: dict[str, Any] = {}
    for setting in SETTINGS.values():
        group = groups.get(setting.group) or groups.setdefault(setting.group, parser.add_argument_group(setting.group))
        text = setting.help.replace("%", "%%")
        if setting.choices:
            text += f" ({', '.join(setting.choices())})"
        unit = f" {setting.unit}" if setting.unit else ""
        text += f" [{setting.format(setting.default)}{unit}]"
        options = {"default": setting.default, "help": text, "metavar": setting.kind.upper()}
        if setting.kind == "flag":
            options |= {"nargs": "?", "const": True}
        group.add_argument(f"--{setting.name}", type=_argument_type(setting), **options)


def _argument_type(setting: Setting) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return setting.parse(text)
        except SettingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert
