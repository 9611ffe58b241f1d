"""A trained network as one file for programs that do not have ours: an ONNX graph, or a program of ``torch.export``.

Normalisation, network and the codec's decoding are inside: (B, 3, R, R) RGB in [0, 1] becomes points in the input's
pixels and confidences. B is free, R the resolution of the training. The arithmetic is float32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch

from kpcore.cores import cores
from kpcore.errors import KpError, system_error, unknown
from kpcore.placing import beside, sweep
from kpcore.registry import Registry
from kpcore.tensors import FloatArray
from kpcore.trained.agreeing import BATCHES, LIMIT, Agreement, Run, agreement, made_up
from kpcore.trained.card import CARD, Card
from kpcore.trained.model import Trained, load_model
from kpcore.trained.onnx_engine import OnnxEngine
from kpcore.trained.onnx_file import ENDING, INPUT, OUTPUTS, open_onnx, require, sealed, texts_of
from kpcore.trained.opening import open_model
from kpcore.trained.predictor import Predictor
from kpcore.trained.tracing import Program, called, first_line, quiet, traced
from kpcore.training.device import Device

Kind = Literal["onnx", "torch"]
ENDINGS: dict[Kind, str] = {"onnx": ENDING, "torch": ".pt2"}
OPSET = 18
"""Of the ONNX operators: what torch's exporter writes without converting; onnxruntime 1.14 and later run it."""
LIBRARIES = ("onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True)
class Exporting:
    """What is exported, and how.

    Args:
        kind: of file.
        flip_test: put the flip test inside: twice the work for every crop.
        limit: input pixels that a point may differ by from PyTorch's.
        changed: take a model that was changed after it was written.
    """

    kind: Kind
    flip_test: bool = False
    limit: float = LIMIT
    changed: bool = False


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        path: its.
        card: that it carries.
        agreement: with PyTorch.
    """

    path: Path
    card: Card
    agreement: Agreement


def kind_of(word: str) -> Kind:
    """Return what is written; raises KpError where the word is none of the two."""
    if word in get_args(Kind):
        return cast(Kind, word)
    raise unknown("kind of file", word, get_args(Kind), where="--to")


def export(model: str, out: Path | None, how: Exporting, known: Registry) -> Exported:
    """Write a network as one file and compare it with PyTorch; one that differs is not left behind.

    Args:
        model: as for ``kp predict``.
        out: file to write; the model's name in this folder where None.
        how: what is asked for.
        known: the plugins.

    Raises:
        KpError: a library or a plugin is missing, there is no such network or it cannot be exported, the file is
            there or cannot be written, or it does not give what PyTorch gives.
    """
    if how.kind == "onnx":
        require(*LIBRARIES)
    opened = open_model(model, changed=how.changed)
    path = writable(out or Path(f"{opened.card.name}{ENDINGS[how.kind]}"), how.kind)
    trained = load_model(opened.weights, known)
    program = traced(trained, flip_test=how.flip_test)
    sweep(path.parent)
    try:
        partial = beside(path)
    except OSError as error:
        raise KpError(f"{system_error(error, path)}; name another file") from None
    try:
        return Exported(path, opened.card, _written(program, trained, opened.card, how, partial, path))
    except OSError as error:
        raise KpError(f"{system_error(error, path)}; name another file") from None
    finally:
        partial.unlink(missing_ok=True)


def writable(path: Path, kind: Kind) -> Path:
    """Return the file to write; raises KpError where it is there, its folder is not, or its ending is another's."""
    if path.suffix != ENDINGS[kind]:
        raise KpError(f"--out {path}: ends in '{path.suffix}'; --to {kind} writes '{ENDINGS[kind]}'")
    if path.exists():
        raise KpError(f"--out {path}: is there already; name another file, or remove it")
    if not path.parent.is_dir():
        raise KpError(f"--out {path}: no such folder '{path.parent}'; make it first")
    return path


def _written(program: Program, trained: Trained, card: Card, how: Exporting, partial: Path, path: Path) -> Agreement:
    """Write beside the place, check, and only then move there."""
    if how.kind == "onnx":
        write_onnx(program, trained, card, partial, flip_test=how.flip_test)
        run: Run = OnnxEngine(open_onnx(partial)).images
    else:
        write_torch(program, card, partial)
        run = program_run(partial)
    predictor = Predictor(trained.network, trained.backbone, trained.codec, _cpu(), how.flip_test)
    found = agreement(run, predictor, made_up(sum(BATCHES), trained.model.resolution))
    try:
        found.require(how.limit)
    except KpError as error:
        raise KpError(f"{path}: not written: {error}") from None
    partial.replace(path)
    return found


def _cpu() -> Device:
    return Device(torch.device("cpu"), "fp32", cores())


def write_onnx(program: Program, trained: Trained, card: Card, path: Path, *, flip_test: bool) -> None:
    """Write a program as ONNX with its card, sealed.

    Raises:
        KpError: ONNX has no operator for something that the network does.
        OSError: the file cannot be written.
    """
    exporter: Any = import_module("torch.onnx")
    try:
        with quiet(), torch.no_grad():
            made = exporter.export(
                program, dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=list(OUTPUTS),
                dynamic_shapes=({0: "batch"},), verbose=False,
            )  # fmt: skip
    except Exception as error:  # as in traced
        parts = f"{called('backbone', trained.model.backbone)} with {called('codec', trained.model.codec)}"
        raise KpError(f"{parts} cannot be written as ONNX: {first_line(error)}; --to torch may do") from None
    _tidy(made.model)
    made.model.metadata_props.update(texts_of(card, flip_test=flip_test))
    made.model.doc_string = told(trained, flip_test=flip_test)
    made.save(str(path), external_data=False)
    path.write_bytes(sealed(path.read_bytes()))


def _tidy(model: Any) -> None:
    """Drop what the exporter notes at every node: lines and folders of this machine."""
    for graph in model.graphs():
        graph.metadata_props.clear()
        for node in graph:
            node.metadata_props.clear()


def told(trained: Trained, *, flip_test: bool) -> str:
    """Return what a file takes and gives, for who has only the file."""
    side, keypoints = trained.model.resolution, trained.keypoints
    count, dims = len(keypoints), keypoints.skeleton.dims
    flipped = "; averaged with the prediction on the mirrored crop" if flip_test else ""
    return (
        f"Input {INPUT}: (batch, 3, {side}, {side}) float32 RGB in [0, 1], not normalised; {trained.model.crop}."
        f" Outputs points (batch, {count}, {dims}) in input pixels, x first, 0 the centre of the first pixel, and"
        f" confidence (batch, {count}){flipped}. Keypoints: {', '.join(keypoints.names)}."
    )


def write_torch(program: Program, card: Card, path: Path) -> None:
    """Write a program as torch's own archive, the card in it; raises OSError where it cannot be written."""
    exporter: Any = import_module("torch.export")
    text = json.dumps(card.sealed().model_dump(mode="json"), indent=1, allow_nan=False)
    held = BytesIO()  # torch's own writer has a paragraph of addresses for a full disk
    with quiet():
        exporter.save(program, held, extra_files={CARD: text})
    path.write_bytes(held.getbuffer())


def program_run(path: Path) -> Run:
    """Load torch's archive as a program that knows nothing of ours does, and return what runs it."""
    exporter: Any = import_module("torch.export")
    with quiet():
        module = exporter.load(str(path)).module()

    def run(images: FloatArray) -> tuple[FloatArray, FloatArray]:
        points, confidence = module(torch.from_numpy(images))
        return points.numpy(), confidence.numpy()

    return run
