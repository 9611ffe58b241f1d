"""One annotation as a person: keypoints, box and area, with what is left out or derived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_coco.categories import Category
from kp_coco.counts import Tally
from kp_coco.fields import LARGEST, Entry, Identity
from kpcore.tensors import UNLABELLED, Float64Array, StateArray

BOX_TO_AREA = 0.53
"""Area of a person over that of the box, where no segment was drawn; as MMPose takes it."""

OTHER_CATEGORY = "annotations of other categories left out"
BARE_CATEGORY = (
    "annotations with keypoints left out, because their category has none: add its keypoints to 'categories', or give"
    " them the category that has"
)
CROWD = "crowd regions (iscrowd = 1) left out"
NO_LIST = "annotations without keypoints (boxes alone) left out"
LOST_LIST = "annotations without keypoints left out, though their num_keypoints counts some"
NO_KEYPOINTS = "people without a labelled keypoint left out"
NO_BOX = "no box of positive size: the box of the labelled keypoints taken"
NEGATIVE_BOX = "box of negative size (a box is left, top, width, height): the box of the labelled keypoints taken"
NO_AREA = f"no positive area: {BOX_TO_AREA} x the box's area taken"


@dataclass(frozen=True)
class Picture:
    """An image of the file: its name, and (width, height) as stated or None."""

    name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Person:
    """One person.

    Args:
        row: place in the file's annotations, 0-based.
        picture: the image.
        identity: id of the annotation.
        points: (K, 2) pixels, anything where unlabelled.
        state: (K,).
        box: (4,) left, top, width, height.
        area: square pixels.
        has_box: whether the box is stated, not derived.
        has_area: whether the area is stated, not derived.
        counted: the annotation's num_keypoints, or None.
    """

    row: int
    picture: Picture
    identity: Identity
    points: Float64Array
    state: StateArray
    box: Float64Array
    area: float
    has_box: bool
    has_area: bool
    counted: int | None

    @property
    def place(self) -> str:
        """Image and row, for findings."""
        return f"{self.picture.name}, row {self.row}"


@dataclass(frozen=True)
class Rows:
    """Reads annotations one by one.

    Args:
        category: whose keypoints they have.
        tally: learns what is left out or derived.
    """

    category: Category
    tally: Tally

    def person(self, entry: Entry, row: int, picture: Picture) -> Person | None:
        """Return a person, or None where it is left out.

        Raises:
            KpError: the annotation is damaged.
        """
        place = f"{picture.name}, row {row}"
        if reason := _left_out(entry, self.category):
            self.tally.add(reason, place, "warning" if reason == BARE_CATEGORY else "note")
            return None
        points, state = _keypoints(entry, self.category.names)
        if not state.any():
            self.tally.add(NO_KEYPOINTS, place)
            return None
        box, has_box = self._box(entry, points[state != UNLABELLED], place)
        area, has_area = self._area(entry, box, place)
        named = entry.identity("id")
        return Person(row, picture, named, points, state, box, area, has_box, has_area, entry.count("num_keypoints"))

    def _box(self, entry: Entry, labelled: Float64Array, place: str) -> tuple[Float64Array, bool]:
        """Return the box, and whether it is the stated one."""
        box = entry.box("bbox")
        if box is not None and (box[2:] > 0).all():
            return box, True
        negative = box is not None and bool((box[2:] < 0).any())
        self.tally.add(NEGATIVE_BOX if negative else NO_BOX, place, "warning" if negative else "note")
        low = labelled.min(0)
        return np.concatenate([low, np.maximum(labelled.max(0) - low, 1.0)]), False

    def _area(self, entry: Entry, box: Float64Array, place: str) -> tuple[float, bool]:
        """Return the area, and whether it is the stated one."""
        area = entry.area("area")
        if area > 0:
            return area, True
        self.tally.add(NO_AREA, place)
        return float(BOX_TO_AREA * box[2] * box[3]), False


def _left_out(entry: Entry, category: Category) -> str:
    """Return why an annotation is left out, "" where it is not."""
    kind = entry.identity("category_id")
    if kind not in category.identities:
        return BARE_CATEGORY if kind in category.bare and entry.fields.get("keypoints") else OTHER_CATEGORY
    if entry.flag("iscrowd"):
        return CROWD
    if entry.fields.get("keypoints") in (None, []):
        return LOST_LIST if entry.count("num_keypoints") else NO_LIST
    return ""


def _keypoints(entry: Entry, names: tuple[str, ...]) -> tuple[Float64Array, StateArray]:
    """Return (K, 2) points and (K,) states; COCO's visibilities 0, 1 and 2 are our states.

    A keypoint whose three numbers are all missing (null, NaN) is unlabelled.
    """
    triplets = entry.numbers("keypoints", 3 * len(names)).reshape(len(names), 3)
    seen = np.where(np.isnan(triplets).all(1), 0, triplets[:, 2])
    odd = np.flatnonzero(~np.isin(seen, (0, 1, 2)))
    if odd.size:
        raise _odd(entry, "x, y and a visibility of 0, 1 or 2 each", names, triplets, int(odd[0]))
    far = np.flatnonzero((seen > 0) & ~(np.abs(triplets[:, :2]) <= LARGEST).all(1))
    if far.size:
        raise _odd(entry, f"finite numbers up to {LARGEST:g} where one is labelled", names, triplets, int(far[0]))
    return triplets[:, :2], seen.astype(np.uint8)


def _odd(entry: Entry, expected: str, names: tuple[str, ...], triplets: Float64Array, place: int) -> Exception:
    x, y, seen = triplets[place].tolist()
    return entry.wrong("keypoints", expected, f"{x:g}, {y:g} and {seen:g} for '{names[place]}'")
