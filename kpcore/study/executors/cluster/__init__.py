"""Where jobs run on the machines of a Ray cluster; Ray is imported when such a study is started, and not before."""

from __future__ import annotations

from kpcore.study.executors.cluster.pool import Cluster

__all__ = ["Cluster"]
