"""``kp compare``: finished studies beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kpcore.cli.output import console, print_json, print_lines


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders that 'kp run' wrote; one with --baseline.", show_default=False),
    ],
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="NAME", help="Only this split; may be repeated. [default: all in common]"),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option("--mode", metavar="[RUN:]MODE", help="Only this mode; may be repeated. [default: all]"),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="RUN:MODE",
            help="What the others are compared with. [default: the first run's]",
            show_default=False,
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Set finished studies beside each other, with differences where they were scored on the same samples."""
    from kpcore.evidence.compare import Wanted
    from kpcore.evidence.compare import compare as comparison
    from kpcore.report.beside import beside_grid
    from kpcore.report.terminal import print_grid

    found = comparison(runs, Wanted(split or (), mode or (), baseline))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    runs_in_words = [f"{run.name}: {run.folder}, study {run.study}, preset {run.preset}" for run in found.runs]
    print_lines([*(" ".join(line.split()) for line in runs_in_words), ""])
    for one in found.splits:
        print_grid(beside_grid(one), console())
