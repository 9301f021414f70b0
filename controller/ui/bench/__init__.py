"""What the screens cost, measured on the real app with simulated runs: python -m controller.ui.bench."""
