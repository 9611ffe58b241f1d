"""An export's tasks as instances on pictures, with what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kp_labelstudio.export import Annotation, Region, Task
from kp_labelstudio.grouping import Instance, group
from kp_labelstudio.matching import Pictures, reference_of, respelled
from kpcore.reading.tally import Tally

Several = Literal["last", "first"]
SLACK = 1.0
"""Percent that a keypoint may lie beyond the picture's edge."""

CANCELLED = "annotations that were cancelled (skipped) left out"
UNLABELLED = "tasks without an annotation left out"
NO_KEYPOINTS = "annotations without a keypoint left out"
NO_PICTURE = "no picture of that name below the root; put it there under its own name, or as Label Studio calls it"
MANY_PICTURES = "several pictures of that name below the root: nothing tells which; leave one, or give their folders"
SAME_PICTURE = "another task has the same picture; delete one, or name pictures as Label Studio does"
UNCLEAR = "keypoints that lie in no rectangle, or in several: put each under its own in Label Studio, or join them"
TWICE = "a keypoint occurs twice in one instance; put the keypoints of an instance under a rectangle, or join them"
TURNED = "the picture was turned in Label Studio, whose versions differ in what numbers then mean; turn it back"
OUTSIDE = "a number is no percentage of the picture's size (0 to 100)"
RESPELLED = "pictures whose names differ in upper and lower case from those of the export"
SIZES = "the regions of one picture state different sizes of it"
NAMELESS = "keypoints without a label left out"
OTHER_BOX = "instances in rectangles of other labels, or in none, left out"
EMPTY_BOX = "rectangles without keypoints left out"
SEVERAL_LABELS = "keypoints with several labels: the first is taken"
UNUSED = "keypoints that dataset.keypoints does not name left out"


@dataclass(frozen=True)
class Found:
    """One instance.

    Args:
        image: path of its picture below the root.
        row: place of its task in the file, from 0.
        person: number of the instance in its task, from 0.
        where: file and task.
        box: its rectangle; None where it has none.
        points: keypoint name -> region.
        size: (width, height) of the picture as the file has it, px; None where it does not say.
    """

    image: str
    row: int
    person: int
    where: str
    box: Region | None
    points: dict[str, Region]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Wanted:
    """What a user asks for: options of the data set."""

    field: str | None
    category: str | None
    several: Several


def instances_of(tasks: Sequence[Task], pictures: Pictures, wanted: Wanted, tally: Tally) -> tuple[Found, ...]:
    """Return all usable instances, in the file's order.

    Raises:
        KpError: a task does not say which text names its picture, or a keypoint is joined to two rectangles.
    """
    found: list[Found] = []
    owners: dict[str, int] = {}
    for row, task in enumerate(tasks):
        annotation = _chosen(task, wanted.several, tally)
        if annotation is None:
            continue
        image = _image(task, pictures, wanted, tally)
        if image is not None and owners.setdefault(image, row) != row:
            tally.add(SAME_PICTURE, f"{task.where}: {image}", "error")
        elif image is not None:
            found += _of_task(task, row, image, annotation, wanted, tally)
    return tuple(found)


def only(found: Sequence[Found], names: Sequence[str], tally: Tally) -> tuple[Found, ...]:
    """Return the instances with these keypoints alone; those that have none of them are gone."""
    kept = [replace(one, points={n: region for n, region in one.points.items() if n in names}) for one in found]
    for one in found:
        unused = [name for name in one.points if name not in names]
        tally.add(UNUSED, f"{one.where}: {', '.join(unused)}", count=len(unused))
    return tuple(one for one in kept if one.points)


def _chosen(task: Task, several: Several, tally: Tally) -> Annotation | None:
    """Return the annotation of a task that is read, or None."""
    kept = [one for one in task.annotations if not one.cancelled]
    tally.add(CANCELLED, task.where, count=len(task.annotations) - len(kept))
    if not kept:
        tally.add(UNLABELLED, task.where, count=int(not task.annotations))
        return None
    ordered = sorted(kept, key=lambda one: one.rank)
    truth = [one for one in ordered if one.rank[0]]
    pick = truth[-1] if truth else ordered[-1 if several == "last" else 0]
    what = f"tasks with several annotations: the {several} by its last change is taken, or the one marked ground truth"
    tally.add(what, task.where, "warning", int(len(kept) > 1))
    for kind in pick.others:
        tally.add(f"results of type '{kind[:40]}' are not read", task.where)
    if not any(region.kind == "keypoint" for region in pick.regions):
        tally.add(NO_KEYPOINTS, task.where)
        return None
    return pick


def _image(task: Task, pictures: Pictures, wanted: Wanted, tally: Tally) -> str | None:
    reference = reference_of(task.data, wanted.field, task.where)
    found = pictures.find(reference)
    if isinstance(found, str):
        tally.add(RESPELLED, f"{task.where}: {found}", "warning", int(respelled(reference, found)))
        return found
    shown = f"{task.where}: {ascii(reference)[1:-1][-120:]}"
    if found:
        tally.add(MANY_PICTURES, f"{shown} may be {' or '.join(found[:3])}", "error")
    else:
        tally.add(NO_PICTURE, f"{shown}{pictures.near(reference)}", "error")
    return None


def _of_task(task: Task, row: int, image: str, annotation: Annotation, wanted: Wanted, tally: Tally) -> Iterator[Found]:
    grouped = group(annotation)
    for region in grouped.unclear:
        tally.add(UNCLEAR, region.where, "error")
    for person, one in enumerate(grouped.instances):
        if not one.keypoints:
            tally.add(EMPTY_BOX, task.where)
        elif wanted.category is not None and not (one.box and wanted.category in one.box.labels):
            tally.add(OTHER_BOX, task.where)
        elif (points := _named(one, tally)) and _sound(one, tally):
            sizes = [region.size for region in one.keypoints if region.size]
            yield Found(image, row, person, task.where, one.box, points, sizes[0] if sizes else None)


def _named(one: Instance, tally: Tally) -> dict[str, Region]:
    """Return the instance's keypoints by name; none where one occurs twice."""
    points: dict[str, Region] = {}
    for region in one.keypoints:
        tally.add(NAMELESS, region.where, "warning", int(not region.labels))
        tally.add(SEVERAL_LABELS, region.where, "warning", int(len(region.labels) > 1))
        for name in region.labels[:1]:
            if points.setdefault(name, region) is not region:
                tally.add(TWICE, f"{region.where}: {name}", "error")
                return {}
    return points


def _sound(one: Instance, tally: Tally) -> bool:
    """Whether all numbers of an instance can be placed on its picture."""
    regions = [*one.keypoints, *([one.box] if one.box else [])]
    turned = next((region for region in regions if region.turned % 360), None)
    if turned is not None:
        tally.add(TURNED, f"{turned.where}: image_rotation {turned.turned:g}", "error")
        return False
    sizes = {region.size for region in regions if region.size}
    if len(sizes) > 1:
        tally.add(SIZES, f"{regions[0].where}: {' and '.join(str(size) for size in sorted(sizes))}", "error")
        return False
    for region in one.keypoints:
        if not all(-SLACK <= value <= 100 + SLACK for value in region.place):
            x, y = region.place
            tally.add(OUTSIDE, f"{region.where}: {x:g}, {y:g}", "error")
            return False
    return True
