"""What is said of scores: the paper's own arithmetic, stored values, verdicts, convergence, a study's folder."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from kpcore.draws import Clusters
from kpcore.errors import KpError
from kpcore.evidence import study, write_evidence
from kpcore.evidence.convergence import convergence
from kpcore.evidence.counted import identical, same_columns
from kpcore.evidence.effective import Effective, without_verdict
from kpcore.evidence.estimate import Gain, Grain, judged
from kpcore.evidence.intervals import Spread, expanded_tail, percentile_error, percentile_limits
from kpcore.evidence.tables import table
from kpcore.evidence.verdicts import equivalent, holm, no_worse, p_value, samples_needed, seeds_needed
from kpcore.records.results import DataInfo, HistoryRecord, JobInfo, ModeInfo, Results, Row, SplitInfo
from kpcore.records.values import RowValues, SplitValues, Values, read_values, write_values
from kpcore.report.spans import remarks
from kpcore.terms import Composition

PAPER = {  # Tables 2-5 of Vats et al. 2019: columns, then transfer, frozen, random, each with its printed average
    "a": (("elbow", "wrist", "knee", "ankle"), (87.9, 84.2, 82.9, 80.6, 83.9), (74.7, 56, 72.7, 66.8, 67.5),
          (87.9, 83.9, 83.4, 80.5, 83.9)),
    "b": (("wrist", "knee", "ankle"), (84.1, 84.5, 81.5, 83.4), (69.7, 73.0, 62.6, 68.43), (83.6, 85, 81.6, 83.4)),
    "c": (("wrist", "hip", "ankle"), (84, 87.1, 80.1, 83.7), (71.2, 83.7, 69.9, 74.9), (82.9, 87.0, 79.7, 83.2)),
    "d": (("head", "elbow", "knee"), (96.8, 88.3, 84.4, 89.8), (91.1, 87.9, 82.9, 87.3), (97.1, 87.9, 83.3, 89.4)),
}  # fmt: skip
MODES = ("transfer", "frozen", "random")
PEOPLE = 1000


def split_values(name, columns, rows, *, clusters=None, higher=True, samples=PEOPLE):
    """Rows {(mode, seed): (N, T) right or wrong in percent} of a split whose columns are a term each."""
    places = {column: (place,) for place, column in enumerate(columns)}
    composition = Composition(places, tuple(columns))
    made = [
        RowValues(mode, seed, np.append(values.mean(0), values.mean()), values, np.ones_like(values))
        for (mode, seed), values in rows.items()
    ]
    of = np.arange(samples) if clusters is None else clusters
    return SplitValues(
        name, "MPII, part valid", "PCKh@0.5 kptransfer", higher, Clusters("image", of), np.arange(samples),
        composition, {}, places, made,
    )  # fmt: skip


def with_share(percent):
    """(N,) people of whom that share is right."""
    return np.where(np.arange(PEOPLE) < round(10 * percent), 100.0, 0.0)


def paper(name):
    columns, *figures = PAPER[name]
    rows = {(mode, 0): np.stack([with_share(value) for value in values[:-1]], 1)
            for mode, values in zip(MODES, figures, strict=True)}  # fmt: skip
    return table(split_values(name, columns, rows), split_values(name, columns, rows).rows, MODES, "random",
                 versions={}, resamples=200)  # fmt: skip


def test_the_paper_s_own_arithmetic():
    gaps = []
    for name, (columns, *figures) in PAPER.items():
        found = paper(name)
        for mode, values in zip(MODES, figures, strict=True):
            assert [found.cell(mode, column).value for column in columns] == pytest.approx(values[:-1])
            assert found.cell(mode, "average").value == pytest.approx(values[-1], abs=0.0501)
        gaps += [found.difference("transfer", column).value for column in columns]
    gaps = np.round(gaps, 6)
    assert len(gaps) == 13 and gaps.mean() == pytest.approx(0.20, abs=0.005)
    assert ((gaps > 0).sum(), (gaps < 0).sum(), (gaps == 0).sum()) == (8, 4, 1)


def test_frozen_weights_are_told_to_be_worse_by_joint_and_one_seed_is_said():
    found = paper("a")
    assert {one.verdict for one in found.differences if one.mode == "frozen"} == {"negative"}
    assert {one.scope for one in found.differences} == {"these trainings"}
    assert any(line.startswith("frozen is worse than random at wrist: −27.9 (") for line in found.warnings)
    assert all(cell.across is None and cell.given is not None for cell in found.cells)
    for part in ("PCKh@0.5 kptransfer", "MPII, part valid", "n 1,000", "1,000 images", "seed 0", "200 resamples"):
        assert part in found.signature


def noisy(random, percent, seeds, mode):
    hard = random.random((PEOPLE, 1))
    return {(mode, seed): np.where(0.7 * hard + 0.3 * random.random((PEOPLE, 1)) < percent / 100, 100.0, 0.0)
            for seed in range(seeds)}  # fmt: skip


@pytest.mark.parametrize(("higher", "expected"), [(True, "positive"), (False, "negative")])
def test_directions_and_seeds_that_both_have(higher, expected):
    random = np.random.default_rng(0)
    rows = {**noisy(random, 70, 3, "transfer"), **noisy(random, 40, 4, "random")}
    values = split_values("a", ("knee",), rows, higher=higher)
    found = table(values, values.rows, ("transfer", "random"), "random", versions={}, resamples=500)
    one = found.difference("transfer", "knee")
    assert one.seeds == (0, 1, 2) and one.scope == "across seeds" and one.verdict == expected
    assert one.across.low <= one.value <= one.across.high
    assert one.no_worse(0.0, higher_is_better=higher) == (expected == "positive")
    assert not one.equivalent(1.0) and one.equivalent(200.0)
    assert bool(found.warnings) == (expected == "negative")


def test_equal_predictions_are_identical_and_nothing_would_be_needed():
    rows = {(mode, seed): np.stack([with_share(60)], 1) for mode in MODES for seed in (0, 1)}
    values = split_values("a", ("knee",), rows)
    found = table(values, values.rows, MODES, "random", versions={}, resamples=100)
    assert all((one.verdict, one.p, one.needed) == ("identical", 1.0, None) for one in found.differences)
    assert found.counted == 0 and identical(found.differences) == {"transfer": [], "frozen": []}


def test_what_is_no_hypothesis_of_its_own_is_not_counted():
    random = np.random.default_rng(0)
    base, one = (np.where(random.random((PEOPLE, 2)) < share, 100.0, 0.0) for share in (0.70, 0.75))
    base[:, 0] = one[:, 0] = 100.0  # a root joint, at which nobody is wrong
    rows = {("transfer", 0): one, ("random", 0): base, ("again", 0): one.copy()}
    values = split_values("a", ("root", "knee"), rows)
    found = table(values, values.rows, ("transfer", "again", "random"), "random", versions={}, resamples=200)
    first, again = (found.difference(mode, "knee") for mode in ("transfer", "again"))
    assert {found.difference(mode, "root").verdict for mode in ("transfer", "again")} == {"identical"}
    assert found.counted == 2  # transfer's knee and average
    assert (again.same_as.mode, again.same_as.column, first.same_as) == ("transfer", "knee", None)
    assert again.adjusted == first.adjusted
    assert first.adjusted == pytest.approx(min(holm([first.p, found.difference("transfer", "average").p])), rel=1e-4)
    lines = list(remarks({mode: mode.upper() for mode in ("transfer", "again", "random")}, found, 1))
    assert "Counted once: AGAIN has the values of TRANSFER." in lines
    assert "Identical, sample by sample, to RANDOM, and not counted: TRANSFER at root; AGAIN at root." in lines
    assert any("the table's 2 differences." in line for line in lines)


def test_the_average_of_one_column_is_counted_once():
    random = np.random.default_rng(0)
    rows = {**noisy(random, 70, 2, "transfer"), **noisy(random, 60, 2, "random")}
    values = split_values("a", ("knee",), rows)
    found = table(values, values.rows, ("transfer", "random"), "random", versions={}, resamples=100)
    assert found.counted == 1 and same_columns(found.differences) == [("average", "knee")]


def test_three_images_decide_nothing():
    rows = {("transfer", 0): np.full((3, 1), 100.0), ("random", 0): np.zeros((3, 1))}
    values = split_values("a", ("knee",), rows, samples=3)
    (one, *_) = table(values, values.rows, ("transfer", "random"), "random", versions={}, resamples=100).differences
    assert one.value == 100 and one.p == 0.25 and one.verdict == "undecided"


def labelled_on(images, of=120):
    """One column of which a mode is right, and the other wrong, on so many images alone; and one on all images."""
    below = np.ones((of, 2))
    below[images:, 0] = 0
    halves = np.where(np.random.default_rng(0).random((2, of)) < 0.5, 100.0, 0.0)
    values = split_values("a", ("ankle", "knee"), {(mode, 0): np.zeros((of, 2)) for mode in MODES[::2]}, samples=of)
    rows = []
    for place, row in enumerate(values.rows):
        above = np.column_stack([100.0 * (place == 0) * below[:, 0], halves[place]])
        scores = values.composition.scores(above.sum(0) / below.sum(0))
        rows.append(replace(row, scores=scores, numerators=above, denominators=below))
    return replace(values, rows=rows)


@pytest.mark.parametrize("images", [4, 5, 40])
def test_a_column_is_worth_the_images_that_have_its_labels(images):
    values = labelled_on(images)
    found = table(values, values.rows, MODES[::2], "random", versions={}, resamples=500)
    one = found.difference("transfer", "ankle")
    assert one.clusters == images and one.p == pytest.approx(2.0 ** (1 - images), rel=1e-4)
    assert one.verdict == ("positive" if images == 40 else "undecided")
    assert found.notes == (() if images == 40 else (
        f"no verdict on ankle, average: its labels are on {images} images alone",))  # fmt: skip
    said = "\n".join(remarks({mode: mode for mode in MODES}, found, 1))
    assert (f"No verdict on ankle, average: its labels are on {images} images alone." in said) == (images < 40)
    assert found.difference("transfer", "knee").clusters == 120
    assert images < found.difference("transfer", "average").clusters < 1.1 * images + 20


def test_one_video_that_holds_most_is_said():
    of = np.concatenate([np.zeros(80, np.int64), np.arange(1, 21)])
    found = Effective.of(np.ones((100, 1)), Clusters("video", of), lambda ratios: ratios)
    assert found.numbers == pytest.approx([1 / (0.8**2 + 20 * 0.01**2)], abs=1e-6)
    assert list(without_verdict(["average"], [found])) == [
        "no verdict on average: one video holds 80% of its labels: 21 videos are worth 1.6 of equal size"
    ]
    even = Effective.of_samples(Clusters("image", np.arange(30)), 2)
    assert (*even.numbers, *even.reasons) == (30, 30, "", "")


def test_a_verdict_of_one_seed_never_stands_beside_an_interval_that_holds_nothing_different():
    told = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        rows = {(mode, 0): np.where(random.random((20, 1)) < share, 100.0, 0.0)
                for mode, share in (("transfer", 0.75), ("random", 0.35))}  # fmt: skip
        values = split_values("a", ("knee",), rows, samples=20)
        for one in table(values, values.rows, MODES[::2], "random", versions={}, resamples=200).differences:
            holds = one.interval.low <= 0 <= one.interval.high
            assert one.verdict == "undecided" or not holds
            assert one.p > 0.04 or not holds
            told += one.verdict == "positive"
    assert told > 4


def test_the_percentile_interval_s_p_value_is_where_it_reaches_nothing():
    draws = np.random.default_rng(0).normal(2.0, 1.0, 5000)
    p = percentile_error(draws, 30)
    low, _ = percentile_limits(draws, 30, 1 - p)
    assert low == pytest.approx(0, abs=0.01) and percentile_error(draws + 10, 30) == 0
    assert percentile_error(np.zeros(10), 30) == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_p_is_that_of_the_interval_that_just_reaches_nothing():
    spread = Spread(1.2, 3, 200, trainings=0.3, shared=0.05, own=0.1)
    p = p_value(spread)
    low, high = spread.t_limits(1 - p)
    assert low == pytest.approx(0, abs=1e-6) and high == pytest.approx(2.4, abs=1e-6)


def test_few_clusters_reach_further_out():
    assert expanded_tail(10**6) == pytest.approx(0.025, abs=1e-4)
    assert expanded_tail(10) < expanded_tail(40) < 0.025
    assert percentile_limits(np.where(np.arange(100) < 10, np.nan, 1.0), 50) is None


def test_what_is_needed_is_enough_and_one_less_is_not():
    spread = Spread(1.0, 3, 500, trainings=1.0, shared=0.04, own=0.2)
    seeds = int(seeds_needed(spread))
    assert 5 < seeds < 20
    more = replace(spread, seeds=seeds)
    assert p_value(more) < 0.05 <= p_value(spread)
    assert seeds_needed(replace(spread, shared=1.0)) == np.inf
    assert samples_needed(replace(spread, trainings=5.0)) == np.inf
    assert seeds_needed(replace(spread, seeds=1)) is None
    alone = Spread(1.0, 1, 500, trainings=0.0, shared=0.5, own=0.0)
    factor = samples_needed(alone)
    assert factor == pytest.approx(0.5 * (1.96 + 0.84) ** 2, rel=0.05)  # of the variance


def test_no_worse_and_equivalent_follow_the_one_sided_limit():
    spread = Spread(-0.2, 1, 10**6, trainings=0.0, shared=0.01, own=0.0)
    limit = 0.2 + 1.6449 * 0.1
    assert no_worse(spread, limit + 0.001, higher_is_better=True)
    assert not no_worse(spread, limit - 0.001, higher_is_better=True)
    assert equivalent(spread, limit + 0.001) and not equivalent(spread, limit - 0.001)


# values.h5


@pytest.fixture
def values(tmp_path):
    random = np.random.default_rng(1)
    rows = {**noisy(random, 70, 2, "transfer"), **noisy(random, 60, 2, "random")}
    stored = split_values("a/b: odd name", ("knee",), rows, clusters=np.arange(PEOPLE) // 2)
    drawn = [RowValues("random", 0, np.array([50.0, 50.0]), replicates=random.random((20, 2)), labels=0.05)]
    values = Values((stored, replace(stored, name="ap", rows=drawn)), {"torch": "2.9"})
    write_values(tmp_path / "values.h5", values)
    return tmp_path / "values.h5", values


def test_values_come_back_and_equal_ones_give_equal_bytes(values, tmp_path):
    path, written = values
    found = read_values(path)
    assert found.versions == {"torch": "2.9"} and [split.name for split in found.splits] == ["a/b: odd name", "ap"]
    for split, before in zip(found.splits, written.splits, strict=True):
        assert split.composition == before.composition and split.clusters.kind == "image"
        np.testing.assert_array_equal(split.clusters.of, before.clusters.of)
        for row, other in zip(split.rows, before.rows, strict=True):
            assert (row.mode, row.seed, row.labels) == (other.mode, other.seed, other.labels)
            for name in ("scores", "numerators", "denominators", "replicates"):
                np.testing.assert_array_equal(getattr(row, name), getattr(other, name))
    write_values(tmp_path / "again.h5", written)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def put(group, name, value):
    del group[name]
    group[name] = value


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda file: file.attrs.update(format="other"), "is not 'kptransfer values 1'"),
        (lambda file: file.__delitem__("0"), "no group '0' for split 'a/b: odd name'"),
        (lambda file: put(file, "about", np.frombuffer(b"{}", np.uint8)), "'about'"),
        (lambda file: put(file["0"], "clusters", np.zeros(3, np.int64)), "'/0/clusters' is"),
        (lambda file: put(file["0"], "clusters", np.full(PEOPLE, 7)), "counted from 0"),
        (lambda file: put(file["0"], "1-scores", np.zeros(3)), "'/0/1-scores' is (3,) float64, expected (2,)"),
        (lambda file: put(file["0"], "1-numerators", np.zeros((PEOPLE, 1)) + np.nan), "expected finite ones"),
        (lambda file: put(file["0"], "1-numerators", np.zeros((PEOPLE, 0))), "row 1 of split"),
        (lambda file: put(file["1"], "0-replicates", np.zeros((4, 3))), "expected (B, 2)"),
        (lambda file: file["0"].__delitem__("0-denominators"), "'/0/0-denominators' is missing"),
        (lambda file: put(file["0"], "0-numerators", h5py.ExternalLink("/etc/passwd", "/x")), "lies in another file"),
    ],
)
def test_values_that_are_not_what_they_say_are_one_line(values, spoil, text):
    path, _ = values
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(KpError) as error:
        read_values(path)
    assert str(path) in str(error.value) and text in str(error.value) and "\n" not in str(error.value)


def test_no_values_and_no_hdf5(tmp_path):
    with pytest.raises(KpError, match="'kp run' writes it"):
        read_values(tmp_path / "values.h5")
    (tmp_path / "values.h5").write_bytes(b"nothing")
    with pytest.raises(KpError, match="cannot be read"):
        read_values(tmp_path / "values.h5")


# Convergence


def results(rows, jobs):
    return Results(
        study="s", data=DataInfo(label="MPII", list="", people={"train": 1}, sample=False), baseline="random",
        splits=(SplitInfo(name="a", steps=(("x",),), columns=("knee",)),),
        modes=tuple(ModeInfo(name=name, summary=name) for name in ("transfer", "random")), jobs=jobs, rows=rows,
    )  # fmt: skip


def row(mode, seed, scored_epoch):
    return Row(split="a", mode=mode, seed=seed, columns={"knee": 50.0}, average=50.0, convention="c", status="done",
               job=f"{mode}{seed}", scored_epoch=scored_epoch, epochs=4)  # fmt: skip


def job(key, step, *sources):
    return JobInfo(key=key, name=key, split="a", mode="", seed=0, step=step, sources=sources, status="done")


def history(*scores):
    return [HistoryRecord(epoch=n, iterations=100 * n, loss=1.0, validation=v) for n, v in enumerate(scores, 1)]


def test_when_a_mode_is_there_what_it_cost_and_the_area_between():
    rows = (row("transfer", 0, 4), row("transfer", 1, 4), row("random", 0, 4), row("random", 1, 4))
    jobs = (job("s1", 0), *(job(f"transfer{n}", 1, "s1") for n in (0, 1)), *(job(f"random{n}", 1) for n in (0, 1)))
    curves = {
        "s1": history(10, 20, 30), "transfer0": history(40, 50, 60, 60), "transfer1": history(30, 45, 50, 55),
        "random0": history(10, 20, 40, 50), "random1": history(10, 20, 40, 50),
    }  # fmt: skip
    seconds = {key: [float(10 * n) for n in range(1, len(one) + 1)] for key, one in curves.items()}
    found = convergence(results(rows, jobs), curves, seconds)
    by = {(one.mode, one.share): one for one in found.reached}
    there = by["transfer", 0.9]
    assert there.target == 45 and there.reached == 2 and there.epochs.value == 2
    assert there.iterations.own.value == 200 and there.iterations.with_sources.value == 500
    assert there.iterations.amortised.value == 350  # two rows share the source
    assert there.seconds.with_sources.value == 50
    assert by["random", 0.9].iterations.own.value == by["random", 0.9].iterations.with_sources.value == 400
    # both seeds are read at one epoch's end: each time is known to within 100 iterations, and none is a point
    far = 12.7062 * np.sqrt((100**2 + 100**2) / 12 / 2)
    assert there.saved.value == 200 and there.saved.high - 200 == 200 - there.saved.low == pytest.approx(far, rel=1e-4)
    assert there.iterations.own.low == 100 and there.iterations.own.high > 200 and there.epochs.low == 1
    late = by["transfer", 1.0]  # epochs 2 and 3: two seeds say little, but nobody is there before an epoch has ended
    assert (late.epochs.value, late.epochs.low) == (2.5, 1) and late.epochs.high > 5
    assert (late.iterations.own.low, late.iterations.with_sources.low, late.iterations.amortised.low) == (100, 400, 250)
    (gap,) = found.gaps
    first, second = (30 + 30) / 2 + (30 + 20) / 2 + (20 + 10) / 2, (20 + 25) / 2 + (25 + 10) / 2 + (10 + 5) / 2
    assert gap.iterations.value == 300 and gap.area.value == pytest.approx(100 * (first + second) / 2)
    assert gap.mean.value == pytest.approx((first + second) / 2 / 3, abs=1e-4)


def test_what_all_seeds_read_at_one_epoch_has_an_interval_of_an_epoch_at_least():
    tied = Gain.of([0.0] * 8, grain=Grain(below=50.0, above=50.0))
    assert tied.low <= -50 and tied.high >= 50 and tied.p == 1
    far = Gain.of([200.0] * 8, grain=Grain(below=50.0, above=50.0))
    assert 0 < far.low <= 150 and far.high >= 250 and 0 < far.p < 0.01
    assert Gain.of([2.5, 2.5]) == Gain(value=2.5)  # to the last digit, of what is not read at steps
    spread = Gain.of([10.0, 400.0, 160.0])  # what seeds show is more than the grain
    assert spread == Gain.of([10.0, 400.0, 160.0], grain=Grain(10.0, 10.0)) and spread.low < -50


def test_convergence_verdicts_are_corrected_over_a_split_s_and_agree_with_their_intervals():
    gains = [Gain.of([mean - 3.0, mean, mean + 3.0]) for mean in (5.0, 9.0, 60.0)]
    found = judged([None, *gains, Gain.of([5.0])], higher_is_better=True)
    assert found[0] is None and (found[4].p, found[4].verdict) == (None, None)  # one seed
    assert [one.adjusted for one in found[1:4]] == pytest.approx(holm([one.p for one in gains]), rel=1e-4)
    assert [one.verdict for one in found[1:4]] == ["undecided", "undecided", "positive"]
    assert gains[1].low > 0 and gains[1].p < 0.05 < found[2].adjusted  # told alone, not of three
    assert Gain.of([1.0, 2.0]).judged(0.01, higher_is_better=False).verdict == "negative"


def test_who_never_gets_there_has_no_cost():
    rows = (row("transfer", 0, 1), row("random", 0, 1))
    found = convergence(results(rows, (job("transfer0", 0), job("random0", 0))),
                        {"transfer0": history(1, 2), "random0": history(50, 40)}, {})  # fmt: skip
    one = next(one for one in found.reached if one.mode == "transfer")
    assert (one.reached, one.epochs, one.iterations, one.seconds, one.saved) == (0, None, None, None, None)
    assert convergence(results(rows, (job("transfer0", 0), job("random0", 0))), {}, {}) is None


# A study's folder


@pytest.fixture
def folder(tmp_path):
    columns, *figures = PAPER["c"]
    rows = {(mode, 0): np.stack([with_share(value) for value in values[:-1]], 1)
            for mode, values in zip(MODES, figures, strict=True)}  # fmt: skip
    stored = split_values("a", columns, rows)
    write_values(tmp_path / "values.h5", Values((stored,), {"kptransfer": "0", "torch": "2.9"}))
    lines = [
        Row(split="a", mode=one.mode, seed=0, columns=dict(zip(columns, one.scores[:-1], strict=True)),
            average=one.scores[-1], convention="PCKh@0.5 kptransfer", status="done", job=one.mode, scored_epoch=1)
        for one in stored.rows if one.mode != "frozen"
    ]  # fmt: skip
    frozen = Row(split="a", mode="frozen", seed=0, status="failed", reason="why")
    made = results((*lines,), (job("transfer", 0), job("random", 0)))
    made = made.model_copy(update={"modes": tuple(ModeInfo(name=name, summary=name) for name in MODES)})
    (tmp_path / "results.json").write_text(made.model_copy(update={"rows": (*lines, frozen)}).to_json())
    (tmp_path / "jobs" / "random").mkdir(parents=True)
    return tmp_path, stored


def test_values_of_a_row_that_the_results_do_not_have_are_another_run_s(folder):
    path, stored = folder
    with pytest.raises(KpError, match=r"split 'a', mode 'frozen', seed 0 is not what results\.json says"):
        study(path, resamples=50)
    kept = [one for one in stored.rows if one.mode != "frozen"]
    write_values(path / "values.h5", Values((replace(stored, rows=kept),)))
    assert study(path, resamples=50).table("a").cells
    shifted = [replace(one, scores=one.scores + 0.01) for one in kept]
    write_values(path / "values.h5", Values((replace(stored, rows=shifted),)))
    with pytest.raises(KpError, match="'kp run' writes both again"):
        study(path, resamples=50)


def test_evidence_is_written_the_same_twice_and_says_what_is_not_known(folder):
    path, stored = folder
    write_values(path / "values.h5", Values((replace(stored, rows=[stored.rows[0]]),), {"torch": "2.9"}))
    found = study(path, resamples=50)
    first = write_evidence(found, path).read_bytes()
    assert write_evidence(study(path, resamples=50), path).read_bytes() == first and b"seconds" not in first
    assert "no intervals for a-random-0: nothing is known of their samples" in found.notes
    assert any(note.startswith("one seed:") for note in found.notes)
    assert str(path).encode() not in first


def test_what_is_not_done_for_a_share_of_the_labels_is_called_as_everywhere(folder):
    path, _ = folder
    text = (path / "results.json").read_text().replace('"labels": 1.0', '"labels": 0.1')
    (path / "results.json").write_text(text)
    write_values(path / "values.h5", Values(()))
    (note, *_) = study(path, resamples=50).notes
    assert note.startswith("no intervals for a-transfer-labels0.1-0, a-random-labels0.1-0:")


# Scores that cannot be


def with_two_seeds(first, second):
    rows = {("random", 0): first[:, None], ("random", 1): second[:, None]}
    return split_values("a", ("knee",), rows, samples=len(first))


def cell_of(values):
    return table(values, values.rows, ("random",), "", versions={}, resamples=200).cell("random", "knee")


def test_a_percentage_s_interval_stays_within_0_and_100():
    few, none = np.where(np.arange(200) < 3, 100.0, 0.0), np.zeros(200)
    low = cell_of(with_two_seeds(few, none))
    assert low.across.low == 0 and low.across.high > low.value
    high = cell_of(with_two_seeds(100 - few, 100 - none))
    assert high.across.high == 100 and high.across.low < high.value
    assert high.given.high <= 100 and low.given.low >= 0


def test_what_may_be_negative_or_beyond_100_is_not_cut():
    few, none = np.where(np.arange(200) < 3, 100.0, 0.0), np.zeros(200)
    signed = few.copy()
    signed[-1] = -1.0
    assert cell_of(with_two_seeds(signed, none)).across.low < 0
    beyond = 100 - few
    beyond[-1] = 101.0
    assert cell_of(with_two_seeds(beyond, 100 - none)).across.high > 100
    errors = replace(with_two_seeds(100 - few, 100 - none), higher_is_better=False)
    assert cell_of(errors).across.high > 100  # an error may be larger than 100
    assert cell_of(replace(with_two_seeds(few, none), higher_is_better=False)).across.low == 0


def test_a_difference_s_interval_is_not_cut():
    few, none = np.where(np.arange(200) < 3, 100.0, 0.0)[:, None], np.zeros((200, 1))
    rows = {("random", 0): none, ("random", 1): none, ("transfer", 0): few, ("transfer", 1): none}
    values = split_values("a", ("knee",), rows, samples=200)
    found = table(values, values.rows, ("transfer", "random"), "random", versions={}, resamples=200)
    assert found.difference("transfer", "knee").across.low < 0
