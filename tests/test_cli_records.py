"""python -m controller show and export: what is told of a recorded run, and the rows that a figure is made from."""

import csv
import io
import json
import re
import shutil
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from controller.cli import export, main
from controller.cli.words import recorded_run
from controller.runs import Recorder, read_run
from controller.runs.export import Gone, rows
from controller.runs.report import report
from tests.clitools import command, here
from tests.simulated import Fault, simulate

__all__ = ["here"]  # the fixture

README = Path(__file__).parent.parent / "README.md"


def record(here: Path, run: str, **options: object) -> list[dict]:
    """A simulated run in the runs folder of `here`."""
    records = list(simulate(**options))
    told = {key: value for key, value in records[0].items() if key not in ("n", "received", "kind", "rank", "host")}
    writer = Recorder(here / "home/state/runs" / run, told | {"started": records[0]["received"], "summary": "6 ranks"})
    for one in records:
        writer.write(one)
    writer.close(records[-1])
    return records


def exported(here: Path, *words: str) -> list[dict[str, str]]:
    done = command(here, "export", *words)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_every_value_of_every_step_is_a_row(here: Path) -> None:
    records = record(here, "r1", steps=60)
    found = exported(here, "r1")
    assert list(found[0]) == ["run", "time", "step", "rank", "role", "metric", "value"]
    losses = {(int(row["rank"]), int(row["step"])): float(row["value"]) for row in found if row["metric"] == "loss"}
    assert losses == {(one["rank"], one["step"]): one["loss"] for one in records if one["kind"] == "step"}
    weights = [row for row in found if row["metric"] == "weight_by_0" and row["step"] == "7"]
    assert [row["role"] for row in weights] == ["worker"] * 5
    assert statistics.fsum(float(row["value"]) for row in weights) == pytest.approx(1)
    computing = [float(row["value"]) for row in found if row["metric"] == "seconds_compute" and row["rank"] == "3"]
    assert 0.05 < statistics.median(computing) < 0.13
    times = [float(row["time"]) for row in found]
    assert times == sorted(times)
    assert times[0] > 5, "the launch took that long"
    assert {row["metric"] for row in exported(here, "r1", "--metric", "accuracy")} == {"accuracy"}


