"""Which annotation files lie under a root, and the reader for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kp_mpii.readers import HrnetSource, MatSource, NewellSource, PytorchPoseSource, Source
from kpcore.errors import KpError

FOLDERS = ("annot", ".", "mpii_human_pose_v1_u12_2")
"""Searched in this order; the last is what the official archive unpacks to."""

FILES: Mapping[str, Mapping[str, str]] = {
    "newell": {"train": "train.h5", "valid": "valid.h5"},
    "hrnet": {"train": "train.json", "valid": "valid.json"},
    "pytorch_pose": {"both": "mpii_annotations.json"},
    "mat": {"both": "mpii_human_pose_v1_u12_1.mat"},
}
"""Layout -> part -> file name, in order of preference."""


def find(root: Path, layout: str) -> dict[str, Path]:
    """Return part -> file of a layout, from the first folder that holds one; empty where there is none."""
    for folder in FOLDERS:
        paths = {part: root / folder / name for part, name in FILES[layout].items()}
        found = {part: path for part, path in paths.items() if path.is_file()}
        if found:
            return found
    return {}


def choose(root: Path, layout: str | None) -> tuple[str, dict[str, Path]]:
    """Return the layout and its files: the one asked for, else the first that is there.

    Raises:
        KpError: there is none; says which files were looked for, and which layouts are there.
    """
    there = {name: files for name in FILES if (files := find(root, name))}
    for name in [layout] if layout else there:
        if name in there:
            return name, there[name]
    wanted = FILES[layout].values() if layout else (file for files in FILES.values() for file in files.values())
    hint = f"; found: {', '.join(there)} (set dataset.annotations to it)" if there else ""
    raise KpError(f"{root}: no annotation of MPII there or in {root / 'annot'}: none of {', '.join(wanted)}{hint}")


def open_source(layout: str, root: Path, files: Mapping[str, Path], valid_list: Path | None, held_out: float) -> Source:
    """Return the reader of the layout."""
    if layout == "newell":
        return NewellSource(root, files)
    if layout == "hrnet":
        return HrnetSource(root, files)
    if layout == "pytorch_pose":
        return PytorchPoseSource(root, files["both"])
    return MatSource(root, files["both"], valid_list, held_out)
