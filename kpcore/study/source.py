"""Data as the ``kp data`` commands are given it: a study file, a folder, or a data set's name and root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kpcore.config import Augmentation, MetricTable, OtherDatasetTable, StudyConfig, merge, parse_options, validate
from kpcore.errors import KpError, unknown
from kpcore.interfaces import Dataset, Split
from kpcore.keypoints import KeypointSplit, Skeleton
from kpcore.registry import Registry
from kpcore.study import recognise
from kpcore.study.contracts import check_facts, checked_splits
from kpcore.study.data import (
    CORE_OPTIONS,
    OWN,
    Notice,
    StudyData,
    adjusted,
    check_spelling,
    configured,
    open_all,
    open_one,
    tables,
)
from kpcore.study.names import renamed
from kpcore.study.opening import resolve, settle, split_by
from kpcore.study.rules import RuleSplits, find_split, known_skeletons, plain_splits
from kpcore.study.study import mirroring


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Args:
        source: a study file or a data folder; None where ``dataset`` says it all.
        dataset: name of the data set; for a folder it is found by trying where None.
        root: the data set's root.
        profile: of the study file.
        sets: ``key=value``: keys of the study file; where there is none, options of the data set, ``root=X`` or
            ``dataset.root=X``.
        verbose: say why every data set refuses a folder that none reads.
    """

    source: Path | None = None
    dataset: str | None = None
    root: Path | None = None
    profile: str | None = None
    sets: Sequence[str] = ()
    verbose: bool = False


@dataclass(frozen=True, eq=False)
class Opened:
    """A data set, open.

    Args:
        name: as its plugin names it.
        data: the data set, and its keypoints as the study calls them.
        splits: the study's; empty where there is no study file.
        augmentation: the study's, else the default.
        metric: the study's, of the final score; names none where there is no study file, or it names none.
        mirrored: whether images are mirrored, in training or in the flip test, as they are by default.
    """

    name: str
    data: StudyData
    splits: tuple[KeypointSplit, ...] = ()
    augmentation: Augmentation = field(default_factory=Augmentation)
    metric: MetricTable = field(default_factory=MetricTable)
    mirrored: bool = True

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.data.dataset

    def parts(self, wanted: str | None) -> tuple[str, ...]:
        """Return the wanted part, or all; raises KpError where there is no such part."""
        if wanted is None:
            return self.dataset.parts
        if wanted not in self.dataset.parts:
            raise unknown("part", wanted, self.dataset.parts, where=self.data.label)
        return (wanted,)

    def split(self, known: Registry, name: str | None) -> KeypointSplit | None:
        """Return the split of that name, the study's first where no name is given, or None."""
        if name is None:
            return self.splits[0] if self.splits else None
        mine = next((split for split in self.splits if split.name == name), None)
        return mine or find_split(known, name, self.data.skeleton)


def open_request(request: Request, known: Registry, notice: Notice) -> Opened:
    """Open what a user asks for.

    Raises:
        KpError: too little or too much is said, or the data cannot be opened.
    """
    if request.source is not None and not request.source.is_dir():
        return _open_study(request.source, request, known, notice)
    root = request.root or request.source
    if request.root and request.source:
        raise KpError(f"{request.source}: a folder and --root {request.root} are both given; drop one of them")
    if request.dataset is not None:
        return open_named(known, request.dataset, root, request.sets)
    if root is None:
        raise KpError("no data given; give a study file, a data folder, or --dataset NAME with --root PATH")
    return _recognise(known, root, request, notice)


def open_named(known: Registry, name: str, root: Path | None, sets: Sequence[str]) -> Opened:
    """Open a data set by name; the root may also come from its environment variable."""
    options = merge({} if root is None else {"root": str(root)}, parse_options(sets, "dataset"))
    supplied = known.component("dataset", name, where="--dataset")
    place = f"data set '{name}'"
    core = {key: options.pop(key) for key in CORE_OPTIONS if key in options}
    table = validate(OtherDatasetTable, {"name": name, **core}, where=place)
    check_spelling(options, supplied.Config, place)
    dataset: Dataset = known.build("dataset", name, options, where=place)
    check_facts(dataset)
    return Opened(name, StudyData(OWN, adjusted(dataset, table), dataset.skeleton, sample=False))


