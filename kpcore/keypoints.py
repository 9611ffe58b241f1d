"""Keypoints, skeletons, keypoint sets and keypoint splits.

Everything is addressed by name. Order, columns and flip permutations are derived; no index appears in a user's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kpcore.errors import KpError, listed, unknown


@dataclass(frozen=True)
class Keypoint:
    """One named point.

    Args:
        name: unique within its skeleton.
        mirror: the name that this point has in a mirrored image; None for a point on the axis.
        group: what left and right share ("wrist"); the default report column. Defaults to the name.
    """

    name: str
    mirror: str | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if not self.group:
            object.__setattr__(self, "group", self.name)


@dataclass(frozen=True)
class Skeleton:
    """All keypoints of a data set, in the order of its annotation, and the edges that draw it.

    Args:
        name: for messages.
        keypoints: in the order of the annotation, which is that of every array with all keypoints.
        edges: pairs of names; drawn, never learned from.
        dims: 2 or 3 coordinates a point.

    Raises:
        KpError: a name occurs twice, a mirror partner does not exist or does not point back, an edge's end is unknown.
    """

    name: str
    keypoints: tuple[Keypoint, ...]
    edges: tuple[tuple[str, str], ...] = ()
    dims: int = 2

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise KpError(f"skeleton '{self.name}': keypoint names occur twice: {', '.join(twice)}; give each its own")
        mirrors = {point.name: point.mirror for point in self.keypoints}
        for name, mirror in mirrors.items():
            if mirror is None:
                continue
            if mirror not in mirrors:
                raise unknown("mirror keypoint", mirror, names, where=f"skeleton '{self.name}', keypoint '{name}'")
            if mirrors[mirror] != name:
                raise KpError(
                    f"skeleton '{self.name}': '{name}' mirrors '{mirror}', but '{mirror}' mirrors '{mirrors[mirror]}';"
                    " mirror partners must point at each other"
                )
        for end in (end for edge in self.edges for end in edge):
            if end not in mirrors:
                raise unknown("keypoint", end, names, where=f"skeleton '{self.name}', edges")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in annotation order."""
        return tuple(point.name for point in self.keypoints)

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Group name -> its keypoints, groups in order of first appearance."""
        groups: dict[str, tuple[str, ...]] = {}
        for point in self.keypoints:
            groups[point.group] = (*groups.get(point.group, ()), point.name)
        return groups

    def __getitem__(self, name: str) -> Keypoint:
        """Return the keypoint of that name; raises KpError with the nearest name where there is none."""
        for point in self.keypoints:
            if point.name == name:
                return point
        raise unknown("keypoint", name, self.names, where=f"skeleton '{self.name}'")

    def index(self, name: str) -> int:
        """Position of the name in annotation order; raises KpError with the nearest name where there is none."""
        self[name]
        return self.names.index(name)

    def select(self, names: Iterable[str], *, where: str = "") -> KeypointSet:
        """Return the ordered subset with these names. A group's name stands for all its keypoints.

        Raises:
            KpError: a name is neither a keypoint nor a group, or a keypoint is named twice.
        """
        chosen: list[str] = []
        for name in names:
            if name in self.names:
                chosen.append(name)
            elif name in self.groups:
                chosen.extend(self.groups[name])
            else:
                options = dict.fromkeys([*self.names, *self.groups])
                raise unknown("keypoint or group", name, options, where=where or f"skeleton '{self.name}'")
        twice = sorted({name for name in chosen if chosen.count(name) > 1})
        if twice:
            raise KpError(f"{where or self.name}: keypoint named twice: {', '.join(twice)}; name each once")
        if not chosen:
            raise KpError(f"{where or self.name}: no keypoints named; name at least one of {', '.join(self.names)}")
        return KeypointSet(self, tuple(chosen))

    def pair(self, names: tuple[str, str], *, where: str) -> tuple[str, str]:
        """Return the names of two keypoints that a length is measured between.

        Raises:
            KpError: a name is no keypoint, or both are the same one.
        """
        for name in names:
            if name not in self.names:
                raise unknown("keypoint", name, self.names, where=where)
        if names[0] == names[1]:
            rest = listed(name for name in self.names if name != names[0])
            raise KpError(f"{where}: '{names[0]}' is named twice, a length of 0; name another beside it ({rest} exist)")
        return names

    def all(self) -> KeypointSet:
        """Return the set of all keypoints."""
        return KeypointSet(self, self.names)


@dataclass(frozen=True)
class KeypointSet:
    """An ordered subset of a skeleton; make one with :meth:`Skeleton.select`.

    ``len(set)`` is the number of its keypoints, ``name in set`` asks for one. Its order is that of a head's channels.

    Args:
        skeleton: what it is a subset of.
        names: its keypoints, in order.
    """

    skeleton: Skeleton
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @cached_property
    def indices(self) -> tuple[int, ...]:
        """Columns of these keypoints in the skeleton's order."""
        return tuple(self.skeleton.index(name) for name in self.names)

    @cached_property
    def halved(self) -> tuple[str, ...]:
        """Keypoints whose mirror partner is not in the set."""
        partners = ((name, self.skeleton[name].mirror) for name in self.names)
        return tuple(name for name, mirror in partners if mirror is not None and mirror not in self.names)

    @cached_property
    def flip_permutation(self) -> tuple[int, ...]:
        """For each keypoint the place of its mirror partner within the set (an involution).

        Raises:
            KpError: half a mirror pair is in the set, so a mirrored image would have no place for the other half.
        """
        if self.halved:
            name = self.halved[0]
            raise KpError(
                f"keypoint '{name}' is in the set without its mirror partner '{self.skeleton[name].mirror}';"
                " add the partner, or turn mirroring off (training.augmentation.flip = 0 and"
                " evaluation.flip_test = false)"
            )
        return tuple(self.names.index(self.skeleton[name].mirror or name) for name in self.names)

    def places(self, names: Iterable[str]) -> tuple[int, ...]:
        """Positions of these names within the set."""
        return tuple(self.names.index(name) for name in names)


