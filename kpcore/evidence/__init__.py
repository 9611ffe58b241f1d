"""What a score is worth: intervals, differences, verdicts, convergence. NumPy and SciPy alone, no torch.

``study`` is the one entry: a study's folder in, typed records out.
"""

from kpcore.evidence.whole import Evidence, study, write_evidence

__all__ = ["Evidence", "study", "write_evidence"]
