"""A landmark CSV a part: ``PART_frames_keypoints.csv`` beside the folder of its photographs."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from kpcore.tensors import Float64Array

POINTS = 68


def write_landmarks(folder: Path, part: str, faces: Iterable[tuple[str, Float64Array]]) -> None:
    """Write a row a photograph: its name, then x and y of every landmark (68, 2), 0-based, to a hundredth."""
    with (folder / f"{part}_frames_keypoints.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *map(str, range(2 * POINTS))])
        writer.writerows([name, *(f"{value:.2f}" for value in points.ravel())] for name, points in faces)
