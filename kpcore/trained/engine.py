"""What turns crops into points: a network of ours, or one that was exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from kpcore.cores import cores
from kpcore.errors import KpError
from kpcore.keypoints import KeypointSet
from kpcore.registry import Registry
from kpcore.tensors import Float64Array, ImageArray
from kpcore.trained.card import Card
from kpcore.trained.finding import locate
from kpcore.trained.framing import Framing
from kpcore.trained.model import load_model
from kpcore.trained.onnx_engine import onnx_engine
from kpcore.trained.onnx_file import ENDING
from kpcore.trained.opening import Opened, open_model
from kpcore.trained.predictor import Predictor
from kpcore.training.device import Device, choose_device


class Engine(Protocol):
    """Predicts crops of one size."""

    @property
    def keypoints(self) -> KeypointSet:
        """What is predicted, in order."""

    @property
    def resolution(self) -> int:
        """Pixels along a crop's side."""

    @property
    def framing(self) -> Framing:
        """How a box becomes a crop."""

    @property
    def on_cpu(self) -> bool:
        """Whether it computes on the cores that pictures are read with."""

    def crops(self, pixels: ImageArray) -> tuple[Float64Array, Float64Array]:
        """Predict (B, R, R, 3) uint8 RGB.

        Returns:
            (B, K, D) points in the crops' pixels and (B, K) confidences, in the codec's units.
        """


@dataclass(frozen=True, eq=False)
class NetworkEngine:
    """A network with the codec that it was trained with, on a device.

    Args:
        predictor: network, codec and device.
        resolution: of its inputs, pixels a side.
        framing: how a box becomes a crop.
    """

    predictor: Predictor
    resolution: int
    framing: Framing

    @property
    def keypoints(self) -> KeypointSet:
        """The last head's."""
        return self.predictor.keypoints

    @property
    def on_cpu(self) -> bool:
        """Whether its device is the CPU."""
        return self.predictor.device.torch.type == "cpu"

    def crops(self, pixels: ImageArray) -> tuple[Float64Array, Float64Array]:
        """Predict them as one batch."""
        points, confidence = self.predictor.crops(torch.from_numpy(pixels))
        return points.numpy(), confidence.numpy()


def network_engine(opened: Opened, known: Registry, device: Device, *, flip_test: bool) -> NetworkEngine:
    """Build a network on a device.

    Raises:
        KpError: a plugin is missing, or the tensors do not fit.
    """
    trained = load_model(opened.weights, known)
    network = trained.network.to(device.torch)
    predictor = Predictor(network, trained.backbone, trained.codec, device, flip_test)
    return NetworkEngine(predictor, opened.card.model.resolution, opened.card.framing)


def chosen_engine(
    model: str,
    known: Registry,
    device: str | None,
    *,
    flip_test: bool,
    changed: bool,
    told: Callable[[str], None] = lambda note: None,
) -> tuple[Engine, Card]:
    """Open a network and put it on a device, in the precision that it was scored in where that is the
    device's own; in float32 elsewhere.

    An exported network (``.onnx``) runs in onnxruntime, in float32.

    Args:
        model: as for ``kp predict``.
        known: the plugins.
        device: that is asked for.
        flip_test: average with the prediction on the mirrored crop.
        changed: take files that were changed after they were written.
        told: of what differs between a card that was changed and its weights.

    Raises:
        KpError: there is no such network, it was changed or never trained, a plugin is missing, or the device is not
            there.
    """
    path = locate(model)
    if path.suffix == ENDING and path.is_file():
        exported = onnx_engine(path, device, flip_test=flip_test, changed=changed)
        require_trained(path, exported.file.card)
        return exported, exported.file.card
    opened = open_model(model, changed=changed)
    require_trained(path, opened.card)
    for note in opened.notes:
        told(note)
    where = choose_device(device, "auto", cores())
    if where.precision != opened.card.precision:  # another chip than the one that it was scored on
        where = replace(where, precision="fp32")
    return network_engine(opened, known, where, flip_test=flip_test), opened.card


def require_trained(path: Path, card: Card) -> None:
    """Refuse a network of which a part was never trained; raises KpError."""
    if not card.model.trained_on:
        raise KpError(
            f"{path}: {card.model.data}, was never trained, at least in part, and what it predicts means nothing;"
            f' train it first: [source] model = "{path}" in a study file, whose S1 it predicts'
        )
