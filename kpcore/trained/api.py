"""A trained network for Python programs and notebooks: ``kpcore.load_model(path).predict(image)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kpcore.errors import KpError, listed
from kpcore.interfaces import Predicted
from kpcore.keypoints import KeypointSet
from kpcore.placing import given
from kpcore.registry import registry
from kpcore.samples import Orientation
from kpcore.tensors import AnyArray, ImageArray
from kpcore.trained.boxes import Boxes
from kpcore.trained.card import Card
from kpcore.trained.engine import Engine, chosen_engine
from kpcore.trained.given import boxes_file, boxes_of, rgb, words_of
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

    def __repr__(self) -> str:
        known, side = listed(self.names, 6), self._engine.resolution
        data = self.card.model.data
        return f"TrainedModel({self.card.title!r}, {len(self.names)} keypoints: {known}; {side} px, trained on {data})"

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
            boxes: (N, 4) left, top, width, height of N instances, pixels, N may be 0; None for the whole picture as one
                instance.
            margin: side of the crop over the longer side of a box, 0.1 to 100; None for the network's own.
            orientation: of a file with an EXIF orientation: ``turned`` as viewers show it, or as it is ``stored``,
                which is also what ``auto`` takes.

        Raises:
            KpError: the image cannot be read, a box is none or lies outside it, or an option is none.
        """
        if isinstance(image, str | Path):
            path = given(image, "image")
            picture = Picture(str(path), path)
        else:
            picture = Picture(str(ARRAY), ARRAY, pixels=rgb(image))
        wanted = None if boxes is None else Boxes(ARRAY, {picture.name: boxes_of(boxes)})
        how = How(boxes=wanted, margin=margin, orientation=orientation, keep=True)
        found = next(predict([picture], self._engine, how))
        if found.problem or found.left_out or found.pixels is None:
            raise KpError(found.problem or found.left_out[0])
        return Keypoints(self.keypoints, found.points, found.confidence, found.crops, found.pixels, self.card.steps)

    def predict_all(
        self,
        pictures: str | Path | Iterable[str | Path],
        boxes: str | Path | Boxes | None = None,
        *,
        margin: float | None = None,
        batch_size: int = 32,
        orientation: Orientation = "auto",
    ) -> Iterator[Predicted]:
        """Predict on images, folders, patterns, lists of images or videos, one after another, in order.

        Yields a :class:`~kpcore.interfaces.Predicted` a picture, or a frame of a video: its ``name``, ``frame``,
        ``points`` (N, K, D), ``confidence`` (N, K), ``ids``. What cannot be read is given out with its ``problem``.

        Args:
            pictures: one of the arguments of ``kp predict``, or several.
            boxes: file that says where instances are, COCO's JSON or a CSV; None for whole pictures.
            margin: as for :meth:`predict`.
            batch_size: crops that go through the network at once.
            orientation: as for :meth:`predict`.

        Raises:
            KpError: a word names nothing, the file of boxes is none or of other pictures, or an option is none.
        """
        found = sources(words_of(pictures))
        known = boxes_file(boxes)
        if known is not None:
            known = known.matched([picture for source in found for picture in source.known])
        how = How(boxes=known, margin=margin, batch_size=batch_size, orientation=orientation)
        return (one for source in found for one in predict(source.pictures(), self._engine, how))


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
