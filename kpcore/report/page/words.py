"""The question and its answers in words: never more than is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kpcore.evidence.labels import Saved
from kpcore.evidence.model import Difference, TableEvidence
from kpcore.evidence.signature import PLURAL
from kpcore.records.results import AVERAGE, SplitInfo
from kpcore.report.figures import difference as signed
from kpcore.report.page.folder import Run
from kpcore.report.page.forest import unit
from kpcore.report.page.sets import short
from kpcore.report.summary import below_mean_shape

VERDICTS = {"positive": "Yes, better", "negative": "No, worse", "undecided": "Undecided", "identical": "Identical"}
AS_CONTROL = {"positive": "Better", "negative": "Worse", "undecided": "Undecided", "identical": "Identical"}
"""Of a mode that carries no network of S1 over: the question of transfer is not put to it."""
ALONE = {
    "positive": "Better in these two trainings",
    "negative": "Worse in these two trainings",
    "undecided": "Undecided",
    "identical": "Identical",
}
ONE_SEED = "One seed: this is about these two trainings only; others may differ by more."
BARELY = "By itself the interval leaves out 0; among all differences of this table that is not enough."
UNTOLD = "How many labels are saved cannot be told from these trainings."
LITTLE = "Such trainings have learned next to nothing, and differences between them say little."
"""Said of modes that the mean shape is better than."""
SIGNS = {"positive": "▲", "negative": "▼", "undecided": "○", "identical": "="}


@dataclass(frozen=True)
class Answer:
    """What is known of one mode in one split.

    Args:
        mode: its name in tables.
        verdict: "positive", "negative", "undecided" or "unknown".
        word: the verdict as a person says it.
        text: the figures behind it, or why there are none.
        found: what it is made of; None of an unknown one.
        alone: whether it is about one seed's two trainings, and no others.
        barely: whether its interval leaves out 0 and its verdict is undecided all the same.
        needed: what would decide it; "" where it is decided or that is not known.
        fewer: what is known with fewer labels, a sentence a share.
        control: whether the mode carries no network that learned S1 over.
    """

    mode: str
    verdict: str
    word: str
    text: str
    found: Difference | None = None
    alone: bool = False
    barely: bool = False
    needed: str = ""
    fewer: tuple[str, ...] = ()
    control: bool = False

    @property
    def more(self) -> tuple[str, ...]:
        """All that is said after the figures."""
        said = [ONE_SEED] * self.alone + [BARELY] * self.barely + [self.needed] * bool(self.needed)
        return (*said, *self.fewer)


@dataclass(frozen=True)
class Question:
    """What a split asks, and what is known of it.

    Args:
        split: its name.
        text: the question.
        sets: what S1, S2, ... are, in few words.
        answers: a mode each.
        negative: where a mode is worse than the baseline.
        below: modes that the mean shape is better than.
        saved: what a mode saves of labels, a sentence a mode of which that is told.
        controls: the question that is put to controls.
    """

    split: str
    text: str
    sets: tuple[str, ...]
    answers: tuple[Answer, ...]
    negative: tuple[str, ...]
    below: tuple[str, ...]
    saved: tuple[str, ...] = ()
    controls: str = ""

    @property
    def asked(self) -> list[tuple[str, tuple[Answer, ...]]]:
        """The questions with their answers: that of transfer, and that of controls where there are any."""
        carried, controls = (tuple(one for one in self.answers if one.control is of) for of in (False, True))
        first = [(self.text, carried)] if carried or not controls else []
        return [*first, *([(self.controls, controls)] if controls else [])]

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that a reader should be warned of."""
        return (*self.negative, *([f"{below_shape(self.below)} {LITTLE}"] if self.below else []))


