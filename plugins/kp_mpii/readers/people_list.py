"""Who is validation, for the official .mat: Newell's ``valid.h5`` or ``valid_images.txt``, HRNet's ``valid.json``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kp_mpii.readers import hrnet, newell
from kp_mpii.readers.table import Table, counted
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.reading.opening import read_text
from kpcore.reading.paths import Images
from kpcore.tensors import AnyArray, Float64Array

SAME_CENTRE = 0.5
"""Two crop centres of one image are the same person's within this many pixels."""


def members(table: Table, path: Path, images: Images) -> tuple[AnyArray, tuple[Finding, ...]]:
    """Return (N,) bool, whether each person is in the list, and findings.

    A list with centres is matched person by person. A text file names images only, so everybody in them is taken.

    Raises:
        KpError: the file is damaged, of no known kind, or lists nobody of this annotation.
    """
    if path.suffix == ".txt":
        chosen, notes = _by_image(table, path, images)
    else:
        chosen, notes = _by_centre(table, _listed(path, images), path)
    if not chosen.any():
        raise KpError(f"{path}: lists nobody who is in the annotation; give Newell's valid.h5 or HRNet's valid.json")
    return chosen, notes


def _listed(path: Path, images: Images) -> Table:
    if path.suffix == ".h5":
        return newell.read(path, images)
    if path.suffix == ".json":
        return hrnet.read(path, images, official_scale=True)
    raise KpError(f"{path}: a validation list is a valid.h5, a valid.json or a valid_images.txt")


def _by_image(table: Table, path: Path, images: Images) -> tuple[AnyArray, tuple[Finding, ...]]:
    names = {images.name(name, str(path)) for name in read_text(path, "a list of image names").split()}
    chosen = np.array([image in names for image in table.images], bool)
    what = "validation is everybody in the images of the list, which does not name people"
    return chosen, (Finding("note", what, int(chosen.sum())),)


def _by_centre(table: Table, listed: Table, path: Path) -> tuple[AnyArray, tuple[Finding, ...]]:
    chosen, rows = np.zeros(len(table), bool), _rows_by_image(table.images)
    lost = []
    for image, centre, row in zip(listed.images, listed.centres, listed.rows, strict=True):
        person = _nearest(table.centres, rows.get(image, []), centre)
        if person is None:
            lost.append(f"{path}, row {row}")
        else:
            chosen[person] = True
    return chosen, counted("warning", "people of the validation list are not in the annotation", lost)


def _rows_by_image(images: Sequence[str]) -> dict[str, list[int]]:
    rows = defaultdict(list)
    for row, image in enumerate(images):
        rows[image].append(row)
    return rows


def _nearest(centres: Float64Array, rows: list[int], centre: Float64Array) -> int | None:
    if not rows:
        return None
    distances = np.abs(centres[rows] - centre).max(-1)
    best = int(distances.argmin())
    return rows[best] if distances[best] <= SAME_CENTRE else None
