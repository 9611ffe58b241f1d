"""Numbers that a machine's owner sets by a variable of the environment, because they change no result."""

from __future__ import annotations

import math
import os

from kpcore.errors import KpError

YEAR = 365 * 24 * 60.0
"""Minutes of the longest time that is taken."""


def minutes(variable: str, otherwise: float, *, zero: str = "") -> float:
    """Return how many minutes a variable says.

    Args:
        variable: its name.
        otherwise: what holds where it is unset or empty.
        zero: what 0 means, for the message; "" where it is refused.

    Raises:
        KpError: it is no number, below what is allowed, or above a year.
    """
    text = os.environ.get(variable, "").strip()
    try:
        found = float(text) if text else otherwise
    except ValueError:
        found = math.nan
    if 0 < found <= YEAR or (zero and found == 0):
        return found
    allowed = f", 0 for {zero}" if zero else " above 0"
    raise KpError(
        f"{variable} = {text[:40]}: give a number of minutes{allowed}, at most {YEAR:.0f}; {otherwise:g} if unset"
    )
