"""Whose fault an error is: plugin, kind, component and method in one line, read off the error's own traceback.

The core calls components in many places. None of these calls is wrapped: the frames of an exception say out of which
component it came, so that a call that somebody adds tomorrow is covered too, and training is not slowed down.
"""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FrameType

from kpcore.errors import ContractError, KpError
from kpcore.registry import Registry, one_line

Acting = Mapping[CodeType, tuple[object, str]]
"""Code of the core -> (component, method): whose code it is that this code calls, where that is no component itself."""
CORE = "kpcore"
LONGEST = 500
"""Characters of an exception's text that are told; the traceback has the rest."""


def blamed(error: BaseException, known: Registry, acting: Acting | None = None) -> str | None:
    """Return one line on an error that came out of a plugin: who, what was called, what happened; None where none did.

    Args:
        error: any, as it was caught.
        known: the plugins.
        acting: for code of plugins that is no component: modules of a backbone, functions that a plan brings.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, ContractError):
        return f"{_giver(error, frames, known, acting or {})}: {error.problem}{_place(error.__cause__, known)}"
    role: tuple[object, str] | None = None
    for frame in frames:
        role = (acting or {}).get(frame.f_code, role)
        if party := _party(frame, role, known):
            return f"{party}: {textwrap.shorten(one_line(error), LONGEST)}{_place(error, known)}"
    return None


def told(error: BaseException, known: Registry, acting: Acting | None = None) -> str:
    """Return one line on any error: what it says of itself, the component that it came out of, or else the core."""
    if isinstance(error, KpError):
        return str(error)
    return blamed(error, known, acting) or f"{CORE}: {textwrap.shorten(one_line(error), LONGEST)}"


def reason(error: BaseException, known: Registry) -> str:
    """Return the one line of an error that came out of a plugin; raise the error again where it did not."""
    line = blamed(error, known)
    if line is None:
        raise error
    return line


def _giver(error: ContractError, frames: list[FrameType], known: Registry, acting: Acting) -> str:
    """Return who gave back what it must not."""
    component = error.component
    roles = [acting[frame.f_code] for frame in frames if frame.f_code in acting]
    if roles and not known.supplied(component):
        component = roles[-1][0]
    return f"{known.describe(component)}, {error.method}"


def _party(frame: FrameType, role: tuple[object, str] | None, known: Registry) -> str:
    """Return whose code a frame runs, and what was called; "" where it is no plugin's."""
    module = str(frame.f_globals.get("__name__", ""))
    if module.partition(".")[0] == CORE:
        return ""
    code = frame.f_code
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    if known.supplied(first):
        return f"{known.describe(first)}, {_call(frame, first)}"
    owner = known.owner(module)
    if owner is None:
        return ""
    return f"{known.describe(role[0])}, {role[1]}" if role else f"{owner.called}, {code.co_qualname}()"


def _call(frame: FrameType, component: object) -> str:
    """Return a call as one would write it, as far as its arguments are short: "stage(0)", "samples('train')"."""
    code = frame.f_code
    if code.co_name == "__init__":
        return "constructor"
    if isinstance(getattr(type(component), code.co_name, None), property):
        return code.co_name
    values = [frame.f_locals.get(name) for name in code.co_varnames[1 : code.co_argcount]]
    plain = all(isinstance(value, int | str) for value in values)
    return f"{code.co_name}({', '.join(map(repr, values)) if plain else ''})"


def _place(error: BaseException | None, known: Registry) -> str:
    """Return the file and line of the plugin's code that an error came from; "" where none was running."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__ if error else None))):
        if known.owner(str(frame.f_globals.get("__name__", ""))):
            return f" ({Path(frame.f_code.co_filename).name}:{line})"
    return ""
