"""What a tracker is told of a study, once: the rules of going on, so that trackers need none of their own."""

from kpcore.tracking.follower import Follower

__all__ = ["Follower"]
