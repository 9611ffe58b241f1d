"""``report/shown.json``: what the page shows and results do not hold: the body, single predictions, error by threshold.

It is written when a study ends, where data and metric are at hand, so that the page can be drawn again from the folder
alone. Nothing that differs between two equal runs is in it, no path and no time. Places are (x, y) in crop sides from
the crop's upper left.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from kpcore.config import Strict, explain
from kpcore.errors import KpError
from kpcore.reading.budget import Limit, within
from kpcore.reading.opening import regular

FOLDER = "report"
SHOWN = "shown.json"
SLICES = "slices.h5"
DIGITS = 4
"""Digits that matter of a value of the metric, and decimals of a place: a crop's side has not 10,000 pixels."""
FAR = 100.0
"""Crop sides beyond which a place is nowhere that can be drawn."""


def _place(value: Any) -> Any:
    """Round a number; one that is nowhere near the crop is refused by the field's limits."""
    return round(float(value), DIGITS) if isinstance(value, float | np.floating) else value


def _value(value: Any) -> Any:
    if not isinstance(value, float | np.floating):
        return value
    return float(f"{float(value):.{DIGITS}g}") if math.isfinite(value) else None


Coordinate = Annotated[float, BeforeValidator(_place), Field(ge=-FAR, le=FAR, allow_inf_nan=False)]
Place = tuple[Coordinate, Coordinate]
Value = Annotated[float | None, BeforeValidator(_value)]
"""In the metric's own unit; None where it is infinite (no prediction) or does not exist."""
Share = Annotated[float, BeforeValidator(_place), Field(ge=0, le=1)]
Kind = Literal["best", "typical", "worst"]


class Body(Strict):
    """All keypoints of a data set, how they are joined, and where they usually are.

    ``shape`` is the mean shape of the training people, a place a keypoint, None where nobody has it labelled.
    """

    keypoints: tuple[str, ...]
    groups: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    shape: tuple[Place | None, ...]

    @model_validator(mode="after")
    def _fits(self) -> Body:
        if not len(self.keypoints) == len(self.groups) == len(self.shape):
            raise ValueError("keypoints, groups and shape differ in length")
        strange = [end for edge in self.edges for end in edge if end not in self.keypoints]
        if strange:
            raise ValueError(f"edges: '{strange[0]}' is no keypoint")
        return self


class Within(Strict):
    """Of one mode and seed: the share of its points that are within each threshold."""

    mode: str
    seed: int
    shares: tuple[Share, ...]


class Thresholds(Strict):
    """Values of the metric a point: ``rising`` where more is better (similarities); shares then have at least so much.

    ``mean_shape`` is that of the mean shape of the training people.
    """

    rising: bool
    thresholds: tuple[Value, ...]
    modes: tuple[Within, ...]
    mean_shape: tuple[Share, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Thresholds:
        shares = [*(one.shares for one in self.modes), *([self.mean_shape] if self.mean_shape else [])]
        if any(len(one) != len(self.thresholds) for one in shares):
            raise ValueError("shares and thresholds differ in length")
        return self


class Predicted(Strict):
    """What one training predicts of a person: the last step's keypoints, and those of S1 by the network before it.

    ``value`` is the mean of the metric's values over the person's points.
    """

    mode: str
    seed: int
    value: Value
    target: dict[str, Place]
    source: dict[str, Place] = Field(default_factory=dict)


class Person(Strict):
    """One scored person: the crop as a JPEG in base64, all that is labelled, and what two modes predict."""

    kind: Kind
    image: str
    row: int
    jpeg: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=]*$")]
    truth: dict[str, Place]
    hidden: tuple[str, ...]
    predicted: tuple[Predicted, ...]


class ShownSplit(Strict):
    """What is shown of one split; ``body`` counts in the file's bodies; ``slices`` says what parts are."""

    name: str
    body: Annotated[int, Field(ge=0)]
    columns: dict[str, tuple[str, ...]]
    thresholds: Thresholds | None
    people: tuple[Person, ...]
    slices: dict[str, str] = Field(default_factory=dict)


class Shown(Strict):
    """The whole file.

    ``unit`` is that of scores, "" where the convention says it or there is none; ``value_unit`` that of a point's value
    ("head sizes"), "" where it is not known. ``results`` is the digest of the results that it was made with, ``slices``
    that of the file of slices beside it, "" where there is none; a file of an older version has neither.
    """

    version: Literal[1] = 1
    unit: str
    value_unit: str = ""
    results: str = ""
    slices: str = ""
    bodies: tuple[Body, ...]
    splits: tuple[ShownSplit, ...]

    @model_validator(mode="after")
    def _bodies_exist(self) -> Shown:
        if any(split.body >= len(self.bodies) for split in self.splits):
            raise ValueError("splits: a body that is not there")
        return self

    def split(self, name: str) -> ShownSplit | None:
        """Return what is shown of a split; None where nothing is."""
        return next((split for split in self.splits if split.name == name), None)

    def to_json(self) -> str:
        """Return the file's text."""
        return self.model_dump_json() + "\n"


def read_shown(path: Path) -> Shown:
    """Read the file.

    Raises:
        KpError: it is not there, or is not as it was written.
    """
    try:
        size = regular(path, "a file that 'kp run' writes")
        within(Limit.BYTES, size, f"has {size:,} bytes", path, parts=8)
        return Shown.model_validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        raise KpError(f"{path}: no such file; 'kp run' writes it") from None
    except OSError as error:
        raise KpError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise KpError(f"{path}: is not JSON; 'kp run' writes it again") from None
        raise KpError(explain(error, Shown, str(path))) from None
