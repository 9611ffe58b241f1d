"""The generator ``mice``: drawn mice in two views, in the layout of a folder labelled with DeepLabCut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from kp_deeplabcut.synthetic.layout import FRAMES, Cells, write_labels
from kp_deeplabcut.synthetic.mouse import BODYPARTS, HEIGHT, WIDTH, draw_mouse
from kp_deeplabcut.synthetic.scene import draw_scene
from kpcore.data.generated import write_image
from kpcore.interfaces import ComponentConfig, Generator

_FORGOTTEN = 0.04
"""Share of the visible bodyparts that nobody labelled, beside those out of the picture or not there."""


class MiceGenerator(Generator):
    """Synthetic mice on a wheel, every frame of a mouse of its own. Args: as the fields of ``Config``."""

    class Config(ComponentConfig):
        """``[dataset.generate] name = "mice"``."""

        frames: int = Field(default=600, ge=1, le=99_999, description="frames to write; a share of them is held out")
        seed: int = Field(default=0, ge=0, description="other seeds draw other mice")
        size: int = Field(default=96, ge=48, le=1024, description="pixels of a frame's width")

    def __init__(self, *, frames: int, seed: int, size: int) -> None:
        self.frames = frames
        self.seed = seed
        self.size = size

    @property
    def version(self) -> str:
        """The drawing's own version, and OpenCV's, which draws and compresses."""
        return f"1, opencv {cv2.__version__}"

    def write(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        """Write ``CollectedData_kptransfer.csv`` and ``labeled-data/mice/``; pixels 0-based, to a hundredth.

        Every frame is drawn from its own random numbers.
        """
        (folder / FRAMES).mkdir(parents=True)
        write_labels(folder, self._draw(folder, progress))

    def _draw(self, folder: Path, progress: Callable[[int, int], None]) -> Iterator[tuple[str, list[Cells]]]:
        """Draw and write the frames; yield names and cells."""
        for number in range(self.frames):
            name = f"{FRAMES}/img{number:05d}.png"
            yield name, self._frame(folder / name, number)
            progress(number + 1, self.frames)

    def _frame(self, path: Path, number: int) -> list[Cells]:
        """Draw and write a frame; return its cells."""
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, number])))
        mouse = draw_mouse(random)
        image = draw_scene(random, mouse, self.size)
        write_image(path, image)
        points = mouse.points()
        forgotten = random.random(len(BODYPARTS)) < _FORGOTTEN
        return [
            self._cells(None if skipped else points.get(name))
            for name, skipped in zip(BODYPARTS, forgotten, strict=True)
        ]

    def _cells(self, point: tuple[float, float] | None) -> Cells:
        """Return x and y in pixels of the frame; empty where there is no point, or it is out of the picture."""
        if point is None or not (0 <= point[0] < WIDTH and 0 <= point[1] < HEIGHT):
            return "", ""
        scale = self.size / WIDTH
        x, y = ((value + 0.5) * scale - 0.5 for value in point)
        return f"{max(x, 0):.2f}", f"{max(y, 0):.2f}"
