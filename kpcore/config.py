"""The TOML of a study, as pydantic models, and errors that name the key, the nearest name and the remedy.

Component tables (``[dataset]``, ``[split]``, ``[backbone]``, ``[codec]``, ...) name a plugin's component; their other
keys belong to that component and are checked against its ``Config`` once the registry knows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from kpcore.errors import KpError, nearest, unknown
from kpcore.samples import BadImages, Orientation
from kpcore.toml_text import Toml as Toml
from kpcore.toml_text import bounded, loads
from kpcore.toml_text import read_toml as read_toml

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A table of which every key is ours."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Pixels, as far as any picture could reach."""


class ComponentTable(BaseModel):
    """A table that names a component; ``options`` are the keys that are the component's own."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    name: str = Field(description="the component, as its plugin names it")

    @property
    def options(self) -> Toml:
        """Keys that the core does not know."""
        return dict(self.model_extra or {})


class StudyTable(Strict):
    """``[study]``: what is compared."""

    name: str = Field(
        default="study",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        description="names the folder runs/<name>",
    )
    preset: str = Field(default="own", description="what results call these settings; a label, which decides nothing")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        default=[0], min_length=1, max_length=1000, description="one training a seed, split and mode; below 2^32"
    )
    modes: list[str] = Field(
        default=["transfer", "frozen", "random"],
        min_length=1,
        max_length=1000,
        description="transfer strategies, in table order",
    )
    labels: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[1.0],
        min_length=1,
        max_length=1000,
        description="shares of the training images whose labels the last step learns from; one training a share:"
        " nested, by image, drawn anew for every seed; every share trains for as many iterations",
    )
    labels_of: Literal["target", "all"] = Field(
        default="target", description="whose labels the shares are of: the last step's alone, or every step's"
    )
    labels_seed: int = Field(default=0, ge=0, lt=2**32, description="with the training's seed draws these images")
    baseline: str | None = Field(
        default=None,
        description="the mode of study.modes that reports compare the others with; absent: the first that starts from"
        " no other training, where there is one",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _shares(cls, values: Any) -> Any:
        entries = values if isinstance(values, list) and values else [values]
        wrong = [
            one for one in entries if isinstance(one, bool) or not isinstance(one, int | float) or not 0 < one <= 1
        ]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no share of the labels: give a list of numbers above 0 and up to 1,"
                             " as [0.1, 0.25, 1.0]")  # fmt: skip
        return values

    @field_validator("seeds", "modes", "labels")
    @classmethod
    def _once(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) != len(values):
            raise ValueError("names one entry twice")
        return values

    @field_validator("baseline")
    @classmethod
    def _a_mode(cls, name: str | None, info: ValidationInfo) -> str | None:
        modes = info.data.get("modes", [name])  # absent where they are wrong themselves
        if name is not None and name not in modes:
            raise ValueError(str(unknown("mode of study.modes", name, modes)))
        return name


class OtherDatasetTable(ComponentTable):
    """``[datasets.NAME]``: another data set, for the steps of a split that name it."""

    aliases: dict[str, str] = Field(
        default={}, description="its name of a keypoint = the study's; data sets meet by these names alone"
    )
    orientation: Orientation = Field(
        default="auto",
        description="whether a picture is turned as its EXIF orientation says: as its points' file gives width and"
        " height (auto; as stored where nothing tells), never, or always",
    )
    unlabelled_at: list[tuple[Coordinate, Coordinate]] = Field(
        default=[],
        description="places [x, y] that stand for 'not labelled', in pixels as `kp data check` prints them; a keypoint"
        " exactly there is unlabelled",
    )
    trust_coordinates: bool = Field(
        default=False,
        description="take coordinates that look like shares, percent or another picture's pixels; warnings instead of"
        " errors",
    )
    bad_image_policy: BadImages = Field(
        default="fail",
        description="what to do where a picture is missing or cannot be decoded: fail, or leave its samples out, of"
        " both parts, and say how many",
    )
    terms: str = Field(
        default="",
        description="terms of use of the data, in your words; the networks' cards repeat them; what the data set knows"
        " of itself where absent",
    )
    generate: ComponentTable | None = Field(
        default=None, description="write synthetic data with this generator and read it; marks results 'sample data'"
    )

    @field_validator("unlabelled_at", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        pairs = isinstance(value, list) and all(isinstance(one, list | tuple) and len(one) == 2 for one in value)
        if not pairs:  # pydantic speaks of a missing key '1'
            raise ValueError("needs a list of places, for instance [[0, 0]]")
        return value


class DatasetTable(OtherDatasetTable):
    """``[dataset]``: where the people come from."""

    when_missing: Literal["error", "sample"] = Field(
        default="error",
        description="what to do where no data set's root is configured: stop, or run the profile 'sample'",
    )


class SplitTable(ComponentTable):
    """``[split]``: the rule that names keypoint subsets."""


class BackboneTable(ComponentTable):
    """``[backbone]``: the network's parts."""

    stages: list[Annotated[int, Field(ge=1, le=64)]] = Field(
        default=[2, 4],
        min_length=1,
        max_length=64,
        description="stages of the network at each step of a split: S1, S2, ...",
    )

    @model_validator(mode="after")
    def _growing(self) -> BackboneTable:
        if any(later < earlier for earlier, later in zip(self.stages, self.stages[1:], strict=False)):
            raise ValueError(
                f"stages = {self.stages}: a source network is larger than the network it goes into;"
                " let the numbers grow, as in [2, 4]"
            )
        return self


