"""Gradient and model aggregation rules.

rule = make_aggregator("nnm+trimmed-mean", n=11, f=2)
result = rule(rows)  # n rows of d floats -> (d,)
result, weights = rule.explain(rows)  # and the share of each row in it, sum 1
"""

from garfield.aggregators.aggregator import Aggregator, make_aggregator
from garfield.aggregators.call import AggregationError

__all__ = ["AggregationError", "Aggregator", "make_aggregator"]
