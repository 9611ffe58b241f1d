"""A figure as SVG inside a page: its colours follow the page, its ids are its own, its names are told in full."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from kpcore.report.curves import COLOURS, FORMATS

INK, MUTED, RULE, PAPER = "#1b1b19", "#5f5f59", "#d9d9d2", "#fffffd"
"""Colours of text, of lesser text, of lines that guide the eye, and of what lies below all; the page has its own."""
NEW, LOADED = "#e69f01", "#56b4ea"
"""Of plans: a shade off the modes' colours, so that each is replaced by its own."""
VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    NEW: "var(--new)",
    LOADED: "var(--loaded)",
    **{colour.lower(): f"var(--m{place})" for place, colour in enumerate(COLOURS)},
}
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "kptransfer",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.6,
}
REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, eq=False)
class Panel:
    """One drawing of the page.

    Args:
        name: of its files, and what its ids begin with: letters, digits and dashes.
        figure: drawn in the colours above, 72 points an inch.
        title: what it is, in a few words.
        text: what can be seen in it, for those who cannot.
        names: gid of a drawn text -> the name that it shortens.
    """

    name: str
    figure: Figure
    title: str
    text: str
    names: Mapping[str, str] = field(default_factory=dict)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of that many points."""
    figure = Figure(figsize=(width / 72, height / 72))
    figure.patch.set_alpha(0.0)
    FigureCanvasAgg(figure)
    return figure


def as_svg(panel: Panel) -> bytes:
    """Return the panel as an SVG file."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        panel.figure.savefig(buffer, format="svg", metadata=FORMATS["svg"])
    return buffer.getvalue()


def as_pdf(panels: Iterable[Panel]) -> bytes:
    """Return all panels as one PDF, a page each: embedding the font anew in each of many files takes seconds."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS), PdfPages(buffer, metadata=FORMATS["pdf"]) as pages:
        for panel in panels:
            pages.savefig(panel.figure)
    return buffer.getvalue()


def inline(panel: Panel, svg: bytes) -> Markup:
    """Return the panel's SVG for a page.

    Args:
        panel: of which it is.
        svg: as :func:`as_svg` gives it.
    """
    root = ElementTree.fromstring(svg)  # matplotlib wrote it this moment
    _drop_metadata(root)
    used = {found for element in root.iter() for found in _references(element)}
    for element in root.iter():
        _rename(element, panel.name, used, panel.names)
    attributes = {"viewBox": root.attrib["viewBox"], "role": "img", "class": "panel"}
    attributes["aria-labelledby"] = f"{panel.name}-t {panel.name}-d"
    root.attrib.clear()
    root.attrib.update(attributes)
    for place, (tag, text) in enumerate((("title", panel.title), ("desc", panel.text))):
        told = ElementTree.Element(tag, {"id": f"{panel.name}-{tag[0]}"})
        told.text = printable(text)
        root.insert(place, told)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # serialised, so every text is escaped


def printable(text: str) -> str:
    """Return a text without characters that XML does not have."""
    return "".join(character if character.isprintable() else " " for character in text)


def _drop_metadata(root: ElementTree.Element) -> None:
    for child in list(root):
        if child.tag == f"{SVG}metadata":
            root.remove(child)


def _references(element: ElementTree.Element) -> list[str]:
    found = [one for value in element.attrib.values() for one in REFERENCE.findall(value)]
    link = element.get(f"{XLINK}href", "")
    return [*found, link[1:]] if link.startswith("#") else found


def _rename(element: ElementTree.Element, panel: str, used: set[str], names: Mapping[str, str]) -> None:
    """Give an element the page's colours, and an id that no other panel has, where it is referred to."""
    element.tag = element.tag.removeprefix(SVG)
    own = element.attrib.pop("id", "")
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        value = REFERENCE.sub(lambda found: f"url(#{panel}-{found[1]})", value)
        if key == f"{XLINK}href":
            key, value = "href", f"#{panel}-{value[1:]}"
        element.set(key.rpartition("}")[2], _coloured(value) if key in ("style", "fill", "stroke") else value)
    if own in used:
        element.set("id", f"{panel}-{own}")
    if element.tag == "style":
        element.text = ""  # joins and caps of lines: the page's style has them
    if own in names:
        told = ElementTree.Element("title")
        told.text = printable(names[own])
        element.insert(0, told)


def _coloured(value: str) -> str:
    return re.sub(r"#[0-9a-fA-F]{6}", lambda found: VARIABLES.get(found[0].lower(), found[0]), value)
