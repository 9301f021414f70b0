"""`python -m controller check`: real SSH servers of which some are in no state for a run, and what is made of facts."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import findings
from controller.agent import facts as agent_facts
from controller.agent import probes
from controller.agent.processes import read_process
from controller.checks import check
from controller.cli import main
from controller.hosts import Host
from garfield import settings
from tests import sshd

needs_sshd = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))
VALUES = settings.defaults() | {"dataset": "digits"}
CONNECT_WITHIN = 2.0

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


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
    """A server under several names; the working folder and the hosts' homes are tmp_path."""
    with sshd.running(tmp_path, ("lab1", "lab2", "lab3"), {"GARFIELD_HOME": str(tmp_path / "remote")}) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        monkeypatch.chdir(tmp_path)
        yield server


def write_hosts(*hosts: str) -> None:
    text = "".join(f"[[host]]\n{host}\n" for host in hosts)
    Path("hosts.toml").write_text(f'{text}[experiment]\ndataset = "digits"\naggregator = "average"\n')


@pytest.fixture
def torchless(tmp_path: Path) -> Path:
    """A Python without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return tmp_path / "bare/bin/python"


@needs_sshd
def test_four_hosts_of_which_three_fail(
    server: sshd.Server, torchless: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is well, one down, one without torch, one shows a key that nobody trusts: all told within the timeout."""
    monkeypatch.setattr("controller.servers.CONNECT_WITHIN", CONNECT_WITHIN)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing, as a dead machine
        port = silent.getsockname()[1]
        write_hosts(
            f'name = "lab1"\npython = "{sys.executable}"\nservers = 1\nworkers = 1',
            f'name = "down"\naddress = "127.0.0.1"\nport = {port}\nworkers = 1',
            f'name = "lab3"\npython = "{torchless}"\nworkers = 1',
            f'name = "new"\naddress = "localhost"\nport = {server.port}\nworkers = 1',
        )
        began = time.monotonic()
        code = main(["check"])
        seconds = time.monotonic() - began
        json_code = main(["check", "--json"])
    told = capsys.readouterr()
    assert code == 1
    assert CONNECT_WITHIN <= seconds < CONNECT_WITHIN + 6
    lines = told.out.splitlines()
    states = [re.split("  +", line)[:2] for line in lines[1:5]]
    assert states == [["lab1", "ready"], ["down", "unreachable"], ["lab3", "problem"], ["new", "key unknown"]]
    assert f"✗ down: no answer from 127.0.0.1 port {port} within 2 s" in told.out
    assert "✗ lab3: its Python has no torch" in told.out
    assert f"install it with: ssh lab3 '{torchless} -m pip install torch==" in told.out
    assert "✗ new: its host key is unknown: ssh-ed25519 SHA256:" in told.out
    assert "python -m controller trust new" in told.out
    *_, last, answer = lines
    assert last == "4 hosts checked: 3 of 4 hosts can't take part."

    answer = json.loads(answer)
    assert json_code == 1
    assert answer["ok"] is False
    assert [(host["host"], host["ok"]) for host in answer["hosts"]] == [
        ("lab1", True), ("down", False), ("lab3", False), ("new", False)
    ]  # fmt: skip
    well = answer["hosts"][0]
    assert well["facts"]["packages"]["torch"].startswith("2.")
    assert well["listens"][0].startswith("127.0.0.1:")
    assert abs(well["skew"]) < 1


@needs_sshd
def test_hosts_that_are_well(server: sshd.Server, capsys: pytest.CaptureFixture[str]) -> None:
    write_hosts(*(f'name = "lab{n}"\npython = "{sys.executable}"\nservers = 1\nworkers = 1' for n in (1, 2, 3)))
    code = main(["check"])
    told = capsys.readouterr()
    assert code == 0, told.out
    assert told.out.splitlines()[-1] == "3 hosts checked: every host is ready."
    assert told.err == "", "progress is for terminals"


@needs_sshd
async def test_progress_names_who_is_slow(server: sshd.Server) -> None:
    told: list[tuple[int, tuple[str, ...]]] = []
    hosts = [Host(name, python=sys.executable, workers=1) for name in ("lab1", "lab2")]
    checked = await check(hosts, VALUES, 15.0, lambda done, waiting: told.append((done, tuple(waiting))))
    assert [done for done, _ in told] == [1, 2]
    assert told[0][1] in (("lab1",), ("lab2",))
    assert [one.state for one in checked.hosts] == ["ready", "ready"]


@needs_sshd
async def test_what_is_no_python_and_hangs(server: sshd.Server, tmp_path: Path) -> None:
    hosts = [Host("lab1", python="/nowhere/python", workers=1), Host("lab2", python=sys.executable, workers=1)]
    checked = await check(hosts, VALUES, 15.0)
    assert [one.state for one in checked.hosts] == ["not started", "ready"]
    assert "/nowhere/python is not there" in checked.hosts[0].findings[0].text


def test_a_hosts_file_with_problems_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_hosts('name = "-oProxyCommand=touch pwned"\nworkers = 1')
    assert main(["check"]) == 1
    assert "hosts.toml: line 2: name" in capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()


