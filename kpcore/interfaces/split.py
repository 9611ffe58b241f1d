"""Split: turns a skeleton into keypoint splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSplit, Skeleton


class Split(Component):
    """A rule that names keypoint subsets.

    Attributes:
        listed: options under which ``kp splits list`` asks the rule where no study says any; so that it also shows what
            the rule can give but does not give by default.
    """

    listed: ClassVar[Mapping[str, object]] = {}

    @abstractmethod
    def splits(self, skeleton: Skeleton, others: Mapping[str, Skeleton]) -> Sequence[KeypointSplit]:
        """Return the splits.

        Args:
            skeleton: of the study's own data set, the one of steps that name none.
            others: skeletons of the study's ``[datasets.NAME]``, by that name; a rule within one data set ignores them.

        Raises:
            KpError: a keypoint or split name does not exist; with the nearest name.
        """
