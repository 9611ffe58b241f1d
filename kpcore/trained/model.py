"""Weights that explain themselves: what a network is made of and what it was trained on, in the weights' own file.

A safetensors file holds tensors and texts, and nothing that runs. From the texts alone :func:`load_model` builds the
network again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kpcore.errors import KpError
from kpcore.interfaces import Backbone, Codec
from kpcore.keypoints import Keypoint, KeypointSet, Skeleton
from kpcore.network import Network, build_network, shapes_of
from kpcore.plans import Layout
from kpcore.reading.opening import one_line, regular
from kpcore.recipes import Recipe
from kpcore.registry import Registry
from kpcore.weights import load_weights, restore

METADATA = "kptransfer"
"""Key of the description among the file's texts."""
EXPORTED = (".onnx", ".pt2")
"""Endings of what ``kp export`` writes: no network can be built from such a file."""
NO_NETWORK = "no network can be built from an exported file; give the model folder that it was exported from"
CROP = "square of the instance's side around its centre, resized to the resolution; pixel centres at integers"
"""How an image becomes an input, for whoever has only this file."""


class Described(BaseModel):
    """Base of what is written: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(Described):
    """How backbone or codec was asked for."""

    name: str
    options: dict[str, Any]
    plugin: str
    package: str
    version: str
    code: str


class Points(Described):
    """A skeleton: (name, mirror partner, group) of each keypoint, and edges by name."""

    name: str
    dims: int
    keypoints: tuple[tuple[str, str | None, str], ...]
    edges: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, skeleton: Skeleton) -> Points:
        """Take a skeleton down."""
        points = tuple((point.name, point.mirror, point.group) for point in skeleton.keypoints)
        return cls(name=skeleton.name, dims=skeleton.dims, keypoints=points, edges=skeleton.edges)

    def skeleton(self) -> Skeleton:
        """Return it."""
        return Skeleton(self.name, tuple(Keypoint(*point) for point in self.keypoints), self.edges, self.dims)


class Head(Described):
    """A stage's head: its keypoints in the order of its channels, and which of the skeletons they are of."""

    skeleton: int = Field(ge=0, lt=64)
    keypoints: tuple[str, ...] = Field(min_length=1, max_length=10_000)


class Score(Described):
    """What the network scored while it was trained."""

    value: float | None
    convention: str
    higher_is_better: bool
    people: int


class Model(Described):
    """All that a weights file says of its network.

    ``trained_on`` names the keypoints of its last training, none where a part of it was never trained; ``job`` is the
    key of that training. An input is RGB in [0, 1], minus ``mean``, over ``std``, ``resolution`` pixels a side; a
    prediction's pixel is ``stride`` of them.
    """

    version: Literal[1] = 1
    backbone: Component
    codec: Component
    skeletons: tuple[Points, ...] = Field(min_length=1, max_length=64)
    heads: tuple[Head, ...] = Field(min_length=1, max_length=64)
    trained_on: tuple[str, ...]
    resolution: int = Field(ge=1, le=8192)
    stride: int = Field(ge=1, le=8192)
    crop: str = CROP
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    data: str
    score: Score
    job: str

    @property
    def layout(self) -> Layout:
        """The network's heads."""
        skeletons = [points.skeleton() for points in self.skeletons]
        return Layout(tuple(skeletons[head.skeleton].select(head.keypoints) for head in self.heads))


def component(recipe: Recipe) -> Component:
    """Take a recipe down."""
    return Component(**recipe.record())


def heads_of(layout: Layout) -> tuple[tuple[Points, ...], tuple[Head, ...]]:
    """Return a layout's skeletons, each once, and its heads."""
    skeletons = list(dict.fromkeys(head.skeleton for head in layout.heads))
    heads = tuple(Head(skeleton=skeletons.index(head.skeleton), keypoints=head.names) for head in layout.heads)
    return tuple(Points.of(skeleton) for skeleton in skeletons), heads


def metadata(model: Model) -> dict[str, str]:
    """Return the texts of a weights file."""
    return {METADATA: model.model_dump_json()}


def read_model(path: Path) -> Model:
    """Read what a weights file says of itself.

    Raises:
        KpError: no such file, damaged, or not written by this program.
    """
    if path.suffix in EXPORTED:
        raise KpError(f"{path}: {NO_NETWORK}")
    try:
        regular(path, "weights")
        with safe_open(path, framework="pt") as file:
            texts: Mapping[str, str] = file.metadata() or {}
    except FileNotFoundError:
        raise KpError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError) as error:
        raise KpError(f"{path}: not a readable safetensors file: {error}") from None
    if METADATA not in texts:
        raise KpError(f"{path}: does not say what network it is of (no text '{METADATA}'); was it written by 'kp run'?")
    try:
        model = Model.model_validate_json(texts[METADATA])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise KpError(f"{path}: what it says of its network cannot be used: {place}: {first['msg']}") from None
    try:
        _ = model.layout
    except (KpError, ValueError, IndexError, KeyError) as error:
        raise KpError(f"{path}: what it says of its keypoints cannot be used: {one_line(error)}") from None
    return model


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network with the parts that it was built from, on the CPU, in evaluation mode."""

    model: Model
    network: Network
    backbone: Backbone
    codec: Codec

    @property
    def keypoints(self) -> KeypointSet:
        """What the last head predicts."""
        return self.network.layout.heads[-1]


def load_model(path: Path, known: Registry) -> Trained:
    """Build the network that a weights file describes, from nothing but the file and the plugins.

    Raises:
        KpError: the file cannot be used, a plugin is missing, or the tensors do not fit.
    """
    model = read_model(path)
    backbone: Backbone = known.build("backbone", model.backbone.name, model.backbone.options, where=f"{path}: backbone")
    codec: Codec = known.build("codec", model.codec.name, model.codec.options, where=f"{path}: codec")
    shapes = shapes_of(backbone, codec, model.layout)  # of any size: nothing is built that the file does not fill
    state = load_weights(path, shapes)
    _require_numbers(state, path)
    network = build_network(backbone, codec, model.layout, seed=0, resolution=model.resolution)
    restore(network, state, str(path))
    return Trained(model, network.eval().requires_grad_(False), backbone, codec)


def _require_numbers(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights of which some are no numbers: whatever they predict is none either; raises KpError."""
    wrong = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    if wrong:
        raise KpError(
            f"{path}: {len(wrong)} of {len(state)} tensors hold NaN or infinity (first: {wrong[0]}); its training"
            " diverged or the file is damaged: train it again, or take an earlier copy"
        )
