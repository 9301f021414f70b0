"""Training on the real MNIST, beside a plain SGD loop on the same global batches."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from garfield.bench import reference
from tests.training_ranks import train

FILES = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "MNIST" / "raw"


@pytest.mark.skipif(not FILES.is_dir(), reason=f"the real MNIST is not in {FILES}")
def test_vanilla_learns_as_a_plain_loop_does(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in FILES.glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    run = train(
        dataset="mnist", data_dir=str(tmp_path), num_workers=4, batch=64, steps=60, lr=0.05, momentum=0.9, timeout=60.0
    )
    [evaluation] = run.of("evaluation")
    assert (evaluation["step"], evaluation["samples"]) == (60, 10_000)
    torch.set_num_threads(1)
    plain = reference.train(run.values)
    assert plain > 0.8
    assert abs(evaluation["accuracy"] - plain) <= 0.05
