"""``kp data fetch``: a data set from its publisher, or the list of those that can be had so."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpcore.cli.output import print_json, print_lines, print_table, tell
from kpcore.errors import InterruptError, KpError, listed, size
from kpcore.interrupts import asked

if TYPE_CHECKING:
    from kpcore.fetching.fetch import Fetched
    from kpcore.fetching.told import Step
    from kpcore.fetching.wanted import Wanted
    from kpcore.interfaces import Download
    from kpcore.registry import Registry


def fetch(
    name: Annotated[str | None, typer.Argument(help="The data set. [default: list them]", show_default=False)] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="PATH", help="The data set's root. [default: data/NAME]")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FILE", help="Only this file of it. Repeatable.")
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="FILE=ADDRESS", help="Take a file from another address, or a path. Repeatable."
        ),
    ] = None,
    sums: Annotated[
        list[str] | None,
        typer.Option("--sha256", metavar="FILE=HEX", help="The SHA-256 that a file must have. Repeatable."),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms of use, which are shown, without being asked.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds without an answer.")] = 30,
    retries: Annotated[int, typer.Option("--retries", min=0, help="Tries in a row that bring next to nothing.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Download a data set from its publisher; goes on where it was stopped."""
    from kpcore.registry import registry

    known = registry()
    if name is None:
        show_all(offered(known), as_json=as_json)
        return
    from kpcore.fetching.download import Patience
    from kpcore.fetching.fetch import fetch as get
    from kpcore.fetching.fetch import missing
    from kpcore.fetching.told import Told
    from kpcore.fetching.wanted import choose

    wanted = choose(downloads_of(known, name), only or [], sources or [], sums or [])
    root = to or Path("data") / name.rpartition(":")[2]
    if left := missing(wanted, root):
        agree(left, root, accept=accept)
    try:
        done = get(wanted, root, Patience(timeout, retries), Told(tell, bar))
    except KeyboardInterrupt:
        raise InterruptError("what is there is kept; the same command goes on", asked() or signal.SIGINT) from None
    show(name, root, done, as_json=as_json)


def downloads_of(known: Registry, name: str) -> tuple[Download, ...]:
    """Return the files of a data set.

    Raises:
        KpError: there is no such data set, or its publisher's files are not known.
    """
    from kpcore.fetching.wanted import checked

    plugin, own = known.find("dataset", name)
    found = checked(known.component("dataset", name).downloads, f"data set '{own}' of {plugin.called}")
    if not found:
        raise KpError(
            f"data set '{own}' has no files to download; those that have: {listed(offered(known))}; others are"
            " placed by hand (see docs/reference/data-sets.md)"
        )
    return found


def offered(known: Registry) -> dict[str, tuple[Download, ...]]:
    """Return the files of every data set that has some; one that breaks the rules is told on stderr."""
    found = {}
    for name in known.names("dataset"):
        from kpcore.fetching.wanted import checked

        try:
            if files := checked(known.component("dataset", name).downloads, f"data set '{name}'"):
                found[name] = files
        except KpError as error:
            tell(f"kp: warning: {error}")
    return found


def agree(wanted: Sequence[Wanted], root: Path, *, accept: bool) -> None:
    """Say what is about to be downloaded, and have the terms accepted.

    Raises:
        KpError: they are not.
    """
    tell(f"Into {root}:")
    for one in wanted:
        about = f" (about {size(one.download.size)})" if one.download.size and not one.file else ""
        tell(f"  {one.name}{about} from {one.source}")
    for licence in dict.fromkeys(one.download.licence for one in wanted):
        files = ", ".join(one.name for one in wanted if one.download.licence == licence)
        tell(f"Terms of {files}: {licence.name}. {licence.summary} Full text: {licence.page}")
    if accept:
        return
    if not sys.stdin.isatty():
        raise KpError("the terms of use were not accepted; nothing was downloaded: read them, then add --accept-terms")
    if not typer.confirm("Do you accept these terms?", err=True):
        raise KpError("the terms of use were not accepted; nothing was downloaded")


@contextmanager
def bar(what: str) -> Iterator[Step]:
    """Show what is being done as a bar on stderr, where that is a terminal; else say it."""
    if not sys.stderr.isatty():
        tell(what)
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total or None)


def show(name: str, root: Path, done: Sequence[Fetched], *, as_json: bool) -> None:
    """Print what was placed, and what to do with it."""
    if as_json:
        print_json({"dataset": name, "root": str(root), "files": [asdict(one) for one in done]})
        return
    for one in done:
        what = "placed in" if one.new else "was there:"
        print_lines([f"{one.name}: {what} {', '.join(one.places)} (SHA-256 {one.sha256})"])
    print_lines(
        [f"Look at it with 'kp data check {root} --dataset {name}', train on it with '--set dataset.root={root}'."]
    )


def show_all(files: Mapping[str, Sequence[Download]], *, as_json: bool) -> None:
    """Print which data sets can be had, from where, and on which terms."""
    if as_json:
        print_json({name: [asdict(one) for one in found] for name, found in files.items()})
        return
    rows = [
        [name, one.name, size(one.size) if one.size else "?", one.address, f"{one.licence.name}: {one.licence.page}"]
        for name, found in files.items()
        for one in found
    ]
    print_table(["data set", "file", "size", "from", "terms"], rows, right=["size"])
