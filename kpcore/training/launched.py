"""How processes that ``torchrun`` has started come together."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from kpcore.environment import minutes
from kpcore.errors import KpError
from kpcore.training.ranks import PATIENCE, Together

MINUTES = 30.0
"""That a process waits for the others, unless :data:`~kpcore.training.ranks.PATIENCE` says otherwise."""


def own_device(asked: str | None) -> str:
    """Return the name of this process's device: the GPU of its number on this machine, or the CPU.

    Raises:
        KpError: another one is asked for.
    """
    if asked not in (None, "cpu", "cuda"):
        raise KpError(f"--device {asked}: processes of torchrun take a GPU each, by their numbers; give cuda or cpu")
    if asked == "cpu" or (asked is None and not torch.cuda.is_available()):
        return "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}"


def meet(device: str) -> Together:
    """Wait until all processes are there; raises KpError where they do not come together."""
    waits = minutes(PATIENCE, MINUTES)
    cuda = device.startswith("cuda")
    try:
        if cuda:
            torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=timedelta(minutes=waits))
    except (ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        raise KpError(f"the {os.environ['WORLD_SIZE']} processes of this training do not meet: {line}") from error
    return Together(dist.get_rank(), dist.get_world_size(), waits)


def leave() -> None:
    """Take leave of the other processes, when all has gone well."""
    dist.destroy_process_group()
