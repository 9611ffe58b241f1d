"""A data set under other keypoint names: what a study's alias table makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kpcore.errors import KpError, unknown
from kpcore.interfaces import Dataset, Facts, Finding
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.samples import Sample


class RenamedDataset(Dataset):
    """The same people, some keypoints under the names that the study gives them.

    Args:
        dataset: as its plugin opens it.
        skeleton: the data set's, renamed.
    """

    def __init__(self, dataset: Dataset, skeleton: Skeleton) -> None:
        self._dataset = dataset
        self._skeleton = skeleton

    @property
    def original(self) -> Dataset:
        """As its plugin opens it."""
        return self._dataset

    @property
    def facts(self) -> Facts:
        """The data set's, its keypoints as the study calls them."""
        return replace(self._dataset.facts, skeleton=self._skeleton)

    def samples(self, part: str) -> Sequence[Sample]:
        """The data set's: a sample's points have an order, no names."""
        return self._dataset.samples(part)

    def findings(self, part: str) -> Sequence[Finding]:
        """The data set's."""
        return self._dataset.findings(part)


def rename(skeleton: Skeleton, aliases: Mapping[str, str]) -> Skeleton:
    """Return the skeleton with these keypoints renamed, everywhere; a group that bore a point's name is renamed too.

    Raises:
        KpError: there is no such keypoint, or the new name is another keypoint's.
    """
    for old, new in aliases.items():
        if old not in skeleton.names:
            raise unknown("keypoint", old, skeleton.names, where="aliases")
        if new in skeleton.names and new not in aliases:
            raise KpError(f"aliases: '{old}' cannot be called '{new}': that is another keypoint of this data set")
    twice = sorted({new for new in aliases.values() if list(aliases.values()).count(new) > 1})
    if twice:
        raise KpError(f"aliases: two keypoints would be called '{twice[0]}'")

    def called(name: str) -> str:
        return aliases.get(name, name)

    points = tuple(
        Keypoint(called(point.name), point.mirror and called(point.mirror), _group(point, aliases))
        for point in skeleton.keypoints
    )
    edges = tuple((called(first), called(last)) for first, last in skeleton.edges)
    return replace(skeleton, keypoints=points, edges=edges)


def _group(point: Keypoint, aliases: Mapping[str, str]) -> str:
    return aliases.get(point.name, point.name) if point.group == point.name else point.group
