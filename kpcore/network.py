"""Network assembly: stem, stages, heads on their own keypoint sets, junctions. A backbone supplies the parts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from kpcore.errors import ContractError, KpError, shown
from kpcore.interfaces import Backbone, Codec
from kpcore.plans import KeypointAxis, Layout, NetworkSpec, TensorSpec


class Junction(nn.Module):
    """What one stage passes on to the next: two 1x1 convolutions, of its features and of its prediction (Newell)."""

    def __init__(self, channels: int, predicted: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, channels, 1)
        self.predictions = nn.Conv2d(predicted, channels, 1)

    def forward(self, features: Tensor, prediction: Tensor) -> Tensor:
        """Map (B, channels, h, w) and (B, predicted, h, w) to (B, channels, h, w)."""
        out: Tensor = self.features(features) + self.predictions(prediction)
        return out


class Network(nn.Module):
    """A stem, then stages, each with a head, and junctions between them.

    Units are named ``stem``, ``stage0``, ``head0``, ``junction0``, ``stage1``, ...; the last stage has no junction.

    Args:
        backbone: supplies stem and stages.
        codec: says how many channels a head needs for its keypoints.
        layout: the keypoint set of every stage's head.
    """

    def __init__(self, backbone: Backbone, codec: Codec, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.stem = backbone.stem()
        for index, keypoints in enumerate(layout.heads):
            predicted = codec.channels(len(keypoints))
            self.add_module(f"stage{index}", backbone.stage(index))
            self.add_module(f"head{index}", nn.Conv2d(backbone.channels, predicted, 1))
            if index + 1 < len(layout.heads):
                self.add_module(f"junction{index}", Junction(backbone.channels, predicted))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (B, 3, H, W) to one prediction a stage, (B, channels(K of its head), H / stride, W / stride)."""
        x = self.stem(images)
        predictions: list[Tensor] = []
        last = len(self.layout.heads) - 1
        for index in range(last + 1):
            features = self.get_submodule(f"stage{index}")(x)
            if features.shape != x.shape:  # checked before training too; this is for a stage that changes its mind
                raise ContractError(self, f"stage{index}", f"{shown(features)}, expected {tuple(x.shape)}")
            prediction = self.get_submodule(f"head{index}")(features)
            predictions.append(prediction)
            if index < last:
                x = x + self.get_submodule(f"junction{index}")(features, prediction)
        return predictions

    def units(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield (name, module) of every unit."""
        yield from self.named_children()


def build_network(backbone: Backbone, codec: Codec, layout: Layout, *, seed: int, resolution: int) -> Network:
    """Build a network whose initial weights depend on the seed alone; check that it takes this input size.

    Raises:
        KpError: the backbone does not take the resolution.
    """
    wanted = backbone.check_size(resolution, resolution)
    if wanted is not None:
        raise KpError(f"training.resolution = {resolution}: this backbone takes {wanted}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(backbone, codec, layout)


def shapes_of(backbone: Backbone, codec: Codec, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's tensors by name, without allocating them."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Network(backbone, codec, layout).state_dict().items()}


def describe(backbone: Backbone, codec: Codec, layout: Layout) -> NetworkSpec:
    """Return the spec of a network without allocating its weights."""
    with torch.device("meta"):
        network = Network(backbone, codec, layout)
    return spec_of(network, codec, frozenset(backbone.pretrained()))


def spec_of(network: Network, codec: Codec, pretrained: frozenset[str] = frozenset()) -> NetworkSpec:
    """Return the spec of a network: every parameter and buffer by name."""
    parameters = {name for name, _ in network.named_parameters()}
    tensors = {}
    for name, tensor in network.state_dict().items():
        unit, _, rest = name.partition(".")
        part = rest.partition(".")[0] if unit.startswith("junction") else ""
        axis = _keypoint_axis(unit, part, rest, network.layout, codec)
        tensors[name] = TensorSpec(tuple(tensor.shape), unit, name in parameters, part, axis)
    return NetworkSpec(network.layout, tensors, pretrained & tensors.keys())


def _keypoint_axis(unit: str, part: str, rest: str, layout: Layout, codec: Codec) -> KeypointAxis | None:
    """Heads are laid out by keypoints along their outputs, junctions' prediction weights along their inputs."""
    if unit.startswith("head"):
        return KeypointAxis(0, layout.heads[int(unit.removeprefix("head"))].names, codec.width)
    if part == "predictions" and rest.endswith("weight"):
        return KeypointAxis(1, layout.heads[int(unit.removeprefix("junction"))].names, codec.width)
    return None


def parameters_of(spec: NetworkSpec) -> int:
    """Number of parameters (buffers such as BatchNorm's statistics left out)."""
    return sum(math.prod(tensor.shape) for tensor in spec.tensors.values() if tensor.trainable)
