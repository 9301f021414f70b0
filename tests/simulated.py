"""The simulated runs of the product's benchmark, for tests."""

from controller.ui.bench.simulated import START, Fault, simulate

__all__ = ["START", "Fault", "simulate"]