@needs_sshd
async def test_what_is_left_on_a_machine_is_told_once(server: sshd.Server, tmp_path: Path) -> None:
    """Under the first of two names of the machine, as the record of a run and its environment say."""
    place = agent_facts.place()
    left = await asyncio.create_subprocess_exec("sleep", "60", env={**os.environ, "GARFIELD_RUN": "lost"})
    process = read_process(left.pid)
    record = {"run": "lost", "host": "lab2", "origin": {"user": "eve", "machine": "tower"}, "uid": os.getuid(), **place}
    record["processes"] = [{"what": "0", "pid": process.pid, "start": process.start}]
    folder = tmp_path / "remote/records"
    folder.mkdir(parents=True)
    (folder / f"{place['machine']}-lost-1.json").write_text(json.dumps(record))
    try:
        checked = await check([Host(n, python=sys.executable, workers=1) for n in ("lab1", "lab2")], VALUES, 15.0)
    finally:
        left.kill()
        await left.wait()
    (finding,) = [found for one in checked.hosts for found in one.findings if found.about == "leftovers"]
    assert finding.text == "lab1: 1 process of run lost of eve@tower is left there. End it with:"
    assert finding.command == "python -m controller clean lost"


# What is made of facts


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


def test_a_clock_is_judged_by_what_is_certain() -> None:
    assert list(findings.judge_clock(LAB, 1.4, 0.5)) == []
    (finding,) = findings.judge_clock(LAB, -3.0, 0.5)
    assert "3.0 s behind ours" in finding.text
    assert finding.command == "ssh -p 2222 ada@10.0.0.9 'sudo timedatectl set-ntp true'"


def test_runs_on_record() -> None:
    origin = {"user": "eve", "machine": "tower"}
    found = [
        {"run": "r1", "origin": origin, "running": False, "processes": [{}, {}]},
        {"run": "r2", "origin": origin, "running": True, "processes": [{}]},
        {"run": "r3", "origin": None, "running": False, "processes": []},
    ]
    left, going = findings.judge_leftovers(replace(LAB, file="my lab.toml"), found)
    assert left.text.startswith("lab: 2 processes of run r1 of eve@tower are left there.")
    assert left.command == "python -m controller clean 'my lab.toml' r1"
    assert going.command == "python -m controller stop 'my lab.toml' r2"


def test_a_public_address_is_told() -> None:
    assert list(findings.judge_address(LAB, "10.1.2.3")) == []
    (finding,) = findings.judge_address(LAB, "8.8.4.4")
    assert "public" in finding.text


def test_remedies_go_through_the_jump_host() -> None:
    (finding,) = findings.judge_clock(replace(LAB, jump="eve@gate"), 9.0, 0.0)
    assert finding.command.startswith("ssh -J eve@gate -p 2222 ada@10.0.0.9 ")


# What a host finds out about itself


def test_gpus_as_nvidia_smi_tells_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\ncase $1 in\n"
        "--query-gpu*) echo '1, GPU-b, NVIDIA H100 80GB HBM3, 81559, 4'; echo '0, GPU-a, NVIDIA H100, 81559, 40000';;\n"
        f"*) echo 'GPU-a, {os.getpid()}, 2048'; echo 'GPU-a, 4194304, [N/A]'; echo nonsense;; esac\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    first, second = probes.gpus(probes.ask_gpus())
    assert (first["index"], first["name"], first["memory"]) == (0, "NVIDIA H100", 81559 << 20)
    assert first["held"][0].startswith("2.0 GB by ")
    assert first["held"][1] == "process 4194304"
    assert (second["index"], second["held"]) == (1, [])
    tool.write_text("#!/bin/sh\necho no driver; exit 9\n")
    assert probes.gpus(probes.ask_gpus()) == []


def test_a_tool_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = probes.Child("sleep", "60")
    assert child.answer(0.05) is None
    assert probes.Child("/nowhere/tool").answer(1) is None


def test_packages_are_found_without_importing_them() -> None:
    found = probes.packages(probes.ask_packages({**findings.MODULES, "nothing_like_it": "nothing"}))
    assert found["torch"].startswith(findings.pinned("torch"))
    assert "nothing" not in found


@pytest.mark.parametrize(
    ("texts", "ends"),
    [
        ([], False),
        (["[Login]\n#KillUserProcesses=yes\n"], False),
        (["[Login]\nKillUserProcesses=yes\n"], True),
        (["[Login]\nKillUserProcesses=yes\n", "[Login]\nKillUserProcesses=no\n"], False),
        (["[Login]\nKillUserProcesses = true\nKillExcludeUsers = root ada\n"], False),
    ],
)
def test_logind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], ends: bool) -> None:
    monkeypatch.setattr(probes.os.path, "isdir", lambda path: True)
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.conf").write_text(text)
    assert probes.ends_at_logout("ada", [str(tmp_path), "/nowhere"]) is ends


def test_space_and_files(tmp_path: Path) -> None:
    assert probes.free_space(f"{tmp_path}/not/yet/there") > 0
    (tmp_path / "a").write_text("")
    assert probes.missing_files(str(tmp_path), ["a", "b/c"]) == ["b/c"]


def test_a_lease_until_finished_is_named() -> None:
    (finding,) = judged(lease=math.inf, ends_at_logout=True)
    assert "as this one would be" in finding.text
