"""What a study leaves at its end for trackers: scores by job, files, and pictures."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpcore.records.results import AVERAGE
from kpcore.tensors import ImageArray
from kpcore.tracking.pictures import pictures

FILES = ("study.toml", "results.json", "tables.md", "tables.csv", "tables.tex", "curves.csv")


@dataclass(frozen=True, eq=False)
class Left:
    """Files and pictures, with a digest over their names and all they hold."""

    files: tuple[Path, ...]
    pictures: Mapping[str, ImageArray]
    digest: str


def left(folder: Path) -> Left:
    """Return what lies in a study's folder."""
    files = tuple(path for name in FILES if (path := folder / name).is_file())
    drawn = pictures(folder)
    digest = hashlib.sha256()
    for name, data in [
        *((path.name, path.read_bytes()) for path in files),
        *((n, p.tobytes()) for n, p in drawn.items()),
    ]:
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return Left(files, drawn, digest.hexdigest())


def row_scores(results: Mapping[str, Any]) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Return the scores of finished rows by job's key, and the epoch whose weights were scored.

    Args:
        results: the object of ``results.json``. Where several rows are of one job, names begin with the row's mode.
    """
    rows = [row for row in results["rows"] if row["status"] == "done"]
    shared = Counter(row["job"] for row in rows)
    scores: dict[str, dict[str, float]] = {}
    for row in rows:
        before = f"{row['mode']}/" if shared[row["job"]] > 1 else ""
        named = {AVERAGE: row["average"], **row["columns"]}
        known = {f"{before}{name}": float(value) for name, value in named.items() if value is not None}
        scores.setdefault(row["job"], {}).update(known)
    return scores, {row["job"]: row["scored_epoch"] or 0 for row in rows}
