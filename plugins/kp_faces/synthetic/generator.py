"""The generator ``faces``: drawn faces with 68 landmarks, in the layout of a landmark CSV a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from kp_faces.synthetic.layout import write_landmarks
from kp_faces.synthetic.scene import Difficulty, draw_identity, draw_scene
from kpcore.cores import mapped
from kpcore.data.generated import write_image
from kpcore.interfaces import ComponentConfig, Generator
from kpcore.tensors import Float64Array

PARTS = ("training", "test")
MOST = 99_999
"""Photographs of a part; people are numbered with five digits."""
_JPEG_QUALITY = 92


class FacesGenerator(Generator):
    """Synthetic faces, from a parametric head; nobody is in both parts. Args: as the fields of ``Config``."""

    class Config(ComponentConfig):
        """``[dataset.generate] name = "faces"``."""

        faces: int = Field(default=800, ge=1, le=MOST, description="photographs to train on")
        valid: int = Field(default=200, ge=1, le=MOST, description="photographs to score on, of other people")
        pictures: int = Field(default=4, ge=1, le=1000, description="photographs of each person")
        seed: int = Field(default=0, ge=0, description="other seeds draw other people")
        size: int = Field(default=112, ge=48, le=1024, description="pixels of a photograph's width")
        turn: float = Field(
            default=45.0, ge=0, le=60, description="heads turn to the side by at most this many degrees"
        )
        occlusion: float = Field(default=0.15, ge=0, le=1, description="share of faces with something before them")
        clutter: float = Field(default=0.5, ge=0, le=1, description="how much lies about behind them")

    def __init__(
        self, *, faces: int, valid: int, pictures: int, seed: int, size: int, turn: float, occlusion: float,
        clutter: float,
    ) -> None:  # fmt: skip
        self.counts = {"training": faces, "test": valid}
        self.pictures = pictures
        self.seed = seed
        self.difficulty = Difficulty(size, turn, occlusion, clutter)

    @property
    def version(self) -> str:
        """The drawing's own version, and OpenCV's, which draws and compresses."""
        return f"1, opencv {cv2.__version__}"

    def write(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        """Write ``training/``, ``test/`` and a CSV beside each, with 0-based pixels to a hundredth.

        Every photograph is drawn from its own random numbers, so neither threads nor their number change it.
        """
        total, before = sum(self.counts.values()), 0
        for part, count in self.counts.items():
            (folder / part).mkdir()
            faces = self._draw(part, count, folder / part)
            write_landmarks(folder, part, _told(faces, progress, before, total))
            before += count

    def _draw(self, part: str, count: int, images: Path) -> Iterator[tuple[str, Float64Array]]:
        """Draw and write a part's photographs; return name and landmarks (68, 2), in order."""

        def work(number: int) -> tuple[str, Float64Array]:
            who, picture = divmod(number, self.pictures)
            name = f"{part}_{who:05d}_{picture}.jpg"
            person = draw_identity(self._random(part, who, 0))
            image, points = draw_scene(self._random(part, who, picture + 1), person, self.difficulty)
            write_image(images / name, image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            return name, points

        return mapped(work, range(count))

    def _random(self, part: str, who: int, what: int) -> np.random.Generator:
        seeds = [self.seed, PARTS.index(part), who, what]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))


def _told(
    faces: Iterator[tuple[str, Float64Array]], progress: Callable[[int, int], None], before: int, total: int
) -> Iterator[tuple[str, Float64Array]]:
    """Pass faces on, and say how many there have been, of all parts."""
    for done, face in enumerate(faces, before + 1):
        yield face
        progress(done, total)
