"""What a rank tells: events for the controller, lines for a person who started it by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from garfield.events import (
    Back,
    Begin,
    Checkpoint,
    End,
    Evaluation,
    Event,
    EventWriter,
    Failure,
    Lost,
    Notice,
    Phase,
    Stalled,
    Step,
)

MOST_CLASSES = 1000  # whose counts an event holds


class Report:
    """Tells of one rank. `loud` ranks, those started by hand, print what the controller would show.

    `log` prints the loss of each step, `bench` where its time went.
    """

    def __init__(self, rank: int, writer: EventWriter, loud: bool, log: bool, bench: bool) -> None:
        self._rank, self._writer, self._loud, self._log, self._bench = rank, writer, loud, log, bench
        self.evaluated = -1  # the step of the last evaluation that was told

    def phase(self, phase: str, detail: str = "") -> None:
        """What the rank is busy with now."""
        self._tell(Phase(phase, detail), f"{phase}: {detail}" if detail else phase)

    def begin(
        self, total_steps: int, steps_per_epoch: int, dimension: int, samples: int, classes: Sequence[int] = ()
    ) -> None:
        """Training is about to begin. `classes`: a worker's samples of each class; of very many nothing is told."""
        told = list(classes) if len(classes) <= MOST_CLASSES else []
        split = f" ({', '.join(map(str, told))} of each class)" if told else ""
        self._tell(
            Begin(total_steps, steps_per_epoch, dimension, samples, told),
            f"{total_steps} steps, {steps_per_epoch} an epoch; {dimension} parameters, {samples} samples{split}",
        )

    def step(self, step: Step, epoch_loss: float | None = None) -> None:
        """A step is over. `epoch_loss`: a worker's loss, summed since the epoch began."""
        self._writer.write(step)
        if self._log:
            loss = "-" if step.loss is None else f"{step.loss:.6g}"
            total = "" if epoch_loss is None else f", since the epoch began {epoch_loss:.6g}"
            self._print(f"step {step.step} loss {loss}{total}")
        if self._bench:
            parts = ", ".join(f"{name} {1000 * seconds:.2f}" for name, seconds in step.parts.items())
            traffic = f"{step.bytes_sent / 1e6:.2f} MB out, {step.bytes_received / 1e6:.2f} MB in"
            self._print(f"step {step.step} took {1000 * step.seconds:.2f} ms ({parts}); {traffic}")

    def evaluation(self, evaluation: Evaluation) -> None:
        """An accuracy is known."""
        accuracy, samples, seconds = evaluation.accuracy, evaluation.samples, evaluation.seconds
        text = f"step {evaluation.step} accuracy {accuracy:.4f} on {samples} test samples ({seconds:.2f} s)"
        self._tell(evaluation, text)
        self.evaluated = evaluation.step

    def checkpoint(self, saved: Checkpoint) -> None:
        """The model is on disk."""
        self._tell(saved, f"step {saved.step} saved as {saved.name} ({saved.bytes / 1e6:.1f} MB)")

    def notice(self, level: str, text: str) -> None:
        """Something that ends nothing."""
        self._tell(Notice(level, text), f"{level}: {text}")

    def stalled(self, peer: int, step: int, seconds: float, text: str) -> None:
        """Nothing of the rank `peer` has counted for a while."""
        self._tell(Stalled(peer, step, seconds, text), f"warning: {text}")

    def lost(self, peer: int, step: int, text: str) -> None:
        """The link to the rank `peer` is lost."""
        self._tell(Lost(peer, step, text), f"warning: {text}")

    def back(self, peer: int, step: int, text: str) -> None:
        """What the rank `peer` sends counts again."""
        self._tell(Back(peer, step, text), f"info: {text}")

    def failure(self, text: str, missing: list[int]) -> None:
        """Why the rank is about to end."""
        self._writer.write(Failure(text, missing))
        print(f"rank {self._rank}: {text}", file=sys.stderr, flush=True)

    def end(self, step: int, reason: str) -> None:
        """The rank is done."""
        self._tell(End(step, reason), f"{reason} after {step} steps")

    def _tell(self, event: Event, text: str) -> None:
        self._writer.write(event)
        if self._loud:
            self._print(text)

    def _print(self, text: str) -> None:
        print(f"rank {self._rank}: {text}", flush=True)
