"""MPJPE: how far 3D keypoints lie from where they should, in millimetres, after one of four alignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from kp_mpjpe.alignment import FEWEST, procrustes, relative_to, scaled
from kpcore.errors import KpError, unknown
from kpcore.interfaces import ComponentConfig, Metric, Scores, Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED, AnyArray, Float64Array

Align = Literal["root", "none", "procrustes", "scale"]
ASPECTS = {"in plane": slice(0, 2), "depth": slice(2, 3)}
"""Column's name -> the axes that it is of."""


class Mpjpe(Metric):
    """Mean per-joint position error, in millimetres (Ionescu et al., Human3.6M, PAMI 2014).

    Points are taken to millimetres by weak perspective: x, y and z in pixels times the person's millimetres a pixel at
    the root's distance. Figures of papers that undo the perspective with the camera's intrinsics and the true depth of
    the root are not the same to the last millimetre.

    ========== ================================================================== =================
    align      what is done to a person's prediction before it is compared        known as
    ========== ================================================================== =================
    root       prediction and truth are both seen from the root                   MPJPE, protocol 1
    scale      then the prediction is scaled to fit best (Rhodin et al. 2018)      N-MPJPE
    procrustes rotated, scaled and moved to fit best; no root is needed            PA-MPJPE
    none       nothing: x and y in the picture, z relative to the root             -
    ========== ================================================================== =================

    A keypoint's error is the mean over the people in whom it is labelled, hidden ones included; a column is the
    unweighted mean over its keypoints, and the average that over all scored keypoints at once, without those of columns
    that stay out of it. With ``root`` and ``scale`` the root's own error is 0 and counts in the average, as is usual;
    where it should not, let its column stay out.

    A person whose root is not labelled (``root``, ``scale``), or who has fewer than three labelled keypoints
    (``procrustes``), is left out. A labelled keypoint without a prediction has no error, so there is no mean.

    With ``aspects`` there are two more columns, over the same keypoints as the average: "in plane", the length of the
    error in x and y, and "depth", that of the error in z, both after the alignment. They tell apart where a limb is
    seen and how far away it is guessed; the squares of one point's two add up to the square of its error.

    Args:
        align: as above.
        root: name of the keypoint that z is relative to.
        aspects: whether there are columns "in plane" and "depth".
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "mpjpe"``."""

        align: Align = Field(
            default="root",
            description="root: both seen from the root; scale: then scaled to fit (N-MPJPE); procrustes: rotated,"
            " scaled and moved to fit (PA-MPJPE); none",
        )
        root: str = Field(default="pelvis", description="keypoint that 'root' and 'scale' align at; it must be scored")
        aspects: bool = Field(
            default=False, description="two more columns: 'in plane', the error in x and y, and 'depth', that in z"
        )

    def __init__(self, *, align: Align, root: str, aspects: bool) -> None:
        self._align = align
        self._root = root
        self._aspects = aspects

    @property
    def convention(self) -> str:
        """As in "MPJPE at pelvis (mm)" or "PA-MPJPE (mm)"."""
        names = {
            "root": f"MPJPE at {self._root}",
            "scale": f"N-MPJPE at {self._root}",
            "procrustes": "PA-MPJPE",
            "none": "MPJPE unaligned",
        }
        return f"{names[self._align]} (mm)"

    @property
    def average_name(self) -> str:
        """The mean over all scored keypoints at once."""
        return {"root": "MPJPE", "scale": "N-MPJPE", "procrustes": "PA-MPJPE", "none": "MPJPE"}[self._align]

    @property
    def value_unit(self) -> str:
        """Millimetres."""
        return "mm"

    @property
    def higher_is_better(self) -> bool:
        """No."""
        return False

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) millimetres.

        NaN where unlabelled or the person cannot be aligned; infinite where it is labelled and has no prediction.

        Raises:
            KpError: the points are 2D, the root is not scored, a person's millimetres a pixel are unknown, or nobody
                can be aligned.
        """
        return self._lengths(predicted, truth, keypoints, {"all": slice(None)})["all"]

    def aspects(
        self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet
    ) -> Mapping[str, Float64Array]:  # fmt: skip
        """Return millimetres in plane and in depth, (N, K) each, NaN and infinite as ``values``; none unless asked."""
        return self._lengths(predicted, truth, keypoints, ASPECTS) if self._aspects else {}

    def _lengths(
        self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet, axes: Mapping[str, slice]
    ) -> dict[str, Float64Array]:
        """Return the length (N, K) of the errors along each of these axes."""
        chosen = truth.select(keypoints.indices)
        self._check(predicted, chosen, keypoints)
        labelled = chosen.state != UNLABELLED
        with np.errstate(over="ignore", invalid="ignore"):  # an impossible error is infinite
            here = np.where(np.isfinite(predicted).all(-1, keepdims=True), predicted, np.nan)
            here, there = (points * chosen.mm_per_px[:, None, None] for points in (here, chosen.points))
            usable = self._usable(labelled, chosen, keypoints)
            here, there = self._aligned(here, there, labelled & np.isfinite(here).all(-1), keypoints)
            errors = {name: np.linalg.norm((here - there)[..., along], axis=-1) for name, along in axes.items()}
        counted = labelled & usable[:, None]
        return {name: np.where(counted, np.where(np.isfinite(one), one, np.inf), np.nan)
                for name, one in errors.items()}  # fmt: skip

    @property
    def legend(self) -> str:
        """As in "in plane: the error's length in x and y"."""
        return (
            "in plane: the error's length in x and y; depth: that in z, both after alignment" if self._aspects else ""
        )

    def reduce(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Scores:
        """Reduce (N, K) values to millimetres; NaN where nothing was labelled.

        Raises:
            KpError: a column's keypoint is not scored, or a prediction is missing.
        """
        _check_predicted(values, truth, keypoints)
        known = ~np.isnan(values)
        total, counts = np.where(known, values, 0.0).sum(0), known.sum(0)
        errors = np.divide(total, counts, out=np.full(len(keypoints), np.nan), where=counts > 0)
        scores = {column.name: _mean(errors, keypoints, column.keypoints) for column in columns}
        return Scores(scores, _mean(errors, keypoints, _averaged(keypoints, columns)))

    def terms(self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]) -> Terms:
        """Return a term a keypoint: its error in everybody; raises KpError as ``reduce`` does."""
        _check_predicted(values, truth, keypoints)
        known = ~np.isnan(values)
        places = {column.name: _places(keypoints, column.keypoints) for column in columns}
        average = _places(keypoints, _averaged(keypoints, columns))
        return Terms(np.where(known, values, 0.0), known.astype(np.float64), places, average)

    def _aligned(
        self, here: Float64Array, there: Float64Array, common: AnyArray, keypoints: KeypointSet
    ) -> tuple[Float64Array, Float64Array]:
        """Return prediction and truth, (N, K, 3) millimetres, to be compared as they are."""
        if self._align == "none":
            return here, there
        if self._align == "procrustes":
            return procrustes(here, there, common), there
        place = keypoints.names.index(self._root)
        here, there = relative_to(here, place), relative_to(there, place)
        return (scaled(here, there, common & np.isfinite(here).all(-1)) if self._align == "scale" else here), there

    def _usable(self, labelled: AnyArray, truth: Instances, keypoints: KeypointSet) -> AnyArray:
        """Return (N,), whether a person can be aligned; raises KpError where people are labelled but none can be."""
        usable = np.ones(len(truth), bool)
        why = ""
        if self._align in ("root", "scale"):
            usable = labelled[:, keypoints.names.index(self._root)]
            why = f"root '{self._root}' is not labelled; take align = 'procrustes' or 'none'"
        if self._align == "procrustes":
            usable = labelled.sum(1) >= FEWEST
            why = f"fewer than {FEWEST} of the scored keypoints are labelled; take align = 'root' or 'none'"
        if labelled.any() and not usable.any():
            first = int(np.argmax(labelled.any(1)))
            raise KpError(f"metric 'mpjpe': {_place(truth, first)}, and everybody else: {why}")
        return usable

    def _check(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> None:
        if predicted.shape[-1] != 3 or truth.points.shape[-1] != 3:
            have = min(predicted.shape[-1], truth.points.shape[-1])
            raise KpError(
                f"metric 'mpjpe' needs 3D points, these are {have}D; take a data set and codec of 3 dimensions, or"
                " another metric"
            )
        self._check_root(keypoints)
        if self._align == "procrustes" and len(keypoints) < FEWEST:
            raise KpError(
                f"metric 'mpjpe', align = 'procrustes': {len(keypoints)} keypoints are scored"
                f" ({', '.join(keypoints.names)}), and {FEWEST} are needed; score more, or take align = 'root' or"
                " 'none'"
            )
        unlit = (truth.state != UNLABELLED).any(1) & ~(np.isfinite(truth.mm_per_px) & (truth.mm_per_px > 0))
        if unlit.any():
            first = int(np.argmax(unlit))
            raise KpError(
                f"metric 'mpjpe': {_place(truth, first)}: millimetres a pixel are {truth.mm_per_px[first]:g}"
                f" ({int(unlit.sum())} such people); the data set must give them, or take a metric in pixels"
            )

    def _check_root(self, keypoints: KeypointSet) -> None:
        if self._align not in ("root", "scale") or self._root in keypoints:
            return
        where = f"metric 'mpjpe', align = '{self._align}'"
        if self._root not in keypoints.skeleton.names:
            raise unknown("root keypoint", self._root, keypoints.names, where=where)
        raise KpError(
            f"{where}: root '{self._root}' is not among the keypoints that are scored ({', '.join(keypoints.names)});"
            " add it to the split's step, set root to one of these, or take align = 'procrustes' or 'none'"
        )


def _mean(errors: Float64Array, keypoints: KeypointSet, names: Sequence[str]) -> float:
    """Return the mean of these keypoints' errors (K,); those never labelled are left out, NaN where all are."""
    chosen = errors[list(_places(keypoints, names))]
    known = chosen[~np.isnan(chosen)]
    return float(known.mean()) if known.size else float("nan")


