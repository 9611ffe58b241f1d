"""What the Markdown sources say is what their pages show: no text is taken for HTML, emphasis or a cell too many."""

import difflib
import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path

import markdown
import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md"))
PAGES += sorted(ROOT.glob("*.md"))
MARKUP = re.compile(
    r"^\s*```.*$"  # fences
    r"|^\|[\s:|-]+\|\s*$"  # the line below a table's head
    r"|!\[[^\]]*\]\([^)]*\)"  # pictures
    r"|(?<=\])\([^)\s]*\)"  # where links lead
    r"|^\s*(?:- |\d+\. )",
    re.MULTILINE,
)
HTML = re.compile(r"</?(?:p|img|br|sub|sup|details|summary|picture|source)\b[^>]*>", re.IGNORECASE)
"""Tags that a page may hold on purpose."""
UNSEEN = re.compile(r"[\s`*|\[\]\\#]")
"""Characters that are markup in one place and text in another."""


class Shown(HTMLParser):
    """Collects a page's text."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def html(source: str) -> str:
    return markdown.markdown(source, extensions=["tables", "fenced_code"])


def letters_shown(source: str) -> str:
    page = Shown()
    page.feed(html(source))
    return UNSEEN.sub("", "".join(page.parts))


def letters_said(source: str) -> str:
    text = MARKUP.sub("", source)
    outside = re.split(r"(`[^`]*`)", text)
    plain = "".join(part if part.startswith("`") else HTML.sub("", part) for part in outside)
    return UNSEEN.sub("", plain.replace("&lt;", "<").replace("&gt;", ">"))


def swallowed(source: str) -> list[str]:
    """What a page does not show of its source, or shows besides, each with what stands around it."""
    said, shown = letters_said(source), letters_shown(source)
    if said == shown:
        return []
    start = next((at for at, (one, other) in enumerate(zip(said, shown, strict=False)) if one != other), 0)
    near, there = said[start : start + 2000], shown[start : start + 2000]
    changes = difflib.SequenceMatcher(None, near, there, autojunk=False).get_opcodes()
    return [f"{said[max(0, start + i - 20) : start + j + 20]!r}" for what, i, j, *_ in changes if what != "equal"][:1]


def emphasis_within_words(source: str) -> list[str]:
    """``2*3*4`` and the like, which lose their asterisks."""
    return [found[0] for found in re.finditer(r"\w<(em|strong)>.{,40}|.{,40}</(em|strong)>\w", html(source))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_all_that_its_source_says(page):
    source = page.read_text(encoding="utf-8")
    assert not swallowed(source)
    assert not emphasis_within_words(source)


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        ("names the folder runs/<name>, and so on", "<name>"),
        ("| a | b |\n|---|---|\n| `x|y` | z | w |", "w"),
        ("a list:\n<PATH>\n", "<PATH>"),
        ("see __init__ of it", "__init__"),
    ],
)
def test_what_a_page_would_lose_is_found(source, lost):
    (found,) = swallowed(source)
    assert lost in found


@pytest.mark.parametrize("source", ["2*3*4", "the 5*x* of it"])
def test_asterisks_that_a_page_would_lose_are_found(source):
    assert emphasis_within_words(source)


@pytest.mark.parametrize(
    "source",
    [
        "*one* **two** `a*b*c` `<name>` [x](y.md) 2 * 3 * 4",
        "# 1. A\n\n1. x\n2. y_z_w\n\n- `a`: b\n\n```sh\nkp run <FILE>  # | x |\n```",
        "| a | b |\n|---|---:|\n| `x\\|y` | &lt;name&gt; |",
        '<p align="center">x</p>',
    ],
)
def test_plain_pages_lose_nothing(source):
    assert not swallowed(source)
    assert not emphasis_within_words(source)


@pytest.fixture
def generator(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_cells_and_docstrings_keep_what_looks_like_html(generator):
    cell = generator.cell("runs/<name>, `<key>` | *2*")
    assert cell == r"runs/&lt;name>, `<key>` \| \*2\*"
    assert letters_shown(f"| a |\n|---|\n| {cell} |") == "aruns/<name>,<key>2"
    docstring = generator.interfaces.__globals__["markdown"](
        "See runs/<name> and ``<key>``::\n\n    a <b> c\n\na -> b < c"
    )
    assert "\n".join(docstring) == "See runs/&lt;name> and `<key>`:\n\n    a <b> c\n\na -> b < c"
