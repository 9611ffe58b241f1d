"""Writer: puts predictions into a format that people and other programs read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, TypeAlias

from kpcore.errors import KpError
from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSet
from kpcore.tensors import Float64Array, ImageArray

Identity: TypeAlias = int | str
"""What a COCO file calls an image or a category."""


@dataclass(frozen=True)
class Category:
    """A category of the COCO file that boxes are from.

    Args:
        id: that the file gives it.
        name: of the category; "" where it has none.
        keypoints: their names in the file's order; empty where it has none.
    """

    id: Identity
    name: str = ""
    keypoints: tuple[str, ...] = ()


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
        image_id: of the picture in the COCO file that the boxes are from; None where there is none.
        categories: N ids of categories there, None where an annotation has none; empty where there is no such file.
        rows: N places among that file's annotations, from 0; empty where there is no such file.
        left_out: what is said of boxes that are not predicted on: they have nothing of the picture, or are too large.
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
    image_id: Identity | None = None
    categories: tuple[Identity | None, ...] = ()
    rows: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """What a list of images calls it: an image's name; of a frame "VIDEO/000012.png"."""
        if self.frame is None:
            return self.name
        return f"{PurePosixPath(self.name).stem}/{self.frame:06d}.png"


@dataclass(frozen=True)
class About:
    """What all predictions of a run of ``kp predict`` share.

    Args:
        keypoints: along K.
        model: what the network is called, "study/name".
        steps: keypoints of each step of its training, S1 first; empty where that is not known.
        pictures: how many there will be, as far as it is known; 0 where it is not.
        boxes: file that says where instances are; None where there is none.
        categories: that it has, where it is a COCO file; empty where it is none.
        free_image_id: number from which on no image of that file has its id.
    """

    keypoints: KeypointSet
    model: str
    steps: tuple[tuple[str, ...], ...] = ()
    pictures: int = 0
    boxes: Path | None = None
    categories: tuple[Category, ...] = ()
    free_image_id: int = 1

    def require_flat(self, name: str) -> None:
        """Refuse 3D keypoints, for a format that has places in the picture alone.

        Raises:
            KpError: they have a depth.
        """
        if self.keypoints.skeleton.dims != 2:
            raise KpError(f"--format {name}: has x and y, and {self.model}'s keypoints are 3D; write csv or h5")


class Sink(ABC):
    """A file or a folder that is being written. What is not finished leaves no file that looks whole."""

    @abstractmethod
    def add(self, found: Predicted) -> None:
        """Take a picture's predictions; those with a problem too."""

    @abstractmethod
    def finish(self) -> Sequence[Path]:
        """Make the files whole and return them."""

    def notes(self) -> Sequence[str]:
        """Say what to know of finished files, a line each: what was left out or assumed; by default nothing."""
        return ()

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