def _averaged(keypoints: KeypointSet, columns: Sequence[Column]) -> list[str]:
    """Return the keypoints that the average counts: all but those of columns that stay out of it."""
    left_out = {name for column in columns if not column.in_average for name in column.keypoints}
    return [name for name in keypoints.names if name not in left_out]


def _places(keypoints: KeypointSet, names: Sequence[str]) -> tuple[int, ...]:
    """Return the places of these keypoints in the set; raises KpError where one is not in it."""
    strangers = [name for name in names if name not in keypoints]
    if strangers:
        raise KpError(
            f"a column counts {', '.join(strangers)}, which is not among the keypoints that are scored"
            f" ({', '.join(keypoints.names)}); score columns of this set"
        )
    return tuple(keypoints.places(names))


def _check_predicted(values: Float64Array, truth: Instances, keypoints: KeypointSet) -> None:
    missing = np.argwhere(np.isinf(values))
    if missing.size:
        person, place = missing[0]
        raise KpError(
            f"metric 'mpjpe': {_place(truth, person)}: no (finite) prediction of labelled '{keypoints.names[place]}',"
            f" or of its root ({len(missing)} such points), so there is no mean error; predict all"
        )


def _place(truth: Instances, person: int) -> str:
    return f"image {truth.image_ids[person]}, row {truth.rows[person]}"
