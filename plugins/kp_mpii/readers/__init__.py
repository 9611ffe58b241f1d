"""One file a layout. Each reader shifts 1-based pixels to 0-based once, adjusts the crop at most once, and says so."""

from __future__ import annotations

from kp_mpii.readers.hrnet import HrnetSource
from kp_mpii.readers.mat import MatSource
from kp_mpii.readers.newell import NewellSource
from kp_mpii.readers.pytorch_pose import PytorchPoseSource
from kp_mpii.readers.source import Source
from kp_mpii.readers.table import Table

__all__ = ["HrnetSource", "MatSource", "NewellSource", "PytorchPoseSource", "Source", "Table"]
