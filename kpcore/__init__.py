"""kpcore: the core of kptransfer. It knows no plugin; see kpcore.hooks for what a plugin can supply.

For programs and notebooks: :func:`load_study`, :func:`read_results` and :func:`load_model`, each imported when it is
asked for, so that ``import kpcore`` alone loads no library.
"""

import os
from importlib import import_module

from kpcore.hooks import hookimpl

__all__ = ["__version__", "hookimpl", "load_model", "load_study", "read_results"]
__version__ = "0.1.0"

_PIXELS = os.environ.get("KP_MAX_PIXELS", "").replace("_", "")
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", _PIXELS if _PIXELS.isdecimal() else "178956970")
"""OpenCV reads its own limit when it is loaded; it holds where a file's header and its stream differ."""

LAZY = {
    "load_model": "kpcore.trained.api",
    "load_study": "kpcore.api.studies",
    "read_results": "kpcore.api.results",
}
"""Name -> the module that has it."""


def __getattr__(name: str) -> object:
    if name not in LAZY:
        raise AttributeError(f"module 'kpcore' has no attribute '{name}'")
    return getattr(import_module(LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
