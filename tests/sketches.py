"""Two hosts files as people write them."""

LOCAL = """\
# This machine alone: no SSH, no download, about a minute on two cores.
# The TUI edits this file and keeps your comments. Every key: python -m controller keys

[[host]]
name = "here"
connection = "local"
servers = 1                          # parameter-server ranks on this host
workers = 5                          # worker ranks; their sums are num_ps and num_workers

[experiment]                         # any trainer parameter; one not named keeps its default
dataset = "digits"
model = "convnet"
aggregator = "multi-krum"
fw = 1                               # declared: how many lying workers the rule must withstand
quorum = "all"                       # a step waits for all 5: multi-krum needs 2*fw + 3
attack = "sign-flip(scale=100)"
byz_workers = 1                      # actual: how many lie; or their ranks, as [3]
seed = 1

[preset.undefended]                  # laid over [experiment]: --preset undefended, or p in the TUI
aggregator = "average"

[preset.clean]
attack = "none"
byz_workers = 0
fw = 0
aggregator = "vanilla"
"""

CLUSTER = """\
# Three lab machines behind a gateway. ~/.ssh/config is honoured; keys here win over it.

[defaults]                           # for every [[host]]; a host's own key wins
connection = "ssh"
user = "alice"
jump = "alice@gate.lab.example"      # one shared connection; absent: ProxyJump of ~/.ssh/config
python = "~/venvs/garfield/bin/python"   # ~ is the home on that host
data_dir = "~/data"
env = { OMP_NUM_THREADS = "4" }      # merged key by key; no secrets here

[[host]]                             # ranks follow this order: PSs first, then workers
name = "lab1"                        # address = name unless given; may be an alias of ~/.ssh/config
servers = 3

[[host]]
name = "lab2"
workers = 4
interface = "enp3s0"                 # what ranks talk over; absent: the route to the first PS

[[host]]
name = "lab3"
address = "10.0.0.13"
port = 2222
servers = 1
workers = 4
python = "/opt/conda/envs/garfield/bin/python"
gpus = [1]                           # leave GPU 0 to others; absent: all
enabled = true                       # false: keep the host, leave it out

[run]
lease = "15m"                        # how long ranks go on when this machine falls silent

[experiment]
aggregator = "multi-krum"            # quorum 8 - fw = 7 >= 2*fw + 3
mar = "median"                       # quorum 4 - fps = 3 >= 2*fps + 1
fw = 1
fps = 1
"""