class CodecTable(ComponentTable):
    """``[codec]``: targets, loss and decoding."""


class ModeTable(BaseModel):
    """``[modes.NAME]``: settings of one transfer mode; NAME is what ``study.modes`` lists and tables print."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    strategy: str = Field(default="", description="the strategy; the table's own name where absent")
    matches: str = Field(
        default="",
        description="train for as many iterations as this mode of study.modes took for all of its steps, S1 included,"
        " without early stopping; absent: as [training] says",
    )

    @property
    def options(self) -> Toml:
        """Keys that are the strategy's own."""
        return dict(self.model_extra or {})


class Augmentation(Strict):
    """``[training.augmentation]``: drawn anew for every person and epoch."""

    scale: tuple[Annotated[float, Field(gt=0.1)], Annotated[float, Field(lt=10)]] = Field(
        default=(0.75, 1.25), description="uniform draw of a factor on the crop's side (paper, section 3.3)"
    )
    rotation: float = Field(default=30.0, ge=0, le=180, description="uniform draw in +- this many degrees (paper)")
    flip: float = Field(default=0.5, ge=0, le=1, description="probability of mirroring left and right")
    colour: float = Field(default=0.0, ge=0, lt=1, description="each RGB channel times a uniform draw in 1 +- this")
    translation: float = Field(default=0.0, ge=0, le=0.5, description="uniform shift in +- this share of the crop side")

    @model_validator(mode="after")
    def _ordered(self) -> Augmentation:
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale = [low, high] needs low <= high")
        return self


def _called(name: str) -> BeforeValidator:
    """Return what gives a table that names nothing this name, so that pydantic can choose among a union by it."""
    return BeforeValidator(lambda table: {"name": name, **table} if isinstance(table, dict) else table)


