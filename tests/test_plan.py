"""Ranks placed on hosts, what refuses a launch, and the exact command of a rank."""

import json
import math
import shlex
import sys
from pathlib import Path

import pytest

from controller.draft import Draft
from controller.hosts import FileProblem, Host
from controller.hostsfile import HostsFile
from controller.plan import make_plan
from garfield import settings
from tests.sketches import CLUSTER, LOCAL

LAB = (
    Host("lab1", servers=1, workers=1, data_dir="~/data"),
    Host("lab2", workers=2, enabled=False),
    Host("lab3"),
    Host("lab4", address="10.0.0.4", workers=3, python="~/my env/bin/python", env={"A": "b c"}),
)


def errors(*arguments, **more):
    return [finding.text for finding in make_plan(*arguments, **more).errors]


def test_servers_come_first_then_workers_in_the_order_of_the_hosts():
    hosts = (Host("a", workers=2), Host("b", servers=1, workers=1), Host("c", servers=1))
    placed = [(rank.rank, rank.role, rank.host.name) for rank in make_plan(hosts, {}).ranks]
    assert placed == [(0, "ps", "b"), (1, "ps", "c"), (2, "worker", "a"), (3, "worker", "a"), (4, "worker", "b")]


def test_hosts_that_are_off_or_carry_nothing_are_left_out():
    plan = make_plan(LAB, {})
    assert [host.name for host in plan.hosts] == ["lab1", "lab4"]
    assert (plan.values["num_ps"], plan.values["num_workers"], plan.ok) == (1, 4, True)
    assert [rank.rank for rank in plan.ranks_on(LAB[3])] == [2, 3, 4]
    assert plan.values.keys() == settings.SETTINGS.keys()


@pytest.mark.parametrize(("listed", "attackers"), [(0, []), (2, [1, 2]), ((4,), [4])])
def test_attackers_are_marked(listed, attackers):
    plan = make_plan(LAB, {"attack": "sign-flip", "byz_workers": listed})
    assert [rank.rank for rank in plan.ranks if rank.byzantine] == attackers


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        (
            [Host("a", workers=1, servers=1, enabled=False)],
            "Every host is switched off: set enabled = true for one of them.",
        ),
        ([], "There is no host; add one."),
        ([Host("a")], "No host carries a rank: give one servers = 1 and some workers."),
        ([Host("a", workers=3)], "No host carries a parameter server: give one servers = 1."),
        ([Host("a", servers=1)], "No host carries a worker: give one workers = 1 or more."),
    ],
)
def test_a_placement_that_is_no_run_is_one_sentence(hosts, told):
    assert errors(hosts, {"fw": 3, "aggregator": "krum", "byz_workers": (9,), "attack": "random"}) == [told]


def test_what_does_not_fit_together_refuses_the_launch():
    plan = make_plan(LAB, {"aggregator": "krum", "fw": 1})
    assert [finding.name for finding in plan.errors] == ["aggregator"]
    assert "krum needs n >= 2f+3" in plan.errors[0].text
    assert [finding.level for finding in plan.checks()] == ["error", "ok"]


def test_problems_of_the_file_and_the_form_refuse_the_launch():
    plan = make_plan(LAB, {}, problems=[FileProblem(3, "wokers", "line 3: no such key."), "lr = x: no number."])
    assert [(finding.name, finding.text) for finding in plan.errors] == [
        ("wokers", "line 3: no such key."),
        ("file", "lr = x: no number."),
    ]


def test_a_problem_of_the_hosts_is_told_alone_without_what_follows_from_it():
    text = LOCAL.replace("workers = 5", "wokers = 5")
    assert [finding.text for finding in sketch(text).checks()] == [
        "line 8: [[host]] has no key 'wokers'; did you mean workers?"
    ]
    text = LOCAL.replace("fw = 1 ", "fw = 9 ").replace("seed = 1", "sead = 1")
    assert [finding.name for finding in sketch(text).errors] == ["sead", "aggregator"]


def test_more_attackers_than_declared_is_a_warning():
    values = {"aggregator": "median", "fw": 1, "attack": "random", "byz_workers": 2}
    (warning,) = make_plan(LAB, values).findings
    assert (warning.level, warning.name) == ("warning", "byz_workers")
    assert "2 workers will attack, more than fw = 1" in warning.text
    (warning,) = make_plan(LAB, values | {"aggregator": "average", "fw": 0}).findings
    assert "average withstands none" in warning.text


def sketch(text: str, preset: str | None = None):
    return Draft(HostsFile(Path("hosts.toml"), text, "read"), preset).plan()


