"""The gallery: a person's crop, what is labelled, and what two modes predict, as places in a square of 100."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kpcore.errors import visible
from kpcore.records.results import SplitInfo
from kpcore.records.shown import Body, Person, Place, Predicted
from kpcore.report.page.bodies import set_of
from kpcore.report.page.folder import Run

KINDS = {"best": "Best", "typical": "Typical", "worst": "Worst"}
SMALL = 30
"""Keypoints from which on marks are smaller."""


@dataclass(frozen=True)
class Dot:
    """One mark at a place in a square of 100: "truth", "s1" or "s2", and the keypoint's name."""

    kind: str
    x: float
    y: float
    name: str


@dataclass(frozen=True)
class Link:
    """A line: an edge of the body between true places, or from a true place to the predicted one."""

    kind: str
    ends: tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """What one mode predicts of a person."""

    mode: str
    value: str
    dots: Sequence[Dot]
    links: Sequence[Link]
    text: str


@dataclass(frozen=True)
class Picture:
    """One person: a crop that both views share."""

    name: str
    kind: str
    caption: str
    jpeg: str
    radius: float
    views: Sequence[View]


@dataclass(frozen=True)
class Album:
    """The gallery of one split; ``lower`` where a lower value is better."""

    split: str
    has_s1: bool
    pictures: Sequence[Picture]
    lower: bool = True


def albums(run: Run) -> Iterator[Album]:
    """Yield the gallery of every split that has one."""
    for place, split in enumerate(run.splits):
        shown = run.shown.split(split.name) if run.shown else None
        if run.shown is not None and shown is not None and shown.people:
            body = run.shown.bodies[shown.body]
            pictures = [
                _picture(run, split, body, person, f"pic-{place}-{number}")
                for number, person in enumerate(shown.people)
            ]
            has_s1 = any(one.source for person in shown.people for one in person.predicted)
            lower = not (shown.thresholds.rising if shown.thresholds else run.results.higher_is_better)
            yield Album(split.name, has_s1, pictures, lower)


def _picture(run: Run, split: SplitInfo, body: Body, person: Person, name: str) -> Picture:
    views = [_view(run, split, body, person, one) for one in person.predicted]
    caption = f"{visible(person.image)}, row {person.row}"
    radius = 1.5 if len(person.truth) > SMALL else 2.4
    return Picture(name, KINDS[person.kind], caption, person.jpeg, radius, views)


def _view(run: Run, split: SplitInfo, body: Body, person: Person, one: Predicted) -> View:
    label = run.results.labels.get(one.mode, one.mode)
    unit = run.shown.value_unit if run.shown else ""
    value = "no value" if one.value is None else f"{one.value:.3g} {unit}".rstrip()
    scored = {name: place for name, place in person.truth.items() if name in split.steps[-1]}
    dots = [
        *_dots("truth", {name: place for name, place in person.truth.items() if set_of(name, split) != "other"}),
        *_dots("s1", one.source),
        *_dots("s2", one.target),
    ]
    links = [*_edges(body, person.truth), *_offsets(scored, one.target)]
    hidden = f", {len(person.hidden)} of its points hidden" if person.hidden else ""
    text = f"{KINDS[person.kind]} example{hidden}: {len(one.target)} points predicted by {label}, mean value {value}"
    return View(label, value, dots, links, text)


def _dots(kind: str, places: Mapping[str, Place]) -> list[Dot]:
    return [Dot(kind, round(100 * x, 1), round(100 * y, 1), name) for name, (x, y) in places.items() if _near(x, y)]


def _near(x: float, y: float) -> bool:
    """Whether a place is in the picture, or just outside."""
    return -0.05 <= x <= 1.05 and -0.05 <= y <= 1.05


def _edges(body: Body, truth: Mapping[str, Place]) -> list[Link]:
    return [_link("edge", truth[one], truth[other]) for one, other in body.edges if one in truth and other in truth]


def _offsets(truth: Mapping[str, Place], predicted: Mapping[str, Place]) -> list[Link]:
    return [_link("off", place, predicted[name]) for name, place in truth.items() if name in predicted]


def _link(kind: str, one: Place, other: Place) -> Link:
    x, y, right, down = (round(100 * value, 1) for value in (*one, *other))
    return Link(kind, (x, y, right, down))
