"""The one mapping between input pixels and heatmap pixels, both ways.

Both have pixel centres at integers. Heatmap pixel i covers the input pixels i * stride to (i + 1) * stride - 1, so its
centre lies half an input pixel before the middle of a stride: h = (x + 0.5) / stride - 0.5.
"""

from __future__ import annotations

from torch import Tensor


def to_heatmap(points: Tensor, stride: int) -> Tensor:
    """Return heatmap pixels of input pixels; any shape."""
    return (points + 0.5) / stride - 0.5


def to_input(points: Tensor, stride: int) -> Tensor:
    """Return input pixels of heatmap pixels; any shape."""
    return (points + 0.5) * stride - 0.5
