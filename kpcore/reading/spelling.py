"""Names that are one name in two spellings: upper and lower case, spaces, underscores, hyphens and dots aside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from kpcore.errors import told_apart

_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s_.\-]+(?=\d)")
_SEPARATORS = re.compile(r"[\s_.\-]+")


def loosely(name: str) -> str:
    """Return what spellings of one name share: ``lefteye`` of ``Left_Eye`` and ``left eye``.

    What stands between two digits parts them still: ``tail_1_1`` is not ``tail_11``.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return _SEPARATORS.sub("", _BETWEEN_DIGITS.sub("|", plain))


def respelled(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs (one of ours, one of theirs) that are one name in two spellings, those that both have left out."""
    alike = {loosely(name): name for name in theirs if name not in ours}
    return [(name, alike[key]) for name in ours if name not in theirs and (key := loosely(name)) in alike]


def pairs_told(pairs: Sequence[tuple[str, str]], most: int = 5) -> str:
    """Return pairs of spellings in words: "'Left_Eye' and 'left eye'"; those that look alike escaped."""
    shown = [f"'{one}' and '{other}'" for one, other in (told_apart(*pair) for pair in pairs[:most])]
    more = f" and {len(pairs) - most} more" if len(pairs) > most else ""
    return ", ".join(shown) + more
