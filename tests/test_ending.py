"""The last lines of ``kp run``: the page's own sentences, about ten lines of them, whatever was run."""

import json
import re
from dataclasses import replace

import pytest
from finished_run import GAINS, HOSTILE, write_run
from rich.cells import cell_len

from kpcore.cli.terminal import Terminal
from kpcore.evidence.labels import ImageInterval, LabelEvidence, Saved
from kpcore.evidence.needed import times
from kpcore.report.ending import LINES, ending, print_ending
from kpcore.report.figures import stated_unit
from kpcore.report.page.folder import read_words
from kpcore.report.page.words import ONE_SEED, UNTOLD, averages, overall, questions


def words(lines):
    return " ".join(" ".join(lines).split())


@pytest.fixture(scope="module")
def one_split(tmp_path_factory):
    return read_words(write_run(tmp_path_factory.mktemp("one") / "run", splits=("c",)))


@pytest.fixture(scope="module")
def four_splits(tmp_path_factory):
    return read_words(write_run(tmp_path_factory.mktemp("four") / "run", splits=("a", "b", "c", "d")))


def test_one_split_is_told_in_the_sentences_of_the_page(one_split):
    found = ending(one_split, 80)
    (asked,) = questions(one_split)
    said = words(found)
    assert found[0] == asked.text
    assert all(f"{one.mode}: {one.word}. {one.text}." in said for one in asked.answers)
    assert said.startswith(f"{asked.text} ") and "▲ Mode transfer: Yes, better." in said
    assert "▼ Mode frozen: No, worse." in said and "Negative transfer: Mode frozen, worse than Mode random" in said
    assert "Summed training time, S1's share in: Mode transfer 3.3 min" in said
    assert len(found) <= LINES and max(map(cell_len, found)) <= 80


def test_what_is_better_and_still_worse_than_the_mean_shape_is_cautioned_in_its_own_line(one_split, four_splits):
    for run, text in ((one_split, "Mode transfer (still worse than the mean shape): Yes, better."),
                      (four_splits, "4 better (Mode transfer (still worse than the mean shape) in a, b")):  # fmt: skip
        splits = tuple(one.model_copy(update={"mean_shape": {"average": 99.0}}) for one in run.results.splits)
        below = replace(run, results=run.results.model_copy(update={"splits": splits}))
        assert text in words(ending(below, 80)) and "Mode frozen (still" not in words(ending(below, 80))
        assert "(still" not in words(ending(run, 80))


@pytest.mark.parametrize(("factor", "text"), [(1.52, "1.5"), (9.97, "10"), (15.0, "15"), (100.0, "100")])
def test_times_have_two_digits(factor, text):
    assert times(factor) == f"about {text} times"


@pytest.mark.parametrize(("convention", "text"), [("MPJPE at pelvis (mm)", "mm"), ("PCKh@0.5 (of some kind)", "")])
def test_the_unit_that_a_convention_ends_in(one_split, convention, text):
    rows = tuple(row.model_copy(update={"convention": convention}) for row in one_split.results.rows)
    assert stated_unit(one_split.results.model_copy(update={"rows": rows})) == text


def test_four_splits_are_told_a_mode_a_line_with_the_splits_of_each_verdict(four_splits):
    found = ending(four_splits, 80)
    said = words(found)
    assert len(found) <= LINES and max(map(cell_len, found)) <= 80
    assert "3 seeds, 60 samples on 30 images." in said
    assert "Mode transfer: better in 4 of 4: a +1" in said and "Mode frozen: worse in 4 of 4: a −1" in said
    mean, count = averages(four_splits)["Mode transfer"]
    assert count == 4 and f"; mean +{mean:.1f} points." in said
    assert "more: see the page.)" in said


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "run"
    return read_words(write_run(folder, splits=tuple("abcdefgh"), modes=tuple(GAINS), seeds=(0, 1)))


@pytest.mark.parametrize("width", [40, 80, 100])
def test_however_many_there_are_it_stays_short_and_counts_all(many, width):
    found = ending(many, width)
    verdicts = [answer.verdict for one in questions(many) for answer in one.answers]
    better, worse, undecided = map(verdicts.count, ("positive", "negative", "undecided"))
    said = words(found)
    assert re.search(
        rf"Of 24 answers: {better} better \(Mode transfer in [^)]+\); {worse} worse \(Mode frozen in", said
    )
    assert f"; {undecided} undecided. On average over 8 splits" in said
    assert len(found) <= (LINES + 1 if width >= 80 else 2 * LINES + 1) and max(map(cell_len, found)) <= width


