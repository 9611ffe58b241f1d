"""Text of figures that is measured before it is drawn, so that nothing is cut off, however long a name is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

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
    """Return the text in lines of at most ``room`` inches; a word that is longer than that is divided."""
    lines = [""]
    for piece in _pieces(text, font, room):
        longer = f"{lines[-1]} {piece}".lstrip()
        if width(longer, font) <= room:
            lines[-1] = longer
        else:
            lines.append(piece)
    return [line for line in lines if line] or [""]


def write(figure: Figure, place: tuple[float, float], lines: list[str], font: Font, *, turned: bool = False) -> None:
    """Write lines to the right of and below ``place``, inches from the figure's lower left; turned: centred on it."""
    across, up = figure.get_size_inches()
    # A name with a dollar sign in it is not a formula.
    label = figure.text(place[0] / across, place[1] / up, "\n".join(lines), parse_math=False)
    label.set(fontsize=font.size, fontweight=font.weight, color=INK, linespacing=LEADING / 1.2)
    label.set(va="top", ha="left")
    if turned:
        label.set(rotation=90, va="center", ha="left", multialignment="center")


def _pieces(text: str, font: Font, room: float) -> Iterator[str]:
    """The words of a text; what does not fit into a line in parts that do."""
    for word in text.split():
        rest = word
        while rest:
            fits = _fitting(rest, font, room)
            yield rest[:fits]
            rest = rest[fits:]


def _fitting(word: str, font: Font, room: float) -> int:
    """How many letters fit; one at least, so that it ends."""
    if width(word, font) <= room:
        return len(word)
    low, high = 1, len(word)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if width(word[:middle], font) <= room else (low, middle)
    return low
