"""Pictures to predict on: image files, folders, patterns, lists of images, and the frames of videos."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from kpcore.errors import KpError, listed
from kpcore.placing import TEMPORARY, home
from kpcore.reading.budget import Limit, within
from kpcore.reading.opening import read_text, regular
from kpcore.reading.quiet import hushed
from kpcore.tensors import ImageArray
from kpcore.trained.outputs import drawn_below

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
LISTS = (".txt",)
OTHERS = (".gif", ".heic", ".heif", ".avif", ".jp2", ".psd", ".svg", ".dng", ".cr2", ".nef", ".wmv", ".flv", *VIDEOS)
"""Endings of pictures in a folder that are not read, and of videos, which are read where they are named."""
STARTS = (b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x00\x00\x01\xb0", b"OggS", b"FLV\x01",
          b"0&\xb2u\x8ef\xcf\x11")  # fmt: skip
"""First bytes of Matroska and WebM, of MPEG's streams, of Ogg, Flash and Windows Media."""
MAGIC = "*?["
SHORTFALL = 0.01
"""Share of a header's frames, and one more, that may be missing: it is an estimate in many files."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image, or a frame of a video.

    Args:
        name: what results call it; a frame has its video's, and its number.
        path: of the image or the video.
        frame: number in the video, from 0; None for an image.
        pixels: (H, W, 3) uint8 RGB of a frame; None for an image, which is read when its turn comes.
        problem: why there are no pixels; "" where nothing is wrong.
    """

    name: str
    path: Path
    frame: int | None = None
    pixels: ImageArray | None = None
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """A video, or some images that were asked for by one word.

    Args:
        path: of the video; of the images' common folder.
        images: names and paths; empty for a video.
        notes: what is left out, for people.
    """

    path: Path
    images: tuple[tuple[str, Path], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def video(self) -> bool:
        """Whether it is one."""
        return not self.images

    @property
    def names(self) -> tuple[str, ...]:
        """Of its images; of a video its own."""
        return tuple(name for name, _ in self.images) or (self.path.name,)

    @property
    def known(self) -> list[Picture]:
        """Its images, or the video, by name and path; nothing is read."""
        return [Picture(name, path) for name, path in self.images] or [Picture(self.path.name, self.path)]

    def __len__(self) -> int:
        """Count its pictures; a video's as its file says."""
        return len(self.images) if self.images else 1 if nameless(self.path.name, self.path) else frames_of(self.path)

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures in order; of a name that cannot be written none but its problem."""
        if not self.video:
            yield from (Picture(name, path, problem=nameless(name, path)) for name, path in self.images)
        elif problem := nameless(self.path.name, self.path):
            yield Picture(self.path.name, self.path, problem=problem)
        else:
            yield from frames(self.path)


def nameless(name: str, path: Path) -> str:
    """Return why no file can say which picture it is; "" where one can.

    CSV, JSON and HDF5 hold Unicode, and a file's name may be any bytes. DeepLabCut's rows name its folder too.
    """
    try:
        for text in (name, str(path), path.absolute().parent.name):
            text.encode()
    except UnicodeEncodeError:
        return f"{path}: its name is not UTF-8, and no format can write it; rename it"
    return ""


def sources(words: Sequence[str]) -> list[Source]:
    """Return what these words name: images, folders, patterns, lists of images (``.txt``, a path a line), videos.

    What is named twice is taken once; a source's notes say so, and what of a folder is left out.

    Raises:
        KpError: a word names nothing, an empty folder, or a file of another kind; or two videos have one name.
    """
    found = _once([_source(word) for word in words])
    _check_videos([source.path for source in found if source.video])
    return _named_apart(found)


def _once(found: Sequence[Source]) -> list[Source]:
    """Return the sources with every file at its first place alone."""
    known: set[str] = set()
    kept: list[Source] = []
    for source in found:
        files = source.images or ((source.path.name, source.path),)
        again = [_is_known(path, known) for _, path in files]
        new = tuple(file for file, twice in zip(files, again, strict=True) if not twice)
        if new:
            kept.append(source if source.video else replace(source, images=new))
        if any(again):
            more = f" (and {sum(again) - 1} more)" if sum(again) > 1 else ""
            note = f"{files[again.index(True)][1]}{more}: is given twice, and taken once"
            kept[-1] = replace(kept[-1], notes=(*kept[-1].notes, note))
    return kept


def _is_known(path: Path, known: set[str]) -> bool:
    """Whether a file was there before; from now on it was."""
    count = len(known)
    known.add(os.path.abspath(path))  # noqa: PTH100 - Path keeps ".."
    return len(known) == count


def _check_videos(paths: Sequence[Path]) -> None:
    """Refuse two videos of one name, whose results could not be told apart; raises KpError."""
    first: dict[str, Path] = {}
    for path in paths:
        if path.stem in first:
            raise KpError(
                f"{path}: is called as {first[path.stem]} is, and results would not tell them apart; predict on one at"
                " a time"
            )
        first[path.stem] = path


def _source(word: str) -> Source:
    path = home(word)
    if path.is_dir():
        return _folder(path)
    if not path.exists() and any(mark in word for mark in MAGIC):
        return _pattern(word)
    if not path.is_file():
        raise KpError(f"{word}: no such file or folder; give images, a folder, a pattern, a list (.txt) or a video")
    ending = path.suffix.lower()
    if ending in LISTS:
        return _list(path)
    if ending in VIDEOS:
        return Source(path)
    if ending in IMAGES:
        return Source(path.parent, ((path.name, path),))
    raise KpError(
        f"{word}: is none of {listed([*IMAGES, *VIDEOS, *LISTS], 20)}; give images, a list of them or a video"
    )


def _folder(path: Path) -> Source:
    """Return all images below a folder, by their paths in it."""
    drawn = drawn_below(path)
    every = [one for one in sorted(path.rglob("*")) if not _half_written(one.relative_to(path))]
    images = [one for one in every if one.suffix.lower() in IMAGES and not one.is_dir()]
    found = [one for one in images if one not in drawn and one.is_file()]
    notes = _left_out(
        path,
        {
            "that 'kp predict' drew": [one for one in images if one in drawn],
            "that are no files": [one for one in images if one not in drawn and not one.is_file()],
            "of other kinds": [one for one in every if one.suffix.lower() in OTHERS and one not in drawn],
        },
    )
    if not found:
        also = f"; left out: {notes}" if notes else ""
        raise KpError(f"{path}: holds no image ({listed(IMAGES, 20)}){also}; name another folder")
    told = (f"{path}: left out: {notes}",) if notes else ()
    return Source(path, tuple((one.relative_to(path).as_posix(), one) for one in found), told)


def _half_written(path: Path) -> bool:
    """Whether it lies in what a run has not finished."""
    return any(TEMPORARY.fullmatch(part) for part in path.parts)


def _left_out(folder: Path, found: Mapping[str, Sequence[Path]]) -> str:
    """Return what of a folder is not predicted on, by reason; "" where that is nothing."""
    return ", ".join(
        f"{len(paths)} {reason} ({listed((path.relative_to(folder).as_posix() for path in paths), 2)})"
        for reason, paths in found.items()
        if paths
    )


def _pattern(word: str) -> Source:
    found = sorted(Path(one) for one in glob.glob(str(home(word)), recursive=True))  # noqa: PTH207
    images = [one for one in found if one.suffix.lower() in IMAGES and one.is_file()]
    if not images:
        raise KpError(f"{word}: the pattern finds no image ({listed(IMAGES, 20)}); mend it, or name a folder")
    return Source(images[0].parent, _named([one.as_posix() for one in images], images))


def _list(path: Path) -> Source:
    """Return the images that a text file names, a path a line, from its own folder where they are not absolute."""
    names = [line.strip() for line in read_text(path, "a list of images").splitlines()]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise KpError(f"{path}: names no image; write a path a line")
    return Source(
        path.parent, _named([Path(name).as_posix() for name in names], [path.parent / name for name in names])
    )


def _named(names: Sequence[str], paths: Sequence[Path]) -> tuple[tuple[str, Path], ...]:
    """Return names and paths; where a name is a whole path, which no labelling tool finds, all are named by their
    paths below the folder that they have in common.
    """
    whole = any(Path(name).is_absolute() for name in names)
    return tuple(zip(below(paths) if whole else names, paths, strict=True))


def below(paths: Sequence[Path]) -> list[str]:
    """Return paths as they are below the folder that they have in common; whole where they have none."""
    full = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - links are not followed
    try:
        common = os.path.commonpath([path.parent for path in full])
    except ValueError:  # two drives
        return [path.as_posix() for path in full]
    return [path.relative_to(common).as_posix() for path in full]


def _named_apart(found: list[Source]) -> list[Source]:
    """Return the sources; images of which two would bear the same name are named below their common folder."""
    count = Counter(name for source in found for name, _ in source.images)
    clashing = [path for source in found for name, path in source.images if count[name] > 1]
    if not clashing:
        return found
    apart = dict(zip(clashing, below(clashing), strict=True))
    taken = {name for name in count if count[name] == 1}
    if taken & set(apart.values()):
        apart = {path: path.as_posix() for path in clashing}
    return [
        replace(
            source,
            images=tuple((apart.get(path, name) if count[name] > 1 else name, path) for name, path in source.images),
        )
        for source in found
    ]


def frames_of(path: Path) -> int:
    """Return how many frames a video's header promises; 0 where it does not say.

    Raises:
        KpError: it cannot be opened.
    """
    capture = _open(path)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()


def frame_rate(path: Path) -> float:
    """Return a video's frames a second, 25 where its header does not say; raises KpError where it cannot be opened."""
    capture = _open(path)
    try:
        found = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    return found if 0 < found <= 1000 else 25.0


def frames(path: Path) -> Iterator[Picture]:
    """Yield a video's frames; where it ends well before its header's count, a last picture without pixels says so.

    Raises:
        KpError: it cannot be opened, or holds no frame.
    """
    promised, capture = frames_of(path), _open(path)
    count = 0
    try:
        while (pixels := _next(capture)) is not None:
            yield Picture(path.name, path, count, pixels)
            count += 1
    finally:
        capture.release()
    if not count:
        raise KpError(f"{path}: holds no frame that can be decoded; it may be damaged, or of a kind that is not read")
    if count < (1 - SHORTFALL) * promised - 1:
        problem = f"{path}: ends after {count} frames, its header promises {promised}; it may be cut off"
        yield Picture(path.name, path, count, None, problem)


def _open(path: Path) -> cv2.VideoCapture:
    """Open a video: a file that is one itself, and no list that names others, here or elsewhere.

    Raises:
        KpError: it is none, cannot be opened, or its frames are too large.
    """
    if not _is_container(path):
        raise KpError(f"{path}: cannot be opened as a video: it does not begin as one ({listed(VIDEOS, 20)})")
    with hushed():
        capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise KpError(f"{path}: cannot be opened as a video; it may be damaged, or of a kind that is not read")
    pixels = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)) * int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    try:
        within(Limit.PIXELS, pixels, f"its frames have {pixels:,} pixels", path)
    except KpError:
        capture.release()
        raise
    return capture


def _is_container(path: Path) -> bool:
    """Whether a file begins as a container of video does; FFmpeg takes a list of other files for a video too."""
    try:
        regular(path, "a video")
        with path.open("rb") as file:
            start = file.read(256)
    except OSError:
        return False
    boxes = start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
    riff = start[:4] in (b"RIFF", b"RIFX") and start[8:11] == b"AVI"
    stream = start[:1] == b"\x47" and start[188:189] == b"\x47"
    return boxes or riff or stream or start.startswith(STARTS)


def _next(capture: cv2.VideoCapture) -> ImageArray | None:
    with hushed():
        good, pixels = capture.read()
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if good else None
