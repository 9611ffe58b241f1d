"""``training.compile``: torch.compile of a network's blocks, of all of it, or of it as CUDA graphs."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import Literal

import torch

from kpcore.errors import KpError
from kpcore.interfaces import Backbone
from kpcore.network import Network

Compile = Literal["off", "blocks", "network", "graphs"]


def compile_network(network: Network, backbone: Backbone, how: Compile, device: torch.device) -> None:
    """Have the network compiled when it is first used; names of tensors stay as they are.

    Raises:
        KpError: it cannot be compiled here.
    """
    if how == "off":
        return
    require(backbone, how, device)
    if how == "blocks":
        for module in network.modules():
            if isinstance(module, backbone.blocks):
                module.compile(dynamic=False)
    else:
        network.compile(dynamic=False, mode="reduce-overhead" if how == "graphs" else "default")


def require(backbone: Backbone, how: Compile, device: torch.device) -> None:
    """Check that compiling is possible.

    Raises:
        KpError: no compiler, no blocks, or graphs without CUDA.
    """
    where = f"training.compile = '{how}'"
    if how == "graphs" and device.type != "cuda":
        raise KpError(f"{where}: CUDA graphs need a CUDA device, this is {device.type}; use 'blocks' or 'off'")
    if how == "blocks" and not backbone.blocks:
        raise KpError(f"{where}: this backbone names no blocks; use 'network' or 'off'")
    compilers = [os.environ.get("CXX", "g++"), "c++", "clang++"]
    if device.type == "cpu" and not any(shutil.which(name) for name in compilers):
        raise KpError(f"{where}: no C++ compiler is found ({', '.join(compilers)}); install one, or use 'off'")


def start_step(how: Compile) -> None:
    """Tell CUDA graphs that what the last step returned is no longer needed."""
    if how == "graphs":
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


def uncompiled() -> contextlib.AbstractContextManager[object]:
    """Return a context in which compiled modules run as they are: evaluation's shapes are not worth compiling for."""
    if "torch._dynamo" not in sys.modules:
        return contextlib.nullcontext()
    stance: contextlib.AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
