"""A data set under the core's own options: what holds for every reader and is said in the study file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kpcore.data.placeholders import redrawn
from kpcore.interfaces import Dataset, Facts, Finding
from kpcore.reading.headers import read_header
from kpcore.samples import Orientation, Sample
from kpcore.tensors import UNLABELLED


@dataclass(frozen=True)
class Adjustments:
    """The core's options of a data set's table.

    Args:
        orientation: whether pictures are turned as their EXIF orientation says.
        unlabelled_at: places (x, y), pixels as ``Sample.points`` has them; a keypoint exactly there is not labelled.
        trust_coordinates: what looks like shares, percent or another picture's pixels is only warned of.
    """

    orientation: Orientation = "auto"
    unlabelled_at: tuple[tuple[float, float], ...] = ()
    trust_coordinates: bool = False


class Adjusted(Dataset):
    """Another data set's samples, adjusted; all else is as it has it."""

    def __init__(self, inner: Dataset, how: Adjustments) -> None:
        self.inner = inner
        self.how = how
        self._samples: dict[str, Sequence[Sample]] = {}

    @property
    def facts(self) -> Facts:
        """The data set's own."""
        return self.inner.facts

    def samples(self, part: str) -> Sequence[Sample]:
        """The data set's own, each adjusted; made once."""
        if part not in self._samples:
            self._samples[part] = [self._adjusted(sample) for sample in self.inner.samples(part)]
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """The data set's own, and what the options changed."""
        return [*self.inner.findings(part), *self._dropped_findings(part)]

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
