"""Keypoints from a list of names, and from what a user says of mirrors and groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kpcore.errors import KpError, unknown
from kpcore.keypoints import Keypoint
from kpcore.reading.sides import mirror_partners, shared_name


def sided_keypoints(
    names: Sequence[str], groups: Mapping[str, str] | None = None, partners: Mapping[str, str | None] | None = None
) -> tuple[Keypoint, ...]:
    """Return keypoints, in the order of the names.

    A keypoint's group is that of ``groups``; else what the names of its pair share; where that is nothing, or the name
    of another keypoint, the pair's first name; else its own name.

    Args:
        names: of all keypoints.
        groups: keypoint -> group, of some.
        partners: keypoint -> mirror partner or None; by the sides in the names where absent.
    """
    pairs = mirror_partners(names) if partners is None else partners
    given = groups or {}
    return tuple(Keypoint(name, pairs[name], given.get(name) or _group(name, pairs[name], names)) for name in names)


def told_partners(names: Sequence[str], mirrors: Mapping[str, str], where: str) -> dict[str, str | None]:
    """Return every name's partner as a user says it.

    Args:
        names: of all keypoints.
        mirrors: keypoint -> partner; one way is enough.
        where: for errors.

    Raises:
        KpError: a name does not exist, or would have two partners, or itself.
    """
    partners: dict[str, str | None] = dict.fromkeys(names)
    for one, other in _both_ways(mirrors):
        if one not in partners:
            raise unknown("keypoint", one, names, where=where)
        if one == other or partners[one] not in (None, other):
            raise KpError(f"{where}: '{one}' has the partners '{partners[one] or other}' and '{other}'; it has one")
        partners[one] = other
    return partners


def told_groups(names: Sequence[str], groups: Mapping[str, Sequence[str]], where: str) -> dict[str, str]:
    """Return keypoint -> group, of those that a user puts in one.

    Args:
        names: of all keypoints.
        groups: group -> its keypoints.
        where: for errors.

    Raises:
        KpError: a keypoint does not exist, or is in two groups.
    """
    found: dict[str, str] = {}
    for group, members in groups.items():
        for name in members:
            if name not in names:
                raise unknown("keypoint", name, names, where=f"{where}.{group}")
            if found.setdefault(name, group) != group:
                raise KpError(f"{where}: '{name}' is in '{found[name]}' and in '{group}'; name it once")
    return found


def _group(name: str, partner: str | None, names: Sequence[str]) -> str:
    if partner is None:
        return name
    shared = shared_name(name, partner)
    return shared if shared and shared not in names else min(name, partner, key=names.index)


def _both_ways(mirrors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for one, other in mirrors.items():
        yield one, other
        yield other, one
