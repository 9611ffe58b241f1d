"""A table's text, cell by cell and note by note, from results made by hand."""

import pytest

from kpcore.records.results import DataInfo, JobInfo, ModeInfo, Results, Retained, Row, SplitInfo
from kpcore.report.grid import grid, grids

SPLIT = SplitInfo(name="a", steps=(("hip",), ("elbow", "wrist")), columns=("elbow", "wrist"))
LABELS = {"transfer": "Transfer learning", "random": "Random initialization"}


def row(mode, seed, elbow, wrist, *, split="a", status="done", **more):
    place = {"split": split, "mode": mode, "seed": seed, "job": f"{split}-{mode}-{seed}", "status": status}
    if status != "done":
        return Row(**place, **more)
    scores = {"columns": {"elbow": elbow, "wrist": wrist}, "average": (elbow + wrist) / 2}
    return Row(**{**place, **scores, "convention": "PCK", "epochs": 1, "best_epoch": 1, "iterations": 1, **more})


def results(*rows, modes=("transfer", "random"), baseline=None, splits=(SPLIT,), preset="own", **changes):
    if baseline is None:
        baseline = "random" if "random" in modes else ""
    jobs = tuple(
        JobInfo(key=one.job, name=one.job, split=one.split, mode=one.mode, seed=one.seed, step=1, status=one.status)
        for one in rows
    )
    data = DataInfo(label="MPII", list="newell", people={"train": 1200, "valid": 6}, sample=False)
    return Results(
        **{
            "study": "by_hand", "preset": preset, "data": data, "validation_convention": "PCK", "splits": splits,
            "modes": tuple(ModeInfo(name=mode, summary=LABELS.get(mode, mode)) for mode in modes), "jobs": jobs,
            "rows": rows, "baseline": baseline, **changes,
        }
    )  # fmt: skip


TWO_SEEDS = (
    row("transfer", 0, 80.0, 60.0), row("transfer", 1, 82.0, 64.0), row("random", 0, 70.0, 61.0),
    row("random", 1, 71.0, 61.0),
)  # fmt: skip


def cells(table, place):
    return dict(zip(table.header, table.rows[place], strict=True))


def test_a_table_names_data_people_convention_and_preset():
    (table,) = grids(results(*TWO_SEEDS))
    assert table.title == "Split a: MPII; list newell; samples: 1,200 train, 6 valid; PCK; preset own"
    assert table.sets == ("S1: hip", "S2: elbow, wrist")
    assert table.scores == 3
    pending = grid(results(row("random", 0, 0, 0, status="pending"), modes=("random",)), SPLIT)
    assert "; nothing scored yet; " in pending.title


def test_a_row_has_means_spreads_differences_and_seeds():
    table = grid(results(*TWO_SEEDS), SPLIT)
    assert cells(table, 0) == {
        "Mode": "Transfer learning", "elbow": "81.0 ± 1.4", "wrist": "62.0 ± 2.8", "Average": "71.5 ± 2.1",
        "vs random": "+5.8", "Seeds": "2",
    }  # fmt: skip
    assert cells(table, 1)["vs random"] == "–"
    assert table.notes == (
        "Mean ± sample standard deviation over seeds.",
        "vs random: difference of the averages over the seeds that both modes have; it comes without an interval and"
        " shows no effect by itself.",
    )


@pytest.mark.parametrize(
    ("modes", "baseline", "compared"),
    [
        (("transfer", "random"), "random", ["vs random"]),
        (("transfer", "frozen", "random"), "frozen", ["vs frozen"]),
        (("random",), "random", []),
        (("transfer", "random"), "", []),
    ],
)
def test_others_are_compared_with_the_baseline_of_the_study_where_there_is_one(modes, baseline, compared):
    rows = [row(mode, 0, 50.0 + place, 60.0) for place, mode in enumerate(modes)]
    table = grid(results(*rows, modes=modes, baseline=baseline), SPLIT)
    assert [name for name in table.header if name.startswith("vs ")] == compared
    assert [note.partition(":")[0] for note in table.notes if note.startswith("vs ")] == compared
    for place, mode in enumerate(modes):
        gap = (place - modes.index(baseline)) / 2 if mode != baseline and compared else 0.0
        assert not compared or cells(table, place)[compared[0]] == (
            "–" if mode == baseline else f"{gap:+.1f}".replace("-", "−")
        )


def test_one_seed_is_said_to_decide_nothing_and_what_is_undone_is_named():
    made = results(
        row("transfer", 0, 80.0, 60.0),
        row("transfer", 1, 0, 0, status="failed", reason="the loss is nan"),
        row("random", 0, 0, 0, status="pending"),
    )
    table = grid(made, SPLIT)
    assert cells(table, 0)["Seeds"] == "1, 1 failed"
    assert cells(table, 1)["Seeds"] == "0, 1 pending"
    assert cells(table, 0)["Average"] == "70.0"
    assert cells(table, 1)["Average"] == "–"
    assert "vs random" not in table.header, "no row has that difference"
    assert table.notes == (
        "1 seed: no spread; one seed decides nothing.",
        "Transfer learning, seed 1: failed: the loss is nan",
        "Random initialization, seed 0: pending",
    )


def test_errors_have_two_decimals_and_say_that_lower_is_better():
    table = grid(results(*TWO_SEEDS, higher_is_better=False), SPLIT)
    assert cells(table, 0)["elbow"] == "81.00 ± 1.41"
    assert cells(table, 0)["vs random"] == "+5.75"
    assert "; PCK (lower is better); " in table.title


def test_the_mean_shape_is_the_last_row_where_it_was_scored():
    shaped = SPLIT.model_copy(update={"mean_shape": {"elbow": 12.34, "average": 10.0}})
    table = grid(results(*TWO_SEEDS, splits=(shaped,)), shaped)
    assert table.rows[-1] == ("Mean shape", "12.3", "–", "10.0", "–", "–")
    assert len(table.rows) == 3
    assert len(grid(results(*TWO_SEEDS), SPLIT).rows) == 2


@pytest.mark.parametrize(
    ("higher_is_better", "shape", "marked"),
    [(True, 71.4, []), (True, 71.6, ["Transfer learning"]), (False, 71.4, ["Transfer learning"]), (False, 71.6, [])],
)
def test_a_row_that_the_mean_shape_beats_is_marked_and_explained(higher_is_better, shape, marked):
    shaped = SPLIT.model_copy(update={"mean_shape": {"average": shape}})
    made = results(*TWO_SEEDS[:2], modes=("transfer",), splits=(shaped,), higher_is_better=higher_is_better)
    table = grid(made, shaped)
    assert [row[0].removesuffix(" †") for row in table.rows if row[0].endswith(" †")] == marked
    assert [note for note in table.notes if note.startswith("† ")] == (
        ["† worse than the mean shape, which looks at no picture."] if marked else []
    )


def test_the_average_is_called_what_the_metric_calls_it():
    table = grid(results(*TWO_SEEDS, average_name="AP"), SPLIT)
    assert cells(table, 0)["AP"] == "71.5 ± 2.1"
    assert "Average" not in table.header
    split = SPLIT.model_copy(update={"columns": ("AP",)})
    own = Row(
        split="a", mode="random", seed=0, columns={"AP": 3.0}, average=4.0, convention="c", status="done",
        job="a-random-0",
    )  # fmt: skip
    table = grid(results(own, modes=("random",), splits=(split,), average_name="AP"), split)
    assert (cells(table, 0)["AP"], cells(table, 0)["AP (all)"]) == ("3.0", "4.0")


def test_a_column_without_any_figure_is_left_out_and_named():
    rows = [row("random", 0, 0, 0).model_copy(update={"columns": {"elbow": 50.0, "wrist": None}, "average": 50.0})]
    shaped = SPLIT.model_copy(update={"mean_shape": {"elbow": 12.0, "average": 12.0}})
    table = grid(results(*rows, modes=("random",), splits=(shaped,)), shaped)
    assert table.header == ("Mode", "elbow", "Average", "Seeds")
    assert table.rows == (("Random initialization", "50.0", "50.0", "1"), ("Mean shape", "12.0", "12.0", "–"))
    assert table.scores == 2
    assert "No figures: wrist." in table.notes


def kept(average, before, normaliser="", step=0):
    return Retained(
        step=step, normaliser=normaliser, keypoints=("hip",), columns={"hip": average}, average=average, before=before
    )


@pytest.mark.parametrize(
    ("retained", "told"),
    [
        ([kept(70.0, 75.0)], "on S1: 70.0; the network trained on it alone 75.0."),
        ([kept(70.0, None)], "on S1: 70.0."),
        ([kept(70.0, None, "box")], "on S1 (its own data, normaliser: box): 70.0."),
        ([kept(70.0, 75.0, "box")], "on S1 (its own data, normaliser: box): 70.0; the network trained on it alone 75."),
        ([kept(70.0, 75.0, step=1)], "on S2: 70.0; the network trained on it alone 75.0."),
    ],
)
def test_what_is_still_predicted_of_earlier_steps_is_noted(retained, told):
    table = grid(results(row("transfer", 0, 80.0, 60.0, retained=retained), modes=("transfer",)), SPLIT)
    assert table.notes[0].startswith(f"Transfer learning, {told}")
    assert len(table.notes) == 2


def test_what_is_still_predicted_is_summarised_over_seeds_a_mode_and_step():
    rows = [
        row("transfer", seed, 80.0, 60.0, retained=[kept(70.0 + 2 * seed, 75.0), kept(50.0, None, step=1)])
        for seed in (0, 1)
    ]
    other = row("random", 0, 80.0, 60.0, retained=[kept(30.0, None)])
    notes = grid(results(*rows, other), SPLIT).notes
    assert notes[:3] == (
        "Transfer learning, on S1: 71.0 ± 1.4; the network trained on it alone 75.0 ± 0.0.",
        "Transfer learning, on S2: 50.0 ± 0.0.",
        "Random initialization, on S1: 30.0.",
    )


def test_sets_say_where_they_are_from_and_what_meets_no_partner():
    split = SPLIT.model_copy(
        update={
            "datasets": ("sports", ""), "extra": ("neck",), "missing": ("upper_neck", "chin"), "overlap": ("wrist",),
            "unused": ("toe",),
        }
    )  # fmt: skip
    assert grid(results(*TWO_SEEDS, splits=(split,)), split).sets == (
        "S1 (from sports): hip",
        "S2 (from own data): elbow, wrist",
        "Unknown to the last data set: neck",
        "Unknown to the earlier data sets: upper_neck, chin",
        "In both: wrist",
        "Unused: toe",
    )


PUBLISHED = SPLIT.model_copy(
    update={"not_compared": "", "reference": {"transfer": {"elbow": 80.0, "wrist": 63.0, "average": 71.5}}}
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"preset": "mine"}, ""),
        ({"preset": "paper", "splits": (PUBLISHED.model_copy(update={"not_compared": "9 people"}),)}, "9 people"),
        ({"preset": "paper", "data": DataInfo(label="M", list="", people={}, sample=True)}, "sample data"),
    ],
)
def test_published_figures_are_compared_where_they_can_be(changes, reason):
    (table,) = grids(results(*TWO_SEEDS, **{"splits": (PUBLISHED,), **changes}))
    if reason:
        assert not {"Paper avg", "vs paper"} & set(table.header)
    else:
        assert (cells(table, 0)["Paper avg"], cells(table, 0)["vs paper"]) == ("71.5", "0.0")
        assert cells(table, 1)["Paper avg"] == cells(table, 1)["vs paper"] == "–"
    assert [note for note in table.notes if "Paper" in note] == (
        [f"Paper's figures: not comparable: {reason}."] if reason else []
    )


def test_a_known_leak_stands_below_the_table():
    data = DataInfo(label="MPII", list="newell", people={"train": 1200, "valid": 6}, sample=False, leaked=3)
    line = "MPII: 3 training samples are of images that are also scored, the same or nearly, or of one video"
    assert any(note.startswith(line) for note in grid(results(*TWO_SEEDS, data=data), SPLIT).notes)
    assert not any("also scored" in note for note in grid(results(*TWO_SEEDS), SPLIT).notes)


def test_a_row_of_fewer_labels_that_failed_says_why_below_its_table():
    rows = (
        *(one for one in TWO_SEEDS if one.title != "a-transfer-1"),
        *(row(mode, 0, 50.0, 50.0, labels=0.1, images=120, job=f"{mode}-tenth") for mode in ("transfer", "random")),
        row("transfer", 1, 0, 0, status="failed", reason="no memory", labels=0.1),
    )
    whole, shares = grids(results(*rows))
    assert "Transfer learning, 10% of the labels, seed 1: failed: no memory" in shares.notes
    assert not any("no memory" in note for note in whole.notes)


def of_depth(convention, scale):
    scores = {"elbow": 300.0 * scale, "wrist": 310.0 * scale, "in plane": 200.0 * scale}
    one = row("random", 0, 0, 0, convention=convention, columns=scores, average=305.0 * scale)
    return results(one, higher_is_better=False, average_name="MPJPE", legend="in plane: the length in x and y")


@pytest.mark.parametrize(
    ("convention", "scale", "text"),
    [("MPJPE (mm)", 1, "305.0"), ("MPJPE (mm)", 0.01, "3.05"), ("nme (percent)", 1, "305.00"), ("err", 1, "305.00")],
)
def test_lengths_have_as_many_decimals_as_their_size_is_worth(convention, scale, text):
    (line, *_) = grid(of_depth(convention, scale), SPLIT).rows
    assert text in line


def test_what_the_average_is_made_of_and_what_the_metric_s_own_columns_are():
    note = "MPJPE is made of the keypoints of elbow, wrist, not of in plane (in plane: the length in x and y)."
    assert note in grid(of_depth("MPJPE (mm)", 1), SPLIT).notes
    assert not any("is made of" in line for line in grid(results(*TWO_SEEDS), SPLIT).notes)
