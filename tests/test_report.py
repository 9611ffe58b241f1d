"""Tables and curves from a small study made by hand: 2 splits, 3 modes, 2 seeds, one run failed, one pending."""

import csv
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, KeypointSplit, Skeleton, Step
from kpcore.records.results import (
    DataInfo,
    HistoryRecord,
    JobInfo,
    ModeInfo,
    Results,
    Row,
    SplitInfo,
    read_history,
)
from kpcore.report.breaking import broken, pieces
from kpcore.report.curves import DPI, curve, curves_csv, curves_figure, curves_png, rendered, write_curves
from kpcore.report.figures import difference, figure
from kpcore.report.grid import grids, headline
from kpcore.report.latex import escape, labels
from kpcore.report.summary import Estimate, to_baseline
from kpcore.report.tables import csv_table, latex, markdown, write_tables
from kpcore.report.terminal import print_tables, tables

GOLDEN = Path(__file__).parent / "golden_report"
NAN = float("nan")
SCORES = {  # split, mode, seed -> the columns in the split's order, then the average
    ("a", "transfer", 0): (88.0, 84.0, 86.0),
    ("a", "transfer", 1): (87.0, 85.0, 86.0),
    ("a", "frozen", 0): (74.7, 56.0, 65.35),
    ("a", "random", 0): (87.5, 83.9, 85.7),
    ("a", "random", 1): (87.9, 83.9, 85.9),
    ("b", "transfer", 0): (84.1, NAN, 84.1),
    ("b", "transfer", 1): (83.1, NAN, 83.1),
    ("b", "frozen", 0): (69.7, 62.6, 66.15),
    ("b", "frozen", 1): (70.7, 62.6, 66.65),
    ("b", "random", 0): (84.1, 81.6, 84.3),
}
UNDONE = {("a", "frozen", 1): ("failed", "loss is NaN in epoch 3"), ("b", "random", 1): ("pending", "")}
SPLITS = (
    SplitInfo(
        name="a",
        steps=(("pelvis", "l_hip", "r_hip"), ("l_elbow", "r_elbow", "l_wrist", "r_wrist")),
        columns=("elbow", "wrist"),
        unused=("thorax",),
        not_compared="",
        reference={
            "transfer": {"elbow": 87.9, "wrist": 84.2, "average": 83.9},
            "frozen": {"elbow": 74.7, "wrist": 56.0, "average": 67.5},
            "random": {"elbow": 87.9, "wrist": 83.9, "average": 83.9},
        },
    ),
    SplitInfo(
        name="b",
        steps=(("head", "l_wrist"), ("l_wrist", "l_ankle")),
        columns=("wrist", "ankle"),
        overlap=("l_wrist",),
    ),
)
MODES = tuple(
    ModeInfo(name=name, summary=summary)
    for name, summary in (
        ("transfer", "Transfer learning"),
        ("frozen", "Frozen weights"),
        ("random", "Random initialization"),
    )
)


def make_row(split, mode, seed):
    place = {"split": split.name, "mode": mode, "seed": seed, "job": f"{split.name}-{mode}-{seed}"}
    if (split.name, mode, seed) in UNDONE:
        status, reason = UNDONE[split.name, mode, seed]
        return Row(**place, status=status, reason=reason)
    *columns, average = SCORES[split.name, mode, seed]
    scores = dict(zip(split.columns, columns, strict=True))
    done = {"convention": "PCKh@0.5 kptransfer", "epochs": 4, "best_epoch": 3, "iterations": 40}
    return Row(**place, **done, columns=scores, average=average, status="done")


def make(*, sample=False, preset="paper", **changes):
    rows = [make_row(split, mode.name, seed) for split in SPLITS for mode in MODES for seed in (0, 1)]
    jobs = [
        JobInfo(key=row.job, name=row.job, split=row.split, mode=row.mode, seed=row.seed, step=1, status=row.status)
        for row in rows
    ]
    source = JobInfo(key="s1", name="a-s1-0", split="a", mode="", seed=0, step=0, status="done")
    data = DataInfo(label="MPII", list="newell", people={"train": 25925, "valid": 2958}, sample=sample)
    fields = {
        "study": "by_hand", "preset": preset, "data": data, "validation_convention": "PCK hourglass",
        "splits": SPLITS, "modes": MODES, "baseline": "random", "jobs": (*jobs, source), "rows": tuple(rows),
    }  # fmt: skip
    return Results(**{**fields, **changes})


