"""Which categories of a file are read: one, or several that have the same keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kp_coco.edges import edges_of
from kp_coco.fields import Document, Entry, Identity
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Finding

ALL = "all"
"""Asks for every category that has keypoints."""
SHOWN = 5
"""Categories that a message names."""

Wanted: TypeAlias = str | int | list[str | int] | None
"""Name or id of a category, a list of them, :data:`ALL`, or None for the only one that has keypoints."""


@dataclass(frozen=True)
class Category:
    """What is read: a category that has keypoints, or several with the same ones.

    Args:
        title: its name, or what several are called together.
        identities: what annotations call it, or them.
        names: keypoints, in the file's order.
        edges: pairs of names.
        findings: what was left out of it.
        bare: ids of the file's categories that have no keypoints.
    """

    title: str
    identities: tuple[Identity, ...]
    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...] = ()
    bare: frozenset[Identity] = frozenset()


def choose(document: Document, wanted: Wanted) -> Category:
    """Return what is asked for.

    Raises:
        KpError: there is none, several without being asked for, those that are asked for have other keypoints, or one
            is damaged.
    """
    posed = [entry for entry in document.categories if entry.fields.get("keypoints")]
    if not posed:
        raise _no_keypoints(document)
    chosen = _chosen(posed, wanted, str(document.path))
    names = _names(chosen[0])
    for other in chosen[1:]:
        _agree(chosen[0], other, str(document.path))
    drawn = [edges_of(entry, names) for entry in chosen]
    return Category(
        _title(chosen, posed),
        tuple(entry.identity("id") for entry in chosen),
        names,
        tuple(dict.fromkeys(edge for edges, _ in drawn for edge in edges)),
        _once([finding for _, found in drawn for finding in found]),
        frozenset(entry.identity("id") for entry in document.categories if not entry.fields.get("keypoints")),
    )


def _no_keypoints(document: Document) -> KpError:
    lists = (entry.fields.get("keypoints") for entry in document.annotations)
    count = next((len(triplets) // 3 for triplets in lists if isinstance(triplets, list) and triplets), 0)
    hint = (
        f"add the names of the {count} that annotations have" if count else "is it a file of boxes (instances_*.json)?"
    )
    return KpError(f"{document.path}, 'categories': none has 'keypoints'; {hint}")


def _once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the first: what one category's list of edges has wrong, those of its kind have too."""
    return tuple(findings[:1])


def _chosen(posed: Sequence[Entry], wanted: Wanted, file: str) -> list[Entry]:
    if wanted == ALL:
        return list(posed)
    if isinstance(wanted, list):
        found = [_one(posed, item, file) for item in wanted]
        return [entry for place, entry in enumerate(found) if entry not in found[:place]] or _only(posed, file)
    return [_one(posed, wanted, file)] if wanted is not None else _only(posed, file)


def _only(posed: Sequence[Entry], file: str) -> list[Entry]:
    if len(posed) > 1:
        raise KpError(f"{file}: several categories have keypoints: {_listed(posed)}; {_remedy(posed)}")
    return list(posed)


def _one(posed: Sequence[Entry], item: str | int, file: str) -> Entry:
    """Return the category of that name or id: a text is a name first, a number an id."""
    by_id = [entry for entry in posed if entry.identity("id") == item]
    by_name = [entry for entry in posed if entry.text("name") == str(item)]
    alike = [entry for entry in posed if str(entry.identity("id")) == str(item)]
    found = (by_id or by_name or alike) if isinstance(item, int) else (by_name or by_id or alike)
    if not found:
        exist = {str(name): None for entry in posed for name in (entry.text("name"), entry.identity("id"))}
        raise unknown("category with keypoints", item, exist, where=f"{file}, dataset.category")
    if len(found) > 1:
        raise KpError(f"{file}: {len(found)} categories are called '{item}': {_listed(found)}; {_remedy(found)}")
    return found[0]


def _listed(entries: Sequence[Entry]) -> str:
    named = [f"'{entry.text('name')}' (id {_said(entry.identity('id'))})" for entry in entries[:SHOWN]]
    more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return ", ".join(named) + more


def _remedy(entries: Sequence[Entry]) -> str:
    """Return what to set; that all can be read together is only said where it is so."""
    one = f"set dataset.category to one's name or id (category = {_said(entries[0].identity('id'))})"
    if len({_names(entry) for entry in entries}) > 1:
        return f"{one}, or to a list of those that have the same keypoints"
    ids = ", ".join(_said(entry.identity("id")) for entry in entries[:SHOWN])
    listed = f"a list (category = [{ids}])" if len(entries) <= SHOWN else "a list of them"
    return f'{one}, to {listed}, or to "{ALL}": their keypoints are the same'


def _said(identity: Identity) -> str:
    """Return an id as TOML spells it."""
    return str(identity) if isinstance(identity, int) else f'"{identity}"'


def _names(entry: Entry) -> tuple[str, ...]:
    names = entry.value("keypoints")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n and n.isprintable() for n in names):
        raise entry.wrong("keypoints", "a list of names")
    return tuple(names)


def _agree(one: Entry, other: Entry, file: str) -> None:
    """Raise KpError where two categories have other keypoints, or the same in another order."""
    mine, theirs = _names(one), _names(other)
    if mine == theirs:
        return
    pair = f"{_listed([one])} and {_listed([other])}"
    if len(mine) != len(theirs):
        what = f"{len(mine)} and {len(theirs)}"
    else:
        place = next(place for place in range(len(mine)) if mine[place] != theirs[place])
        what = f"the {place + 1}. is '{mine[place]}' in one and '{theirs[place]}' in the other"
    raise KpError(f"{file}: categories {pair} have other keypoints: {what}; read one of them (dataset.category)")


def _title(chosen: Sequence[Entry], posed: Sequence[Entry]) -> str:
    """Return what these categories are called in results: names, and ids or a count where names do not tell."""
    names = list(dict.fromkeys(entry.text("name") for entry in chosen))
    if len(names) > 3:
        return f"{len(chosen)} categories"
    title = " + ".join(names)
    if len(chosen) > len(names):
        return f"{title} ({len(chosen)} categories)"
    namesakes = sum(entry.text("name") == title for entry in posed)
    return f"{title} (id {chosen[0].identity('id')})" if namesakes > 1 else title
