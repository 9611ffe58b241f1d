"""The data sets of a study: its own, and those that its splits' steps name, opened under the study's keypoint names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from kpcore.audit.leaks import leaking
from kpcore.cache import cache_dir, content_key, set_aside
from kpcore.config import ComponentTable, OtherDatasetTable, StudyConfig
from kpcore.data import generated
from kpcore.data.adjusted import Adjusted, Adjustments
from kpcore.data.fingerprint import fingerprint
from kpcore.data.store import Part
from kpcore.errors import KpError, nearest
from kpcore.interfaces import Dataset, Generator
from kpcore.keypoints import Skeleton, Step
from kpcore.locks import locked
from kpcore.registry import Registry
from kpcore.study.contracts import check_facts, is_text, require
from kpcore.study.names import renamed

OWN = ""
"""The name of a study's own data set, ``[dataset]``: that of a step which names none."""
CORE_OPTIONS = ("orientation", "unlabelled_at", "trust_coordinates", "bad_image_policy")
"""Keys of a data set's table that are the core's own and need no study file."""
Notice = Callable[[str], None]
Progress = Callable[[int, int], None]


def unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, eq=False)
class StudyData:
    """One data set of a study.

    Args:
        name: NAME of ``[datasets.NAME]``, or ``OWN``.
        dataset: open, as its plugin gives it.
        skeleton: its keypoints, as the study calls them; whoever needs names asks here.
        sample: whether it was generated; everything printed and written then says so.
        left_out: places in the training part that are not trained on: another data set is scored on their images.
        leaked: training samples whose images are also scored, and which are trained on all the same.
        stated: terms of use, as the study file states them; "" where it does not.
    """

    name: str
    dataset: Dataset
    skeleton: Skeleton
    sample: bool
    left_out: tuple[int, ...] = ()
    leaked: int = 0
    stated: str = ""

    @property
    def terms(self) -> str:
        """Terms of use: as the study states them, else as the data set knows them; "" where nobody does."""
        return self.stated or ("" if self.sample else self.dataset.facts.terms)

    @property
    def label(self) -> str:
        """What results call the data."""
        return data_label(self.dataset, self.sample)

    @cached_property
    def train(self) -> Part:
        """The part that is trained on; raises KpError where it cannot be read."""
        return read_part(self.dataset, "train", self.skeleton)

    @cached_property
    def valid(self) -> Part:
        """The part that is scored; raises KpError where it cannot be read."""
        return read_part(self.dataset, "valid", self.skeleton)

    @property
    def parts(self) -> tuple[Part, Part]:
        """Both."""
        return self.train, self.valid

    @property
    def list_name(self) -> str:
        """The published list that is read; "" where there is only one, and for sample data."""
        return "" if self.sample else self.dataset.facts.list_name

    @property
    def undecoded(self) -> dict[str, int]:
        """Part -> samples left out, because their picture cannot be decoded; parts without any are not named."""
        dataset = self.dataset
        if not isinstance(dataset, Adjusted):
            return {}
        return {part: count for part in ("train", "valid") if (count := dataset.left_out(part))}

    def people(self, part: str) -> int:
        """How many people of a part take part."""
        return len(self.dataset.samples(part)) - (len(self.left_out) if part == "train" else 0)


def read_part(dataset: Dataset, name: str, skeleton: Skeleton | None = None) -> Part:
    """Read a part's samples, and take down what they are.

    Args:
        dataset: any data set.
        name: of the part.
        skeleton: the keypoints under other names; the data set's where None.

    Raises:
        KpError: they cannot be read, or there are none.
    """
    samples = dataset.samples(name)
    if not samples:
        raise KpError(f"{dataset.label}, part '{name}': no samples; check the annotation with 'kp data check'")
    named = skeleton or dataset.skeleton
    return Part(dataset.label, name, named, samples, fingerprint(samples, named))


def data_label(dataset: Dataset, sample: bool) -> str:
    """Return what results call a data set."""
    return f"sample data ({dataset.label} layout)" if sample else dataset.label


def tables(config: StudyConfig) -> dict[str, tuple[str, OtherDatasetTable]]:
    """Return the study's data sets: name -> (key in the study file, table); its own first."""
    own: dict[str, tuple[str, OtherDatasetTable]] = {OWN: ("dataset", config.dataset)}
    return own | {name: (f"datasets.{name}", table) for name, table in config.datasets.items()}


def open_all(
    config: StudyConfig, known: Registry, where: str, notice: Notice, progress: Progress = unseen
) -> dict[str, StudyData]:
    """Open all data sets of a study, its own first.

    Raises:
        KpError: with file and key, for the first that cannot be opened.
    """
    return {
        name: open_one(name, key, table, known, where, notice, progress)
        for name, (key, table) in tables(config).items()
    }


def open_one(
    name: str, key: str, table: OtherDatasetTable, known: Registry, where: str, notice: Notice,
    progress: Progress = unseen,
) -> StudyData:  # fmt: skip
    """Open the data set of one table, generated first where the study says so."""
    place = f"{where}: {key}"
    options = table.options
    if table.generate is not None:
        if "root" in options:
            raise KpError(f"{where}: {key}.root and {key}.generate are both set; drop one of them")
        options["root"] = str(generate(table.generate, known, f"{place}.generate", notice, progress))
    check_spelling(options, known.component("dataset", table.name, where=f"{place}.name").Config, place)
    dataset: Dataset = known.build("dataset", table.name, options, where=place)
    check_facts(dataset)
    dataset = adjusted(dataset, table)
    tell_bad(dataset, notice)
    skeleton = renamed(dataset.skeleton, table.aliases, place)
    return StudyData(name, dataset, skeleton, table.generate is not None, stated=table.terms.strip())


