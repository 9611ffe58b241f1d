"""``kp init``: a first study file for a folder of data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kpcore.cli.output import print_lines


def init(
    data: Annotated[Path, typer.Argument(metavar="PATH", help="The folder of the data.", show_default=False)],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME", help="The data set plugin. [default: the one that reads it]"),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the data set. Repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The study file. [default: named after the folder, here]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file where it is there.")] = False,
) -> None:
    """Look at data and write a first study for it, with every assumption as a comment.

    Network, resolution and schedule fit the data's size and this machine; the keypoints are split in two halves, and
    scored by a metric whose length is stated. The study is opened before it is written, so that 'kp run' takes it.
    """
    from kpcore.registry import registry
    from kpcore.study.first.data import open_first
    from kpcore.study.first.text import out_file, write_first

    def notice(text: str) -> None:
        typer.echo(text, err=True)

    path = out_file(data, out, force)
    first = open_first(registry(), data, dataset, sets or [], notice)
    notes = write_first(registry(), first, path, notice)
    assumed = (f"- {note}" for note in notes)
    head = f"{path}: a first study of {first.dataset.label}. Assumed:"
    print_lines([head, *assumed, "", f"kp run {shlex.quote(str(path))}"])
