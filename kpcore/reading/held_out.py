"""A share of images held out by a hash of their names: the same on every machine, and people of one image together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def drawn(name: str) -> float:
    """Return an image's name hashed to [0, 1]: the first eight bytes of its SHA-256 over 2^64."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def held_out(names: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
    """Return (N,) whether each image is held out: its name is drawn below the share.

    Args:
        names: N names of images, of which several may be equal.
        share: in [0, 1], of the different images.
    """
    below = {name: drawn(name) < share for name in set(names)}
    return np.array([below[name] for name in names], bool)
