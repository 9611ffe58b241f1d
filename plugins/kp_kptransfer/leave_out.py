"""Leave-groups-out: learn all other groups first, then those that were left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from kp_kptransfer.selection import steps
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Split
from kpcore.keypoints import KeypointSplit, Skeleton


class LeaveGroupsOut(Split):
    """One split for every entry of ``leave_out``: S2 is the entry's groups, S1 all other groups of ``groups``.

    Splits are called "without_wrist", "without_wrist_elbow". By default every group is left out once, by itself.

    Args:
        groups: groups that take part; all of the skeleton's where None.
        leave_out: lists of groups, one list a split; each group of ``groups`` by itself where None.
    """

    class Config(ComponentConfig):
        """Options of ``[split] name = "groups"``."""

        groups: Annotated[list[str], Field(min_length=2)] | None = Field(
            default=None, description="groups that take part; all where absent"
        )
        leave_out: Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1)] | None = Field(
            default=None, description="one list of groups a split; each group by itself where absent"
        )

    def __init__(self, *, groups: list[str] | None, leave_out: list[list[str]] | None) -> None:
        self._groups = groups
        self._leave_out = leave_out

    def splits(self, skeleton: Skeleton, others: Mapping[str, Skeleton]) -> Sequence[KeypointSplit]:
        """Return the splits; raises KpError for a group that does not take part, or where none is left for S1."""
        del others  # a rule within one data set
        pool = list(skeleton.groups) if self._groups is None else self._groups
        _check(pool, skeleton.groups, "split.groups")
        chosen = [[group] for group in pool] if self._leave_out is None else self._leave_out
        return [_split(left, pool, skeleton, f"split.leave_out[{place}]") for place, left in enumerate(chosen)]


def _split(left: Sequence[str], pool: Sequence[str], skeleton: Skeleton, where: str) -> KeypointSplit:
    _check(left, pool, where)
    rest = [group for group in pool if group not in left]
    if not rest:
        raise KpError(f"{where}: leaves out all of {', '.join(pool)}, so S1 is empty; leave at least one in")
    sets = [[point for group in groups for point in skeleton.groups[group]] for groups in (rest, left)]
    return KeypointSplit("without_" + "_".join(left), steps(skeleton, sets, where=where))


def _check(names: Sequence[str], options: Sequence[str] | dict[str, tuple[str, ...]], where: str) -> None:
    for name in names:
        if name not in options:
            raise unknown("group", name, options, where=where)
    if len(set(names)) != len(names):
        raise KpError(f"{where}: {', '.join(names)} names a group twice; name each once")
