"""``kp predict``: a trained network on new pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.output import print_json, print_lines, tell

if TYPE_CHECKING:
    from kpcore.interfaces import Writer
    from kpcore.trained.boxes import Boxes
    from kpcore.trained.card import Card
    from kpcore.trained.pictures import Source
    from kpcore.trained.writing import Written

SHOWN = 10
"""Pictures with a problem that are named."""
FORMAT = "csv"


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A model folder, a job's folder, a job's key, STUDY/NAME, or an exported .onnx file.",
            show_default=False,
        ),
    ],
    pictures: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, patterns in quotes, lists of images (.txt) or videos.", show_default=False
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
        typer.Option("--margin", min=0.1, max=100, help="Crop's side over a box's longer one. [default: the model's]"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Of a video: take a frame's crop from the keypoints of the frame before.")
    ] = False,
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the prediction on the mirrored crop.")
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="NAME", help="What is written. Repeatable. [default: csv]"),
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
        str | None, typer.Option("--device", help="cpu, cuda, cuda:1 or mps. [default: the best there is]")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=4096, help="Crops at once.")] = 32,
    orientation: Annotated[
        str,
        typer.Option(
            "--orientation",
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
    say(written, card, doubtful, as_json)
    if written.problems or written.left_out:
        raise typer.Exit(1)


def writers_of(known: Any, names: list[str], sets: list[str]) -> dict[str, Writer]:
    """Build the writers; raises KpError where a format or an option is not known."""
    from kpcore.config import parse_sets
    from kpcore.errors import unknown

    options = parse_sets(sets)
    strangers = [name for name in options if name not in names]
    if strangers:
        raise unknown("format", strangers[0], names, where="--set")
    return {
        name: known.build("writer", name, options.get(name, {}), where=f"--format {name}")
        for name in dict.fromkeys(names)
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
    return read_boxes(path).matched([name for source in found for name in source.names])


def some(lines: list[str]) -> None:
    """Print some lines on stderr, and how many there are besides."""
    for line in lines[:SHOWN]:
        tell(line)
    if len(lines) > SHOWN:
        tell(f"... and {len(lines) - SHOWN} more")


def say(written: Written, card: Card, doubtful: list[str], as_json: bool) -> None:
    """Print what was done, and on stderr what was not."""
    from kpcore.cli.display import counted

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
    without = f"; {written.without} without a box" if written.without else ""
    lost = f"; {written.lost} times an instance was lost" if written.lost else ""
    failed = f"; {len(written.problems)} not read" if written.problems else ""
    failed += f"; {counted(len(written.left_out), 'box', 'boxes')} left out" if written.left_out else ""
    found = f"{counted(written.instances, 'instance')} in {counted(written.pictures, 'picture')}"
    print_lines([f"{card.title}, trained on {card.model.data}", f"{found}{without}{lost}{failed}."])
    print_lines([f"wrote {path}" for path in written.files[:SHOWN]])
    if len(written.files) > SHOWN:
        print_lines([f"... and {len(written.files) - SHOWN} more"])


def record(written: Written, card: Card) -> dict[str, Any]:
    """Return it as JSON."""
    return {
        "model": card.title,
        "trained_on": card.model.data,
        "pictures": written.pictures,
        "instances": written.instances,
        "without_box": written.without,
        "lost": written.lost,
        "missing_keypoints": written.unknown,
        "boxes_left_out": written.left_out,
        "boxes_of_other_pictures": sum(count for _, count in written.unused),
        "problems": [{"picture": name, "problem": problem} for name, problem in written.problems],
        "files": [str(path) for path in written.files],
    }
