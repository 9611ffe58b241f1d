"""Settings that fit the data's size, its keypoints and this machine, after the profiles of ``examples/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kpcore.config import Toml
from kpcore.cores import cores
from kpcore.keypoints import Skeleton
from kpcore.reading.sides import without_partner
from kpcore.registry import Registry
from kpcore.study.first.data import First
from kpcore.study.first.metric import choose_metric
from kpcore.study.first.split import everything, halves
from kpcore.training.device import available

FEW, MANY = 200, 1000
"""Samples below which a set is small, and from which on it is large."""
ADAMW = {"name": "adamw", "learning_rate": 3e-3, "weight_decay": 0.01}
MUON = {
    "name": "muon", "learning_rate": 0.06, "momentum": 0.85, "other_learning_rate": 4e-3, "weight_decay": 0.01,
}  # fmt: skip
EMA = {"name": "ema", "decay": 0.9}
HEATMAP = {"name": "heatmap", "loss": "cross_entropy", "unlabelled": "ignore", "sigma": 1.0, "decode": "dark"}
VOLUMETRIC = {"name": "volumetric", "depth_bins": 16, "loss": "cross_entropy", "sigma": 1.0, "decode": "local"}


@dataclass(frozen=True)
class Machine:
    """What this machine offers.

    Args:
        cores: of the processor, that may be used.
        gpu: whether there is a CUDA device.
    """

    cores: int
    gpu: bool

    @classmethod
    def this(cls) -> Machine:
        """Return this one."""
        return cls(cores(), any(name.startswith("cuda") for name in available()))


@dataclass(frozen=True)
class Table:
    """One table of the study file: its keys, and the comment above it."""

    name: str
    keys: Toml
    why: str = ""


@dataclass
class Choices:
    """The study's tables, and what was assumed, a line each."""

    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, keys: Toml, why: str) -> None:
        """Take a table; why it is so becomes its comment and a note."""
        self.tables.append(Table(name, keys, why))
        self.notes.append(why)


def choose(known: Registry, first: First, machine: Machine) -> Choices:
    """Return a study's tables but for ``[study]`` and ``[dataset]``, split first."""
    made = Choices()
    skeleton = first.dataset.skeleton
    _split(skeleton, made)
    _network(first, machine, made)
    _codec(first, made)
    flips = _flips(skeleton, made)
    _training(first, machine, flips, made)
    _evaluation(known, first, flips, made)
    return made


def modes(skeleton: Skeleton) -> list[str]:
    """Return the modes that are compared; one training alone where there is nothing to carry over."""
    return ["transfer", "frozen", "random"] if halves(skeleton) else ["random"]


def _split(skeleton: Skeleton, made: Choices) -> None:
    found = halves(skeleton)
    if found:
        first, second = found
        name, steps = "first", [list(first), list(second)]
        why = f"first question: does a network that knows {_listed(first)} learn {_listed(second)} sooner?"
    else:
        name, steps = "all", [list(everything(skeleton))]
        why = (
            f"{len(skeleton.names)} keypoints are too few to split in two halves of 2 with mirror pairs whole: one"
            " network is trained on all of them (the mode 'random'), and nothing is carried over"
        )
    made.tables.append(Table("split", {"name": "explicit"}))
    made.add(f"split.sets.{name}", {"steps": steps}, why)


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _resolution(first: First, machine: Machine) -> int:
    """Return the side of the network's input, px: no more than crops have, and a processor can do in minutes."""
    if first.side <= 80:
        return 64
    return 256 if machine.gpu and first.side > 160 else 128


def _network(first: First, machine: Machine, made: Choices) -> None:
    few = len(first.train) < MANY
    width = (128 if few else 256) if machine.gpu else (48 if few else 64)
    every = [2, 4] if machine.gpu else [1, 2]
    stages = every if halves(first.dataset.skeleton) else every[1:]
    where = "a GPU" if machine.gpu else f"{machine.cores} cores and no GPU"
    why = f"{len(first.train):,} samples and {where}: {' then '.join(map(str, stages))} stacks of {width} channels"
    made.add("backbone", {"name": "hourglass", "stages": stages, "channels": width, "depth": 3}, why)


def _codec(first: First, made: Choices) -> None:
    deep = first.dataset.facts.default_metric == "mpjpe"
    made.tables.append(Table("codec", dict(VOLUMETRIC if deep else HEATMAP)))


def _flips(skeleton: Skeleton, made: Choices) -> bool:
    """Return whether pictures are mirrored in training and scoring."""
    pairs = [(p.name, p.mirror) for p in skeleton.keypoints if p.mirror and p.name < p.mirror]
    lonely = [name for name in without_partner(skeleton.names) if skeleton[name].mirror is None]
    if lonely and pairs:
        made.notes.append(f"pictures are not mirrored: {_listed(lonely)} name a side, but have no mirror partner")
    elif not pairs:
        made.notes.append("pictures are not mirrored: no mirror pair is known (mirrors in [dataset] names them)")
    else:
        told = [f"{one} - {other}" for one, other in pairs]
        made.notes.append(f"pictures are mirrored; mirror pairs: {_listed(told)}")
    return bool(pairs) and not lonely


def _training(first: First, machine: Machine, flips: bool, made: Choices) -> None:
    people, size = len(first.train), _resolution(first, machine)
    batch, epochs, steps = _schedule(people, machine)
    why = (
        f"crops of about {first.side:.0f} px are read at {size} px; {epochs} epochs of {steps} steps of {batch}"
        f" samples, {epochs * steps * batch / people:.0f} passes over the data"
    )
    keys: Toml = {
        "resolution": size,
        "batch_size": batch,
        "epochs": epochs,
        "iterations_per_epoch": steps,
        "early_stopping": False,
        "keep": "last",
        "precision": "auto",
        "optimizer": dict(ADAMW if people < MANY else MUON),
        "schedule": {"name": "onecycle", "fall": "cosine" if people < MANY else "linear"},
        "average": dict(EMA),
        "augmentation": {
            "scale": [0.85, 1.2], "rotation": 15, "translation": 0.05, "flip": 0.5 if flips else 0,
        },
    }  # fmt: skip
    made.add("training", keys, why)


def _schedule(people: int, machine: Machine) -> tuple[int, int, int]:
    """Return batch size, epochs and steps an epoch; the smallest sets have no more samples than a batch."""
    batch = 8 if people < FEW else 16 if people < MANY else 32
    batch = max(1, min(batch, people))
    if machine.gpu:
        return batch, 30, max(50, min(500, -(-people // batch)))
    return batch, *((6, 40) if people < FEW else (6, 60) if people < MANY else (9, 53))


def _evaluation(known: Registry, first: First, flips: bool, made: Choices) -> None:
    metric = choose_metric(known, first)
    made.tables.append(Table("evaluation", {"flip_test": flips}))
    made.tables.append(Table("evaluation.metric", metric.table, "; ".join(metric.why)))
    made.notes += metric.why
    watched = {"name": "pck", "normaliser": "crop", "threshold": 0.05}
    if metric.table["name"] == "mpjpe":
        watched = {"name": "mpjpe", "align": "procrustes"}
    watched["people"] = max(1, min(128, first.scored))
    made.tables.append(Table("evaluation.validation", watched, "read after every epoch"))
