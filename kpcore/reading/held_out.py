"""A share of images held out by a hash of their names: the same on every machine, and people of one image together.

The names are ranked by their hash and the first of them are held out, so that a share of ten images is a share of ten
images, and neither side is empty where there are two. A larger share holds all that a smaller one does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def drawn(name: str) -> float:
    """Return an image's name hashed to [0, 1]: the first eight bytes of its SHA-256 over 2^64."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def held_names(names: Iterable[str], share: float) -> frozenset[str]:
    """Return the names that are held out: of n different ones the first ``share * n``, rounded, in the hash's order.

    Args:
        names: of images, of which several may be equal.
        share: in [0, 1]; strictly between, at least one name of two or more is on either side.
    """
    ranked = sorted(set(names), key=lambda name: (drawn(name), name))
    count = int(share * len(ranked) + 0.5)
    if 0 < share < 1 and len(ranked) > 1:
        count = min(max(count, 1), len(ranked) - 1)
    return frozenset(ranked[:count])


def held_out(names: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
    """Return (N,) whether each image is held out, see :func:`held_names`."""
    held = held_names(names, share)
    return np.array([name in held for name in names], bool)


def undivided(names: Iterable[str]) -> str | None:
    """Return why images cannot be divided by a share, and what to do; None where they can be."""
    if len(different := set(names)) > 1:
        return None
    there = f"only 1 image ('{next(iter(different))}') has" if different else "no image has"
    return (
        f"{there} a labelled sample, and held_out divides images: 'train' or 'valid' is empty; label more images, or"
        " give the parts in another way"
    )
