"""Keypoints of a YOLO pose data set: their names, mirror partners and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kp_yolo.description import Description, check_names
from kpcore.errors import KpError, unknown
from kpcore.keypoints import Skeleton
from kpcore.reading.sides import mirror_partners
from kpcore.reading.skeletons import sided_keypoints, told_groups, told_partners

ALL = "all"
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's 17 keypoints of a person, which the published pose models have."""


def chosen_classes(told: Description, category: str | None) -> tuple[int, ...]:
    """Return the numbers of the classes that are read.

    Raises:
        KpError: there are several and none is named, or there is none of that name.
    """
    classes = told.classes
    if category is None and len(classes) > 1:
        listed = ", ".join(classes.values())
        raise KpError(
            f"{told.path}, names: several classes ({listed}); set dataset.category to one of them, or to 'all' where"
            " their keypoints mean the same"
        )
    if category is None or category == ALL:
        return tuple(classes)
    found = [number for number, name in classes.items() if category in (name, str(number))]
    if not found:
        raise unknown("class", category, [*classes.values(), ALL], where=f"{told.path}, dataset.category")
    return (next((number for number in found if classes[number] == category), found[0]),)


def keypoint_names(told: Description, classes: Sequence[int], given: Sequence[str] | None) -> tuple[str, ...]:
    """Return K names: the user's, the file's, COCO's where they fit, else ``kp0``, ``kp1``, ...

    Raises:
        KpError: the user's are not K different ones, or the classes' differ.
    """
    if given is not None:
        return check_names(given, told.keypoints, "dataset.keypoints")
    found = {told.names[number] for number in classes if number in told.names}
    if len(found) > 1:
        raise KpError(f"{told.path}, kpt_names: the classes' keypoints differ; set dataset.category to one class")
    if found:
        return found.pop()
    if told.keypoints == len(COCO) and told.flips == _places(COCO):
        return COCO
    return tuple(f"kp{number}" for number in range(told.keypoints))


def build(
    told: Description, names: tuple[str, ...], mirrors: Mapping[str, str] | None, groups: Mapping[str, Sequence[str]]
) -> Skeleton:
    """Return the skeleton; mirror partners are the user's, else those of flip_idx, else those that names tell."""
    partners = None
    if mirrors is not None:
        partners = told_partners(names, mirrors, "dataset.mirrors")
    elif told.flips is not None:
        partners = {name: None if other == place else names[other] for place, (name, other) in _flipped(told, names)}
    return Skeleton("yolo", sided_keypoints(names, told_groups(names, groups, "dataset.groups"), partners))


def contradicted(told: Description, names: Sequence[str]) -> list[str]:
    """Return keypoints whose partner by flip_idx is not the one that their names tell."""
    if told.flips is None:
        return []
    by_name = mirror_partners(names)
    return [
        name
        for place, (name, other) in _flipped(told, names)
        if by_name[name] is not None and by_name[name] != names[other]
    ]


def _flipped(told: Description, names: Sequence[str]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(names, told.flips or (), strict=True)))


def _places(names: Sequence[str]) -> tuple[int, ...]:
    """Return the place of every name's mirror partner, its own where it has none."""
    partners = mirror_partners(names)
    return tuple(names.index(partners[name] or name) for name in names)


def title(path: Path, told: Description, classes: Sequence[int], every: bool) -> str:
    """Return what results call the data: the class, where one is read; else the folder."""
    return path.resolve().name if every and len(classes) > 1 else told.classes[classes[0]]
