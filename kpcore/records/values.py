"""``values.h5``: what every sample added to every score of a study, so that intervals are made without its networks.

One JSON text says what there is; arrays lie beside it by number. Nothing that differs between two equal runs is in it,
no path and no time. A file may come from anywhere: it is read as :mod:`kpcore.reading.hdf5` says, and checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
from pydantic import Field, ValidationError

from kpcore.config import Strict, explain
from kpcore.draws import ClusterKind, Clusters
from kpcore.errors import KpError, shown
from kpcore.placing import placed_hdf5
from kpcore.reading import hdf5
from kpcore.tensors import AnyArray, Float64Array
from kpcore.terms import Composition, Terms

FORMAT = "kptransfer values 1"
VALUES = "values.h5"
ABOUT = "about"
PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}

Places = tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True, eq=False)
class RowValues:
    """What one row of the results is made of: terms, or where its metric has none, its scores on drawn images.

    Args:
        mode: transfer mode.
        seed: of the training.
        scores: (S,) columns in their order and the average.
        numerators: (N, T), as in :class:`~kpcore.terms.Terms`; None where there are replicates.
        denominators: (N, T), likewise.
        replicates: (B, S) scores of B draws of the clusters; None where there are terms.
        labels: share of the labels that it was trained on.
    """

    mode: str
    seed: int
    scores: Float64Array
    numerators: Float64Array | None = None
    denominators: Float64Array | None = None
    replicates: Float64Array | None = None
    labels: float = 1.0


@dataclass(frozen=True, eq=False)
class SplitValues:
    """All rows of one split, scored on the same samples.

    Args:
        name: of the split.
        data: label, list and part of the scored data, in words.
        convention: of the metric.
        higher_is_better: its direction.
        clusters: of the N samples.
        samples: (N,) their rows in the annotation file.
        composition: how columns and average are made of T terms; with replicates, columns without places.
        groups: joint group -> places, of the groups that no column is made of; they enter no average.
        keypoints: keypoint -> places.
        rows: of the split.
    """

    name: str
    data: str
    convention: str
    higher_is_better: bool
    clusters: Clusters
    samples: AnyArray
    composition: Composition
    groups: Mapping[str, tuple[int, ...]]
    keypoints: Mapping[str, tuple[int, ...]]
    rows: Sequence[RowValues]


@dataclass(frozen=True)
class Values:
    """The whole file.

    Args:
        splits: those with a row that is done.
        versions: package -> version that made it, as far as it is known.
    """

    splits: tuple[SplitValues, ...]
    versions: Mapping[str, str] = field(default_factory=dict)


class RowAbout(Strict):
    """What the text says of a row."""

    mode: str
    seed: int
    labels: float = 1.0
    kind: str = Field(pattern="terms|replicates")


class SplitAbout(Strict):
    """What the text says of a split."""

    name: str
    data: str
    convention: str
    higher_is_better: bool
    cluster_kind: ClusterKind
    columns: dict[str, Places]
    average: Places | tuple[str, ...]
    groups: dict[str, Places]
    keypoints: dict[str, Places]
    rows: tuple[RowAbout, ...]


class About(Strict):
    """The text."""

    versions: dict[str, str]
    splits: tuple[SplitAbout, ...]


def write_values(path: Path, values: Values) -> None:
    """Write the file, replacing it in one step; equal values give equal bytes."""
    about = About(versions=dict(values.versions), splits=tuple(map(_about, values.splits)))
    with placed_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        file[ABOUT] = np.frombuffer(about.model_dump_json().encode(), np.uint8)
        for number, split in enumerate(values.splits):
            _write_split(file.create_group(str(number)), split)


def _about(split: SplitValues) -> SplitAbout:
    return SplitAbout(
        name=split.name,
        data=split.data,
        convention=split.convention,
        higher_is_better=split.higher_is_better,
        cluster_kind=split.clusters.kind,
        columns=dict(split.composition.columns),
        average=split.composition.average,
        groups=dict(split.groups),
        keypoints=dict(split.keypoints),
        rows=tuple(
            RowAbout(
                mode=row.mode,
                seed=row.seed,
                labels=row.labels,
                kind="terms" if row.replicates is None else "replicates",
            )
            for row in split.rows
        ),
    )


def _write_split(group: h5py.Group, split: SplitValues) -> None:
    _put(group, "clusters", split.clusters.of)
    _put(group, "samples", split.samples)
    shared: Float64Array | None = None
    for number, row in enumerate(split.rows):
        _put(group, f"{number}-scores", row.scores)
        if row.replicates is not None:
            _put(group, f"{number}-replicates", row.replicates)
            continue
        assert row.numerators is not None and row.denominators is not None  # a row has one or the other
        _put(group, f"{number}-numerators", row.numerators)
        if shared is None or not np.array_equal(shared, row.denominators):
            _put(group, f"{number}-denominators", row.denominators)
            shared = row.denominators


def _put(group: h5py.Group, name: str, values: AnyArray) -> None:
    group.create_dataset(name, data=values, **(PACKED if values.size else {}))


def read_values(path: Path) -> Values:
    """Read the file of a study.

    Raises:
        KpError: it is not there, cannot be read, or is not what it says.
    """
    if not path.is_file():
        raise KpError(f"{path}: no such file, so nothing is known of single samples; 'kp run' writes it")
    with hdf5.opened(path, "the values of a study") as file:
        about = _read_about(path, file)
        splits = tuple(_read_split(path, file, number, split) for number, split in enumerate(about.splits))
        return Values(splits, about.versions)


def _read_about(path: Path, file: h5py.File) -> About:
    if hdf5.attribute(file, "format", path) != FORMAT:
        raise KpError(f"{path}: is not '{FORMAT}'; 'kp run' writes it again")
    text = _array(path, file, ABOUT, "u", 1).astype(np.uint8).tobytes()
    try:
        return About.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise KpError(explain(error, About, f"{path}: '{ABOUT}'")) from None


def _read_split(path: Path, file: h5py.File, number: int, about: SplitAbout) -> SplitValues:
    group = hdf5.child(file, str(number))
    if group is None:
        raise KpError(f"{path}: no group '{number}' for split '{about.name}'; 'kp run' writes it again")
    of = _array(path, group, "clusters", "iu", 1).astype(np.int64)
    samples = _array(path, group, "samples", "iu", 1).astype(np.int64)
    if len(of) != len(samples) or not np.array_equal(np.unique(of), np.arange(len(np.unique(of)))):
        raise _wrong(path, group, "clusters", of, "a cluster of every sample, counted from 0")
    rows: list[RowValues] = []
    for place, row in enumerate(about.rows):
        before = rows[-1].denominators if rows else None
        rows.append(_read_row(path, group, place, row, before))
    split = SplitValues(
        about.name, about.data, about.convention, about.higher_is_better, Clusters(about.cluster_kind, of), samples,
        Composition(about.columns, about.average), about.groups, about.keypoints, tuple(rows),
    )  # fmt: skip
    _check(path, group, split)
    return split


def _read_row(path: Path, group: h5py.Group, place: int, about: RowAbout, before: Float64Array | None) -> RowValues:
    def read(name: str, dims: int) -> Float64Array:
        return _array(path, group, f"{place}-{name}", "f", dims).astype(np.float64)

    scores = read("scores", 1)
    if about.kind == "replicates":
        return RowValues(about.mode, about.seed, scores, replicates=read("replicates", 2), labels=about.labels)
    own = f"{place}-denominators" in hdf5.names(group) or before is None
    below = read("denominators", 2) if own else before
    return RowValues(about.mode, about.seed, scores, read("numerators", 2), below, labels=about.labels)


def _check(path: Path, group: h5py.Group, split: SplitValues) -> None:
    """Raise KpError where arrays do not fit what the text says."""
    columns = len(split.composition.columns) + 1
    for place, row in enumerate(split.rows):
        if row.scores.shape != (columns,):
            raise _wrong(path, group, f"{place}-scores", row.scores, f"({columns},)")
        if row.replicates is not None and (row.replicates.shape[1] != columns or not len(row.replicates)):
            raise _wrong(path, group, f"{place}-replicates", row.replicates, f"(B, {columns})")
        if row.numerators is not None and row.denominators is not None:
            terms = Terms(row.numerators, row.denominators, split.composition.columns, split.composition.average)
            more = Composition({**split.groups, **{f"keypoint {name}": at for name, at in split.keypoints.items()}}, ())
            if problem := terms.problem(len(split.samples)) or more.problem(row.numerators.shape[1]):
                raise KpError(f"{path}: row {place} of split '{split.name}': {problem}; 'kp run' writes it again")


def _array(path: Path, group: h5py.Group, name: str, kinds: str, dims: int) -> AnyArray:
    found = hdf5.own(group, name, path)
    if found is None or found.dtype.kind not in kinds or found.ndim != dims:
        raise _wrong(path, group, name, None if found is None else found, f"{dims} axes of numbers")
    return np.asarray(found[()])


def _wrong(path: Path, group: h5py.Group, name: str, found: object, expected: str) -> KpError:
    what = "is missing" if found is None else f"is {shown(found)}, expected {expected}"
    return KpError(f"{path}: '{group.name}/{name}' {what}; 'kp run' writes it again".replace("//", "/"))
