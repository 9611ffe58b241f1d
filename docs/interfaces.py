"""The reference page of the interfaces, from the docstrings and signatures of their source.

The source is read, not imported, so that the page is the same in every version of Python.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

CORE = Path(__file__).parents[1] / "kpcore"
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Yields")
CONTENTS: dict[str, tuple[str, ...]] = {
    "Every component": ("interfaces.component Component ComponentConfig", "errors KpError unknown", "tensors *"),
    "Keypoints and splits": (
        "keypoints Keypoint Skeleton KeypointSet Column Step KeypointSplit default_columns",
        "interfaces.split Split",
    ),
    "Data sets": (
        "interfaces.dataset Dataset Facts Near",
        "interfaces.download Download Licence",
        "findings Finding",
        "samples Sample",
        "interfaces.generator Generator",
    ),
    "Networks": ("interfaces.backbone Backbone", "network Network"),
    "Targets, loss and decoding": ("interfaces.codec Codec Targets",),
    "Metrics": ("interfaces.metric Metric Scores", "terms Terms", "samples Instances"),
    "Transfer modes": (
        "interfaces.strategy TransferStrategy Need",
        "plans Layout NetworkSpec TensorSpec KeypointAxis TransferPlan Origin NEW fresh_origins Thaw ExtraLoss",
        "training.step StepBatch",
    ),
    "Formats of predictions": ("interfaces.writer Writer Sink Predicted About Category Identity",),
    "Trackers": ("interfaces.tracker Tracker Track Ending",),
    "Hooks": ("hooks *",),
    "For readers of files": (
        "reading.roots existing_root",
        "reading.opening guarded read_text read_json",
        "reading.csv_rows csv_rows",
        "reading.matlab load",
        "reading.hdf5 own",
        "reading.paths image_path",
        "reading.images image_size",
        "reading.skeletons sided_keypoints",
        "reading.held_out held_out",
    ),
}
"""Heading -> modules of kpcore, each with the names that are shown; * shows all that has a docstring."""
OPENING = """# Interfaces

Generated from the source by `python docs/generate.py`: what a [plugin](../how-to/write-a-plugin.md) supplies, and what
it is given. A component subclasses `Dataset`, `Generator`, `Backbone`, `Split`, `TransferStrategy`, `Codec`,
`Metric`, `Writer` or `Tracker`; everything else here is handed to it, or made by it.
"""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def interfaces() -> str:
    """Return the page."""
    lines = OPENING.splitlines()
    for heading, modules in CONTENTS.items():
        lines += ["", f"## {heading}"]
        for entry in modules:
            module, *names = entry.split()
            lines += [line for name, part in _parts(module, names) for line in ("", f"### {name}", "", *part)]
    return "\n".join(lines) + "\n"


def markdown(docstring: str) -> Iterator[str]:
    """Yield a Google-style docstring's lines as Markdown: sections become lists, roles and literals become code."""
    section = ""
    for line in inspect.cleandoc(docstring).splitlines():
        indent = len(line) - len(line.lstrip())
        text = line.strip() if indent >= 4 and not section else _inline(line.strip())  # indented so, it is code
        if line.endswith(":") and line[:-1] in SECTIONS:
            section = line[:-1]
            yield f"*{section}*"
            yield ""
        elif not section or not indent:
            section = section if not line else ""
            yield " " * indent + (text[:-1] if text.endswith("::") else text)
        elif indent == 4 and section not in ("Returns", "Yields"):
            name, _, said = text.partition(": ")
            yield f"- `{name}`: {said}"
        else:
            yield text if indent == 4 else f"  {text}"


def _inline(text: str) -> str:
    named = re.sub(r":\w+:`~?(?:kpcore\.(?:[a-z_]+\.)*)?([A-Z][\w.]*)`", r"`\1`", text)
    marked = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", named).replace("``", "`")
    return "`".join(part if place % 2 else html_as_text(part) for place, part in enumerate(marked.split("`")))


def html_as_text(text: str) -> str:
    """Return text outside code so that ``<name>`` is shown, rather than taken for a tag."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)


def _parts(module: str, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, Markdown lines) of what is shown of a module, in the order asked for."""
    source = (CORE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    pairs = zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True)
    found = {name: part for node, after in pairs for name, part in _part(node, after, source)}
    if names == ["*"]:
        yield f"kpcore.{module}", list(markdown(ast.get_docstring(tree) or ""))
        yield from found.items()
        return
    path = "kpcore.interfaces" if module == "findings" or module.startswith("interfaces.") else f"kpcore.{module}"
    for name in names:
        yield name, [f"`from {path} import {name}`", "", *found[name]]


def _part(node: ast.stmt, after: ast.stmt, source: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and lines of a class, a function, or a constant whose docstring follows it."""
    if isinstance(node, ast.ClassDef):
        yield node.name, list(_class(node, source))
    elif isinstance(node, Function) and ast.get_docstring(node):
        yield node.name, list(_function(node, source))
    elif (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    ):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        yield ast.unparse(target), [*_code(_lines(node, source)), "", *markdown(str(after.value.value))]


def _class(node: ast.ClassDef, source: str) -> Iterator[str]:
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and not _name(one.target).startswith("_")]
    start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    head = [line.partition("  # noqa")[0] for line in source.splitlines()[start - 1 : node.lineno]]
    yield from _code([*head, *(line for one in fields for line in _lines(one, source))])
    yield ""
    yield from markdown(ast.get_docstring(node) or "")
    methods = [one for one in node.body if isinstance(one, Function) and not one.name.startswith("_")]
    must = [one for one in methods if "abstractmethod" in map(_name, one.decorator_list)]
    yield from _methods("Must be supplied:" if must else "", must, source, defaults=False)
    rest = [one for one in methods if one not in must]
    yield from _methods("May be overridden:" if must and rest else "", rest, source, defaults=bool(must))


def _methods(title: str, methods: list[Function], source: str, *, defaults: bool) -> Iterator[str]:
    if title:
        yield from ("", f"**{title}**")
    for one in methods:
        yield from ("", f"#### {one.name}", "", *_function(one, source))
        returned = one.body[-1]
        if defaults and isinstance(returned, ast.Return) and returned.value and _is_short(one):
            yield from ("", f"By default: `{' '.join(str(ast.get_source_segment(source, returned.value)).split())}`")


def _is_short(node: Function) -> bool:
    """Whether the body is one return, docstring and unused arguments aside."""
    return all(isinstance(one, ast.Expr | ast.Delete) for one in node.body[:-1])


def _function(node: Function, source: str) -> Iterator[str]:
    kept = [f"@{ast.unparse(one)}" for one in node.decorator_list if _name(one) not in ("abstractmethod", "hookspec")]
    signature = source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    yield from _code([*kept, *textwrap.dedent("\n".join(signature)).splitlines()])
    yield ""
    yield from markdown(ast.get_docstring(node) or "")


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _lines(node: ast.stmt, source: str) -> list[str]:
    return source.splitlines()[node.lineno - 1 : node.end_lineno]


def _code(lines: list[str]) -> list[str]:
    return ["```python", *lines, "```"]
