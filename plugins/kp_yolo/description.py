"""``data.yaml``: where the pictures lie, how many keypoints there are, what they and the classes are called."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from kpcore.errors import KpError
from kpcore.reading.opening import guarded, read_text
from kpcore.reading.roots import inside
from kpcore.toml_text import DEEPEST, bounded

KIND = "a YAML file of a YOLO pose data set"
LARGEST = 2**18
"""Bytes: such a file has a few lines, and the parser takes seconds a megabyte."""
MOST_KEYPOINTS = 10_000
USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Names that are looked for first."""
PARTS = {"train": ("train",), "valid": ("val", "valid", "validation"), "test": ("test",)}
"""Part -> the keys that may name it."""


@dataclass(frozen=True)
class Description:
    """A data set's YAML file.

    Args:
        path: of the file.
        base: what ``path`` says; "" where it says nothing.
        parts: part -> its folders and lists, as written; those that the file has, in the order train, valid, test.
        keypoints: number K.
        dims: numbers a keypoint: 2, or 3 with its visibility.
        flips: (K) place of every keypoint's mirror partner, its own where it has none; None where the file has none.
        classes: number -> name.
        names: class -> its K keypoint names; empty where the file has none.
    """

    path: Path
    base: str
    parts: dict[str, tuple[str, ...]]
    keypoints: int
    dims: int
    flips: tuple[int, ...] | None
    classes: dict[int, str]
    names: dict[int, tuple[str, ...]]


def find(root: Path, named: str | None) -> Path:
    """Return the YAML file: the named one, else ``data.yaml``, else the only one in the root.

    Raises:
        KpError: there is none, or nothing tells which of several.
    """
    if named is not None:
        return inside(root, named, "dataset.data")
    usual = [root / name for name in USUAL if (root / name).is_file()]
    found = usual[:1] or sorted(path for path in root.iterdir() if path.suffix in (".yaml", ".yml"))
    if len(found) != 1:
        what = f"several YAML files ({', '.join(path.name for path in found[:5])})" if found else "no data.yaml"
        raise KpError(f"{root}: {what}; a YOLO pose data set has one, with kpt_shape; dataset.data names it")
    return found[0]


def read(path: Path) -> Description:
    """Read the file.

    Raises:
        KpError: it cannot be read, or a key of it is missing or wrong.
    """
    text = read_text(path, KIND, LARGEST)
    with guarded(path, KIND):
        _without_aliases(text, path)
        held = bounded({"": yaml.safe_load(text)}, str(path))[""]
    if not isinstance(held, dict):
        raise KpError(f"{path}: holds a {type(held).__name__}; expected {KIND}: path, train, val, kpt_shape, names")
    keypoints, dims = _shape(held.get("kpt_shape"), path)
    classes = _classes(held, path)
    return Description(
        path=path,
        base=_text(held.get("path", ""), f"{path}, path") if held.get("path") else "",
        parts=_parts(held, path),
        keypoints=keypoints,
        dims=dims,
        flips=_flips(held.get("flip_idx"), keypoints, path),
        classes=classes,
        names=_names(held.get("kpt_names"), keypoints, classes, path),
    )


def _without_aliases(text: str, path: Path) -> None:
    """Refuse references within the file: a few of them can stand for more than any memory holds.

    And deep nesting: the parser's time grows with its square.
    """
    steps = (1 if one in "[{" else -1 for one in re.findall(r"[\[\]{}]", text))
    if max(accumulate(steps), default=0) > DEEPEST:
        raise KpError(f"{path}: lists are nested over {DEEPEST} deep; no such file has")
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise KpError(f"{path}, line {event.start_mark.line + 1}: an alias (*{event.anchor}); write it out")


def _shape(given: object, path: Path) -> tuple[int, int]:
    whole = isinstance(given, list) and len(given) == 2 and all(type(one) is int for one in given)
    if not whole or given[1] not in (2, 3) or not 1 <= given[0] <= MOST_KEYPOINTS:  # type: ignore[index]
        raise KpError(
            f"{path}, kpt_shape: {_short(given)}; a pose data set has [number of keypoints, 2 or 3], such as [17, 3]"
        )
    return given[0], given[1]  # type: ignore[index]


