"""Writer: puts predictions into a format that people and other programs read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSet
from kpcore.tensors import Float64Array, ImageArray


@dataclass(frozen=True, eq=False)
class Predicted:
    """What was predicted on one picture, an image or a frame of a video.

    Args:
        name: what results call it: an image's path in its folder, or its video's name.
        path: of the image or the video.
        frame: number in the video, from 0; None for an image.
        size: (width, height), pixels; (0, 0) where it could not be read.
        crops: (N, 3) centre x, centre y and side of each instance's crop, pixels.
        ids: N names that a boxes' file or following gives; "" where nothing does.
        points: (N, K, D) pixels, 0-based, pixel centres at integers; NaN where an instance is lost.
        confidence: (N, K), in the codec's units, larger is surer; NaN where an instance is lost.
        pixels: (H, W, 3) uint8 RGB, for writers that say so; None otherwise.
        problem: why it could not be predicted on; "" where it was.
    """

    name: str
    path: Path
    frame: int | None
    size: tuple[int, int]
    crops: Float64Array
    ids: tuple[str, ...]
    points: Float64Array
    confidence: Float64Array
    pixels: ImageArray | None = None
    problem: str = ""


@dataclass(frozen=True)
class About:
    """What all predictions of a run of ``kp predict`` share.

    Args:
        keypoints: along K.
        model: what the network is called, "study/name".
        steps: keypoints of each step of its training, S1 first; empty where that is not known.
        rate: frames a second of the video; None for images.
        pictures: how many there will be, as far as it is known; 0 where it is not.
    """

    keypoints: KeypointSet
    model: str
    steps: tuple[tuple[str, ...], ...] = ()
    rate: float | None = None
    pictures: int = 0


class Sink(ABC):
    """A file or a folder that is being written. What is not finished leaves no file that looks whole."""

    @abstractmethod
    def add(self, found: Predicted) -> None:
        """Take a picture's predictions; those with a problem too."""

    @abstractmethod
    def finish(self) -> Sequence[Path]:
        """Make the files whole and return them."""

    def abandon(self) -> None:  # noqa: B027 - most have nothing open
        """Let go of what is open, after an error or an interruption; by default there is nothing."""


class Writer(Component):
    """Writes predictions in one format.

    Attributes:
        file: name of what it writes below the folder of results, "predictions.csv"; of a folder, without an ending.
        needs_pixels: whether it draws on the pictures.
    """

    file: ClassVar[str]
    needs_pixels: ClassVar[bool] = False

    @abstractmethod
    def open(self, path: Path, about: About) -> Sink:
        """Begin to write.

        Args:
            path: of the file or folder; its folder is there.
            about: what all predictions share.

        Raises:
            KpError: these keypoints cannot be written in this format.
        """
