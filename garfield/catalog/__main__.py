"""python -m garfield.catalog: the rules, pre-aggregations and attacks as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from garfield.catalog.attacks import ATTACKS
from garfield.catalog.rules import PRE_AGGREGATIONS, RULES
from garfield.catalog.spelling import Entry, written_value


def tables() -> str:
    """All three tables."""
    return "\n\n".join(
        "\n".join(table)
        for table in (
            _table("rule", "needs", RULES, lambda entry: f"{entry.needs}"),
            _table("before a rule", "needs", PRE_AGGREGATIONS, lambda entry: entry.needs),
            _table("attack", "of a", ATTACKS, lambda entry: " or ".join(entry.sides)),
        )
    )


def _table(kind: str, column: str, entries: Mapping[str, Entry], tell) -> Iterator[str]:
    yield f"| {kind} | what it is | {column} | source |"
    yield "| --- | --- | --- | --- |"
    for name, entry in entries.items():
        options = ", ".join(f"{key}={written_value(option.default)}" for key, option in entry.options.items())
        spelling = f"{name}({options})" if options else name
        yield f"| `{spelling}` | {entry.summary} | {tell(entry)} | {entry.source or '–'} |"


if __name__ == "__main__":
    print(tables())