def _flips(given: object, keypoints: int, path: Path) -> tuple[int, ...] | None:
    """Return the places of mirror partners; raises KpError where two do not point at each other."""
    if given is None or given == []:
        return None
    where = f"{path}, flip_idx"
    if not isinstance(given, list) or not all(type(one) is int for one in given):
        raise KpError(f"{where}: {_short(given)}; must be a list of keypoint numbers")
    if len(given) != keypoints:
        raise KpError(f"{where}: has {len(given)} entries; kpt_shape says {keypoints} keypoints")
    for place, other in enumerate(given):
        if not 0 <= other < keypoints:
            raise KpError(f"{where}: entry {place} is {other}; keypoints are 0 to {keypoints - 1}")
        if given[other] != place:
            raise KpError(
                f"{where}: entry {place} is {other}, but entry {other} is {given[other]}; mirror partners point at each"
                " other: mend one of them"
            )
    return tuple(given)


def _parts(held: Mapping[Any, object], path: Path) -> dict[str, tuple[str, ...]]:
    found = {}
    for part, keys in PARTS.items():
        key = next((key for key in keys if held.get(key)), None)
        if key is not None:
            given = held[key]
            places = given if isinstance(given, list) else [given]
            found[part] = tuple(_text(place, f"{path}, {key}") for place in places)
    if "train" not in found:
        raise KpError(f"{path}: no 'train'; it names the folder of pictures, or a list, that is trained on")
    return found


def _classes(held: Mapping[Any, object], path: Path) -> dict[int, str]:
    """Return number -> name; names are numbered where the file only counts them."""
    given = held.get("names")
    if given is None:
        count = held.get("nc", 1)
        if type(count) is not int or not 1 <= count <= MOST_KEYPOINTS:
            raise KpError(f"{path}, nc: {_short(count)}; must be the number of classes")
        return {number: f"class{number}" for number in range(count)}
    pairs = dict(enumerate(given)) if isinstance(given, list) else given
    if not isinstance(pairs, dict) or not pairs or not all(type(number) is int for number in pairs):
        raise KpError(f"{path}, names: {_short(given)}; must be a list of class names, or number: name")
    return {number: _text(name, f"{path}, names, {number}") for number, name in pairs.items()}


def _names(given: object, keypoints: int, classes: Mapping[int, str], path: Path) -> dict[int, tuple[str, ...]]:
    if given is None:
        return {}
    where = f"{path}, kpt_names"
    if isinstance(given, list) and given and not isinstance(given[0], list):
        given = dict.fromkeys(classes, given)  # one list for all classes
    pairs = dict(enumerate(given)) if isinstance(given, list) else given
    if not isinstance(pairs, dict) or not all(isinstance(names, list) for names in pairs.values()):
        raise KpError(f"{where}: {_short(given)}; must be a list of names a class, such as 0: [nose, tail]")
    return {number: check_names(names, keypoints, f"{where}, {number}") for number, names in pairs.items()}


def check_names(names: Sequence[object], keypoints: int, where: str) -> tuple[str, ...]:
    """Return keypoint names; raises KpError where they are not K different texts."""
    if len(names) != keypoints:
        raise KpError(f"{where}: has {len(names)} names; kpt_shape says {keypoints} keypoints")
    found = tuple(_text(name, where) for name in names)
    for name in found:
        if found.count(name) > 1:
            raise KpError(f"{where}: '{name}' occurs twice; each keypoint has a name of its own")
    return found


def _text(value: object, where: str) -> str:
    """Return a text; YAML's own idea of a bare ``no`` or ``on`` is refused, since nobody means it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or not value.strip().isprintable() or len(value) > 1024:
        raise KpError(
            f"{where}: {_short(value)}; must be a text (write it in quotes: YAML reads no, yes, on as no text)"
        )
    return value.strip()


def _short(value: object) -> str:
    return ascii(reprlib.repr(value))[1:-1][:60]
