"""All of ``kp predict``: pictures in, files out, and what went wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kpcore.errors import KpError, system_error
from kpcore.interfaces import About, Predicted, Sink, Writer
from kpcore.trained.boxes import Boxes
from kpcore.trained.card import Card
from kpcore.trained.engine import Engine
from kpcore.trained.following import follow
from kpcore.trained.outputs import ELSEWHERE, Target, settle, staging
from kpcore.trained.pictures import Source
from kpcore.trained.predicting import How, predict

Progress = Callable[[int, int], None]


@dataclass
class Written:
    """What a run of ``kp predict`` did.

    Args:
        pictures: that were predicted on.
        frames: how many of these are of a video.
        instances: found in them.
        without: pictures that no box is in.
        lost: instances of frames in which following had lost them.
        unknown: keypoints for which the network gave no number; they are written as missing.
        problems: name and reason of every picture that could not be read, or was not there.
        left_out: what is said of boxes that were not predicted on.
        unused: what has boxes and was not among the pictures, with their number.
        files: that were written.
        notes: what formats have to say of them.
    """

    pictures: int = 0
    frames: int = 0
    instances: int = 0
    without: int = 0
    lost: int = 0
    unknown: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unused: list[tuple[str, int]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, found: Predicted, following: bool) -> None:
        """Take a picture down."""
        if found.problem:
            self.problems.append((found.name, found.problem))
            return
        missing = np.asarray(np.isnan(found.points).any(2))
        lost = np.asarray(missing.all(1) & following)
        self.pictures += 1
        self.frames += found.frame is not None
        self.instances += len(found.points)
        self.without += not len(found.points) and not found.left_out
        self.lost += int(lost.sum())
        self.unknown += int(missing[~lost].sum())
        self.left_out += found.left_out


def write(
    found: Sequence[Source],
    engine: Engine,
    card: Card,
    how: How,
    writers: Mapping[str, Writer],
    target: Target,
    *,
    following: bool = False,
    progress: Progress = lambda done, total: None,
) -> Written:
    """Predict on all sources and write every format.

    Args:
        found: images and videos; following takes videos alone.
        engine: that predicts.
        card: of its network.
        how: boxes, margin, batch size.
        writers: format's name -> writer.
        target: where it is written; its folder is made where it is missing.
        following: take a frame's crop from the frame before.
        progress: called with (pictures done, pictures), 0 where their number is not known.

    Raises:
        KpError: something is there already, nothing can be written there, an image is to be followed, or a format
            cannot hold these keypoints.
    """
    for source in found:
        if following and not source.video:
            raise KpError(f"--follow: {source.path} is no video; leave --follow out, or give videos alone")
    about = about_of(found, engine, card, how.boxes)
    seen: set[tuple[str, int]] = set()
    try:
        with staging(target) as stage, Sinks(writers, stage, about) as sinks:
            every = _seen(_predicted(found, engine, how, following), seen, how.boxes)
            written = _all(every, sinks, Counted(about.pictures, following, progress))
            written.unused = how.boxes.unused(seen) if how.boxes else []
            settle(stage, target)
            written.files = [target.folder / path.relative_to(stage) for path in written.files]
            return written
    except UnicodeEncodeError as error:  # of a folder far above, which one format names
        raise KpError(f"{error.object!a}: is not UTF-8, and one of the formats has to write it; rename it") from None
    except OSError as error:
        raise KpError(f"{system_error(error, target.folder)}, or {ELSEWHERE}") from None


def about_of(found: Sequence[Source], engine: Engine, card: Card, boxes: Boxes | None = None) -> About:
    """Return what all predictions share."""
    return About(
        keypoints=engine.keypoints,
        model=card.title,
        steps=card.steps,
        pictures=sum(map(len, found)),
        boxes=boxes.path if boxes else None,
        categories=boxes.categories if boxes else (),
        free_image_id=boxes.free_image_id if boxes else 1,
    )


def _predicted(found: Sequence[Source], engine: Engine, how: How, following: bool) -> Iterator[Predicted]:
    for source in found:
        yield from (follow if following else predict)(source.pictures(), engine, how)


def _seen(found: Iterator[Predicted], seen: set[tuple[str, int]], boxes: Boxes | None) -> Iterator[Predicted]:
    """Yield predictions, and take down which frames with boxes are there."""
    for one in found:
        if boxes and one.frame is not None and not one.problem and (one.name, one.frame) in boxes.by_frame:
            seen.add((one.name, one.frame))
        yield one


@dataclass(frozen=True)
class Counted:
    """How pictures are counted: how many there are to be, whether following loses some, and who is told."""

    total: int
    following: bool
    progress: Progress


def _all(found: Iterator[Predicted], sinks: Sinks, how: Counted) -> Written:
    written = Written()
    for done, one in enumerate(found, 1):
        sinks.add(one)
        written.count(one, how.following)
        how.progress(done, max(done, how.total))
    written.files = sinks.finish()
    written.notes = sinks.notes()
    return written


class Sinks:
    """The sinks of several formats, opened together and abandoned together where something fails."""

    def __init__(self, writers: Mapping[str, Writer], out: Path, about: About) -> None:
        self._writers = writers
        self._out = out
        self._about = about
        self._open: list[Sink] = []

    def __enter__(self) -> Sinks:
        try:
            for writer in self._writers.values():
                self._open.append(writer.open(self._out / writer.file, self._about))
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._abandon()

    def add(self, found: Predicted) -> None:
        """Give a picture to all."""
        for sink in self._open:
            sink.add(found)

    def finish(self) -> list[Path]:
        """Make all files whole and return them."""
        return [path for sink in self._open for path in sink.finish()]

    def notes(self) -> list[str]:
        """Return what there is to say of the files, with the format's name before it."""
        return [
            f"{name}: {note}" for name, sink in zip(self._writers, self._open, strict=True) for note in sink.notes()
        ]

    def _abandon(self) -> None:
        for sink in self._open:
            sink.abandon()
