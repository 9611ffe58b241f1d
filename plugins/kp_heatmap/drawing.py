"""Gaussians on maps: separable, batched, on the tensors' device, and free of anything that waits for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Brush:
    """How a Gaussian is drawn.

    Args:
        sigma: standard deviation, heatmap pixels.
        patch: side of the square outside which nothing is drawn, odd; None draws on the whole map. It lies around the
            pixel that holds the centre.
    """

    sigma: float
    patch: int | None = None

    def peaked(self, centres: Tensor, size: tuple[int, int]) -> Tensor:
        """Return (B, K, h, w) Gaussians of height 1 at (B, K, 2) centres in heatmap pixels, cut off at the edges."""
        y, x = (exponents.exp() for exponents in self._exponents(centres, size))
        return outer(y, x)

    def normalised(self, centres: Tensor, size: tuple[int, int]) -> Tensor:
        """Return (B, K, h, w) Gaussians of sum 1; every centre must lie inside the map."""
        # A softmax of the exponent cannot underflow to 0 / 0, however small sigma is.
        y, x = (exponents.softmax(-1) for exponents in self._exponents(centres, size))
        return outer(y, x)

    def _exponents(self, centres: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the logarithms of the two factors, (B, K, h) and (B, K, w)."""
        height, width = size
        return self._exponent(centres[..., 1], height), self._exponent(centres[..., 0], width)

    def _exponent(self, centres: Tensor, length: int) -> Tensor:
        pixels = torch.arange(length, device=centres.device, dtype=torch.float32)
        centres = centres.unsqueeze(-1)
        exponent = (pixels - centres).square() / (-2 * self.sigma**2)
        if self.patch is None:
            return exponent
        return exponent.masked_fill((pixels - nearest_pixel(centres)).abs() > self.patch // 2, -torch.inf)


def outer(y: Tensor, x: Tensor) -> Tensor:
    """Return the product (B, K, h, w) of (B, K, h) and (B, K, w). No matmul: autocast and TF32 would round it."""
    return y.unsqueeze(-1) * x.unsqueeze(-2)


def nearest_pixel(points: Tensor) -> Tensor:
    """Return the pixel, as a whole float, that holds each coordinate."""
    return (points + 0.5).floor()


def inside(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (B, K), true where a pixel of the map holds the point; points: (B, K, 2) heatmap pixels."""
    pixels = nearest_pixel(points)
    return (pixels >= 0).all(-1) & (pixels[..., 0] < size[1]) & (pixels[..., 1] < size[0])
