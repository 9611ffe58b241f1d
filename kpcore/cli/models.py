"""``kp models``: the trained networks that there are, and one of them as a folder to keep and to send."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.group import Group
from kpcore.cli.output import number, print_json, print_lines, print_table, tell

if TYPE_CHECKING:
    from kpcore.trained.card import Card
    from kpcore.trained.finding import Listed
    from kpcore.trained.model import Model

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    help="List trained networks, show one, copy one out, or import another program's.",
)


@app.command("ls")
def ls(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="Folder of a run. [default: all of the cache]", show_default=False),
    ] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="NAME", help="Only this study's.")] = None,
    split: Annotated[str | None, typer.Option("--split", metavar="NAME", help="Only this split's.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", metavar="NAME", help="Only this mode's.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="NUMBER", help="Only of this seed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List trained networks.

    A training that studies share bears the name that the first gave it. A name is SPLIT-MODE-SEED ('source' for a mode:
    S1's training, which modes share). The validation value chose the epoch, and is of the keypoints learned last; final
    scores are in a run's tables.
    """
    from kpcore.trained.finding import Wanted, trainings

    wanted = Wanted(study, split, mode, seed)
    found = wanted.among(trainings(run))
    if as_json:
        print_json([record(one) for one in found])
        return
    if found:
        rows = [
            [one.key[:12], one.title, str(len(one.keypoints)), validation(one), one.convention or "-"] for one in found
        ]
        columns = ["key", "study/name", "keypoints", "validation", "convention"]
        print_table(columns, rows, right=["keypoints", "validation"])
    print_lines([f"{len(found)} trained networks"])


def validation(one: Listed) -> str:
    """Return a training's validation value for the table."""
    return "-" if one.validation is None else number(one.validation)


def record(one: Listed) -> dict[str, Any]:
    """Return a training as JSON."""
    return {
        "key": one.key,
        "study": one.study,
        "name": one.name,
        "seed": one.seed,
        "keypoints": list(one.keypoints),
        "validation": one.validation,
        "validation_convention": one.convention,
        "folder": str(one.folder),
    }


@app.command("show")
def show(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model folder, a job's folder or key, STUDY/NAME, or an .onnx file."),
    ],
    changed: Annotated[bool, typer.Option("--changed", help="Take one that was changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a network predicts, was trained on, and scored."""
    from kpcore.trained.opening import open_model

    opened = open_model(model, changed=changed)
    for note in opened.notes:
        tell(note)
    if as_json:
        print_json({"weights_file": str(opened.weights), **opened.card.model_dump(mode="json")})
        return
    print_table(["", ""], [list(row) for row in told(opened.card)], right=[])


def told(card: Card) -> list[tuple[str, str]]:
    """Return what a card says, a line each."""
    from kpcore.records.slugs import slug
    from kpcore.trained.card import NOT_STATED
    from kpcore.trained.model import CROP

    model, framing = card.model, card.framing
    parts = ((part.name, part.options, part.plugin, part.version) for part in (model.backbone, model.codec))
    backbone, codec = (
        f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())}; plugin {plugin} {version})"
        for name, options, plugin, version in parts
    )
    scores = [f"{one.convention}: {_score(one.average)} ({one.data}, {one.samples} samples)" for one in card.scores]
    best = model.score
    measured = f"{best.convention}: {_score(best.value)} ({best.people} samples{_of(model)})" if best.convention else ""
    points = f"{framing.points:.2f} of their keypoints' box" if framing.points else "not known from keypoints"
    rows = [
        ("name", card.title),
        ("predicts", ", ".join(model.heads[-1].keypoints)),
        *((f"step {number}", ", ".join(step)) for number, step in enumerate(card.steps, 1)),
        ("trained on", model.data),
        ("state", "" if model.trained_on else "never trained, at least in part: it predicts nothing yet"),
        ("terms", card.terms or NOT_STATED),
        ("backbone", backbone),
        ("stages", str(len(model.heads))),
        ("codec", codec),
        ("input", f"{model.resolution} px, RGB, mean {list(model.mean)}, std {list(model.std)}"),
        ("cut", "" if model.crop == CROP else model.crop),
        ("crops", f"{framing.box:g} of a box's longer side; {points}"),
        ("validation", measured),
        *(("score", score) for score in scores),
        ("scores", "" if scores or not model.job else f"of a run: kp models show RUN/jobs/{slug(card.name)}"),
        ("job", model.job),
    ]
    return [(name, text) for name, text in rows if text]


def _of(model: Model) -> str:
    """Return which keypoints a validation is of, where a network predicts others besides."""
    predicts = len(model.heads[-1].keypoints)
    return f", {len(model.trained_on)} of its {predicts} keypoints" if 0 < len(model.trained_on) < predicts else ""


def _score(value: float | None) -> str:
    return "-" if value is None else number(value)


@app.command("copy")
def copy(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A job's folder or key, STUDY/NAME, or a model folder.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to make; it must not be there, or be empty.")
    ],
    changed: Annotated[bool, typer.Option("--changed", help="Take one that was changed, as it is now.")] = False,
    terms: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Terms of use for the card to state. [default: what it says]")
    ] = None,
) -> None:
    """Copy a trained network out of the cache.

    The copy is a folder of two files that explains itself.
    """
    from kpcore.cli.stopping import stopping
    from kpcore.trained.copying import copy_model

    with stopping(f"nothing half written stays in {folder}"):
        copy_model(model, folder, changed=changed, terms=terms)
    print_lines([f"wrote {folder}: model.json and weights.safetensors; 'kp predict {folder} PICTURES' uses it"])


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Weights: .safetensors, or what torch.save wrote.", show_default=False),
    ],
    backbone: Annotated[str, typer.Option(metavar="NAME", help="Backbone that they are of.", show_default=False)],
    codec: Annotated[str, typer.Option(metavar="NAME", help="Codec of their heads.", show_default=False)],
    rules: Annotated[
        str,
        typer.Option(
            "--map",
            metavar="RULES",
            help="Rules: a TOML file, or a name that 'kp models rules' lists.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder to make; it must not be there, or be empty.", show_default=False),
    ],
    stages: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=64, help="Stages of the network.", show_default=False)
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option, e.g. backbone.channels=256. Repeatable."),
    ] = None,
    keypoints: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="What it predicts: a data set (mpii16), or names with commas between. [default: the rules']",
            show_default=False,
        ),
    ] = "",
    skeleton: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="JSON with 'keypoints' (name, mirror, group) and 'edges'.", show_default=False
        ),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Pixels along an input's side. [default: the rules']")
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="That new tensors are drawn from, where the rules let some be new.")
    ] = 0,
    every: Annotated[bool, typer.Option("--all", help="Print a line for every tensor.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a model folder of another program's weights.

    What does not fit is an error, and nothing is written then.
    """
    from kpcore.cli.importing import finish
    from kpcore.cli.stopping import stopping
    from kpcore.registry import registry
    from kpcore.trained.importing.whole import Asked, prepare_import

    asked = Asked(file, backbone, codec, sets or [], stages, rules, keypoints, skeleton, resolution, seed)
    with stopping(f"nothing half written stays in {out}"):
        finish(prepare_import(asked, registry()), out, every=every, as_json=as_json)


@app.command("rules")
def rules(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print these. [default: list all]", show_default=False)
    ] = None,
) -> None:
    """List the rules of 'kp models import', or print one of them."""
    from kpcore.cli.importing import list_rules, print_rules
    from kpcore.registry import registry

    if name is None:
        list_rules(registry())
    else:
        print_rules(name, registry())