def histories(results):
    def records(length):
        return [
            HistoryRecord(epoch=epoch, iterations=10 * epoch, loss=1 / epoch, validation=80 - 20 / epoch)
            for epoch in range(1, length + 1)
        ]

    return {job.key: records(4 + job.seed) for job in results.jobs if job.status == "done"}


def parsed(text):
    return list(csv.DictReader(io.StringIO(text)))


def printed(results, width=100):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_tables(results, console)
    return console.file.getvalue()


@pytest.mark.parametrize("name", ["tables.md", "tables.tex", "tables.csv"])
def test_tables_are_the_golden_ones(tmp_path, name):
    write_tables(make(), tmp_path / "new")
    text = (tmp_path / "new" / name).read_bytes()
    if os.environ.get("KP_WRITE_GOLDEN"):
        (GOLDEN / name).write_bytes(text)
    assert text.decode() == (GOLDEN / name).read_bytes().decode()


def test_a_cell_is_the_mean_and_the_sample_deviation():
    table = grids(make())[0]
    transfer = dict(zip(table.header, table.rows[0], strict=True))
    assert transfer == {
        "Mode": "Transfer learning", "elbow": "87.5 ± 0.7", "wrist": "84.5 ± 0.7", "Average": "86.0 ± 0.0",
        "Paper avg": "83.9", "vs paper": "+2.1", "vs random": "+0.2", "Seeds": "2",
    }  # fmt: skip


def test_the_failed_seed_is_named_and_the_other_one_has_no_spread():
    table = grids(make())[0]
    frozen = dict(zip(table.header, table.rows[1], strict=True))
    assert (frozen["elbow"], frozen["Seeds"]) == ("74.7", "1, 1 failed")
    assert "Frozen weights, seed 1: failed: loss is NaN in epoch 3" in table.notes
    assert any(note.startswith("1 seed: no spread") for note in table.notes)


def test_a_file_from_before_there_was_a_baseline_reads_and_compares_with_none():
    document = json.loads(make().to_json())
    del document["baseline"]
    old = Results.from_json(json.dumps(document))
    assert old.baseline == ""
    assert "vs random" in markdown(make())
    assert "vs " not in markdown(old).replace("vs paper", "")


def test_the_difference_to_random_pairs_seeds():
    # Seed 1 of random is pending in split b, so seed 0 alone counts: 84.1 - 84.3, not 83.6 - 84.3.
    assert to_baseline(make(), "b", "transfer") == pytest.approx(-0.2)
    assert to_baseline(make(), "b", "random") is None


def test_nan_is_null_in_the_file_a_dash_in_tables_and_empty_in_csv():
    results = make()
    row = next(row for row in json.loads(results.to_json())["rows"] if row["job"] == "b-transfer-0")
    assert row["columns"] == {"wrist": 84.1, "ankle": None}
    table = grids(results)[1]
    assert dict(zip(table.header, table.rows[0], strict=True))["ankle"] == "–"
    line = next(
        line
        for line in parsed(csv_table(results))
        if (line["split"], line["mode"], line["column"]) == ("b", "transfer", "ankle")
    )
    assert (line["value"], line["status"]) == ("", "done")


def test_csv_says_why_a_run_failed_once_and_not_beside_every_column():
    lines = parsed(csv_table(make()))
    told = [line for line in lines if line["note"] == "loss is NaN in epoch 3"]
    assert [(line["split"], line["mode"], line["seed"], line["column"]) for line in told] == [
        ("a", "frozen", "1", "average")
    ]
    assert {
        line["status"] for line in lines if (line["mode"], line["seed"], line["split"]) == ("frozen", "1", "a")
    } == {"failed"}