def _recognise(known: Registry, root: Path, request: Request, notice: Notice) -> Opened:
    """Open a folder with the one data set plugin that can read it."""

    def open_as(name: str, sets: Sequence[str]) -> Opened:
        return open_named(known, name, root, sets)

    tried = recognise.try_all(known, root, open_as, request.sets)
    if len(tried.opened) > 1:
        raise recognise.several(tried)
    for name, opened in tried.opened.items():
        notice(f"Read as '{name}'.")
        return opened
    raise recognise.unread(known, tried, recognise.nearest(known, tried, open_as, request.sets), request.verbose)


def _open_study(file: Path, request: Request, known: Registry, notice: Notice) -> Opened:
    if request.dataset is not None:
        raise KpError(f"{file}: a study file names its own data set; drop --dataset {request.dataset}")
    sets = [*request.sets, *([f"dataset.root='{request.root}'"] if request.root else [])]
    config, _ = settle(known, file, request.profile, sets, notice)
    data = open_all(config, known, str(file), notice)
    splits = split_by(_rule(config, known, file), data)
    if others := [f"{table.name} ([{key}])" for key, table in tables(config).values() if table is not config.dataset]:
        notice(f"Only [dataset] is looked at, not {', '.join(others)}; give those by --dataset NAME --root PATH.")
    metric, mirrored = config.evaluation.metric, bool(mirroring(config))
    return Opened(config.dataset.name, data[OWN], splits, config.training.augmentation, metric, mirrored)


def _rule(config: StudyConfig, known: Registry, file: Path) -> Split:
    rule: Split = known.build("split", config.split.name, config.split.options, where=f"{file}: split")
    return rule


def list_splits(
    source: str | None, known: Registry, profile: str | None = None, sets: Sequence[str] = ()
) -> dict[str, list[RuleSplits]]:
    """Return data set -> what rules give on its skeleton.

    Args:
        source: a study file, whose rule with its options is asked alone; or a data set whose skeleton is known without
            data, on which every rule is asked; on all of these where None.
        known: the plugins.
        profile: of the study file.
        sets: ``key=value`` of the study file.

    Raises:
        KpError: the study file is wrong, its data cannot be opened, or there is no such data set.
    """
    skeletons = known_skeletons(known)
    if source is None:
        return {name: plain_splits(known, skeleton) for name, skeleton in skeletons.items()}
    if source in skeletons:
        return {source: plain_splits(known, skeletons[source])}
    if source in known.names("dataset"):
        raise KpError(
            f"data set '{source}': its keypoints are not known without data; give a study file, or look at the data"
            f" with 'kp data info FOLDER --dataset {source}'"
        )
    file = Path(source)
    config = resolve(file, profile, sets)
    if not all(table.name in skeletons for _, table in tables(config).values()):  # only data tells the keypoints
        config, _ = settle(known, file, profile, sets, lambda text: None)
    skeletons = _skeletons(config, known, file)
    others = {name: skeleton for name, skeleton in skeletons.items() if name != OWN}
    rule = _rule(config, known, file)
    splits = checked_splits(rule, rule.splits(skeletons[OWN], others))
    return {config.dataset.name: [RuleSplits(config.split.name, splits)]}


def _skeletons(config: StudyConfig, known: Registry, file: Path) -> dict[str, Skeleton]:
    """Return the skeletons of a study's data sets: those of the data where it is configured, else known without."""
    plain = known_skeletons(known)
    found = {}
    for name, (key, table) in tables(config).items():
        known.component("dataset", table.name, where=f"{file}: {key}.name")
        if table.name in plain and (table.generate is not None or not configured(key, table, known)):
            found[name] = renamed(plain[table.name], table.aliases, f"{file}: {key}")
        else:
            found[name] = open_one(name, key, table, known, str(file), lambda text: None).skeleton
    return found
