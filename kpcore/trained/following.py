"""Instances followed through a video: a frame's crop comes from the keypoints of the frame before.

The rule for losing one: its surety, the median confidence of its keypoints, falls below ``LOST`` of the median that it
has had so far; or its crop leaves the picture, or changes its side by more than ``JUMP`` from one frame to the next.
Such a frame is tried again once, on the crop that the instance began with; where that is not surer, its keypoints are
missing in this frame, and every frame after is tried on that crop until the surety is back (re-entry).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from kpcore.data.geometry import apply, invert
from kpcore.errors import KpError
from kpcore.interfaces import Predicted
from kpcore.tensors import Float64Array, ImageArray
from kpcore.trained.cropping import input_of
from kpcore.trained.engine import Engine
from kpcore.trained.framing import Crop
from kpcore.trained.pictures import Picture
from kpcore.trained.predicting import How, crop_array, crops_of, known, nothing, read_ahead

LOST = 0.5
"""Share of the usual surety below which an instance is lost."""
JUMP = 2.0
"""Factor by which a crop's side may change from one frame to the next."""
USUAL = 50
"""Frames whose median is the usual surety."""


@dataclass(eq=False)
class Track:
    """One instance on its way through the frames.

    Args:
        id: what it is called.
        start: the crop that it began with, where it is looked for again.
        crop: of the next frame; None where it is lost.
        surety: of the last frames in which it was not lost.
    """

    id: str
    start: Crop
    crop: Crop | None
    surety: list[float] = field(default_factory=list)

    def is_sure(self, surety: float) -> bool:
        """Whether so sure a prediction is of the instance."""
        return surety > -np.inf and (not self.surety or surety >= LOST * float(np.median(self.surety[-USUAL:])))


@dataclass(frozen=True, eq=False)
class Seen:
    """A crop and what was predicted in it: points (K, D) in the picture's pixels, and confidence (K,)."""

    crop: Crop
    points: Float64Array
    confidence: Float64Array

    @property
    def surety(self) -> float:
        """Median confidence; below any where the network gave no number."""
        there = self.confidence[~np.isnan(self.confidence)]
        return float(np.median(there)) if len(there) else -np.inf


def follow(pictures: Iterable[Picture], engine: Engine, how: How) -> Iterator[Predicted]:
    """Predict on a video's frames, in order, each from the one before.

    The first frame's instances are those of its boxes, or the whole picture where there are none.

    Raises:
        KpError: the network cannot tell a crop from its keypoints, or the first frame has no box.
    """
    if engine.framing.points is None:
        raise KpError(
            f"--follow: the network's keypoints ({', '.join(engine.keypoints.names)}) do not tell where a crop lies"
            " (too few, or it was not noted when it was trained); give --boxes for every frame, or none"
        )
    tracks: list[Track] | None = None
    for picture in read_ahead(pictures):
        pixels = picture.pixels
        if pixels is None:
            yield nothing(picture, engine, picture.problem)
            continue
        if tracks is None:
            tracks = _begin(picture, pixels, engine, how)
        yield _step(tracks, picture, pixels, engine, how)


def _begin(picture: Picture, pixels: ImageArray, engine: Engine, how: How) -> list[Track]:
    crops, boxes, left_out = crops_of(picture, (pixels.shape[1], pixels.shape[0]), engine, how)
    if left_out:
        raise KpError(f"--follow: {left_out[0]}")
    if not crops:
        raise KpError(f"--follow: {picture.name} has no box in its first frame; add one, or leave --boxes out")
    names = [box.id or str(number) for number, box in enumerate(boxes, 1)]
    return [Track(name, crop, crop) for name, crop in zip(names, crops, strict=True)]


def _step(tracks: list[Track], picture: Picture, pixels: ImageArray, engine: Engine, how: How) -> Predicted:
    """Predict a frame of all instances, as one batch; those that are lost are tried once more."""
    seen = _look(pixels, [track.crop or track.start for track in tracks], picture, engine)
    again = [
        place
        for place, (track, one) in enumerate(zip(tracks, seen, strict=True))
        if track.crop not in (None, track.start) and not track.is_sure(one.surety)
    ]
    second = _look(pixels, [tracks[place].start for place in again], picture, engine)
    for place, one in zip(again, second, strict=True):
        if one.surety > seen[place].surety:
            seen[place] = one
    size = (pixels.shape[1], pixels.shape[0])
    kept = [_advance(track, one, size, engine) for track, one in zip(tracks, seen, strict=True)]
    return Predicted(
        name=picture.name,
        path=picture.path,
        frame=picture.frame,
        size=size,
        crops=crop_array([one.crop for one in seen]),
        ids=tuple(track.id for track in tracks),
        points=np.stack([np.where(good, one.points, np.nan) for one, good in zip(seen, kept, strict=True)]),
        confidence=np.stack([np.where(good, one.confidence, np.nan) for one, good in zip(seen, kept, strict=True)]),
        pixels=pixels if how.keep else None,
    )


def _advance(track: Track, seen: Seen, size: tuple[int, int], engine: Engine) -> bool:
    """Set an instance's next crop; return whether this frame's prediction is of it."""
    sure = track.is_sure(seen.surety)
    following = engine.framing.of_points(seen.points) if sure else None
    inside = following is not None and 0 <= following.x < size[0] and 0 <= following.y < size[1]
    smooth = following is not None and 1 / JUMP <= following.side / seen.crop.side <= JUMP
    track.crop = following if inside and (smooth or seen.crop == track.start) else None
    if sure:
        track.surety.append(seen.surety)
    return sure


def _look(pixels: ImageArray, crops: list[Crop], picture: Picture, engine: Engine) -> list[Seen]:
    if not crops:
        return []
    cut = [input_of(pixels, crop, engine.resolution, picture.name) for crop in crops]
    points, confidence = known(*engine.crops(np.stack([image for image, _ in cut])))
    there = apply(invert(np.stack([affine for _, affine in cut])), points)
    return [Seen(*one) for one in zip(crops, there, confidence, strict=True)]
