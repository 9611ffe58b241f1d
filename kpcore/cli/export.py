"""``kp export``: a trained network as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpcore.cli.output import print_json, print_lines

if TYPE_CHECKING:
    from kpcore.trained.exporting import Exported


def export(
    model: Annotated[
        str, typer.Argument(help="A model folder, a job's folder, a job's key, or STUDY/NAME.", show_default=False)
    ],
    to: Annotated[str, typer.Option("--to", metavar="onnx|torch", help="What is written.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="File to write. [default: the model's name]", show_default=False),
    ] = None,
    flip_test: Annotated[
        bool,
        typer.Option("--flip-test", help="Put the flip test inside: averages with the mirrored crop, twice the work."),
    ] = False,
    limit: Annotated[
        float,
        typer.Option(
            "--limit", metavar="PIXELS", min=0, help="What points may differ by from PyTorch's, input pixels."
        ),
    ] = 0.05,
    changed: Annotated[
        bool, typer.Option("--changed", help="Take a model that was changed after it was written.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a trained network as one file: images in [0, 1] to points in their pixels and confidences.

    It is compared with PyTorch before it is put in its place. ONNX needs an extra: pip install 'kptransfer[onnx]'.
    """
    from kpcore.cli.stopping import stopping
    from kpcore.registry import registry
    from kpcore.trained.exporting import Exporting, kind_of
    from kpcore.trained.exporting import export as write

    how = Exporting(kind_of(to), flip_test=flip_test, limit=limit, changed=changed)
    with stopping("no half written file stays"):
        written = write(model, out, how, registry())
    if as_json:
        print_json(record(written))
    else:
        print_lines(said(written))


def said(written: Exported) -> list[str]:
    """Return what was written and how far it is from PyTorch."""
    from kpcore.trained.exporting import OPSET

    found, model = written.agreement, written.card.model
    side, count, dims = model.resolution, len(model.heads[-1].keypoints), model.skeletons[model.heads[-1].skeleton].dims
    opset = f", opset {OPSET}" if written.path.suffix == ".onnx" else ""
    left = found.points - found.steady
    without = f" ({left} others hang on rounding in PyTorch too)" if left else ""
    return [
        f"wrote {written.path}: {written.path.stat().st_size / 1e6:.1f} MB{opset}; (B, 3, {side}, {side}) RGB in [0, 1]"
        f" to points (B, {count}, {dims}) in input pixels and confidences (B, {count})",
        f"largest difference from PyTorch on {found.crops} made-up crops: {found.pixels:.2g} px over {found.steady}"
        f" points{without}, confidence {found.confidence:.2g}",
    ]


def record(written: Exported) -> dict[str, Any]:
    """Return it as JSON."""
    from kpcore.trained.exporting import OPSET

    found = written.agreement
    return {
        "file": str(written.path),
        "bytes": written.path.stat().st_size,
        "opset": OPSET if written.path.suffix == ".onnx" else None,
        "crops": found.crops,
        "points": found.points,
        "steady": found.steady,
        "pixels": found.pixels,
        "confidence": found.confidence,
    }
