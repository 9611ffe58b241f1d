"""What the machine did to a training, disk or memory run out: in one line that says what to do."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import cv2
import torch

from kpcore.cache import cache_dir
from kpcore.errors import system_error

NO_MEMORY = re.compile(r"DefaultCPUAllocator: (can't|not enough)|Cannot allocate memory|std::bad_alloc", re.ASCII)
"""What torch says, in a plain RuntimeError, where the system gives it no more."""
ERRNO = re.compile(r"\berrno = (\d+)", re.ASCII)
"""What HDF5 says of the system's error, in whatever class h5py finds for it."""
FOLDERS = re.compile(r"(?<![\w.~:/])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:;,'\"()]+[/\\])+")
"""The folders of an absolute path."""
FEWER = "lower training.batch_size, or run fewer jobs at once (--jobs)"


def fault(error: BaseException, device: torch.device, place: object = "the cache") -> str | None:
    """Return one line on an error that is the machine's doing; None where it is another one.

    Args:
        error: as it was caught.
        device: that the training ran on.
        place: what a file that the system does not name belongs to.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return f"out of memory on {device}; lower training.batch_size"
    if _no_memory(error):
        return f"out of memory; {FEWER}"
    if isinstance(error, OSError):
        return system_error(error, place)
    if (number := _errno(error)) is not None:
        return system_error(number, place)
    return None


def placeless(reason: str) -> str:
    """Return a reason without the folders of this machine: results are the same wherever a study is run.

    What is left of an absolute path is its last part; spaces in it are taken for its own as far as it names the cache,
    the user's home or the current folder.
    """
    for folder in (cache_dir(), Path.cwd(), Path.home()):
        reason = reason.replace(f"{folder}{os.sep}", f"{os.sep}-{os.sep}")
    return FOLDERS.sub("", reason)


def _no_memory(error: BaseException) -> bool:
    if isinstance(error, cv2.error):
        return error.code == cv2.Error.StsNoMem
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))


def _errno(error: BaseException) -> OSError | None:
    """Return the system's error behind one of HDF5."""
    found = ERRNO.search(str(error)) if isinstance(error, RuntimeError | ValueError) else None
    return OSError(int(found[1]), "") if found else None
