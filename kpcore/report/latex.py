r"""Tables in LaTeX, for a document that loads ``booktabs``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kpcore.errors import visible
from kpcore.report.grid import Grid

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "−": r"$-$", "–": "--", "→": r"$\rightarrow$", "†": r"\dag{}",
    "[": "{[}",  # after the \\ that ends a row, a bare bracket would be its optional argument
    "]": "{]}",
}  # fmt: skip
"""Characters that LaTeX reads as commands, and those of ours that its default font lacks."""


def escape(text: str) -> str:
    """Return the text such that LaTeX prints it; line breaks and control characters become spaces."""
    plain = visible(re.sub(r"[\x00-\x1f\x7f]+", " ", text))
    return "".join(SPECIAL.get(character, character) for character in plain)


def latex_table(grid: Grid, label: str) -> str:
    """Return one ``table`` environment: a short caption above, notes below, and the whole story in comments."""
    notes = [rf"  \par\smallskip\footnotesize {escape(note)}" for note in grid.notes]
    lines = [
        *(f"% {escape(text)}" for text in (grid.title, *grid.sets)),
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{escape(grid.caption)}.}}",
        rf"  \label{{tab:{label}}}",
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


def _row(cells: tuple[str, ...]) -> str:
    return "    " + " & ".join(escape(cell) for cell in cells) + r" \\"


def labels(study: str, splits: Sequence[str]) -> list[str]:
    """Return a label a table: study and split in safe letters, numbered where two would be the same."""
    made: list[str] = []
    for split in splits:
        label = f"{_slug(study)}-{_slug(split)}"
        made.append(label if label not in made else f"{label}-{len(made) + 1}")
    return made


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "x"
