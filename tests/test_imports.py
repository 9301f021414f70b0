"""Walls between the parts: who may import what, and that a laptop without torch can drive a cluster."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "numpy", "sklearn")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "controller").rglob("*.py")
    if "agent" not in path.parts and path.name != "__main__.py"
)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def loaded_by(*modules: str) -> set[str]:
    """Top-level names in sys.modules after importing `modules` in a process of its own."""
    lines = [f"import {module}" for module in modules]
    done = python("\n".join([*lines, "import sys, json; print(json.dumps(sorted(sys.modules)))"]))
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, at the top or inside functions, as absolute names."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_the_controller_and_the_tui_never_load_what_only_ranks_need() -> None:
    assert not loaded_by(*MODULES, "tui", "controller.__main__").intersection(HEAVY)


def test_the_controller_and_the_tui_load_where_there_is_no_torch_at_all() -> None:
    """As on a laptop with only textual, asyncssh and tomlkit."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {HEAVY}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import importlib\n"
        "for module in sys.argv[1:]: importlib.import_module(module)\n"
        "from controller.cli import main\n"
        "sys.exit(main(['paths']))\n"
    )
    done = python(code, *MODULES, "tui")
    assert done.returncode == 0, done.stderr
    assert "runs" in done.stdout


def test_the_state_is_pure() -> None:
    assert not loaded_by("controller.state").intersection(("asyncio", "textual", *HEAVY))
    for path in files("controller/state"):
        strangers = {name for name in imports_of(path) if name.partition(".")[0] in ("time", "datetime")}
        assert not strangers, f"{path.name} has a clock: {strangers}"


def test_ssh_is_loaded_only_when_there_is_something_to_connect_to() -> None:
    assert "asyncssh" not in loaded_by("controller.cli.run", "controller.cli.attend", "controller.cluster")
    assert "asyncssh" not in loaded_by("tui", "controller.ui.app")


def test_textual_is_for_screens_only() -> None:
    assert "textual" not in loaded_by(*(name for name in MODULES if not name.startswith("controller.ui")))


def test_a_screen_never_talks_to_a_connection() -> None:
    beyond = ("connection", "ssh", "cluster", "hostsession", "visit", "agent", "shipping")
    walls = {f"controller.{name}" for name in beyond}
    assert {path.name: found for path in files("controller/ui") if (found := imports_of(path) & walls)} == {}


def test_nothing_below_the_screens_knows_them() -> None:
    below = [path for path in files("controller") if "ui" not in path.parts]
    assert len(below) > 30
    for path in below:
        assert not {name for name in imports_of(path) if name.startswith(("controller.ui", "textual"))}, path.name


def test_the_agent_needs_nothing_but_python() -> None:
    """It runs on hosts where neither our code nor any package is installed; the shipped trainer is imported late."""
    agent = files("controller/agent")
    assert agent
    for path in agent:
        for name in imports_of(path):
            ours = name.startswith(("controller.agent", "garfield.trainer"))
            assert ours or name.partition(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_help_is_quick() -> None:
    """CPU time, which other work on the machine doesn't change much."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "controller", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    after = os.times()
    assert done.returncode == 0
    assert "launch a run" in done.stdout
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 0.3