def test_one_split_of_many_modes_is_told_without_counts(tmp_path):
    run = read_words(write_run(tmp_path / "run", splits=("c",), modes=tuple(GAINS)))
    said = words(ending(run, 80))
    assert "Mode transfer: better, +1" in said and "Mode frozen: worse, −1" in said and " of 1" not in said


def test_the_mean_over_splits_is_the_plain_one_and_says_so(four_splits, one_split):
    values = [
        one.value
        for split in "abcd"
        for one in four_splits.table(split).differences
        if (one.mode, one.column) == ("transfer", "average")
    ]
    assert averages(four_splits)["Mode transfer"] == (pytest.approx(sum(values) / 4), 4)
    assert overall(four_splits).startswith(
        f"On average over 4 splits (a plain mean, no interval): Mode transfer +{sum(values) / 4:.1f} points, "
    )
    assert overall(one_split) == ""


def test_one_seed_is_said_once(tmp_path):
    found = ending(read_words(write_run(tmp_path / "run", seeds=(0,), splits=("c", "d"))), 80)
    assert words(found).count(ONE_SEED) == 1


def test_what_has_no_figures_is_told_why(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0,), splits=("c",))
    results = json.loads((folder / "results.json").read_text())
    for row in results["rows"]:
        row.update(status="failed", reason="no memory", columns={}, average=None)
    (folder / "results.json").write_text(json.dumps(results))
    found = ending(read_words(folder), 80)
    assert "· Mode transfer: Not known. Its training failed: no memory." in found


def test_a_mode_that_failed_everywhere_is_told_among_many(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("a", "b", "c", "d"))
    results = json.loads((folder / "results.json").read_text())
    for row in results["rows"]:
        if row["mode"] == "frozen":
            row.update(status="failed", reason="no memory", columns={}, average=None)
    (folder / "results.json").write_text(json.dumps(results))
    known = read_words(write_run(tmp_path / "known", seeds=(0, 1), splits=("a", "b", "c", "d"))).evidence
    tables = [
        table.model_copy(update={"differences": tuple(one for one in table.differences if one.mode == "transfer")})
        for table in known.tables
    ]
    run = read_words(folder, known.model_copy(update={"tables": tuple(tables)}))
    said = words(ending(run, 80))
    assert "Mode frozen: not known in 4 of 4: a, b, c, d." in said and re.search(
        r"Mode transfer: [a-z]+ in \d of 4: a", said
    )


def test_without_a_baseline_nothing_is_said_of_differences(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0,), splits=("a", "b"))
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**results, "baseline": ""}))
    found = ending(read_words(folder), 40, 3)
    assert "No mode is the baseline." in words(found) and not re.search("Differences|answers|average", words(found))


def saved(labels, images, low):
    limits = ImageInterval(low=low, high=None)
    return Saved(
        mode="transfer", labels=labels, images=images, seeds=(0, 1), equal=40.0, smallest=3, largest=30, fitted=False,
        given=limits, across=limits,
    )  # fmt: skip


@pytest.mark.parametrize("low", [12.0, None])
def test_labels_saved_are_told_or_said_not_to_be_known(tmp_path, low):
    run = read_words(write_run(tmp_path / "run", seeds=(0, 1), splits=("c",), shares=(0.1, 1.0)))
    made = LabelEvidence(split="c", baseline="random", curves=(), saved=(saved(1.0, 30, None), saved(0.1, 3, low)))
    object.__setattr__(run, "evidence", run.evidence.model_copy(update={"labels": (made,)}))
    said = words(ending(run, 80))
    first = "Mode transfer with 3 images scores as Mode random with 40 (95% 12 or more)."
    assert (first in said, UNTOLD in said) == ((False, True) if low is None else (True, False))


def test_names_are_shown_and_never_obeyed(tmp_path, capsys):
    run = read_words(write_run(tmp_path / "run", name=HOSTILE, splits=("c",), seeds=(0, 1)))
    print_ending(run, Terminal(width=80), "runs/x/report/index.html")
    out = capsys.readouterr().out
    assert "\x1b" not in out and r"\x1b[31m" in words(out.split())
    assert out.rstrip().endswith("To be read in a browser: runs/x/report/index.html")
    assert max(map(len, out.split("\n"))) <= 80