def test_a_metric_that_no_run_recorded_is_refused_with_those_that_there_are(here: Path) -> None:
    record(here, "r1", steps=5)
    for words in (["--metric", "nonsense"], ["--metric", "loss", "--metric", "nonsense", "-o", "rows.csv"]):
        done = command(here, "export", "r1", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("r1 recorded no nonsense; the metrics there are: accuracy, bytes_received, ")
        assert ", loss, " in done.stderr
    assert not (here / "rows.csv").exists()


def test_an_export_as_json_says_what_each_run_was(here: Path) -> None:
    records = record(here, "r1", steps=60)
    record(here, "r2", steps=10)
    told = json.loads(command(here, "export", "r1", "--json", "--metric", "accuracy").stdout)
    (run,) = told["runs"]
    assert run["values"][-1]["value"] == run["accuracy"] == records[-1]["accuracy"]
    assert set(run["values"][0]) == {"time", "step", "rank", "role", "metric", "value"}
    assert (run["run"], run["outcome"], run["steps"]) == ("r1", "finished", 60)
    assert run["parameters"] == records[0]["values"]
    done = command(here, "export", "r1", "r2", "-o", "both.json")
    assert (done.returncode, done.stdout) == (0, "")
    first, second = json.loads((here / "both.json").read_text())["runs"]
    rows = [row | {"run": "r2"} for row in exported(here, "r2")]
    assert [{key: str(value) for key, value in one.items()} for one in second["values"]] == [
        {key: value for key, value in row.items() if key != "run"} for row in rows
    ]
    assert len(first["values"]) > len(second["values"]) > 0


def test_several_runs_go_into_one_file(here: Path) -> None:
    for run in ("r1", "r2"):
        record(here, run, steps=10)
    done = command(here, "export", "r1", "r2", "-o", "both.csv", "--metric", "loss")
    assert (done.returncode, done.stdout) == (0, "")
    found = list(csv.DictReader((here / "both.csv").open()))
    assert {row["run"] for row in found} == {"r1", "r2"}
    assert len(found) == 2 * 6 * 10
    refused = command(here, "export", "r1", "-o", "no/such/folder.csv")
    assert refused.returncode == 1
    assert "no/such/folder.csv can't be written" in refused.stderr


@pytest.mark.parametrize("words", [["-o", "rows.csv"], ["-o", "rows.json"], ["-o", "rows.csv", "--metric", "loss"]])
def test_a_run_that_goes_while_it_is_exported_is_refused(here: Path, monkeypatch, capsys, words: list[str]) -> None:
    """It was there when it was named."""
    for run in ("r1", "r2"):
        record(here, run, steps=10)
    monkeypatch.setenv("GARFIELD_HOME", str(here / "home"))
    monkeypatch.chdir(here)
    target = here / words[1]
    target.write_text("mine")
    named = read_run(here / "home/state/runs/r2")
    monkeypatch.setattr(export, "recorded_run", lambda word: named if word == "r2" else recorded_run(word))
    shutil.rmtree(named.folder)
    assert main(["export", "r1", "r2", *words]) == 1
    assert f"simulated (r2) is not there any more: {named.folder} was deleted or moved." in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_a_run_that_goes_while_it_is_read_is_told(here: Path) -> None:
    record(here, "r1", steps=10)
    run = read_run(here / "home/state/runs/r1")
    found = rows(run)
    next(found)
    shutil.rmtree(run.folder)
    with pytest.raises(Gone, match=r"\(r1\) is not there any more"):
        list(found)


def test_rows_are_made_one_by_one(here: Path) -> None:
    """A long run is never held as a whole."""
    record(here, "r1", steps=60)
    few = rows(read_run(here / "home/state/runs/r1"))
    assert next(few).step == 1
    few.close()


def test_the_figure_of_the_readme(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code is run as it stands there, but for the drawing itself."""
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "plot" in code]
    assert len([line for line in code.splitlines() if line]) == 8
    drawn: dict[str, tuple] = {}
    plots = SimpleNamespace(
        plot=lambda steps, values, label: drawn.update({label: (steps, values)}),
        **dict.fromkeys(("legend", "xlabel", "ylabel", "savefig"), lambda *_: None),
    )
    monkeypatch.setitem(sys.modules, "matplotlib", SimpleNamespace(pyplot=plots))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", plots)
    records = record(here, "r1", steps=120)
    assert command(here, "export", "r1", "-o", "runs.csv").returncode == 0
    monkeypatch.chdir(here)
    exec(code, {})
    assert drawn == {"r1": ((50, 100, 120), tuple(one["accuracy"] for one in records if one["kind"] == "evaluation"))}


def test_a_run_is_shown_whole(here: Path) -> None:
    record(here, "r1", steps=60, faults=[Fault(2, 30, "crash")])
    shown = command(here, "show", "r1")
    assert shown.returncode == 0, shown.stderr
    for part in (
        "failed after 30 steps",
        "by alice@desk",
        "root cause: worker 2 on here: exit code 1: RuntimeError: a plausible error",
        "  | RuntimeError: a plausible error",
        "attackers: rank 1",
        "  aggregator   multi-krum            [vanilla]",
        "  here  this machine  0 1 2 3 4 5  3.11.2  2.13.0",
        "digits, iid: at random: all shards are alike; 288 samples a worker",
        "launched by alice on desk",
    ):
        assert part in shown.stdout
    assert "num_workers" not in shown.stdout
    told = json.loads(command(here, "show", "--json").stdout)
    assert (told["run"], told["outcome"], told["attackers"]) == ("r1", "failed", [1])
    assert told["last_words"][-1] == "RuntimeError: a plausible error"
    assert told["parameters"]["byz_workers"] == 1


def test_the_classes_of_each_shard_are_shown(here: Path) -> None:
    records = record(here, "r1", steps=2)
    begun = [one | {"classes": [one["rank"], 7]} for one in records if one["kind"] == "begin"]
    writer = Recorder(here / "home/state/runs/r2", {"values": {"shards": "by-label"}})
    for one in (records[0], *begun):
        writer.write(one)
    writer.close({"outcome": "stopped"})
    (here / "home/state/runs/r2/model.pt").touch()
    lines = command(here, "show", "r2").stdout.splitlines()
    assert "  worker 5  5  7" in lines
    assert f"model: {here}/home/state/runs/r2/model.pt" in lines


def test_a_damaged_run_is_shown_as_far_as_it_goes(here: Path) -> None:
    record(here, "r1", steps=20)
    folder = here / "home/state/runs/r1"
    (folder / "run.json").write_bytes(b"{")
    (packed,) = folder.glob("*.gz")
    packed.write_bytes(packed.read_bytes()[:-500])
    found = report(read_run(folder))
    assert len(found.damage) == 2
    shown = command(here, "show", "r1")
    assert shown.returncode == 0
    assert shown.stderr.count("\n") == 2
    assert "Traceback" not in shown.stderr
    assert command(here, "export", "r1").returncode == 1
