"""What ``kp models import`` and ``kp models rules`` print."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpcore.cli.output import print_json, print_lines, print_table
from kpcore.errors import FaultsError, listed, unknown

if TYPE_CHECKING:
    from kpcore.registry import Registry
    from kpcore.trained.importing.matching import Line, Match
    from kpcore.trained.importing.whole import Import

MOST = 20
"""Faults that are told one by one."""
UNITS = 6
"""Units of a network that a row of counts names."""


def finish(found: Import, out: Path, *, every: bool, as_json: bool) -> None:
    """Print what became of every tensor, and write the folder.

    Raises:
        FaultsError: tensors do not fit; a line each, and nothing is written.
        KpError: the folder cannot be written.
    """
    from kpcore.trained.importing.whole import write_import

    faults = found.match.faults
    if not faults:
        write_import(found, out)
    if as_json:
        print_json(record(found, out))
    else:
        show(found, every=every)
    if faults:
        more = [f"and {len(faults) - MOST} more (--all lists them)"] if len(faults) > MOST else []
        raise FaultsError([*map(told, faults[:MOST]), *more, f"{out}: not written; mend the rules or the options"])
    if not as_json:
        use = (
            f"'kp predict {out} PICTURES' uses it" if found.model.trained_on else f'train it: [source] model = "{out}"'
        )
        print_lines([f"wrote {out}: model.json and weights.safetensors; {use}"])


def told(line: Line) -> str:
    """Return a fault as one line."""
    return f"{line.status}: {line.tensor or line.target}: {line.note}"


def record(found: Import, out: Path) -> dict[str, Any]:
    """Return an import as JSON."""
    return {
        "written": None if found.match.faults else str(out),
        "counts": dict(Counter(line.status for line in found.match.lines)),
        "tensors": [{**vars(line), "shape": list(line.shape)} for line in found.match.lines],
        "said": list(found.said),
    }


def show(found: Import, *, every: bool) -> None:
    """Print a table of tensors, or of their counts; and what was said."""
    if every:
        rows = [[line.status, line.tensor, line.target, _shape(line), line.note] for line in found.match.lines]
        print_table(["", "in the file", "here", "shape", ""], rows)
    else:
        print_table(["", "tensors", "where", ""], counts(found.match), right=["tensors"])
    print_lines(found.said)


def counts(match: Match) -> list[list[str]]:
    """Return a row for every status: how many, in which units of the network, by which rules."""
    rows = []
    for status in dict.fromkeys(line.status for line in match.lines):
        lines = match.of(status)
        units = dict.fromkeys(line.target.partition(".")[0] for line in lines if line.target)
        rules = dict.fromkeys(line.note for line in lines if status in ("dropped", "new"))
        rows.append([status, str(len(lines)), listed(units, UNITS) if units else "the file alone", ", ".join(rules)])
    return rows


def _shape(line: Line) -> str:
    return " x ".join(map(str, line.shape)) or "1"


def list_rules(known: Registry) -> None:
    """Print the rules that there are."""
    from kpcore.trained.importing.rules import read_rules

    rows = [[name, read_rules(name, known)[1].about] for name in known.weight_rules()]
    print_table(["rules", "of"], rows, whole=["rules"])


def print_rules(name: str, known: Registry) -> None:
    """Print the text of rules; raises KpError where there are none of that name."""
    supplied = known.weight_rules()
    if name not in supplied:
        raise unknown("rules", name, supplied)
    print(supplied[name].read_text(encoding="utf-8"), end="")
