"""The last lines of ``kp run``: the page's own sentences, as many of them as ten lines of a terminal hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kpcore.errors import visible
from kpcore.evidence.needed import times
from kpcore.report.breaking import broken
from kpcore.report.figures import difference
from kpcore.report.page.folder import Run
from kpcore.report.page.forest import unit
from kpcore.report.page.how import spent
from kpcore.report.page.words import (
    BARELY,
    ONE_SEED,
    SIGNS,
    UNTOLD,
    Answer,
    Question,
    averages,
    below_shape,
    overall,
    questions,
    samples,
    seeds,
    span,
)
from kpcore.report.terminal import WIDEST

LINES = 10
"""That all is said in, above where the page lies, where any level of detail allows it."""
INDENT = "  "
"""Before what goes on from the line above."""
NAMED = 4
"""Splits, or answers of one verdict, that are named where all are too many."""
CAUTION = "still worse than the mean shape"
WORDS = {
    "positive": "better",
    "negative": "worse",
    "undecided": "undecided",
    "identical": "identical",
    "unknown": "not known",
}
STYLES = {SIGNS["positive"]: "green", SIGNS["negative"]: "red"}

Placed = tuple[str, Answer]
"""A split's name and one answer of it."""


@dataclass(frozen=True)
class Level:
    """How much is said: how the answers are told, whether the sets are, and all else, or the first of each kind."""

    answers: Callable[[Run, Sequence[Question]], Iterator[str]]
    sets: bool = False
    whole: bool = False


def print_ending(run: Run, console: Console, page: str = "") -> None:
    """Print the question and the answer in words, and where the page lies ("" where there is none)."""
    width = min(console.width, WIDEST)
    first, *rest = ending(run, width)
    console.print(Text(first, style="bold"))
    for line in rest:
        text = Text(line)
        text.stylize(STYLES.get(line[:1], ""), 0, 1)
        console.print(text)
    if page:
        console.print(f"To be read in a browser: {page}", soft_wrap=True, markup=False, highlight=False)


def ending(run: Run, width: int, lines: int = LINES) -> list[str]:
    """Return the question and the answer in words, in as many of ``lines`` lines of that width as they take.

    The more splits and modes there are, the less is said of each; the last level is said whatever it takes.

    Args:
        run: the study; its results, evidence, timing and body are looked at.
        width: columns of the terminal.
        lines: that it may take.
    """
    asked = questions(run)
    made: list[str] = []
    for level in LEVELS:
        made = [line for text in _sentences(run, asked, level) for line in _lines(text, width)]
        if len(made) <= lines:
            return made
    return made


def _sentences(run: Run, asked: Sequence[Question], level: Level) -> Iterator[str]:
    """Yield what is said at a level, a sentence or a line each."""
    yield from dict.fromkeys(text for one in asked for text, _ in one.asked)
    if level.sets:
        yield from (_of(asked, one, f"{'; '.join(one.sets)}.") for one in asked)
    if any(one.answers for one in asked):
        yield from level.answers(run, asked)
    if any(answer.alone for one in asked for answer in one.answers):
        yield ONE_SEED
    yield from _warnings(run, asked, level)
    yield from _saved(asked, level)
    yield from _needed(asked, level)
    if cost := spent(run):
        yield cost


def _of(asked: Sequence[Question], one: Question, line: str) -> str:
    return f"Split {one.split}: {line}" if len(asked) > 1 else line


def _some(lines: Iterable[str], level: Level) -> Iterator[str]:
    """Yield all lines, or at a level that is not whole the first, with how many more there are."""
    first, *rest = list(lines) or [""]
    if level.whole:
        yield from [line for line in (first, *rest) if line]
    elif first:
        yield first + (f" (And {len(rest)} more: see the page.)" if rest else "")


def _warnings(run: Run, asked: Sequence[Question], level: Level) -> Iterator[str]:
    if level.whole:
        yield from (_of(asked, one, line) for one in asked for line in one.warnings)
        return
    yield from _some((_of(asked, one, line) for one in asked for line in one.negative), level)
    below: dict[str, list[str]] = {}
    for one in asked:
        for mode in one.below:
            below.setdefault(mode, []).append(one.split)
    if len(below) == len(run.results.modes) and all(len(names) == len(asked) for names in below.values()):
        yield below_shape(["all modes"])
    elif below:
        yield below_shape(f"{mode} ({_places(names)})" if len(asked) > 1 else mode for mode, names in below.items())


def _places(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join([*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])])


def _saved(asked: Sequence[Question], level: Level) -> Iterator[str]:
    """Yield what is saved of labels; what cannot be told is said once."""
    lines = [_of(asked, one, line) for one in asked for line in one.saved if line != UNTOLD]
    if not lines and any(one.saved for one in asked):
        yield UNTOLD
    yield from _some(lines, level)


def _needed(asked: Sequence[Question], level: Level) -> Iterator[str]:
    """Yield what would decide each undecided answer; or where that is not all told, what takes the fewest seeds."""
    placed = [(one.split, answer) for one in asked for answer in one.answers if answer.needed]
    if level.whole:
        for split, answer in placed:
            where = f", split {split}" if len(asked) > 1 else ""
            yield f"{answer.mode}{where}: {answer.needed[0].lower()}{answer.needed[1:]}"
        return
    within = [(effort, split, answer.mode) for split, answer in placed if (effort := _effort(answer))]
    if within:
        (_, _, text), split, mode = min(within)
        yield f"Nearest to a verdict: {mode}{f', split {split}' if len(asked) > 1 else ''} ({text})."
    elif placed and not any(answer.alone for _, answer in placed):
        yield "No number of seeds or samples within reach would decide what is undecided."


