"""A trained network opened: its card checked, its parts built, ready to predict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kpcore.errors import KpError
from kpcore.records.folder import WEIGHTS, JobFolder
from kpcore.records.results import RESULTS, DataInfo, Results, Retained, Row, read_results
from kpcore.trained.card import AGAIN, CARD, SAY, Card, Score, checked, derived, read_card
from kpcore.trained.finding import locate
from kpcore.trained.model import Model, read_model
from kpcore.trained.onnx_file import ENDING, read_onnx_card


@dataclass(frozen=True)
class Opened:
    """A network's files, checked.

    Args:
        weights: file of its weights; of an exported network that file itself, from which none can be built.
        card: what is known of it; of its network what the weights say themselves.
        notes: where the card said otherwise, a line each.
    """

    weights: Path
    card: Card
    notes: tuple[str, ...] = ()


def open_model(text: str, *, changed: bool = False) -> Opened:
    """Find a network and check that its files are as they were written.

    Args:
        text: path of a model folder, of a job's folder, of a weights file or of an exported network (``.onnx``); a
            job's key; or ``STUDY/NAME``.
        changed: take files that were changed after they were written.

    Raises:
        KpError: nothing is called so, it is no network, or it was changed.
    """
    path = locate(text)
    weights = path / WEIGHTS if path.is_dir() else path
    if not weights.is_file():
        raise KpError(
            f"{path}: no model folder (it has no {WEIGHTS}); a finished training and 'kp models copy' make one"
        )
    if weights.suffix == ENDING:
        return Opened(weights, read_onnx_card(weights, changed=changed))
    return _opened(weights, changed)


def _opened(weights: Path, changed: bool) -> Opened:
    folder = weights.parent
    job = JobFolder(folder)
    about = job.about()
    if about and not changed and (problem := job.problem()):
        raise KpError(f"{folder}: {problem}; run the study again, or {SAY}")
    card = read_card(folder) if weights.name == WEIGHTS else None
    if card is None:
        card = derived(weights, str(about.get("title", weights.stem)), str(about.get("study", "")))
    checked(card, weights, changed=changed)
    own = read_model(weights)
    note = differing(card.model, own, weights)
    if note and not changed:
        raise KpError(f"{note}; {AGAIN}, or {SAY}")
    card = card.model_copy(update={"model": own, "scores": card.scores or final_scores(folder, card)})
    return Opened(weights, card, (f"{note}; the weights' own is taken",) if note else ())


def differing(said: Model, own: Model, weights: Path) -> str:
    """Return in what a card says otherwise of a network than the weights themselves; "" where it does not."""
    names = [name for name in Model.model_fields if getattr(said, name) != getattr(own, name)]
    return f"{weights.with_name(CARD)}: says otherwise than the weights of: {', '.join(names)}" if names else ""


def final_scores(folder: Path, card: Card) -> tuple[Score, ...]:
    """Return the final scores of a job whose folder is looked at through its run's; none elsewhere."""
    run = folder.absolute().parent.parent
    if not (run / RESULTS).is_file():
        return ()
    results = read_results(run)
    rows = [row for row in results.rows if row.job == card.model.job and row.status == "done"]
    return tuple(score for row in rows for score in _scores(row, results))


def _scores(row: Row, results: Results) -> Iterator[Score]:
    """Yield a row's score, then those of earlier steps' keypoints that its network still predicts."""
    yield _score(row, results.data, row)
    split = next(one for one in results.splits if one.name == row.split)
    sets = {data.step: data for data in (results.data, *results.data.others)}
    for kept in row.retained:
        data = sets.get(split.datasets[kept.step], results.data) if split.datasets else results.data
        before = "" if kept.before is None else f", {kept.before:.1f} before"
        yield _score(row, data, kept, f": keypoints of step {kept.step + 1}{before}")


def _score(row: Row, data: DataInfo, scored: Row | Retained, said: str = "") -> Score:
    return Score(
        convention=row.convention, average=scored.average, columns=dict(scored.columns), data=f"{data.label}{said}",
        samples=data.people["valid"],
    )  # fmt: skip
