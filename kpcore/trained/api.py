"""A trained network for Python programs and notebooks: ``kpcore.load_model(path).predict(image)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kpcore.errors import KpError, shown
from kpcore.interfaces import Predicted
from kpcore.keypoints import KeypointSet
from kpcore.registry import registry
from kpcore.samples import Orientation
from kpcore.tensors import AnyArray, ImageArray
from kpcore.trained.boxes import Box, Boxes
from kpcore.trained.card import Card
from kpcore.trained.engine import Engine, chosen_engine
from kpcore.trained.keypoints import Keypoints
from kpcore.trained.pictures import Picture, sources
from kpcore.trained.predicting import How, predict

ARRAY = Path("image")


class TrainedModel:
    """A trained network with all it needs to predict; :func:`kpcore.load_model` makes one.

    Args:
        engine: that predicts.
        card: what is known of the network.
    """

    def __init__(self, engine: Engine, card: Card) -> None:
        self._engine = engine
        self.card = card

    @property
    def keypoints(self) -> KeypointSet:
        """What it predicts, in order."""
        return self._engine.keypoints

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what it predicts."""
        return self.keypoints.names

    def predict(
        self,
        image: ImageArray | str | Path,
        boxes: Sequence[Sequence[float]] | AnyArray | None = None,
        *,
        margin: float | None = None,
        orientation: Orientation = "auto",
    ) -> Keypoints:
        """Predict on one picture.

        Args:
            image: path, or (H, W, 3) uint8 RGB, or (H, W) uint8 grey.
            boxes: (N, 4) left, top, width, height of N instances, pixels; None for the whole picture as one instance.
            margin: side of the crop over the longer side of a box; None for the network's own.
            orientation: of a file with an EXIF orientation: ``turned`` as viewers show it, or as it is ``stored``,
                which is also what ``auto`` takes.

        Raises:
            KpError: the image cannot be read, or a box is none or lies outside it.
        """
        if isinstance(image, str | Path):
            picture = Picture(str(image), Path(image))
        else:
            picture = Picture(str(ARRAY), ARRAY, pixels=rgb(image))
        wanted = None if boxes is None else Boxes(ARRAY, {picture.name: boxes_of(boxes)})
        how = How(boxes=wanted, margin=margin, orientation=orientation, keep=True)
        found = next(predict([picture], self._engine, how))
        if found.problem or found.left_out or found.pixels is None:
            raise KpError(found.problem or found.left_out[0])
        return Keypoints(self.keypoints, found.points, found.confidence, found.crops, found.pixels, self.card.steps)

    def predict_all(self, words: Iterable[str | Path], how: How | None = None) -> Iterator[Predicted]:
        """Predict on images, folders, patterns, lists of images or videos, one after another, in order.

        What cannot be read is given out with its ``problem``.

        Args:
            words: as the arguments of ``kp predict``.
            how: boxes, margin, batch size; whole pictures by default.

        Raises:
            KpError: a word names nothing.
        """
        for source in sources([str(word) for word in words]):
            yield from predict(source.pictures(), self._engine, how or How())


def load_model(
    model: str | Path, *, device: str | None = None, flip_test: bool = False, changed: bool = False
) -> TrainedModel:
    """Load a trained network.

    Args:
        model: path of a model folder, of a job's folder, of a weights file, or of an exported network (``.onnx``); a
            job's key; or ``STUDY/NAME``.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; the best there is by default.
        flip_test: average with the prediction on the mirrored crop.
        changed: take files that were changed after they were written.

    Raises:
        KpError: there is no such network, it was changed, a plugin is missing, or the device is not there.
    """
    return TrainedModel(*chosen_engine(str(model), registry(), device, flip_test=flip_test, changed=changed))


def rgb(image: AnyArray) -> ImageArray:
    """Return an image as (H, W, 3) uint8; raises KpError where it is none."""
    array = np.asarray(image)
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] != 3)
        or not array.size
    ):
        raise KpError(f"image: {shown(array)}; expected (H, W, 3) uint8 RGB, or (H, W) grey")
    return np.ascontiguousarray(np.repeat(array[..., None], 3, 2) if array.ndim == 2 else array)


def boxes_of(boxes: Sequence[Sequence[float]] | AnyArray) -> tuple[Box, ...]:
    """Return boxes (N, 4) left, top, width, height; raises KpError where one is none."""
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all() or (array[:, 2:] <= 0).any():
        raise KpError(f"boxes: {shown(boxes)}; expected (N, 4) left, top, width, height, pixels, sizes above 0")
    return tuple(Box((left, top, width, height), None) for left, top, width, height in array.tolist())
