"""A data set under the core's own options: what holds for every reader and is said in the study file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kpcore.data.placeholders import redrawn
from kpcore.data.readable import unreadable
from kpcore.interfaces import Dataset, Facts, Finding
from kpcore.reading.headers import read_header
from kpcore.samples import BadImages, Orientation, Sample
from kpcore.tensors import UNLABELLED


@dataclass(frozen=True)
class Adjustments:
    """The core's options of a data set's table.

    Args:
        orientation: whether pictures are turned as their EXIF orientation says.
        unlabelled_at: places (x, y), pixels as ``Sample.points`` has them; a keypoint exactly there is not labelled.
        trust_coordinates: what looks like shares, percent or another picture's pixels is only warned of.
        bad_images: samples whose picture cannot be decoded are left out.
    """

    orientation: Orientation = "auto"
    unlabelled_at: tuple[tuple[float, float], ...] = ()
    trust_coordinates: bool = False
    bad_images: BadImages = "fail"


class Adjusted(Dataset):
    """Another data set's samples, adjusted; all else is as it has it."""

    def __init__(self, inner: Dataset, how: Adjustments) -> None:
        self.inner = inner
        self.how = how
        self._samples: dict[str, Sequence[Sample]] = {}
        self._bad: dict[str, dict[Path, str]] = {}

    @property
    def facts(self) -> Facts:
        """The data set's own."""
        return self.inner.facts

    def samples(self, part: str) -> Sequence[Sample]:
        """The data set's own, each adjusted, without those of bad pictures where that is asked for; made once."""
        if part not in self._samples:
            bad = self.bad(part)
            kept = [one for one in self.inner.samples(part) if not (isinstance(one.image, Path) and one.image in bad)]
            self._samples[part] = [self._adjusted(sample) for sample in kept]
        return self._samples[part]

    def bad(self, part: str) -> Mapping[Path, str]:
        """Return picture -> why it is left out; found once."""
        if part not in self._bad:
            leaving = self.how.bad_images == "leave_out"
            self._bad[part] = unreadable(self.inner.samples(part)) if leaving else {}
        return self._bad[part]

    def left_out(self, part: str) -> int:
        """Return how many samples of a part are left out, because their picture cannot be decoded."""
        return len(self.inner.samples(part)) - len(self.samples(part))

    def findings(self, part: str) -> Sequence[Finding]:
        """The data set's own, and what the options changed."""
        return [*self.inner.findings(part), *self._bad_findings(part), *self._dropped_findings(part)]

    def _bad_findings(self, part: str) -> list[Finding]:
        if not self.bad(part):
            return []
        first = next(iter(self.bad(part).values()))
        what = f"samples left out, because their picture cannot be decoded (bad_image_policy; first: {first})"
        return [Finding("note", what, self.left_out(part))]

    def _dropped_findings(self, part: str) -> list[Finding]:
        if not self.how.unlabelled_at:
            return []
        samples = self.inner.samples(part)
        dropped = [placed_at(sample, self.how.unlabelled_at) for sample in samples]
        places = ", ".join(f"({x:g}, {y:g})" for x, y in self.how.unlabelled_at)
        count = int(sum(mask.sum() for mask in dropped))
        what = f"labelled keypoints at {places} count as not labelled (unlabelled_at)"
        found = [Finding("note", what if count else f"unlabelled_at: no labelled keypoint lies at {places}", count)]
        misled = [s for s, mask in zip(samples, dropped, strict=True) if redrawn(s, mask).normaliser_misled]
        if misled:
            first = f"(first: {misled[0].image_id}, row {misled[0].row})"
            what = f"normaliser measured to a keypoint that unlabelled_at drops; empty it in the file instead {first}"
            found.append(Finding("error", what, len(misled)))
        return found

    def _adjusted(self, sample: Sample) -> Sample:
        hits = placed_at(sample, self.how.unlabelled_at)
        if hits.any():
            sample = without(sample, hits)
        if self.how.orientation != "auto":
            sample = replace(sample, orientation=self.how.orientation)
        return about_whole_picture(sample) if self.how.orientation == "turned" else sample


def placed_at(sample: Sample, places: Sequence[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    """(K,) whether a labelled keypoint lies exactly at one of the places."""
    given = np.asarray(places, np.float32).reshape(-1, 2)
    same = (sample.points[:, None, :2] == given).all(-1).any(1)
    return np.asarray(same & (sample.state != UNLABELLED))


def without(sample: Sample, hits: npt.NDArray[np.bool_]) -> Sample:
    """Return a sample with these keypoints (K,) unlabelled, and its crop drawn around the others."""
    points, state = sample.points.copy(), sample.state.copy()
    points[hits], state[hits] = np.nan, UNLABELLED
    crop = redrawn(sample, hits)
    return replace(sample, points=points, state=state, centre=crop.centre, side=crop.side, normaliser=crop.normaliser)


def about_whole_picture(sample: Sample) -> Sample:
    """Return a sample whose crop, where it is the whole stored picture, is the whole turned one."""
    if not isinstance(sample.image, Path) or not sample.image.is_file():
        return sample
    header = read_header(sample.image)
    (width, height), turned = header.size, header.turned_size
    whole = np.allclose(sample.centre, [(width - 1) / 2, (height - 1) / 2]) and sample.side == max(width, height)
    if turned == (width, height) or not whole:
        return sample
    return replace(sample, centre=np.array([(turned[0] - 1) / 2, (turned[1] - 1) / 2], sample.centre.dtype))
