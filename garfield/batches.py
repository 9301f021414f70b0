"""The batch of each step, as an index cut of a shard, and the augmentation of training images on tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from garfield import randomness
from garfield.datasets import Samples

PADDING = 4  # pixels about an image before it is cropped, as the original trainer does


def crop_and_flip(images: Tensor, draw: torch.Generator, black: Tensor) -> Tensor:
    """Each of `images` (N, C, H, W) moved by up to 4 pixels in each direction, and half of them mirrored.

    What comes in from outside is `black` (C,): the value of a black pixel after normalisation.
    """
    count, channels, height, width = images.shape
    framed = black.to(images.dtype).view(1, channels, 1, 1).repeat(count, 1, height + 2 * PADDING, width + 2 * PADDING)
    framed[:, :, PADDING:-PADDING, PADDING:-PADDING] = images
    top, left = torch.randint(2 * PADDING + 1, (2, count, 1), generator=draw)
    mirrored = torch.rand(count, 1, generator=draw) < 0.5
    rows, across = top + torch.arange(height), torch.arange(width)
    columns = left + torch.where(mirrored, across.flip(0), across)
    samples, planes = torch.arange(count).view(-1, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1)
    return framed[samples, planes, rows.view(count, 1, height, 1), columns.view(count, 1, 1, width)]


class Batches:
    """The batch of each step, cut from a shard in an order that depends on (seed, rank, epoch) alone.

    The last batch of an epoch may be smaller, but never empty; with `full` it takes samples of the one before. With
    `black` (C,) the images are augmented, by what depends on (seed, rank, step) alone.
    """

    def __init__(
        self,
        samples: Samples,
        batch: int,
        steps_per_epoch: int,
        seed: int,
        rank: int | str,
        full: bool = False,
        black: Tensor | None = None,
    ) -> None:
        self._samples, self._batch, self._steps_per_epoch = samples, batch, steps_per_epoch
        self._seed, self._rank, self._full, self._black = seed, rank, full, black
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)
        self._ahead: tuple[int, Samples] | None = None

    def prepare(self, step: int) -> None:
        """Cut the batch of `step` now, while there is time, for when it is asked for."""
        self._ahead = step, self._cut(step)

    def at(self, step: int) -> Samples:
        """The batch of `step`, which counts from 0."""
        (prepared, batch), self._ahead = self._ahead or (-1, None), None
        return batch if prepared == step else self._cut(step)

    def _cut(self, step: int) -> Samples:
        epoch, index = divmod(step, self._steps_per_epoch)
        if epoch != self._epoch:
            draw = randomness.generator(self._seed, "order", self._rank, epoch)
            self._order, self._epoch = torch.randperm(len(self._samples), generator=draw), epoch
        start = index * self._batch
        if start >= len(self._samples):  # a shard one sample smaller than the largest may end a batch earlier
            start = 0
        if self._full:
            start = max(0, min(start, len(self._samples) - self._batch))
        cut = self._order[start : start + self._batch]
        images, labels = self._samples.images[cut], self._samples.labels[cut]
        if self._black is not None:
            images = crop_and_flip(images, randomness.generator(self._seed, "augment", self._rank, step), self._black)
        return Samples(images, labels)
