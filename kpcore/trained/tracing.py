"""A trained network traced: one program from images in [0, 1] to points, which knows nothing of our code."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from kpcore.errors import KpError
from kpcore.trained.model import Component, Trained

EXAMPLE = 2
"""Crops of the batch that the network is traced with; a batch of one would be taken for a constant."""
Program: TypeAlias = Any
"""``torch.export.ExportedProgram``; torch.export takes a second to import, so only where it is asked for."""


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
