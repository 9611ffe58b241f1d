"""Predicting with an exported network: onnxruntime in place of PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcore.errors import KpError
from kpcore.keypoints import KeypointSet
from kpcore.tensors import Float64Array, FloatArray, ImageArray
from kpcore.trained.framing import Framing
from kpcore.trained.onnx_file import CPU, INPUT, OUTPUTS, OnnxFile, open_onnx


@dataclass(frozen=True, eq=False)
class OnnxEngine:
    """An :class:`~kpcore.trained.engine.Engine` of an exported network."""

    file: OnnxFile

    @property
    def keypoints(self) -> KeypointSet:
        """The last head's."""
        return self.file.card.model.layout.heads[-1]

    @property
    def resolution(self) -> int:
        """That of its training; the file takes no other."""
        return self.file.card.model.resolution

    @property
    def framing(self) -> Framing:
        """That of its training."""
        return self.file.card.framing

    @property
    def on_cpu(self) -> bool:
        """Whether onnxruntime has it on the CPU."""
        return bool(self.file.session.get_providers()[0] == CPU)

    def crops(self, pixels: ImageArray) -> tuple[Float64Array, Float64Array]:
        """Predict them as one batch."""
        points, confidence = self.images(images_of(pixels))
        return points.astype(np.float64), confidence.astype(np.float64)

    def images(self, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predict (B, 3, R, R) RGB in [0, 1]; returns as the file does: (B, K, D) and (B, K), float32."""
        points, confidence = self.file.session.run(list(OUTPUTS), {INPUT: images})
        return points, confidence


def images_of(pixels: ImageArray) -> FloatArray:
    """Return crops (B, R, R, 3) uint8 as an exported network takes them: (B, 3, R, R) float32 in [0, 1]."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def onnx_engine(path: Path, device: str | None, *, flip_test: bool, changed: bool) -> OnnxEngine:
    """Open an exported network for predicting.

    Raises:
        KpError: as :func:`~kpcore.trained.onnx_file.open_onnx`; or a flip test is asked for that is not in the file:
            it averages maps, and the file gives points.
    """
    file = open_onnx(path, device, changed=changed)
    if flip_test and not file.flip_test:
        raise KpError(
            f"{path}: --flip-test averages maps before they are decoded, and this file gives points; export the network"
            " again with 'kp export --flip-test', or leave --flip-test out"
        )
    return OnnxEngine(file)
