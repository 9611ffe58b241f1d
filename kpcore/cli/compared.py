"""How ``kp eval`` prints intervals, and several files beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpcore.cli.output import number, print_lines, print_table

if TYPE_CHECKING:
    from kpcore.evaluation.score import Result
    from kpcore.evidence.model import Difference, Interval, TableEvidence

AVERAGE = "average"


def names_of(paths: list[Path]) -> dict[str, Path]:
    """Return what each file is called: its name, or its path where two have one name.

    Raises:
        KpError: a file is there twice.
    """
    from kpcore.errors import KpError

    places = [path.resolve() for path in paths]
    twice = [path for path, place in zip(paths, places, strict=True) if places.count(place) > 1]
    if twice:
        raise KpError(f"{twice[0]} is there twice; give every file once")
    names = [path.name for path in paths]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in paths}


def known(results: Mapping[str, Result]) -> TableEvidence:
    """Return intervals of the scores, and the differences to the first."""
    from kpcore import __version__
    from kpcore.evaluation.together import together
    from kpcore.evidence.tables import table

    names = list(results)
    values = together(results, results[names[0]].split)
    baseline = names[0] if len(names) > 1 else ""
    return table(values, values.rows, names, baseline, versions={"kptransfer": __version__}, trainings=False)


def intervals(found: TableEvidence, name: str) -> dict[str, list[float] | None]:
    """Return a file's intervals as JSON: column -> its ends, None where there is none."""
    cells = [cell for cell in found.cells if cell.mode == name]
    return {cell.column: [cell.given.low, cell.given.high] if cell.given else None for cell in cells}


def difference(one: Difference, margin: float | None, higher_is_better: bool) -> dict[str, Any]:
    """Return a difference to the first file as JSON."""
    return {
        "file": one.mode,
        "column": one.column,
        "difference": one.value,
        "interval": [one.given.low, one.given.high] if one.given else None,
        "p": one.p,
        "p_holm": one.adjusted,
        "verdict": one.verdict,
        "needed": one.needed.text if one.needed else None,
        **({} if margin is None else {"no_worse": one.no_worse(margin, higher_is_better=higher_is_better)}),
    }


def limits(interval: Interval | None, sign: str = "") -> str:
    """Return an interval for a table: "81.2 to 83.0"."""
    return f"{interval.low:{sign}.2f} to {interval.high:{sign}.2f}" if interval else "-"


def print_compared(results: Mapping[str, Result], found: TableEvidence, average: str, margin: float | None) -> None:
    """Print scores beside each other, the differences to the first, and what they are.

    Args:
        results: by file.
        found: their intervals.
        average: what the metric calls it.
        margin: that "no worse" is asked for, None where it is not.
    """
    first = next(iter(results.values()))
    print_lines([f"{first.data}, part {first.part}, {first.people:,} samples: {first.convention}", *_left_out(results)])
    print_lines([*(f"{name}, by image name: {one.unmatched}" for name, one in results.items() if one.unmatched), ""])
    shown = dict(zip((*found.columns, AVERAGE), (*found.columns, average), strict=True))
    heads = ["score", "95%"]
    cells = [[cell.mode, shown[cell.column], number(cell.value, 2), limits(cell.given)] for cell in found.cells]
    print_table(["file", "column", *heads], cells, right=heads)
    print_differences(found, shown, margin)
    print_lines(
        [
            "",
            *(one.needed.text for one in found.differences if one.needed and one.column == AVERAGE),
            *found.notes,
            found.signature,
        ]
    )
    if first.note:
        print_lines(["", first.note])


def _left_out(results: Mapping[str, Result]) -> list[str]:
    """Return a line a file of which keypoints are not scored, because another file or the split lacks them."""
    from kpcore.errors import listed

    return [
        f"{name} also predicts {listed(one.not_scored)}: not scored" for name, one in results.items() if one.not_scored
    ]


def print_differences(found: TableEvidence, shown: Mapping[str, str], margin: float | None) -> None:
    """Print a table a file, a line a difference to the first; see :func:`print_compared`."""
    heads = ["difference", "95%", "p (Holm)"]
    more = [] if margin is None else [f"no worse by {margin:g}"]
    for name in dict.fromkeys(one.mode for one in found.differences):
        print_lines(
            [
                "",
                f"{name} minus {found.baseline}, paired by sample; p values corrected for {found.counted}"
                f" difference{'s' * (found.counted != 1)}:",
            ]
        )
        rows = [_row(one, shown, margin, found) for one in found.differences if one.mode == name]
        print_table(["column", *heads, "verdict", *more], rows, right=heads, whole=["verdict"])
    from kpcore.report.spans import not_counted

    print_lines(not_counted({cell.mode: cell.mode for cell in found.cells}, found))


def _row(one: Difference, shown: Mapping[str, str], margin: float | None, found: TableEvidence) -> list[str]:
    no_worse = [] if margin is None else [one.no_worse(margin, higher_is_better=found.higher_is_better)]
    return [
        shown[one.column],
        f"{one.value:+.2f}",
        limits(one.given, "+"),
        "<0.001" if one.adjusted < 0.001 else f"{one.adjusted:.3f}",
        one.verdict,
        *("yes" if told else "not shown" for told in no_worse),
    ]
