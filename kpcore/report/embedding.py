"""Letters of a figure inside its SVG, so that its text is text, and looks the same where the font is not installed."""

from __future__ import annotations

import base64
import html
import io
import re

from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.font_manager import FontProperties, findfont

FAMILY = "DejaVu Sans"
"""The font of all figures; it comes with matplotlib."""
TEXT = re.compile(r"<text[^>]*style=\"([^\"]*)\"[^>]*>(.*?)</text>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")


def with_fonts(svg: str) -> str:
    """Return an SVG whose text is text with the letters that it uses, in both weights, embedded."""
    letters: dict[str, set[str]] = {"normal": set(), "bold": set()}
    for style, inside in TEXT.findall(svg):
        weight = "bold" if re.search(r"\b(bold|700)\b", style) else "normal"
        letters[weight] |= set(html.unescape(TAG.sub("", inside)))
    faces = "".join(face(weight, used) for weight, used in letters.items() if used)
    return svg.replace("<defs>", f'<defs>\n  <style type="text/css">{faces}</style>', 1)


def face(weight: str, letters: set[str]) -> str:
    """Return the CSS rule of a font with these letters alone; the same bytes for the same letters."""
    data = base64.b64encode(cut(findfont(FontProperties(family=FAMILY, weight=weight)), letters)).decode()
    return (
        f"@font-face{{font-family:'{FAMILY}';font-weight:{weight};src:url(data:font/ttf;base64,{data})"
        ' format("truetype")}'
    )


def cut(path: str, letters: set[str]) -> bytes:
    """Return a font file with these letters alone; what it has none for is left to the viewer's fonts."""
    options = subset.Options(hinting=False, layout_features=[], recalc_timestamp=False, notdef_outline=True)
    options.drop_tables += ["FFTM"]  # the editor's time stamps, which it would warn of
    font = TTFont(path, recalcTimestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(text="".join(sorted(letters)))
    cutter.subset(font)
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()
