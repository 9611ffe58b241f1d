"""Trackers: what hooks are told, what a tool is told of it, once, and what three tools then hold."""

import base64
import importlib
import json
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import cv2
import numpy as np
import pytest

from kpcore.cli.app import outcome
from kpcore.interfaces import Track, Tracker
from kpcore.records.folder import JobFolder
from kpcore.records.shown import FOLDER, SHOWN, Body, Person, Predicted, Shown, ShownSplit
from kpcore.registry import TOLD, Registry
from kpcore.tracking import Follower
from kpcore.tracking.left import row_scores
from kpcore.tracking.pictures import ENLARGED, GAP, pictures

STUDY = """
[study]
name = "watched"
modes = ["anew"]
[dataset]
name = "squares"
[split]
name = "halves"
[backbone]
name = "plain"
stages = [1, 2]
[codec]
name = "maps"
[training]
resolution = 32
batch_size = 4
epochs = 3
iterations_per_epoch = 2
"""
LAB = EntryPoint("lab", "broken_lab", "kpcore")


@pytest.fixture
def kp(tmp_path, monkeypatch, capfd):
    """(words of the command, plugins besides) -> exit code, stdout and stderr, without line breaks."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "broken"))
    importlib.import_module("broken_lab")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("KP_TRACK", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)

    def run(*words, points=()):
        known = Registry([LAB, *points])
        monkeypatch.setattr("kpcore.registry.registry", lambda: known)
        monkeypatch.setattr("kpcore.cli.app.registry", lambda: known)
        code = outcome([*words])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, " ".join(out.split()), " ".join(err.split())

    return run


RUN = ("run", "study.toml", "--jobs", "1")

# --- what hooks are told ----------------------------------------------------------------------------------------------

HEARING = """
from kpcore import hookimpl
heard = []

@hookimpl
def kp_study_started(study): heard.append(("study started", study))
@hookimpl
def kp_job_started(job): heard.append(("job started", job))
@hookimpl
def kp_epoch_ended(job, record): heard.append(("epoch", job, record))
@hookimpl
def kp_job_finished(job, result): heard.append(("job finished", job, result))
@hookimpl
def kp_study_ended(study, results): heard.append(("study ended", study, results))
"""


@pytest.fixture
def hearing(tmp_path):
    """An entry point of a plugin that takes down what it hears, and its module's name."""
    name = f"hearing_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(HEARING)
    return EntryPoint("hearing", name, "kpcore")


def test_hooks_are_told_of_a_study_in_order_and_of_what_the_cache_had(kp, hearing):
    assert kp(*RUN, points=[hearing])[0] == 0
    heard = importlib.import_module(hearing.value).heard
    job = ["job started", "epoch", "epoch", "epoch", "job finished"]
    assert [one[0] for one in heard] == ["study started", *job, "study ended"]
    study = heard[0][1]
    folder = str(Path("runs/watched").absolute())
    assert (study["name"], study["folder"], study["preset"]) == ("watched", folder, "own")
    assert study["settings"]["training"]["epochs"] == 3
    (about,) = study["jobs"]
    assert (about["name"], about["study"], about["study_folder"]) == ("h-anew-0", "watched", folder)
    assert {**heard[1][1]} == {**about, "settings": heard[1][1]["settings"]}
    assert [(one[1], one[2]["epoch"]) for one in heard[2:5]] == [(about, 1), (about, 2), (about, 3)]
    assert heard[5][1:] == (about, {"status": "done", "cached": False, "reason": "", "folder": heard[5][2]["folder"]})
    assert JobFolder(Path(heard[5][2]["folder"])).done
    assert heard[6][1] == {"name": "watched", "folder": folder}
    assert heard[6][2] == json.loads(Path("runs/watched/results.json").read_text())

    heard.clear()
    assert kp(*RUN, points=[hearing])[0] == 0
    assert [one[0] for one in heard] == ["study started", "job finished", "study ended"]
    assert (heard[1][1], heard[1][2]["cached"], heard[1][2]["status"]) == (about, True, "done")


def test_a_failed_job_is_told_with_its_reason(kp, hearing):
    kp(*RUN, "--set", "training.optimizer.learning_rate=1e30", "--set", "training.epochs=9", points=[hearing])
    heard = importlib.import_module(hearing.value).heard
    (finished,) = [one for one in heard if one[0] == "job finished"]
    assert (finished[2]["status"], finished[2]["cached"]) == ("failed", False)
    assert "learning_rate" in finished[2]["reason"]
    assert heard[-1][0] == "study ended" and heard[-1][2]["rows"][0]["status"] == "failed"


def test_plugins_list_and_info_show_hooks_and_commands(kp, hearing, tmp_path):
    path = tmp_path / f"{hearing.value}.py"
    path.write_text(
        HEARING + "import typer\n@hookimpl\ndef kp_commands(): return {'greet': typer.Typer()}\n", encoding="utf-8"
    )
    out = kp("plugins", "list", points=[hearing])[1]
    assert "command: greet" in out and "hooks: " + ", ".join(TOLD) in out
    out = kp("plugins", "info", "hearing", points=[hearing])[1]
    assert "kp greet: a command" in out and "is told what happens in every study: " + ", ".join(TOLD) in out
    (record,) = json.loads(kp("plugins", "info", "hearing", "--json", points=[hearing])[1])["plugins"]
    assert (record["supplies"], record["told"]) == ({"command": ["greet"]}, list(TOLD))
    out = kp("plugins", "info", "lab")[1]
    assert "told" not in out and "a command" not in out


# --- what a tool is told: once ----------------------------------------------------------------------------------------

KEY, OTHER = "a" * 64, "b" * 64


class Book(Track):
    """A tool that writes down all that it is told."""

    def __init__(self, tool, run):
        self.tool = tool
        self.own = run

    run = property(lambda self: self.own)

    def begin(self, job, run):
        if run in self.tool.gone or not run:
            run = f"{job['name']}.{len(self.tool.begun)}"
        self.tool.begun.append(run)
        return run

    def epoch(self, run, epoch, values):
        self.tool.tries += 1
        if self.tool.down:
            raise OSError("no answer")
        self.tool.points.append((run, epoch, values["loss"]))

    def end(self, run, status):
        self.tool.ended.append((run, status))

    def finish(self, ending):
        self.tool.endings.append(ending)


class Tool(Tracker):
    """What such books are of; it outlives processes."""

    library, install = "json", "nothing"

    def __init__(self):
        self.where = "here"
        self.down = False
        self.tries = 0
        self.gone, self.begun, self.points, self.ended, self.endings, self.opened = set(), [], [], [], [], []

    def place(self, folder):
        return self.where

    def open(self, study, folder, run):
        self.opened.append(run)
        if self.where == "nowhere":
            raise OSError("no such server")
        return Book(self, run or f"study.{len(self.opened)}")


class Process:
    """One process that runs the study: a follower, and short names of what it hears."""

    def __init__(self, tool, folder):
        self.folder = folder
        self.hear = Follower("tool", tool)
        self.hear("kp_study_started", study={"name": "s", "folder": str(folder), "jobs": [about(KEY), about(OTHER)]})

    def epochs(self, *numbers, key=KEY, loss=1.0):
        for number in numbers:
            self.hear("kp_epoch_ended", job=about(key), record=record(number, loss))

    def finished(self, key=KEY, status="done", cached=False):
        self.hear("kp_job_finished", job=about(key), result={"status": status, "cached": cached})

    def ended(self, *rows):
        self.hear("kp_study_ended", study={"folder": str(self.folder)}, results={"rows": list(rows)})


def about(key):
    return {"key": key, "name": f"job-{key[0]}"}


def record(epoch, loss=1.0):
    return {"epoch": epoch, "iterations": epoch * 2, "loss": loss, "learning_rate": 0.1, "validation": None}


