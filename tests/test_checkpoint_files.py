"""Files of checkpoints: what is damaged or hostile is one sentence, and a write is whole or not at all."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from garfield import checkpointfile, checkpoints, models, settings
from garfield.checkpointfile import CheckpointError
from garfield.vector import FlatModel

VALUES = settings.defaults() | {"dataset": "digits", "num_workers": 2}


def written(path: Path, step: int = 5, values: dict[str, Any] = VALUES, **told: Any) -> Path:
    """A checkpoint of a model that was not trained; `told` replaces keys of its description."""
    model = FlatModel(models.model_of(values))
    description = checkpointfile.describe(values, step, model.dimension, None)
    changed = checkpointfile.Description(**{**vars(description), **told})
    state = {"optimiser": {"velocity": torch.ones(model.dimension)}, "aggregator": {}}
    checkpoints.write(path, changed, model.module.state_dict(), state)
    return path


def saved(path: Path, content: Any, description: str | None = None) -> Path:
    """What torch.save makes of `content`, with a description beside it."""
    if description is None:
        description = checkpointfile.read(written(path)).to_json()
    torch.save(content, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{path.stem}/{checkpointfile.MEMBER}", description)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        checkpoints.load(path)
    text = str(refused.value)
    assert text.startswith(str(path))
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_what_is_written_is_read_by_torch_alone_and_by_us(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt")
    plain = torch.load(path, weights_only=True)
    found = checkpoints.load(path)
    assert list(plain) == ["model", "state"]
    assert found.step == 5
    assert found.description.values["dataset"] == "digits"
    assert all(torch.equal(plain["model"][name], weight) for name, weight in found.weights.items())
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["model.pt"]


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    """torch.load itself takes a model with a flipped bit."""
    path = written(tmp_path / "model.pt")
    whole = path.read_bytes()
    for share in range(1, 20):
        place = share * len(whole) // 20
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        refusal(path)
        path.write_bytes(whole[:place])
        refusal(path)
    path.write_bytes(b"")
    assert refusal(path) == f"{path} is no checkpoint, or a damaged one."


class Evil:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    path = saved(tmp_path / "x.pt", {"model": Evil(folder), "state": {}})
    assert "UnpicklingError" in refusal(path)
    assert not folder.exists()
    torch.load(path, weights_only=False)
    assert folder.exists()  # it would have


@pytest.mark.parametrize(
    "content",
    [
        [], {}, {"model": {}}, {"model": 3, "state": {}}, {"model": {}, "state": {"optimiser": 1}},
        {"model": {"inner.conv1.weight": torch.ones(1)}, "state": {}},
        {"model": {"inner.conv1.weight": torch.ones(1).expand(10**9)}, "state": {}},
        {"model": {"inner.conv1.weight": torch.ones(30000).to_sparse()}, "state": {}},
        {"model": {"x": torch.ones(30000)}, "state": {"optimiser": {"velocity": torch.ones(3)}}},
        {"model": {"x": torch.ones(30000)}, "state": {"optimiser": {"velocity": torch.ones(1).expand(21840)}}},
        {"model": {"x": torch.ones(30000, device="meta")}, "state": {}},
    ],
)  # fmt: skip
def test_contents_that_are_no_checkpoint(tmp_path: Path, content: Any) -> None:
    assert "no checkpoint that can be used" in refusal(saved(tmp_path / "x.pt", content))


def test_weights_of_another_model_than_it_says(tmp_path: Path) -> None:
    found = checkpoints.load(saved(tmp_path / "x.pt", {"model": {"x": torch.ones(30000)}, "state": {}}))
    with pytest.raises(CheckpointError, match="of another model than it says"):
        found.model()


@pytest.mark.parametrize(
    "description",
    [
        "", "{", "[]", "1", "null", "{}", "[" * 30000, '{"format": 2}',
        '{"format": 1, "step": 1, "rank": 0, "attacks": false, "dimension": 5, "statistics": null, "values": []}',
        '{"format": 1, "step": -1, "rank": 0, "attacks": false, "dimension": 5, "statistics": null, "values": {}}',
    ],
)  # fmt: skip
def test_descriptions_that_are_none(tmp_path: Path, description: str) -> None:
    refusal(saved(tmp_path / "x.pt", {}, description))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "resnet18; rm -rf"),
        ("seed", -1),
        ("lr", 1e999),
        ("aggregator", []),
        ("steps", True),
        ("dataset", None),
    ],
)
def test_values_that_can_not_be(tmp_path: Path, name: str, value: Any) -> None:
    told = json.loads(checkpointfile.read(written(tmp_path / "x.pt")).to_json())
    told["values"][name] = value
    assert "does not say what it is" in refusal(saved(tmp_path / "x.pt", {}, json.dumps(told)))


def test_archives_that_would_swell_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}))
        archive.writestr("x/data/0", b"\0" * (64 << 20))
        archive.writestr(f"x/{checkpointfile.MEMBER}", "{}")
    assert path.stat().st_size < 1 << 20
    assert refusal(path) == f"{path} is no checkpoint, or a damaged one."


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pt")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    refusal(path)


def test_what_may_change_on_a_resume_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pt", values=VALUES | {"steps": 10, "lr": 0.01})
    told = checkpointfile.read(path)
    more = {"steps": 20, "eval_every": 3, "epochs": 4, "timeout": 9.0, "data_dir": "/x", "checkpoint_every": 5}
    assert checkpointfile.findings(told, VALUES | more) == []
    (finding,) = checkpointfile.findings(told, VALUES | more | {"lr": 0.5, "aggregator": "median"})
    assert finding.level == "warning"
    assert "the checkpoint has lr = 0.01, aggregator = vanilla;" in finding.text
    (finding,) = checkpointfile.check(tmp_path / "none.pt", VALUES)
    assert (finding.level, finding.name) == ("error", "resume")


def test_more_steps_change_a_cosine(tmp_path: Path) -> None:
    told = checkpointfile.read(written(tmp_path / "x.pt", values=VALUES | {"steps": 10, "schedule": "cosine"}))
    (finding,) = checkpointfile.findings(told, VALUES | {"steps": 20, "schedule": "cosine"})
    assert "the checkpoint has steps = 10" in finding.text


def test_an_attackers_checkpoint_is_told(tmp_path: Path) -> None:
    told = checkpointfile.read(written(tmp_path / "x.pt", values=VALUES | {"steps": 10}, attacks=True))
    (finding,) = checkpointfile.findings(told, VALUES | {"steps": 20})
    assert "one of the attackers" in finding.text


WRITER = """
import sys
from pathlib import Path
from tests.test_checkpoint_files import written

step = 1
while True:
    written(Path(sys.argv[1]), step)
    print(step, flush=True)
    step += 1
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path, root = tmp_path / "model.pt", Path(__file__).parent.parent
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as writer:
        try:
            for line in writer.stdout:
                if int(line) == 3:
                    break
            # It is writing the next one: wait until that has begun.
            give_up = time.monotonic() + 30
            while not list(tmp_path.glob(".model*.new")):
                assert time.monotonic() < give_up
        finally:
            writer.send_signal(signal.SIGKILL)
    assert checkpoints.load(path).step >= 3


def test_a_write_that_fails_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "model.pt", 1)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        written(path, 2)
    assert checkpoints.load(path).step == 1
    assert os.listdir(tmp_path) == ["model.pt"]
