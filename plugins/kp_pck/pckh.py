"""PCKh: correct within a share of the head's size, in the conventions that published numbers use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from kp_pck.distances import relative_distances
from kp_pck.tally import Tally, mean_of_known, places_by_column, places_of, shares, with_term
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Metric, Scores, Terms
from kpcore.keypoints import Column, KeypointSet
from kpcore.samples import Instances
from kpcore.tensors import Float64Array

Convention = Literal["kptransfer", "mpii-unweighted", "mpii-weighted", "mpii-all"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "Head": ("head_top",),
    "Shoulder": ("r_shoulder", "l_shoulder"),
    "Elbow": ("r_elbow", "l_elbow"),
    "Wrist": ("r_wrist", "l_wrist"),
    "Hip": ("r_hip", "l_hip"),
    "Knee": ("r_knee", "l_knee"),
    "Ankle": ("r_ankle", "l_ankle"),
}
"""Columns of MPII's tables. Upper neck has none, although the means count it."""

FOURTEEN = (*(name for names in COLUMNS.values() for name in names), "upper_neck")
SIXTEEN = (*FOURTEEN, "pelvis", "thorax")


@dataclass(frozen=True)
class Preset:
    """A convention with fixed columns: which keypoints its average counts, and whether by number of labels."""

    keypoints: tuple[str, ...]
    weighted: bool


PRESETS: dict[str, Preset] = {
    "mpii-unweighted": Preset(FOURTEEN, weighted=False),  # Tompson, pytorch-pose
    "mpii-weighted": Preset(FOURTEEN, weighted=True),  # HRNet, MMPose
    "mpii-all": Preset(SIXTEEN, weighted=True),
}


class Pckh(Metric):
    """Percentage of labelled keypoints, hidden ones included, whose error is below a share of the head's size.

    A value is the error over ``Sample.normaliser``, which is 0.6 x the head box's diagonal. What is correct, and what a
    table's columns and average are, is the convention's:

    ================= ============ ===================================== ==========================================
    convention        correct      columns                               average
    ================= ============ ===================================== ==========================================
    kptransfer        < threshold  the split's: mean of its keypoints    mean of the columns that count
    mpii-unweighted   < threshold  head top; means of left and right     mean over 14, without pelvis and thorax
    mpii-weighted     <= threshold the same                              over all labels of those 14
    mpii-all          < threshold  the same                              over all labels of 16
    ================= ============ ===================================== ==========================================

    Keypoints and columns without any label are NaN and left out of unweighted means.

    Args:
        convention: as above.
        threshold: share of the normaliser.
    """

    class Config(ComponentConfig):
        """Options of a metric's table with ``name = "pckh"``."""

        convention: Convention = Field(default="kptransfer", description="what is correct, and what an average counts")
        threshold: float = Field(default=0.5, gt=0, description="share of the head's size")

    def __init__(self, *, convention: Convention, threshold: float) -> None:
        self._convention = convention
        self._threshold = threshold

    @property
    def convention(self) -> str:
        """As in "PCKh@0.5 kptransfer"."""
        return f"PCKh@{self._threshold:g} {self._convention}"

    @property
    def unit(self) -> str:
        """Percent."""
        return "%"

    @property
    def value_unit(self) -> str:
        """Of errors."""
        return "head sizes"

    @property
    def higher_is_better(self) -> bool:
        """Yes."""
        return True

    def values(self, predicted: Float64Array, truth: Instances, keypoints: KeypointSet) -> Float64Array:
        """Return (N, K) errors in head sizes: NaN where unlabelled, infinite where no prediction was made.

        Raises:
            KpError: a person with labels has no positive normaliser.
        """
        return relative_distances(predicted, truth.select(keypoints.indices), truth.normaliser)

    def reduce(
        self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]
    ) -> Scores:
        """Reduce (N, K) values to percentages; the mpii conventions have columns of their own.

        Raises:
            KpError: the convention or a column needs keypoints that are not in the set.
        """
        del truth
        tally = Tally.of(values, keypoints, threshold=self._threshold, strict=self._strict)
        if self._convention == "kptransfer":
            return _by_columns(tally, columns)
        return _by_preset(tally, self._convention)

    def terms(self, values: Float64Array, truth: Instances, keypoints: KeypointSet, columns: Sequence[Column]) -> Terms:
        """Return a term a keypoint, and for averages by counts one of all labels; raises KpError as ``reduce`` does."""
        del truth
        right, counted = shares(values, threshold=self._threshold, strict=self._strict)
        if self._convention == "kptransfer":
            average = tuple(column.name for column in columns if column.in_average)
            return Terms(right, counted, places_by_column(keypoints, columns), average)
        preset = _preset(self._convention, keypoints)
        places = places_of(keypoints, preset.keypoints)
        by_column = {name: places_of(keypoints, names) for name, names in COLUMNS.items()}
        terms = Terms(right, counted, by_column, places)
        chosen = list(places)
        return with_term(terms, right[:, chosen].sum(1), counted[:, chosen].sum(1)) if preset.weighted else terms

    @property
    def _strict(self) -> bool:
        return self._convention != "mpii-weighted"


def _by_columns(tally: Tally, columns: Sequence[Column]) -> Scores:
    scores = {column.name: tally.unweighted(column.keypoints) for column in columns}
    return Scores(scores, mean_of_known(scores[column.name] for column in columns if column.in_average))


def _by_preset(tally: Tally, convention: str) -> Scores:
    preset = _preset(convention, tally.keypoints)
    mean = tally.weighted if preset.weighted else tally.unweighted
    return Scores({name: tally.unweighted(names) for name, names in COLUMNS.items()}, mean(preset.keypoints))


def _preset(convention: str, keypoints: KeypointSet) -> Preset:
    """Return the convention's preset; raises KpError where it needs keypoints that are not in the set."""
    preset = PRESETS[convention]
    missing = [name for name in preset.keypoints if name not in keypoints]
    if missing:
        raise KpError(
            f"convention '{convention}' needs keypoints that are not scored here: {', '.join(missing)};"
            ' score all keypoints of MPII, or take convention = "kptransfer"'
        )
    return preset
