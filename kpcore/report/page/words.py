"""The question and its answers in words: never more than is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kpcore.evidence.model import Difference, TableEvidence
from kpcore.evidence.signature import PLURAL
from kpcore.records.results import AVERAGE, SplitInfo
from kpcore.report.figures import difference as signed
from kpcore.report.page.folder import Run
from kpcore.report.page.forest import unit
from kpcore.report.page.sets import short
from kpcore.report.summary import below_mean_shape

VERDICTS = {"positive": "Yes, better", "negative": "No, worse", "undecided": "Undecided"}
ALONE = {
    "positive": "Better in these two trainings",
    "negative": "Worse in these two trainings",
    "undecided": "Undecided",
}
SIGNS = {"positive": "▲", "negative": "▼", "undecided": "○"}


@dataclass(frozen=True)
class Answer:
    """What is known of one mode in one split.

    Args:
        mode: its name in tables.
        verdict: "positive", "negative", "undecided" or "unknown".
        word: the verdict as a person says it.
        text: the figures behind it.
        more: what would decide, or what the verdict is not about.
    """

    mode: str
    verdict: str
    word: str
    text: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What a split asks, and the answers, a mode each."""

    split: str
    text: str
    sets: tuple[str, ...]
    answers: tuple[Answer, ...]
    warnings: tuple[str, ...]


def questions(run: Run) -> list[Question]:
    """Return the question of every split with its answers."""
    return [
        Question(split.name, question(run, split), _sets(run, split), tuple(_answers(run, split)),
                 tuple(_warnings(run, split)))
        for split in run.splits
    ]  # fmt: skip


def question(run: Run, split: SplitInfo) -> str:
    """Return what a split asks."""
    if len(split.steps) == 1:
        return "One set of keypoints, learned from scratch: nothing is carried over, so there is nothing to compare."
    before = " then ".join(f"S{number}" for number in range(1, len(split.steps)))
    if not run.results.baseline:
        return f"How well does a network that learned {before} learn S{len(split.steps)}? No mode is the baseline."
    base = run.results.labels[run.results.baseline]
    return f"Does a network that learned {before} learn S{len(split.steps)} better than one by “{base}”?"


def _sets(run: Run, split: SplitInfo) -> tuple[str, ...]:
    body = run.body(split.name)
    return tuple(f"S{number}: {short(names, body)}" for number, names in enumerate(split.steps, 1))


def _answers(run: Run, split: SplitInfo) -> Iterator[Answer]:
    table = run.table(split.name)
    for mode in run.results.modes:
        if mode.name == run.results.baseline or len(split.steps) == 1 or not run.results.baseline:
            continue
        label = run.results.labels[mode.name]
        found = table.difference(mode.name, AVERAGE) if table else None
        if found is None or table is None:
            yield Answer(label, "unknown", "Not known", _why(run, split, mode.name))
        else:
            fewer = tuple(_fewer(run, split.name, mode.name))
            yield Answer(label, found.verdict, word(found), figures(run, found, table), (*_more(found), *fewer))


def word(found: Difference) -> str:
    """Return a verdict as a person says it; of one seed it is no answer to the question, but about two trainings."""
    return (ALONE if found.scope == "these trainings" else VERDICTS)[found.verdict]


def _fewer(run: Run, split: str, mode: str) -> Iterator[str]:
    """Yield what is known of a mode that learned from fewer labels, the most first."""
    for share in run.results.shares[1:]:
        table = run.table(split, share)
        found = table.difference(mode, AVERAGE) if table else None
        images = {row.images for row in run.results.rows_of(split, mode) if row.labels == share and row.images}
        if found is not None and table is not None:
            told = f", {max(images):,} images" if images else ""
            said = word(found).lower()
            yield f"With {share:.0%} of the labels{told}: {said}, {figures(run, found, table)}."


def figures(run: Run, found: Difference, table: TableEvidence) -> str:
    """Return a difference with its interval, and what it was found on."""
    limits = found.interval
    within = f"95% interval {signed(limits.low, run.digits)} to {signed(limits.high, run.digits)}; " if limits else ""
    seeds = f"{len(found.seeds)} seed{'s' * (len(found.seeds) != 1)}"
    lower = "" if table.higher_is_better else ", lower is better"
    return f"{signed(found.value, run.digits)}{unit(run)}{lower} ({within}{seeds}, {people(table)})"


def people(table: TableEvidence) -> str:
    """Return who was scored: "128 people on 120 images"."""
    return f"{table.samples:,} people on {table.clusters:,} {PLURAL[table.cluster_kind]}"


def _more(found: Difference) -> Iterator[str]:
    if found.scope == "these trainings":
        yield "One seed: this is about these two trainings only; others may differ by more."
    limits = found.interval
    if found.verdict == "undecided" and limits and (limits.low > 0 or limits.high < 0):
        yield "By itself the interval leaves out 0; among all differences of this table that is not enough."
    if found.needed is not None:
        yield f"What would decide a difference of this size: {found.needed.text.strip('; ')}."


def _why(run: Run, split: SplitInfo, mode: str) -> str:
    """Return why nothing is known of a mode."""
    rows = run.full.rows_of(split.name, mode)
    failed = next((row.reason for row in rows if row.status == "failed"), "")
    if failed:
        return f"its training failed: {failed}"
    if any(row.status != "done" for row in rows) or not rows:
        return "no training of it has ended yet"
    if not run.finished(split.name, run.results.baseline):
        return "no training of the baseline has ended"
    return "nothing is known of single samples, so no difference can be told from chance"


def _warnings(run: Run, split: SplitInfo) -> Iterator[str]:
    table = run.table(split.name)
    for line in table.warnings if table else ():
        yield f"Negative transfer: {line}."
    below = [
        run.results.labels[mode.name] for mode in run.results.modes if below_mean_shape(run.full, split, mode.name)
    ]
    if below:
        yield (
            f"Worse than the mean shape, which looks at no picture: {', '.join(below)}. Such trainings have learned"
            " next to nothing, and differences between them say little."
        )