class _OptimizerTable(Strict):
    """What every optimiser takes."""

    name: str
    learning_rate: float = Field(default=2.5e-4, gt=0, description="at most; the schedule lowers it")
    eps: float = Field(default=1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled (times the learning rate, off the weight)")


class RMSprop(_OptimizerTable):
    """``[training.optimizer]``, the paper's."""

    name: Literal["rmsprop"] = Field(default="rmsprop", description="the paper's; meant where no name is given")
    weight_decay: float = Field(default=0.0, ge=0, description="times the weight, added to the gradient")
    alpha: float = Field(default=0.99, ge=0, lt=1, description="decay of the squared gradient's mean")


class AdamW(_OptimizerTable):
    """``[training.optimizer]`` with ``name = "adamw"``."""

    name: Literal["adamw"] = Field(description="Adam with decoupled weight decay")


class Muon(_OptimizerTable):
    """``[training.optimizer]`` with ``name = "muon"``: for short trainings; AdamW for what is no matrix."""

    name: Literal["muon"] = Field(description="for short trainings; biases, norms, heads and first convolution: AdamW")
    learning_rate: float = Field(default=2.5e-4, gt=0, description="of hidden matrices, at most")
    other_learning_rate: float = Field(default=4e-3, gt=0, description="of all that AdamW takes, at most")
    eps: float = Field(default=1e-8, gt=0, description="AdamW: added to the denominator")
    momentum: float = Field(default=0.95, ge=0, lt=1, description="of hidden matrices, Nesterov's")


Optimizer = Annotated[RMSprop | AdamW | Muon, _called("rmsprop"), Field(discriminator="name")]
"""``[training.optimizer]``: an option of one is an error beside the name of another."""


class Plateau(Strict):
    """``[training.schedule]``, the paper's."""

    name: Literal["plateau"] = Field(default="plateau", description="the paper's; meant where no name is given")
    factor: float = Field(default=0.2, gt=0, lt=1, description="the learning rate times this (paper: / 5)")
    patience: int = Field(
        default=5,
        ge=0,
        description="this many epochs in a row without improvement are let pass; the next one drops the rate",
    )


class OneCycle(Strict):
    """``[training.schedule]`` with ``name = "onecycle"``: up and down once over the whole job."""

    name: Literal["onecycle"] = Field(description="from 1/25 up to the learning rate and down to 1/2500, once a job")
    fall: Literal["cosine", "linear"] = Field(default="cosine", description="how the rate falls to its end")
    warmup: float = Field(default=0.1, gt=0, lt=1, description="share of the steps in which the rate rises")


class Constant(Strict):
    """``[training.schedule]`` with ``name = "constant"``."""

    name: Literal["constant"] = Field(description="the learning rate as it is")


Schedule = Annotated[Plateau | OneCycle | Constant, _called("plateau"), Field(discriminator="name")]
"""``[training.schedule]``: an option of one is an error beside the name of another."""


class LastStep(Strict):
    """``[training.average]``, the paper's: none."""

    name: Literal["off"] = Field(default="off", description="the weights as the last step left them")


class MovingAverage(Strict):
    """``[training.average]`` with ``name = "ema"``: what is validated, scored and saved is an average."""

    name: Literal["ema"] = Field(
        description="the exponential moving average of the weights; steadier than the last step's at a high rate"
    )
    decay: float = Field(default=0.9, gt=0, lt=1, description="of a step's share in it, with every step after")


Average = Annotated[LastStep | MovingAverage, _called("off"), Field(discriminator="name")]
"""``[training.average]``: an option of one is an error beside the name of another."""
UNNAMED: dict[tuple[str, ...], str] = {
    ("training", "optimizer"): "rmsprop",
    ("training", "schedule"): "plateau",
    ("training", "average"): "off",
}
"""What a table means that names nothing."""


class TrainingTable(Strict):
    """``[training]``: one job's loop. The defaults are the paper's, but for the length of an epoch (8,000)."""

    resolution: int = Field(default=256, ge=32, le=1024, description="side of the network's square input, pixels")
    batch_size: int = Field(default=6, ge=1, le=2**16, description="people a step")
    epochs: int = Field(default=200, ge=1, le=1_000_000, description="at most")
    iterations_per_epoch: int | None = Field(
        default=None, ge=1, le=10**9, description="one pass over the people where absent"
    )
    early_stopping: Literal[False] | Annotated[int, Field(ge=1)] = Field(
        default=10, description="stop after this many epochs without improvement; false: never"
    )
    min_improvement: float = Field(default=0.0, ge=0, description="what counts as improvement, in the metric's unit")
    select_on: Literal["valid", "held_out"] = Field(
        default="valid", description="where epochs are compared: the validation part (paper) or a share of train"
    )
    held_out: float = Field(default=0.1, gt=0, lt=0.5, description="that share, by a hash of the image's name")
    nan_policy: Literal["fail", "lower_rate"] = Field(
        default="fail",
        description="what to do where the loss is no finite number: fail, or go back to where the epoch began and train"
        " on with half of the learning rate, three times at most",
    )
    keep: Literal["best", "last"] = Field(default="best", description="which epoch's weights are the result")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="fp32",
        description="of the network's arithmetic; weights stay fp32; auto: bf16 where the chip has it; fp16: GPUs only",
    )
    compile: Literal["off", "blocks", "network", "graphs"] = Field(
        default="off",
        description="torch.compile: the backbone's repeated blocks, the whole network, or that as CUDA graphs (few"
        " launches for small batches); costs half a minute a job once, needs a C++ compiler",
    )
    crops: Literal["raw", "jpeg"] = Field(
        default="raw",
        description="how prepared crops are kept: raw pixels, or JPEG (a tenth of the disk, slower to read)",
    )
    threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="torch threads of one job; they change a result's last bits on a CPU, so no machine chooses them:"
        " cores are filled by jobs at once, and a single long job may set more",
    )
    optimizer: Optimizer = RMSprop()
    schedule: Schedule = Plateau()
    average: Average = LastStep()
    augmentation: Augmentation = Augmentation()

    @field_validator("early_stopping", mode="before")
    @classmethod
    def _epochs_or_never(cls, value: Any) -> Any:
        epochs = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if value is not False and not epochs:  # pydantic takes true for 1, 0 for false, and speaks of literals
            raise ValueError("needs a number of epochs, 1 or more, or false for never")
        return value


