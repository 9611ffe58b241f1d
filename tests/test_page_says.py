"""What the page says: what is asked of which mode, in which unit, from whose files, and how modes are told apart."""

import json
import math
import re
import shutil
from dataclasses import replace

import pytest
from finished_run import write_run
from matplotlib.markers import MarkerStyle

from kpcore.evidence.estimate import Gain
from kpcore.records.results import ModeInfo
from kpcore.registry import registry
from kpcore.report.curves import STYLES
from kpcore.report.page.cells import not_beside
from kpcore.report.page.folder import read_run
from kpcore.report.page.headline import headline
from kpcore.report.page.how import duration
from kpcore.report.page.look import MARKERS, mark, style
from kpcore.report.page.pace import gaps
from kpcore.report.page.page import HERE
from kpcore.report.page.pictures import albums
from kpcore.report.page.plans import beside
from kpcore.report.page.within import threshold_curves
from kpcore.report.page.words import questions
from kpcore.report.summary import Estimate, as_sentence


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study of one split and two seeds. Read it only."""
    return write_run(tmp_path_factory.mktemp("says") / "run", splits=("c",), seeds=(0, 1))


@pytest.fixture(scope="module")
def run(study):
    return read_run(study)


@pytest.fixture
def folder(study, tmp_path):
    return shutil.copytree(study, tmp_path / "run")


@pytest.mark.parametrize("values", [[1e308] * 4, [1.7e308, -1.7e308], [1e308, 1e300]])
def test_the_mean_of_vast_figures_is_finite(values):
    found = Estimate.of(values)
    assert found.mean is not None and math.isfinite(found.mean) and found.spread is not None
    assert found.mean == pytest.approx(sum(value / len(values) for value in values))


# Whose files they are


def test_files_of_another_study_are_left_out_and_named(run, folder, tmp_path):
    assert run.missing == () and run.slices
    other = write_run(tmp_path / "other", splits=("c",), seeds=(0,))
    shutil.copy(other / "report/slices.h5", folder / "report/slices.h5")
    known = run.evidence
    run = read_run(folder, known)
    assert run.shown is not None and not run.slices
    assert run.missing == ("report/slices.h5: was made with other results than shown.json; 'kp run' writes both again",)
    shutil.copy(other / "report/shown.json", folder / "report/shown.json")
    run = read_run(folder, known)
    assert run.shown is None and not run.slices
    assert "report/shown.json: was made with other results than results.json" in run.missing[0]


def test_a_missing_file_of_parts_is_named(run, folder):
    (folder / "report/slices.h5").unlink()
    assert read_run(folder, run.evidence).missing == ("report/slices.h5: no such file; 'kp run' writes it",)


@pytest.mark.parametrize(("split", "shown"), [("c", True), ("x", False)])
def test_a_file_of_an_older_version_is_said_to_be_so_and_shown_where_it_can_be_of_these(run, folder, split, shown):
    path = folder / "report/shown.json"
    old = json.loads(path.read_text())
    for key in ("results", "slices", "value_unit"):
        del old[key]
    old["splits"][0]["name"] = split
    path.write_text(json.dumps(old))
    run = read_run(folder, run.evidence)
    assert (run.shown is not None) is shown and bool(run.slices) is shown
    assert ("older version" if shown else "other results") in run.missing[0]


# What is asked and answered


def test_controls_are_not_asked_whether_what_they_learned_helps(run):
    modes = {"transfer": {"strategy": "random", "matches": "frozen"}}
    (asked,) = questions(replace(run, settings={"modes": modes}))
    (transfer, first), (controls, second) = asked.asked
    assert transfer.startswith("Does a network that learned S1") and controls.startswith(
        "Do the controls, which do not"
    )
    assert [(one.mode, one.word) for one in first] == [("Mode frozen", "Undecided")]
    assert [(one.mode, one.word) for one in second] == [("Mode transfer", "Better")]


@pytest.mark.parametrize(
    ("own", "carries"),
    [({}, True), ({"source": "s1"}, True), ({"source": "s2"}, False), ({"source": "permuted"}, False),
     ({"matches": "transfer"}, False)],
)  # fmt: skip
def test_what_a_study_file_says_of_a_mode_decides(run, own, carries):
    assert replace(run, settings={"modes": {"transfer": own}}).carries("transfer") is carries


def test_a_mode_that_builds_on_no_training_where_others_do_is_a_control(run):
    jobs = tuple(
        job.model_copy(update={"sources": ("s1",) if job.mode == "transfer" else ()}) for job in run.results.jobs
    )
    run = replace(run, results=run.results.model_copy(update={"jobs": jobs}))
    assert [run.carries(mode) for mode in ("transfer", "frozen")] == [True, False]


def test_the_first_line_answers_for_all_splits(run):
    (split,), (table,) = run.splits, run.evidence.tables
    first, second = (
        one.model_copy(update={"value": value})
        for one, value in zip([one for one in table.differences if one.column == "average"], (4.8, -2.2), strict=True)
    )
    others = [table.model_copy(update={"split": "d", "differences": (first, second)})]
    results = run.results.model_copy(update={"splits": (split, split.model_copy(update={"name": "d"}))})
    both = replace(run, results=results, evidence=run.evidence.model_copy(update={"tables": (table, *others)}))
    low, high = sorted([4.8, table.difference("transfer", "average").value])
    (line,) = headline(both)
    assert line.startswith(
        "2 of 4 differences decided (2 better). Mode transfer: ahead of Mode random in both splits, by"
        f" {low:.1f} to {high:.1f} points. Mode frozen: behind Mode random in both splits, by 2.2 to "
    )
    assert " in " not in headline(run)[0].partition(". ")[2]
    assert headline(replace(run, evidence=None)) == []


def test_a_distance_on_average_has_one_sign_with_its_interval(run):
    mean = Gain(value=-10.5, low=-27.3, high=6.3)
    known = run.evidence.convergence
    gap = known.gaps[0].model_copy(update={"mean": mean})
    evidence = run.evidence.model_copy(update={"convergence": known.model_copy(update={"gaps": (gap,)})})
    (line,) = gaps(replace(run, evidence=evidence), run.splits[0])
    assert line == "Mode transfer minus “Mode random” is −10.5 (95% −27.3 to +6.3) on average over training."


def test_durations_beside_each_other_have_one_unit():
    assert [duration(value, 7560.0) for value in (7560.0, 5190.0, 60.0, 0.0)] == ["2.1 h", "1.4 h", "0.017 h", "0.0 h"]
    assert duration(45.0, 45.0) == "45 s" and duration(90.0, 720.0) == "1.5 min"


def test_why_the_papers_figures_are_not_there_is_said_once(run, tmp_path):
    folder = write_run(tmp_path / "run", splits=("c", "d"), seeds=(0,))
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(text.replace('"not_compared": ""', '"not_compared": "other people"'))
    assert list(not_beside(read_run(folder, run.evidence))) == [
        "The paper's figures are not beside these: not comparable, other people."
    ]
    (folder / "results.json").write_text(text.replace('"not_compared": ""', '"not_compared": "other people"', 1))
    assert "beside those of split c:" in next(not_beside(read_run(folder, run.evidence)))


# Units


def test_thresholds_and_pictures_have_the_unit_of_a_points_value(run):
    ((_, panel),) = threshold_curves(run)
    assert panel.figure.axes[0].get_xlabel() == "error of at most, in head sizes"
    (album,) = albums(run)
    assert album.lower and album.pictures[0].views[0].value == "0.2 head sizes"
    old = replace(run, shown=run.shown.model_copy(update={"value_unit": ""}))
    ((_, panel),) = threshold_curves(old)
    assert panel.figure.axes[0].get_xlabel() == "error of at most, in the unit of a point's value"


@pytest.mark.parametrize(
    ("name", "options", "unit"),
    [("pckh", {}, "head sizes"), ("pck", {}, "crop sides"), ("mpjpe", {}, "mm"),
     ("nme", {"normaliser": "inter_ocular"}, "inter-ocular distances")],
)  # fmt: skip
def test_metrics_say_what_a_value_is_counted_in(name, options, unit):
    assert registry().build("metric", name, options, where="test").value_unit == unit


# Names and looks


def test_fourteen_modes_look_different_and_can_be_hollow():
    looks = [(mark(place)["color"], str(style(place)["linestyle"]), mark(place)["marker"]) for place in range(14)]
    assert len(set(looks)) == 14 and len({(colour, marker) for colour, _, marker in looks}) == 14
    assert len({(colour, dash) for colour, dash, _ in looks}) == 14
    assert all(marker in MarkerStyle.filled_markers for _, _, marker in looks)


def test_legends_know_every_marker():
    source = (HERE / "index.html.j2").read_text()
    (shapes,) = re.findall(r"set shapes = \[(.*?)\] %", source)
    assert len(re.findall(r"'<(?:circle|rect|path) ", shapes)) == len(MARKERS)
    assert source.count(f"marker(place % {len(MARKERS)})") == 1 and "place % 4" in source and len(STYLES) == 4


def test_a_name_that_a_note_begins_with_keeps_its_letters(run):
    results = run.results
    named = results.model_copy(update={"modes": (ModeInfo(name="transfer", summary="a_mode"), *results.modes[1:])})
    assert as_sentence("a_mode does not score better", named) == "a_mode does not score better."
    assert as_sentence("scores as: straight", named) == "Scores as: straight."


def test_what_a_head_is_supervised_on_is_not_shortened():
    assert beside("S1 + S2") == ["loss on", "S1 + S2"]
    assert beside("S2") == ["loss on S2"] and beside("") == ["no loss"]