@pytest.mark.parametrize(
    ("preset", "told"),
    [
        ("small", "preset small"),
        ("sample, changed: training.epochs", "preset sample with 1 setting changed"),
        ("own, changed: training.epochs, codec.sigma", "preset own with 2 settings changed"),
    ],
)
def test_the_caption_says_data_samples_and_preset_shortly(preset, told):
    results = make(preset=preset)
    assert grids(results)[0].caption == f"Split a: PCKh@0.5 kptransfer on MPII, 2,958 samples, {told}"
    assert preset in grids(results)[0].title, "the whole of it"
    assert rf"\caption{{Split a: PCKh@0.5 kptransfer on MPII, 2,958 samples, {told}.}}" in latex(results)


def test_csv_has_every_row_and_column_once():
    lines = [line for line in parsed(csv_table(make())) if line["statistic"] == "value"]
    assert len(lines) == 2 * 3 * 2 * 3
    assert {line["status"] for line in lines} == {"done", "failed", "pending"}
    first = lines[0]
    assert (first["value"], first["paper"], first["difference"]) == ("88.0", "87.9", "0.1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"sample": True}, "sample data"), ({"not_compared": "training.epochs = 1"}, "training.epochs = 1")],
)
def test_the_paper_is_not_compared_with_something_else_whatever_it_calls_itself(changes, reason):
    split = SPLITS[0].model_copy(update={"not_compared": changes.pop("not_compared", "")})
    results = make(preset="paper", splits=(split, SPLITS[1]), **changes)
    assert f"not comparable: {reason}" in markdown(results)
    assert f"not comparable: {reason}" in latex(results)
    assert f"not comparable: {reason}" in printed(results)
    table = grids(results)[0]
    assert not {"vs paper", "Paper avg"} & set(table.header)
    lines = [
        line for line in parsed(csv_table(results)) if line["split"] == "a" and line["statistic"] in ("value", "mean")
    ]
    assert {line["paper"] + line["difference"] for line in lines} == {""}
    told = [line for line in parsed(csv_table(results)) if line["note"] == f"not comparable: {reason}"]
    assert [(line["split"], line["statistic"], line["value"], line["seed"]) for line in told] == [("a", "note", "", "")]


def test_the_paper_is_not_compared_under_another_convention():
    split = SPLITS[0].model_copy(update={"reference_convention": "PCKh@0.5 paper"})
    text = markdown(make(splits=(split, SPLITS[1])))
    assert "not comparable: convention PCKh@0.5 kptransfer is not PCKh@0.5 paper" in text
    same = SPLITS[0].model_copy(update={"reference_convention": "PCKh@0.5 kptransfer"})
    assert "not comparable" not in markdown(make(splits=(same, SPLITS[1])))


def test_sample_data_is_said_everywhere():
    results = make(sample=True)
    titles = [line for line in markdown(results).splitlines() if line.startswith("## ")]
    captions = [line for line in latex(results).splitlines() if "caption" in line]
    headings = [line for line in printed(results).splitlines() if line.startswith("Split ")]
    assert [len(found) for found in (titles, captions, headings)] == [2, 2, 2]
    assert all("sample data" in line for line in (*titles, *captions, *headings))
    assert {line["data"] for line in parsed(csv_table(results))} == {"MPII (sample data)"}
    assert {line["data"] for line in parsed(curves_csv(results, histories(results)))} == {"MPII (sample data)"}
    assert "sample data" not in markdown(make()) + latex(make()) + csv_table(make()) + printed(make())


def test_a_label_that_says_sample_data_says_it_once():
    data = DataInfo(label="sample data", list="generated", people={}, sample=True)
    assert data.name == "sample data"


def test_the_title_says_what_the_figures_are():
    assert grids(make())[0].title == (
        "Split a: MPII; list newell; samples: 25,925 train, 2,958 valid; PCKh@0.5 kptransfer; preset paper"
    )


def test_before_anything_is_done_the_table_stands_empty():
    rows = tuple(Row(split="a", mode=mode.name, seed=0, status="pending") for mode in MODES)
    table = grids(make(rows=rows, splits=SPLITS[:1], jobs=()))[0]
    assert table.header[1:4] == ("elbow", "wrist", "Average")
    assert table.rows[0] == ("Transfer learning", "–", "–", "–", "83.9", "–", "–", "0, 1 pending")
    assert "nothing scored yet" in table.title


