"""Rules that name keypoint splits: the paper's, a user's own, leave-groups-out, and random ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpcore import hookimpl

if TYPE_CHECKING:
    from kpcore.interfaces import Split


@hookimpl
def kp_splits() -> Mapping[str, type[Split]]:
    """Return the split rules."""
    from kp_kptransfer.drawn import RandomSplits
    from kp_kptransfer.explicit import ExplicitSplits
    from kp_kptransfer.leave_out import LeaveGroupsOut
    from kp_kptransfer.paper import PaperSplits

    return {
        "kptransfer": PaperSplits,
        "explicit": ExplicitSplits,
        "groups": LeaveGroupsOut,
        "random": RandomSplits,
    }
