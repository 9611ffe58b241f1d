"""Small tensors from the host to the device, without a wait in the middle of a training step."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a host tensor on the device.

    CUDA copies pageable memory while the host waits, behind all that the GPU has still to do; from pinned memory the
    copy is queued and the host goes on.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