def row(key=KEY, mode="transfer", status="done", average=50.0, **columns):
    columns = columns or {"hip": 40.0, "knee": None}
    return {"job": key, "mode": mode, "status": status, "average": average, "columns": columns, "scored_epoch": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study's folder, with a cache beside it."""
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def history(*numbers, key=KEY, loss=1.0):
    JobFolder.of(key).path.mkdir(parents=True, exist_ok=True)
    JobFolder.of(key).write_history([record(number, loss) for number in numbers])


def steps(tool):
    return [(run, epoch) for run, epoch, _ in tool.points]


def test_a_study_that_goes_on_is_told_on_and_no_epoch_twice(folder):
    tool = Tool()
    Process(tool, folder).epochs(1, 2)
    history(1)  # the last checkpoint
    after = Process(tool, folder)
    after.epochs(2, 3)
    history(1, 2, 3)
    after.finished()
    assert steps(tool) == [("job-a.0", 1), ("job-a.0", 2), ("job-a.0", 3)]
    assert tool.opened == ["", "study.1"]
    assert tool.ended == [("job-a.0", "done")]


def test_a_job_of_the_cache_is_told_from_its_history_once(folder):
    tool = Tool()
    history(1, 2, loss=3.0)
    for _ in range(2):
        Process(tool, folder).finished(cached=True)
    assert tool.points == [("job-a.0", 1, 3.0), ("job-a.0", 2, 3.0)]
    assert (tool.begun, tool.ended) == (["job-a.0"], [("job-a.0", "done")])


def test_a_tracker_that_is_switched_on_halfway_is_told_what_was_before(folder):
    tool = Tool()
    history(1, 2)
    Process(tool, folder).epochs(3)
    assert steps(tool) == [("job-a.0", 1), ("job-a.0", 2), ("job-a.0", 3)]


def test_a_job_that_is_trained_again_is_a_run_of_its_own(folder):
    tool = Tool()
    first = Process(tool, folder)
    first.epochs(1, 2)
    first.finished()
    again = Process(tool, folder)
    again.epochs(1, 2, loss=2.0)
    assert tool.points[2:] == [("job-a.1", 1, 2.0), ("job-a.1", 2, 2.0)]


def test_a_run_that_is_gone_is_told_from_the_beginning(folder):
    tool = Tool()
    Process(tool, folder).epochs(1, 2)
    history(1, 2)
    tool.gone.add("job-a.0")
    Process(tool, folder).epochs(3)
    assert steps(tool)[2:] == [("job-a.1", 1), ("job-a.1", 2), ("job-a.1", 3)]


def test_another_place_knows_nothing_and_is_told_all(folder):
    tool = Tool()
    history(1, 2)
    Process(tool, folder).finished(cached=True)
    tool.where = "there"
    Process(tool, folder).finished(cached=True)
    assert steps(tool)[2:] == [("job-a.1", 1), ("job-a.1", 2)]
    assert tool.opened == ["", ""]


def test_the_ledger_holds_no_password_of_an_address(folder):
    tool = Tool()
    tool.where = "https://me:secret@server"
    history(1)
    Process(tool, folder).finished(cached=True)
    told = (folder / "trackers" / "tool" / "told.json").read_text()
    assert "job-a.0" in told and "secret" not in told


@pytest.mark.parametrize("text", ["", "{", "[]", '{"place": 1}'])
def test_a_damaged_ledger_counts_as_none(folder, text):
    tool = Tool()
    history(1)
    Process(tool, folder).finished(cached=True)
    (folder / "trackers" / "tool" / "told.json").write_text(text)
    Process(tool, folder).finished(cached=True)
    assert steps(tool) == [("job-a.0", 1), ("job-a.1", 1)]


def test_a_tool_that_does_not_answer_is_left_alone_until_a_job_ends(folder):
    tool = Tool()
    process = Process(tool, folder)
    process.epochs(1)
    tool.down = True
    with pytest.raises(OSError, match="no answer"):
        process.epochs(2)
    process.epochs(3, 4)
    process.epochs(1, key=OTHER)
    assert tool.tries == 2
    tool.down = False
    process.finished(key=OTHER, status="failed")
    process.epochs(5)
    assert steps(tool) == [("job-a.0", 1), ("job-b.1", 1), *(("job-a.0", epoch) for epoch in (2, 3, 4, 5))]
    assert tool.ended == [("job-b.1", "failed")]


def test_a_tool_that_cannot_be_opened_is_told_nothing_more(folder):
    tool = Tool()
    tool.where = "nowhere"
    process = None
    with pytest.raises(OSError, match="no such server"):
        process = Process(tool, folder)
    process = object.__new__(Process)
    process.folder, process.hear = folder, Follower("tool", tool)
    process.epochs(1)
    process.finished()
    process.ended(row())
    assert (tool.points, tool.begun, tool.endings) == ([], [], [])


def test_a_failed_job_that_had_no_epoch_is_no_run(folder):
    tool = Tool()
    Process(tool, folder).finished(status="failed")
    assert (tool.begun, tool.ended) == ([], [])


def test_scores_are_told_once_and_again_where_they_changed(folder):
    tool = Tool()
    history(1, 2)
    for average in (50.0, 50.0, 51.0):
        process = Process(tool, folder)
        process.finished(cached=True)
        process.ended(row(average=average), row(OTHER, status="failed"))
    told = [(dict(one.scores), dict(one.kept)) for one in tool.endings]
    assert told == [
        ({"job-a.0": {"average": 50.0, "hip": 40.0}}, {"job-a.0": 2}),
        ({}, {}),
        ({"job-a.0": {"average": 51.0, "hip": 40.0}}, {"job-a.0": 2}),
    ]


def test_a_network_that_was_never_trained_here_has_a_run_for_its_scores(folder):
    tool = Tool()
    process = Process(tool, folder)
    process.finished()
    process.ended(row())
    assert tool.endings[0].scores == {"job-a.0": {"average": 50.0, "hip": 40.0}}


def test_rows_of_one_job_keep_their_modes_apart():
    scores, kept = row_scores({"rows": [row(hip=1.0), row(mode="random", average=None, hip=2.0), row(OTHER, hip=3.0)]})
    assert scores == {
        KEY: {"transfer/average": 50.0, "transfer/hip": 1.0, "random/hip": 2.0},
        OTHER: {"average": 50.0, "hip": 3.0},
    }
    assert kept == {KEY: 2, OTHER: 2}


def test_files_and_pictures_are_told_where_they_changed(folder):
    tool = Tool()
    write_shown(folder)
    for text in ("one", "one", "two"):
        (folder / "tables.md").write_text(text)
        (folder / "timing.json").write_text("{}")
        Process(tool, folder).ended()
    assert [[path.name for path in one.files] for one in tool.endings] == [["tables.md"], [], ["tables.md"]]
    assert [len(one.pictures) for one in tool.endings] == [2, 0, 2]


# --- pictures ---------------------------------------------------------------------------------------------------------


def write_shown(folder):
    """Write a gallery of two people on black, predicted by two modes; the first's second mode is right."""
    code = base64.b64encode(cv2.imencode(".jpg", np.zeros((100, 100, 3), np.uint8))[1].tobytes()).decode()
    truth = {"hip": (0.25, 0.5), "knee": (0.75, 0.5)}
    predicted = (
        Predicted(mode="transfer", seed=0, value=1.0, target={"knee": (0.75, 0.2)}, source={"hip": (0.25, 0.8)}),
        Predicted(mode="random", seed=0, value=0.0, target={"knee": (0.75, 0.5)}),
    )
    people = tuple(
        Person(kind="best", image="a", row=0, jpeg=code, truth=truth, hidden=(), predicted=predicted[: 2 - number])
        for number in range(2)
    )
    body = Body(keypoints=("hip", "knee"), groups=("", ""), edges=(("hip", "knee"),), shape=(None, None))
    split = ShownSplit(name="a/../b", body=0, columns={}, thresholds=None, people=people)
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / FOLDER / SHOWN).write_text(Shown(unit="", bodies=(body,), splits=(split,)).to_json())


def test_pictures_show_each_modes_predictions_beside_the_labels(folder):
    assert pictures(folder) == {}
    write_shown(folder)
    found = pictures(folder)
    names = [name.partition("/") for name in found]
    assert [name[2] for name in names] == ["best 1 - transfer - random", "best 2 - transfer"]
    assert ".." not in names[0][0].split("/")
    both, one = found.values()
    side = 100 * ENLARGED
    assert (both.shape, one.shape) == ((side, 2 * side + GAP, 3), (side, side, 3))
    assert both.dtype == np.uint8

    def pixel(x, y, panel=0):
        return tuple(int(value) for value in both[int(y * side), int(x * side) + panel * (side + GAP)])

    assert pixel(0.75, 0.2) == (230, 159, 0)  # predicted, of S2
    assert pixel(0.25, 0.8) == (86, 180, 233)  # predicted, of S1
    assert min(pixel(0.5, 0.5)) > 100  # the edge between labels
    assert pixel(0.75, 0.35)[0] > 100 and pixel(0.75, 0.35)[2] < 40  # from label to prediction
    assert pixel(0.75, 0.5, panel=1) == (230, 159, 0)
    assert pixel(0.75, 0.2, panel=1) == (0, 0, 0)


# --- on the command line ----------------------------------------------------------------------------------------------

