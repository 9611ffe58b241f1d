"""``report/index.html``: one file that works offline, drawn from a study's folder alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kpcore import placing
from kpcore.errors import KpError, visible
from kpcore.evidence import Evidence
from kpcore.records.results import SplitInfo
from kpcore.records.shown import FOLDER, SLICES
from kpcore.report.files import save
from kpcore.report.page.bodies import bodies, set_of
from kpcore.report.page.cells import not_beside, page_tables
from kpcore.report.page.courses import convergence_curves, label_curves
from kpcore.report.page.folder import Run, read_run
from kpcore.report.page.forest import joints, parts
from kpcore.report.page.headline import headline
from kpcore.report.page.how import how
from kpcore.report.page.pace import gaps, paces
from kpcore.report.page.pace import note as pace_note
from kpcore.report.page.pictures import albums
from kpcore.report.page.plans import plans
from kpcore.report.page.sets import short
from kpcore.report.page.svg import Panel, as_pdf, as_svg, inline
from kpcore.report.page.within import threshold_curves
from kpcore.report.page.words import overall, questions, saved
from kpcore.report.summary import as_sentence

HERE = Path(__file__).parent
PAGE = "index.html"
FIGURES = "figures"
T = TypeVar("T")


@dataclass(frozen=True)
class Shot:
    """A drawing in the page.

    Args:
        split: it is of.
        svg: the drawing.
        caption: what stands below.
        details: heading of a list -> its texts.
    """

    split: str
    svg: Markup
    caption: str = ""
    details: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Drawer:
    """Draws the panels of a page and keeps their files.

    A drawing that fails leaves the others as they are; why is told in the page.

    Args:
        run: that is drawn.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.files: dict[str, bytes] = {}
        self.panels: list[Panel] = []
        self.missing: list[str] = []

    def svg(self, panel: Panel) -> Markup:
        """Return a panel for the page, and keep its files."""
        made = as_svg(panel)
        self.files[f"{panel.name}.svg"] = made
        self.panels.append(panel)
        return inline(panel, made)

    def pdf(self) -> list[None]:
        """Keep all panels as one PDF."""
        if self.panels:
            self.files["all.pdf"] = as_pdf(self.panels)
        return []

    def tried(self, what: str, make: Callable[[], Iterable[T]]) -> list[T]:
        """Return all that is made; none, and a line that says why, where it cannot be."""
        try:
            return list(make())
        except Exception as error:  # results from anywhere: one odd figure must not cost the page
            self.missing.append(f"{what} cannot be drawn: {type(error).__name__}: {error}")
            return []


def write_page(
    folder: Path, known: Evidence | None = None, notice: Callable[[str], None] = lambda _: None
) -> list[Path]:  # fmt: skip
    """Draw the page of a study's folder, ``report/index.html``, and its drawings as files; return their paths.

    Args:
        folder: that ``kp run`` wrote.
        known: its evidence, where it is made already.
        notice: is told what the page lacks, and why; the page says it too.

    Raises:
        KpError: the folder has no results, or cannot be written.
    """
    run = read_run(folder, known)
    text, drawn, missing = page(run)
    for line in missing:
        notice(line)
    place = _place(folder)
    written = [save(place / PAGE, text.encode())]
    for old in (place / FIGURES).glob("*"):
        if old.name not in drawn and old.suffix in (".svg", ".pdf"):
            old.unlink()
    return written + [save(place / FIGURES / name, content) for name, content in drawn.items()]


def _place(folder: Path) -> Path:
    """Make the page's folders, which are no links; return the page's."""
    try:
        return placing.folder(folder, FOLDER, FIGURES).parent
    except OSError as error:
        raise KpError(f"{folder / FOLDER}: cannot be written: {error.strerror or error}") from None


def page(run: Run) -> tuple[str, dict[str, bytes], list[str]]:
    """Return the page's text, its drawings as files (name -> content), and what it lacks."""
    drawer = Drawer(run)
    parts_of_page = sections(drawer)
    drawer.tried("figures/all.pdf", drawer.pdf)
    template = environment().get_template("index.html.j2")
    missing = list(dict.fromkeys([*run.missing, *drawer.missing]))
    text = template.render(
        run=run,
        results=run.results,
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # our own
        missing=missing,
        **parts_of_page,
    )
    return text, drawer.files, missing


def environment() -> Environment:
    """Return the templates' environment: every text is escaped, and an unknown name is an error."""
    found = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["visible"] = visible
    return found


