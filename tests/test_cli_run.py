"""What ``kp run`` shows: the plan, the live table, tables and curves while it runs, and how it is stopped."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console, ConsoleDimensions
from rich.control import Control
from rich.text import Text

from kpcore.cache import Entry, cache_dir
from kpcore.cli import app as kp
from kpcore.cli.cache import what
from kpcore.cli.display import counted, goes_on
from kpcore.cli.jobtable import Screen, Track, job_table, speed_text
from kpcore.cli.live import Display
from kpcore.cli.plan import plan_table, short, shortest
from kpcore.cli.refresh import Turns
from kpcore.cli.stages import Stages
from kpcore.cli.wiping import Wiper
from kpcore.config import to_toml
from kpcore.errors import KpError, system_error
from kpcore.measure.estimate import Cost
from kpcore.records.folder import JobFolder, JobResult
from kpcore.registry import registry
from kpcore.study.executors import State
from kpcore.study.opening import open_study, resolve
from kpcore.study.planning import plan_study
from kpcore.study.reasons import damaged
from kpcore.study.runner import link, make_folder
from kpcore.study.spelling import in_full
from kpcore.training.checkpoint import write_state
from kpcore.training.device import choose_device

LONG = "the-split-of-hands-and-feet-then-everything"


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, tiny_mpii, tiny_study):
    """The plan of a study of two seeds, whose splits' names are long."""
    text = tiny_study.replace('modes = ["transfer", "frozen", "random"]', 'modes = ["transfer"]\nseeds = [3, 12]')
    text = text.replace('name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"')
    rule = f"""name = "explicit"
[split.sets.{LONG}]
steps = [["head_top"], ["upper_neck"]]"""
    path = tmp_path_factory.mktemp("long") / "study.toml"
    path.write_text(text.replace('name = "kptransfer"\nsplits = ["a", "d"]', rule))
    study = open_study(registry(), path, notice=lambda text: None)
    return plan_study(study, choose_device("cpu", "fp32", 1))


