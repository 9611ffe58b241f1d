"""The figure of curves: no text is cut off or covers another, and notes say what is averaged and what differs."""

import base64
import io
import re
from itertools import combinations

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from kpcore.evaluation.averaged import averaged
from kpcore.interfaces import Metric, Scores
from kpcore.keypoints import default_columns
from kpcore.records.results import DataInfo, HistoryRecord, JobInfo, ModeInfo, Results, Row, SplitInfo
from kpcore.report.curves import COLOURS, SHAPE_COLOUR, curves_csv, curves_figure, curves_png, rendered
from kpcore.report.layout import MEAN_SHAPE, axis_name, labels
from kpcore.report.lettering import Font, width, wrapped
from kpcore.report.notes import footnotes
from kpcore.samples import Instances
from kpcore.tensors import UNLABELLED

FONT = Font(8)


def make(validation, average, *, splits=1, scored=None, **changes):
    """A study of one seed: mode -> validation of epochs 1, 2, ... (the highest is scored), and its final average."""
    names = [f"s{number}" for number in range(splits)]
    rows, jobs, histories = [], [], {}
    for split in names:
        for mode, values in validation.items():
            key = f"{split}-{mode}"
            jobs.append(JobInfo(key=key, name=key, split=split, mode=mode, seed=0, step=1, status="done"))
            best = int(np.argmax(values)) + 1
            rows.append(
                Row(
                    split=split, mode=mode, seed=0, columns={"c": average[mode]}, average=average[mode],
                    convention="final",
                    epochs=len(values), best_epoch=best, scored_epoch=scored or best,
                    iterations=1, job=key, status="done",
                )
            )  # fmt: skip
            histories[key] = [
                HistoryRecord(epoch=epoch, iterations=epoch, loss=1.0, validation=value)
                for epoch, value in enumerate(values, 1)
            ]
    fields = {
        "study": "study", "data": DataInfo(label="data", list="", people={"train": 3}, sample=False),
        "validation_convention": "PCK", "validation_unit": "%",
        "splits": tuple(SplitInfo(name=name, steps=(("p",), ("q",)), columns=("c",)) for name in names),
        "modes": tuple(ModeInfo(name=mode, summary=f"Mode {mode}") for mode in validation),
        "jobs": tuple(jobs), "rows": tuple(rows),
    }  # fmt: skip
    return Results(**{**fields, **changes}), histories


UP = {"a": [10.0, 30.0], "b": [10.0, 20.0]}
WORDS = "a name that goes on and on and never comes to the point " * 5


def boxes(figure):
    """Extent of every text that is seen, pixels; of ticks too."""
    FigureCanvasAgg(figure).draw()
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [tick.label1 for tick in ticks if tick.label1.get_visible()]
    return {text: text.get_window_extent() for text in texts if text.get_text()}


@pytest.mark.parametrize(("splits", "long"), [(1, ""), (1, WORDS), (2, "x" * 300), (5, WORDS)])
def test_no_text_is_cut_off_or_covers_another(splits, long):
    named = [SplitInfo(name=f"s{n}", steps=(("p",), ("q",)), columns=("c",)) for n in range(splits)]
    results, histories = make(UP, {"a": 1.0, "b": 2.0}, splits=splits)
    results = results.model_copy(
        update={
            "study": f"study {long}",
            "data": DataInfo(label=f"data {long}", list=long, people={}, sample=True),
            "validation_convention": f"PCK {long}",
            "modes": tuple(ModeInfo(name=name, summary=f"{name} {long}") for name in UP),
            "splits": tuple(
                one.model_copy(update={"averaged": (f"left_{long}", "right"), "validation_mean_shape": 15.0})
                for one in named
            ),
        }
    )
    figure = curves_figure(results, histories)
    across, down = figure.get_size_inches() * figure.dpi
    found = boxes(figure)
    assert len(found) > 8
    for text, box in found.items():
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= across and box.y1 <= down, text
    for (one, here), (other, there) in combinations(found.items(), 2):
        over = min(here.x1, there.x1) - max(here.x0, there.x0), min(here.y1, there.y1) - max(here.y0, there.y0)
        assert min(over) < 2, f"{one} covers {other}"


def test_a_split_name_of_any_length_stays_over_its_panel():
    results, histories = make(UP, {"a": 1.0, "b": 2.0})
    row = results.rows[0].model_copy(update={"split": WORDS})
    split = SplitInfo(name=WORDS, steps=(("p",), ("q",)), columns=("c",))
    figure = curves_figure(results.model_copy(update={"splits": (split,), "rows": (row,)}), histories)
    across, down = figure.get_size_inches() * figure.dpi
    assert all(box.x1 <= across and box.y1 <= down for box in boxes(figure).values())


def test_wrapped_text_fits_and_loses_no_letter():
    text = "one two " + "w" * 200 + " three"
    lines = wrapped(text, FONT, 1.0)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(width(line, FONT) for line in lines) <= 1.0
    assert wrapped("", FONT, 1.0) == [""]
    assert wrapped("two words", FONT, 9.0) == ["two words"]


def test_the_axis_names_metric_unit_and_direction():
    results, _ = make(UP, {"a": 1.0, "b": 2.0})
    assert axis_name(results) == "PCK (%)"
    down = results.model_copy(update={"validation_higher_is_better": False, "validation_unit": ""})
    assert axis_name(down) == "PCK, lower is better"


