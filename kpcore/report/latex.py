r"""Tables in LaTeX, for a document that loads ``booktabs``."""

from __future__ import annotations

import re

from kpcore.errors import visible
from kpcore.report.grid import Grid

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "−": r"$-$", "–": "--", "→": r"$\rightarrow$",
    "[": "{[}",  # after the \\ that ends a row, a bare bracket would be its optional argument
    "]": "{]}",
}  # fmt: skip
"""Characters that LaTeX reads as commands, and those of ours that its default font lacks."""


def escape(text: str) -> str:
    """Return the text such that LaTeX prints it; line breaks and control characters become spaces."""
    plain = visible(re.sub(r"[\x00-\x1f\x7f]+", " ", text))
    return "".join(SPECIAL.get(character, character) for character in plain)


def latex_table(grid: Grid) -> str:
    """Return one ``table`` environment: caption above, notes below, a rule before the comparisons."""
    notes = [rf"  \par\smallskip\footnotesize {escape(note)}" for note in grid.notes]
    lines = [
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{escape(_caption(grid))}}}",
        rf"  \label{{tab:{_slug(grid.split)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(grid.header) - 2)}l}}",
        r"    \toprule",
        _row(grid.header),
        r"    \midrule",
        *(_row(row) for row in grid.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines)


def _caption(grid: Grid) -> str:
    return " ".join(f"{text}." for text in (grid.title, *grid.sets))


def _row(cells: tuple[str, ...]) -> str:
    return "    " + " & ".join(escape(cell) for cell in cells) + r" \\"


def _slug(name: str) -> str:
    """A label's safe form of a split's name."""
    return "split-" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