def _effort(answer: Answer) -> tuple[int, float, str] | None:
    """What would decide an answer, as it sorts: seeds before samples; None where nothing within reach would.

    Of one seed nothing is told: more samples would decide about its two trainings alone.
    """
    needed = answer.found.needed if answer.found else None
    if needed is None or answer.alone:
        return None
    if needed.seeds:
        return 0, needed.seeds, f"about {needed.seeds} seeds"
    factor = needed.times_samples
    return (1, factor, f"{times(factor)} the samples") if factor else None


def _full(run: Run, asked: Sequence[Question]) -> Iterator[str]:
    """Yield every answer in the page's words."""
    for one in asked:
        for answer in one.answers:
            where = f"Split {one.split}, " if len(asked) > 1 else ""
            sign = SIGNS.get(answer.verdict, "·")
            barely = f" {BARELY}" if answer.barely else ""
            mode = _cautioned(answer.mode, [(one, answer)])
            yield f"{sign} {where}{mode}: {answer.word}. {answer.text.rstrip('.')}.{barely}"
    if mean := overall(run):
        yield mean


def _with_intervals(run: Run, asked: Sequence[Question]) -> Iterator[str]:
    """Yield a line a mode: in which splits it is better, worse, undecided, by how much and within what."""
    yield _basis(run, asked, ", with 95% intervals")
    yield from _by_mode(run, asked, lambda answer: _value(run, answer) + _span(run, answer))


def _with_values(run: Run, asked: Sequence[Question]) -> Iterator[str]:
    """Yield the same without intervals."""
    yield _basis(run, asked)
    yield from _by_mode(run, asked, lambda answer: _value(run, answer))


def _cautioned(mode: str, answers: Sequence[tuple[Question, Answer]]) -> str:
    """Return a mode's name, with a caution where all that it is called better in is worse than the mean shape."""
    better = [one for one, answer in answers if answer.mode == mode and answer.verdict == "positive"]
    return f"{mode} ({CAUTION})" if better and all(mode in one.below for one in better) else mode


def _span(run: Run, answer: Answer) -> str:
    limits = span(run, answer.found) if answer.found else ""
    return f" ({limits})" if limits else ""


def _value(run: Run, answer: Answer) -> str:
    return "" if answer.found is None else f" {difference(answer.found.value, run.digits)}"


def _by_mode(run: Run, asked: Sequence[Question], figure: Callable[[Answer], str]) -> Iterator[str]:
    """Yield a line a mode: the splits of each verdict, and their plain mean."""
    placed = [(one.split, answer) for one in asked for answer in one.answers]
    pairs = [(one, answer) for one in asked for answer in one.answers]
    means = averages(run)
    for mode in dict.fromkeys(answer.mode for _, answer in placed):
        own = [one for one in placed if one[1].mode == mode]
        mean, count = means.get(mode, (0.0, 0))
        more = f"; mean {difference(mean, run.digits)}{unit(run)}" if count > 1 else ""
        yield f"{_cautioned(mode, pairs)}: {_verdicts(own, figure)}{more}."


def _verdicts(placed: Sequence[Placed], figure: Callable[[Answer], str]) -> str:
    """Say how often each verdict is there, and where; of a single split what it is."""
    if len(placed) == 1:
        (_, answer), *_ = placed
        return f"{WORDS[answer.verdict]}{',' if answer.found else ''}{figure(answer)}"
    said = []
    for verdict, word in WORDS.items():
        own = [f"{split}{figure(answer)}" for split, answer in placed if answer.verdict == verdict]
        if own:
            said.append(f"{word} in {len(own)} of {len(placed)}: {', '.join(own)}")
    return "; ".join(said)


def _counted(run: Run, asked: Sequence[Question]) -> Iterator[str]:
    """Yield how many answers of all there are of each verdict, and where those are that are decided; and the means."""
    yield _basis(run, asked)
    placed = [(one.split, answer) for one in asked for answer in one.answers]
    pairs = [(one, answer) for one in asked for answer in one.answers]
    said = []
    for verdict, word in WORDS.items():
        modes: dict[str, list[str]] = {}
        for split, answer in placed:
            if answer.verdict == verdict:
                modes.setdefault(answer.mode, []).append(split)
        where = "; ".join(f"{_cautioned(mode, pairs)} in {_places(splits)}" for mode, splits in modes.items())
        told = f" ({where})" if verdict in ("positive", "negative") else ""
        said += [f"{sum(map(len, modes.values()))} {word}{told}"] if modes else []
    yield f"Of {len(placed)} answers: {'; '.join(said)}."
    if mean := overall(run):
        yield mean


def _basis(run: Run, asked: Sequence[Question], limits: str = "") -> str:
    """Return what all differences are: their unit, direction, seeds and samples, as far as these are the same."""
    tables = [table for one in asked if (table := run.table(one.split))]
    found = [answer.found for one in asked for answer in one.answers if answer.found]
    parts = [{seeds(one) for one in found}, {samples(table) for table in tables}]
    same = [one.pop() for one in parts if len(one) == 1]
    lower = "" if run.results.higher_is_better else ", lower is better"
    counted = f"Differences in{unit(run)}" if unit(run) else "Differences"
    return f"{counted}{lower}{limits}" + (f"; {', '.join(same)}." if same else ".")


def _lines(text: str, width: int) -> list[str]:
    """Break a sentence at words; what goes on is indented."""
    whole = broken(visible(text), lambda line: cell_len(line) <= width - len(INDENT))
    return [whole[0], *(INDENT + line for line in whole[1:])]


LEVELS = (
    Level(_full, sets=True, whole=True),
    Level(_full, whole=True),
    Level(_full, sets=True),
    Level(_full),
    Level(_with_intervals),
    Level(_with_values),
    Level(_counted),
)
"""From all that is known to the least that is honest."""