def test_colours_follow_the_order_of_the_table_and_the_mean_shape_comes_last():
    results, histories = make(UP, {"a": 1.0, "b": 2.0})
    (split,) = results.splits
    results = results.model_copy(update={"splits": (split.model_copy(update={"validation_mean_shape": 15.0}),)})
    assert labels(results) == ["Mode a", "Mode b", MEAN_SHAPE]
    figure = curves_figure(results, histories)
    assert [line.get_color() for line in figure.findobj(Line2D) if line.axes is None][:3] == [
        COLOURS[0], COLOURS[1], SHAPE_COLOUR,
    ]  # fmt: skip
    (level,) = [line for line in figure.axes[0].lines if line.get_color() == SHAPE_COLOUR]
    assert list(level.get_ydata()) == [15.0, 15.0]


def dots_of(validation, **changes):
    results, histories = make(validation, {"a": 1.0}, **changes)
    return [
        line.get_xydata().tolist()
        for line in curves_figure(results, histories).axes[0].lines
        if line.get_marker() == "o"
    ]


def test_the_scored_epoch_is_marked_be_it_the_best_or_the_last():
    assert dots_of({"a": [10.0, 30.0, 20.0]}) == [[[2.0, 30.0]]]
    assert dots_of({"a": [10.0, 30.0, 20.0]}, scored=3) == [[[3.0, 20.0]]]


def test_a_note_names_the_modes_that_validation_and_the_final_score_rank_differently():
    results, histories = make(UP, {"a": 1.0, "b": 2.0})
    assert footnotes(results, histories)[-1] == (
        "Split s0: validation ranks Mode a above Mode b; the final score (final) does not."
    )
    agreed, histories = make(UP, {"a": 2.0, "b": 1.0})
    assert len(footnotes(agreed, histories)) == 1
    errors = results.model_copy(update={"higher_is_better": False})
    assert len(footnotes(errors, histories)) == 1, "a lower error is better: both rank a first"
    many, histories = make(
        {mode: [float(10 - n)] for n, mode in enumerate("abcd")}, dict(zip("abcd", (0.0, 1.0, 2.0, 3.0), strict=True))
    )
    assert ", and 3 more;" in footnotes(many, histories)[-1]


def test_a_note_names_the_keypoints_that_are_averaged():
    results, histories = make(UP, {"a": 2.0, "b": 1.0})
    (split,) = results.splits
    results = results.model_copy(update={"splits": (split.model_copy(update={"averaged": ("p", "q")}),)})
    assert footnotes(results, histories)[-1] == "Split s0 averages p, q."


def test_the_figure_is_drawn_without_any_epoch():
    results, _ = make(UP, {"a": 1.0, "b": 2.0})
    assert curves_png(results, {}).startswith(b"\x89PNG")


class HeadAndHand(Metric):
    """Error in pixels; the average is of head and hand alone, whatever the columns say."""

    convention, higher_is_better = "error", False

    def values(self, predicted, truth, keypoints):
        truth = truth.select(keypoints.indices)
        errors = np.linalg.norm(predicted - truth.points, axis=-1)
        return np.where(truth.state == UNLABELLED, np.nan, errors)

    def reduce(self, values, truth, keypoints, columns):
        places = [place for place, name in enumerate(keypoints.names) if name in ("head", "r_hand", "l_hand")]
        known = values[:, places]
        known = known[~np.isnan(known)]
        return Scores({}, float(known.mean()) if known.size else float("nan"))


def test_keypoints_that_the_average_follows_are_found_by_asking_the_metric(dots, figure):
    people = Instances.of(dots(people=4, unlabelled=(figure.names.index("l_hand"),)).samples("valid"))
    keypoints = figure.all()
    found = averaged(HeadAndHand(), people.points + 1.0, people, keypoints, default_columns(keypoints))
    assert set(found) == {"head", "r_hand"}, "nobody's left hand is labelled, and hips and feet are not counted"


def test_the_text_of_an_svg_is_text_and_its_letters_are_embedded():
    results, histories = make({"a & <b>_long.name": [1.0, 2.0]}, {"a & <b>_long.name": 3.0})
    svg = rendered(curves_figure(results, histories), "svg").decode()
    assert re.search(r"<text[^>]*>[^<]*a &amp; &lt;b&gt;_long\.name", svg)
    fonts = {
        weight: TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap()
        for weight, data in re.findall(r"font-weight:(\w+);src:url\(data:font/ttf;base64,([^)]+)\)", svg)
    }
    assert set(fonts) == {"normal", "bold"}
    assert set(map(ord, "a & <b>_long.name")) <= fonts["normal"].keys()
    assert set(map(ord, "Validation during training")) <= fonts["bold"].keys()
    assert len(fonts["bold"]) < 60, "no letters but those that are used"


def test_a_split_with_a_long_name_is_broken_at_its_separators():
    lines = wrapped("Split the_split_of_hands_and.feetThenEverything", Font(10), 1.2)
    assert "".join(lines).replace(" ", "") == "Splitthe_split_of_hands_and.feetThenEverything"
    assert all(width(line, Font(10)) <= 1.2 for line in lines)
    assert all(re.search(r"([_. ]|[a-z])$", line) for line in lines[:-1])
    assert not any(re.match(r"[_.]", line) for line in lines)


def test_shares_of_the_labels_are_not_drawn_as_seeds():
    found, histories = make(UP, {"a": 1.0, "b": 2.0})
    few = [row.model_copy(update={"labels": 0.1, "job": f"{row.job}-few"}) for row in found.rows]
    jobs = [job.model_copy(update={"key": f"{job.key}-few", "labels": 0.1}) for job in found.jobs]
    both = found.model_copy(update={"rows": (*found.rows, *few), "jobs": (*found.jobs, *jobs)})
    lower = {job.key: [one.model_copy(update={"validation": 1.0}) for one in histories[job.key[:-4]]] for job in jobs}
    assert curves_png(both, {**histories, **lower}) == curves_png(found, histories)
    assert {line.split(",")[2] for line in curves_csv(both, {**histories, **lower}).splitlines()[1:]} == {"1.0", "0.1"}
