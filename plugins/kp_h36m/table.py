"""The rows of one file, in pixels and millimetres, and who of them can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kp_h36m.archive import KINDS, Archive
from kp_h36m.layouts import JOINTS, SPIN_JOINTS, names
from kp_h36m.projection import ODD_FIT, by_camera, fitted, plausible, relative_depth, size_of
from kp_h36m.skeleton import ROOT, SPIN
from kpcore.errors import KpError
from kpcore.interfaces import Finding
from kpcore.reading.paths import Images
from kpcore.tensors import AnyArray, Float64Array

LARGEST_PX = 1e5
"""Pixels beyond which a coordinate is no place in an image."""
LARGEST_MM = 1e6
"""Millimetres from the camera beyond which a coordinate is no place of a recording."""
METRES = (0.05, 20.0)
"""Farthest joint from the root, median over people, in metres: so the file's unit is told."""
PER_SCALE = 200.0
"""Pixels a unit of ``scale``."""
MARGIN = 1.1
"""The crop's half side over the farthest labelled joint, to either side or up and down, from the crop's centre."""
SMALLEST = 32.0
"""The crop's side at least, px."""


@dataclass(frozen=True, eq=False)
class Table:
    """N rows; see :class:`~kpcore.samples.Sample` for what each is."""

    images: tuple[str, ...]
    points: Float64Array  # (N, 17, 3), NaN where unlabelled
    labelled: AnyArray  # (N, 17)
    centres: Float64Array  # (N, 2)
    sides: Float64Array  # (N,)
    mm_per_px: Float64Array  # (N,), NaN where the row cannot be used
    problems: tuple[tuple[str, AnyArray], ...]  # why rows are left out, and (N,) which
    odd: AnyArray  # (N,) rows whose space and picture disagree
    impossible: AnyArray  # (N,) joints at no possible place
    unit: str
    cameras: int  # rows whose millimetres a pixel come from the camera

    @property
    def usable(self) -> AnyArray:
        """(N,) bool."""
        return np.asarray(~np.any([hit for _, hit in self.problems], axis=0))

    def findings(self, rows: AnyArray) -> tuple[Finding, ...]:
        """What to say of these rows."""
        left = [(f"{why}, left out", hit) for why, hit in self.problems]
        odd = "picture and space disagree: 'S' must be in the camera's axes (x right, y down, z away)"
        found = [*_found("warning", "joints at no possible place, taken as unlabelled", self.impossible, rows)]
        for what, hit in left:
            found += _found("warning", what, hit, rows)
        used = self.odd & self.usable
        found += _found("error" if 2 * used[rows].sum() > len(rows) else "warning", odd, used, rows)
        return tuple(found)


def read(file: Archive, layout: str, images: Images) -> Table:
    """Read a file of either layout, whose images ``images`` finds.

    A joint is unlabelled where a confidence is not above 0 (spin), where it is at exactly (0, 0) in the picture (c2f),
    and where one of its numbers is none. Millimetres a pixel are the depth of the root over the focal length where the
    file has intrinsics and depths from the camera, else fitted: see :mod:`kp_h36m.projection`.

    Raises:
        KpError: an array is missing, or of another shape, or the unit of space is neither metres nor millimetres.
    """
    pixels, space, labelled = _spin(file) if layout == "spin" else _c2f(file)
    people = len(pixels)
    centres, scales = file.numbers("center", (people, 2)), _scales(file, people)
    factor = _to_millimetres(file, space, labelled)
    with np.errstate(over="ignore", invalid="ignore"):
        space = space * factor
        possible = _within(pixels, LARGEST_PX) & _within(space, LARGEST_MM)
    kept = labelled & possible
    fit, missed = fitted(pixels, space, kept)
    fit, camera = plausible(fit), plausible(by_camera(space, _intrinsics(file, people)))
    scale = np.where(np.isfinite(camera) & np.isfinite(fit), camera, fit)
    depth = relative_depth(space, scale)
    points = np.where(kept[..., None], np.concatenate([pixels, depth[..., None]], axis=-1), np.nan)
    framed = _within(centres, LARGEST_PX) & np.isfinite(scales) & (scales > 0) & (scales * PER_SCALE < LARGEST_PX)
    return Table(
        images=names(file, images), points=points, labelled=kept, centres=centres,
        sides=_sides(points, centres, scales),
        mm_per_px=scale, problems=_problems(kept, scale, framed), odd=missed > ODD_FIT,
        impossible=np.asarray((labelled & ~possible).any(1)), unit="metres" if factor > 1 else "millimetres",
        cameras=int((np.isfinite(camera) & np.isfinite(fit)).sum()),
    )  # fmt: skip


