"""Split: turns a skeleton into keypoint splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSplit, Skeleton


class Split(Component):
    """A rule that names keypoint subsets."""

    @abstractmethod
    def splits(self, skeleton: Skeleton, others: Mapping[str, Skeleton]) -> Sequence[KeypointSplit]:
        """Return the splits.

        Args:
            skeleton: of the study's own data set, the one of steps that name none.
            others: skeletons of the study's ``[datasets.NAME]``, by that name; a rule within one data set ignores them.

        Raises:
            KpError: a keypoint or split name does not exist; with the nearest name.
        """
