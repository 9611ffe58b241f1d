"""Which files are wanted, and where each comes from: as the plugin declares it, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kpcore.errors import KpError, unknown
from kpcore.fetching.names import problem_of
from kpcore.interfaces import Download, Licence

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
OWN = ".kp-fetch"
"""Folder below the root that downloads are kept in."""


@dataclass(frozen=True)
class Wanted:
    """A file to get.

    Args:
        download: as the plugin declares it.
        address: where it is served; "" where it is a file of this machine.
        file: that file.
        sha256: as the user states it; "" where the user does not.
    """

    download: Download
    address: str
    file: Path | None = None
    sha256: str = ""

    @property
    def name(self) -> str:
        """The download's."""
        return self.download.name

    @property
    def source(self) -> str:
        """Where it comes from, without what may be secret in an address."""
        return str(self.file) if self.file else shown(self.address)


def shown(address: str) -> str:
    """Return an address without user, password, query and fragment."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_address(text: str) -> bool:
    """Whether a text is an address that is downloaded from: HTTP or HTTPS, with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def checked(downloads: Iterable[Download], whose: str) -> tuple[Download, ...]:
    """Return the downloads that a plugin declares, if they keep the rules.

    Args:
        downloads: of one data set.
        whose: data set and plugin, for the error.

    Raises:
        KpError: one does not; with what is wrong.
    """
    found = tuple(downloads)
    for one in found:
        if problem := _tried(one):
            raise KpError(f"{whose}: download {getattr(one, 'name', one)!r}: {problem}; this is the plugin's fault")
    names = [one.name.casefold() for one in found]
    if len(set(names)) < len(names):
        raise KpError(f"{whose}: two downloads have one name; this is the plugin's fault")
    return found


def _tried(one: object) -> str:
    """Return what is wrong with what a plugin declares, whatever that is; "" where nothing is."""
    if not isinstance(one, Download):
        return "is no kpcore.interfaces.Download"
    try:
        return _problem(one)
    except (TypeError, AttributeError, ValueError) as error:
        return f"holds a value of another kind ({error})"


def _problem(one: Download) -> str:
    if not NAME.fullmatch(one.name):
        return "its name has other characters than letters, digits, '-', '_' and '.'"
    if not is_address(one.address):
        return f"{one.address!r} is no address of HTTP or HTTPS"
    if not isinstance(one.licence, Licence) or not is_address(one.licence.page):
        return "its licence is no kpcore.interfaces.Licence with the address of its text"
    if one.sha256 and not SHA256.fullmatch(one.sha256):
        return "its sha256 is not 64 hex digits"
    if min(one.size, one.unpacked - 1, one.entries - 1) < 0:
        return "its size, unpacked or entries is too small"
    return _problem_of_places(one)


def _problem_of_places(one: Download) -> str:
    for inside, place in one.places.items():
        if problem := problem_of(place) or (inside and problem_of(inside)):
            return f"its place {inside!r}: {place!r} {problem}"
        if place.split("/")[0] == OWN:
            return f"{place!r} lies in {OWN}"
    if not one.places or (not one.archive and set(one.places) != {""}):
        return 'places must name something; of a file that is no archive just ""'
    if overlap(list(one.places)) or overlap(list(one.places.values())):
        return "one of its places holds another"
    return ""


def overlap(paths: Sequence[str]) -> bool:
    """Whether one of the paths is another, or holds it."""
    return any(
        one == other or not one or other.startswith(f"{one}/")
        for place, one in enumerate(paths)
        for other in (*paths[:place], *paths[place + 1 :])
    )


def choose(
    downloads: Sequence[Download], only: Sequence[str] = (), sources: Sequence[str] = (), sums: Sequence[str] = ()
) -> tuple[Wanted, ...]:
    """Return the files that are wanted.

    Args:
        downloads: that there are.
        only: names of those that are wanted; all where empty.
        sources: ``NAME=ADDRESS`` or ``NAME=FILE``, for those that come from elsewhere.
        sums: ``NAME=HEX``, the SHA-256 of some.

    Raises:
        KpError: an unknown name, a file that is not there, an address of another kind, no SHA-256.
    """
    names = [one.name for one in downloads]
    for name in only:
        if name not in names:
            raise unknown("file", name, names, where="--only")
    froms = _pairs("--from", sources, names)
    hexes = {name: _sum(name, text) for name, text in _pairs("--sha256", sums, names).items()}
    kept = [one for one in downloads if not only or one.name in only]
    return tuple(_wanted(one, froms.get(one.name, ""), hexes.get(one.name, "")) for one in kept)


def _pairs(option: str, texts: Sequence[str], names: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not value:
            raise KpError(f"{option} {text[:80]}: is not NAME=VALUE; names: {', '.join(names)}")
        if name not in names:
            raise unknown("file", name, names, where=option)
        if name in found:
            raise KpError(f"{option}: {name} is given twice")
        found[name] = value
    return found


def _sum(name: str, text: str) -> str:
    found = text.strip().lower().removeprefix("sha256:")
    if not SHA256.fullmatch(found):
        raise KpError(f"--sha256 {name}: {text[:80]!a} is not 64 hex digits, as 'sha256sum FILE' prints them")
    return found


def _wanted(download: Download, source: str, sha256: str) -> Wanted:
    if not source:
        return Wanted(download, download.address, None, sha256)
    if is_address(source):
        return Wanted(download, source, None, sha256)
    if "://" in source:
        raise KpError(f"--from {download.name}: {source[:80]} is neither an address of HTTP or HTTPS nor a path")
    path = Path(source).expanduser()
    if not path.is_file():
        raise KpError(f"--from {download.name}: {source[:300]} is not a file")
    return Wanted(download, "", path, sha256)
