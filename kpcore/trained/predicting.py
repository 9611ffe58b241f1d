"""From pictures to keypoints; they are read by a thread a core, in turns with a network on the CPU, or ahead of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast, get_args

import numpy as np

from kpcore.cores import AHEAD, cores, mapped
from kpcore.data.batches import ahead
from kpcore.data.geometry import apply, invert
from kpcore.data.store import LARGEST_WINDOW, Cut
from kpcore.errors import KpError, shown, unknown
from kpcore.interfaces import Predicted
from kpcore.reading.budget import stated
from kpcore.reading.images import read_picture
from kpcore.reading.turning import unclear
from kpcore.samples import Orientation, Sample
from kpcore.tensors import Float64Array, ImageArray
from kpcore.trained.boxes import Box, Boxes
from kpcore.trained.cropping import input_of
from kpcore.trained.engine import Engine
from kpcore.trained.framing import Crop, whole
from kpcore.trained.pictures import Picture

MARGINS = (0.1, 100)
"""Sides of a crop over a box's longer side, from the least to the most."""
WAITING = 2
"""Batches of pictures that wait for a batch of crops to fill, at most."""
HELD = 2**28
"""Bytes of pixels, of pictures that are drawn on or of frames, from which on no batch is waited for."""
TURN = 4
"""Batches of crops that are read in one turn with a network on the CPU, whose threads go on spinning for milliseconds
after each of theirs, on cores that reading would have."""


@dataclass(frozen=True)
class How:
    """How pictures are predicted on.

    Args:
        boxes: where instances are; None for whole pictures.
        margin: crop side over the longer side of a box; None for the network's own.
        batch_size: crops that go through the network at once.
        orientation: whether a picture is turned as its EXIF orientation says; as for a data set.
        keep: hold a picture's pixels until it is given out, for who draws them.
        doubts: is told of a picture for which nothing says whether it is to be turned.
    """

    boxes: Boxes | None = None
    margin: float | None = None
    batch_size: int = 32
    orientation: Orientation = "auto"
    keep: bool = False
    doubts: Callable[[Picture], None] = lambda picture: None

    def __post_init__(self) -> None:
        """Check the options, and the limits of what is read; raises KpError where one is none."""
        stated()
        if self.margin is not None and not _within(self.margin, *MARGINS):
            low, high = MARGINS
            raise KpError(f"margin = {shown(self.margin)}: a crop's side over a box's longer one is {low} to {high}")
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            raise KpError(f"batch_size = {shown(self.batch_size)}: at least one crop at once")
        orientation_of(self.orientation, where="orientation")


@dataclass(frozen=True, eq=False)
class Ready:
    """A picture with its network inputs."""

    picture: Picture
    size: tuple[int, int] = (0, 0)
    crops: tuple[Crop, ...] = ()
    boxes: tuple[Box, ...] = ()
    inputs: tuple[ImageArray, ...] = ()
    affines: tuple[Float64Array, ...] = ()
    problem: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(eq=False)
class _Waiting:
    """A picture whose inputs are on their way through the network."""

    ready: Ready
    points: list[Float64Array] = field(default_factory=list)
    confidence: list[Float64Array] = field(default_factory=list)

    @property
    def held(self) -> int:
        """Bytes of its picture's pixels."""
        pixels = self.ready.picture.pixels
        return 0 if pixels is None else pixels.nbytes

    @property
    def done(self) -> bool:
        return len(self.points) == len(self.ready.inputs)


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float | np.number) and bool(low <= value <= high)


def orientation_of(word: object, *, where: str = "--orientation") -> Orientation:
    """Return how pictures are turned; raises KpError where the word is none of the three."""
    if word in get_args(Orientation):
        return cast(Orientation, word)
    raise unknown("orientation", word, get_args(Orientation), where=where)


def predict(pictures: Iterable[Picture], engine: Engine, how: How) -> Iterator[Predicted]:
    """Predict on pictures, in their order; memory does not grow with their number.

    What cannot be read is given out with its problem, and the others are predicted on.
    """
    waiting: deque[_Waiting] = deque()
    batch: list[tuple[_Waiting, int]] = []
    for ready in prepared(pictures, engine, how):
        one = _Waiting(ready)
        waiting.append(one)
        batch += [(one, place) for place in range(len(ready.inputs))]
        while len(batch) >= how.batch_size or (batch and _too_many(waiting, how)):
            _through(batch[: how.batch_size], engine)
            del batch[: how.batch_size]
        while waiting and waiting[0].done:
            yield _found(waiting.popleft(), engine, how)
    if batch:
        _through(batch, engine)
    yield from (_found(one, engine, how) for one in waiting)


