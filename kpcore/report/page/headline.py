"""The first lines of a page: what all splits of a study say together, in a sentence or two."""

from __future__ import annotations

from kpcore.evidence.model import Difference
from kpcore.records.results import AVERAGE
from kpcore.report.figures import figure
from kpcore.report.page.folder import Run
from kpcore.report.page.forest import unit

MOST = 4
"""Modes that are named; those that carry a network of S1 over come first."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def headline(run: Run) -> list[str]:
    """Return how many differences of the averages are decided, and on which side each mode's lie; none without any."""
    found = {mode.name: _differences(run, mode.name) for mode in run.results.modes}
    every = [one for own in found.values() for one in own]
    if not every:
        return []
    alone = " between two trainings each" if any(one.scope == "these trainings" for one in every) else ""
    lower = "" if run.results.higher_is_better else "; lower is better"
    compared = [mode for mode, own in found.items() if own]
    named = ([mode for mode in compared if run.carries(mode)] or compared)[:MOST]
    rest = len(compared) - len(named)
    more = [f"{rest} more mode{'s' * (rest > 1)}: see below."] if rest else []
    return [" ".join([f"{_decided(every)}{alone}{lower}.", *(_side(run, mode, found[mode]) for mode in named), *more])]


def _differences(run: Run, mode: str) -> list[Difference]:
    tables = [run.table(split.name) for split in run.splits]
    found = [table.difference(mode, AVERAGE) for table in tables if table]
    return [one for one in found if one is not None]


def _decided(every: list[Difference]) -> str:
    better, worse = (sum(one.verdict == verdict for one in every) for verdict in ("positive", "negative"))
    what = f"{better + worse} of {len(every)} difference{'s' * (len(every) > 1)} decided"
    parts = [f"{count} {word}" for count, word in ((better, "better"), (worse, "worse")) if count]
    return f"{what} ({', '.join(parts)})" if parts else what


def _side(run: Run, mode: str, own: list[Difference]) -> str:
    """Return on which side of the baseline a mode's scores lie, in how many splits, and by how much."""
    labels, sign = run.results.labels, 1 if run.results.higher_is_better else -1
    rounded = [sign * round(one.value, run.digits) for one in own]
    parts = []
    for word, values in (
        ("ahead of", [value for value in rounded if value > 0]),
        ("behind", [-value for value in rounded if value < 0]),
    ):
        if values:
            where = _places(len(values), len(own))
            parts.append(f"{word} {labels[run.results.baseline]}{where} by {_by(run, values)}")
    if level := rounded.count(0):
        parts.append(f"level with {labels[run.results.baseline]} {_places(level, len(own))}")
    return f"{labels[mode]}: {'; '.join(parts).rstrip(',')}."


def _places(count: int, every: int) -> str:
    """Return where, " in all four splits,"; nothing of one split."""
    if every == 1:
        return ""
    whole = "both" if every == 2 else f"all {_word(every)}"
    return f" in {whole if count == every else f'{_word(count)} of {_word(every)}'} splits,"


def _word(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _by(run: Run, values: list[float]) -> str:
    low, high = (figure(value, run.digits) for value in (min(values), max(values)))
    return f"{low if low == high else f'{low} to {high}'}{unit(run)}"
