"""What there is: rules, attacks, models and data sets, with their options and preconditions. No torch.

This is also the only parser of the spelling `name(option=value, …)` and of `pre-aggregation+rule`.
"""

from garfield.catalog.attacks import ATTACKS, alie_z, check_attack, format_attack, parse_attack
from garfield.catalog.data import (
    DATASETS,
    SHARDS,
    find_dataset,
    format_dataset,
    format_shards,
    parse_dataset,
    parse_shards,
)
from garfield.catalog.kinds import (
    Attack,
    CatalogError,
    Dataset,
    Model,
    Option,
    PreAggregation,
    Rule,
    Schedule,
    Spec,
    Split,
)
from garfield.catalog.models import MODELS, OWN_MODELS, format_model, parse_model
from garfield.catalog.rules import CRASH, PRE_AGGREGATIONS, RULES, check_rule, format_mar, format_rule, parse_rule
from garfield.catalog.schedules import SCHEDULES, format_schedule, parse_schedule

__all__ = [
    "ATTACKS",
    "CRASH",
    "DATASETS",
    "MODELS",
    "OWN_MODELS",
    "PRE_AGGREGATIONS",
    "RULES",
    "SCHEDULES",
    "SHARDS",
    "Attack",
    "CatalogError",
    "Dataset",
    "Model",
    "Option",
    "PreAggregation",
    "Rule",
    "Schedule",
    "Spec",
    "Split",
    "alie_z",
    "check_attack",
    "check_rule",
    "find_dataset",
    "format_attack",
    "format_dataset",
    "format_mar",
    "format_model",
    "format_rule",
    "format_schedule",
    "format_shards",
    "parse_attack",
    "parse_dataset",
    "parse_model",
    "parse_rule",
    "parse_schedule",
    "parse_shards",
]
