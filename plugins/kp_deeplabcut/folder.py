"""Where a folder keeps its labels: a DeepLabCut project, or a folder with one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kp_deeplabcut.csv_file import read_csv
from kp_deeplabcut.hdf_file import read_hdf
from kp_deeplabcut.table import Labels
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Finding
from kpcore.reading.paths import Images, findings_of
from kpcore.tensors import Float64Array

PREFIX = "CollectedData"


@dataclass(frozen=True, eq=False)
class Row:
    """One animal in one frame.

    Args:
        image: the file.
        name: "VIDEO/img001.png", unique in the project.
        video: the folder that the frame's path names.
        individual: "" where the file is of a single animal.
        number: place among all animals and frames, in the files' order.
        points: (K, 2), NaN where unlabelled.
    """

    image: Path
    name: str
    video: str
    individual: str
    number: int
    points: Float64Array


def annotation_files(root: Path, scorer: str | None) -> list[Path]:
    """Return the annotation files: the root's own, else those of ``labeled-data/*/``; one a folder, csv before h5.

    Raises:
        KpError: there are none, or several of one folder and no scorer is named.
    """
    folders = [root, *sorted(path for path in (root / "labeled-data").glob("*") if path.is_dir())]
    own = _stems(root)
    stems = {folder: _stems(folder) for folder in ([root] if own else folders)}
    files = [_chosen(folder, found, scorer) for folder, found in stems.items() if found]
    if not files:
        raise KpError(
            f"{root}: no {PREFIX}*.csv or .h5 here or in labeled-data/*/; DeepLabCut writes them when labels are saved"
        )
    return files


def rows_of(root: Path, files: Sequence[Path]) -> tuple[tuple[str, ...], list[Row], tuple[Finding, ...]]:
    """Read all files; return the bodyparts of any, in order of first appearance, the rows, and what names needed.

    Raises:
        KpError: a file is damaged, an image's name leaves the folder, or two rows label one image.
    """
    named = [Images(root, beside=[path.parent]) for path in files]
    read = [read_csv if path.suffix == ".csv" else read_hdf for path in files]
    tables = [reader(path, images) for reader, path, images in zip(read, files, named, strict=True)]
    bodyparts = tuple(dict.fromkeys(part for table in tables for part in table.bodyparts))
    rows: list[Row] = []
    for table, images in zip(tables, named, strict=True):
        rows.extend(_rows(images, table, bodyparts, len(rows)))
    _check_once(root, rows)
    return bodyparts, rows, findings_of(named)


def _rows(images: Images, table: Labels, bodyparts: tuple[str, ...], first: int) -> list[Row]:
    columns = [bodyparts.index(part) for part in table.bodyparts]
    rows: list[Row] = []
    for frame, name in enumerate(table.images):
        image = images.path(images.name(name, f"{table.path}, frame {frame}"))
        video = PurePosixPath(name).parent.name or table.path.parent.name
        for who, individual in enumerate(table.individuals):
            points = np.full((len(bodyparts), 2), np.nan)
            points[columns] = table.points[frame, who]
            short = f"{video}/{PurePosixPath(name).name}"
            rows.append(Row(image, short, video, individual, first + len(rows), points))
    return rows


def _check_once(root: Path, rows: Sequence[Row]) -> None:
    """Refuse two rows of one animal in one image, by its name and by its file; raises KpError."""
    labelled: dict[tuple[str | Path, str], int] = {}
    for row in rows:
        for image in (row.name, row.image):
            first = labelled.setdefault((image, row.individual), row.number)
            if first != row.number:
                raise KpError(
                    f"{root}: {row.name} is labelled in two rows, {first} and {row.number} (from 0); remove one"
                )


def _stems(folder: Path) -> dict[str, Path]:
    """Return stem -> file; of a csv and an h5 with one stem the csv."""
    found = sorted(path for path in folder.glob(f"{PREFIX}*.h5") if path.is_file())
    found += sorted(path for path in folder.glob(f"{PREFIX}*.csv") if path.is_file())
    return {path.stem: path for path in found}


def _chosen(folder: Path, stems: dict[str, Path], scorer: str | None) -> Path:
    scorers = {stem.removeprefix(PREFIX).removeprefix("_"): path for stem, path in stems.items()}
    if scorer is not None:
        if scorer not in scorers:
            raise unknown("scorer", scorer, scorers, where=str(folder))
        return scorers[scorer]
    if len(scorers) > 1:
        raise KpError(f"{folder}: labels of several scorers ({', '.join(scorers)}); name one with the option scorer")
    return next(iter(scorers.values()))
