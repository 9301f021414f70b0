"""What a check finds out on a host itself: GPUs, packages, space, logind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller import findings
from controller.agent import probes


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