def check_spelling(options: Mapping[str, object], own: type[BaseModel], where: str) -> None:
    """Check that no key of a data set's table is a core option in another spelling: its own check knows its own alone.

    Raises:
        KpError: the first that is.
    """
    for key in options:
        near = nearest(key, [*own.model_fields, *CORE_OPTIONS])
        if key not in own.model_fields and near in CORE_OPTIONS:
            raise KpError(f"{where}: unknown key '{key}'; did you mean '{near}'?")


def adjusted(dataset: Dataset, table: OtherDatasetTable) -> Dataset:
    """Return a data set under the core's own options of its table; itself where they say nothing."""
    places = tuple(table.unlabelled_at)
    how = Adjustments(table.orientation, places, table.trust_coordinates, table.bad_image_policy)
    return dataset if how == Adjustments() else Adjusted(dataset, how)


def tell_bad(dataset: Dataset, notice: Notice) -> None:
    """Say how many samples of each part are left out, because their picture cannot be decoded."""
    if not isinstance(dataset, Adjusted):
        return
    for part in dataset.facts.parts:
        if bad := dataset.bad(part):
            first = next(iter(bad.values()))
            what = left_out(dataset.left_out(part), f"sample of part '{part}'", f"samples of part '{part}'")
            why = f"as their picture is missing or cannot be decoded (bad_image_policy; first: {first})"
            notice(f"{dataset.label}: {what}, {why}.")


def as_supplied(dataset: Dataset) -> Dataset:
    """Return the data set as its plugin made it, without the core's options."""
    return dataset.inner if isinstance(dataset, Adjusted) else dataset


def generate(table: ComponentTable, known: Registry, where: str, notice: Notice, progress: Progress = unseen) -> Path:
    """Return the folder of the generated data, written to the cache once."""
    made = known.make("generator", table.name, table.options, where=where)
    maker: Generator = made.component
    require(is_text(maker.version), maker, "version", maker.version, "a string")
    key = content_key({"generator": made.recipe.record(), "version": maker.version})
    folder = cache_dir() / generated.KIND / key
    if folder.is_dir() and not generated.problem(folder):  # without a lock, so that a cache can be read-only
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    title = f"Sample data ('{table.name}')"
    with locked(folder.with_suffix(".lock"), waiting=lambda who: notice(f"{title}: waiting for {who} to write it")):
        if problem := generated.problem(folder):
            notice(f"{title}: {problem}; made again")
            set_aside(folder)
        if not folder.exists():
            notice(f"Writing sample data ('{table.name}') to the cache ...")
            _write_generated(folder, maker, table.name, progress)
    return folder


def _write_generated(folder: Path, maker: Generator, name: str, progress: Progress) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    maker.write(partial, progress)
    generated.seal(folder, partial, f"generated by '{name}'")
    partial.rename(folder)


def nothing_configured(config: StudyConfig, known: Registry) -> bool:
    """Whether no data set of the study is told where its data lies."""
    return not any(configured(key, table, known) for key, table in tables(config).values())


def configured(key: str, table: OtherDatasetTable, known: Registry) -> bool:
    """Whether a data set is told where its data lies: by its table, its environment variable, or a generator."""
    variable = _root_variable(key, table, known)
    return "root" in table.options or bool(variable and os.environ.get(variable)) or table.generate is not None


def _root_variable(key: str, table: OtherDatasetTable, known: Registry) -> str:
    return str(getattr(known.component("dataset", table.name, where=f"{key}.name"), "root_variable", ""))


def sample_notice(config: StudyConfig, known: Registry) -> str:
    """Return what a user is told where the profile ``sample`` is run for want of data."""
    wants = [
        f"{table.name} root is configured (--set {key}.root=PATH"
        + (f" or {variable}=PATH)" if (variable := _root_variable(key, table, known)) else ")")
        for key, table in tables(config).values()
    ]
    return f"No {', no '.join(wants)}: running the profile 'sample' on synthetic sample data."


def keep_apart(data: Mapping[str, StudyData], used: Iterable[Step], notice: Notice) -> dict[str, StudyData]:
    """Return the data sets that the steps use, training images left out that another of them is scored on."""
    names = {step.dataset for step in used}
    chosen = {name: one for name, one in data.items() if name in names}
    return {name: _apart(one, chosen, notice) for name, one in chosen.items()}


def left_out(count: int, one: str = "training sample", several: str = "training samples") -> str:
    """Return how many samples are left out: "1 training sample is left out"."""
    return f"{count:,} {f'{one} is' if count == 1 else f'{several} are'} left out"


def _apart(one: StudyData, data: Mapping[str, StudyData], notice: Notice) -> StudyData:
    others = [other for other in data.values() if other is not one]
    if not others:
        return one
    places = leaking(one.dataset.samples("train"), (other.dataset.samples("valid") for other in others))
    if places:
        scored = ", ".join(other.label for other in others)
        notice(f"{one.label}: {left_out(len(places))}, because {scored} is scored on their images.")
    return replace(one, left_out=places)
