"""What a network found in one picture, for whoever works in Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kpcore.drawing import draw_instance, marks_of, radius_of
from kpcore.errors import KpError, listed, unknown
from kpcore.keypoints import KeypointSet
from kpcore.tensors import Float64Array, ImageArray
from kpcore.trained.given import canvas_of


@dataclass(frozen=True, eq=False, repr=False)
class Keypoints:
    """Keypoints of N instances of one picture; ``len(found)`` is N, ``found["l_wrist"]`` is (N, D).

    Args:
        keypoints: along K.
        points: (N, K, D) pixels of the picture, 0-based, pixel centres at integers; D = 3 adds depth from the root.
        confidence: (N, K), in the codec's units: larger is surer.
        crops: (N, 3) centre x, centre y and side of what the network saw of each, pixels.
        image: (H, W, 3) uint8 RGB, the picture.
        steps: keypoints of each step of the network's training, S1 first; they have colours when drawn.
    """

    keypoints: KeypointSet
    points: Float64Array
    confidence: Float64Array
    crops: Float64Array
    image: ImageArray
    steps: tuple[tuple[str, ...], ...] = ()

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        count = f"{len(self)} instance{'' if len(self) == 1 else 's'}"
        return f"Keypoints({count} of {len(self.names)}: {listed(self.names, 6)}; in {width} x {height} px)"

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[dict[str, Float64Array]]:
        """Yield each instance as name -> (D,)."""
        for one in self.points:
            yield dict(zip(self.names, one, strict=True))

    def __getitem__(self, name: str) -> Float64Array:
        """Return one keypoint of every instance, (N, D); raises KpError where it is not predicted."""
        if name not in self.names:
            raise unknown("keypoint", name, self.names, where="found")
        return self.points[:, self.names.index(name)]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K keypoints."""
        return self.keypoints.names

    def draw(self, image: ImageArray | None = None) -> ImageArray:
        """Return a copy of the picture, or of another of its size, with the keypoints drawn; (H, W, 3) uint8 RGB.

        Raises:
            KpError: the other is no image, or of another size.
        """
        canvas = canvas_of(self.image if image is None else image, self.image)
        for points, surer, crop in zip(self.points, self.confidence, self.crops, strict=True):
            marks = marks_of(self.names, points, surer)
            draw_instance(canvas, self.keypoints.skeleton, marks, self.steps, radius_of(crop[2]))
        return canvas

    def records(self) -> list[dict[str, Any]]:
        """Return a record a keypoint: instance, keypoint, x, y, z (3D alone), confidence."""
        axes = ("x", "y", "z")[: self.points.shape[-1]]
        return [
            {"instance": instance, "keypoint": name, **dict(zip(axes, point.tolist(), strict=True)), "confidence": sure}
            for instance, (points, surer) in enumerate(zip(self.points, self.confidence, strict=True))
            for name, point, sure in zip(self.names, points, surer.tolist(), strict=True)
        ]

    def frame(self) -> Any:
        """Return :meth:`records` as a pandas frame; raises KpError where pandas is not installed."""
        return _library("pandas", "pip install pandas").DataFrame(self.records())

    def supervision(self) -> Any:
        """Return them as ``supervision.KeyPoints``; raises KpError where supervision is not installed."""
        library = _library("supervision", "pip install supervision")
        return library.KeyPoints(
            xy=self.points[..., :2].astype(np.float32), keypoint_confidence=self.confidence.astype(np.float32)
        )


def _library(name: str, remedy: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise KpError(f"{name} is not installed, and this needs it; run '{remedy}'") from None