def drawn(renderable, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def costs(jobs, cached=()):
    return [Cost(job, 12_800_000, 999, 1_200_000, 0.0433, job.name in cached) for job in jobs.jobs]


def test_the_plan_fits_80_columns_and_cuts_no_name(jobs):
    """The seeds of one kind of job stand in one row."""
    text = drawn(plan_table(costs(jobs)))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    whole = "".join(line[: text.index("params")].strip() for line in text.splitlines())
    assert f"{LONG}-transfer-{{3,12}}" in whole
    assert f"from{LONG}-source" in whole
    assert re.search(r"12\.8M +999 +1,200,000 +0\.0433 +2 x 14\.4 h", text)
    assert re.split(" {2,}", text.splitlines()[0].strip()) == [
        "job",
        "params",
        "trained",
        "iterations",
        "s/it",
        "at most",
    ]


def test_the_plan_says_what_is_cached(jobs):
    names = [job.name for job in jobs.jobs]
    text = drawn(plan_table(costs(jobs, names[:1])), 160)
    assert f"{names[0]} " in text.replace("{3,12}", "3")
    assert text.count("1 x 14.4 h") == 1
    assert "cached" not in text  # a row says how many of it are left
    assert drawn(plan_table(costs(jobs, names)), 160).count("cached") == 2


@pytest.mark.parametrize(
    ("count", "text"), [(7, "7"), (999, "999"), (1000, "1k"), (12_849_000, "12.8M"), (999_600, "1M"), (3e9, "3G")]
)
def test_a_number_of_parameters_is_short(count, text):
    assert short(count) == text


@pytest.mark.parametrize(("speed", "text"), [(0.0, ""), (2.34, "2.3 it/s"), (1.0, "1.0 it/s"), (0.25, "4.0 s/it")])
def test_a_slow_training_is_told_in_seconds_an_iteration(speed, text):
    assert speed_text(speed) == text


def finished(job, validation, best):
    """Write what a finished job leaves of its epochs."""
    folder = JobFolder.of(job.key)
    folder.begin(job.name, "study", job.settings)
    folder.write_history(
        [{"epoch": n, "iterations": n, "loss": 0.5, "validation": value} for n, value in enumerate(validation, 1)]
    )
    folder.write_result(
        JobResult(
            epochs=len(validation), best_epoch=best, best_validation=max(validation), validation_convention="PCK",
            iterations=9, parameters=9, frozen={},
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("validation", "best", "told"),
    [((10.0, 45.5, 30.0), 2, ", validation 45.5 after epoch 2"), ((0.0, 0.0), 1, ", validation 0.0 after epoch 1")],
)
def test_a_finished_job_tells_the_validation_that_was_kept(jobs, capsys, validation, best, told):
    first, other, *_ = jobs.jobs
    with Display(Console(width=200), jobs, "PCK@0.2") as display:
        for job in (first, other):
            finished(job, validation, best)
            display.job_started(job)
            display.job_finished(job, State("done"))
    ended = re.escape(told)
    assert re.fullmatch(
        rf"Validation: PCK@0.2\n{first.name}: done in \d+ s{ended}\n{other.name}: done in \d+ s{ended}\n",
        capsys.readouterr().out,
    )


def test_the_live_table_says_what_every_figure_is(jobs):
    shown = Display(Console(width=80, height=20, file=io.StringIO()), jobs, "PCK@0.2")
    first, second, third, *_ = jobs.jobs
    for job in (first, second, third):
        shown.job_started(job)
    shown.iteration(second, 1, 100)
    shown.tracks[second.key].began -= 8
    shown.iteration(second, 5, 100)
    shown.epoch(second, {"validation": 0.0})
    shown.tracks[third.key].started -= 40
    shown.job_finished(third, State("done"))
    text = drawn(shown.render())
    heads, *rows = text.splitlines()
    assert heads.split() == ["job", "state", "done", "speed", "time", "validation"]
    assert re.search(r"  starting *$", rows[0])
    assert re.search(r"  training +5% +1\.\d s/it +\d min left +▁ 0\.0 *$", rows[2])
    assert re.search(r"  done +took 40 s *$", rows[4])
    assert rows[-1] == "1 of 4 trainings done; validation: PCK@0.2"
    assert max(map(len, rows)) <= 80
    names = "".join(line[:30].strip() for line in rows[:-1])
    assert names == "".join(job.name for job in jobs.jobs), "broken at separators, and whole"


def test_what_is_being_done_is_said_on_a_terminal_alone():
    for terminal in (True, False):
        console = Console(width=80, file=io.StringIO(), force_terminal=terminal)
        with Stages(console, "Loading PyTorch ...") as stages:
            stages("Reading and checking mpii ...")
            stages.progress(5, 1200)
            assert stages.shown == "Writing sample data: 5 of 1,200 samples ..."
            stages.progress(1200, 1200)
            assert stages.shown == "Reading and checking mpii ..."
            console.print("a notice")
        text = console.file.getvalue()
        if terminal:
            assert "Reading and checking mpii ..." in text
        else:
            assert text == "a notice\n"


def test_opening_a_study_says_what_it_does(tmp_path, tiny_study, tiny_mpii):
    path = tmp_path / "study.toml"
    path.write_text(tiny_study.replace('name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"'))
    stages: list[str] = []
    open_study(registry(), path, notice=lambda text: None, stage=stages.append)
    assert stages == ["Reading and checking mpii ...", "Trying hourglass and heatmap on a batch ..."]


def test_the_first_word_comes_before_torch_is_imported():
    """On a terminal the user must not wait for it in silence."""
    code = (
        "import sys, kpcore.cli.run, kpcore.cli.stages, kpcore.cli.output as output; output.console();"
        "sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


METRIC = "PCK@0.05 of the crop side, average over ankle, knee, hip, wrist, elbow"


def many_tracks(count, *, running=()):
    """Tracks of so many jobs with long names; those before the first that runs are done."""
    tracks = [Track(SimpleNamespace(name=f"{LONG}-transfer-{place}", key=str(place))) for place in range(count)]
    for place, track in enumerate(tracks):
        if place in running:
            track.state, track.done, track.total, track.began = "training", 40, 90, time.perf_counter() - 1.0
            track.validation = [1.0, 20.25, 31.5]
        elif place < min(running, default=0):
            track.state, track.seconds = "done", 3000.0
    return tracks


@pytest.mark.parametrize("height", [4, 5, 7, 10, 24, 60])
@pytest.mark.parametrize("width", [30, 50, 79, 99, 120])
def test_the_live_table_fits_any_screen_and_says_what_it_leaves_out(width, height):
    """What is higher than the screen cannot be wiped, and leaves copies of itself behind."""
    tracks = many_tracks(25, running=(11, 12, 20))
    lines = job_table(tracks, METRIC, Screen(width, height))
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    rows = [line for line in lines[1:] if re.search(r" (training|done|waiting)\b", line) and "..." not in line]
    rows = [row for row in rows if "trainings done" not in row]
    assert any("training" in row for row in rows)
    if (told := [line for line in lines if line.startswith("... and ")]) and width > 50:
        assert sum(map(int, re.findall(r"(\d+) more", told[0]))) + len(rows) == 25
    if height > 7:
        assert "…" not in "".join(lines), "nothing is cut"
        assert told or len(rows) == 25
    if height == 24:
        assert sum(" training" in row for row in rows) == 3, "what runs is shown, wherever it stands"


def test_the_live_table_says_what_waits():
    lines = job_table(many_tracks(30, running=(0, 1)), METRIC, Screen(79, 24))
    assert re.fullmatch(r"\.\.\. and \d+ more waiting", lines[-3])
    assert " ".join(lines[-2:]) == f"0 of 30 trainings done; validation: {METRIC}"
    assert lines[0].split() == ["job", "state", "done", "speed", "time", "validation"]


def test_a_narrow_live_table_drops_columns_before_it_breaks_names_to_pieces():
    tracks = many_tracks(2, running=(0,))
    wide, narrow = (job_table(tracks, "PCK", Screen(width, 24))[0].split() for width in (79, 45))
    assert wide[1:] == ["state", "done", "speed", "time", "validation"]
    assert narrow[1:] == ["state", "done"]


def test_the_curve_of_a_resumed_job_has_the_epochs_before(jobs):
    job = jobs.jobs[0]
    for done, known in ((4, [10.0, 45.5, 30.0]), (3, [10.0, 45.5]), (1, [])):
        finished(job, (10.0, 45.5, 30.0), 2)  # epochs of one iteration
        shown = Display(Console(width=200, file=io.StringIO()), jobs, "PCK")
        shown.job_started(job)
        JobFolder.of(job.key).begin(job.name, "study", job.settings)  # as a job that goes on does
        shown.iteration(job, done, 9)
        shown.epoch(job, {"validation": 99.0})
        assert shown.tracks[job.key].validation == [*known, 99.0]


def test_the_curve_of_a_job_that_was_done_before_is_shown(jobs):
    job = jobs.jobs[0]
    finished(job, (10.0, 45.5), 2)
    shown = Display(Console(width=120, height=20, file=io.StringIO()), jobs, "PCK")
    shown.job_finished(job, State("done", cached=True))
    assert re.search(r"cached +▂█ 45\.5", drawn(shown.render(), 120))


def test_what_the_process_of_a_failed_job_printed_last_is_shown_and_not_obeyed(jobs):
    file = io.StringIO()
    shown = Display(Console(width=200, file=file), jobs, "PCK")
    shown.job_finished(jobs.jobs[0], State("failed", "its process was killed by SIGSEGV", printed=("one", "\x1b[2J")))
    first, *rest = file.getvalue().splitlines()
    assert first == f"{jobs.jobs[0].name}: failed: its process was killed by SIGSEGV"
    assert rest == ["    one", "    \\x1b[2J"]


def test_from_where_a_study_goes_on_is_told_by_its_checkpoints(jobs):
    assert goes_on(jobs) == "goes on; what is trained is kept"
    for job, place in zip(jobs.jobs, ((1, 1200), (0, 7)), strict=False):
        folder = JobFolder.of(job.key)
        folder.path.mkdir(parents=True)
        folder.keep_checkpoint(place, lambda path: path.write_bytes(b"x"))
    one, other = (job.name for job in jobs.jobs[:2])
    assert goes_on(jobs) == f"goes on from iteration 1,200 of {one}, iteration 7 of {other}"


class Resized(Console):
    """A console whose size is set."""

    def __init__(self):
        super().__init__(file=io.StringIO(), force_terminal=True)
        self.now = ConsoleDimensions(80, 24)

    @property
    def size(self):
        return self.now


def wiped(wiper, lines):
    """Draw lines of these widths; return how many rows are wiped before, beyond those that rich knows of."""
    wiper.drawing(lines)
    *before, _ = wiper.process_renderables([Control()])
    return str(before[0]).count("\x1b[1A") if before else 0


def test_what_a_narrower_terminal_wraps_is_wiped_once():
    console = Resized()
    wiper = Wiper(console)
    assert wiped(wiper, [80, 70, 30]) == 0
    console.now = ConsoleDimensions(40, 24)
    assert wiped(wiper, [40, 40]) == 2, "two of the three lines take two now"
    assert wiped(wiper, [40, 40]) == 0


def test_what_a_lower_terminal_pushed_out_is_wiped_when_it_comes_back():
    console = Resized()
    wiper = Wiper(console)
    wiped(wiper, [70] * 20)
    console.now = ConsoleDimensions(80, 12)
    assert (wiped(wiper, [70] * 10), wiper.above) == (0, 8)
    console.now = ConsoleDimensions(80, 15)
    assert (wiped(wiper, [70] * 13), wiper.above) == (3, 5)
    wiper.process_renderables([Text("a notice between them and the table")])
    assert wiper.above == 0


def test_work_that_is_dear_has_its_turn_more_seldom(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    turns, done = Turns(10, share=0.1), []

    def work():
        done.append(now[0])
        now[0] += 3

    for second in (5, 10, 20, 42, 43, 44):
        now[0] = second
        turns.take(work)
    assert done == [10, 43]


@pytest.mark.parametrize(
    ("delay", "number", "told"),
    [
        (0.4, signal.SIGINT, "kp: interrupted"),
        pytest.param(2.5, signal.SIGHUP, "kp: interrupted by SIGHUP", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_at_any_moment_is_a_line_and_no_traceback(tmp_path, tiny_study, tiny_mpii, delay, number, told):
    """Sent to the whole group, as a terminal does: to the workers too."""
    path = tmp_path / "study.toml"
    path.write_text(tiny_study.replace("epochs = 2", "epochs = 5000"))
    command = [sys.executable, "-m", "kpcore", "run", path, "--jobs", "2", "--set", f"dataset.root={tiny_mpii}"]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
        start_new_session=True,
    )  # fmt: skip
    time.sleep(delay)
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=60)
    assert "Traceback" not in out
    if number == signal.SIGHUP and process.returncode == -number:
        return  # a slow machine had not come to the command yet
    assert (process.returncode, out.splitlines()[-1].startswith(told)) == (128 + number, True)


@pytest.mark.parametrize(("call", "code"), [("", -signal.SIGINT), ("forget_interrupt()", 130)])
def test_an_interrupt_that_a_library_s_text_was_left_by_is_forgotten(tmp_path, call, code):
    """The first case is what Python does by itself: where it no longer does, the function is not needed."""
    lines = [
        "import sys", "from kpcore.cli import forget_interrupt", "try:", "    exec('raise KeyboardInterrupt')",
        "except KeyboardInterrupt:", "    pass", call, "sys.exit(130)",
    ]  # fmt: skip
    (tmp_path / "left.py").write_text("\n".join(lines))
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-m", "left"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == code


def test_a_study_in_full_has_the_components_own_defaults_and_the_same_jobs(jobs, tmp_path, tiny_study, tiny_mpii):
    """As ``kp config print`` prints it, and as a run's folder keeps it."""
    plain, full = tmp_path / "plain.toml", tmp_path / "full.toml"
    plain.write_text(tiny_study.replace('name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"'))
    spelt = in_full(resolve(plain, None, []), registry(), "plain.toml")
    full.write_text(to_toml(spelt.model_dump(mode="json")))
    assert (spelt.backbone.options["modules"], spelt.codec.options["decode"]) == (1, "quarter")
    assert spelt.modes["frozen"].options == {"norm": "eval"}
    opened = [open_study(registry(), path, notice=lambda text: None) for path in (plain, full)]
    one, other = (plan_study(study, choose_device("cpu", "fp32", 1)) for study in opened)
    assert [job.key for job in one.jobs] == [job.key for job in other.jobs]


def test_a_root_that_is_still_to_be_generated_is_not_asked_for(tmp_path):
    file = tmp_path / "people.toml"
    file.write_text(
        '[dataset]\nname = "people"\ngenerate = { name = "people", people = 30 }\n[split]\nname = "groups"\n'
        '[backbone]\nname = "hourglass"\n[codec]\nname = "heatmap"\n[datasets.other]\nname = "people"\n'
    )
    spelt = in_full(resolve(file, None, []), registry(), "people.toml")
    for table in (spelt.dataset, spelt.datasets["other"]):
        assert set(table.options) == {"dims"}
    assert spelt.dataset.generate.options["people"] == 30
    assert "clutter" in spelt.dataset.generate.options


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "channels = 8",
            "chanels = 8",
            r"plain.toml: backbone.chanels: unknown key 'chanels'; did you mean 'channels'",
        ),
        ('"frozen"', '"frozn"', r"plain.toml: study.modes: unknown strategy 'frozn'; did you mean 'frozen'"),
        ('name = "pck"\n', 'name = "pkc"\n', r"plain.toml: evaluation.validation.name: unknown metric 'pkc'"),
        ('name = "pck"\n', 'name = "nme"\n', r"missing; add the key 'normaliser', one of "),
    ],
)
def test_a_study_in_full_is_checked_as_a_run_checks_it(tmp_path, tiny_study, old, new, told):
    path = tmp_path / "plain.toml"
    path.write_text(tiny_study.replace(old, new))
    with pytest.raises(KpError, match=told):
        in_full(resolve(path, None, []), registry(), "plain.toml")


def test_only_a_full_disk_is_asked_whether_it_is_full():
    assert system_error(OSError(errno.ENOSPC, "No space left on device", "/a"), "x") == (
        "/a: No space left on device; free disk space"
    )
    assert system_error(OSError(errno.EDQUOT, "Disk quota exceeded"), "the cache").endswith("; free disk space")
    for number in (errno.EISDIR, errno.EEXIST, errno.ENOTDIR):
        assert "full" not in system_error(OSError(number, os.strerror(number), "/a"), "x")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")  # noqa: PTH110
def test_a_checkpoint_on_a_full_disk_is_the_systems_error(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught:
        write_state({"a": torch.zeros(1_000_000)}, Path("/dev/full"))
    assert caught.value.errno == errno.ENOSPC


def test_a_job_whose_checkpoint_finds_no_room_fails_in_one_line(tmp_path, tiny_study, tiny_mpii, monkeypatch, capsys):
    def full(state, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("kpcore.training.checkpoint.write_state", full)
    path = tmp_path / "study.toml"
    path.write_text(tiny_study.replace('["a", "d"]', '["d"]'))
    asked = ["run", path, "--jobs", "1", "--out", tmp_path / "out", "--set", f"dataset.root={tiny_mpii}"]
    assert kp.outcome(list(map(str, asked))) == 1
    out, err = capsys.readouterr()
    assert "No space left on device; free disk space" in " ".join(out.split())
    assert "Traceback" not in out + err
    assert list(cache_dir().rglob("*.partial")) == []


@pytest.mark.parametrize(
    ("place", "told"),
    [("out", "a file is in the way of the folder of results; give another --out"),
     ("out/results.json", "a folder is in the way of this file; move it, or give another --out")],
)  # fmt: skip
def test_what_is_in_the_way_of_results_is_named(tmp_path, place, told):
    if place == "out":
        (tmp_path / place).write_text("")
    else:
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(KpError, match=f"{re.escape(str(tmp_path / place))}: {re.escape(told)}"):
        make_folder(tmp_path / "out")


def test_a_job_that_is_a_plain_file_is_not_whole(tmp_path):
    path = tmp_path / ("a" * 64)
    path.write_text("hi")
    assert JobFolder(path).problem() == "is no folder"
    assert not JobFolder(path).done


def test_a_damaged_job_that_cannot_be_written_is_not_promised_to_be_trained_again(jobs, monkeypatch):
    job = jobs.jobs[0]
    finished(job, (1.0,), 1)
    text = damaged(jobs)
    assert text == [f"{job.name}: manifest.json is missing; its files are set aside, and it is trained again"]
    monkeypatch.setattr("kpcore.study.reasons.os.access", lambda path, mode: False)
    (text,) = damaged(jobs)
    assert "it cannot be trained again, because " in text
    assert "set aside" not in text


def test_the_cache_is_listed_with_short_titles_and_what_was_set_aside(tmp_path):
    path = tmp_path / "x.damaged"
    long = Entry("digests", "x", "/very/long" * 15 + "/file.h5", (tmp_path / "x",), 1, 0.0)
    assert (len(what(long)), what(long)[-8:], what(long)[:3]) == (50, "/file.h5", "...")
    assert what(replace(long, title="d-source-0", paths=(path,))) == "d-source-0 (and a damaged copy, set aside)"


def test_jobs_at_once_wait_for_their_sources():
    def cost(key, seconds, *sources):
        job = SimpleNamespace(key=key, waits_for=[SimpleNamespace(key=source) for source in sources])
        return SimpleNamespace(job=job, seconds=seconds)

    chain = [cost("s", 60.0), cost("t", 59.0, "s")]
    assert shortest(chain, 1) == shortest(chain, 2) == 119
    assert shortest([cost(name, 10.0) for name in "abcd"], 2) == 20
    assert shortest([*chain, cost("r", 300.0)], 4) == 300
    assert shortest([cost("s", 0.0), cost("t", 0.0, "s")], 2) == 0


def test_numbers_and_their_nouns():
    assert [counted(count, "row") for count in (0, 1, 2, 1716)] == ["0 rows", "1 row", "2 rows", "1,716 rows"]


def test_links_to_jobs_are_not_made_in_a_folder_that_is_elsewhere(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "jobs").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(KpError, match="jobs: is a link, and nothing is written through one"):
        link(tmp_path / "run" / "jobs" / "d-random-0", tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []
