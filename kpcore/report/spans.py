"""Scores and differences with their 95% intervals, as tables print them; and what a table says of its intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kpcore.evidence.counted import counted_once, identical, same_columns
from kpcore.evidence.model import Interval, TableEvidence
from kpcore.records.results import AVERAGE
from kpcore.report.figures import difference, figure

VERDICTS = {"positive": "better", "negative": "worse", "undecided": "undecided", "identical": "identical"}


def span(limits: Interval | None, digits: int) -> str:
    """An interval in brackets, after a space; "" where there is none."""
    return "" if limits is None else f" ({figure(limits.low, digits)} to {figure(limits.high, digits)})"


def signed_span(limits: Interval | None, digits: int) -> str:
    """The same of a difference."""
    return "" if limits is None else f" ({difference(limits.low, digits)} to {difference(limits.high, digits)})"


def score(table: TableEvidence, mode: str, column: str, digits: int) -> str:
    """A mode's mean over seeds with its interval; NaN's sign where it does not exist."""
    found = table.cell(mode, column)
    return figure(None, digits) if found is None else figure(found.value, digits) + span(found.interval, digits)


def compared(table: TableEvidence, mode: str, digits: int) -> str:
    """A mode's average against the baseline's: difference, interval and verdict."""
    found = table.difference(mode, AVERAGE)
    if found is None:
        return figure(None, digits)
    if found.verdict == "identical":
        return "identical"
    alone = " (these two)" if found.scope == "these trainings" and found.verdict in ("positive", "negative") else ""
    return f"{difference(found.value, digits)}{signed_span(found.interval, digits)}, {VERDICTS[found.verdict]}{alone}"


def several(table: TableEvidence) -> bool:
    """Whether any mode has more than one seed."""
    return any(len(cell.seeds) > 1 for cell in table.cells)


def remarks(labels: Mapping[str, str], table: TableEvidence, digits: int) -> Iterator[str]:
    """What the intervals are, which columns differ beyond doubt, and what would decide the rest.

    Args:
        labels: mode -> what it is called.
        table: of them.
        digits: decimals that are printed.
    """
    one_seed = "other samples, with these trainings; one seed says nothing of others"
    yield f"Intervals: 95%, over {'other samples and other seeds' if several(table) else one_seed}."
    if table.differences:
        count = table.counted
        yield (
            f"vs {table.baseline}: the difference of the averages{_to(labels, table)}, paired by sample and seed;"
            f" whether it is told from chance is after Holm's correction over the table's {count}"
            f" difference{'s' * (count != 1)}."
        )
        yield from not_counted(labels, table)
    yield from (f"{note[0].upper()}{note[1:]}." for note in table.notes)
    yield from _told(labels, table, digits)
    yield from (
        f"{labels[one.mode]}: to decide a difference of this size: {one.needed.text.strip('; ')}."
        for one in table.differences
        if one.column == AVERAGE and one.needed is not None and one.same_as is None
    )


def _to(labels: Mapping[str, str], table: TableEvidence) -> str:
    """The baseline as its row is called, where its column is called otherwise."""
    label = labels[table.baseline]
    return "" if label == table.baseline else f" to {label}"


def not_counted(labels: Mapping[str, str], table: TableEvidence) -> Iterator[str]:
    """What is no difference of its own, a line a kind: the same trainings or values, and what is zero throughout."""
    once = counted_once(table.differences, labels, table.trainings)
    once += [f"{name} is {first} alone" for name, first in same_columns(table.differences)]
    if once:
        yield f"Counted once: {'; '.join(once)}."
    alike = {
        mode: columns
        for mode, columns in identical(table.differences).items()
        if table.trainings.get(mode) != table.baseline
    }
    if alike:
        said = [labels[mode] + (f" at {', '.join(columns)}" if columns else "") for mode, columns in alike.items()]
        yield f"Identical, sample by sample, to {labels[table.baseline]}, and not counted: {'; '.join(said)}."


def _told(labels: Mapping[str, str], table: TableEvidence, digits: int) -> Iterator[str]:
    """A line a mode on the columns in which it is told from the baseline, the better ones first."""
    for word, verdict in (("better", "positive"), ("worse", "negative")):
        told = [one for one in table.differences if one.verdict == verdict and one.column != AVERAGE]
        for mode in dict.fromkeys(one.mode for one in told):
            columns = ", ".join(
                f"{one.column} {difference(one.value, digits)}{signed_span(one.interval, digits)}"
                for one in told
                if one.mode == mode
            )
            these = "" if several(table) else ", as far as these two trainings go"
            yield f"{labels[mode]} is {word} than {labels[table.baseline]} at {columns}{these}."
