"""Downloading one file: in parts, each going on where the one before was cut."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpcore.errors import KpError, size, system_error
from kpcore.fetching.http import Cut, answer, chunks
from kpcore.fetching.kept import Kept, State, key
from kpcore.fetching.space import require
from kpcore.fetching.told import Step, Told
from kpcore.fetching.wanted import Wanted, shown

if TYPE_CHECKING:
    from requests import Response

GAIN = 2**20
"""Bytes after which a try was a good one: the next cut counts as the first again."""
CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Args:
        timeout: seconds until the connection stands, and between two parts of an answer.
        retries: tries in a row, after the first, that may bring less than a megabyte.
        pause: seconds before the second try; each pause is twice the last, up to a minute.
    """

    timeout: float = 30.0
    retries: int = 6
    pause: float = 1.0


def download(wanted: Wanted, kept: Kept, patience: Patience, told: Told) -> None:
    """Download a file until it is whole.

    Raises:
        KpError: the server refuses it, sends something else, or breaks off too often; the disk is too small.
    """
    failures = 0
    with told.bar(f"{wanted.name}: downloading") as step:
        while True:
            before = _have(kept, wanted)
            try:
                _attempt(wanted, kept, patience.timeout, told, step)
                break
            except Cut as cut:
                failures = 1 if _have(kept, wanted) - before >= GAIN else failures + 1
                if failures > patience.retries:
                    raise _given_up(wanted, kept, cut, failures) from cut
                told.say(f"{wanted.name}: {cut}; trying again")
                time.sleep(max(cut.pause, min(60.0, patience.pause * 2 ** (failures - 1))))
            except OSError as error:
                raise KpError(system_error(error, kept.part(wanted.name))) from error
    kept.part(wanted.name).rename(kept.whole(wanted.name))


def _given_up(wanted: Wanted, kept: Kept, cut: Cut, failures: int) -> KpError:
    there = f"; the {size(_have(kept, wanted))} that are there are kept" if _have(kept, wanted) else ""
    return KpError(
        f"{shown(wanted.address)}: {cut} ({failures} tries){there}: the same command goes on, --from"
        f" {wanted.name}=ADDRESS takes it from elsewhere"
    )


def _have(kept: Kept, wanted: Wanted) -> int:
    """Return the bytes that are there of this file from this address."""
    part = kept.part(wanted.name)
    return part.stat().st_size if part.exists() and kept.state(wanted.name).address == key(wanted.address) else 0


def _attempt(wanted: Wanted, kept: Kept, timeout: float, told: Told, step: Step) -> None:
    """Ask for what is missing and write it down; raises Cut where less came than should have."""
    have, state = _have(kept, wanted), kept.state(wanted.name)
    if have and have == state.size:
        return
    part = kept.part(wanted.name)
    with answer(wanted.address, _headers(have, state), timeout) as response:
        if response.status_code == 416:
            _no_more(response, have, wanted, part)
            return
        start, total = _agreed(response, have, state, part)
        if have:
            told.say(f"{wanted.name}: {_how(response, state, start)}")
        _check(wanted, kept, start, total)
        version = State(key(wanted.address), _tag(response), response.headers.get("Last-Modified", ""), total)
        kept.write(wanted.name, replace(version, sha256=state.sha256, placed=state.placed))
        step(start, total)
        done = _copy(response, part, (start, total), 2 * wanted.download.size, step)
    if 0 < total < done:
        raise _anew(part, "the server sends more of it than it stated")
    if done < total:
        raise Cut(f"the connection ended after {done:,} of {total:,} bytes")


def _headers(have: int, state: State) -> dict[str, str]:
    """Return what asks for the rest of a file, if it is still the same one."""
    if not have:
        return {}
    same = state.etag if state.etag and not state.etag.startswith("W/") else state.modified
    return {"Range": f"bytes={have}-", **({"If-Range": same} if same else {})}


def _no_more(response: Response, have: int, wanted: Wanted, part: Path) -> None:
    """Take an answer that there is nothing behind what is here: the file is whole, where it is as long as that."""
    if not have:
        raise KpError(f"{shown(wanted.address)}: the server answers 416 to a request for the whole file")
    if _range(response)[1] != have:
        raise _anew(part, "the server has less of it than is here")


def _agreed(response: Response, have: int, state: State, part: Path) -> tuple[int, int]:
    """Return at which byte what the server sends begins, and how many the whole file has (0: not stated).

    What is here of another version is deleted.

    Raises:
        Cut: it is another part than the one asked for, or of another version.
    """
    if response.status_code == 200:
        part.unlink(missing_ok=True)
        return 0, _length(response)
    first, total = _range(response)
    if first != have or not have:
        raise _anew(part, "the server sends another part of it than the one asked for")
    if _other(response, state) or (state.size and total != state.size):
        raise _anew(part, _other(response, state) or "its length has changed on the server")
    return have, total


def _anew(part: Path, why: str) -> Cut:
    part.unlink(missing_ok=True)
    return Cut(f"{why}; starting anew")


def _how(response: Response, state: State, start: int) -> str:
    """Return what becomes of the bytes that are here."""
    if start:
        return f"{size(start)} are here; going on"
    return f"{_other(response, state) or 'the server sends no parts of files'}; starting anew"


def _other(response: Response, state: State) -> str:
    """Return why what the server has may be another version than the one that is here; "" where it is the same."""
    pairs = [(_tag(response), state.etag), (response.headers.get("Last-Modified", ""), state.modified)]
    both = [(now, before) for now, before in pairs if now and before]
    if not both:
        return "the server does not say which version of it this is"
    return "it has changed on the server" if any(now != before for now, before in both) else ""


def _tag(response: Response) -> str:
    return str(response.headers.get("ETag", ""))[:500]


def _length(response: Response) -> int:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _range(response: Response) -> tuple[int, int]:
    """Return the first byte of a part and the whole file's bytes; -1 and 0 where the server does not say."""
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if not found:
        return -1, 0
    first, _, total = found.groups()
    return int(first) if first else -1, int(total) if total.isdigit() else 0


def _check(wanted: Wanted, kept: Kept, start: int, total: int) -> None:
    """Refuse a file that is far too large, or does not fit on the disk."""
    if 0 < 2 * wanted.download.size < total:
        raise KpError(
            f"{shown(wanted.address)}: has {total:,} bytes; {wanted.name} has about {wanted.download.size:,}: it is"
            " another file"
        )
    require(kept.folder, max(0, total - start), f"the rest of {wanted.name}")


def _copy(response: Response, part: Path, span: tuple[int, int], most: int, step: Step) -> int:
    """Append what the server sends to a part, and have it on the disk; return the part's bytes."""
    done, total = span
    with part.open("ab") as file:
        try:
            for data in chunks(response):
                done += len(data)
                if 0 < most < done:
                    raise KpError(f"{shown(response.url)}: sends more than {most:,} bytes; it is another file")
                if 0 < total < done:
                    break
                file.write(data)
                step(done, total)
        finally:
            file.flush()
            os.fsync(file.fileno())
    return done