def test_a_convention_with_columns_of_its_own_replaces_the_splits():
    row = make_row(SPLITS[0], "random", 0).model_copy(update={"columns": {"head": 97.0, "wrist": 84.0}})
    table = grids(make(rows=(row,), splits=SPLITS[:1]))[0]
    assert table.header[1:4] == ("wrist", "head", "Average")


def test_modes_of_one_strategy_are_told_apart():
    modes = (*MODES, ModeInfo(name="by_name", summary="Transfer learning"))
    assert make(modes=modes).labels["by_name"] == "Transfer learning (by_name)"
    assert make(modes=modes).labels["random"] == "Random initialization"


@pytest.mark.parametrize("width", [100, 140])
def test_the_terminal_keeps_to_100_columns_and_breaks_no_figure(width):
    names = tuple(f"column{number}" for number in range(16))
    split = SplitInfo(name="wide", steps=(("p",), ("q",)), columns=names)
    done = {"average": 99.9, "convention": "PCKh", "status": "done"}
    rows = tuple(
        Row(split="wide", mode=mode.name, seed=seed, columns=dict.fromkeys(names, 88.0 + seed), **done)
        for mode in MODES
        for seed in (0, 1)
    )
    text = printed(make(splits=(split,), rows=rows, jobs=()), width)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.count("88.5") == 16 * 3
    assert text.count("± 0.7") == 16 * 3


LONG_NAMES = (
    "paw1LH_top",
    "tailBase_top",
    "obsHighCornerOfTheCageWall_bot",
    *(f"pawNumber{n}_bottom" for n in range(9)),
)


@pytest.mark.parametrize("width", [48, 80, 100])
@pytest.mark.parametrize("names", [LONG_NAMES[:2], LONG_NAMES])
def test_the_terminal_breaks_names_at_their_separators_and_cuts_nothing(names, width):
    """In any number of tables: every figure is there, and every name, in parts that end at a separator."""
    split = SplitInfo(name="mouse", steps=(("p",), ("q",)), columns=names)
    done = {"average": 99.9, "convention": "PCK", "status": "done", "columns": dict.fromkeys(names, 88.0)}
    rows = tuple(Row(split="mouse", mode=mode.name, seed=0, **done) for mode in MODES)
    grid = grids(make(splits=(split,), rows=rows, jobs=()))[0]
    console = Console(width=width, file=io.StringIO())
    for table in tables(grid, width):
        console.print(table)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert text.count("88.0") == len(names) * len(MODES)
    assert "…" not in text
    parts = {part for name in names for part in pieces(name)}
    for line in text.splitlines():
        for word in re.findall(r"[A-Za-z0-9_]*(?:paw|tail|obs|bot|top|Wall)[A-Za-z0-9_]*", line):
            assert any(name.startswith(word) or word in name for name in names)
            assert set(pieces(word)) <= parts, f"{word} is broken within a part"


@pytest.mark.parametrize(
    ("text", "room", "told"),
    [
        ("paw1LH_bot", 9, ["paw1LH_", "bot"]),
        ("leftHindPaw", 8, ["leftHind", "Paw"]),
        ("a.long-name of two words", 7, ["a.long-", "name of", "two", "words"]),
        ("intermediate", 5, ["inter", "media", "te"]),
        ("", 5, [""]),
        ("x__y", 3, ["x__", "y"]),
    ],
)
def test_a_name_is_broken_where_its_parts_meet(text, room, told):
    assert broken(text, lambda line: len(line) <= room) == told


@given(st.text(alphabet="abC1_-. 腕", max_size=40), st.integers(1, 12))
def test_no_letter_is_lost_where_lines_are_broken(text, room):
    found = broken(text, lambda line: len(line) <= room)
    assert "".join(found).replace(" ", "") == "".join(text.split())
    assert all(len(line) <= room for line in found)


def test_a_table_that_does_not_fit_has_a_row_a_column():
    grid = grids(make())[0]
    assert [len(tables(grid, width)) for width in (100, 60)] == [1, 1]
    console = Console(width=60, file=io.StringIO())
    console.print(tables(grid, 60)[0])
    text = console.file.getvalue()
    assert re.search(r"^ elbow +87\.5 ± 0\.7 +74\.7 +87\.7 ± 0\.3 *$", text, re.MULTILINE)
    assert re.search(r"^ Seeds +2 +1, 1 failed +2 *$", text, re.MULTILINE)


