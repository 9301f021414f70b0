"""What the README promises is there: its two commands, its tables, its example, and the file that CI runs."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from controller import reference
from controller.draft import Draft
from controller.hostsfile import HostsFile
from garfield import settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python tui.py --launch"
TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_first_screen_holds_exactly_the_two_commands():
    first_screen = "\n".join(README.splitlines()[:30])
    commands = re.findall(r"^```sh\n(.*?)^```", first_screen, re.DOTALL | re.MULTILINE)
    assert [command.strip() for command in commands] == [RUN, TEST]


def test_tables_are_up_to_date():
    assert set(re.findall(r"<!-- table: ([a-z ]+) -->", README)) >= {"parameters", "host keys"}
    assert reference.with_tables(README) == README, "renew them: python -m controller.reference README.md"


def test_table_of_parameters_names_each_once():
    rows = re.findall(r"^\| `([a-z_]+)`", reference.parameters(), re.MULTILINE)
    assert rows == list(settings.defaults("experiment"))


def test_renewing_writes_the_named_file(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- table: parameters -->\nold\n<!-- end -->\nb\n")
    assert reference.main([str(path)]) == 0
    assert path.read_text() == f"a\n<!-- table: parameters -->\n{reference.parameters()}<!-- end -->\nb\n"


def test_sample_of_the_outcome_is_json_with_what_run_prints():
    (sample,) = fenced("json")
    assert set(json.loads(sample)) == {
        "run", "outcome", "accuracy", "accuracies", "steps", "model", "seconds", "diverged", "root_cause",
        "cause", "left",
    }  # fmt: skip


def test_example_of_a_hosts_file_can_be_launched():
    (example,) = fenced("toml")
    file = HostsFile(Path("hosts.toml"), example, "read")
    assert file.problems == []
    for preset in (None, *file.presets):
        assert Draft(file, preset).plan().findings == ()


@pytest.mark.parametrize("preset", [None, "undefended", "clean"])
def test_shipped_hosts_file_can_be_launched(preset):
    plan = Draft(HostsFile.open(ROOT / "hosts.toml"), preset).plan()
    assert plan.errors == ()
    assert (plan.values["num_ps"], plan.values["num_workers"], plan.values["dataset"]) == (1, 5, "digits")


def test_paths_that_the_readme_names_are_there():
    named = re.findall(r"^\| `([\w./]+)` \|", README.split("## What is where")[1], re.MULTILINE)
    assert len(named) >= 5
    for path in [*named, "LICENSE", ".ci/run"]:
        assert (ROOT / path).exists(), path


def test_ci_is_executable_and_finds_the_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    pattern = re.search(r'grep -m1 -E "(.*?)" README.md', script.read_text())[1]
    found = [line for line in README.splitlines() if re.search(pattern, line)]
    assert found[0] == TEST


def test_packages_that_a_laptop_needs_are_dependencies():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {"textual", "asyncssh", "tomlkit"} <= {dependency.partition("==")[0] for dependency in dependencies}
