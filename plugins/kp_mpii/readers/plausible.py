"""Whether a file's fields are in MPII's units, which nothing else would tell: a crop of the wrong size trains too."""

from __future__ import annotations

import numpy as np

from kp_mpii.readers.table import counted
from kp_mpii.skeleton import ORDER
from kpcore.interfaces import Finding
from kpcore.tensors import Float64Array

LEAST, MOST = 0.05, 20.0
"""Raw scales beyond which a person would be under 10 or over 4,000 pixels high. MPII's own are 0.3 to 13."""
FLAGS = (-1.0, 0.0, 1.0, 2.0)
"""What visibilities hold: -1 and 0 where a joint is missing or hidden, 1, and COCO's 2."""


def unit_findings(
    scales: Float64Array, centres: Float64Array, visible: Float64Array, *, keys: tuple[str, str, str]
) -> tuple[Finding, ...]:
    """Warn of scales that are no person's height / 200, of centres that stand for none, and of visibilities in shares.

    Args:
        scales: (N,) as the file has them.
        centres: (N, 2) as the file has them.
        visible: (N, 16) as the file has them.
        keys: what the file calls the three.
    """
    scale, centre, flag = keys
    wild = np.isfinite(scales) & (scales != 0) & ~((np.abs(scales) >= LEAST) & (np.abs(scales) <= MOST))
    odd = np.argwhere(np.isfinite(visible) & ~np.isin(visible, FLAGS))
    nowhere = (centres < 0).all(1) | (centres == 0).all(1)
    return (
        *counted(
            "warning",
            f"'{scale}' is a person's height in pixels / 200; here people would be under 10 or over 4,000 px high (the"
            f" middle of all scales is {np.median(scales) if len(scales) else 0:.4g}, MPII's own are 0.3 to 13);"
            f" {_unit(scales)}",
            [f"row {row}: {scales[row]:g}" for row in np.flatnonzero(wild)],
        ),
        *counted(
            "warning",
            f"'{centre}' is left of and above the picture, or (0, 0), as where nobody knows it: write the middle of the"
            " person, pixels; the crop is cut there",
            [f"row {row}: {centres[row, 0]:g}, {centres[row, 1]:g}" for row in np.flatnonzero(nowhere)],
        ),
        *counted(
            "warning",
            f"'{flag}' is a flag, and holds another number: all above 0 count as labelled. Where these are a network's"
            " confidences, they are no truth; else write 1 for what is labelled and 0 for what is not",
            [f"row {row}, {ORDER[joint]}: {visible[row, joint]:g}" for row, joint in odd],
        ),
    )


def _unit(scales: Float64Array) -> str:
    """Return what the scales may be in, and what to do."""
    if len(scales) and np.median(np.abs(scales)) > MOST:
        return "are they in pixels? Divide them by 200"
    return "are they shares of the picture, or of somebody else? Multiply by the picture's height and divide by 200"