def test_markup_in_names_is_printed_as_it_is():
    split = SplitInfo(name="[red]a|b", steps=(("p",), ("q",)), columns=("x|y",))
    results = make(splits=(split,), rows=(), jobs=())
    assert "Split [red]a|b" in printed(results)
    assert r"| x\|y |" in markdown(results)


def test_latex_escapes_what_latex_reads():
    assert escape(r"50% of R&D_{x}^2 #1 ~$ \cmd") == (
        r"50\% of R\&D\_\{x\}\textasciicircum{}2 \#1 \textasciitilde{}\$ \textbackslash{}cmd"
    )
    assert escape("[2pt] −1.0 ± 0.2 – <") == r"{[}2pt{]} $-$1.0 $\pm$ 0.2 -- \textless{}"
    assert "\n" not in escape("two\nlines")


@given(st.text())
def test_escaped_text_is_balanced_and_free_of_specials(text):
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|dag)\{\}", "", escape(text)
    )
    bare = re.sub(r"\$\\(pm|rightarrow)\$|\$-\$|\{\[\}|\{\]\}|\\[{}&%$#_]", "", bare)
    assert not set(bare) & set("\\{}&%$#_~^<>|[]")


def test_csv_has_means_and_deviations_over_seeds_with_their_ddof_and_the_mean_shape():
    split = SPLITS[0].model_copy(update={"mean_shape": {"elbow": 90.0, "wrist": None, "average": 66.0}})
    lines = parsed(csv_table(make(splits=(split, SPLITS[1]))))
    found = {
        (line["mode"], line["column"], line["statistic"]): line
        for line in lines
        if line["split"] == "a" and line["statistic"] != "value"
    }
    assert {line["seed"] for line in found.values()} == {""}
    mean, deviation = found["transfer", "elbow", "mean"], found["transfer", "elbow", "sd"]
    assert (mean["value"], mean["seeds"], mean["paper"], mean["difference"]) == ("87.5", "2", "87.9", "-0.4")
    assert (deviation["value"], deviation["seeds"], deviation["difference"]) == ("0.7071", "2", "")
    assert deviation["note"] == ""
    assert ("frozen", "elbow", "sd") not in found, "one seed has no spread"
    assert found["frozen", "average", "mean"]["note"] == "worse than the mean shape"
    assert found["transfer", "average", "mean"]["note"] == ""
    shape = [(line["column"], line["value"]) for line in found.values() if line["statistic"] == "mean shape"]
    assert shape == [("elbow", "90.0"), ("average", "66.0")]


def names_like_commands():
    """Results whose every name has what LaTeX reads as a command."""
    split = SPLITS[0].model_copy(update={"name": "50% {a}\\b_&#~^$", "mean_shape": {"average": 70.0}})
    rows = tuple(row.model_copy(update={"split": split.name, "job": ""}) for row in make().rows if row.split == "a")
    modes = (MODES[0].model_copy(update={"summary": "a_b & 5% \\x{"}), *MODES[1:])
    return make(splits=(split,), rows=rows, modes=modes, jobs=(), study="my_study-1")


@pytest.mark.parametrize("results", [make(), names_like_commands()], ids=["plain", "odd names"])
def test_latex_is_read_by_a_parser_that_forgives_nothing(results):
    walker = pytest.importorskip("pylatexenc.latexwalker")
    nodes, _, _ = walker.LatexWalker(latex(results), tolerant_parsing=False).get_latex_nodes()
    tables = [node for node in nodes if node.isNodeType(walker.LatexEnvironmentNode)]
    assert [table.environmentname for table in tables] == ["table"] * len(results.splits)
    for table in tables:
        inside = [node.macroname for node in table.nodelist if node.isNodeType(walker.LatexMacroNode)]
        assert {"caption", "label"} <= set(inside)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
