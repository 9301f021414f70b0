"""python -m controller runs, keys, paths: what there is, as tables or JSON."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from controller import moments, paths
from controller.cli.out import complain, duration, say, say_json, table
from controller.cli.outcome import ending
from controller.cli.refused import Refused
from controller.hostsfile import HostsFile, HostsFileError
from controller.runs import RunInfo, list_runs, mentions


def main(options: argparse.Namespace) -> int:
    """Print one list; the exit code."""
    return {"runs": _runs, "keys": _keys, "paths": _paths}[options.command](options)


def _runs(options: argparse.Namespace) -> int:
    try:
        runs = _only(list_runs(), options.words)
    except HostsFileError as error:
        raise Refused(str(error)) from None
    if options.json:
        say_json([asdict(run) for run in runs])
        return 0
    if not runs:
        which = f"of {' '.join(options.words)} " if options.words else ""
        say(f"No run {which}is recorded in {paths.runs_dir()}{'' if which else ' yet'}.")
        return 0
    rows = [
        [
            run.id,
            run.name or "–",
            "–" if run.started is None else moments.told(run.started, "%Y-%m-%d %H:%M"),
            ending(run),
            "–" if run.accuracy is None else f"{run.accuracy:.3f}",
            "–" if run.steps is None else str(run.steps),
            duration(run.seconds),
            run.summary or "–",
        ]
        for run in runs
    ]
    headers = ["run", "name", "started", "outcome", "accuracy", "steps", "time", "what"]
    if any(run.note for run in runs):
        headers.append("note")
        rows = [[*row, run.note] for row, run in zip(rows, runs, strict=True)]
    say(table(headers, rows, right=(4, 5, 6)))
    for run in runs:
        if run.damage:
            complain(f"! {run.id}: {run.damage}")
    return 0


def _only(runs: list[RunInfo], words: list[str]) -> list[RunInfo]:
    """Those of `runs` that every word is in; of a hosts file, those on its hosts. Raises HostsFileError."""
    for word in words:
        if word.endswith(".toml"):
            names = {host.name for host in HostsFile.open(word).hosts}
            runs = [run for run in runs if run.hosts and names.issuperset(run.hosts)]
        else:
            runs = [run for run in runs if mentions(run, word)]
    return runs


def _keys(options: argparse.Namespace) -> int:
    from controller.hosts import HOST_KEYS, RUN_KEYS
    from garfield import catalog
    from garfield.settings import SETTINGS

    parameters = [setting for setting in SETTINGS.values() if setting.scope == "experiment"]
    if options.json:
        say_json(
            {
                "host": [_key(key) for key in HOST_KEYS.values()],
                "run": [_key(key) for key in RUN_KEYS.values()],
                "experiment": [
                    {
                        "name": setting.name,
                        "default": setting.default,
                        "help": setting.help,
                        "group": setting.group,
                        "choices": list(setting.choices()) if setting.choices else [],
                    }
                    for setting in parameters
                ],
            }
        )
        return 0
    headers = ["key", "as in", "what it says"]
    for title, keys in (("[[host]], and [defaults] for all of them", HOST_KEYS), ("[run]", RUN_KEYS)):
        rows = [[key.name, key.example, _help(key)] for key in keys.values()]
        say(f"{title}\n{table(headers, rows)}\n")
    rows = [[setting.name, setting.format(setting.default), setting.help + _choices(setting)] for setting in parameters]
    say(f"[experiment], [preset.NAME] and --set\n{table(['parameter', 'default', 'what it says'], rows)}\n")
    rows = [[name, rule.needs, rule.summary] for name, rule in catalog.RULES.items()]
    say(f"rules, for aggregator and mar\n{table(['rule', 'needs', 'what it does'], rows)}\n")
    rows = [[name, rule.summary] for name, rule in catalog.PRE_AGGREGATIONS.items()]
    say(f"pre-aggregations, before a rule as in nnm+krum\n{table(['name', 'what it does'], rows)}\n")
    rows = [[name, " and ".join(attack.sides), attack.summary] for name, attack in catalog.ATTACKS.items()]
    say(f"attacks, for attack and attack_ps\n{table(['attack', 'of a', 'what it sends'], rows)}\n")
    say("python -m garfield.catalog tells their options and sources.")
    return 0


def _key(key: Any) -> dict[str, Any]:
    return {name: getattr(key, name) for name in ("name", "kind", "default", "help", "example", "choices")}


def _help(key: Any) -> str:
    notes = [] if key.default in (None, "") else [f"[{_toml(key.default)}]"]
    notes += [] if key.in_defaults else ["(each host's own)"]
    return " ".join([key.help, *notes])


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(setting: Any) -> str:
    return f" ({', '.join(setting.choices())})" if setting.choices else ""


def _paths(options: argparse.Namespace) -> int:
    if options.json:
        say_json(paths.all_paths())
    else:
        say("\n".join(f"{what:18} {path}" for what, path in paths.all_paths().items()))
    return 0