class ValidationTable(ComponentTable):
    """``[evaluation.validation]``: the metric that is read after every epoch."""

    people: int | None = Field(
        default=None, ge=1, description="score this many people, evenly spread; all where absent"
    )
    flip_test: bool = Field(default=False, description="average with the prediction on the mirrored image")


class MetricTable(ComponentTable):
    """``[evaluation.metric]``: the final score."""

    name: str = Field(default="", description="the metric, as its plugin names it; the data set's own where absent")


class EvaluationTable(Strict):
    """``[evaluation]``: how a finished network is scored."""

    metric: MetricTable = MetricTable()
    validation: ValidationTable | None = Field(default=None, description="absent: the metric above, after every epoch")
    flip_test: bool = Field(default=True, description="average with the prediction on the mirrored image")
    batch_size: int = Field(
        default=32,
        ge=1,
        le=2**16,
        description="people at once; twice as many in the flip test; a CPU takes them in parts",
    )
    leaks: Literal["warn", "leave_out"] = Field(
        default="warn",
        description="training images that are also scored (the same, augmented copies by their names, nearly the same,"
        " or frames of one video): say so, or leave them out of training",
    )

    @property
    def watch(self) -> Watch:
        """What is read after every epoch: ``validation``, or else the final metric on everybody."""
        if self.validation is None:
            return Watch("evaluation.metric", self.metric, None, self.flip_test)
        return Watch("evaluation.validation", self.validation, self.validation.people, self.validation.flip_test)


@dataclass(frozen=True)
class Watch:
    """What is read after every epoch.

    Args:
        key: of the table, in the study file.
        metric: the table that names the metric.
        people: how many are scored, evenly spread; None for all.
        flip_test: average with the prediction on the mirrored image.
    """

    key: str
    metric: ComponentTable
    people: int | None
    flip_test: bool


class SourceTable(Strict):
    """``[source]``: a network that is there already, in place of the training on S1."""

    model: str = Field(min_length=1, description="a model folder, a job's folder or key, or STUDY/NAME")
    changed: bool = Field(default=False, description="take it though it was changed after it was written")


