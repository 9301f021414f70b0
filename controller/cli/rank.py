"""python -m controller rank: an act on one rank of a run that goes on, whoever launched it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Collection

from controller import acts
from controller.cli import interruptible, terminal
from controller.cli.attend import asking
from controller.cli.out import complain, say, say_json
from controller.cli.progress import OneLine
from controller.cli.refused import Refused
from controller.cli.words import hosts_of, may_act, the_run
from controller.connection import HostError
from controller.hosts import Host
from controller.runs import find_runs
from controller.survey import ActRefused, Found, survey
from garfield.catalog import CatalogError
from garfield.settings import SETTINGS, SettingError


def main(options: argparse.Namespace) -> int:
    """Act on the rank; the exit code."""
    if options.act == "attack" and options.attack is None:
        raise Refused("Say which attack: on, off, or one such as sign-flip(scale=10).", 2)
    if options.act != "attack" and options.attack is not None:
        raise Refused(f"{options.act} takes no attack.", 2)
    try:
        return interruptible.run(_act(hosts_of(options.file, options.run), options))
    except (HostError, ActRefused, SettingError, CatalogError) as error:
        raise Refused(str(error)) from None


async def _act(hosts: Collection[Host], options: argparse.Namespace) -> int:
    async with survey(hosts, asking(OneLine(sys.stderr)), terminal.ask) as seen:
        complain(list(seen.unreachable.values()))
        run = the_run(seen, options.run, _command(options))
        attack = None if options.attack is None else _attack(run, options.rank, options.attack)
        what = f"{acts.said(options.act, attack)} rank {options.rank}"
        if not await may_act(run, what, options.yes, options.run is not None):
            return 1
        if options.act in ("pause", "kill", "restart") or attack not in (None, "none"):
            complain(await seen.forecast(run, options.rank, options.act) or ())
        host = await seen.act(run, options.rank, options.act, attack)
    if options.json:
        say_json({"run": run.run, "rank": options.rank, "act": options.act, "attack": attack, "host": host})
    else:
        say(f"{run.run}: {what} on {host}: done")
    return 0


def _command(options: argparse.Namespace) -> str:
    """What was typed, with a run to be named, as a shell takes it."""
    words = ["rank", str(options.rank), options.act, *filter(None, [options.attack])]
    words += ["--file", options.file] if options.file else []
    return f"{shlex.join(words)} --run RUN{' --yes' * options.yes}"


def _attack(run: Found, rank: int, word: str) -> str:
    """The attack that `word` means for that rank; "none" for off. Raises Refused, SettingError, CatalogError."""
    role = next((one["role"] for one in run.ranks() if one["rank"] == rank), "worker")
    setting = SETTINGS["attack_ps" if role == "ps" else "attack"]
    if word == "off":
        return "none"
    if word != "on":
        return acts.attack_of(role, setting.parse(word))
    recorded = find_runs(run.run)
    named = recorded[0].values.get(setting.name) if recorded else None
    if not isinstance(named, str) or named == "none":
        why = "names no such attack" if recorded else "is not recorded on this machine"
        raise Refused(f"{run.run} {why}; say which one: python -m controller rank {rank} attack SPEC")
    return named
