"""Labels of a part as samples, in pixels, with what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kp_yolo.description import Description
from kp_yolo.labels import Instance, read_labels
from kp_yolo.places import Picture
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.reading.boxes import crop_side, holds_none, widened
from kpcore.reading.shown import Shown, shown_size
from kpcore.reading.tally import Tally
from kpcore.samples import Sample
from kpcore.tensors import Float64Array, FloatArray

BOX_TO_AREA = 0.53
"""Area of an object over that of its box, by which ultralytics scales the similarity of keypoints."""
LEAST = 1.0
"""Pixels: no normaliser is smaller."""

NO_LABELS = "pictures without a file of labels: nothing is in them"
EMPTY = "files of labels that are empty: nothing is in the picture"
OTHER_CLASS = "instances of other classes left out"
NO_KEYPOINTS = "instances without a labelled keypoint left out"
MISSING = "picture does not exist, its instances cannot be placed"
LISTED = "pictures of the list that do not exist, and have no labels"
TWICE = "equal lines in a file of labels: one is kept"
NO_BOX = "no box of positive size: the box of the labelled keypoints taken"
AWAY = "boxes that hold none of their keypoints: a line is class, centre x, centre y, width, height, keypoints"
ZEROS = "keypoints at (0, 0) taken for not labelled: kpt_shape has no visibilities"
ROTATED = "pictures turned by EXIF: sizes and keypoints are those of the turned picture, as ultralytics has it"


@dataclass(frozen=True)
class Loaded:
    """A part: its samples, and what a user should know of them."""

    samples: tuple[Sample, ...]
    findings: tuple[Finding, ...]


def load(pictures: Sequence[Picture], told: Description, classes: Sequence[int], margin: float) -> Loaded:
    """Read the labels of pictures, in their order.

    Args:
        pictures: of the part.
        told: the data set's YAML.
        classes: numbers of those that are read.
        margin: crop side over the longer side of the box.

    Raises:
        KpError: a file of labels is damaged, or a picture with labels is no picture.
    """
    samples: list[Sample] = []
    tally = Tally()
    for picture in pictures:
        chosen = _chosen(picture, told, classes, tally)
        if chosen and not picture.path.is_file():
            tally.add(MISSING, picture.where or picture.path, "error", len(chosen))
        elif chosen:
            shown = shown_size(picture.path)
            tally.add(ROTATED, picture.path, "note", int(shown.turned))
            samples += [_sample(one, picture, shown, margin, len(samples) + n) for n, one in enumerate(chosen)]
    return Loaded(tuple(samples), tuple(Finding(*line) for line in tally.lines()))


def _chosen(picture: Picture, told: Description, classes: Sequence[int], tally: Tally) -> list[Instance]:
    """Return the instances of a picture that are read; the tally learns of the others."""
    if not picture.labels.is_file():
        if picture.path.is_file():
            tally.add(NO_LABELS, picture.name)
        else:
            tally.add(LISTED, picture.where, "warning")
        return []
    found = read_labels(picture.labels, told.keypoints, told.dims)
    if not found:
        tally.add(EMPTY, picture.labels)
    kept: dict[bytes, Instance] = {}
    for one in found:
        where = f"{picture.labels}, line {one.line}"
        if one.kind not in told.classes:
            raise KpError(f"{where}: class {one.kind}; {told.path.name} names {_listed(told)}")
        if one.kind not in classes:
            tally.add(OTHER_CLASS, where)
        elif not one.state.any():
            tally.add(NO_KEYPOINTS, where)
        elif kept.setdefault(_key(one), one) is not one:
            tally.add(TWICE, where, "warning")
        else:
            tally.add(ZEROS, where, "note", one.zeros)
            tally.add(NO_BOX, where, "warning", int(not (one.box[2:] > 0).all()))
            tally.add(AWAY, where, "warning", int(_away(one)))
    return list(kept.values())


def _away(one: Instance) -> bool:
    """Whether a stated box is not that of its keypoints."""
    centre, half = one.box[:2], one.box[2:] / 2
    return bool((half > 0).all()) and holds_none(np.concatenate([centre - half, centre + half]), one.points, one.state)


def _key(one: Instance) -> bytes:
    return one.box.tobytes() + one.points.tobytes() + one.state.tobytes() + bytes(str(one.kind), "ascii")


def _listed(told: Description) -> str:
    return ", ".join(f"{number} ({name})" for number, name in list(told.classes.items())[:20])


def _sample(one: Instance, picture: Picture, shown: Shown, margin: float, row: int) -> Sample:
    scale = np.array(shown.size, np.float64)
    points: FloatArray = (one.points * scale).astype(np.float32)
    box, area = _box(one, scale, points)
    centre, longer = widened(box, points, one.state)
    return Sample(
        image=picture.path,
        points=points,
        state=one.state,
        centre=centre,
        side=crop_side(longer, margin),
        normaliser=max(LEAST, float(np.sqrt(BOX_TO_AREA * area))),
        image_id=picture.name,
        person_id=str(one.line),
        row=row,
        stated_size=shown.size,
        orientation="turned" if shown.turned else "stored",  # as ultralytics does: JPEG alone, mirrored ones too
    )


def _box(one: Instance, scale: Float64Array, points: FloatArray) -> tuple[Float64Array | None, float]:
    """Return (4,) left, top, right, bottom, px, None where the file has no box; and the box's area, square pixels."""
    centre, extent = one.box[:2] * scale, one.box[2:] * scale
    if (extent > 0).all():
        return np.concatenate([centre - extent / 2, centre + extent / 2]), float(extent.prod())
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    return None, float(np.maximum(high - low, 1).prod())