def sections(drawer: Drawer) -> dict[str, Any]:
    """Return what the template shows, section by section."""
    run = drawer.run
    return {
        "questions": questions(run),
        "headline": headline(run),
        "overall": overall(run),
        "several_seeds": len({row.seed for row in run.results.rows}) > 1,
        "tables": drawer.tried("the tables", lambda: page_tables(run)),
        "not_beside": list(not_beside(run)),
        "labels": drawer.tried("label curves", lambda: _labels(drawer)),
        "convergence": drawer.tried("convergence", lambda: _convergence(drawer)),
        "pace_note": pace_note(run),
        "plans": drawer.tried("plans", lambda: _plans(drawer)),
        "bodies": drawer.tried("splits", lambda: _bodies(drawer)),
        "thresholds": drawer.tried("thresholds", lambda: _thresholds(drawer)),
        "joints": drawer.tried("differences by joint", lambda: _joints(drawer)),
        "albums": drawer.tried("the gallery", lambda: albums(run)),
        "parts": drawer.tried("differences over parts", lambda: _parts(drawer)),
        "parts_lost": any(SLICES in line for line in run.missing),
        "how": how(run),
        "modes": [(place, mode.name, run.results.labels[mode.name]) for place, mode in enumerate(run.results.modes)],
    }


def _labels(drawer: Drawer) -> Iterator[Shot]:
    for split, panel in label_curves(drawer.run):
        found = drawer.run.evidence.by_labels(split.name) if drawer.run.evidence else None
        notes = [as_sentence(note, drawer.run.results) for note in (found.notes if found else ())]
        said = {"Saved": [text for _, text in saved(drawer.run, split.name)], "Notes": notes}
        yield Shot(split.name, drawer.svg(panel), f"Split {split.name}", said)


def _banded(run: Run, split: SplitInfo) -> str:
    """Return what a band over seeds is, for a drawing's caption."""
    most = max((len(run.finished(split.name, mode.name)) for mode in run.results.modes), default=0)
    return f"band: lowest to highest of {most} seeds" if most > 1 else "one seed, no band"


def _thresholds(drawer: Drawer) -> Iterator[Shot]:
    named = drawer.run.shown.value_unit if drawer.run.shown else ""
    measured = "" if named else f"each point as {' and '.join(drawer.run.results.conventions)} measures it; "
    for split, panel in threshold_curves(drawer.run):
        yield Shot(
            split.name,
            drawer.svg(panel),
            f"Split {split.name}; {measured}{_banded(drawer.run, split)}",
        )


def _convergence(drawer: Drawer) -> Iterator[tuple[Shot, Sequence[Any]]]:
    for split, panel in convergence_curves(drawer.run):
        averaged = {"Averages": [short(split.averaged, drawer.run.body(split.name))]} if split.averaged else {}
        said = {"Distance": list(gaps(drawer.run, split))}
        yield (
            Shot(
                split.name, drawer.svg(panel), f"Split {split.name}; {_banded(drawer.run, split)}", {**averaged, **said}
            ),
            paces(drawer.run, split),
        )


def _plans(drawer: Drawer) -> Iterator[Shot]:
    for split, mode, panel, remarks in plans(drawer.run):
        label = drawer.run.results.labels[mode.name]
        yield Shot(split.name, drawer.svg(panel), f"{label}, split {split.name}", {"Beside": list(remarks)})


def _bodies(drawer: Drawer) -> Iterator[Shot]:
    for split, panel in bodies(drawer.run):
        every = list(dict.fromkeys(name for step in split.steps for name in step))
        details = {
            key: [name for name in every if set_of(name, split) == key] for key in ("S1", "S2", "S1 and S2", "other")
        }
        details["other"] = [*details["other"], *split.unused]
        yield Shot(split.name, drawer.svg(panel), f"Split {split.name}", details)


def _joints(drawer: Drawer) -> Iterator[Shot]:
    for split, panel, kind in joints(drawer.run):
        yield Shot(split.name, drawer.svg(panel), f"Split {split.name}, {kind} of S2")


def _parts(drawer: Drawer) -> Iterator[Shot]:
    for split, panel in parts(drawer.run):
        shown = drawer.run.shown.split(split.name) if drawer.run.shown else None
        said = [f"{name}: {text}" for name, text in shown.slices.items()] if shown else []
        yield Shot(split.name, drawer.svg(panel), f"Split {split.name}", {"Parts": said})