TRACKER = """
from kpcore import hookimpl
from kpcore.interfaces import Track, Tracker

class Absent(Tracker):
    library, install = "{0}", "mylab[absent]"
    def place(self, folder): return ""
    def open(self, study, folder, run): return 1 / 0

@hookimpl
def kp_trackers(): return {{"absent": Absent}}
"""


@pytest.fixture
def absent(tmp_path):
    """(import name) -> entry point of a plugin with a tracker, "absent", that needs it."""

    def make(library):
        name = f"absent_{library}_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(TRACKER.format(library))
        return EntryPoint("mylab", name, "kpcore")

    return make


def test_a_tracker_that_is_not_known_is_refused_before_anything_runs(kp, absent):
    code, _, err = kp(*RUN, "--track", "absnt", points=[absent("json")])
    assert code == 2
    assert err == "kp: error: --track: unknown tracker 'absnt'; did you mean 'absent'? (absent exists)"
    assert not Path("runs").exists()


def test_a_missing_library_is_one_line_with_what_to_type(kp, absent, monkeypatch):
    monkeypatch.setenv("KP_TRACK", "absent")
    code, out, err = kp(*RUN, points=[absent("no_such_library")])
    line = "kp: error: --track absent: no_such_library is not installed; pip install 'mylab[absent]'"
    assert (code, err) == (2, line)
    assert not Path("runs").exists() and "epoch" not in out


def test_a_library_that_is_broken_says_how(kp, absent, tmp_path):
    (tmp_path / "damaged_library.py").write_text("import not_there_either")
    code, _, err = kp(*RUN, "--track", "absent", points=[absent("damaged_library")])
    assert code == 2
    assert "--track absent: damaged_library cannot be imported: ModuleNotFoundError: No module named 'not_there" in err


def test_a_tracker_that_fails_is_named_once_and_changes_no_result(kp, absent):
    assert kp(*RUN)[0] == 0
    names = ("results.json", "study.toml")
    before = [Path("runs/watched", name).read_bytes() for name in names]
    tracked = (*RUN, "--fresh", "--track", "absent")
    code, out, _ = kp(*tracked, points=[absent("json")])
    line = "plugin mylab ?: kp_study_started(): ZeroDivisionError: division by zero; the study goes on without it"
    assert (code, out.count(line), out.count("without it")) == (0, 1, 1)
    assert [Path("runs/watched", name).read_bytes() for name in names] == before


