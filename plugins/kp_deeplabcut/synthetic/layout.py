"""A folder labelled with DeepLabCut: ``CollectedData_SCORER.csv`` and ``labeled-data/VIDEO/``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from kp_deeplabcut.synthetic.mouse import BODYPARTS

SCORER = "kptransfer"
FRAMES = "labeled-data/mice"
Cells = tuple[str, str]


def write_labels(folder: Path, frames: Iterable[tuple[str, Sequence[Cells]]]) -> None:
    """Write the three rows of the header, then a row a frame: its path in the folder, x and y of every bodypart."""
    with (folder / f"CollectedData_{SCORER}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scorer", *[SCORER] * (2 * len(BODYPARTS))])
        writer.writerow(["bodyparts", *(name for name in BODYPARTS for _ in "xy")])
        writer.writerow(["coords", *"xy" * len(BODYPARTS)])
        writer.writerows([name, *(cell for cells in points for cell in cells)] for name, points in frames)
