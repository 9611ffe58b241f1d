"""Tensors of a file meet those of our network, by rules: each is taken, renamed, dropped, new, or a fault that is told.

Nothing is loaded here in part: whoever uses a :class:`Match` looks at its faults first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from kpcore.plans import KeypointAxis, TensorSpec
from kpcore.trained.importing.rules import Rules

Status = Literal["taken", "renamed", "dropped", "new", "missing", "unused", "misfit"]
FAULTS: tuple[Status, ...] = ("missing", "unused", "misfit")


@dataclass(frozen=True)
class Line:
    """What became of one tensor.

    Args:
        status: ``taken`` under its own name, ``renamed``, ``dropped`` by a rule, ``new`` as a rule allows; or a fault:
            ``missing`` in the file, ``unused`` by the network, ``misfit`` in shape or kind of number.
        tensor: its name in the file; "" where the file has none.
        target: its name in our network; "" where that has none.
        shape: in the file, else in the network.
        note: the rule that left it out or lets it be new, or what is wrong.
    """

    status: Status
    tensor: str
    target: str
    shape: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Match:
    """All tensors of a file and of a network, each once.

    Args:
        lines: what became of each, in the order of the file, then those that it lacks.
        state: our name -> tensor of the file, float32, heads in the wanted order; what is new is not in it.
    """

    lines: tuple[Line, ...]
    state: Mapping[str, Tensor]

    @property
    def faults(self) -> list[Line]:
        """Lines because of which nothing can be imported."""
        return [line for line in self.lines if line.status in FAULTS]

    def of(self, status: Status) -> list[Line]:
        """Return the lines of one kind."""
        return [line for line in self.lines if line.status == status]


def match(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, TensorSpec], kinds: Mapping[str, bool], rules: Rules
) -> Match:
    """Give every tensor of the file its place in the network.

    Args:
        tensors: of the file.
        wanted: name -> what our network has there.
        kinds: name -> whether our network has floating-point numbers there.
        rules: that name them.
    """
    lines: list[Line] = []
    state: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    for name, tensor in tensors.items():
        line = _line(name, tensor, wanted, kinds, rules)
        if line.target in sources and line.status in ("taken", "renamed"):
            line = _fault("misfit", line, f"'{sources[line.target]}' has that name too; mend the rules")
        if line.status in ("taken", "renamed"):
            sources[line.target] = name
            state[line.target] = _in_order(tensor, wanted[line.target].keypoint_axis, rules.keypoints)
        lines.append(line)
    met = {line.target for line in lines if line.target}
    lines += _lacking({name: one for name, one in wanted.items() if name not in met}, rules)
    return Match(tuple(lines), state)


def _line(name: str, tensor: Tensor, wanted: Mapping[str, TensorSpec], kinds: Mapping[str, bool], rules: Rules) -> Line:
    shape = tuple(tensor.shape)
    if rule := rules.dropped(name):
        return Line("dropped", name, "", shape, rule)
    target = rules.renamed(name)
    line = Line("taken" if target == name else "renamed", name, target, shape)
    if target not in wanted:
        return Line("unused", name, "", shape, f"the network has no '{target}'; rename it, or drop it by a rule")
    if shape != wanted[target].shape:
        return _fault("misfit", line, f"is {shape}, the network has {wanted[target].shape}")
    if tensor.is_floating_point() != kinds[target]:
        return _fault("misfit", line, f"holds {tensor.dtype}, the network another kind of number")
    if wanted[target].keypoint_axis is not None and not rules.keypoints:
        return _fault(
            "misfit", line, "belongs to a head, and the rules do not name its keypoints; add keypoints = [...]"
        )
    return line


def _fault(status: Status, line: Line, note: str) -> Line:
    return Line(status, line.tensor, line.target, line.shape, note)


def _lacking(wanted: Mapping[str, TensorSpec], rules: Rules) -> Iterator[Line]:
    for name, one in wanted.items():
        rule = rules.may_be_new(name)
        note = rule or "the file has no tensor for it; rename one, or let it be new by a rule"
        yield Line("new" if rule else "missing", "", name, one.shape, note)


def _in_order(tensor: Tensor, axis: KeypointAxis | None, order: Sequence[str]) -> Tensor:
    """Return the tensor with its channels in the order of our keypoints; ``order`` is that of the file's."""
    taken = tensor.float() if tensor.is_floating_point() else tensor
    if axis is None:
        return taken
    width = axis.width
    places = [order.index(name) * width + part for name in axis.keypoints for part in range(width)]
    return taken.index_select(axis.axis, taken.new_tensor(places).long())
