"""Launching, watching and stopping a cluster of ranks. Never imports torch, torchvision, numpy or scikit-learn."""
