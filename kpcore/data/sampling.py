"""From stored crops to network inputs: one bilinear warp a person, by OpenCV on the CPU or batched on the device.

Both are told the same affines, and agree within the interpolation's rounding. A sampler runs in the background thread
and touches only host memory; what is left to do on the device waits in :class:`Unwarped` until the training step asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kpcore.data.geometry import invert, warp_into
from kpcore.data.sending import send
from kpcore.data.store import Store
from kpcore.tensors import AnyArray, Float64Array, ImageArray

RESIDENT_SHARE = 0.3
"""A store lives on the GPU where it takes at most this share of the memory that is free there."""


class Images(Protocol):
    """The images of a batch, perhaps not warped yet."""

    def on(self, device: torch.device) -> Tensor:
        """Return (B, H, W, 3) RGB in 0..255 on the device, uint8 or float32."""


@dataclass(frozen=True)
class Warped:
    """Images that are ready, (B, H, W, 3) uint8 on the CPU."""

    pixels: Tensor

    def on(self, device: torch.device) -> Tensor:
        """Move them."""
        return send(self.pixels, device)


@dataclass(frozen=True)
class Unwarped:
    """Crops and how to warp them.

    Args:
        crops: (B, S, S, 3) uint8, pinned; or, with ``rows``, the whole store on the device.
        rows: (B,) places in the store on the device; None where ``crops`` are the batch's own.
        inverse: (B, 2, 3) float32 input pixels to stored crop pixels.
        size: of the input.
    """

    crops: Tensor
    rows: Tensor | None
    inverse: Tensor
    size: int

    def on(self, device: torch.device) -> Tensor:
        """Gather and warp on the device."""
        crops = self.crops.to(device, non_blocking=True)
        if self.rows is not None:
            crops = crops[self.rows.to(device, non_blocking=True)]
        return warp_batch(crops, self.inverse.to(device, non_blocking=True), self.size)


class Sampler(Protocol):
    """Turns rows of a store into images."""

    @property
    def store(self) -> Store:
        """The store."""

    def sample(self, rows: AnyArray, affines: Float64Array, size: int) -> Images:
        """Return the images of B people.

        Args:
            rows: (B,) places in the store.
            affines: (B, 2, 3) stored crop pixels to input pixels.
            size: of the input.
        """


def make_sampler(store: Store, device: torch.device) -> Sampler:
    """Return the sampler for a device: OpenCV on a CPU, batched elsewhere, with the store there where it fits."""
    if device.type == "cpu":
        return CpuSampler(store)
    return DeviceSampler(store, device, resident=fits(store, device))


class CpuSampler:
    """One OpenCV warp a person, into one batch of memory."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def sample(self, rows: AnyArray, affines: Float64Array, size: int) -> Warped:
        """Warp person by person."""
        images: ImageArray = np.empty((len(rows), size, size, 3), np.uint8)
        for row, inverse, image in zip(rows.tolist(), invert(affines), images, strict=True):
            warp_into(image, self.store.crops[row], inverse)
        return Warped(torch.from_numpy(images))


class DeviceSampler:
    """One warp a batch, on the device.

    Args:
        store: prepared part.
        device: where it warps.
        resident: keep the whole store there; else each batch's crops go through pinned memory.
    """

    def __init__(self, store: Store, device: torch.device, *, resident: bool) -> None:
        self.store = store
        self.pinned = device.type == "cuda"
        self.crops = _moved(store, device) if resident else None

    def sample(self, rows: AnyArray, affines: Float64Array, size: int) -> Unwarped:
        """Collect what the device needs."""
        inverse = self._host(torch.from_numpy(invert(affines)).float())
        if self.crops is not None:
            return Unwarped(self.crops, self._host(torch.from_numpy(rows)), inverse, size)
        crops = torch.from_numpy(np.stack([self.store.crops[row] for row in rows.tolist()]))
        return Unwarped(self._host(crops), None, inverse, size)

    def _host(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self.pinned else tensor


def _moved(store: Store, device: torch.device) -> Tensor:
    """Copy a store to the device piece by piece, so that the host never holds all of it."""
    crops = torch.empty(store.crops.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(store), 256):
        some = [store.crops[row] for row in range(first, min(first + 256, len(store)))]
        crops[first : first + len(some)] = torch.from_numpy(np.stack(some))
    return crops


def fits(store: Store, device: torch.device) -> bool:
    """Whether a store may live on the device."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return int(np.prod(store.crops.shape)) <= RESIDENT_SHARE * free


def warp_batch(crops: Tensor, inverse: Tensor, size: int) -> Tensor:
    """Warp a batch, bilinear; zero where a crop does not reach.

    Args:
        crops: (B, S, S, 3) uint8.
        inverse: (B, 2, 3) float32 input pixels to stored crop pixels.
        size: of the input.

    Returns:
        (B, size, size, 3) float32 in 0..255.
    """
    steps = torch.arange(size, device=crops.device, dtype=torch.float32)
    x, y = steps[None, None, :, None], steps[None, :, None, None]
    across, down, offset = (inverse[:, None, None, :, column] for column in range(3))
    places = across * x + down * y + offset  # (B, size, size, 2) stored crop pixels; no matmul: TF32 would round it
    grid = (2 * places + 1) / crops.shape[1] - 1
    images = F.grid_sample(crops.permute(0, 3, 1, 2).float(), grid, "bilinear", "zeros", align_corners=False)
    return images.permute(0, 2, 3, 1)
