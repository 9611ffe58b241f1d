"""Text of figures that is measured before it is drawn, so that nothing is cut off, however long a name is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from kpcore.report.breaking import broken

INK = "#333333"
LEADING = 1.3
"""Height of a line, in sizes of its font."""
HINTED = 1.03
"""What letters may grow by when they are fitted to pixels."""
POINTS = 72
"""Points an inch."""


@dataclass(frozen=True)
class Font:
    """How a text is set: size in points, and weight."""

    size: float
    weight: str = "normal"

    @property
    def line(self) -> float:
        """Inches from line to line."""
        return self.size * LEADING / POINTS


def width(text: str, font: Font) -> float:
    """Return the inches that a line of text takes: the sum of its letters, which kerning only makes less."""
    return sum(_letter(letter, font) for letter in text)


@lru_cache(maxsize=4096)
def _letter(letter: str, font: Font) -> float:
    properties = FontProperties(size=font.size, weight=font.weight)
    # Between two others, since a space alone has no extent.
    both, one = (
        TextToPath().get_text_width_height_descent(text, properties, ismath=False)[0] for text in (f"n{letter}n", "nn")
    )
    return (both - one) / POINTS * HINTED


def wrapped(text: str, font: Font, room: float) -> list[str]:
    """Return the text in lines of at most ``room`` inches; a longer name is broken where it may be."""
    return broken(text, lambda line: width(line, font) <= room)


def write(figure: Figure, place: tuple[float, float], lines: list[str], font: Font, *, turned: bool = False) -> None:
    """Write lines to the right of and below ``place``, inches from the figure's lower left; turned: centred on it."""
    across, up = figure.get_size_inches()
    # A name with a dollar sign in it is not a formula.
    label = figure.text(place[0] / across, place[1] / up, "\n".join(lines), parse_math=False)
    label.set(fontsize=font.size, fontweight=font.weight, color=INK, linespacing=LEADING / 1.2)
    label.set(va="top", ha="left")
    if turned:
        label.set(rotation=90, va="center", ha="left", multialignment="center")
