"""``kp data``: what a data set holds, what is wrong with it, and what it looks like."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.fetch import fetch
from kpcore.cli.group import Group
from kpcore.cli.output import number, print_json, print_lines, print_table, size, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpcore.audit.summary import Summary
    from kpcore.study.source import Opened

app = typer.Typer(
    cls=Group, add_completion=False, rich_markup_mode=None, help="Look at data: numbers, faults, pictures."
)
Source = Annotated[Path | None, typer.Argument(help="A study file, or a data folder.", show_default=False)]
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME", help="The data set plugin. [default: the one that reads the folder]"),
]
Root = Annotated[Path | None, typer.Option("--root", metavar="PATH", help="Root of the data.")]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of the study file.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A key of the study; without a study file an option of the data set, dataset.KEY or KEY. Repeatable.",
    ),
]
Part = Annotated[str | None, typer.Option("--part", metavar="NAME", help="Only this part. [default: all]")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say why every data set refuses a folder that none reads.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


app.command("fetch")(fetch)


@app.command("info")
def info(
    source: Source = None, dataset: DatasetName = None, root: Root = None, profile: Profile = None, sets: Sets = None,
    part: Part = None, as_json: AsJson = False, verbose: Verbose = False,
) -> None:  # fmt: skip
    """Show parts, samples, images, how much is labelled, crop sides, mirror pairs."""
    from kpcore.audit.summary import summarise

    opened = open_data(source, dataset, root, profile, sets, verbose)
    summaries = [summarise(name, opened.dataset.samples(name), opened.data.skeleton) for name in opened.parts(part)]
    if as_json:
        print_json({**record(opened), "parts": [asdict(summary) for summary in summaries]})
    else:
        print_info(opened, summaries)


@app.command("check")
def check(
    source: Source = None, dataset: DatasetName = None, root: Root = None, profile: Profile = None, sets: Sets = None,
    part: Part = None, quick: Annotated[bool, typer.Option("--quick", help="Do not decode images.")] = False,
    as_json: AsJson = False, verbose: Verbose = False,
) -> None:  # fmt: skip
    """Look for faults; exits with 2 where one makes a part unusable."""
    from kpcore.audit.check import check_part, part_findings, with_count
    from kpcore.audit.sides import side_findings
    from kpcore.interfaces import Finding
    from kpcore.registry import registry
    from kpcore.study.remarks import remark_findings

    opened = open_data(source, dataset, root, profile, sets, verbose)
    sides = side_findings(opened.data.skeleton) if opened.mirrored else []
    general = [*sides, *part_findings(opened.dataset), *remark_findings(opened, registry())]
    found: list[dict[str, Any]] = [{"part": None, **asdict(finding)} for finding in general]
    for name in opened.parts(part):
        with progress(f"checking {name}") as step:
            drawn = opened.data.sample
            those = check_part(opened.dataset, name, decode=not quick, videos=not drawn, progress=step)
            found += [{"part": name, **asdict(finding)} for finding in those]
    if as_json:
        print_json({**record(opened), "findings": found})
    else:
        print_findings(opened, found)
    errors = [finding for finding in found if finding["level"] == "error"]
    for error in errors:
        what = with_count(Finding("error", error["what"], error["count"]))
        tell(f"kp: error: part '{error['part']}': {what}")
    if errors:
        raise typer.Exit(2)


@app.command("show")
def show(
    source: Source = None, dataset: DatasetName = None, root: Root = None, profile: Profile = None, sets: Sets = None,
    part: Annotated[str, typer.Option("--part", metavar="NAME", help="The part to draw from.")] = "train",
    count: Annotated[int, typer.Option("--count", min=1, max=300, help="How many samples.")] = 6,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The PNG.")] = Path("samples.png"),
    split: Annotated[str | None, typer.Option("--split", metavar="NAME", help="Colours its S1 and S2.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the samples and of augmentation.")] = 0,
) -> None:  # fmt: skip
    """Draw samples, as they are and as augmentation makes them, into a PNG."""
    from kpcore.audit.show import Look, choose, contact_sheet, told, without_unsure_flips, write_png
    from kpcore.errors import KpError
    from kpcore.registry import registry

    opened = open_data(source, dataset, root, profile, sets)
    (part,) = opened.parts(part)
    chosen = choose(opened.dataset.samples(part), count, seed)
    if not chosen:
        raise KpError(f"{opened.data.label}: part '{part}' has no samples; see 'kp data check'")
    look = Look(opened.data.skeleton, opened.split(registry(), split))
    drawn, why = (
        (opened.augmentation, "") if opened.splits else without_unsure_flips(opened.augmentation, look.skeleton)
    )
    write_png(out, contact_sheet(chosen, look, drawn, seed=seed))
    named = f", split {look.split.name}" if look.split else ""
    print_lines(
        [
            f"{out}: {len(chosen)} samples of {opened.data.label}, part {part}{named}",
            f"Augmentation: {told(drawn)}" + (f"; {why}" if why else ""),
        ]
    )


@app.command("prepare")
def prepare(
    config: Annotated[Path, typer.Argument(metavar="STUDY", help="A study file.", show_default=False)],
    profile: Profile = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the study. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decode every image once and keep the crops a study needs; goes on where it was stopped."""
    from kpcore.data.store import prepare as make
    from kpcore.errors import KpError
    from kpcore.registry import registry
    from kpcore.study.opening import open_study
    from kpcore.study.workshop import wanted_stores

    if config.is_dir():
        raise KpError(f"{config}: is a folder; a study file is needed, since it says how large crops are")
    study = open_study(registry(), config, profile, sets or [], tell)
    done = []
    for wanted in wanted_stores(study):
        there = wanted.path.exists()
        if not there:
            tell(f"{wanted.part.label}, {wanted.part.name}: {wanted.people:,} samples, {size(wanted.size)}")
        started = time.perf_counter()
        with progress(f"preparing {wanted.part.name}") as step:
            make(wanted.part, wanted.how, step, tell)
        seconds = None if there else time.perf_counter() - started
        done.append(
            {
                "data": wanted.part.label, "part": wanted.part.name, "people": wanted.people,
                "resolution": wanted.how.resolution, "side": wanted.how.side, "crops": wanted.how.kind,
                "bytes": wanted.size, "prepared": not there, "seconds": seconds, "path": str(wanted.path),
            }
        )  # fmt: skip
    if as_json:
        print_json({"label": study.label, "stores": done})
    else:
        print_stores(done)