class StudyConfig(Strict):
    """A whole study file, after profile and ``--set``."""

    study: StudyTable = StudyTable()
    dataset: DatasetTable
    datasets: dict[Annotated[str, Field(min_length=1)], OtherDatasetTable] = {}
    split: SplitTable
    backbone: BackboneTable
    codec: CodecTable
    modes: dict[str, ModeTable] = {}
    source: SourceTable | None = None
    training: TrainingTable = TrainingTable()
    evaluation: EvaluationTable = EvaluationTable()

    @model_validator(mode="after")
    def _modes_are_used(self) -> StudyConfig:
        for name in self.modes:
            if name not in self.study.modes:
                near = nearest(name, self.study.modes)
                raise ValueError(
                    f"[modes.{name}] is not in study.modes"
                    + (f"; did you mean '{near}'?" if near else f" ({', '.join(self.study.modes)})")
                )
        return self

    @model_validator(mode="after")
    def _matches_exist(self) -> StudyConfig:
        for name, table in self.modes.items():
            if not table.matches:
                continue
            others = [other for other in self.study.modes if other != name]
            if table.matches not in others:
                raise ValueError(
                    str(unknown("mode of study.modes", table.matches, others, where=f"modes.{name}.matches"))
                )
            if other := self.modes.get(table.matches, ModeTable()).matches:
                end = self._end_of(name)
                if end is None:
                    raise ValueError(
                        f"modes.{name}.matches = '{table.matches}', which itself matches '{other}', and so on in a"
                        " circle; one mode of it needs a length of its own: drop its 'matches'"
                    )
                raise ValueError(
                    f"modes.{name}.matches = '{table.matches}', which itself matches '{other}'; name '{end}'"
                )
        return self

    def _end_of(self, name: str) -> str | None:
        """Return the mode that matches none, which this one leads to; None where they go in a circle."""
        passed: list[str] = []
        while (table := self.modes.get(name)) is not None and table.matches:
            if name in passed:
                return None
            passed.append(name)
            name = table.matches
        return name


COMPONENTS: dict[tuple[str, ...], type[BaseModel]] = {
    ("dataset",): DatasetTable,
    ("dataset", "generate"): ComponentTable,
    ("datasets", "*"): OtherDatasetTable,
    ("datasets", "*", "generate"): ComponentTable,
    ("split",): SplitTable,
    ("backbone",): BackboneTable,
    ("codec",): CodecTable,
    ("modes", "*"): ModeTable,
    ("evaluation", "metric"): MetricTable,
    ("evaluation", "validation"): ValidationTable,
}
"""Where a study file names a component, with ``*`` for a name of the user's."""


def overlay(base: Toml, top: Toml, path: tuple[str, ...] = ()) -> Toml:
    """Return ``base`` with the keys of ``top``; tables merge.

    A table that names another component keeps the core's own keys (``backbone.stages``) and forgets the options of the
    component before. ``path`` is where the tables stand in a study file.
    """
    merged = dict(base)
    for key, value in top.items():
        old, inside = merged.get(key), (*path, key)
        if isinstance(value, dict) and isinstance(old, dict):
            lost = forgotten(old, value, inside)
            merged[key] = overlay({name: kept for name, kept in old.items() if name not in lost}, value, inside)
        else:
            merged[key] = value
    return merged


def forgotten(old: Toml, new: Toml, path: tuple[str, ...]) -> list[str]:
    """Return the keys of a table that are forgotten where ``new`` is laid over it: none, unless it names another."""
    if not _renames(old, new, path):
        return []
    model = COMPONENTS.get(_pattern(path))
    return [key for key in old if key != "name" and (model is None or key not in model.model_fields)]


def _renames(old: Toml, new: Toml, path: tuple[str, ...]) -> bool:
    """Whether a table names another component than the one it is laid over; a study's name names none."""
    if _pattern(path) == ("modes", "*"):  # the strategy's name is the table's own where it gives none
        return "strategy" in new and new["strategy"] != old.get("strategy", path[-1])
    before = old.get("name", UNNAMED.get(path))
    return path != ("study",) and "name" in new and before is not None and new["name"] != before


