"""All of ``kp models import``: a file of another program's weights in, a model folder out, or what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpcore.cache import file_digest
from kpcore.config import parse_sets
from kpcore.errors import KpError, listed, system_error
from kpcore.interfaces import Backbone, Codec
from kpcore.keypoints import KeypointSet
from kpcore.network import Network, build_network, spec_of
from kpcore.placing import filled
from kpcore.plans import Layout
from kpcore.records.folder import WEIGHTS
from kpcore.registry import Registry
from kpcore.trained.card import Card, write_card
from kpcore.trained.importing.inputs import fit_input
from kpcore.trained.importing.matching import Match, match
from kpcore.trained.importing.naming import named_keypoints
from kpcore.trained.importing.rules import Rules, read_rules
from kpcore.trained.importing.state import State, read_state
from kpcore.trained.model import Model, Score, component, heads_of, metadata
from kpcore.weights import save_weights

TABLES = ("backbone", "codec")


@dataclass(frozen=True)
class Asked:
    """What a user says of the network in a file.

    Args:
        file: of the weights.
        backbone, codec: that it is to be built of.
        sets: options of these, as ``backbone.channels=256``.
        stages: how many it has.
        map: of the rules: a file, or a name.
        keypoints: a data set's name, or names with commas between; "" for those of the rules.
        skeleton: file that they are of; None where names are enough.
        resolution: of its inputs, pixels a side; None for that of the rules.
        seed: that what is new is drawn from.
    """

    file: Path
    backbone: str
    codec: str
    sets: Sequence[str]
    stages: int
    map: str
    keypoints: str = ""
    skeleton: Path | None = None
    resolution: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Import:
    """A file that was matched with a network; :func:`write_import` makes a model folder of it.

    Args:
        match: what became of every tensor.
        said: what was done besides, and what differs, a sentence each.
        network: with the file's tensors in it, where nothing is at fault.
        model: what its weights file will say.
        rules: that it was matched by.
    """

    match: Match
    said: tuple[str, ...]
    network: Network
    model: Model
    rules: Rules


@dataclass(frozen=True, eq=False)
class _Parts:
    backbone: Backbone
    codec: Codec
    model: Model


def prepare_import(asked: Asked, known: Registry) -> Import:
    """Match a file with the network that a user describes; nothing is written.

    Raises:
        KpError: the file, the rules, a component or the keypoints cannot be used, or the input differs too much.
    """
    name, rules = read_rules(asked.map, known)
    state = read_state(asked.file, rules.inside)
    keypoints = named_keypoints(asked.keypoints, asked.skeleton, rules.keypoints, known)
    parts = _parts(asked, rules, keypoints, known, _data(state, name))
    layout = Layout((keypoints,) * asked.stages)
    network = build_network(parts.backbone, parts.codec, layout, seed=asked.seed, resolution=parts.model.resolution)
    mine = network.state_dict()
    kinds = {tensor: held.is_floating_point() for tensor, held in mine.items()}
    matched = match(state.tensors, spec_of(network, parts.codec).tensors, kinds, rules)
    said = [*state.said]
    if not matched.faults:
        loaded = dict(matched.state)
        said.append(fit_input(loaded, rules.input, parts.backbone, asked.map))
        network.load_state_dict({**mine, **loaded})
    model, new = parts.model, _new_units(matched, network)
    if new:
        model = model.model_copy(update={"trained_on": ()})
        said.append(f"{listed(new)}: new and untrained at least in part; the network predicts nothing until trained")
    said += rules.notes
    return Import(matched, tuple(filter(None, said)), network.eval(), model, rules)


def _data(state: State, rules: str) -> str:
    """Return what the card says of where the weights come from."""
    return f"weights of {state.path.name} (SHA-256 {file_digest(state.path)[:16]}), imported by the rules '{rules}'"


def _parts(asked: Asked, rules: Rules, keypoints: KeypointSet, known: Registry, data: str) -> _Parts:
    options = _options(asked.sets)
    backbone = known.make("backbone", asked.backbone, options["backbone"], where="--set backbone")
    codec = known.make("codec", asked.codec, options["codec"], where="--set codec")
    skeletons, heads = heads_of(Layout((keypoints,) * asked.stages))
    model = Model(
        backbone=component(backbone.recipe),
        codec=component(codec.recipe),
        skeletons=skeletons,
        heads=heads,
        trained_on=keypoints.names,
        resolution=asked.resolution or rules.input.resolution,
        stride=backbone.component.stride,
        crop=rules.crop,
        mean=backbone.component.mean,
        std=backbone.component.std,
        data=data,
        score=Score(value=None, convention="", higher_is_better=True, people=0),
        job="",
    )
    return _Parts(backbone.component, codec.component, model)


def _options(sets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the options of each component; raises KpError for what is of neither."""
    given = parse_sets(sets)
    for table, options in given.items():
        if table not in TABLES or not isinstance(options, dict):
            raise KpError(f"--set {table}: write it as backbone.KEY=VALUE or codec.KEY=VALUE")
    return {table: dict(given.get(table, {})) for table in TABLES}


def _new_units(matched: Match, network: Network) -> list[str]:
    """Return units with parameters that no file has filled."""
    parameters = {name for name, _ in network.named_parameters()}
    new = (line.target for line in matched.of("new") if line.target in parameters)
    return list(dict.fromkeys(target.partition(".")[0] for target in new))


def write_import(found: Import, folder: Path) -> None:
    """Write a model folder: the weights, then the card.

    Raises:
        KpError: something does not fit, the folder holds something, or cannot be written.
    """
    if found.match.faults:
        raise KpError(f"{folder}: not written, since {len(found.match.faults)} tensors do not fit")
    try:
        with filled(folder) as stage:
            save_weights(stage / WEIGHTS, found.network, metadata(found.model))
            card = Card(
                name=folder.resolve().name, study="", model=found.model, framing=found.rules.framing,
                steps=(found.model.heads[-1].keypoints,), weights=file_digest(stage / WEIGHTS),
            )  # fmt: skip
            write_card(stage, card)
    except OSError as error:
        raise KpError(f"{system_error(error, folder)}; name another folder") from None
