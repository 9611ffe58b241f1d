"""What the rules share: keypoint sets in the skeleton's order."""

from __future__ import annotations

from collections.abc import Iterable

from kpcore.keypoints import KeypointSet, Skeleton, Step


def ordered(skeleton: Skeleton, names: Iterable[str], *, where: str) -> KeypointSet:
    """Return the set of these keypoints and groups in the skeleton's order, whatever order they are named in.

    Equal sets then have equal channels, so trainings on them are shared.

    Raises:
        KpError: as :meth:`Skeleton.select`, with the place ``where``.
    """
    chosen = skeleton.select(names, where=where)
    return skeleton.select((name for name in skeleton.names if name in chosen), where=where)


def steps(skeleton: Skeleton, sets: Iterable[Iterable[str]], *, where: str) -> tuple[Step, ...]:
    """Return one step a set, each in the skeleton's order; raises KpError as :func:`ordered`."""
    return tuple(Step(ordered(skeleton, names, where=f"{where}[{place}]")) for place, names in enumerate(sets))
