"""What the page of a study shows beside its results, taken down when the study ends: ``report/``."""

from kpcore.study.shown.writing import keep_shown

__all__ = ["keep_shown"]
