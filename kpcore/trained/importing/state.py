"""A state dict read from a file that another program wrote, without running anything in it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from kpcore.errors import KpError, listed, unknown
from kpcore.reading.budget import Limit, fair, within
from kpcore.reading.opening import regular
from kpcore.registry import one_line
from kpcore.weights import load_weights

PARALLEL = "module."
"""What torch's DataParallel puts before every name."""
REMEDY = (
    "whoever trusts it can write its tensors alone: torch.save({name: tensor for ...}, 'tensors.pth'),"
    " or safetensors.torch.save_file"
)


@dataclass(frozen=True, eq=False)
class State:
    """The tensors of a file.

    Args:
        path: of the file.
        tensors: by the names of the program that wrote them.
        said: what was done to find them, in words.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    said: tuple[str, ...] = ()


def read_state(path: Path, inside: str = "") -> State:
    """Read a state dict: a ``.safetensors`` file, or what ``torch.save`` wrote, of which only tensors are read.

    A name that every tensor bears in front because of DataParallel ("module.") is taken off, and said.

    Args:
        path: of the file.
        inside: key under which the state dict lies; "" where it is the file itself, or the only one in it.

    Raises:
        KpError: no such file, it holds code, it holds no state dict or several, or a tensor is not finite.
    """
    said: list[str] = []
    if path.suffix == ".safetensors":
        tensors = load_weights(path)
    else:
        tensors, said = _found(_loaded(path), path, inside)
    if not tensors:
        raise KpError(f"{path}: holds no tensor; give a file of weights")
    if all(name.startswith(PARALLEL) for name in tensors):
        tensors = {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
        said.append(f"'{PARALLEL}' is taken off the front of every name")
    _check_finite(tensors, path)
    return State(path, tensors, tuple(said))


def _loaded(path: Path) -> Any:
    """Return what ``torch.save`` wrote, on the CPU; nothing in it is run."""
    try:
        size = regular(path, "weights")
        within(Limit.BYTES, size, f"has {size:,} bytes", path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                fair(sum(member.file_size for member in archive.infolist()), size, "tensors", path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except KpError:
        raise
    except FileNotFoundError:
        raise KpError(f"{path}: no such weights file") from None
    except UnpicklingError as error:
        raise KpError(f"{path}: holds more than tensors ({_named(error)}), and code is not run; {REMEDY}") from None
    except Exception as error:  # of a damaged archive: of zipfile, of torch's reader, of pickle
        if not _begins_as_saved(path):
            raise KpError(f"{path}: is no file of weights: neither safetensors nor what torch.save writes") from None
        raise KpError(f"{path}: not a readable file of weights: {_named(error)}; is it whole?") from None


def _begins_as_saved(path: Path) -> bool:
    """Whether a file begins as a zip archive or a pickle; all others are texts or of other programs."""
    with path.open("rb") as file:
        start = file.read(4)
    return start == b"PK\x03\x04" or start[:1] == b"\x80"


def _named(error: Exception) -> str:
    """Return the part of torch's long message that says what was found."""
    text = one_line(error)
    _, found, rest = text.partition("Unsupported global: ")
    said = (f"{found}{rest}" if found else text).partition(" was not an allowed")[0]
    return shorten(said, 160, placeholder=" ...")


def _found(held: Any, path: Path, inside: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the state dict in what a file holds, and what was done to find it."""
    if not isinstance(held, Mapping):
        raise KpError(f"{path}: holds a {type(held).__name__}, no tensors by name; save the network's state_dict()")
    if not inside and _is_state(held):
        return dict(held), []
    states = {str(key): value for key, value in held.items() if _is_state(value)}
    if inside and inside not in states:
        raise unknown("state dict", inside, states, where=str(path))
    if not states:
        keys = listed(map(str, held), 8)
        raise KpError(f"{path}: holds no state dict (it has {keys}); save the network's state_dict()")
    if not inside and len(states) > 1:
        raise KpError(f'{path}: holds the state dicts {listed(states)}; say which in the rules, as inside = "NAME"')
    chosen = inside or next(iter(states))
    return dict(states[chosen]), [f"the state dict lies under '{chosen}'"]


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )


def _is_plain(tensor: Tensor) -> bool:
    """Whether every number of a tensor is stored: a few bytes can say that they stand for any number of them."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    return plain and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not _is_plain(tensor):
            raise KpError(f"{path}: '{name}' is no plain tensor (sparse, quantised, or larger than what it stores)")
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
            raise KpError(f"{path}: '{name}' holds NaN or infinity; take another file")
