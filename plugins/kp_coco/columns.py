"""People of a file as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kp_coco.categories import Category
from kp_coco.rows import Person
from kpcore.interfaces import Finding
from kpcore.tensors import AnyArray, Float64Array, StateArray


@dataclass(frozen=True, eq=False)
class Table:
    """N people.

    Args:
        category: whose keypoints they have.
        images: N file names.
        sizes: N sizes (width, height) of their images as stated, or None.
        points: (N, K, 2) pixels, 0-based, anything where unlabelled.
        state: (N, K).
        boxes: (N, 4) left, top, width, height; positive sizes unless all labelled keypoints are in one line.
        areas: (N,) square pixels.
        person_ids: N ids of annotations.
        rows: (N,) places in the file's annotations, 0-based.
        findings: what was left out or derived, and what contradicts itself.
    """

    category: Category
    images: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    points: Float64Array
    state: StateArray
    boxes: Float64Array
    areas: Float64Array
    person_ids: tuple[str, ...]
    rows: AnyArray
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, people: Sequence[Person], category: Category, findings: tuple[Finding, ...]) -> Table:
        """Stack people."""
        count, joints = len(people), len(category.names)
        return cls(
            category=category,
            images=tuple(person.picture.name for person in people),
            sizes=tuple(person.picture.size for person in people),
            points=np.array([person.points for person in people], np.float64).reshape(count, joints, 2),
            state=np.array([person.state for person in people], np.uint8).reshape(count, joints),
            boxes=np.array([person.box for person in people], np.float64).reshape(count, 4),
            areas=np.array([person.area for person in people], np.float64),
            person_ids=tuple(str(person.identity) for person in people),
            rows=np.array([person.row for person in people], np.int64),
            findings=findings,
        )