def _pattern(path: tuple[str, ...]) -> tuple[str, ...]:
    return (path[0], "*", *path[2:]) if len(path) > 1 and path[0] in ("datasets", "modes") else path


def merge(base: Toml, top: Toml) -> Toml:
    """Return the keys of both, those of ``top`` where both have one; tables merge whatever they name."""
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return merged


def dropped(base: Toml, top: Toml, path: tuple[str, ...] = ()) -> list[str]:
    """Return the full keys that :func:`overlay` forgets, because ``top`` names another component."""
    found = []
    for key, value in top.items():
        old, inside = base.get(key), (*path, key)
        if isinstance(value, dict) and isinstance(old, dict):
            lost = [name for name in forgotten(old, value, inside) if name not in value]
            found += [".".join((*inside, name)) for name in lost] + dropped(old, value, inside)
    return found


def parse_set(assignment: str) -> Toml:
    """Turn ``a.b=v`` into nested tables; v is read as TOML, or as a plain string where it is none."""
    key, equals, text = assignment.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise KpError(f"--set {assignment[:200]}: write it as key.key=value, for instance training.epochs=10")
    value: Any = text
    with suppress(ValueError, RecursionError):  # no TOML, or beyond what Python reads of it
        document = loads(f"value = {text}", "--set")
        value = document["value"] if len(document) == 1 else text  # a line break may begin another key
    for part in reversed(parts):
        value = {part: value}
    return bounded(dict(value), "--set")


def parse_sets(sets: Sequence[str]) -> Toml:
    """Turn all ``--set`` assignments into nested tables, whatever their order; the last one of a key counts.

    Raises:
        KpError: one is not written as key=value.
    """
    return reduce(merge, map(parse_set, sets), Toml())


def parse_options(sets: Sequence[str], kind: str) -> Toml:
    """Return the options of a component from ``--set`` where there is no study file: ``dataset.root=X`` or ``root=X``.

    Args:
        sets: assignments as a user wrote them.
        kind: the component's table in a study file ("dataset").

    Raises:
        KpError: one is not written as key=value.
    """
    given = parse_sets(sets)
    table = given.pop(kind, {})
    if not isinstance(table, dict):
        raise KpError(f"--set {kind}={table}: write it as {kind}.key=value, for instance {kind}.root=PATH")
    return merge(given, table)


def assemble(
    document: Toml, *, profile: str | None, sets: Sequence[str], where: str, notice: Callable[[str], None] | None = None
) -> Toml:
    """Apply a profile and ``--set`` assignments to a study document; the profiles themselves are left out.

    ``notice`` is told of options that ``--set`` drops, because it names another component.

    Raises:
        KpError: no such profile, or an assignment is not written as key=value.
    """
    tables = {key: value for key, value in document.items() if key != "profiles"}
    profiles = document.get("profiles", {})
    if profile is not None:
        if profile not in profiles:
            raise unknown("profile", profile, profiles, where=where)
        tables = overlay(tables, profiles[profile])
    # Together, whatever their order: an option must not be lost because its component is named after it
    given = parse_sets(sets)
    lost = dropped(tables, given)
    if lost and notice is not None:
        notice(f"--set names another component; options of the one before are dropped: {', '.join(lost)}")
    return overlay(tables, given)


def validate(model: type[Model], values: Mapping[str, Any], *, where: str) -> Model:
    """Validate; the first problem becomes one line with the key path, the nearest key and what exists.

    Raises:
        KpError: always this, never pydantic's own error.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise KpError(explain(error, model, where)) from None


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Put the most telling of pydantic's errors into one line."""
    problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    path, tables = _follow(model, problem["loc"])
    return f"{_place(where, path)}: {_problem_text(problem, path, tables)}".replace("\n", " ")


