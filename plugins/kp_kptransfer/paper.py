"""The splits of KPTransfer (Vats et al., ICIAR 2019, arXiv 1903.09926): Table 1, and Tables 2-5 as reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from kp_kptransfer.selection import steps
from kpcore.errors import KpError, listed, unknown
from kpcore.interfaces import ComponentConfig, Split
from kpcore.keypoints import Column, Conditions, KeypointSplit, Skeleton

PARTS: dict[str, tuple[str, ...]] = {
    "head": ("head_top",),
    "neck": ("upper_neck",),
    "thorax": ("thorax",),
    "pelvis": ("pelvis",),
    "shoulders": ("r_shoulder", "l_shoulder"),
    "elbows": ("r_elbow", "l_elbow"),
    "wrists": ("r_wrist", "l_wrist"),
    "hips": ("r_hip", "l_hip"),
    "knees": ("r_knee", "l_knee"),
    "ankles": ("r_ankle", "l_ankle"),
}
"""Words of Table 1 -> MPII's keypoints."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "head": PARTS["head"] + PARTS["neck"],  # the reading that agrees best with Table 5
    "elbow": PARTS["elbows"],
    "wrist": PARTS["wrists"],
    "hip": PARTS["hips"],
    "knee": PARTS["knees"],
    "ankle": PARTS["ankles"],
}
"""Columns of Tables 2-5 -> keypoints. Pelvis and thorax have none: "almost perfectly localized in all scenarios"."""


