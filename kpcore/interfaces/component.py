"""What the interfaces share: a nested pydantic ``Config`` that is validated before the constructor is called."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class ComponentConfig(BaseModel):
    """The options of one component, as a study file spells them. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(ABC):  # noqa: B024 - abstract methods are the interfaces' own
    """Base of the interfaces that a plugin supplies classes for.

    The core builds a component by ``cls(**{field: value of each field of a validated cls.Config})``, so the
    constructor's keyword arguments are exactly the fields of ``Config``. Part of every job's content key is what
    ``Config`` holds; a component keeps no other state that could change a result.
    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig
