"""``kp compare``: runs beside each other, paired where samples are the same, refused where averages are not alike."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from kpcore.cli.app import outcome
from kpcore.draws import Clusters
from kpcore.errors import KpError
from kpcore.evidence.compare import Wanted, compare
from kpcore.evidence.verdicts import holm
from kpcore.records.results import DataInfo, ModeInfo, Results, Row, SplitInfo
from kpcore.records.values import RowValues, SplitValues, Values, write_values
from kpcore.terms import Composition

SAMPLES = 300
LEVELS = {"transfer": 0.8, "random": 0.7}


def split_values(name, levels, *, seeds=(0, 1), samples=SAMPLES, columns=("knee", "wrist"), labels=1.0, start=0):
    """Rows whose people are right with these probabilities; people alike are hard for all of them."""
    random = np.random.default_rng(0)
    hard = random.random((SAMPLES, len(columns)))[:samples]
    places = {column: (place,) for place, column in enumerate(columns)}
    rows = []
    for mode, level in levels.items():
        for seed in seeds:
            noise = np.random.default_rng(seed).random(hard.shape)
            right = np.where(0.7 * hard + 0.3 * noise < level, 100.0, 0.0)
            scores = np.append(right.mean(0), right.mean())
            rows.append(RowValues(mode, seed, scores, right, np.ones_like(right), labels=labels))
    return SplitValues(
        name, "MPII, list newell, part valid", "PCKh@0.5", True, Clusters("image", np.arange(samples)),
        np.arange(samples) + start, Composition(places, tuple(columns)), {}, places, rows,
    )  # fmt: skip


def write(folder, *splits, study="s", baseline="random", extra=(), convention="PCKh@0.5"):
    """A folder as ``kp run`` leaves it, as far as it is read."""
    folder.mkdir()
    modes = dict.fromkeys(row.mode for split in splits for row in split.rows)
    rows = [
        Row(split=split.name, mode=row.mode, seed=row.seed, labels=row.labels, status="done", convention=convention,
            columns=dict(zip(split.composition.columns, row.scores[:-1], strict=True)), average=row.scores[-1])
        for split in splits for row in split.rows
    ]  # fmt: skip
    results = Results(
        study=study, data=DataInfo(label="MPII", list="newell", people={"train": 1}, sample=False), baseline=baseline,
        splits=tuple(
            SplitInfo(name=one.name, steps=(("x",),), columns=tuple(one.composition.columns)) for one in splits
        ),
        modes=tuple(ModeInfo(name=name, summary=name) for name in modes), rows=(*rows, *extra),
    )  # fmt: skip
    (folder / "results.json").write_text(results.to_json())
    write_values(folder / "values.h5", Values(splits, {"kptransfer": "1", "torch": study}))
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two runs of one split; the second one's transfer is better and it has another seed besides."""
    first = write(tmp_path / "one", split_values("c", LEVELS), study="first")
    second = write(
        tmp_path / "two", split_values("c", {"transfer": 0.9, "random": 0.7}, seeds=(0, 1, 2)), study="second"
    )
    return first, second


def names(found):
    return [row.name for row in found.splits[0].rows]


def test_rows_of_the_same_samples_are_paired_with_intervals_holm_and_verdicts(runs):
    (found,) = compare(runs, resamples=300).splits
    assert found.baseline == "first:random" and not found.reason
    (table,) = found.tables
    assert [row.name for row in found.rows] == ["first:transfer", "first:random", "second:transfer", "second:random"]
    better, same = (table.difference(name, "average") for name in ("second:transfer", "second:random"))
    assert better.verdict == "positive" and better.seeds == (0, 1) and better.across.low > 0
    cells = [found.cell(name, "average") for name in ("second:transfer", "first:random")]
    assert cells[0].seeds == (0, 1, 2) and cells[1].seeds == (0, 1)
    assert (same.value, same.verdict, same.adjusted) == (0, "identical", 1)
    own = [one for one in table.differences if one.verdict != "identical"]
    adjusted = holm([one.p for one in own])
    assert [one.adjusted for one in own] == pytest.approx(adjusted, rel=1e-4) and len(adjusted) == table.counted == 6
    assert "torch first and second" in table.signature


def test_a_baseline_by_name_or_folder_and_only_some_modes(runs):
    (found,) = compare(runs, Wanted(baseline="second:transfer"), resamples=50).splits
    assert found.baseline == "second:transfer" and found.tables[0].difference("first:transfer", "average").value < 0
    assert compare(runs, Wanted(baseline=f"{runs[1]}:random"), resamples=50).splits[0].baseline == "second:random"
    found = compare(runs, Wanted(modes=("transfer",)), resamples=50)
    assert names(found) == ["first:transfer", "second:transfer"] and found.splits[0].baseline == "first:transfer"
    found = compare(runs, Wanted(modes=("transfer",), baseline="first:random"), resamples=50)
    assert names(found) == ["first:transfer", "first:random", "second:transfer"]


def test_a_mode_of_one_run_alone_as_rows_are_printed(runs):
    for name in ("second:transfer", f"{runs[1]}:transfer"):
        found = compare(runs, Wanted(modes=(name, "random")), resamples=20)
        assert names(found) == ["first:random", "second:transfer", "second:random"]


def test_a_copy_of_a_run_is_said_to_be_the_same_trainings(tmp_path, runs, capsys):
    old, new = runs[0] / "results.json", tmp_path / "copy"
    kept = json.loads(old.read_text())
    for place, row in enumerate(kept["rows"]):
        row["job"] = f"key{place}"
        job = {key: row[key] for key in ("split", "mode", "seed", "status")}
        kept["jobs"].append({**job, "key": row["job"], "name": f"job{place}", "step": 0})
    old.write_text(json.dumps(kept))
    shutil.copytree(runs[0], new)
    (found,) = compare([runs[0], new], resamples=50).splits
    assert (
        found.tables[0].counted == 3
        and "copy and one hold the same trainings, not trainings of other seeds" in found.notes
    )
    assert outcome(["compare", str(runs[0]), str(new)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Counted once: copy:transfer is the training of one:transfer; copy:random is the training of one:random."
        in said
    )


def test_two_runs_of_one_study_are_told_apart_by_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [write(tmp_path / name, split_values("c", LEVELS)) for name in ("old", "new")]
    assert [run.name for run in compare(paths, resamples=20).runs] == ["old", "new"]
    paths = [write(tmp_path / name / "s", split_values("c", LEVELS)) for name in ("a", "b")]
    assert [run.name for run in compare(paths, resamples=20).runs] == [str(path) for path in paths]


def test_other_samples_of_the_same_part_stand_beside_each_other_without_differences(tmp_path, runs):
    few = write(tmp_path / "few", split_values("c", LEVELS, samples=100), study="few")
    (found,) = compare([runs[0], few], resamples=100).splits
    assert found.baseline == "" and "first and few are scored on other samples (300 and 100)" in found.reason
    assert len(found.tables) == 2 and not any(table.differences for table in found.tables)
    assert all(found.cell(row.name, "average").interval for row in found.rows)
    assert "n 100" in found.tables[1].signature and "torch few" in found.tables[1].signature


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"samples": np.arange(SAMPLES) + 1}, "other samples (300 and 300)"),
        ({"clusters": Clusters("image", np.arange(SAMPLES) // 2)}, "which samples are of one image"),
    ],
)
def test_what_is_not_of_the_same_samples_is_not_paired(tmp_path, runs, change, text):
    other = write(tmp_path / "other", replace(split_values("c", LEVELS), **change), study="other")
    assert text in compare([runs[0], other], resamples=20).splits[0].reason


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (split_values("c", LEVELS, columns=("knee", "hip")),
         "columns (first: wrist, an average of knee, wrist; other: hip, an average of hip, knee)"),
        (replace(split_values("c", LEVELS), data="MPII, list tompson, part valid"),
         "people (first: MPII, list newell, part valid; other: MPII, list tompson, part valid)"),
        (replace(split_values("c", LEVELS), convention="PCK@0.2"), "convention (first: PCKh@0.5; other: PCK@0.2)"),
        (replace(split_values("c", LEVELS), composition=Composition({"knee": (0,), "wrist": (1,)}, ("knee",))),
         "columns (first: an average of knee, wrist; other: an average of knee)"),
        (replace(split_values("c", LEVELS), data="LSP", convention="PCK@0.2"), ") and in convention (first"),
    ],
)  # fmt: skip
def test_averages_of_different_kinds_are_refused_in_one_line(tmp_path, runs, values, text, capsys):
    average = values.composition.average
    rows = [replace(row, scores=np.append(row.scores[:-1], row.scores[0])) for row in values.rows]
    values = values if len(average) > 1 else replace(values, rows=rows)
    other = write(tmp_path / "other", values, study="other")
    assert outcome(["compare", str(runs[0]), str(other)]) == 2
    err = capsys.readouterr().err
    assert text in err and err.count("\n") == 1 and err.startswith("kp: error: split 'c': averages of different kinds")


def test_only_splits_in_common_are_compared_and_one_by_name(tmp_path, runs):
    both = write(tmp_path / "both", split_values("d", LEVELS), split_values("c", LEVELS), study="both")
    assert [one.split for one in compare([both, runs[0]], resamples=20).splits] == ["c"]
    again = write(tmp_path / "again", split_values("c", LEVELS, columns=("hip",)), split_values("d", LEVELS), study="x")
    assert [one.split for one in compare([both, again], Wanted(splits=("d",)), resamples=20).splits] == ["d"]
    only = write(tmp_path / "only", split_values("d", LEVELS), study="only")
    with pytest.raises(KpError, match="no split in common: first has c; only has d"):
        compare([runs[0], only])


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Wanted(splits=("cc",)), "--split, first: unknown split 'cc'; did you mean 'c'?"),
        (Wanted(modes=("tranfer",)), "--mode: unknown mode 'tranfer'; did you mean 'transfer'?"),
        (Wanted(modes=("second:tranfer",)), "--mode: unknown mode 'second:tranfer'; did you mean 'second:transfer'?"),
        (Wanted(baseline="first:rndom"), "--baseline: unknown row 'first:rndom'; did you mean 'first:random'?"),
    ],
)
def test_names_that_do_not_exist(runs, wanted, text):
    with pytest.raises(KpError) as error:
        compare(runs, wanted)
    assert text in str(error.value)