def test_trackers_are_listed_without_their_libraries():
    code = (
        "import sys; from kpcore.cli.app import outcome; outcome(['plugins', 'info', 'tensorboard']); "
        "outcome(['plugins', 'list']); "
        "print('heavy:', [m for m in ('tensorboard', 'mlflow', 'wandb') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "tracker 'tensorboard': TensorBoard" in found
    for name in ("tensorboard", "mlflow", "wandb"):
        assert f"tracker: {name}" in found
    assert "heavy: []" in found


# --- the three tools --------------------------------------------------------------------------------------------------

SCORES = {"score/average", "score/bottom", "score/left"}
CURVES = {"loss", "validation", "learning_rate"}
TOOL = pytest.mark.filterwarnings("ignore")  # of the libraries


@pytest.fixture
def tracked(kp, monkeypatch):
    """(tracker, words) -> run the study shown in it, on this machine alone; return its row."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")

    def run(name, *words):
        point = next(point for point in entry_points(group="kpcore") if point.name == name)
        code, out, _ = kp(*RUN, "--track", name, *words, points=[point])
        assert "without it" not in out, out
        results = json.loads(Path("runs/watched/results.json").read_text())
        return code, results["rows"][0]

    return run


def losses():
    (job,) = json.loads(Path("runs/watched/results.json").read_text())["jobs"]
    return [(one.epoch, one.loss) for one in JobFolder.of(job["key"]).history()]


def rounded(points):
    return [(step, round(value, 4)) for step, value in points]


@TOOL
@pytest.mark.page
def test_tensorboard_holds_the_study_and_holds_it_once(tracked):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra 'tensorboard'"
    )

    def read(run):
        found = accumulator.EventAccumulator(f"runs/watched/trackers/tensorboard/{run}")
        found.Reload()
        return found

    def check(name, row):
        job, scores = read(name), read(f"scores/{name}")
        assert set(job.Tags()["scalars"]) == CURVES
        assert rounded([(one.step, one.value) for one in job.Scalars("loss")]) == losses()
        assert set(scores.Tags()["scalars"]) == SCORES
        (point,) = scores.Scalars("score/average")
        assert (point.step, round(point.value, 3)) == (row["scored_epoch"], round(row["average"], 3))

    for _ in range(2):
        code, row = tracked("tensorboard")
        assert code == 0
        check("h-anew-0", row)
        study = read("study")
        assert 2 <= len(study.Tags()["images"]) <= 6
        (picture,) = study.Images(study.Tags()["images"][0])
        assert cv2.imdecode(np.frombuffer(picture.encoded_image_string, np.uint8), 1).shape[0] > 100
        (text,) = study.Tensors("study.toml/text_summary")
        assert 'name = "watched"' in text.tensor_proto.string_val[0].decode()
        (table,) = study.Tensors("tables/text_summary")
        assert table.tensor_proto.string_val[0].decode() == Path("runs/watched/tables.md").read_text()
    check("h-anew-0-2", tracked("tensorboard", "--fresh")[1])
    check("h-anew-0", row)


@TOOL
def test_tensorboard_drops_what_a_killed_process_wrote_of_an_epoch_that_is_told_again(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra 'tensorboard'"
    )
    tracker = importlib.import_module("kp_tensorboard.tracker").TensorBoard()
    killed = tracker.open({}, tmp_path, "")
    run = killed.begin({"name": "job"}, "")
    for epoch in (1, 2, 3):
        killed.epoch(run, epoch, {"loss": 1.0})
    after = tracker.open({}, tmp_path, killed.run)
    assert after.begin({"name": "job"}, run) == run
    for epoch in (3, 4):
        after.epoch(run, epoch, {"loss": 2.0})
    after.end(run, "done")
    found = accumulator.EventAccumulator(str(tmp_path / run))
    found.Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert after.begin({"name": "job"}, "gone") == "job-2"
    assert after.begin({"name": "other"}, "other") == "other-2"  # gone: told anew, so not by the same name
    assert tracker.open({}, tmp_path / "empty", "").begin({"name": "study"}, "") == "study-2"


@TOOL
@pytest.mark.page
def test_mlflow_holds_the_study_and_holds_it_once(tracked):
    pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")

    def points(client, run, name):
        return [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]

    for _ in range(2):
        code, row = tracked("mlflow")
        assert code == 0
        client = store(Path("runs/watched/trackers/mlflow/mlflow.db"))
        experiment = client.get_experiment_by_name("watched")
        job, study = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name)
        assert [run.info.run_name for run in (job, study)] == ["h-anew-0", "watched"]
        assert {run.info.status for run in (job, study)} == {"FINISHED"}
        assert job.data.tags["mlflow.parentRunId"] == study.info.run_id
        assert set(job.data.metrics) == CURVES | SCORES
        assert rounded(points(client, job, "loss")) == losses()
        assert points(client, job, "score/average") == [(row["scored_epoch"], row["average"])]
        assert (job.data.params["mode"], study.data.params["training.epochs"]) == ("anew", "3")
        kept = {file.path for file in client.list_artifacts(study.info.run_id)}
        assert kept >= {"study.toml", "results.json", "tables.md", "pictures"}
        assert 2 <= len(client.list_artifacts(study.info.run_id, "pictures/h")) <= 6
        copy = client.download_artifacts(study.info.run_id, "results.json")
        assert Path(copy).read_bytes() == Path("runs/watched/results.json").read_bytes()
    tracked("mlflow", "--fresh")
    client = store(Path("runs/watched/trackers/mlflow/mlflow.db"))
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["h-anew-0", "h-anew-0", "watched"]
    assert all(len(points(client, run, "loss")) == 3 for run in runs if run.info.run_name != "watched")


@TOOL
def test_mlflow_tells_a_failed_job_and_makes_new_runs_for_those_that_were_deleted(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    tracker = importlib.import_module("kp_mlflow.tracker").Mlflow()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    study = {"name": "s", "preset": "own", "data": "squares", "settings": {"a": {f"key {n}": n for n in range(150)}}}
    job = {"key": KEY, "name": "job", "study": "s", "split": "h", "mode": "", "seed": 0}
    track = tracker.open(study, tmp_path, "")
    run = track.begin(job, "")
    track.epoch(run, 1, {"loss": 1.0})
    track.end(run, "failed")
    client = store(tmp_path / "mlflow.db")
    assert client.get_run(run).info.status == "FAILED"
    assert len(client.get_run(track.run).data.params) == 150
    assert tracker.open(study, tmp_path, track.run).begin(job, run) == run
    assert client.get_run(run).info.status == "RUNNING"
    for one in (run, track.run):
        client.delete_run(one)
    again = tracker.open(study, tmp_path, track.run)
    assert again.run not in ("", track.run) and again.begin(job, run) not in ("", run)


def store(path):
    """Return a client of a database; MLflow keeps one open a name, so that the name must be whole."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{path.absolute()}")