@pytest.mark.parametrize("results", [make(), names_like_commands()], ids=["plain", "odd names"])
def test_latex_compiles_with_booktabs(results, tmp_path):
    document = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "t.tex").write_text(document % latex(results), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_a_caption_is_short_and_the_whole_story_is_a_comment():
    lines = latex(make()).splitlines()
    captions = [line.strip() for line in lines if "caption" in line]
    assert captions[0] == r"\caption{Split a: PCKh@0.5 kptransfer on MPII, 2,958 samples, preset paper.}"
    assert "% Split a: " + escape(headline(make())) in lines
    assert "% S1: pelvis, l\\_hip, r\\_hip" in lines
    assert r"  \label{tab:by-hand-a}" in lines


def test_labels_have_the_studys_name_and_are_never_the_same_twice():
    assert labels("my_study", ["a", "B", "a-b", "a_b", "腕", "肘"]) == [
        "my-study-a", "my-study-B", "my-study-a-b", "my-study-a-b-4", "my-study-x", "my-study-x-6",
    ]  # fmt: skip


def test_latex_tables_have_as_many_cells_as_columns():
    text = latex(make())
    for body in re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
        columns = re.match(r"\{(\w+)\}", body)[1]
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 4
        assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 for line in rows)
    for environment in ("table", "tabular"):
        assert text.count(rf"\begin{{{environment}}}") == text.count(rf"\end{{{environment}}}") == 2


def test_the_file_reads_back_as_it_was_and_has_one_order():
    results = make()
    text = results.to_json()
    assert Results.from_json(text) == results.canonical()
    assert Results.from_json(text).to_json() == text
    shuffled = results.model_copy(update={"rows": results.rows[::-1], "jobs": results.jobs[::-1]})
    assert shuffled.to_json() == text
    assert list(json.loads(text))[:4] == ["schema", "study", "preset", "data"]
    assert json.loads(text)["jobs"][0]["key"] == "s1"


def test_columns_keep_the_splits_order():
    row = make_row(SPLITS[0], "random", 0)
    turned = row.model_copy(update={"columns": dict(reversed(row.columns.items()))})
    back = Results.from_json(make(rows=(turned,)).to_json())
    assert list(back.rows[0].columns) == ["elbow", "wrist"]


@given(st.floats(0, 100))
def test_scores_are_rounded_once(value):
    row = Row(split="a", mode="random", seed=0, columns={"x": value}, average=value, convention="c", status="done")
    assert row.average == round(value, 4)
    assert Row.model_validate_json(row.model_dump_json()) == row


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), 2, "schema"),
        (("rows", 0, "split"), "A", "rows[0].split: unknown split 'A'"),
        (("rows", 0, "mode"), "randum", "did you mean 'random'?"),
        (("baseline",), "randum", "did you mean 'random'?"),
        (("rows", 0, "job"), "gone", "unknown job 'gone'"),
        (("rows", 0, "averege"), 1.0, "did you mean 'average'?"),
        (("rows", 0, "seed"), "0", "rows.0.seed"),
        (("rows", 0, "average"), 1e999, "finite"),
        (("rows", 0, "status"), "pending", "only a row that is done has scores"),
        (("rows", 2, "reason"), None, "rows.2.reason"),
        (("rows", 1, "seed"), 0, "rows: 'a-transfer-0' occurs twice"),
        (("splits",), [], "splits"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(path, value, message):
    document = json.loads(make().to_json())
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(KpError) as caught:
        Results.from_json(json.dumps(document), where="runs/x/results.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith("runs/x/results.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "[" * 100_000])
def test_what_is_no_results_file_is_refused(text):
    with pytest.raises(KpError, match=r"^results\.json") as caught:
        Results.from_json(text)
    assert len(str(caught.value)) < 300


def test_a_split_is_taken_down_by_name():
    skeleton = Skeleton(
        "three", (Keypoint("l_eye", "r_eye", "eye"), Keypoint("r_eye", "l_eye", "eye"), Keypoint("nose"))
    )
    steps = (Step(skeleton.select(["nose"])), Step(skeleton.select(["eye"])))
    published = {"random": {"eye": 1.0, "average": 1.0}}
    info = SplitInfo.of(KeypointSplit("s", steps, reference=published, reference_convention="NME"))
    assert info.reference_convention == "NME"
    assert info.steps == (("nose",), ("l_eye", "r_eye"))
    assert (info.columns, info.overlap, info.reference["random"]["eye"]) == (("eye",), (), 1.0)


