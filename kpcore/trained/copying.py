"""A trained network copied out of the cache, as a folder to keep and to send."""

from __future__ import annotations

from pathlib import Path

from kpcore.cache import file_digest
from kpcore.errors import KpError, system_error
from kpcore.placing import copy, filled
from kpcore.records.folder import WEIGHTS
from kpcore.trained.card import write_card
from kpcore.trained.model import read_model
from kpcore.trained.opening import open_model


def copy_model(model: str, folder: Path, *, changed: bool = False, terms: str | None = None) -> None:
    """Write a model folder: the weights, and the card with the scores that are known; the card comes last.

    Args:
        model: as :func:`open_model` takes it.
        folder: to make.
        changed: take a network that was changed after it was written.
        terms: of use, that the copy's card states in place of its own; None for its own.

    Raises:
        KpError: there is no such network, it was changed, or the folder holds something or cannot be written.
    """
    opened = open_model(model, changed=changed)
    read_model(opened.weights)  # says so where no network can be built from it
    try:
        with filled(folder) as stage:
            copy(opened.weights, stage / WEIGHTS)
            stated = {} if terms is None else {"terms": terms.strip()}
            write_card(stage, opened.card.model_copy(update={"weights": file_digest(stage / WEIGHTS), **stated}))
    except OSError as error:
        raise KpError(f"{system_error(error, folder)}; name another folder") from None
