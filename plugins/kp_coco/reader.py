"""One annotation file in COCO's format, as columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kp_coco.categories import Wanted, choose
from kp_coco.checks import comparisons
from kp_coco.columns import Table
from kp_coco.counts import Tally
from kp_coco.fields import Document, Entry, Identity, load
from kp_coco.references import check_references
from kp_coco.rows import Picture, Rows
from kpcore.errors import KpError
from kpcore.reading.paths import Images

ONE_FILE = "images listed twice under two ids: the people of both are read"
OTHER_SIZE = "images listed twice under two ids, with two sizes: the people of both are read"
SAME_ENTRY = "images listed twice under one id: read once"


def read(path: Path, category: Wanted, wanted: Callable[[str], bool], names: Images) -> Table:
    """Read a file.

    Args:
        path: the file.
        category: which categories; where None, the only one that has keypoints.
        wanted: whether the people of this image are read.
        names: finds the images.

    Raises:
        KpError: the file is damaged or not of this format, with the place in it.
    """
    document, tally = load(path), Tally()
    images = pictures(document, names, tally)
    check_references(document, images.keys())
    chosen = choose(document, category)
    rows, people = Rows(chosen, tally), []
    for row, entry in enumerate(document.annotations):
        picture = images[entry.identity("image_id")]
        if wanted(picture.name) and (person := rows.person(entry, row, picture)):
            people.append(person)
    findings = (*chosen.findings, *tally.findings(), *comparisons(people))
    return Table.of(people, chosen, findings)


def pictures(document: Document, names: Images, tally: Tally) -> dict[Identity, Picture]:
    """Return id -> image; one file may have several ids, and the same entry may be there twice.

    Raises:
        KpError: an id names two files, or a name leaves the folder.
    """
    found: dict[Identity, Picture] = {}
    files: dict[str, Picture] = {}
    for entry in document.images:
        picture = Picture(entry.path("file_name", names), entry.size())
        before = found.setdefault(entry.identity("id"), picture)
        if before.name != picture.name:
            raise KpError(
                f"{entry.where}, 'id': {entry.identity('id')!r} occurs twice, for '{before.name}' and"
                f" '{picture.name}'; mend the file"
            )
        _note_repeated(entry, picture, before, files, tally)
        files.setdefault(picture.name, picture)
    return found


def _note_repeated(entry: Entry, picture: Picture, before: Picture, files: dict[str, Picture], tally: Tally) -> None:
    """Tell the tally of a file that was listed before."""
    if picture.name not in files:
        return
    place = f"{picture.name}, {entry.where.rpartition(', ')[2]}"
    if before is not picture:
        tally.add(SAME_ENTRY, place)
    elif files[picture.name].size == picture.size:
        tally.add(ONE_FILE, place)
    else:
        tally.add(OTHER_SIZE, place, "warning")