def test_signs_are_of_what_is_printed():
    assert [difference(value, 1) for value in (0.04, -0.04, 0.06, -1.25, None)] == ["0.0", "0.0", "+0.1", "−1.2", "–"]
    assert [figure(value, 1) for value in (83.94, None)] == ["83.9", "–"]


def test_an_estimate_leaves_out_what_is_absent():
    assert Estimate.of([1.0, None, 3.0]) == Estimate(2.0, pytest.approx(2**0.5), 2)
    assert Estimate.of([None]) == Estimate(None, None, 0)


def test_history_is_read_and_its_faults_have_a_line_number(tmp_path):
    path = tmp_path / "history.jsonl"
    line = '{"epoch": 1, "iterations": 8, "loss": 0.5, "learning_rate": 0.01, "validation": NaN, "seconds": 3.0}\n'
    path.write_text(line + "\n" + line.replace("1,", "2,", 1).replace("NaN", "7.5"), encoding="utf-8")
    records = read_history(path)
    assert [(record.epoch, record.validation) for record in records] == [(1, None), (2, 7.5)]
    path.write_text(line + '{"epoch": 0}\n', encoding="utf-8")
    with pytest.raises(KpError, match=r"history\.jsonl:2"):
        read_history(path)
    with pytest.raises(KpError, match="cannot be read"):
        read_history(tmp_path / "absent.jsonl")


def test_curves_csv_has_every_epoch_of_every_job():
    results = make()
    lines = parsed(curves_csv(results, histories(results)))
    # 10 scored jobs (6 of seed 0 with 4 epochs, 4 of seed 1 with 5) and the source training with 4.
    assert len(lines) == 6 * 4 + 4 * 5 + 4
    assert lines[0] == {
        "split": "a", "mode": "", "labels": "1.0", "seed": "0", "step": "0", "epoch": "1", "iterations": "10",
        "loss": "1.0", "validation": "60.0", "convention": "PCK hourglass", "data": "MPII",
    }  # fmt: skip


def test_a_curve_has_gaps_where_nothing_was_scored():
    records = [HistoryRecord(epoch=epoch, iterations=1, loss=None, validation=v) for epoch, v in ((1, 5.0), (3, 7.0))]
    assert curve(records).tolist() == pytest.approx([5.0, NAN, 7.0], nan_ok=True)


def test_the_figure_is_written_in_its_size_and_twice_the_same(tmp_path):
    results = make(sample=True)
    _, path, svg, pdf = write_curves(results, histories(results), tmp_path)
    assert [one.name for one in (path, svg, pdf)] == ["curves.png", "curves.svg", "curves.pdf"]
    assert svg.read_text().startswith("<?xml")
    assert pdf.read_bytes().count(b"/FontFile2") >= 2, "both weights are embedded"
    assert pdf.read_bytes().startswith(b"%PDF")
    again = curves_figure(results, histories(results))
    assert [rendered(again, form) for form in ("svg", "pdf")] == [svg.read_bytes(), pdf.read_bytes()]
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    size = curves_figure(results, histories(results)).get_size_inches()
    assert (width, height) == tuple(pytest.approx(inches * DPI, abs=1) for inches in size)
    assert content == curves_png(results, histories(results))
    assert content != curves_png(make(), histories(results)), "the title does not say 'sample data'"


def test_the_figure_takes_any_name_and_an_empty_study():
    modes = (ModeInfo(name="_x", summary="_x $\\frac{$"), ModeInfo(name="random", summary="Random"))
    data = DataInfo(label="cost: $5$ or $x_", list="l", people={}, sample=False)
    rows = (Row(split="a", mode="_x", seed=0, status="pending"),)
    assert curves_png(make(modes=modes, data=data, rows=rows, jobs=()), {})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KpError, match=r"tables\.md: cannot be written"):
        write_tables(make(), tmp_path / "file" / "inside")


def test_reports_import_no_torch():
    code = "import sys, kpcore.report.tables, kpcore.report.curves; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