def _place(where: str, path: Sequence[str]) -> str:
    inside = "." if ": " in where else ": "  # "study.toml: split" goes on as a key path, "study.toml" begins one
    return where + inside + ".".join(path) if path else where


def _problem_text(problem: ErrorDetails, path: Sequence[str], tables: Sequence[type[BaseModel]]) -> str:
    """Say what is wrong with the last key of ``path``; the first of ``tables`` is the one that it stands in."""
    keys = list(tables[0].model_fields)
    exist = f"({', '.join(keys) or 'no keys'} exist{'s' * (len(keys) == 1)} here)"
    if problem["type"] == "extra_forbidden":
        return _unknown_key(path[-1], tables, exist)
    if problem["type"] == "missing" and isinstance(problem["loc"][-1], int):
        return f"missing; the list is too short (got {problem['input']!r})"
    if problem["type"] == "missing":
        return f"missing; add the key '{path[-1]}'{_one_of(tables[0], path[-1])} {exist}"
    if problem["type"] == "union_tag_invalid":
        names = re.findall(r"'([^']*)'", problem["ctx"]["expected_tags"])
        return str(unknown("name", problem["ctx"]["tag"], names))
    message = re.sub(r"^Value error, ", "", problem["msg"])
    given = problem["input"]
    return message + (f" (got {_given(given)})" if isinstance(given, str | int | float | list | tuple) else "")


def _given(value: object) -> str:
    """Return a value as it stands in a file, the beginning of a long one."""
    if isinstance(value, list | tuple) and len(value) > 20:
        return f"{len(value):,} entries, the first {_given(value[0])}"
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _one_of(table: type[BaseModel], key: str) -> str:
    """Return which values a key takes, where these are few and named; "" elsewhere."""
    field = table.model_fields.get(key)
    values = choices(field.annotation) if field else []
    return f", one of {', '.join(values)}" if values else ""


def choices(annotation: Any) -> list[str]:
    """Return the values that an annotation names, as TOML writes them."""
    if get_origin(annotation) is Literal:
        return [json.dumps(value) for value in get_args(annotation)]
    return [value for argument in get_args(annotation) for value in choices(argument)]


def _unknown_key(key: str, tables: Sequence[type[BaseModel]], exist: str) -> str:
    """Say that a key does not exist here: because it is another member's of a union, or at all."""
    here, *others = tables
    owners = [_tag(other) for other in others if key in other.model_fields]
    if owners:
        remedy = f'set name = "{owners[0]}" or leave it out'
        return f"'{key}' is an option of {' and '.join(owners)}, not of {_tag(here)}; {remedy} {exist}"
    near = nearest(key, here.model_fields)
    hint = f"did you mean '{near}'? " if near else ""
    return f"unknown key '{key}'; {hint}{exist}"


def _follow(model: type[BaseModel], loc: Sequence[str | int]) -> tuple[list[str], list[type[BaseModel]]]:
    """Follow the place of pydantic's error, in which a union's member stands as its name, which is no key.

    Returns:
        The keys, and the models at the last but one: the one that it stands in, then the other members of its union.
    """
    path: list[str] = []
    tables = [model]
    inner = tables
    for part in map(str, loc):
        tagged = [table for table in inner if len(inner) > 1 and _tag(table) == part]
        if tagged:
            inner = [*tagged, *(table for table in inner if table not in tagged)]
            continue
        tables = inner
        path.append(part)
        field = tables[0].model_fields.get(part)
        inner = (field and models_in(field.annotation)) or tables
    return path, tables


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation is made of: itself, the members of a union, what a dict or list holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def _tag(model: type[BaseModel]) -> str:
    """Return the name by which a union knows a member; "" for a model that names nothing."""
    field = model.model_fields.get("name")
    return str(*get_args(field.annotation)[:1]) if field else ""


def to_toml(values: Mapping[str, Any]) -> str:
    """Write a table as TOML; what is None is left out, since TOML has no word for it."""
    return tomli_w.dumps(_without_none(values))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list | tuple) else value
