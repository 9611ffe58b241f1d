"""``kp predict``: a trained network on new pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.output import print_json, print_lines, tell
from kpcore.interrupts import held

if TYPE_CHECKING:
    from kpcore.interfaces import Writer
    from kpcore.trained.boxes import Boxes
    from kpcore.trained.card import Card
    from kpcore.trained.pictures import Source
    from kpcore.trained.writing import Written

SHOWN = 10
"""Pictures with a problem that are named."""
FORMAT = "csv"
FORMATS = ("csv", "h5", "pictures", "coco", "coco_results", "deeplabcut", "slp")
"""Formats that the help names: those that come along, in the order of the page on predicting."""


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model folder, a job's folder, a job's key, STUDY/NAME, or an exported .onnx file.",
            show_default=False,
        ),
    ],
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURES",
            help="Images, folders, patterns in quotes, lists of images (.txt) or videos.",
            show_default=False,
        ),
    ],
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE",
            help="Where instances are: COCO's JSON, or a CSV (image, x, y, width, height). [default: whole pictures]",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            metavar="NUMBER",
            min=0.1,
            max=100,
            help="Crop's side over a box's longer one. [default: the model's]",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Of a video: take a frame's crop from the keypoints of the frame before.")
    ] = False,
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the prediction on the mirrored crop.")
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help=f"What is written: {', '.join(FORMATS)}, or a plugin's. Repeatable. [default: csv]",
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FORMAT.KEY=VALUE", help="An option of a format. Repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="Folder of what is written.")] = Path(
        "predictions"
    ),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote to --out and nobody has changed.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1 or mps. [default: the best there is]"),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="NUMBER", min=1, max=4096, help="Crops at once.")
    ] = 32,
    orientation: Annotated[
        str,
        typer.Option(
            "--orientation",
            metavar="HOW",
            help="Pictures with an EXIF orientation: stored, turned, or auto (turned where the boxes' file states the"
            " turned size).",
        ),
    ] = "auto",
    changed: Annotated[
        bool, typer.Option("--changed", help="Take a model that was changed after it was written.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict keypoints on new pictures; exit code 1 where some could not be read.

    Without boxes every picture is one instance. Memory does not grow with the number of pictures.
    """
    with held():  # torch that is broken off while it is imported ends the process
        from kpcore.cli.progress import Progress
        from kpcore.cli.stopping import stopping
        from kpcore.registry import registry
        from kpcore.trained.engine import NetworkEngine, chosen_engine
        from kpcore.trained.outputs import target_of
        from kpcore.trained.pictures import sources
        from kpcore.trained.predicting import How, orientation_of
        from kpcore.trained.writing import write
        from kpcore.training.process import set_up_process

    turned = orientation_of(orientation)
    known = registry()
    writers = writers_of(known, formats or [FORMAT], sets or [])
    found = sources(pictures)
    for note in (note for source in found for note in source.notes):
        tell(note)
    given = boxes_for(boxes, found)
    target = target_of(out, [one.file for one in writers.values()], inputs_of(found, boxes), overwrite=overwrite)
    engine, card = chosen_engine(model, known, device, flip_test=flip_test, changed=changed, told=tell)
    if isinstance(engine, NetworkEngine):
        set_up_process(engine.predictor.device)
    doubtful: list[str] = []
    how = How(
        boxes=given,
        margin=margin,
        batch_size=batch_size,
        orientation=turned,
        keep=any(writer.needs_pixels for writer in writers.values()),
        doubts=lambda picture: doubtful.append(picture.name),
    )
    with stopping(f"nothing half written stays in {out}"), Progress("pictures", quiet=as_json) as progress:
        written = write(found, engine, card, how, writers, target, following=follow, progress=progress)
    say(written, card, doubtful, as_json, follow)
    if written.problems or written.left_out:
        raise typer.Exit(1)