def _too_many(waiting: Sequence[_Waiting], how: How) -> bool:
    """Whether a batch that does not fill holds up too many pictures without an instance, or too large ones."""
    return len(waiting) > WAITING * how.batch_size or (how.keep and sum(one.held for one in waiting) > HELD)


def _through(batch: Sequence[tuple[_Waiting, int]], engine: Engine) -> None:
    """Send a batch through the network; every crop's points go back to its picture, in source pixels."""
    points, confidence = known(*engine.crops(np.stack([one.ready.inputs[place] for one, place in batch])))
    affines = np.stack([one.ready.affines[place] for one, place in batch])
    for (one, _), there, surer in zip(batch, apply(invert(affines), points), confidence, strict=True):
        one.points.append(there)
        one.confidence.append(surer)


def known(points: Float64Array, confidence: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return points (B, K, D) and confidences (B, K), NaN both where the network gave no number for either."""
    good = np.isfinite(points).all(-1) & ~np.isnan(confidence)
    return np.where(good[..., None], points, np.nan), np.where(good, confidence, np.nan)


def _found(one: _Waiting, engine: Engine, how: How) -> Predicted:
    ready, picture = one.ready, one.ready.picture
    none = nothing(picture, engine, ready.problem)
    return Predicted(
        name=picture.name,
        path=picture.path,
        frame=picture.frame,
        size=ready.size,
        crops=crop_array(ready.crops),
        ids=tuple(box.id for box in ready.boxes),
        points=np.stack(one.points) if one.points else none.points,
        confidence=np.stack(one.confidence) if one.confidence else none.confidence,
        pixels=picture.pixels if how.keep else None,
        problem=ready.problem,
        left_out=ready.left_out,
        **_listed(ready, how),
    )


def _listed(ready: Ready, how: How) -> dict[str, Any]:
    """Return what a COCO file of boxes calls the picture and its instances."""
    if how.boxes is None or not how.boxes.image_ids:
        return {}
    return {
        "image_id": how.boxes.image_id(ready.picture),
        "categories": tuple(box.category for box in ready.boxes),
        "rows": tuple(box.row for box in ready.boxes if box.row is not None),
    }


def crop_array(crops: Sequence[Crop]) -> Float64Array:
    """Return crops as (N, 3): centre x, centre y, side."""
    return np.array([[crop.x, crop.y, crop.side] for crop in crops], np.float64).reshape(len(crops), 3)


def nothing(picture: Picture, engine: Engine, problem: str) -> Predicted:
    """Return that nothing was predicted on a picture."""
    count, dims = len(engine.keypoints), engine.keypoints.skeleton.dims
    return Predicted(
        picture.name, picture.path, picture.frame, (0, 0), crop_array(()), (), np.empty((0, count, dims)),
        np.empty((0, count)), problem=problem,
    )  # fmt: skip


def prepared(pictures: Iterable[Picture], engine: Engine, how: How) -> Iterator[Ready]:
    """Return pictures with their inputs, in order, read by a thread a core.

    For a network on another device they are read while it runs, some ahead of the one in use. One on the CPU takes
    turns with them: it has all cores, and a core that is taken from it holds up the others at the end of every layer
    (docs/benchmarks.md).
    """
    work = partial(prepare, engine=engine, how=how)
    if engine.on_cpu:
        return _in_turns(work, pictures, how)
    return mapped(work, read_ahead(pictures), max(AHEAD * cores(), how.batch_size))


def _in_turns(work: Callable[[Picture], Ready], pictures: Iterable[Picture], how: How) -> Iterator[Ready]:
    """Read a turn's pictures at once, and nothing while they are in use."""
    coming = iter(pictures)
    with ThreadPoolExecutor(cores()) as pool:
        try:
            while some := [pool.submit(work, picture) for picture in _turn(coming, how)]:
                yield from [one.result() for one in some]
        finally:
            pool.shutdown(cancel_futures=True)  # who is interrupted waits for what is being read alone


def _turn(coming: Iterator[Picture], how: How) -> Iterator[Picture]:
    """Yield the next pictures, until they have as many crops as a turn takes; few of those that hold their pixels."""
    few = AHEAD * cores()
    room = max(TURN * how.batch_size, few)
    while room > 0 and (picture := next(coming, None)) is not None:
        yield picture
        room -= max(1, len(how.boxes.of(picture))) if how.boxes else 1
        if how.keep or picture.pixels is not None:
            few -= 1
            room = room if few > 0 else 0


def read_ahead(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Yield pictures that a background thread takes from where they come, a video's decoder above all."""
    end = object()
    source = iter(pictures)
    step: Callable[[], Any] = partial(next, source, end)
    for picture in ahead(iter(lambda: step, None)):
        if picture is end:
            return
        yield picture


def prepare(picture: Picture, engine: Engine, how: How) -> Ready:
    """Read a picture and cut its crops; what is wrong with it is told, not raised."""
    if picture.problem:
        return Ready(picture, problem=picture.problem)
    try:
        pixels = _pixels(picture, how)
        height, width = pixels.shape[:2]
        crops, boxes, left_out = crops_of(picture, (width, height), engine, how)
        cut = [input_of(pixels, crop, engine.resolution, picture.name) for crop in crops]
    except KpError as error:
        return Ready(picture, problem=str(error))
    return Ready(
        picture=replace(picture, pixels=pixels if how.keep else None),
        size=(width, height),
        crops=crops,
        boxes=boxes,
        inputs=tuple(image for image, _ in cut),
        affines=tuple(affine for _, affine in cut),
        left_out=left_out,
    )


def crops_of(
    picture: Picture, size: tuple[int, int], engine: Engine, how: How
) -> tuple[tuple[Crop, ...], tuple[Box, ...], tuple[str, ...]]:
    """Return the crops of a picture, the boxes that they are of, and what is wrong with the other boxes.

    Raises:
        KpError: the whole picture is one crop, and too large.
    """
    if how.boxes is None:
        crop = whole(*size)
        if problem := _too_large(crop, engine):
            raise KpError(f"{picture.name}: {problem}; scale the picture down, or give --boxes")
        return (crop,), (Box(None, crop),), ()
    boxes = how.boxes.of(picture)
    crops = [box.framed(engine.framing, how.margin) for box in boxes]
    problems = [_wrong(crop, size, engine) for crop in crops]
    good = [place for place, problem in enumerate(problems) if not problem]
    left_out = tuple(
        f"{picture.name}: box {box.id or place} of {how.boxes.path} {problem}"
        for place, (box, problem) in enumerate(zip(boxes, problems, strict=True))
        if problem
    )
    return tuple(crops[place] for place in good), tuple(boxes[place] for place in good), left_out


def _wrong(crop: Crop, size: tuple[int, int], engine: Engine) -> str:
    """Return why a crop cannot be predicted on; "" where it can."""
    if not _meets(crop, size):
        return (
            f"lies outside the picture, which is {size[0]} x {size[1]} px; it may be of another picture, or in other"
            " units"
        )
    problem = _too_large(crop, engine)
    return f"is too large: {problem}; check its units, or lower --margin" if problem else ""


def _too_large(crop: Crop, engine: Engine) -> str:
    side = crop.side * Cut(engine.resolution, 1.0).side / engine.resolution
    return f"its crop is {side:.0f} px wide, at most {LARGEST_WINDOW} can be cut" if side > LARGEST_WINDOW else ""


def _meets(crop: Crop, size: tuple[int, int]) -> bool:
    half = crop.side / 2
    return -half < crop.x < size[0] - 1 + half and -half < crop.y < size[1] - 1 + half


def _pixels(picture: Picture, how: How) -> ImageArray:
    if picture.pixels is not None:
        return picture.pixels
    stated = how.boxes.size(picture) if how.boxes else None
    sample = Sample(
        image=picture.path, points=np.empty((0, 2), np.float32), state=np.empty(0, np.uint8),
        centre=np.zeros(2, np.float32), side=1.0, normaliser=np.nan, image_id=picture.name, person_id="", row=0,
        stated_size=stated, orientation=how.orientation,
    )  # fmt: skip
    pixels, header = read_picture(sample, picture.path)
    if how.orientation == "auto" and unclear(header, stated):
        how.doubts(picture)
    return pixels
