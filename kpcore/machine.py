"""What this machine offers: versions, processor, devices, disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from kpcore.cache import cache_dir
from kpcore.locks import local_only
from kpcore.registry import Registry

CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")
"""Flags of the processor that training speed depends on, as Linux names them."""


def describe(known: Registry) -> dict[str, Any]:
    """Return all of it as JSON, with the plugins' problems and the configured data set roots."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "processor": processor(),
        "devices": list(devices()),
        "cache": disk(cache_dir()),
        "plugin_problems": problems(known),
        "data": roots(known),
    }


def versions() -> dict[str, str]:
    """Return distribution -> version of ourselves and what we need; "missing" where it is not there."""
    needed = [line for line in requires("kptransfer") or () if "extra ==" not in line]
    names = [match[0] for line in needed if (match := re.match(r"[A-Za-z0-9._-]+", line))]
    return {name: _version(name) for name in ["kptransfer", *names]}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def processor() -> dict[str, Any]:
    """Return brand, cores, threads that torch would use, and the features that matter."""
    flags = set(_cpuinfo("flags").split())
    return {
        "brand": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "features": [name for name in CPU_FEATURES if name in flags],
        "bf16": "amx_bf16" in flags or "avx512_bf16" in flags,
    }


def _cpuinfo(key: str) -> str:
    """Return a line of Linux's /proc/cpuinfo; "" elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def devices() -> Iterator[dict[str, Any]]:
    """Yield accelerators."""
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        yield {"name": f"cuda:{index}", "what": found.name, "bytes": found.total_memory}
    if torch.backends.mps.is_available():
        yield {"name": "mps", "what": "Apple GPU", "bytes": None}


def disk(folder: Path) -> dict[str, Any]:
    """Return the folder and the free bytes of the disk that it is, or would be, on."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    return {"folder": str(folder), "exists": folder.is_dir(), "free": free, "locks": local_only(folder) or "shared"}


def problems(known: Registry) -> list[str]:
    """Return a line for everything that is wrong with plugins."""
    for plugin in known.plugins:
        known.supplies(plugin)  # asking shows what fails
    found = [f"{p.name} ({p.distribution} {p.version}): {why}" for p in known.plugins for why in (p.error, *p.problems)]
    return [*(line for line in found if not line.endswith(": ")), *known.conflicts()]


def roots(known: Registry) -> list[dict[str, Any]]:
    """Return, for every data set that takes its root from the environment, the variable and what it names."""
    found = []
    for name in known.names("dataset"):
        kind = known.component("dataset", name)
        if kind.root_variable:
            value = os.environ.get(kind.root_variable, "")
            exists = bool(value) and Path(value).expanduser().is_dir()
            found.append({"dataset": name, "variable": kind.root_variable, "root": value, "exists": exists})
    return found
