"""S1 as a network that is there already, in place of its training: ``[source] model = PATH``.

Such a network is put into the cache as a finished job of no iterations, so that all that starts from a source is as it
always is: plans, proofs, what is shared, results.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kpcore.cache import content_key, file_digest
from kpcore.config import SourceTable
from kpcore.errors import FaultsError, KpError, listed
from kpcore.keypoints import KeypointSplit
from kpcore.placing import copy
from kpcore.plans import Layout
from kpcore.records.folder import JobFolder, JobResult
from kpcore.study.study import Study
from kpcore.trained.card import SAY, Card, write_card
from kpcore.trained.model import EXPORTED, NO_NETWORK, Component
from kpcore.trained.opening import Opened, open_model
from kpcore.weights import load_weights, restore

NAME = "given"
"""What the job of such a network is called."""


@dataclass(frozen=True)
class Given:
    """A network that stands for the training on S1.

    Args:
        key: of its job's folder in the cache.
        card: what is known of it.
    """

    key: str
    card: Card

    @property
    def terms(self) -> str:
        """Those of its card."""
        return self.card.terms

    def layout(self, split: KeypointSplit) -> Layout:
        """Return its heads, as sets of the split's own skeleton."""
        skeleton = split.source.skeleton
        return Layout(tuple(skeleton.select(head.keypoints) for head in self.card.model.heads))


def given(study: Study, table: SourceTable | None) -> Given | None:
    """Open the network that a study names as its source and check that it fits; None where it names none.

    Raises:
        FaultsError: it does not fit the backbone, the stages or the first step of a split; a line each.
        KpError: there is no such network, or it was changed.
    """
    if table is None:
        return None
    opened = _opened(study, table)
    problems = [*_parts(study, opened.card), *(_split(split, opened.card) for split in study.splits)]
    if wrong := [f"{study.file}: source.model: {problem}" for problem in problems if problem]:
        raise FaultsError(wrong)
    found = Given(_key(opened), opened.card)
    network = study.network(found.layout(study.splits[0]), seed=0)
    restore(network, load_weights(opened.weights), f"{study.file}: source.model")
    _put(found, opened)
    return found


def _opened(study: Study, table: SourceTable) -> Opened:
    """Open the network; raises KpError with what a study file says, where a command has an option."""
    if Path(table.model).suffix in EXPORTED:  # before a library is asked for that would not help
        raise KpError(f"{study.file}: source.model: {table.model}: {NO_NETWORK}")
    try:
        return open_model(table.model, changed=table.changed)
    except KpError as error:
        raise KpError(str(error).replace(SAY, "set source.changed = true to train from it as it is")) from None


def _parts(study: Study, card: Card) -> list[str]:
    """Return what of its backbone, codec and stages is not the study's."""
    stages = study.config.backbone.stages[0]
    found = [
        _differs(kind, one, study.recipes[kind].record())
        for kind, one in (("backbone", card.model.backbone), ("codec", card.model.codec))
    ]
    if len(card.model.heads) != stages:
        count = len(card.model.heads)
        found.append(f"it has {count} stages, backbone.stages begins with {stages}; let it begin with {count}")
    return found


def _differs(kind: str, theirs: Component, mine: dict[str, object]) -> str:
    if theirs.name != mine["name"]:
        return f"its {kind} is '{theirs.name}', the study's '{mine['name']}'; take the same"
    options = mine["options"]
    assert isinstance(options, dict)  # of a recipe
    unlike = [name for name in {**theirs.options, **options} if theirs.options.get(name) != options.get(name)]
    if kind == "codec" or not unlike:  # a codec's options change no tensor, but for their number, which is checked
        return ""
    name = unlike[0]
    return f"its {kind} has {name} = {theirs.options.get(name)}, the study's {options.get(name)}; set it to that"


def _split(split: KeypointSplit, card: Card) -> str:
    """Return why a network is none of a split's S1; "" where it is, or where the split has no second step."""
    predicts, wanted = card.model.heads[-1].keypoints, split.source.names
    if len(split.steps) == 1:
        return f"split '{split.name}' has one step, which starts from nothing; take splits of two steps or more"
    if predicts == wanted:
        return ""
    lacks = [name for name in wanted if name not in predicts]
    besides = [name for name in predicts if name not in wanted]
    if not lacks and not besides:
        return f"split '{split.name}': it predicts S1 in another order ({', '.join(predicts)}); name S1 in that order"
    found = [f"lacks {listed(lacks)}" if lacks else "", f"predicts {listed(besides)} besides" if besides else ""]
    return (
        f"split '{split.name}': of its S1 the network {' and '.join(filter(None, found))}; let S1 be what it predicts"
    )


def _key(opened: Opened) -> str:
    """Return the job that it is: its own where the cache has that, else one that its weights name."""
    own = JobFolder.of(opened.card.model.job)
    if own.done and file_digest(own.weights) == opened.card.weights:
        return own.key
    return content_key({NAME: file_digest(opened.weights)})


def _put(found: Given, opened: Opened) -> None:
    """Put it into the cache, unless it is there."""
    folder = JobFolder.of(found.key)
    if folder.done:  # without a lock, so that a cache can be read-only
        return
    with folder.locked(lambda who: None):
        if folder.done:
            return
        if folder.problem():
            folder.set_aside()
        heads = [head.keypoints for head in found.card.model.heads]
        folder.begin(NAME, opened.card.study, {NAME: opened.card.weights, "keypoints": [heads[-1]], "heads": heads})
        try:
            copy(opened.weights, folder.weights)
        except OSError as error:
            raise KpError(f"{folder.path}: the source cannot be put into the cache: {error.strerror}") from None
        write_card(folder.path, opened.card)
        folder.write_history([])
        folder.write_plan({})
        folder.write_timing({"training": 0.0, "validation": 0.0, "waiting_for_data": 0.0, "at_epoch": []})
        folder.write_result(
            JobResult(
                epochs=0, best_epoch=0, best_validation=opened.card.model.score.value,
                validation_convention=opened.card.model.score.convention, iterations=0, parameters=0, frozen={},
            )
        )  # fmt: skip
        folder.seal()
