"""Checkpoints: saving one beside the training, loading one, going on from one.

    from garfield import checkpoints
    model = checkpoints.load("model.pt").model()

A checkpoint is a dict that torch.load reads with weights_only=True: "model" is the state_dict of the module, "state"
what the parts of a parameter server (optimiser, aggregator) need to go on. `garfield.checkpointfile` tells the rest.
"""

from __future__ import annotations

import contextlib
import copy
import os
import queue
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from garfield import checkpointfile, experiment, models, normalisation
from garfield.checkpointfile import CheckpointError, Description
from garfield.events import Checkpoint as Saved
from garfield.rank import Rank, TrainingError
from garfield.transport import Wake
from garfield.vector import FlatModel

KEPT = 2  # checkpoints of a run under way that are left on disk

State = dict[str, Tensor]


class Part(Protocol):
    """A part of a parameter server that remembers something from step to step, as vectors (d,)."""

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True)
class Checkpoint:
    """What `load` found: the `weights` are the model's state_dict, `state` that of each part by its name."""

    description: Description
    weights: State
    state: Mapping[str, State]

    @property
    def step(self) -> int:
        """The steps that the model was trained for."""
        return self.description.step

    def model(self) -> models.Fitted:
        """The model, ready to evaluate. Its statistics of batch normalisation are those that the server estimated.

        It takes images as `garfield.datasets` gives them, (N, channels, height, width), to outputs (N, classes).
        Raises CheckpointError if the file holds another model than it says.
        """
        model = models.model_of(self.description.values)
        _put_into(model, self.weights)
        return model.eval()


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint in the file `path`. Raises CheckpointError, one sentence; nothing in the file is executed."""
    path = Path(path)
    description = checkpointfile.read(path, whole=True)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        weights, state = dict(found["model"]), {name: dict(part) for name, part in found["state"].items()}
        _check(description, weights, state)
    except Exception as error:  # whatever a file made to do so brings torch to
        reason = str(error) if isinstance(error, CheckpointError) else f"{type(error).__name__} on loading it"
        raise CheckpointError(f"{path} is no checkpoint that can be used: {reason}.") from None
    return Checkpoint(description, weights, state)


def _check(description: Description, weights: State, state: Mapping[str, State]) -> None:
    """That these are plain tensors of sizes that go together. Raises CheckpointError."""
    if sum(weight.numel() for weight in weights.values() if _is_plain(weight)) < description.dimension:
        raise CheckpointError(f"it holds fewer than the {description.dimension} numbers of its model")
    if not all(map(_is_plain, weights.values())):
        raise CheckpointError("its model holds something else than tensors")
    for part, vectors in state.items():
        for vector in vectors.values():
            if not _is_plain(vector) or (vector.shape, vector.dtype) != ((description.dimension,), torch.float32):
                raise CheckpointError(f"the state of its {part} does not fit its model")


def _is_plain(tensor: Any) -> bool:
    """Whether it is a tensor that has all its numbers in memory: one of stride 0 may claim to be of any size."""
    on_cpu = isinstance(tensor, Tensor) and tensor.device.type == "cpu"
    return on_cpu and tensor.layout is torch.strided and tensor.is_contiguous()


def resume(values: Mapping[str, Any], model: FlatModel, parts: Mapping[str, Part]) -> int:
    """Put `model` and `parts` into the state of the checkpoint that `values` name; its step, 0 where they name none.

    Raises TrainingError.
    """
    if not values["resume"]:
        return 0
    try:
        checkpoint = load(Path(values["resume"]).expanduser())
        told = checkpoint.description
        for finding in checkpointfile.findings(told, values):
            if finding.level == "error":
                raise CheckpointError(finding.text)
        if told.dimension != model.dimension:
            raise CheckpointError(f"dimension = {model.dimension}: the checkpoint is of dimension = {told.dimension}.")
        _put_into(model.module, checkpoint.weights)
    except CheckpointError as error:
        raise TrainingError(f"resume: {error}") from None
    for name, part in parts.items():
        # What one rule remembers is nothing to another.
        if name not in values or values[name] == told.values[name]:
            part.load_state_dict(checkpoint.state.get(name, {}))
    return checkpoint.step


def _put_into(module: nn.Module, weights: State) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError:
        raise CheckpointError("the checkpoint holds the weights of another model than it says.") from None


@dataclass(frozen=True)
class _Snapshot:
    step: int
    model: Tensor
    state: Mapping[str, State]
    final: bool


class Saver:
    """Saves the model and the `parts` of a parameter server, in a thread; while it writes, only the newest waits.

    `training` are the images to estimate statistics of batch normalisation on. A file that can't be written is told and
    ends nothing.
    """

    def __init__(
        self, rank: Rank, model: FlatModel, parts: Mapping[str, Part], training: Sequence[Tensor] = ()
    ) -> None:
        self._rank, self._parts, self._training = rank, parts, training
        self._folder = Path(rank.values["checkpoint_dir"] or ".").expanduser()
        attacks = rank.number in experiment.byzantine_ranks(rank.values, "ps")
        self._name = f"ps{rank.number}" + ("-attacker" if attacks else "")
        self._shapes = {name: tensor.shape for name, tensor in model.module.named_parameters()}
        self._buffers = {name: x.cpu().clone() for name, x in _buffers(model).items()}
        self._estimating = FlatModel(copy.deepcopy(model.module), model.device) if training else None
        self._statistics: int | None = None
        self._kept: list[Path] = []
        self._waiting: queue.Queue[_Snapshot] = queue.Queue(1)
        threading.Thread(target=self._run, name="checkpoints", daemon=True).start()

    @property
    def idle(self) -> bool:
        """Whether everything is written."""
        return not self._waiting.unfinished_tasks

    def due(self, step: int) -> bool:
        """Whether a checkpoint is to be saved after `step` steps: now and then, or because somebody asked for it."""
        every, asked = self._rank.values["checkpoint_every"], self._rank.checkpoint_asked
        if asked.is_set():
            asked.clear()
            return True
        return bool(every) and step % every == 0

    def submit(self, step: int, model: Tensor, final: bool = False) -> None:
        """Save what there is after `step` steps, with the model (d,); `final`: it is the last of the run."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        snapshot = _Snapshot(step, model.clone(), state, final)
        with contextlib.suppress(queue.Empty):
            self._waiting.get_nowait()
            self._waiting.task_done()
        self._waiting.put_nowait(snapshot)

    def wait(self, seconds: float) -> bool:
        """Wait until everything is written, or for `seconds`; whether it is."""
        with self._waiting.all_tasks_done:
            return self._waiting.all_tasks_done.wait_for(lambda: self.idle, seconds)

    def _run(self) -> None:
        while True:
            snapshot = self._waiting.get()
            try:
                self._save(snapshot)
            except Exception as error:  # torch tells of a full disk as RuntimeError; no training ends for want of one
                reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
                text = f"the checkpoint of step {snapshot.step} could not be written to {self._folder}: {reason}."
                self._rank.report.notice("warning", text)
            self._waiting.task_done()
            self._rank.inbox.put(Wake())

    def _save(self, snapshot: _Snapshot) -> None:
        name = f"{self._name}-final.pt" if snapshot.final else f"{self._name}-step-{snapshot.step:06}.pt"
        path = self._folder / name
        if self._estimating:
            if snapshot.final:
                self._write(path, snapshot)  # there may be no time to estimate anything when we were told to stop
            self._estimate(snapshot)
        self._write(path, snapshot)
        self._rank.report.checkpoint(Saved(snapshot.step, name, path.stat().st_size))
        if not snapshot.final:
            self._kept = [*(older for older in self._kept if older != path), path]
            while len(self._kept) > KEPT:
                self._kept.pop(0).unlink(missing_ok=True)

    def _estimate(self, snapshot: _Snapshot) -> None:
        model = self._estimating
        model.parameters.copy_(snapshot.model)
        normalisation.estimate(model.module, self._training)
        self._buffers = {name: x.cpu().clone() for name, x in _buffers(model).items()}
        self._statistics = snapshot.step

    def _write(self, path: Path, snapshot: _Snapshot) -> None:
        lengths = [shape.numel() for shape in self._shapes.values()]
        parts = zip(self._shapes.items(), snapshot.model.split(lengths), strict=True)
        weights = {name: part.view(shape) for (name, shape), part in parts}
        described = checkpointfile.describe(self._rank.values, snapshot.step, len(snapshot.model), self._statistics)
        write(path, described, weights | self._buffers, snapshot.state)


def _buffers(model: FlatModel) -> State:
    parameters = {name for name, _ in model.module.named_parameters()}
    return {name: tensor for name, tensor in model.module.state_dict().items() if name not in parameters}


def write(path: Path, description: Description, weights: State, state: Mapping[str, State]) -> None:
    """Write a checkpoint whole or not at all. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name.partition('-')[0]}-{os.getpid()}.new")
    try:
        with open(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
            torch.save({"model": weights, "state": dict(state)}, file)
            with zipfile.ZipFile(file, "a") as archive:
                folder = archive.namelist()[0].partition("/")[0]
                archive.writestr(f"{folder}/{checkpointfile.MEMBER}", description.to_json())
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _sync(path.parent)
    except BaseException:  # Ctrl-C, too
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _sync(folder: Path) -> None:
    """Have a rename in `folder` outlast a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
