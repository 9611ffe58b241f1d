"""The generator ``mice``: drawn mice in two views, in the layout of a folder labelled with DeepLabCut."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from kp_deeplabcut.drawing import draw_frame
from kp_deeplabcut.mouse import BODYPARTS, HEIGHT, WIDTH, draw_mouse
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Generator

SCORER = "kptransfer"
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
        (folder / "labeled-data" / "mice").mkdir(parents=True)
        with (folder / f"CollectedData_{SCORER}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["scorer", *[SCORER] * (2 * len(BODYPARTS))])
            writer.writerow(["bodyparts", *(name for name in BODYPARTS for _ in "xy")])
            writer.writerow(["coords", *"xy" * len(BODYPARTS)])
            for number in range(self.frames):
                name = f"labeled-data/mice/img{number:05d}.png"
                writer.writerow([name, *self._frame(folder / name, number)])
                progress(number + 1, self.frames)

    def _frame(self, path: Path, number: int) -> list[str]:
        """Draw and write a frame; return its cells."""
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, number])))
        mouse = draw_mouse(random)
        image = draw_frame(random, mouse, self.size)
        if not cv2.imwrite(str(path), image):
            raise KpError(f"{path}: cannot be written; is the disk full?")
        points = mouse.points()
        forgotten = random.random(len(BODYPARTS)) < _FORGOTTEN
        cells: list[str] = []
        for name, skipped in zip(BODYPARTS, forgotten, strict=True):
            cells.extend(self._cells(None if skipped else points.get(name)))
        return cells

    def _cells(self, point: tuple[float, float] | None) -> tuple[str, str]:
        """Return x and y in pixels of the frame; empty where there is no point, or it is out of the picture."""
        if point is None or not (0 <= point[0] < WIDTH and 0 <= point[1] < HEIGHT):
            return "", ""
        scale = self.size / WIDTH
        x, y = ((value + 0.5) * scale - 0.5 for value in point)
        return f"{max(x, 0):.2f}", f"{max(y, 0):.2f}"
