"""Which keypoints a network that is imported predicts: a data set's, those of a file, or names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from kpcore.config import Strict, validate
from kpcore.errors import KpError, listed
from kpcore.keypoints import KeypointSet, Skeleton
from kpcore.reading.opening import read_json
from kpcore.reading.skeletons import sided_keypoints, told_partners
from kpcore.registry import Registry


class PointFile(Strict):
    """A keypoint of a skeleton's file."""

    name: str = Field(min_length=1)
    mirror: str | None = None
    group: str = ""


class SkeletonFile(Strict):
    """A skeleton's file (JSON): keypoints in order, edges by name; as ``skeleton.json`` of data set ``named``."""

    keypoints: tuple[PointFile, ...] = Field(min_length=1)
    edges: tuple[tuple[str, str], ...] = ()
    dims: int = Field(default=2, ge=2, le=3)


def read_skeleton(path: Path) -> Skeleton:
    """Read a skeleton; partners are those of the file, or by the sides in the names where it states none.

    Raises:
        KpError: it cannot be read, or is none.
    """
    held: Any = read_json(path, "a skeleton in JSON")
    if not isinstance(held, dict):
        raise KpError(f'{path}: is no skeleton; expected {{"keypoints": [{{"name": ...}}, ...], "edges": [...]}}')
    file = validate(SkeletonFile, held, where=str(path))
    names = [point.name for point in file.keypoints]
    mirrors = {point.name: point.mirror for point in file.keypoints if point.mirror}
    partners = told_partners(names, mirrors, str(path)) if mirrors else None
    groups = {point.name: point.group for point in file.keypoints if point.group}
    return Skeleton(path.stem, sided_keypoints(names, groups, partners), file.edges, file.dims)


def known_skeletons(known: Registry) -> dict[str, Skeleton]:
    """Return the skeletons of data sets that are known without data, by the data set's name and with their number.

    So ``mpii`` and ``mpii16`` are the same.
    """
    found = {}
    for name in known.names("dataset"):
        skeleton = known.component("dataset", name).default_skeleton
        if skeleton is not None:
            found[name] = found[f"{name}{len(skeleton.names)}"] = skeleton
    return found


def named_keypoints(wanted: str, file: Path | None, order: tuple[str, ...], known: Registry) -> KeypointSet:
    """Return the keypoints of the head that is written, in the order of its channels.

    Args:
        wanted: a data set's name, perhaps with its number of keypoints; or names with commas between; "" for ``order``.
        file: of the skeleton that they are of; None where the names alone make one.
        order: keypoints of the rules; empty where these name none.
        known: plugins.

    Raises:
        KpError: they are not to be understood, or are not those of the rules.
    """
    names = tuple(part.strip() for part in wanted.split(",") if part.strip()) or order
    skeletons = known_skeletons(known)
    if file is not None:
        skeleton = read_skeleton(file)
        names = names or skeleton.names
    elif wanted in skeletons:
        skeleton = skeletons[wanted]
        names = skeleton.names
    elif len(names) == 1 and wanted:
        exist = listed(name for name in known.names("dataset") if name in skeletons)
        raise KpError(f"--keypoints {wanted}: is no data set whose keypoints are known ({exist}); or give all names")
    elif names:
        skeleton = Skeleton("imported", sided_keypoints(names))
    else:
        raise KpError("--keypoints: name what the network is to predict; the rules do not")
    chosen = skeleton.select(names, where="--keypoints")
    if order and set(chosen.names) != set(order):
        raise KpError(f"--keypoints: {_difference(chosen.names, order)}; name the rules' keypoints, in any order")
    return chosen


def _difference(mine: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """Say which keypoints differ from those of the rules."""
    lacks = [name for name in theirs if name not in mine]
    besides = [name for name in mine if name not in theirs]
    both = [
        f"the rules' heads have {listed(lacks)} too" if lacks else "",
        f"they lack {listed(besides)}" if besides else "",
    ]
    return ", and ".join(filter(None, both))
