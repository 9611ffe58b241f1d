"""Split: turns a skeleton into keypoint splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from kpcore.interfaces.component import Component
from kpcore.keypoints import KeypointSplit, Skeleton


class Split(Component):
    """A rule that names keypoint subsets."""

    @abstractmethod
    def splits(self, skeleton: Skeleton) -> Sequence[KeypointSplit]:
        """Return the splits over this skeleton.

        Raises:
            KpError: a keypoint or split name does not exist; with the nearest name.
        """
