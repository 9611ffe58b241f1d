"""The device of a job: CPU, CUDA or MPS, its precision and threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.amp.grad_scaler import GradScaler

from kpcore.cores import cores, memory
from kpcore.errors import KpError, unknown
from kpcore.training.ranks import Ranks

Precision = Literal["fp32", "bf16", "fp16"]
Asked = Literal["auto", "fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
JOB_MEMORY = 4 << 30
"""Bytes of memory for each job at once on a CPU, where nobody says how many: what a paper-size network takes."""
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
ALONE = Ranks()


@dataclass(frozen=True)
class Device:
    """Where and how a job computes.

    Args:
        torch: the device.
        precision: fp32, or autocast to bf16 or fp16 (weights stay fp32).
        threads: torch's threads; on a CPU they change a result's last bits.
        ranks: this process's place among those that train the job, each on a device of its own.
    """

    torch: torch.device
    precision: Precision
    threads: int
    ranks: Ranks = ALONE

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which the network runs."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch.type, DTYPES[self.precision])

    def scaler(self) -> GradScaler:
        """Return the gradient scaler: active for fp16, transparent otherwise."""
        return GradScaler(self.torch.type, enabled=self.precision == "fp16")

    def synchronize(self) -> None:
        """Wait until everything that was asked for has been computed."""
        if self.torch.type == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.torch.type == "mps":
            torch.mps.synchronize()


def available() -> list[str]:
    """Names of the devices of this machine."""
    found = ["cpu"]
    found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def choose_device(name: str | None, precision: Asked, threads: int = 1) -> Device:
    """Return the named device; without a name CUDA where there is one, then MPS, then the CPU.

    Raises:
        KpError: the device does not exist here, or does not compute in this precision.
    """
    exist = available()
    wanted = name or next((kind for kind in ("cuda:0", "mps") if kind in exist), "cpu")
    wanted = "cuda:0" if wanted == "cuda" else wanted
    if wanted not in exist:
        raise KpError(
            f"--device {name}: not on this machine; {', '.join(exist)} {'exists' if len(exist) == 1 else 'exist'}"
        )
    if precision == "fp16" and wanted == "cpu":
        raise KpError("training.precision = 'fp16': needs a GPU; use 'bf16' or 'fp32' on the CPU")
    device = torch.device(wanted)
    return Device(device, best_precision(device) if precision == "auto" else precision, threads)


def choose_precisions(name: str | None, wanted: Sequence[str]) -> tuple[Precision, ...]:
    """Return precisions that the named device computes in.

    Raises:
        KpError: there is no such precision, or the device does not compute in it.
    """
    for precision in wanted:
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS, where="--precision")
    return tuple(choose_device(name, precision).precision for precision in PRECISIONS if precision in wanted)


def best_precision(device: torch.device) -> Precision:
    """Return bf16 where the chip multiplies it natively, else fp32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and any(probe() for probe in _cpu_probes())
    return "bf16" if native else "fp32"


def _cpu_probes() -> list[Callable[[], bool]]:
    """Return torch's own questions to the processor: AMX or AVX512 with bf16. They are not public in every version."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return [getattr(torch.cpu, name) for name in names if hasattr(torch.cpu, name)]


def jobs_at_once(device: Device) -> int:
    """Return how many jobs keep this machine busy: on a CPU its cores and memory say, a GPU takes one.

    Small networks gain little from a second thread, so cores are better filled by jobs than by threads.
    """
    if device.torch.type != "cpu":
        return 1
    return max(1, min(cores() // device.threads, memory() // JOB_MEMORY))
