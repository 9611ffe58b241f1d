"""A trained network as one file for programs that do not have ours: an ONNX graph, or a program of ``torch.export``.

Normalisation, network and the codec's decoding are inside: (B, 3, R, R) RGB in [0, 1] becomes points in the input's
pixels and confidences. B is free, R the resolution of the training. The arithmetic is float32.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn

from kpcore.cores import cores
from kpcore.errors import KpError, system_error, unknown
from kpcore.registry import Registry
from kpcore.tensors import FloatArray
from kpcore.trained.agreeing import BATCHES, LIMIT, Agreement, Run, agreement, made_up
from kpcore.trained.card import CARD, Card
from kpcore.trained.model import Component, Trained, load_model
from kpcore.trained.onnx_engine import OnnxEngine
from kpcore.trained.onnx_file import ENDING, INPUT, OUTPUTS, open_onnx, require, sealed, texts_of
from kpcore.trained.opening import open_model
from kpcore.trained.predictor import Predictor
from kpcore.training.device import Device

Kind = Literal["onnx", "torch"]
ENDINGS: dict[Kind, str] = {"onnx": ENDING, "torch": ".pt2"}
OPSET = 18
"""Of the ONNX operators: what torch's exporter writes without converting; onnxruntime 1.14 and later run it."""
LIBRARIES = ("onnx", "onnxruntime", "onnxscript")
EXAMPLE = 2
"""Crops of the batch that the network is traced with; a batch of one would be taken for a constant."""
Program: TypeAlias = Any
"""``torch.export.ExportedProgram``; torch.export takes a second to import, so only where it is asked for."""


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


class Whole(nn.Module):
    """Normalisation, network, flip test where asked for, decoding: what is exported."""

    mean: Tensor
    std: Tensor
    order: Tensor

    def __init__(self, trained: Trained, *, flip_test: bool) -> None:
        super().__init__()
        self.network = trained.network
        self._codec = trained.codec
        self._stride = trained.backbone.stride
        self._flip_test = flip_test
        slices = [trained.codec.channel_slice(place) for place in trained.keypoints.flip_permutation]
        self.register_buffer("order", torch.tensor([one for part in slices for one in range(part.start, part.stop)]))
        self.register_buffer("mean", torch.tensor(trained.backbone.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(trained.backbone.std).view(3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 3, R, R) RGB in [0, 1] to points (B, K, D) in input pixels and confidences (B, K)."""
        ready = (images - self.mean) / self.std
        prediction: Tensor = self.network(ready)[-1]
        if self._flip_test:
            mirrored: Tensor = self.network(ready.flip(3))[-1]
            prediction = self._codec.merge(prediction, mirrored.flip(3).index_select(1, self.order))
        points, confidence = self._codec.decode(prediction, self._stride)
        return points.float(), confidence.float()


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
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
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


def traced(trained: Trained, *, flip_test: bool) -> Program:
    """Return the program of a network with a free batch.

    Raises:
        KpError: its backbone or its codec cannot be exported.
    """
    side = trained.model.resolution
    whole = Whole(trained, flip_test=flip_test).eval().requires_grad_(False)
    try:
        program = _program(whole, torch.zeros(EXAMPLE, 3, side, side))
    except Exception as error:  # torch raises what it likes
        raise _blamed(trained, error) from None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # lines and folders of this machine
    return program


def _program(module: nn.Module, example: Tensor) -> Program:
    exporter: Any = import_module("torch.export")
    free = {0: exporter.Dim("batch")}
    with quiet(), torch.no_grad():
        return exporter.export(module, (example,), dynamic_shapes=(free,), strict=False)


class _Decoding(nn.Module):
    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self._codec = trained.codec
        self._stride = trained.backbone.stride

    def forward(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        return self._codec.decode(prediction, self._stride)


def _blamed(trained: Trained, error: Exception) -> KpError:
    """Build the error for what cannot be exported: the codec where its decoding alone fails too, else the backbone."""
    channels = trained.codec.channels(len(trained.keypoints))
    size = trained.model.resolution // trained.backbone.stride
    try:
        _program(_Decoding(trained), torch.zeros(EXAMPLE, channels, size, size))
    except Exception as found:
        return unexportable("codec", trained.model.codec, found)
    return unexportable("backbone", trained.model.backbone, error)


def unexportable(kind: str, part: Component, error: Exception) -> KpError:
    """Build the error that says which component torch cannot trace."""
    return KpError(f"{called(kind, part)} cannot be exported: {first_line(error)}; take another {kind}")


def called(kind: str, part: Component) -> str:
    """Return what an error calls a component: its name and what it was asked for."""
    options = ", ".join(f"{key} {value}" for key, value in part.options.items() if isinstance(value, str | int))
    return f"{kind} '{part.name}' ({options})"


def first_line(error: BaseException) -> str:
    """Return what an error says first; torch's exporter wraps the one that matters."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


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
    with quiet():
        exporter.save(program, str(path), extra_files={CARD: text})


def program_run(path: Path) -> Run:
    """Load torch's archive as a program that knows nothing of ours does, and return what runs it."""
    exporter: Any = import_module("torch.export")
    with quiet():
        module = exporter.load(str(path)).module()

    def run(images: FloatArray) -> tuple[FloatArray, FloatArray]:
        points, confidence = module(torch.from_numpy(images))
        return points.numpy(), confidence.numpy()

    return run


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's remarks on its exporters off the terminal; what fails is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
