"""``kp report``: draw the page of a study again, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from kpcore.evidence import Evidence
    from kpcore.study.jobs import JobPlan
    from kpcore.study.study import Study


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'kp run' wrote.", show_default=False)],
) -> None:
    """Draw report/index.html of a finished study again, from its folder alone."""
    from kpcore.cli.output import print_lines
    from kpcore.report.page import write_page

    written = write_page(run, notice=lambda line: typer.echo(f"The page lacks something: {line}", err=True))
    print_lines([f"Written: {written[0]}, with {len(written) - 1} drawings beside it"])


def page_of(console: Console, study: Study, plan: JobPlan, folder: Path, known: Evidence | None) -> Path | None:
    """Draw the page of a study that has just ended; a line says why where it cannot be, and results stay.

    Args:
        console: for that line.
        study: that was run.
        plan: all its jobs.
        folder: of its results.
        known: what is said of them; None where none of its rows is done.
    """
    from kpcore.api.closing import draw_page

    return draw_page(
        study, plan, folder, known,
        lambda text: console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True),
    )  # fmt: skip