def records(path):
    """The records of a file of W&B's: blocks of 32 KiB after 7 bytes, records of 7 bytes of head: sum, length, type."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        room = 32768 - place % 32768
        if room < 7:
            place += room
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b""


def offline(kind):
    """Of all runs of this kind: names, {run: lines of its history}, {run: summary}, names of its files, artifacts."""
    names, lines, summary, files, artifacts = [], {}, {}, [], []
    for path in sorted(Path("runs/watched/trackers/wandb/wandb").glob("offline-run-*/*.wandb")):
        found = list(records(path))
        kinds = [one.WhichOneof("record_type") for one in found]
        assert "run" in kinds, (path, path.stat().st_size, kinds)
        run = found[kinds.index("run")].run
        if run.job_type != kind:
            continue
        names.append((run.display_name, run.run_id, run.run_group, run.project))
        for one in found:
            if one.HasField("history"):
                told = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in one.history.item}
                lines.setdefault(run.run_id, []).append(told)
            for item in one.summary.update:
                summary.setdefault(run.run_id, {})[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            files += [item.path for item in one.files.files]
            artifacts += [entry.path for entry in one.request.log_artifact.artifact.manifest.contents]
            artifacts += [entry.path for entry in one.artifact.manifest.contents]
    return names, lines, summary, files, artifacts


@TOOL
@pytest.mark.page
def test_wandb_offline_holds_the_study_and_holds_it_once(tracked):
    wandb = pytest.importorskip("wandb", reason="needs the extra 'wandb'")
    for _ in range(2):
        code, row = tracked("wandb")
        wandb.teardown()  # as at the end of a process: its own process has then written all
        assert code == 0
        names, lines, summary, _, _ = offline("training")
        ((name, run, group, project),) = names
        assert (name, group, project) == ("h-anew-0", "watched", "kptransfer")
        assert rounded([(one["epoch"], one["loss"]) for one in lines[run]]) == losses()
        assert [one["_step"] for one in lines[run]] == [1, 2, 3]
        assert {name for name in summary[run] if name.startswith("score/")} == SCORES
        assert summary[run]["score/average"] == row["average"]
        _, lines, _, files, artifacts = offline("study")
        ((told,),) = lines.values()
        drawn = [name for name in told if name.startswith("pictures/h/") and name.endswith("/_type")]
        assert 2 <= len(drawn) <= 6
        assert len({name for name in files if name.endswith(".png")}) == len(drawn)
        assert {"study.toml", "results.json", "tables.md"} <= set(artifacts)
    tracked("wandb", "--fresh")
    wandb.teardown()
    names, lines, *_ = offline("training")
    assert len({run for _, run, *_ in names}) == 2
    assert [len(one) for one in lines.values()] == [3, 3]