@dataclass(frozen=True)
class Column:
    """A report column: the unweighted mean over its keypoints, in the metrics that have no columns of their own.

    Args:
        name: heads the column.
        keypoints: names, all of them scored.
        in_average: whether the average counts it.
    """

    name: str
    keypoints: tuple[str, ...]
    in_average: bool = True


@dataclass(frozen=True)
class Step:
    """One step of a split.

    Args:
        keypoints: the set that is trained on, of the skeleton of its data set.
        dataset: NAME of ``[datasets.NAME]`` that the people come from; "" is the study's own, ``[dataset]``.
    """

    keypoints: KeypointSet
    dataset: str = ""


@dataclass(frozen=True)
class Conditions:
    """Under which conditions published figures were made; only results of the same stand beside them.

    Args:
        settings: key of a study file, resolved ("training.batch_size") -> value.
        people: name of a list of people -> part -> how many there are; empty where any will do.
    """

    settings: Mapping[str, object] = field(default_factory=dict)
    people: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class KeypointSplit:
    """One or more keypoint sets, learned one after the other; the last one is scored. Of one, nothing is carried over.

    Args:
        name: as the study file spells it.
        steps: S1 -> S2 (-> S3 ...); paper, section 3.2 and "sequentially adding and removing keypoints".
        columns: report columns over the last step's keypoints; by default its groups.
        reference: mode -> {column or "average": published value}, where a paper printed some.
        reference_convention: how these values were made, as a metric's ``convention`` spells it; "" where not stated.
        reference_conditions: with which settings, on whom; None where that is not stated, and nothing is compared.
    """

    name: str
    steps: tuple[Step, ...]
    columns: tuple[Column, ...] = ()
    reference: dict[str, dict[str, float]] = field(default_factory=dict, compare=False)
    reference_convention: str = field(default="", compare=False)
    reference_conditions: Conditions | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.steps:
            raise KpError(f"split '{self.name}': has no keypoint set; give it one to train on, or more to carry over")
        if not self.columns:
            object.__setattr__(self, "columns", default_columns(self.target))
        for column in self.columns:
            strangers = [name for name in column.keypoints if name not in self.target]
            if strangers:
                raise KpError(
                    f"split '{self.name}', column '{column.name}': {', '.join(strangers)} not among the keypoints that"
                    f" are scored ({', '.join(self.target.names)})"
                )

    @property
    def source(self) -> KeypointSet:
        """The first set, S1."""
        return self.steps[0].keypoints

    @property
    def target(self) -> KeypointSet:
        """The last set, which is scored."""
        return self.steps[-1].keypoints

    @property
    def overlap(self) -> tuple[str, ...]:
        """Names in the first and the last set alike, in the last set's order; none where these are one."""
        if len(self.steps) == 1:
            return ()
        return tuple(name for name in self.target.names if name in self.source)

    @property
    def unused(self) -> tuple[str, ...]:
        """Keypoints of the last set's skeleton that no step uses."""
        used = {name for step in self.steps for name in step.keypoints.names}
        return tuple(name for name in self.target.skeleton.names if name not in used)

    @property
    def crosses(self) -> bool:
        """Whether its steps come from more than one data set."""
        return len({step.dataset for step in self.steps}) > 1

    @property
    def extra(self) -> tuple[str, ...]:
        """Keypoints of earlier sets that the last step's data set does not have under this name."""
        earlier = dict.fromkeys(name for step in self.steps[:-1] for name in step.keypoints.names)
        return tuple(name for name in earlier if name not in self.target.skeleton.names)

    @property
    def missing(self) -> tuple[str, ...]:
        """Keypoints of the last set that no earlier step's data set has under this name."""
        known = {name for step in self.steps[:-1] for name in step.keypoints.skeleton.names}
        return tuple(name for name in self.target.names if name not in known)


def default_columns(keypoints: KeypointSet) -> tuple[Column, ...]:
    """One column a group, over the group's keypoints that are in the set."""
    members: dict[str, tuple[str, ...]] = {}
    for name in keypoints.names:
        group = keypoints.skeleton[name].group
        members[group] = (*members.get(group, ()), name)
    return tuple(Column(group, names) for group, names in members.items())