@dataclass(frozen=True)
class Row:
    """One row of Table 1, and the columns of its result table; parts and columns are words, split at spaces."""

    source: str
    target: str
    columns: str

    @property
    def keypoints(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """MPII's names in S1 and in S2."""
        return _names(self.source), _names(self.target)


def _names(parts: str) -> tuple[str, ...]:
    return tuple(name for part in parts.split() for name in PARTS[part])


TABLE_1: dict[str, Row] = {
    "a": Row("head neck shoulders pelvis thorax hips", "knees ankles wrists elbows", "elbow wrist knee ankle"),
    "b": Row("head neck shoulders elbows hips", "knees ankles wrists pelvis thorax", "wrist knee ankle"),
    "c": Row("head neck shoulders elbows knees", "wrists ankles hips pelvis thorax", "wrist hip ankle"),
    "d": Row("knees ankles wrists elbows", "head neck elbows knees pelvis thorax", "head elbow knee"),
    "d_fig2": Row("ankles wrists", "head neck elbows knees pelvis thorax", "head elbow knee"),
}
"""Split -> its row. ``d_fig2`` is another reading of d, after Fig. 2d: a source set of four keypoints."""

PUBLISHED: dict[str, dict[str, tuple[float, ...]]] = {
    "a": {
        "transfer": (87.9, 84.2, 82.9, 80.6, 83.9),
        "frozen": (74.7, 56.0, 72.7, 66.8, 67.5),
        "random": (87.9, 83.9, 83.4, 80.5, 83.9),
    },
    "b": {
        "transfer": (84.1, 84.5, 81.5, 83.4),
        "frozen": (69.7, 73.0, 62.6, 68.43),
        "random": (83.6, 85.0, 81.6, 83.4),
    },
    "c": {
        "transfer": (84.0, 87.1, 80.1, 83.7),
        "frozen": (71.2, 83.7, 69.9, 74.9),
        "random": (82.9, 87.0, 79.7, 83.2),
    },
    "d": {
        "transfer": (96.8, 88.3, 84.4, 89.8),
        "frozen": (91.1, 87.9, 82.9, 87.3),
        "random": (97.1, 87.9, 83.3, 89.4),
    },
}
"""Tables 2-5, PCKh@0.5 in percent: split -> mode -> the split's columns in order, then the average as printed."""

SETTINGS: dict[str, object] = {
    "dataset.name": "mpii",
    "dataset.aliases": {},
    "backbone.name": "hourglass",
    "backbone.stages": [2, 4],
    "backbone.channels": 256,
    "backbone.depth": 4,
    "backbone.modules": 1,
    "codec.name": "heatmap",
    "codec.sigma": 1.75,
    "codec.loss": "mse",
    "codec.unlabelled": "zero",
    "codec.decode": "quarter",
    "codec.subpixel": True,
    "codec.patch": None,
    "modes.transfer.strategy": "transfer",
    "modes.transfer.supervision": "s2",
    "modes.transfer.heads": "reset",
    "modes.transfer.source": "s1",
    "modes.frozen.strategy": "frozen",
    "modes.frozen.norm": "eval",
    "modes.random.strategy": "random",
    "training.resolution": 256,
    "training.batch_size": 6,
    "training.epochs": 200,
    "training.iterations_per_epoch": 8000,
    "training.early_stopping": 10,
    "training.min_improvement": 0,
    "training.select_on": "valid",
    "training.keep": "best",
    "training.nan_policy": "fail",
    "training.precision": "fp32",
    "training.crops": "raw",
    "training.optimizer.name": "rmsprop",
    "training.optimizer.learning_rate": 2.5e-4,
    "training.optimizer.alpha": 0.99,
    "training.optimizer.eps": 1e-8,
    "training.optimizer.weight_decay": 0,
    "training.schedule.name": "plateau",
    "training.schedule.factor": 0.2,
    "training.schedule.patience": 5,
    "training.average.name": "off",
    "training.augmentation.scale": [0.75, 1.25],
    "training.augmentation.rotation": 30,
    "training.augmentation.flip": 0.5,
    "training.augmentation.colour": 0,
    "training.augmentation.translation": 0,
    "evaluation.flip_test": True,
    "evaluation.validation.name": "heatmap_pck",
    "evaluation.validation.heatmap": 64,
    "evaluation.validation.threshold": 0.05,
    "evaluation.validation.groups": ["ankle", "knee", "hip", "wrist", "elbow"],
    "evaluation.validation.people": 1000,
    "evaluation.validation.flip_test": True,
}
"""How the paper trained and scored, as a study file says it: what it states, and what is taken where it states nothing.

Only settings that can move a figure are here; how many threads compute, or people are scored at once, is not.
"""

PEOPLE: dict[str, dict[str, int]] = {
    "newell": {"train": 25925, "valid": 2958},
    "hrnet": {"train": 22246, "valid": 2958},
}
"""The published lists of MPII, whole: name -> how many people a part has."""

PUBLISHED_CONVENTION = "PCKh@0.5 kptransfer"
"""How these figures were made, as the metric names it."""


class PaperSplits(Split):
    """Splits a-d of Table 1, and ``d_fig2``, on any skeleton that has MPII's keypoint names.

    Args:
        splits: which ones, in the order of the tables.

    Raises:
        KpError: no split has this name.
    """

    listed: ClassVar[Mapping[str, object]] = {"splits": list(TABLE_1)}

    class Config(ComponentConfig):
        """Options of ``[split] name = "kptransfer"``."""

        splits: list[str] = Field(
            default=["a", "b", "c", "d"], min_length=1, description="rows of the paper's Table 1; also d_fig2"
        )

    def __init__(self, *, splits: list[str]) -> None:
        for name in splits:
            if name not in TABLE_1:
                raise unknown("split", name, TABLE_1, where="split.splits")
        if len(set(splits)) != len(splits):
            raise KpError(f"split.splits: {', '.join(splits)} names a split twice; name each once")
        self._names = splits

    def splits(self, skeleton: Skeleton, others: Mapping[str, Skeleton]) -> Sequence[KeypointSplit]:
        """Return the splits; raises KpError naming the keypoints that the skeleton lacks."""
        del others  # a rule within one data set
        return [_split(name, skeleton) for name in self._names]


def _split(name: str, skeleton: Skeleton) -> KeypointSplit:
    row = TABLE_1[name]
    missing = [point for names in row.keypoints for point in names if point not in skeleton.names]
    if missing:
        raise KpError(
            f"split.splits: split '{name}' needs keypoints that skeleton '{skeleton.name}' does not have:"
            f" {listed(dict.fromkeys(missing))} ({listed(skeleton.names)} exist); rename them in the data set,"
            ' or write your own split with split.name = "explicit"'
        )
    columns = tuple(Column(column, COLUMNS[column]) for column in row.columns.split())
    published = _reference(name)
    return KeypointSplit(
        name,
        steps(skeleton, row.keypoints, where=f"split '{name}'"),
        columns,
        reference=published,
        reference_convention=PUBLISHED_CONVENTION if published else "",
        reference_conditions=Conditions(SETTINGS, PEOPLE) if published else None,
    )


def _reference(name: str) -> dict[str, dict[str, float]]:
    headings = (*TABLE_1[name].columns.split(), "average")
    return {mode: dict(zip(headings, row, strict=True)) for mode, row in PUBLISHED.get(name, {}).items()}
