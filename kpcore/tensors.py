"""Shapes and axes, named once.

Axes, as used in every docstring: ``N`` people, ``B`` batch, ``K`` keypoints, ``D`` dimensions of a point (2 or 3),
``C`` channels, ``H`` height, ``W`` width; ``h``, ``w`` the heatmap's height and width.

Points are float32, 0-based, x first, with pixel centres at integers.

Arrays are NumPy's, by the type of their entries: ``FloatArray`` float32, ``Float64Array`` float64, ``StateArray`` and
``ImageArray`` uint8, ``AnyArray`` any.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]
StateArray: TypeAlias = npt.NDArray[np.uint8]
ImageArray: TypeAlias = npt.NDArray[np.uint8]
AnyArray: TypeAlias = npt.NDArray[Any]

UNLABELLED = 0
"""State of a keypoint that nobody marked: never scored; a loss ignores it unless told otherwise."""
HIDDEN = 1
"""State of a keypoint that is marked although something hides it: trained on and scored."""
VISIBLE = 2
"""State of a keypoint that is marked and seen; also used where a source does not tell."""
