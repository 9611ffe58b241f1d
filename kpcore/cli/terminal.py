"""The terminal: names from files and studies are shown as they are, and are neither its commands nor markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from kpcore.errors import visible


class Terminal(Console):
    """A console for texts that hold others' names.

    Args:
        options: as rich's own console takes them; markup is off.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text, as rich makes one of every string in lines and tables."""
        return super().render_str(visible(text), **options)
