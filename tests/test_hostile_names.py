"""Names from files and studies are neither paths, nor terminal codes, nor markup, nor formulas."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from kpcore.cli.app import outcome
from kpcore.cli.output import escaped, print_lines, print_table
from kpcore.cli.terminal import Terminal
from kpcore.errors import KpError, visible
from kpcore.records.slugs import slug
from kpcore.report.files import csv_text
from kpcore.report.latex import escape
from kpcore.report.tables import _markdown_text

CODES = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202e"
NAMES = ["[red]x[/red]", "[/x]", ":smile:", "a|b", "<script>", "100%_$x$", CODES]


def obeyed(text):
    """Characters that a terminal would obey."""
    return [character for character in text if not character.isprintable() and character != "\n"]


def test_what_cannot_be_seen_is_escaped():
    assert visible("a\x1b\x07\r\x9b\u202e\ud800\tb") == "a\\x1b\\x07\\r\\x9b\\u202e\\ud800\\tb"
    assert visible("caf\u00e9 \u5bff\u202f7\n[red]") == "caf\u00e9 \u5bff\u202f7\n[red]"
    assert str(KpError(f"a\nb{CODES}c")) == "a b\\x1b]0;owned\\x07\\x1b[2J\\x9b31m \\u202ec"


@pytest.mark.parametrize("name", NAMES)
def test_lines_and_tables_show_names_as_they_are(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    print_table(["name", name], [[name, 1]], title=name)
    print_lines([name])
    Terminal(width=200).print(name, style="yellow")
    shown = capsys.readouterr().out
    assert shown.count(visible(name)) == 5 and not obeyed(shown)


@pytest.mark.parametrize("name", NAMES)
def test_json_and_toml_are_read_back_and_obeyed_by_no_terminal(name):
    text = escaped(json.dumps({"a": name}, ensure_ascii=False))
    assert json.loads(text) == {"a": name} and not obeyed(text)


def named(root, header="image,a_x,a_y,b_x,b_y", row="a.png,30,20,60,50"):
    root.mkdir(exist_ok=True)
    (root / "keypoints.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,part,a_x,a_y", f'"a.png","{CODES}[/x]",1,2'),
        ("image,part,a_x,a_y", 'a.png,"[red]../../x[/red]",1,2'),
        (f'image,"{CODES}_x","{CODES}_y"', "a.png,1,2"),
        ("image,[/x]_x,[/x]_y", "a.png,1,2"),
        ("image,a_x,a_y", f'"{CODES}.png",1,2'),
        (f'image,a_x,a_y,"{CODES}"', "a.png,1,2,3"),
        ("image,a_x,a_y", f'a.png,"{CODES}",2'),
    ],
)
def test_commands_show_names_of_a_file(tmp_path, capsys, header, row):
    root = tmp_path / "data"
    named(root, header, row)
    for command in ("info", "check"):
        for json_ in ([], ["--json"]):
            code = outcome(["data", command, str(root), "--dataset", "named", *json_])
            told = capsys.readouterr()
            assert code in (0, 2) and "Traceback" not in told.err and not obeyed(told.out + told.err)


def test_errors_of_a_study_show_its_names(tmp_path, capsys):
    path = tmp_path / "study.toml"
    path.write_text('[dataset]\nname = "a\\u001b[31m[/x]"\n[split]\nname = "b\\u0007"\n["x\\u001b"]\n')
    for command in (["run", str(path)], ["config", "print", str(path)], ["data", "info", f"{tmp_path}/\x1b[2J"]):
        assert outcome(command) == 2
        error = capsys.readouterr().err
        assert error.startswith("kp: error: ") and not obeyed(error)


# ------------------------------------------------------------------------------------------------------- file names


def test_a_slug_is_a_file_name_and_no_two_names_share_one():
    plain = ["d-transfer-0", "d_fig2-frozen-1", "a.b-C-0"]
    assert [slug(name) for name in plain] == plain
    odd = ["../../x", "/etc/passwd", "a/b", "a b", "a-b ", "..", "", ".hidden", "nul", "CON.txt", "\x1b[2J", "x" * 300,
           "x" * 301, "\u00e9", "\ud800", "C:\\x"]  # fmt: skip
    found = [slug(name) for name in odd]
    assert len(set(found)) == len(odd)
    for name in found:
        assert name.isascii() and not set(name) - set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
        )
        assert not name.startswith(".") and len(name) < 100 and slug(name) == name


# ------------------------------------------------------------------------------------------------------------ tables


def test_cells_of_csv_are_no_formulas():
    texts = ["=1+1", "+cmd|x", "-x", "@SUM(A1)", "\t=1", "\r=1", "-1.5", "+2e-3", "plain"]
    text = csv_text(["a"], [[cell] for cell in [*texts, -1.5, None]])
    cells = [row[0] if row else "" for row in list(csv.reader(io.StringIO(text)))[1:]]
    assert cells == ["'=1+1", "'+cmd|x", "'-x", "'@SUM(A1)", "'\\t=1", "'\\r=1", "-1.5", "+2e-3", "plain", "-1.5", ""]
    assert not obeyed(csv_text(["a"], [[CODES]]))


def test_names_in_markdown_and_latex_are_no_markup():
    assert _markdown_text("a|b <c> _d_ e_f *g* [h](i) `j` & ~k~") == (
        r"a\|b \<c\> \_d\_ e_f \*g\* \[h\](i) \`j\` \& \~k\~"
    )
    assert escape("a|b<c>_%$&#{}\\") == (r"a\textbar{}b\textless{}c\textgreater{}\_\%\$\&\#\{\}\textbackslash{}")
    for text in (_markdown_text(CODES), escape(CODES)):
        assert not obeyed(text)


def test_numbers_of_numpy_stay_numbers_in_csv():
    assert csv_text(["a"], [[np.float64(-2.5)]]) == "a\n-2.5\n"
