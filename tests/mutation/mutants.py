"""What can be changed in a module, one small wrong change at a time.

The operators are mutmut's, without its trampolines, so that decorated functions, properties, defaults of settings and
module constants are changed as well; three are our own: a statement is dropped, a condition is turned round, an entry
of a dict display is dropped. Types, docstrings, descriptions, what stands in a ``raise`` and the ``strict`` of a
``zip`` are left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

WORDS = {"description", "title", "help"}
"""Arguments that are text for people."""
GUARDS = {"strict"}
"""Arguments that only check what holds anyway: ``zip`` of things of one length."""


@dataclass(frozen=True, eq=False)
class Mutant:
    """One wrong change.

    Args:
        file: path from the project's root.
        place: qualified name of the function or class that it is in; "" at the top of the module.
        line: of what is changed.
        operator: its name.
        old: what stands there, on one line.
        new: what is put there.
        nth: counts equal changes of one place.
        module: as it is.
        node: what is changed in it.
        changed: what it becomes.
    """

    file: str
    place: str
    line: int
    operator: str
    old: str
    new: str
    nth: int
    module: cst.Module
    node: cst.CSTNode
    changed: cst.CSTNode

    @property
    def code(self) -> str:
        """The whole module, changed."""
        return str(self.module.deep_replace(self.node, self.changed).code)  # type: ignore[attr-defined]

    @property
    def key(self) -> str:
        """A name that does not change while the place is edited elsewhere."""
        text = "|".join((self.file, self.place, self.operator, self.old, self.new, str(self.nth)))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.place or 'module'}: {self.old} -> {self.new}"


def mutants(root: Path, file: str) -> list[Mutant]:
    """Return every mutant of a module."""
    wrapper = MetadataWrapper(cst.parse_module((root / file).read_text()))
    visitor = _Visitor()
    wrapper.visit(visitor)
    module = wrapper.module
    seen: dict[tuple[str, ...], int] = {}
    found = []
    for place, line, operator, node, changed in visitor.found:
        old, new = _shown(node), _shown(changed)
        same = (place, operator, old, new)
        seen[same] = seen.get(same, 0) + 1
        found.append(Mutant(file, place, line, operator, old, new, seen[same], module, node, changed))
    return found


def _shown(node: cst.CSTNode) -> str:
    return " ".join(cst.Module([]).code_for_node(node).split())


def drop_statement(node: cst.SimpleStatementLine) -> Iterable[cst.CSTNode]:
    """Do not call what is called for its effect."""
    if len(node.body) == 1 and m.matches(node.body[0], m.Expr(m.Call() | m.Await())):
        yield node.with_changes(body=[cst.Pass()])


def turn_condition(node: cst.If | cst.While | cst.CompIf) -> Iterable[cst.CSTNode]:
    """Take the other branch."""
    inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), inner))


def drop_entry(node: cst.Dict) -> Iterable[cst.CSTNode]:
    """Leave an entry of a dict out."""
    for place in range(len(node.elements)):
        yield node.with_changes(elements=[*node.elements[:place], *node.elements[place + 1 :]])


Operator = Callable[[Any], Iterable[cst.CSTNode]]
OPERATORS: list[tuple[Any, Operator]] = [
    *mutation_operators,
    (cst.SimpleStatementLine, drop_statement),
    ((cst.If, cst.While, cst.CompIf), turn_condition),
    (cst.Dict, drop_entry),
]


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []
        self.found: list[tuple[str, int, str, cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Collect the node's mutants and go on below it."""
        if _left_alone(node):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.places.append(node.name.value)
        line = self.get_metadata(PositionProvider, node, None)
        for kinds, operator in OPERATORS:
            if isinstance(node, kinds) and line is not None:
                for changed in _changes(operator, node):
                    self.found.append((".".join(self.places), line.start.line, operator.__name__, node, changed))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Leave a function or class."""
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.places.pop()


def _changes(operator: Operator, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield what an operator makes of a node; of a text only one variant, since another spelling is another text."""
    for number, changed in enumerate(operator(node)):
        if operator.__name__ == "operator_string" and number:
            return
        if not _says_less(node, changed):
            yield changed


def _says_less(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """Whether all that is lost is a text for people, or a guard."""
    if not (isinstance(node, cst.Call) and isinstance(changed, cst.Call)):
        return False
    words = [arg for arg in node.args if arg.keyword is not None and arg.keyword.value in WORDS | GUARDS]
    return any(arg not in changed.args for arg in words)


def _left_alone(node: cst.CSTNode) -> bool:
    """Types, decorators, errors and texts for people."""
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Raise | cst.Import | cst.ImportFrom | cst.FormattedString):
        return True
    if isinstance(node, cst.If) and m.matches(node.test, m.Name("TYPE_CHECKING")):
        return True
    if isinstance(node, cst.Arg):
        return node.keyword is not None and node.keyword.value in WORDS | GUARDS
    return m.matches(node, m.SimpleStatementLine([m.Expr(m.SimpleString())]))