def _problems(labelled: AnyArray, scale: Float64Array, framed: AnyArray) -> tuple[tuple[str, AnyArray], ...]:
    rooted = np.asarray(labelled[:, ROOT])
    return (
        ("pelvis not labelled", ~rooted),
        ("no millimetres a pixel can be fitted", rooted & ~np.isfinite(scale)),
        ("no crop: 'center' or 'scale' is no possible number", rooted & np.isfinite(scale) & ~framed),
    )


def _spin(file: Archive) -> tuple[Float64Array, Float64Array, AnyArray]:
    people = file.field("S").shape[0]
    if "part" not in file.fields:
        raise KpError(
            f"{file.path}: has no array 'part' (SPIN's own script writes none for validation), so nothing says where"
            " the joints are in the picture; add part (N, 24, 3) from D2_Positions, as for training"
        )
    space = file.numbers("S", (people, SPIN_JOINTS, 4))[:, list(SPIN)]
    pixels = file.numbers("part", (people, SPIN_JOINTS, 3))[:, list(SPIN)]
    return pixels[..., :2], space[..., :3], (pixels[..., 2] > 0) & (space[..., 3] > 0)


def _c2f(file: Archive) -> tuple[Float64Array, Float64Array, AnyArray]:
    people = file.field("S").shape[0]
    pixels, space = _joints(file, "part", people, 2), _joints(file, "S", people, 3)
    return pixels, space, np.asarray(pixels.any(-1))


def _joints(file: Archive, key: str, people: int, dims: int) -> Float64Array:
    if file.field(key).shape == (people, dims, JOINTS):  # as Matlab has it
        return file.numbers(key, (people, dims, JOINTS)).transpose(0, 2, 1)
    return file.numbers(key, (people, JOINTS, dims))


def _scales(file: Archive, people: int) -> Float64Array:
    shape = (people, 1) if file.field("scale").shape == (people, 1) else (people,)
    return file.numbers("scale", shape).reshape(people)


def _intrinsics(file: Archive, people: int) -> Float64Array:
    field = file.fields.get("K")
    if field is None or field.shape != (people, 3, 3) or field.dtype.kind not in KINDS:
        return np.full((people, 3, 3), np.nan)
    return file.numbers("K", (people, 3, 3))


def _to_millimetres(file: Archive, space: Float64Array, labelled: AnyArray) -> float:
    size = size_of(space, labelled)
    if np.isnan(size):  # nobody can be used, which the findings say
        return 1.0
    low, high = METRES
    for factor in (1000.0, 1.0):
        if low <= size * factor / 1000 < high:
            return factor
    raise KpError(
        f"{file.path}: 'S' spans {size:g} from the pelvis to the farthest joint (median); a body spans about 0.9 in"
        " metres and 900 in millimetres, and no other unit is read"
    )


def _within(values: Float64Array, largest: float) -> AnyArray:
    return np.asarray((np.isfinite(values) & (np.abs(np.nan_to_num(values)) < largest)).all(-1))


def _sides(points: Float64Array, centres: Float64Array, scales: Float64Array) -> Float64Array:
    """Return (N,): 200 x scale px, and larger where a labelled joint needs it."""
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.nan_to_num(np.abs(points[..., :2] - centres[:, None])).max((1, 2))
        return np.asarray(np.maximum(np.nan_to_num(PER_SCALE * scales), np.maximum(2 * MARGIN * away, SMALLEST)))


def _found(level: Literal["warning", "error"], what: str, hits: AnyArray, rows: AnyArray) -> list[Finding]:
    hit = rows[hits[rows]]
    return [Finding(level, f"{what} (first: row {hit[0]})", len(hit))] if len(hit) else []
