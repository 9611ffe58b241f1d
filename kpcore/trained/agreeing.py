"""Whether an exported file gives what PyTorch gives, on pictures made up for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor

from kpcore.data.batches import normalised
from kpcore.errors import KpError
from kpcore.tensors import Float64Array, FloatArray, ImageArray
from kpcore.trained.onnx_engine import images_of
from kpcore.trained.predictor import Predictor

BATCHES = (1, 2, 5, 16)
"""Crops at once in the check: a batch of one, and sizes that the export was not made with."""
LIMIT = 0.05
"""Pixels of the input that a point may differ by, where nobody says otherwise."""
ROUNDING = 1e-5
"""Share of a prediction's largest value that its numbers are moved by to see which points hang on rounding: about ten
times what float32 differs by between two libraries."""
TRIES = 8
CONFIDENCE = 1e-3
"""What confidences may differ by, in parts of the largest, or of 1 where that is less."""

Run: TypeAlias = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""An exported file: (B, 3, R, R) RGB in [0, 1] to (B, K, D) points and (B, K) confidences."""


@dataclass(frozen=True)
class Agreement:
    """How far an exported file is from PyTorch.

    Args:
        crops: that were tried.
        points: in them.
        steady: those that do not hang on rounding: a map with two equal peaks has two right answers.
        pixels: largest difference of a steady point along an axis, input pixels.
        confidence: largest difference of a confidence.
        scale: the largest confidence, or 1 where that is less.
    """

    crops: int
    points: int
    steady: int
    pixels: float
    confidence: float
    scale: float

    def require(self, limit: float) -> None:
        """Raise KpError where the file is not what PyTorch is, or where that could not be seen."""
        if 2 * self.steady < self.points:
            raise KpError(
                f"cannot be checked: {self.points - self.steady} of {self.points} points on made-up crops hang on"
                " rounding in PyTorch too; has the network learned anything?"
            )
        if not self.pixels <= limit:  # so that NaN is refused too
            raise KpError(f"its points differ from PyTorch's by up to {self.pixels:.3g} px, the limit is {limit:g}")
        if not self.confidence <= CONFIDENCE * self.scale:
            raise KpError(f"its confidences differ from PyTorch's by up to {self.confidence:.3g}")


def made_up(count: int, side: int, seed: int = 0) -> ImageArray:
    """Return (count, side, side, 3) crops: coloured blobs of several sizes and noise, the same for the same seed."""
    random = np.random.default_rng(seed)
    crops = np.empty((count, side, side, 3), np.uint8)
    for crop in crops:
        image = random.normal(0, 8, crop.shape)
        for cells in (4, 8, 16):
            blobs = random.normal(0, 45, (cells, cells, 3)).astype(np.float32)
            image += cv2.resize(blobs, (side, side), interpolation=cv2.INTER_CUBIC)
        crop[:] = np.clip(image + 127, 0, 255)
    return crops


def agreement(run: Run, predictor: Predictor, pixels: ImageArray, batches: tuple[int, ...] = BATCHES) -> Agreement:
    """Compare an exported file with PyTorch on crops (N, R, R, 3), in batches of these sizes in turn."""
    parts, start, turn = [], 0, 0
    while start < len(pixels):
        some = pixels[start : start + batches[turn % len(batches)]]
        parts.append(_compared(run, predictor, some))
        start, turn = start + len(some), turn + 1
    moved, surer, steady, largest = (np.concatenate(part) for part in zip(*parts, strict=True))
    scale = max(1.0, float(largest.max()))
    far = float(moved[steady].max()) if steady.any() else np.nan
    return Agreement(len(pixels), moved.size, int(steady.sum()), far, float(surer.max()), scale)


def _compared(
    run: Run, predictor: Predictor, pixels: ImageArray
) -> tuple[Float64Array, Float64Array, np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Float64Array]:
    """Return for each of (B, K) the point's and the confidence's difference, whether it is steady, its confidence."""
    backbone = predictor.backbone
    images = normalised(torch.from_numpy(pixels).float() / 255, backbone.mean, backbone.std)
    maps = predictor.maps(images)
    points, confidence = predictor.codec.decode(maps, backbone.stride)
    found, sure = run(images_of(pixels))
    moved = np.abs(found.astype(np.float64) - points.double().numpy()).max(-1)
    there = confidence.double().numpy()
    return moved, np.abs(sure.astype(np.float64) - there), steady(predictor, maps, points).numpy(), np.abs(there)


def steady(predictor: Predictor, maps: Tensor, points: Tensor) -> Tensor:
    """Return (B, K), true where a point stays when the prediction is moved by what rounding may move it by."""
    generator = torch.Generator().manual_seed(0)
    reach = ROUNDING * maps.abs().amax((1, 2, 3), keepdim=True)
    stays = torch.ones(points.shape[:2], dtype=torch.bool)
    for _ in range(TRIES):
        noise = torch.rand(maps.shape, generator=generator) * 2 - 1
        moved, _ = predictor.codec.decode(maps + reach * noise, predictor.backbone.stride)
        stays &= (moved - points).abs().amax(-1) <= LIMIT / 2
    return stays