def test_folders_that_are_no_runs(runs, tmp_path, capsys):
    for words, text in (
        ([runs[0]], "one run has nothing to stand beside"),
        ([runs[0], runs[0]], "is there twice"),
        ([runs[0], tmp_path / "none"], "give the folder that 'kp run' wrote"),
    ):
        assert outcome(["compare", *map(str, words)]) == 2
        err = capsys.readouterr().err
        assert text in err and err.count("\n") == 1


def test_one_run_against_another_baseline(runs):
    (found,) = compare([runs[0]], Wanted(baseline="first:transfer"), resamples=200).splits
    assert found.tables[0].difference("first:random", "average").value == pytest.approx(
        -compare(runs, resamples=200).splits[0].tables[0].difference("first:transfer", "average").value
    )


def test_what_is_missing_is_said(tmp_path, runs):
    failed = Row(split="c", mode="random", seed=7, status="failed", reason="why")
    other = write(tmp_path / "other", split_values("c", LEVELS, seeds=(5,)), study="other", extra=(failed,))
    (found,) = compare([runs[0], other], resamples=20).splits
    assert "other, not done: c-random-7" in found.notes
    assert "other:transfer has no seed in common with first:random: no difference" in found.notes
    assert found.tables[0].difference("other:transfer", "average") is None


def test_of_several_shares_of_the_labels_the_largest_is_taken_and_said(tmp_path, runs):
    shares = [split_values("c", LEVELS, labels=labels) for labels in (0.1, 0.5)]
    other = write(tmp_path / "o", replace(shares[0], rows=[*shares[0].rows, *shares[1].rows]), study="o")
    found = compare([runs[0], other], resamples=20)
    assert names(found)[2:] == ["o:transfer, labels 0.5", "o:random, labels 0.5"]
    assert compare([runs[0], other], Wanted(baseline="o:random"), resamples=20).splits[0].baseline == names(found)[3]


def test_draws_that_were_kept_instead_of_terms_are_paired_too(tmp_path, runs):
    random = np.random.default_rng(0)
    base = split_values("c", LEVELS)
    drawn = replace(
        base, composition=Composition({"knee": (), "wrist": ()}, ("knee", "wrist")), groups={}, keypoints={}
    )
    paths = []
    for number, name in enumerate(("p", "q")):
        shared = np.random.default_rng(1).standard_normal((50, 3))
        rows = [RowValues(row.mode, row.seed, row.scores + number,
                          replicates=row.scores + number + shared + 0.01 * random.standard_normal((50, 3)))
                for row in base.rows]  # fmt: skip
        paths.append(write(tmp_path / name, replace(drawn, rows=rows), study=name))
    (found,) = compare(paths).splits
    one = found.tables[0].difference("q:random", "average")
    assert one.value == pytest.approx(1) and one.given.high - one.given.low < 0.1
    assert "keep their samples' values in different ways" in compare([runs[0], paths[0]]).splits[0].reason


def test_it_is_printed_with_names_that_no_terminal_obeys(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    paths = [write(tmp_path / name, split_values("c", LEVELS), study=study)
             for name, study in (("one", "[red]a[/red]"), ("two", "b\x1b[31m\nc"))]  # fmt: skip
    assert outcome(["compare", *map(str, paths)]) == 0
    out = capsys.readouterr().out
    shown = " ".join(out.split())
    assert "\x1b" not in out and "[red]a[/red]" in out and "\\x1b" in out
    assert "Split c: MPII, list newell, part valid; PCKh@0.5" in shown and "undecided" in shown
    assert "Intervals: 95%, over other samples and other seeds." in shown
    assert "Holm's correction over the table's 3 differences" in shown and "10,000 resamples" in shown
    assert max(map(len, out.splitlines())) <= 100


def test_json(runs, capsys):
    assert (
        outcome(["compare", *map(str, runs), "--json", "--mode=transfer", "--split=c", "--baseline=first:random"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1 and [run["name"] for run in found["runs"]] == ["first", "second"]
    (split,) = found["splits"]
    assert split["baseline"] == "first:random" and [row["mode"] for row in split["rows"]].count("random") == 1
    _, one = [one for one in split["tables"][0]["differences"] if one["column"] == "average"]
    assert one["mode"] == "second:transfer" and one["verdict"] == "positive"
    assert one["across"]["low"] < one["value"] < one["across"]["high"]


def test_without_a_difference_the_reason_is_printed(tmp_path, runs, capsys):
    few = write(tmp_path / "few", split_values("c", LEVELS, samples=100), study="few")
    assert outcome(["compare", str(runs[0]), str(few)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "No differences: first and few are scored on other samples (300 and 100)" in shown
    assert "vs " not in shown.split("No differences")[0]
