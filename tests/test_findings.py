"""What is made of the facts of a host: which refuse a launch, which are told, and what would mend them."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from controller import findings
from controller.hosts import Host
from garfield import settings

VALUES = settings.defaults() | {"dataset": "digits"}

FACTS: dict[str, Any] = {
    "python": "3.11.2",
    "executable": "/usr/bin/python3",
    "user": "ada",
    "cores": 8,
    "memory": 16 << 30,
    "memory_available": 12 << 30,
    "addresses": {"lo": "127.0.0.1", "eth0": "10.0.0.1"},
    "disk": 50 << 30,
    "data_missing": [],
    "cgroup": True,
    "ends_at_logout": False,
    "packages": {"torch": findings.pinned("torch"), "torchvision": findings.pinned("torchvision"), "numpy": "2.0",
                 "scikit-learn": "1.5"},
    "gpus": [],
}  # fmt: skip
LAB = Host("lab", address="10.0.0.9", user="ada", port=2222, servers=1, workers=2)


def judged(host: Host = LAB, dataset: str = "digits", lease: float = 15.0, **facts: Any) -> list[findings.CheckFinding]:
    return list(findings.judge(host, FACTS | facts, VALUES | {"dataset": dataset}, lease))


def test_nothing_to_find() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("facts", "level", "part"),
    [
        ({"refused": "the host runs darwin, and ranks need Linux"}, "error", "runs darwin"),
        ({"packages": {}}, "error", "has no torch and no numpy and no scikit-learn; install it with: ssh -p 2222"),
        ({"packages": None}, "error", "did not say which packages it has"),
        ({"packages": FACTS["packages"] | {"torch": "2.1.0+cu121"}}, "warning", "it has torch 2.1.0, and this project"),
        ({"disk": 12 << 20}, "error", "only 12 MB are free in its home; see what fills it with: ssh -p 2222"),
        ({"memory_available": 300 << 20}, "warning", "300 MB of memory are free and its 3 ranks may take 768 MB"),
        ({"ends_at_logout": True}, "warning", "its logind ends all processes of ada at logout"),
    ],
)
def test_findings(facts: dict[str, Any], level: str, part: str) -> None:
    (finding,) = judged(**facts)
    assert finding.level == level
    assert part in str(finding)
    assert finding.text.startswith("lab: ")


def test_what_a_run_was_built_for_is_no_other_version() -> None:
    assert judged(packages=FACTS["packages"] | {"torch": findings.pinned("torch") + "+cu128"}) == []


def test_data_that_is_missing_is_fetched_by_the_command() -> None:
    (finding,) = judged(replace(LAB, data_dir="~/it's here"), "mnist", data_missing=["MNIST/raw/x"])
    assert finding.level == "warning"
    assert "mnist isn't in ~/it's here" in finding.text
    words = subprocess.run(
        ["sh", "-c", f"ssh() {{ shift 3; eval printf \"'%s\\\\n'\" \"$*\"; }}; {finding.command}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "from torchvision.datasets import MNIST" in words
    assert judged(dataset="mnist") == []


def test_gpus() -> None:
    held = {"index": 0, "name": "H100", "memory": 80 << 30, "used": 40 << 30, "held": ["39.9 GB by python (7) of eve"]}
    idle = {**held, "index": 1, "used": 0, "held": []}
    assert "GPU 0 is held: 39.9 GB by python (7) of eve" in str(judged(gpus=[held, idle])[0])
    assert judged(replace(LAB, gpus=(1,)), gpus=[held, idle]) == []
    (finding,) = judged(replace(LAB, gpus=(1, 2)), gpus=[held, idle])
    assert (finding.level, "has 0, 1: there is no 2" in finding.text) == ("error", True)
    assert "none that nvidia-smi lists" in judged(replace(LAB, gpus=(0,)))[0].text


def test_nccl_needs_a_gpu_for_each_rank() -> None:
    def told(host: Host, count: int, backend: str = "nccl") -> list[tuple[str, str]]:
        cards = [{"index": index, "name": "H100", "memory": 1, "used": 0, "held": []} for index in range(count)]
        judged = findings.judge(host, FACTS | {"gpus": cards}, VALUES | {"backend": backend}, 15.0)
        return [(finding.level, finding.text) for finding in judged]

    needs = "lab: backend = nccl needs a GPU for each rank, and it has"
    assert told(LAB, 0) == [("error", f"{needs} none that nvidia-smi lists; use backend = gloo, or see:")]
    assert told(LAB, 2) == [("error", f"{needs} only 2 for its 3 ranks; use backend = gloo, or see:")]
    assert told(LAB, 3) == told(LAB, 0, "gloo") == []
    ((level, text),) = told(replace(LAB, gpus=(0, 1, 2)), 2)
    assert (level, "there is no 2" in text) == ("error", True)


def test_a_clock_is_judged_by_what_is_certain() -> None:
    assert list(findings.judge_clock(LAB, 1.4, 0.5)) == []
    (finding,) = findings.judge_clock(LAB, -3.0, 0.5)
    assert "3.0 s behind ours" in finding.text
    assert finding.command == "ssh -p 2222 ada@10.0.0.9 'sudo timedatectl set-ntp true'"


def test_runs_on_record() -> None:
    origin = {"user": "eve", "machine": "tower"}
    found = [
        {"run": "r1", "origin": origin, "running": False, "processes": [{}, {}], "files": [{"size": 9}]},
        {"run": "r2", "origin": origin, "running": True, "processes": [{}], "files": []},
        {"run": "r3", "origin": None, "running": False, "processes": [], "files": []},
    ]
    left, going = findings.judge_leftovers(replace(LAB, file="my lab.toml"), found)
    assert left.text.startswith("lab: 2 processes of run r1 of eve@tower are left there.")
    assert left.command == "python -m controller clean 'my lab.toml' r1"
    assert going.command == "python -m controller stop 'my lab.toml' r2"


def test_checkpoints_of_crashed_runs_are_one_sentence_a_host() -> None:
    left = {"origin": {"user": "eve", "machine": "tower"}, "running": False, "processes": []}
    one = {**left, "run": "r1", "files": [{"size": 2_000_000}, {"size": 500_000}]}
    (finding,) = findings.judge_leftovers(LAB, [one])
    assert finding.text.startswith("lab: checkpoints of run r1 of eve@tower that crashed are left there (2.5 MB). Rem")
    assert finding.command == "python -m controller clean r1"
    (finding,) = findings.judge_leftovers(LAB, [one, {**one, "run": "r2"}])
    assert finding.text.startswith("lab: checkpoints of 2 runs that crashed are left there (5.0 MB).")
    assert finding.command == "python -m controller clean"
    assert list(findings.judge_leftovers(LAB, [one], going_on=["r1"])) == []


def test_a_public_address_is_told() -> None:
    assert list(findings.judge_address(LAB, "10.1.2.3")) == []
    (finding,) = findings.judge_address(LAB, "8.8.4.4")
    assert "public" in finding.text


def test_remedies_go_through_the_jump_host() -> None:
    (finding,) = findings.judge_clock(replace(LAB, jump="eve@gate"), 9.0, 0.0)
    assert finding.command.startswith("ssh -J eve@gate -p 2222 ada@10.0.0.9 ")


def test_a_lease_until_finished_is_named() -> None:
    (finding,) = judged(lease=math.inf, ends_at_logout=True)
    assert "as this one would be" in finding.text