@pytest.mark.parametrize(
    ("servers", "values", "told"),
    [
        (3, {"fps": 0}, [
            ("warning", "every PS is needed: mar median with fps 0 waits for all 3, so one that dies or stalls ends "
            "the run"),
            ("ok", "goes on without 1 worker, dead or stalled"),
        ]),
        (4, {"fps": 1}, [("ok", "goes on without 1 PS and 1 worker, dead or stalled")]),
        (3, {"mar": "crash"}, [("ok", "goes on without 2 PSs and 1 worker, dead or stalled")]),
        (2, {"mar": "crash", "quorum": "all"}, [
            ("ok", "goes on without 1 PS, dead or stalled; every worker is needed: one that dies or stalls ends the "
            "run"),
        ]),
        (1, {"mar": "vanilla"}, [("ok", "goes on without 1 worker, dead or stalled")]),
    ],
)  # fmt: skip
def test_what_the_run_stands_of_servers_is_told(servers, values, told):
    values = {"aggregator": "median", "fw": 1, "quorum": "n-f", "mar": "median"} | values
    plan = make_plan([Host("here", servers=servers, workers=5, connection="local")], values)
    assert plan.ok
    assert [(f.level, f.text) for f in plan.checks() if "dies" in f.text or "stalled" in f.text] == told


def test_the_local_sketch_is_ready_with_what_holds():
    plan = sketch(LOCAL)
    assert plan.findings == ()
    assert [(finding.level, finding.text) for finding in plan.checks()] == [
        ("ok", "1 PS + 5 workers"),
        ("ok", "multi-krum: quorum 5 ≥ 2·1+3"),
        ("ok", "every rank is needed: one that dies or stalls ends the run"),
        ("ok", "1 attacker ≤ fw 1"),
    ]
    assert plan.summary() == (
        "1 PS + 5 workers on 1 host, multi-krum fw 1, sign-flip(scale=100) by worker 1, digits convnet, 10 epochs"
    )
    assert sketch(LOCAL, "clean").checks()[1].text == "vanilla: all 5 workers each step"
    assert sketch(LOCAL, "undefended").ok


def test_of_the_cluster_sketch_only_what_comes_later_is_refused():
    plan = sketch(CLUSTER)
    assert (plan.values["num_ps"], plan.values["num_workers"]) == (4, 8)
    assert all("supported yet" in finding.text or finding.name == "fps" for finding in plan.errors)


def test_values_of_a_rank():
    plan = make_plan(LAB, {"data_dir": "/all", "batch": 32})
    first, last = plan.values_of(0), plan.values_of(4)
    assert (first["data_dir"], first["rank"], first["master"], first["batch"]) == ("~/data", 0, "lab1", 32)
    assert (last["data_dir"], last["rank"], last["num_workers"]) == ("/all", 4, 4)
    here = make_plan([Host("here", "local", servers=1), Host("there", workers=1)], {})
    assert here.values_of(1)["master"] == "127.0.0.1"


def test_command_is_what_a_shell_on_the_host_takes():
    plan = make_plan(LAB, {"attack": "sign-flip(scale=2)", "byz_workers": (1,), "fw": 1, "aggregator": "median"})
    assert plan.command(4) == (
        "A='b c' ~/'my env/bin/python' -m garfield.trainer --master lab1 --rank 4 --num_workers 4 --fw 1 "
        "--aggregator median --attack 'sign-flip(scale=2)' --byz_workers '[1]'"
    )
    assert shlex.split(plan.command(0))[:3] == ["python3", "-m", "garfield.trainer"]
    local = make_plan([Host("here", "local", servers=1, workers=1)], {})
    assert shlex.split(local.command(1))[0] == sys.executable


def test_record_is_json_and_whole():
    plan = make_plan(LAB, {"byz_workers": (1,), "attack": "random"}, math.inf)
    record = json.loads(json.dumps(plan.to_record(), allow_nan=False))
    assert record["lease"] is None
    assert record["ranks"][1] == {"rank": 1, "role": "worker", "host": "lab1", "byzantine": True}
    assert record["hosts"][1] == {
        "name": "lab4",
        "connection": "ssh",
        "address": "10.0.0.4",
        "servers": 0,
        "workers": 3,
    }
    again = {name: settings.SETTINGS[name].parse(raw) for name, raw in record["values"].items()}
    assert again == plan.values
    assert record["findings"][0]["level"] == "warning"


def test_a_rule_that_gets_fewer_gradients_than_there_are_workers_is_told_why():
    host = Host("a", servers=1, workers=5)
    plan = make_plan([host], {"aggregator": "multi-krum", "fw": 1, "quorum": "n-f"})
    assert "n = 4 inputs" in plan.errors[0].text
    assert plan.errors[0].text.endswith(" quorum = n-f waits for 4 of 5 workers; quorum = all for every one.")
