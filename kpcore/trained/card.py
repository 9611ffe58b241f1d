"""``model.json``: what a folder says of the network in it, and whether it is as it was written.

A model folder holds ``weights.safetensors``, which explains itself to the program, and this card. Nothing in it runs.
A job's folder is one too: what a finished training leaves can be used where it lies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from kpcore.cache import content_key, file_digest
from kpcore.errors import KpError
from kpcore.placing import put
from kpcore.reading.opening import parsed_json, read_bytes
from kpcore.records.folder import WEIGHTS
from kpcore.trained.framing import Framing
from kpcore.trained.model import Described, Model, read_model

CARD = "model.json"
LARGEST = 2**24
"""Bytes of a card, at most."""
FORMAT: Literal["kptransfer model 1"] = "kptransfer model 1"
NOT_STATED = "not stated"
"""What is said of terms of use that nobody has told."""
AGAIN = "copy the model folder again"
SAY = "say --changed to use it as it is"
CHANGED = f"it was changed after it was written; copy it again, or {SAY}"


class Score(Described):
    """A final score of the network.

    Args:
        convention: of the metric, as in "PCKh@0.5 kptransfer".
        average: its average; None where there is none.
        columns: column's name -> score.
        data: what was scored, in words.
        samples: how many.
    """

    convention: str
    average: float | None
    columns: dict[str, float | None]
    data: str
    samples: int


class Card(Described):
    """What is known of a network.

    Args:
        format: of this file.
        name: the job's, as in "d-transfer-0".
        study: that trained it.
        model: what its weights say: plugins and versions, skeletons, heads, resolution, mean and std, its training.
        framing: how a box becomes a crop.
        steps: keypoints of each of its training's steps: S1, S2, ...; empty where that is not known.
        scores: final ones, where they are known.
        precision: that its scores were made in.
        terms: of use of what it was trained on, as publishers or its maker state them; "" where none are known.
        weights: SHA-256 of the weights file.
        digest: SHA-256 of all this.
    """

    format: Literal["kptransfer model 1"] = FORMAT
    name: str
    study: str
    model: Model
    framing: Framing = Framing()
    steps: tuple[tuple[str, ...], ...] = ()
    scores: tuple[Score, ...] = ()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    terms: str = ""
    weights: str
    digest: str = ""

    def sealed(self) -> Card:
        """Return it with its own digest."""
        return self.model_copy(update={"digest": self._digest()})

    @property
    def title(self) -> str:
        """What the network is called: "study/name"."""
        return f"{self.study}/{self.name}" if self.study else self.name

    @property
    def whole(self) -> bool:
        """Whether it is as it was written."""
        return self.digest == self._digest()

    def _digest(self) -> str:
        return content_key(self.model_dump(mode="json", exclude={"digest"}))


def write_card(folder: Path, card: Card) -> None:
    """Write ``model.json`` in one step."""
    text = json.dumps(card.sealed().model_dump(mode="json"), indent=1, allow_nan=False)
    put(folder / CARD, text.encode() + b"\n")


def read_card(folder: Path) -> Card | None:
    """Return a folder's card; None where it has none.

    Raises:
        KpError: it cannot be read, or is of another version.
    """
    path = folder / CARD
    if not path.exists():
        return None
    return parsed(read_bytes(path, "the card of a model", LARGEST), path, AGAIN)


def parsed(text: bytes | str, path: Path, again: str) -> Card:
    """Return the card that a file's text is.

    Args:
        text: the card's JSON.
        path: of the file.
        again: what to do where it is none.

    Raises:
        KpError: it is no card, or one of another version.
    """
    try:
        found: Any = parsed_json(text)
    except ValueError as error:
        raise KpError(f"{path}: cannot be read: {' '.join(str(error).split())}; {again}") from None
    said = found.get("format") if isinstance(found, Mapping) else None
    if said != FORMAT:
        told = json.dumps(said[:60] if isinstance(said, str) else None)
        raise KpError(f"{path}: is of format {told}, this program reads '{FORMAT}'; write it again")
    try:
        return Card.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise KpError(f"{path}: {place}: {first['msg']}; {again}") from None


def derived(weights: Path, name: str, study: str) -> Card:
    """Return the card of weights that have none beside them; raises KpError where they do not explain themselves."""
    return Card(name=name, study=study, model=read_model(weights), weights=file_digest(weights)).sealed()


def checked(card: Card, weights: Path, *, changed: bool) -> None:
    """Refuse a card or weights that are not as they were written, unless ``changed`` says to take them.

    Raises:
        KpError: with the file.
    """
    if changed:
        return
    if not card.whole:
        raise KpError(f"{weights.with_name(CARD)}: {CHANGED}")
    try:
        found = file_digest(weights)
    except OSError as error:
        raise KpError(f"{weights}: cannot be read: {error.strerror}; copy the model folder again") from None
    if found != card.weights:
        raise KpError(f"{weights}: {CHANGED}")


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a network that explains itself."""
    return (path / WEIGHTS).is_file()
