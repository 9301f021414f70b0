"""Accuracy on the whole test set, measured beside the training."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from garfield import normalisation
from garfield.datasets import Samples
from garfield.events import Evaluation
from garfield.transport import Event, Inbox, Result
from garfield.vector import FlatModel

CHUNK = 500  # samples of the test set, at most, that go through the model at once
PIXELS = CHUNK * 32 * 32  # the most of all of them together, as the model gets them


def accuracy(model: FlatModel, samples: Samples, training: Sequence[Tensor] = ()) -> float:
    """The share of `samples` that the model labels correctly.

    Statistics of batch normalisation are those of the batches of training images `training`.
    """
    normalisation.estimate(model.module, training)
    height, width = model.module.size
    chunk = max(1, min(CHUNK, PIXELS // (height * width)))
    right = 0
    with torch.inference_mode():
        for start in range(0, len(samples), chunk):
            output = model.module(samples.images[start : start + chunk].to(model.device))
            right += int((output.argmax(1).cpu() == samples.labels[start : start + chunk]).sum())
    return right / len(samples)


class Evaluator:
    """Evaluates snapshots of the model in a thread of its own; while it does, only the newest one waits.

    Each Evaluation, or why there is none, goes into `inbox` as a Result called "evaluation"; `handle` tells it on.
    """

    def __init__(
        self,
        model: FlatModel,
        samples: Samples,
        inbox: Inbox,
        told: Callable[[Evaluation], None],
        training: Sequence[Tensor] = (),
    ) -> None:
        self._model, self._samples, self._inbox, self._told, self._training = model, samples, inbox, told, training
        self._waiting: queue.Queue[tuple[int, Tensor]] = queue.Queue(1)
        self.submitted = 0  # the step of the newest snapshot, 0: none yet
        threading.Thread(target=self._run, name="evaluation", daemon=True).start()

    def submit(self, step: int, model: Tensor) -> None:
        """Evaluate the model (d,) as it is after `step` steps."""
        snapshot = model.clone()
        while True:
            try:
                self._waiting.put_nowait((step, snapshot))
                break
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                except queue.Empty:
                    continue
        self.submitted = step

    def handle(self, event: Event) -> None:
        """Tell of an evaluation that is over; raise why there is none."""
        match event:
            case Result("evaluation", _, Exception() as error):
                raise error
            case Result("evaluation", Evaluation() as evaluation):
                self._told(evaluation)

    def _run(self) -> None:
        while True:
            try:
                self._inbox.put(Result("evaluation", self._evaluate(*self._waiting.get())))
            except Exception as error:  # `handle` raises it in the thread that trains
                self._inbox.put(Result("evaluation", error=error))

    def _evaluate(self, step: int, snapshot: Tensor) -> Evaluation:
        began = time.perf_counter()
        self._model.parameters.copy_(snapshot)
        share = accuracy(self._model, self._samples, self._training)
        return Evaluation(step, share, len(self._samples), time.perf_counter() - began)