def writers_of(known: Any, names: list[str], sets: list[str]) -> dict[str, Writer]:
    """Build the writers; raises KpError where a format or an option is not known."""
    from kpcore.config import parse_sets
    from kpcore.errors import KpError, listed, unknown

    exist = known.names("writer")
    options = parse_sets(sets)
    for where, asked in (("--format", names), ("--set", options)):
        for name in asked:
            if name.rpartition(":")[2] not in {one.rpartition(":")[2] for one in exist}:
                raise unknown("format", name, exist, where=where)
    for name in options:
        if name not in names:
            raise KpError(f"--set {name}: {listed(names)} is written, and '{name}' is not; add --format {name}")
    return {
        name: known.build("writer", name, options.get(name, {}), where=f"--set {name}") for name in dict.fromkeys(names)
    }


def inputs_of(found: list[Source], boxes: Path | None) -> list[Path]:
    """Return the files that are read."""
    images = [path for source in found for _, path in source.images]
    return [*images, *(source.path for source in found if source.video), *([boxes] if boxes else [])]


def boxes_for(path: Path | None, found: list[Source]) -> Boxes | None:
    """Read the file of boxes; raises KpError where it is of other pictures, or does not tell two of them apart."""
    from kpcore.trained.boxes import read_boxes

    if path is None:
        return None
    return read_boxes(path).matched([picture for source in found for picture in source.known])


def some(lines: list[str]) -> None:
    """Print some lines on stderr, and how many there are besides."""
    for line in lines[:SHOWN]:
        tell(line)
    if len(lines) > SHOWN:
        tell(f"... and {len(lines) - SHOWN} more")


def say(written: Written, card: Card, doubtful: list[str], as_json: bool, followed: bool) -> None:
    """Print what was done, and on stderr what was not."""
    some([f"{name}: {problem}" if name not in problem else problem for name, problem in written.problems])
    some(written.left_out)
    if written.unused:
        boxes = sum(count for _, count in written.unused)
        tell(f"{boxes} boxes are of {len(written.unused)} images or frames that are not among the pictures (first:"
             f" {written.unused[0][0]})")  # fmt: skip
    if written.unknown:
        tell(f"{written.unknown} keypoints are missing: the network gave no number (NaN) for them; its weights or its"
             " precision may be at fault")  # fmt: skip
    if doubtful:
        tell(
            f"{len(doubtful)} pictures have an EXIF orientation (first: {doubtful[0]}) and were taken as they are"
            " stored; --orientation turned takes them as viewers show them"
        )
    if as_json:
        print_json(record(written, card))
        return
    print_lines([f"{card.title}, trained on {card.model.data}", counts(written, followed)])
    print_lines([f"wrote {path}" for path in written.files[:SHOWN]])
    if len(written.files) > SHOWN:
        print_lines([f"... and {len(written.files) - SHOWN} more"])
    print_lines(written.notes)


def counts(written: Written, followed: bool) -> str:
    """Return a line: how many instances in how many pictures and frames, and where there were none."""
    from kpcore.cli.display import counted

    kinds = [(written.pictures - written.frames, "picture"), (written.frames, "frame")]
    places = " and ".join(counted(count, noun) for count, noun in kinds if count) or "no picture"
    without = f"; {written.without} of them without a box" if written.without else ""
    lost = f"; {written.lost or 'none'} of the instances lost" if followed else ""
    failed = f"; {len(written.problems)} not read" if written.problems else ""
    left_out = f"; {counted(len(written.left_out), 'box', 'boxes')} left out" if written.left_out else ""
    return f"{counted(written.instances, 'instance')} in {places}{without}{lost}{failed}{left_out}."


def record(written: Written, card: Card) -> dict[str, Any]:
    """Return it as JSON."""
    return {
        "model": card.title,
        "trained_on": card.model.data,
        "pictures": written.pictures,
        "frames": written.frames,
        "instances": written.instances,
        "without_box": written.without,
        "lost": written.lost,
        "missing_keypoints": written.unknown,
        "boxes_left_out": written.left_out,
        "boxes_of_other_pictures": sum(count for _, count in written.unused),
        "problems": [{"picture": name, "problem": problem} for name, problem in written.problems],
        "files": [str(path) for path in written.files],
        "notes": list(written.notes),
    }