def questions(run: Run) -> list[Question]:
    """Return the question of every split with its answers."""
    return [
        Question(split.name, question(run, split), _sets(run, split), tuple(_answers(run, split)),
                 tuple(_negative(run, split)), tuple(_below(run, split)), tuple(_saved_first(run, split.name)),
                 of_controls(run))
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
    return f"Does a network that learned {before} learn S{len(split.steps)} better than “{base}”?"


def of_controls(run: Run) -> str:
    """Return what is asked of controls; "" without a baseline."""
    base = run.results.labels.get(run.results.baseline)
    what = "Do the controls, which do not start from a network that learned S1, score better than"
    return f"{what} “{base}”?" if base else ""


def _sets(run: Run, split: SplitInfo) -> tuple[str, ...]:
    body = run.body(split.name)
    return tuple(f"S{number}: {short(names, body)}" for number, names in enumerate(split.steps, 1))


def _answers(run: Run, split: SplitInfo) -> Iterator[Answer]:
    table = run.table(split.name)
    for mode in run.results.modes:
        if mode.name == run.results.baseline or len(split.steps) == 1 or not run.results.baseline:
            continue
        label, control = run.results.labels[mode.name], not run.carries(mode.name)
        found = table.difference(mode.name, AVERAGE) if table else None
        if found is None or table is None:
            yield Answer(label, "unknown", "Not known", _why(run, split, mode.name), control=control)
        else:
            yield Answer(
                label, found.verdict, word(found, control=control), figures(run, found, table), found,
                found.scope == "these trainings", _barely(found), _needed(found),
                tuple(_fewer(run, split.name, mode.name)), control,
            )  # fmt: skip


def word(found: Difference, *, control: bool = False) -> str:
    """Return a verdict as a person says it; of one seed it is no answer to the question, but about two trainings."""
    return (ALONE if found.scope == "these trainings" else AS_CONTROL if control else VERDICTS)[found.verdict]


def _fewer(run: Run, split: str, mode: str) -> Iterator[str]:
    """Yield what is known of a mode that learned from fewer labels, the most first."""
    for share in run.results.shares[1:]:
        table = run.table(split, share)
        found = table.difference(mode, AVERAGE) if table else None
        images = {row.images for row in run.results.rows_of(split, mode) if row.labels == share and row.images}
        if found is not None and table is not None:
            told = f", {max(images):,} images" if images else ""
            said = word(found, control=not run.carries(mode)).lower()
            yield f"With {share:.0%} of the labels{told}: {said}, {figures(run, found, table)}."


def saved(run: Run, split: str) -> Iterator[tuple[Saved, str]]:
    """Yield with how many images the baseline scores as a mode and share of the labels does, and the sentence on it."""
    found = run.evidence.by_labels(split) if run.evidence else None
    labels = run.results.labels
    for one in found.saved if found else ():
        yield one, f"{one.sentence(labels[one.mode], labels[run.results.baseline])}."


def _saved_first(run: Run, split: str) -> Iterator[str]:
    """Yield a sentence a mode: on the fewest images of which anything is told; one on all where nothing is."""
    every = list(saved(run, split))
    told = {one.mode: text for one, text in reversed(every) if one.told}
    if every and not told:
        yield UNTOLD
    yield from reversed(told.values())


def averages(run: Run) -> dict[str, tuple[float, int]]:
    """Return the mean of each mode's differences over the splits that have one, and how many these are; by label."""
    found: dict[str, list[float]] = {}
    for split in run.splits:
        table = run.table(split.name)
        for one in table.differences if table else ():
            if one.column == AVERAGE:
                found.setdefault(run.results.labels[one.mode], []).append(one.value)
    return {mode: (sum(values) / len(values), len(values)) for mode, values in found.items()}


def overall(run: Run) -> str:
    """Return one sentence on the mean of each mode's differences over the splits; "" of a single split."""
    found = averages(run)
    counts = {count for _, count in found.values()}
    if max(counts, default=0) < 2:
        return ""
    said = [
        f"{mode} {signed(value, run.digits)}{unit(run)}" + (f" ({count} of them)" if len(counts) > 1 else "")
        for mode, (value, count) in found.items()
    ]
    return f"On average over {max(counts)} splits (a plain mean, no interval): {', '.join(said)}."


def figures(run: Run, found: Difference, table: TableEvidence) -> str:
    """Return a difference with its interval, and what it was found on."""
    limits = f"95% interval {span(run, found)}; " if found.interval else ""
    lower = "" if table.higher_is_better else ", lower is better"
    return f"{signed(found.value, run.digits)}{unit(run)}{lower} ({limits}{seeds(found)}, {samples(table)})"


def span(run: Run, found: Difference) -> str:
    """Return a difference's interval: "+0.3 to +2.1", "" where there is none."""
    limits = found.interval
    return f"{signed(limits.low, run.digits)} to {signed(limits.high, run.digits)}" if limits else ""


def seeds(found: Difference) -> str:
    """Return how many seeds a difference is found on."""
    return f"{len(found.seeds)} seed{'s' * (len(found.seeds) != 1)}"


def samples(table: TableEvidence) -> str:
    """Return what was scored: "128 samples on 120 images"."""
    return f"{table.samples:,} samples on {table.clusters:,} {PLURAL[table.cluster_kind]}"


def _barely(found: Difference) -> bool:
    limits = found.interval
    return found.verdict == "undecided" and limits is not None and (limits.low > 0 or limits.high < 0)


def _needed(found: Difference) -> str:
    return f"What would decide a difference of this size: {found.needed.text.strip('; ')}." if found.needed else ""


def _why(run: Run, split: SplitInfo, mode: str) -> str:
    """Return why nothing is known of a mode."""
    rows = run.full.rows_of(split.name, mode)
    failed = next((row.reason for row in rows if row.status == "failed"), "")
    if failed:
        return f"Its training failed: {failed}"
    if any(row.status != "done" for row in rows) or not rows:
        return "No training of it has ended yet"
    if not run.finished(split.name, run.results.baseline):
        return "No training of the baseline has ended"
    table = run.table(split.name)
    few = [note for note in table.notes if AVERAGE in note] if table else []
    if few:
        return few[0][0].upper() + few[0][1:]
    return "Nothing is known of single samples, so no difference can be told from chance"


def _negative(run: Run, split: SplitInfo) -> Iterator[str]:
    table, labels = run.table(split.name), run.results.labels
    for one in (*table.differences, *table.groups) if table else ():
        if one.verdict == "negative":
            limits = f" ({span(run, one)})" if one.interval else ""
            what = "Negative transfer: " if run.carries(one.mode) else ""
            against = f"{labels[one.mode]}, worse than {labels[run.results.baseline]} at {one.column}"
            yield f"{what}{against}: {signed(one.value, run.digits)}{limits}."


def _below(run: Run, split: SplitInfo) -> Iterator[str]:
    for mode in run.results.modes:
        if below_mean_shape(run.full, split, mode.name):
            yield run.results.labels[mode.name]


def below_shape(names: Iterable[str]) -> str:
    """Return a sentence on modes that the mean shape is better than."""
    return f"Worse than the mean shape, which looks at no picture: {', '.join(names)}."
