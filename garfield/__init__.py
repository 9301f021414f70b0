"""Byzantine-resilient distributed SGD: what every rank of a cluster runs.

Importing this package, `settings`, `catalog`, `experiment` and `events` never imports torch: the controller reads them
on machines that have none.
"""
