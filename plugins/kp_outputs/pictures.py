"""The writer ``pictures``: keypoints drawn on the images, or on a video."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from kp_outputs.lettering import NAMED, Lettering, with_legend
from kpcore import placing
from kpcore.drawing import draw_instance, marks_of, radius_of
from kpcore.errors import KpError
from kpcore.interfaces import About, ComponentConfig, Predicted, Sink, Writer
from kpcore.tensors import ImageArray
from kpcore.trained.pictures import frame_rate

WRITTEN = (".png", ".jpg", ".jpeg", ".webp")
"""Endings that are kept; others get .png behind them."""
LONGEST = 255
"""Bytes of a file's name, at most."""
CODEC = "mp4v"
"""The video codec that every build of OpenCV writes."""


class Pictures(Writer):
    """A picture an image, and a video a video, with the skeleton and a mark a keypoint.

    S1 is a blue disc, S2 an orange square, what is in both a green diamond, and a legend below the picture says so. A
    keypoint whose confidence is below half of its instance's median is an outline. Names of up to 20 keypoints stand
    beside them where they cover nothing, and the median beside the instance, in the codec's units.
    """

    file: ClassVar[str] = "pictures"
    needs_pixels: ClassVar[bool] = True

    class Config(ComponentConfig):
        """Options of the writer ``pictures``."""

        quality: int = Field(default=92, ge=1, le=100, description="of JPEG")
        text: bool = Field(
            default=True,
            description="write names of keypoints, and each instance's median confidence and its name, where these"
            " last from picture to picture (following, tracks)",
        )
        legend: bool = Field(default=True, description="say below the picture what marks mean")

    def __init__(self, *, quality: int, text: bool, legend: bool) -> None:
        self._quality = quality
        self._text = text
        self._legend = legend

    def open(self, path: Path, about: About) -> Sink:
        """Make the folder."""
        placing.folder(path.parent, path.name)
        return _Sink(path, about, self._quality, text=self._text, legend=self._legend)


class _Sink(Sink):
    def __init__(self, folder: Path, about: About, quality: int, *, text: bool, legend: bool) -> None:
        self._folder = folder
        self._about = about
        self._quality = quality
        self._text = text
        self._legend = legend
        self._written: list[Path] = []
        self._video: _Video | None = None

    def add(self, found: Predicted) -> None:
        """Draw a picture."""
        if found.pixels is None:
            return
        canvas = np.ascontiguousarray(found.pixels).copy()
        self._draw(canvas, found)
        if self._legend:
            canvas = with_legend(canvas, self._about.keypoints.names, self._about.steps)
        if found.frame is None:
            self._image(found, canvas)
        else:
            self._frame(found, canvas)

    def _draw(self, canvas: ImageArray, found: Predicted) -> None:
        names, skeleton = self._about.keypoints.names, self._about.keypoints.skeleton
        drawn = [
            (marks_of(names, points, surer), radius_of(side))
            for points, surer, side in zip(found.points, found.confidence, found.crops[:, 2].tolist(), strict=True)
        ]
        for marks, radius in drawn:
            draw_instance(canvas, skeleton, marks, self._about.steps, radius)
        if not self._text:
            return
        lettering = Lettering(canvas, drawn)
        for place, (marks, radius) in enumerate(drawn):
            if marks:
                lettering.headline(self._line(found, place), marks, radius)
                if len(names) <= NAMED:
                    lettering.names(marks, radius)

    def _line(self, found: Predicted, place: int) -> str:
        """Return what stands beside an instance; the id of an annotation is no name."""
        median = f"confidence {np.nanmedian(found.confidence[place]):.2f}"
        return median if found.rows else f"{found.ids[place]}  {median}".strip()

    def _image(self, found: Predicted, canvas: ImageArray) -> None:
        name = PurePosixPath(found.name)
        ending = name.suffix.lower() if name.suffix.lower() in WRITTEN else ".png"
        kept = name if ending == name.suffix.lower() else name.with_name(f"{name.name}{ending}")  # a.bmp and a.tif
        *folders, last = _inside(kept)
        path = placing.folder(self._folder, *folders) / last
        settings = [cv2.IMWRITE_JPEG_QUALITY, self._quality] if ending in (".jpg", ".jpeg") else []
        good, data = cv2.imencode(ending, cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR), settings)
        if not good:
            raise KpError(f"{path}: cannot be written as {ending}")
        self._written.append(placing.put(path, data.tobytes()))

    def _frame(self, found: Predicted, canvas: ImageArray) -> None:
        path = self._folder / f"{PurePosixPath(found.name).stem}.mp4"
        if self._video is None or self._video.path != path:
            self._end_video()
            self._video = _Video(path, frame_rate(found.path), (canvas.shape[1], canvas.shape[0]))
        self._video.add(canvas)

    def _end_video(self) -> None:
        if self._video is not None:
            self._written.append(self._video.finish())
            self._video = None

    def finish(self) -> Sequence[Path]:
        """Close the video."""
        self._end_video()
        return self._written

    def abandon(self) -> None:
        """Remove the video that was begun."""
        if self._video is not None:
            self._video.abandon()


class _Video:
    """A video that is being written beside its name."""

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        self.path = path
        self._size = size
        self._partial = placing.beside(path)
        fourcc = cv2.VideoWriter.fourcc(*CODEC)
        self._writer = cv2.VideoWriter(str(self._partial), fourcc, rate, size)
        if not self._writer.isOpened():
            self._partial.unlink(missing_ok=True)
            raise KpError(f"{path}: this OpenCV cannot write '{CODEC}' video; write pictures of single frames instead")

    def add(self, canvas: ImageArray) -> None:
        """Write a frame; a stream may change its size, a file cannot."""
        if (canvas.shape[1], canvas.shape[0]) != self._size:
            canvas = np.asarray(cv2.resize(canvas, self._size), np.uint8)
        self._writer.write(cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))

    def finish(self) -> Path:
        """Give it its name."""
        self._writer.release()
        return self._partial.replace(self.path)

    def abandon(self) -> None:
        """Remove it."""
        self._writer.release()
        self._partial.unlink(missing_ok=True)


def _inside(name: PurePosixPath) -> Sequence[str]:
    """Return a name's parts; one that would leave the folder, or is too long, becomes one that no other becomes."""
    if len(os.fsencode(name.name)) > LONGEST:
        return _inside(name.with_name(f"{name.stem[: LONGEST // 8]}-{_digest(name)}{name.suffix}"))
    if name.is_absolute() or ".." in name.parts:
        return [f"{name.stem}-{_digest(name)}{name.suffix}"]
    return name.parts


def _digest(name: PurePosixPath) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()[:8]
