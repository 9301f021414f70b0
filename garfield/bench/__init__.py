"""Benchmarks: `python -m garfield.bench rules | resilience | reference | step`."""
