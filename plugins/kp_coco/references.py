"""Ids in annotations: each must name an image and a category of the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from kp_coco.fields import Document, Entry, Identity
from kpcore.errors import KpError

SHOWN = 3
"""Ids that a message names."""


def check_references(document: Document, images: Set[Identity]) -> None:
    """Check that every annotation's image and category exist, and that no id occurs twice.

    Args:
        document: the file.
        images: ids of its images.

    Raises:
        KpError: with how many annotations name what is not there, the first one's place, and what exists.
    """
    once(document.annotations)
    categories = once(document.categories)
    _not_mixed(document.images, "image")
    _not_mixed(document.categories, "category")
    problems = [
        *_dangling(document.annotations, "category_id", "category", categories),
        *_dangling(document.annotations, "image_id", "image", images),
    ]
    if problems:
        raise KpError("; ".join([*problems, "mend the file"]))


def once(entries: Iterable[Entry]) -> Set[Identity]:
    """Return the ids of entries; raises KpError where one occurs twice."""
    seen: set[Identity] = set()
    for entry in entries:
        value = entry.identity("id")
        if value in seen:
            raise KpError(f"{entry.where}, 'id': {value!r} occurs twice; mend the file")
        seen.add(value)
    return seen


def _not_mixed(entries: Sequence[Entry], noun: str) -> None:
    """Raise KpError where one id is there as a number and as a text: which is meant nobody can tell."""
    known = {entry.identity("id") for entry in entries}
    for entry in entries:
        value = entry.identity("id")
        if isinstance(value, str) and _twin(value) in known:
            raise KpError(
                f"{entry.where}, 'id': {noun} {value!r} as a text is there beside {value} as a number; one kind of"
                " id is needed: mend the file"
            )


def _twin(value: Identity) -> Identity | None:
    """Return the same id of the other type: 1 of '1', and '1' of 1."""
    if isinstance(value, int):
        return str(value)
    short = value.isascii() and value.isdigit() and len(value) < 20
    return int(value) if short else None


def _dangling(entries: Sequence[Entry], key: str, noun: str, known: Set[Identity]) -> list[str]:
    """Return what is wrong with the references under a key, at most one line."""
    lost = [entry for entry in entries if entry.identity(key) not in known]
    if not lost:
        return []
    values = list(dict.fromkeys(entry.identity(key) for entry in lost))
    named = ", ".join(map(repr, values[:SHOWN]))
    more = f" (and {len(values) - SHOWN} more ids)" if len(values) > SHOWN else ""
    verb = "does" if len(values) == 1 else "do"
    what = f"{noun} {named}{more} {verb} not exist ({len(lost):,} of {len(entries):,} annotations have it)"
    return [f"{lost[0].where}, '{key}': {what}; {_there(values[0], known)}"]


def _there(value: Identity, known: Set[Identity]) -> str:
    """Return which ids exist, and whether it is the type alone that differs."""
    twin = _twin(value)
    if twin is not None and twin in known:
        kinds = ("a number", "a text") if isinstance(twin, int) else ("a text", "a number")
        return f"{twin!r} as {kinds[0]} does, {value!r} as {kinds[1]} does not"
    exist = sorted(known, key=lambda one: (isinstance(one, str), one if isinstance(one, int) else 0, str(one)))
    more = f" and {len(exist) - 2 * SHOWN:,} more" if len(exist) > 2 * SHOWN else ""
    verb = "does" if len(exist) == 1 else "do"
    return f"{', '.join(map(repr, exist[: 2 * SHOWN]))}{more} {verb}" if exist else "none does"
