"""Names as file names: a split may be called anything, its folder may not."""

from __future__ import annotations

import hashlib
import re

LONGEST = 80
"""Characters of a file name, at most."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""


def slug(name: str) -> str:
    """Return a file name of letters, digits, dots, dashes and underscores, the same for a name on every machine.

    What already is one stays. Any other gets the beginning of its SHA-256, so that two names never share one.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")
    if plain == name and len(name) <= LONGEST and not RESERVED.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    plain = plain[: LONGEST - 10]
    mark = "_" if RESERVED.fullmatch(plain) else ""
    return f"{mark}{plain}-{digest}" if plain else digest