def open_data(
    source: Path | None, dataset: str | None, root: Path | None, profile: str | None, sets: list[str] | None,
    verbose: bool = False,
) -> Opened:  # fmt: skip
    """Open what the arguments name; notices go to stderr."""
    from kpcore.registry import registry
    from kpcore.study.source import Request, open_request

    request = Request(source, dataset, root, profile, sets or [], verbose)
    return open_request(request, registry(), notice=tell)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from kpcore.errors import visible

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(visible(what)))
        yield lambda done, total: bar.update(task, completed=done, total=total)


def record(opened: Opened) -> dict[str, Any]:
    """Return what every JSON begins with."""
    from kpcore.audit.sides import pairs_of

    return {
        "dataset": opened.name,
        "label": opened.data.label,
        "skeleton": opened.data.skeleton.name,
        "normaliser_means": opened.dataset.facts.normaliser,
        "mirror_pairs": pairs_of(opened.data.skeleton),
    }


def pairs_line(opened: Opened) -> str:
    """Return the mirror pairs on a line."""
    from kpcore.audit.sides import pairs_of

    pairs = ", ".join(f"{one} - {other}" for one, other in pairs_of(opened.data.skeleton))
    return f"Mirror pairs: {pairs or 'none'}."


def print_info(opened: Opened, summaries: Sequence[Summary]) -> None:
    """Print a table of the parts and one of the keypoints."""
    skeleton, normaliser = opened.data.skeleton, opened.dataset.facts.normaliser
    print_lines([f"{opened.data.label}: {len(skeleton.names)} keypoints, {skeleton.dims}D", ""])
    heads = ["samples", "images", "labelled %", "crop side, px", "normaliser, px"]
    rows = [
        [s.part, f"{s.people:,}", f"{s.images:,}", mean_percent(s.labelled), spread(s.side), spread(s.normaliser)]
        for s in summaries
    ]
    print_table(["part", *heads], rows, right=heads, whole=["part"])
    print_lines(["", f"Crop side and normaliser ({normaliser}): 5%, median and 95% of the samples.", ""])
    parts = [summary.part for summary in summaries if summary.people]
    keypoints = [
        [name, *(f"{100 * s.labelled[name]:.1f} ({100 * s.visible[name]:.1f})" for s in summaries if s.people)]
        for name in skeleton.names
    ]
    print_table(["labelled % (and visible %)", *parts], keypoints, right=parts)
    print_lines(["", pairs_line(opened)])


def mean_percent(shares: dict[str, float]) -> str:
    """Return the mean share over keypoints, in percent."""
    return number(100 * sum(shares.values()) / len(shares)) if shares else "-"


def spread(quantiles: Sequence[float]) -> str:
    """Return quantiles in a cell."""
    return " / ".join(number(value, 0) for value in quantiles) or "-"


def print_stores(stores: Sequence[dict[str, Any]]) -> None:
    """Print a table of prepared stores."""
    heads = ["samples", "px", "with margin", "size", "seconds", "samples/s"]
    rows = [
        [
            store["data"], store["part"], f"{store['people']:,}", store["resolution"], store["side"],
            size(store["bytes"]),
            "was there" if store["seconds"] is None else number(store["seconds"]),
            "" if store["seconds"] is None else number(store["people"] / store["seconds"], 0),
        ]
        for store in stores
    ]  # fmt: skip
    print_table(["data", "part", *heads], rows, right=heads)


def print_findings(opened: Opened, found: Sequence[dict[str, Any]]) -> None:
    """Print a table of the findings."""
    print_lines([opened.data.label, pairs_line(opened)])
    if not found:
        print_lines(["nothing to report"])
        return
    order = ("error", "warning", "note")
    rows = sorted(found, key=lambda finding: order.index(finding["level"]))
    print_table(
        ["level", "part", "count", "what"],
        [[f["level"], f["part"] or "all", f["count"], f["what"]] for f in rows],
        right=["count"],
    )
