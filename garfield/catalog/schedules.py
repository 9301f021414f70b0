"""Schedules of the learning rate. No torch."""

from __future__ import annotations

from garfield.catalog.kinds import Option, Schedule, Spec
from garfield.catalog.spelling import parse_spec, spec_text

SCHEDULES: dict[str, Schedule] = {
    "auto": Schedule("step for resnet50, as the original trainer; else constant"),
    "constant": Schedule("always lr"),
    "step": Schedule(
        "lr times gamma from each milestone on",
        {
            "milestones": Option("25/50", "epochs", pattern="[0-9]+(/[0-9]+)*"),
            "gamma": Option(0.1, "factor", above=0),
        },
    ),
    "cosine": Schedule(
        "down from lr to 0 over the whole run, along half a cosine wave", source="Loshchilov & Hutter, ICLR 2017"
    ),
}


def parse_schedule(text: str) -> Spec:
    """`text` as a schedule with its options. Raises CatalogError."""
    return parse_spec(text, "schedule", SCHEDULES)


def format_schedule(spec: Spec) -> str:
    """The shortest text that parses to `spec`."""
    return spec_text(spec, SCHEDULES)
