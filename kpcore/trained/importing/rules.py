"""The rules by which another program's weights are taken over: a TOML file, and nothing that it does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from kpcore.config import Strict, validate
from kpcore.errors import KpError, unknown
from kpcore.placing import home
from kpcore.reading.opening import read_text
from kpcore.registry import Registry
from kpcore.toml_text import LARGEST, bounded, loads
from kpcore.trained.framing import Framing
from kpcore.trained.model import CROP

LONGEST_PATTERN = 500
"""Characters of a pattern."""
NESTED = re.compile(r"\([^()]*[+*}][^()]*\)[+*{]")
"""A repeat of what holds a repeat, as in ``(a+)+``: on some names it would be tried for ever."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"'{text[:200]}' is no regular expression: {error}") from None
    if len(text) > LONGEST_PATTERN or NESTED.search(text):
        raise ValueError(f"'{text[:200]}' repeats what holds a repeat, or is longer than {LONGEST_PATTERN} characters")
    return text


def _rule(pair: tuple[str, str]) -> tuple[str, str]:
    _pattern(pair[0])
    try:
        re.sub(*pair, "")  # an unknown group in the replacement is found without a match
    except (re.error, IndexError) as error:
        raise ValueError(f"'{pair[1]}' does not go with '{pair[0]}': {error}") from None
    return pair


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
Rule = Annotated[tuple[str, str], AfterValidator(_rule)]
Colours = Literal["backbone"] | tuple[float, float, float]


class InputRules(Strict):
    """``[input]``: what the file's network takes. What differs from the backbone is put into the first convolution.

    Args:
        order: of the colours along its input's channels.
        white: value of a white pixel before ``mean`` and ``std``.
        mean: subtracted, per channel in ``order``; "backbone" where it is the backbone's.
        std: divided by, likewise.
        convolution: name, in our network, of the weight of the first convolution; "" where nothing may differ.
        resolution: pixels a side that it was trained at.
    """

    order: Literal["rgb", "bgr"]
    white: float = Field(gt=0)
    mean: Colours
    std: Colours
    convolution: str = ""
    resolution: int = Field(ge=1, le=8192)


class Rules(Strict):
    """A file of rules.

    Args:
        about: what it is for, in one sentence.
        inside: key of the state dict in the file; "" where there is only one.
        rename: (pattern, replacement) pairs, carried out one after another on every name of the file.
        drop: patterns of names of the file, before renaming, whose tensors are left out.
        new: patterns of names of our network that the file may lack: those tensors stay as a new network has them.
        keypoints: those of the file's heads, in the order of its channels; empty where no head is taken.
        input: what the network takes.
        crop: how an image becomes an input, in words, where that is not as this program does it.
        framing: how a box becomes a crop.
        notes: what else differs, told to whoever imports; one sentence each.
    """

    about: str = Field(min_length=1)
    inside: str = ""
    rename: tuple[Rule, ...] = ()
    drop: tuple[Pattern, ...] = ()
    new: tuple[Pattern, ...] = ()
    keypoints: tuple[str, ...] = ()
    input: InputRules
    crop: str = CROP
    framing: Framing = Framing()
    notes: tuple[str, ...] = ()

    def renamed(self, name: str) -> str:
        """Return what a tensor of the file is called in our network."""
        for pattern, replacement in self.rename:
            name = re.sub(pattern, replacement, name)
        return name

    def dropped(self, name: str) -> str:
        """Return the first pattern that leaves a tensor of the file out; "" where none does."""
        return _first(self.drop, name)

    def may_be_new(self, name: str) -> str:
        """Return the first pattern that lets a tensor of our network be missing; "" where none does."""
        return _first(self.new, name)


def _first(patterns: tuple[str, ...], name: str) -> str:
    return next((pattern for pattern in patterns if re.search(pattern, name)), "")


def read_rules(text: str, known: Registry) -> tuple[str, Rules]:
    """Return the name and the rules that a user means by a path, or by the name of rules that a plugin supplies.

    Raises:
        KpError: there are none, or they are not to be understood; with file and key.
    """
    path = home(text)
    supplied = known.weight_rules()
    if not path.is_file():
        if text not in supplied:
            raise unknown("rules", text, supplied, where="--map (a TOML file, or a name)")
        path = supplied[text]
    return path.stem, validate(Rules, _document(path), where=str(path))


def _document(path: Path) -> Mapping[str, Any]:
    try:
        return bounded(loads(read_text(path, "rules of an import", LARGEST), str(path)), str(path))
    except (ValueError, RecursionError) as error:
        raise KpError(f"{path}: cannot be read as TOML: {' '.join(str(error).split())}") from None
