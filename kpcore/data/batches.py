"""Batches from a store: one warp a person for scale, rotation, flip and crop, made ahead in a background thread.

A batch is a pure function of (seed, iteration): people are passed over in an endless sequence of seeded orders, and
each person's draw depends on (seed, pass, person) alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kpcore.config import Augmentation
from kpcore.data.geometry import AS_IS, Draw, apply, compose, crop_affine, draw_augmentation, invert, order, warp
from kpcore.data.store import Store
from kpcore.tensors import AnyArray, Float64Array, ImageArray

AHEAD = 4
"""Batches made ahead of the one in use."""


@dataclass(frozen=True)
class Batch:
    """B people, on the CPU.

    Args:
        images: (B, H, W, 3) uint8 RGB.
        colour: (B, 3) factors on the channels; None where all are 1.
        points: (B, K, D) float32 input pixels, all keypoints of the skeleton; 0 where unlabelled.
        state: (B, K) uint8.
        rows: (B,) places in the store.
    """

    images: Tensor
    colour: Tensor | None
    points: Tensor
    state: Tensor
    rows: AnyArray

    def input(self, device: torch.device, mean: Sequence[float], std: Sequence[float]) -> Tensor:
        """Return (B, 3, H, W) float32 in channels-last memory: [0, 1], colour factors, minus mean, over std."""
        x = self.images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
        if self.colour is not None:
            x = x.mul_(self.colour.to(device)[:, :, None, None]).clamp_(0, 1)
        if any(mean) or any(value != 1 for value in std):
            shape = (1, 3, 1, 1)
            x = x.sub_(x.new_tensor(mean).view(shape)).div_(x.new_tensor(std).view(shape))
        return x


class TrainingStream:
    """The endless, augmented sequence of training batches of one job.

    Args:
        store: prepared part.
        people: places in the store that are trained on.
        augmentation: what is drawn.
        seed: the job's.
        batch_size: people a batch.
    """

    def __init__(
        self, store: Store, people: Sequence[int], augmentation: Augmentation, *, seed: int, batch_size: int
    ) -> None:
        self.store = store
        self.people = np.asarray(people)
        self.augmentation = augmentation
        self.seed = seed
        self.batch_size = batch_size
        self.mirror = list(store.skeleton.all().flip_permutation) if augmentation.flip else []
        self._orders: dict[int, AnyArray] = {}

    def batch(self, iteration: int) -> Batch:
        """Return the batch of this iteration, counted from the job's start."""
        first = iteration * self.batch_size
        places = [divmod(first + offset, len(self.people)) for offset in range(self.batch_size)]
        rows = np.array([self._order(passed)[place] for passed, place in places])
        draws = [
            draw_augmentation(self.seed, passed, int(row), self.augmentation)
            for (passed, _), row in zip(places, rows, strict=True)
        ]
        return make_batch(self.store, rows, draws, self.mirror)

    def _order(self, passed: int) -> AnyArray:
        if passed not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k == passed - 1}
            self._orders[passed] = self.people[order(self.seed, passed, len(self.people))]
        return self._orders[passed]

    def iterate(self, start: int, count: int) -> Iterator[Batch]:
        """Yield ``count`` batches from iteration ``start``, made ahead in one background thread."""
        with ThreadPoolExecutor(1) as pool:
            waiting: list[Future[Batch]] = []
            for iteration in range(start, start + count):
                waiting.append(pool.submit(self.batch, iteration))
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()


def evaluation_batches(store: Store, people: Sequence[int], batch_size: int) -> Iterator[Batch]:
    """Yield the people in order, unaugmented, made ahead in one background thread."""
    chosen = [np.asarray(people[first : first + batch_size]) for first in range(0, len(people), batch_size)]
    with ThreadPoolExecutor(1) as pool:
        following: Future[Batch] | None = None
        for index in range(len(chosen)):
            ready = following or pool.submit(_plain, store, chosen[index])
            following = pool.submit(_plain, store, chosen[index + 1]) if index + 1 < len(chosen) else None
            yield ready.result()


def _plain(store: Store, rows: AnyArray) -> Batch:
    return make_batch(store, rows, [AS_IS] * len(rows), [])


def make_batch(store: Store, rows: AnyArray, draws: Sequence[Draw], mirror: Sequence[int]) -> Batch:
    """Warp the people at these places of the store as drawn."""
    size = store.resolution
    images: ImageArray = np.empty((len(rows), size, size, 3), np.uint8)
    points = np.empty((len(rows), *store.people.points.shape[1:]), np.float32)
    state = store.people.state[rows]
    for place, (row, draw) in enumerate(zip(rows, draws, strict=True)):
        affine = input_affine(store, int(row), draw)
        images[place] = warp(store.crops[row], compose(affine, invert(store.affines[row])), size)
        moved = np.nan_to_num(apply(affine, store.people.points[row]))
        points[place] = moved[mirror] if draw.flip else moved
        if draw.flip:
            state[place] = state[place][mirror]
    coloured = any(draw.colour != (1.0, 1.0, 1.0) for draw in draws)
    colour = torch.tensor([draw.colour for draw in draws], dtype=torch.float32) if coloured else None
    return Batch(torch.from_numpy(images), colour, torch.from_numpy(points), torch.from_numpy(state), rows)


def input_affine(store: Store, row: int, draw: Draw = AS_IS) -> Float64Array:
    """Return the (2, 3) map from source pixels to the network's input pixels."""
    centre, side = store.centres[row], float(store.people.side[row])
    return crop_affine(
        centre, side, store.resolution, scale=draw.scale, rotation=draw.rotation, flip=draw.flip, shift=draw.shift
    )
