"""Tables of the README that are made from code: `python -m controller.reference README.md` brings them up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from controller.cli.parser import parsers
from controller.hosts import HOST_KEYS, RUN_KEYS
from garfield import catalog, settings


def parameters() -> str:
    """Every parameter that an experiment sets, in the order of the trainer's --help."""
    rows = []
    for setting in settings.SETTINGS.values():
        if setting.scope == "experiment":
            choices = f" ({', '.join(setting.choices())})" if setting.choices else ""
            unit = f" {setting.unit}" if setting.unit else ""
            default = f"`{setting.format(setting.default)}`{unit}" if setting.default != "" else "–"
            rows.append((f"`{setting.name}`", default, setting.help + choices))
    return _table(("parameter", "default", "meaning"), rows)


def rules() -> str:
    """Every aggregation rule."""
    rows = [(f"`{name}`", rule.needs, rule.summary, rule.source) for name, rule in catalog.RULES.items()]
    return _table(("rule", "needs", "what it does", "source"), rows)


def attacks() -> str:
    """Every attack."""
    rows = [(f"`{name}`", " and ".join(attack.sides), attack.summary) for name, attack in catalog.ATTACKS.items()]
    return _table(("attack", "of a", "what it sends"), rows)


def host_keys() -> str:
    """Every key of [[host]], [defaults] and [run]."""
    rows = [(f"`{key.name}`", f"`{key.example}`", key.help) for key in HOST_KEYS.values()]
    rows += [(f"`{key.name}` in `[run]`", f"`{key.example}`", key.help) for key in RUN_KEYS.values()]
    return _table(("key", "example", "meaning"), rows)


def commands() -> str:
    """Every command of `python -m controller`, as it is typed."""
    rows = []
    for name, command in parsers().items():
        usage = " ".join(command.format_usage().split()).partition(f" {name} ")[2]
        words = usage.removeprefix("[-h] [--json]").strip()
        rows.append((f"`{f'{name} {words}'.strip()}`", command.description.partition("\n")[0].rstrip(".")))
    return _table(("command", "what it does"), rows)


TABLES = {"commands": commands, "parameters": parameters, "rules": rules, "attacks": attacks, "host keys": host_keys}


def with_tables(text: str) -> str:
    """`text` with what stands between <!-- table: NAME --> and <!-- end --> made anew."""
    return re.sub(
        r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}",
        text,
        flags=re.DOTALL,
    )


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(titles)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def main(arguments: list[str]) -> int:
    """Rewrite the tables of the named files; 2 without a name."""
    if not arguments:
        print("Name the file whose tables to renew: python -m controller.reference README.md", file=sys.stderr)
        return 2
    for path in map(Path, arguments):
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
