"""Batches from a store: one warp a person for scale, rotation, flip and crop, made ahead in a background thread.

A batch is a pure function of (seed, iteration): people are passed over in an endless sequence of seeded orders, and
each person's draw depends on (seed, pass, person) alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from kpcore.config import Augmentation
from kpcore.data.geometry import AS_IS, Draw, Draws, apply, augment, compose, crop_affine, invert, order, uniform_draws
from kpcore.data.sampling import Images, Sampler
from kpcore.data.sending import send
from kpcore.data.store import Store
from kpcore.samples import Instances
from kpcore.tensors import AnyArray, Float64Array

AHEAD = 4
"""Batches made ahead of the one in use."""
ALL = slice(None)
"""Of a batch's places."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Batch:
    """B people.

    Args:
        images: of (B, H, W, 3) pixels, where the sampler left them; of some of the people where a process has a share.
        colour: (B, 3) factors on the channels of these images; None where all are 1.
        points: (B, K, D) float32 input pixels, all keypoints of the skeleton; 0 where unlabelled.
        state: (B, K) uint8.
        rows: (B,) places in the store.
    """

    images: Images
    colour: Tensor | None
    points: Tensor
    state: Tensor
    rows: AnyArray

    def input(self, device: torch.device, mean: Sequence[float], std: Sequence[float]) -> Tensor:
        """Return (B, 3, H, W) float32 in channels-last memory: [0, 1], colour factors, minus mean, over std."""
        pixels = self.images.on(device).float().contiguous()  # (B, H, W, 3), a copy of its own
        if self.colour is None:
            pixels.mul_(1 / 255)
        else:  # by whole rows: a last axis of three is three times as slow
            factors = (send(self.colour, device) / 255).repeat(1, pixels.shape[2])
            pixels.flatten(2).mul_(factors[:, None]).clamp_(0, 1)
        return normalised(pixels, mean, std)


def normalised(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (B, H, W, 3) RGB in [0, 1] as a network's input, (B, 3, H, W): minus mean, over std; in place."""
    x = pixels.permute(0, 3, 1, 2)
    if any(mean) or any(value != 1 for value in std):
        centre, spread = send(torch.tensor([mean, std], dtype=x.dtype), x.device).view(2, 1, 3, 1, 1)
        x = x.sub_(centre).div_(spread)
    return x


class TrainingStream:
    """The endless, augmented sequence of training batches of one job.

    Args:
        sampler: of the prepared part.
        people: places in the store that are trained on.
        augmentation: what is drawn.
        seed: the job's.
        batch_size: people a batch.
        truth: labels of the store's people, as far as the job reads them; all of them where None.
        share: the places of every batch whose images are wanted here; labels are those of all.
    """

    def __init__(
        self, sampler: Sampler, people: Sequence[int], augmentation: Augmentation, *, seed: int, batch_size: int,
        truth: Instances | None = None, share: slice = ALL,
    ) -> None:  # fmt: skip
        self.sampler = sampler
        self.truth = truth or sampler.store.people
        self.people = np.asarray(people)
        self.augmentation = augmentation
        self.seed = seed
        self.batch_size = batch_size
        self.share = share
        self.mirror = sampler.store.skeleton.all().flip_permutation if augmentation.flip else ()
        self._passes: dict[int, tuple[AnyArray, Float64Array]] = {}

    def batch(self, iteration: int) -> Batch:
        """Return the batch of this iteration, counted from the job's start."""
        first = iteration * self.batch_size
        passed, places = np.divmod(np.arange(first, first + self.batch_size), len(self.people))
        some = [self._some(one, places[passed == one]) for one in np.unique(passed).tolist()]
        rows, uniform = (np.concatenate(parts) for parts in zip(*some, strict=True))
        return make_batch(self.sampler, self.truth, rows, augment(uniform, self.augmentation), self.mirror, self.share)

    def _some(self, passed: int, places: AnyArray) -> tuple[AnyArray, Float64Array]:
        """Return rows and uniform numbers of these places in a pass."""
        if passed not in self._passes:
            recent = {number: known for number, known in self._passes.items() if number == passed - 1}
            rows = self.people[order(self.seed, passed, len(self.people))]
            self._passes = recent | {passed: (rows, uniform_draws(self.seed, passed, len(self.sampler.store)))}
        rows, uniform = self._passes[passed]
        return rows[places], uniform[rows[places]]

    def iterate(self, start: int, count: int) -> Iterator[Batch]:
        """Yield ``count`` batches from iteration ``start``, made ahead in one background thread."""
        return ahead(partial(self.batch, iteration) for iteration in range(start, start + count))


def evaluation_batches(sampler: Sampler, people: Sequence[int], batch_size: int) -> Iterator[Batch]:
    """Yield the people in order, unaugmented, made ahead in one background thread."""
    chosen = (np.asarray(people[first : first + batch_size]) for first in range(0, len(people), batch_size))
    return ahead(partial(make_batch, sampler, sampler.store.people, rows, None) for rows in chosen)


def ahead(tasks: Iterator[Callable[[], Made]]) -> Iterator[Made]:
    """Yield what the tasks return, in order; up to :data:`AHEAD` of them are done before they are asked for."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def make_batch(
    sampler: Sampler, truth: Instances, rows: AnyArray, draws: Draws | None, mirror: Sequence[int] = (),
    share: slice = ALL,
) -> Batch:  # fmt: skip
    """Warp the people at these places of the store as drawn, or as they are.

    Args:
        sampler: of the store.
        truth: labels of the store's people.
        rows: (B,) places.
        draws: None for crops as they are.
        mirror: where each keypoint's partner is; needed where a draw flips.
        share: places of the rows whose images are wanted.
    """
    store = sampler.store
    affines = input_affine(store, rows, draws)
    points = np.nan_to_num(apply(affines, truth.points[rows])).astype(np.float32)
    state = truth.state[rows]
    colour = None
    if draws is not None:
        if draws.flip.any():
            points = np.where(draws.flip[:, None, None], points[:, mirror], points)
            state = np.where(draws.flip[:, None], state[:, mirror], state)
        if (draws.colour != 1).any():
            colour = torch.from_numpy(draws.colour[share].astype(np.float32))
    images = sampler.sample(rows[share], compose(affines, invert(store.affines[rows]))[share], store.resolution)
    return Batch(images, colour, torch.from_numpy(points), torch.from_numpy(state), rows)


def input_affine(store: Store, rows: AnyArray | int, draws: Draws | Draw | None = None) -> Float64Array:
    """Return the (B, 2, 3) maps from source pixels to the network's input pixels; for one row (2, 3)."""
    drawn = draws or AS_IS
    return crop_affine(
        store.people.centre[rows], store.people.side[rows], store.resolution,
        scale=drawn.scale, rotation=drawn.rotation, flip=drawn.flip, shift=drawn.shift,
    )  # fmt: skip
