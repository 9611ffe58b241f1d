"""Whole studies, small: dots at the joints of made-up people, in MPII's layout, through the real plugins."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from kpcore.cache import cache_dir
from kpcore.cli.app import outcome
from kpcore.config import read_toml
from kpcore.errors import KpError
from kpcore.records.results import Results
from kpcore.records.shown import read_shown
from kpcore.registry import registry
from kpcore.study import protocol
from kpcore.study.dag import plan_jobs
from kpcore.study.executors import Processes, Run, child
from kpcore.study.opening import open_study
from kpcore.training.device import choose_device
from kpcore.training.loop import JobError, Training
from kpcore.weights import fingerprint, load_weights


@pytest.fixture
def data(tiny_mpii):
    return tiny_mpii


@pytest.fixture
def study(tmp_path, monkeypatch, tiny_study):
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("KP_MPII_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(tiny_study)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_study, tiny_mpii):
    """The study run once, to the end, one job after another: its folder, with the cache in cache/. Read it only."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.toml").write_text(tiny_study)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_CACHE_DIR", str(folder / "cache"))
        patch.chdir(folder)
        assert run(folder / "study.toml", tiny_mpii) == 0
    torch.set_num_threads(threads)  # the job has set its own
    return folder / "runs" / "tiny"


@pytest.fixture
def finished(study, whole, monkeypatch):
    """The same study once more, where all of it is in the cache already."""
    monkeypatch.setenv("KP_CACHE_DIR", str(whole.parents[1] / "cache"))
    return study


def run(study: Path, data: Path, *more: str) -> int:
    return outcome(["run", str(study), "--set", f"dataset.root={data}", "--jobs", "1", *more])


def results(folder: Path = Path("runs/tiny")) -> Results:
    return Results.from_json((folder / "results.json").read_text())


def no_training(self, listener):
    raise AssertionError(f"trained again in {self.checkpoints.folder.path}")


def test_a_study_runs_to_its_tables_and_trains_each_source_once(whole):
    found = results(whole)
    assert [(row.split, row.mode, row.status) for row in found.rows] == [
        (split, mode, "done") for split in "ad" for mode in ("transfer", "frozen", "random")
    ]
    assert [job.name for job in found.jobs if job.step == 0] == ["a-source-0", "d-source-0"]
    assert len(found.jobs) == 8
    assert list(found.rows[0].columns) == ["elbow", "wrist", "knee", "ankle"]
    assert found.rows[0].convention == "PCKh@0.5 kptransfer"
    assert found.preset == "own"
    assert not found.data.sample
    assert found.data.people == {"train": 12, "valid": 6}
    for name in ("tables.md", "tables.tex", "tables.csv", "curves.csv", "curves.png", "study.toml", "timing.json"):
        assert (whole / name).stat().st_size > 0
    known = json.loads((whole / "evidence.json").read_text())
    assert [(table["split"], table["samples"]) for table in known["tables"]] == [("a", 6), ("d", 6)]
    assert "seconds" not in known["convergence"]["reached"][0]
    files = {path.name for path in (whole / "jobs" / "d-transfer-0").iterdir()}
    assert {"weights.safetensors", "history.jsonl", "predictions.h5", "plan.json", "manifest.json"} <= files
    assert not [name for name in files if name.startswith("checkpoint")]


def test_a_study_ends_with_a_page_that_says_nothing_of_this_machine(whole):
    page = (whole / "report/index.html").read_text()
    assert "Does a network that learned S1 learn S2 better" in page
    assert 'class="nothing"' not in page.split('id="gallery"')[0] and "could not show" not in page
    record = (whole / "report/shown.json").read_text()
    assert str(whole.parents[1]) not in page and str(whole.parents[1]) not in record
    shown = read_shown(whole / "report/shown.json")
    (person, *_) = shown.split("d").people
    assert {one.mode for one in person.predicted} == {"transfer", "random"}
    assert set(person.predicted[0].target) == set(results(whole).splits[1].steps[1])
    assert set(person.predicted[0].source) == set(results(whole).splits[1].steps[0])
    assert len(record) < 1_500_000


@pytest.mark.page
def test_an_equal_run_keeps_an_equal_record_for_its_page(finished, data, whole):
    assert run(finished, data) == 0
    for name in ("shown.json", "slices.h5"):
        there, here = whole / "report" / name, Path("runs/tiny/report") / name
        assert here.exists() == there.exists() and (not here.exists() or here.read_bytes() == there.read_bytes())


@pytest.mark.page
def test_a_page_that_cannot_be_drawn_costs_no_results(finished, data, whole, monkeypatch, capsys):
    def broken(folder, known):
        raise KpError("report: no room")

    monkeypatch.setattr("kpcore.report.page.write_page", broken)
    assert run(finished, data) == 0
    assert "No page: report: no room" in capsys.readouterr().out
    assert Path("runs/tiny/results.json").read_bytes() == (whole / "results.json").read_bytes()


def test_the_resolved_study_is_written_and_runs_from_the_cache(finished, whole, monkeypatch):
    monkeypatch.setattr(Training, "run", no_training)
    assert outcome(["run", str(whole / "study.toml"), "--out", "again", "--jobs", "1"]) == 0
    for name in ("results.json", "values.h5", "evidence.json"):
        assert Path("again", name).read_bytes() == (whole / name).read_bytes()


def test_the_same_command_again_trains_nothing(finished, data, whole, monkeypatch, capsys):
    monkeypatch.setattr(Training, "run", no_training)
    assert run(finished, data) == 0
    assert Path("runs/tiny/results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert "sample data" not in capsys.readouterr().out


def test_another_study_shares_the_sources_and_trains_only_what_is_missing(study, data):
    assert run(study, data, "--set", 'study.modes=["transfer"]', "--set", 'split.splits=["d"]') == 0
    before = {path.name for path in (cache_dir() / "jobs").iterdir()}
    assert len(before) == 2
    assert run(study, data, "--set", 'split.splits=["d"]', "--out", "more") == 0
    after = {path.name for path in (cache_dir() / "jobs").iterdir()}
    assert before < after
    assert len(after) == 4
    keys = {job.name: job.key for job in results(Path("more")).jobs}
    assert {keys["d-source-0"], keys["d-transfer-0"]} == before


def test_the_final_metric_is_not_trained_for(finished, data, whole, monkeypatch):
    monkeypatch.setattr(Training, "run", no_training)
    assert run(finished, data, "--set", "evaluation.metric.threshold=2.5", "--out", "kinder") == 0
    assert results(Path("kinder")).rows[0].convention == "PCKh@2.5 kptransfer"
    assert results(Path("kinder")).rows[0].average > results(whole).rows[0].average


def test_the_baseline_is_a_setting_of_the_study_and_needs_no_training(finished, data, whole, monkeypatch):
    assert results(whole).baseline == "random"  # the one that starts from nothing
    assert "vs random: the difference of the averages" in (whole / "tables.md").read_text()
    monkeypatch.setattr(Training, "run", no_training)
    assert run(finished, data, "--set", "study.baseline=frozen", "--out", "other") == 0
    assert results(Path("other")).baseline == "frozen"
    assert "vs frozen" in Path("other/tables.md").read_text()
    assert run(finished, data, "--set", 'study.modes=["frozen", "transfer"]', "--out", "none") == 0
    assert results(Path("none")).baseline == ""
    assert "difference of the averages" not in Path("none/tables.md").read_text()


def rows_of(folder, split):
    return [row for row in json.loads((folder / "results.json").read_text())["rows"] if row["split"] == split]


def same_as_whole(folder, whole):
    """Whether split d came out here as it did in the whole study: its rows, and every job's files byte by byte."""
    assert rows_of(folder, "d") == rows_of(whole, "d")
    for job in ("d-source-0", "d-transfer-0", "d-frozen-0", "d-random-0"):
        for name in ("weights.safetensors", "history.jsonl", "predictions.h5", "plan.json"):
            here, there = ((one / "jobs" / job / name).read_bytes() for one in (folder, whole))
            assert here == there, (job, name)
    return True


def test_a_cpu_study_is_repeatable_to_the_bit(study, data, whole):
    assert run(study, data, "--set", 'split.splits=["d"]') == 0
    assert same_as_whole(Path("runs/tiny"), whole)


def test_seeds_differ_in_weights_and_in_what_they_are_shown(finished, data, monkeypatch):
    """Each of the two alone would make the trained networks differ; both are asked for, where they are made."""
    seen = []

    def look(training, listener):
        seen.append((fingerprint(training.task.learner.network.state_dict()), training.task.stream.batch(0)))
        raise JobError("only looked at")

    monkeypatch.setattr(Training, "run", look)
    sets = ["study.seeds=[5, 6]", 'split.splits=["d"]', 'study.modes=["random"]']
    assert run(finished, data, *(word for one in sets for word in ("--set", one))) == 1
    (first, batch), (second, other) = seen
    assert first != second
    assert batch.rows.tolist() != other.rows.tolist()
    assert not torch.equal(batch.points, other.points)


def test_the_frozen_half_is_proved_unchanged(whole):
    plan = json.loads((whole / "jobs/d-frozen-0/plan.json").read_text())
    assert plan["frozen_hash"]["units"] == ["head0", "stage0", "stem"]
    assert plan["frozen_hash"]["before"] == plan["frozen_hash"]["after"]
    source = load_weights(whole / "jobs/d-source-0/weights.safetensors")
    target = load_weights(whole / "jobs/d-frozen-0/weights.safetensors")
    assert fingerprint(source) == plan["frozen_hash"]["after"]
    assert set(plan["tensors"]) == set(target)
    assert {name for name in target if plan["tensors"][name]["origin"] == "loaded"} == set(source)
    trained = json.loads((whole / "jobs/d-transfer-0/plan.json").read_text())
    assert trained["frozen_hash"] == {"units": [], "before": None, "after": None}


def test_moving_statistics_of_a_frozen_half_are_told(finished, data):
    more = ["--set", 'split.splits=["d"]', "--set", 'study.modes=["frozen"]', "--set", 'modes.frozen.norm="train"']
    assert run(finished, data, *more) == 0
    plan = json.loads(Path("runs/tiny/jobs/d-frozen-0/plan.json").read_text())
    assert plan["frozen_norm"] == "train"
    assert plan["frozen_hash"]["before"] != plan["frozen_hash"]["after"]


def test_a_failed_source_takes_only_its_dependants_with_it(study, data, monkeypatch, capfd):
    real = protocol.train

    def train(job, *rest):
        if job.name == "d-source-0":
            raise JobError("the loss is nan in epoch 1; lower training.optimizer.learning_rate")
        return real(job, *rest)

    monkeypatch.setattr(protocol, "train", train)
    assert run(study, data, "--set", 'split.splits=["d"]') == 1
    status = {row.mode: (row.status, row.reason) for row in results().rows}
    assert status["random"] == ("done", "")
    assert status["transfer"] == ("failed", "its source d-source-0 failed")
    assert "d-source-0: the loss is nan" in capfd.readouterr().err.replace("\n", " ")
    monkeypatch.setattr(protocol, "train", real)
    assert run(study, data, "--set", 'split.splits=["d"]') == 0
    assert {row.status for row in results().rows} == {"done"}


def test_an_interrupted_study_goes_on_and_ends_the_same(study, data, whole, monkeypatch):
    real = Training._epoch

    def stop_in_the_second_epoch(self, epoch, listener):
        if epoch == 1:
            raise KeyboardInterrupt
        real(self, epoch, listener)

    monkeypatch.setattr(Training, "_epoch", stop_in_the_second_epoch)
    assert run(study, data, "--set", 'split.splits=["d"]') == 130
    monkeypatch.setattr(Training, "_epoch", real)
    assert run(study, data, "--set", 'split.splits=["d"]') == 0
    assert same_as_whole(Path("runs/tiny"), whole)


def test_a_folder_never_shows_two_studies_as_one(finished, data, monkeypatch):
    """Stopped after other settings were taken: what the earlier study left is not mistaken for this one's."""
    only = ("--set", 'split.splits=["d"]')
    assert run(finished, data, *only) == 0
    folder = Path("runs/tiny")
    before = {place.name: place.readlink() for place in (folder / "jobs").iterdir()}
    assert (folder / "tables.md").exists()

    def stop(self, listener):
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "run", stop)
    assert run(finished, data, *only, "--set", "training.epochs=3") == 130
    assert {row.status for row in results().rows} == {"pending"}
    assert not (folder / "tables.csv").exists() or "pending" in (folder / "tables.csv").read_text()
    after = {place.name: place.readlink() for place in (folder / "jobs").iterdir()}
    assert not set(before.values()) & set(after.values())
    assert run(finished, data, *only) == 0  # as it was, from the cache
    assert {place.name: place.readlink() for place in (folder / "jobs").iterdir()} == before
    assert (folder / "tables.md").exists()


def test_jobs_at_once_give_the_same_results_as_one_after_another(study, data, whole):
    both = ["run", str(study), "--set", f"dataset.root={data}", "--set", 'split.splits=["d"]', "--jobs", "2"]
    assert outcome(both) == 0
    assert same_as_whole(Path("runs/tiny"), whole)


class Quiet:
    """An observer of jobs that has nothing to say."""

    def preparing(self, done, total): ...
    def notice(self, text): ...
    def iteration(self, job, done, total): ...
    def epoch(self, job, record): ...


@pytest.mark.slow
def test_a_job_outlives_one_process_and_not_two(study, data, monkeypatch):
    """The first falls silent and is killed for it, the second is killed; the third takes other jobs."""
    opened = open_study(registry(), study, None, [f"dataset.root={data}", 'split.splits=["d"]', "training.epochs=9999"])
    device = choose_device("cpu", "fp32", 1)
    plan = plan_jobs(opened, device)
    told, done = [], []

    class Watching(Quiet):
        def notice(self, text):
            told.append(text)
            monkeypatch.setattr(child, "SILENCE", 600.0)

        def epoch(self, job, record):
            (worker,) = pool.workers
            done.append(record["epoch"])
            if len(done) == 3:
                os.kill(worker.process.pid, signal.SIGSTOP)
                monkeypatch.setattr(child, "SILENCE", 0.2)
            if len(done) == 6:
                worker.process.kill()

    monkeypatch.setattr(child, "BEAT", 0.1)
    with Processes(1).open(Run(opened, plan, device, plan.jobs, Watching())) as pool:
        (first,) = pool.workers
        pool.start(plan.jobs[0])
        job, state = pool.wait()
        (last,) = pool.workers if pool.workers else (None,)
    assert job is plan.jobs[0] and last is None
    assert told == [
        f"d-source-0: worker 1 (process {first.process.pid}) gave no sign of life for 0.00333333 minutes and was"
        " killed; another takes it up from its last checkpoint, if any"
    ]
    assert done[3] in (done[2], done[2] + 1), "from the last checkpoint, not from the start"
    assert state.status == "failed"
    assert state.reason.startswith("its process was killed by SIGKILL, and one before it had ended early too; 'kp run'")


def test_held_out_people_of_train_choose_the_epoch(study, data):
    more = ["--set", 'training.select_on="held_out"', "--set", "training.held_out=0.4", "--set", 'split.splits=["d"]']
    assert run(study, data, *more) == 0
    assert {row.status for row in results().rows} == {"done"}


def test_the_plan_trains_nothing_and_counts(study, data, capsys):
    assert run(study, data, "--plan") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "8 trainings, 2 saved because jobs share their source" in text
    assert not (cache_dir() / "jobs").exists()
    assert not Path("runs").exists()


def test_threads_precision_and_seed_are_in_the_key_but_the_file_s_spelling_is_not(study, data):
    def keys(*sets: str) -> set[str]:
        opened = open_study(registry(), study, None, [f"dataset.root={data}", *sets])
        training = opened.config.training
        return {job.key for job in plan_jobs(opened, choose_device("cpu", training.precision, training.threads)).jobs}

    plain = keys()
    assert keys() == plain
    assert keys('codec.decode="quarter"') == plain  # the default, spelt out
    assert keys("evaluation.metric.threshold=0.1") == plain
    for change in ("training.threads=2", "study.seeds=[1]", 'training.precision="bf16"', "training.epochs=3"):
        assert not keys(change) & plain


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (["training.batchsize=3"], "training.batchsize: unknown key 'batchsize'; did you mean 'batch_size'?"),
        (["codec.sigmas=3"], "codec.sigmas: unknown key 'sigmas'; did you mean 'sigma'?"),
        (['backbone.name="hourglas"'], "backbone.name: unknown backbone 'hourglas'; did you mean 'hourglass'?"),
        (['dataset.name="mpi"'], "unknown dataset 'mpi'; did you mean 'mpii'?"),
        (['study.modes=["transfr"]'], "study.modes: unknown strategy 'transfr'; did you mean 'transfer'?"),
        (['split.splits=["e"]'], "unknown split 'e'"),
        (["backbone.stages=[4, 2]"], "a source network is larger than the network it goes into"),
        (["backbone.stages=[2, 2]"], ""),
        (["training.resolution=36"], "training.resolution = 36: backbone 'hourglass' takes multiples of 8 pixels"),
        (["modes.frozn.norm=true"], "[modes.frozn] is not in study.modes; did you mean 'frozen'?"),
        (['training.precision="fp16"'], "needs a GPU"),
        (
            ['split.name="explicit"', 'split.sets.x.steps=[["r_wrist"], ["knee"]]'],
            "'r_wrist' is there without its mirror partner 'l_wrist'; add it, or turn mirroring off",
        ),
        (
            ['split.name="explicit"', 'split.sets.x.steps=[["rwrist"], ["knee"]]'],
            "unknown keypoint or group 'rwrist'; did you mean 'r_wrist'?",
        ),
    ],
)
def test_wrong_settings_are_told_in_one_line(study, data, capfd, sets, told):
    code = run(study, data, "--plan", *(word for one in sets for word in ("--set", one)))
    lines = capfd.readouterr().err.strip().splitlines()
    if told:
        assert code == 2
        assert len(lines) == 1
        assert told in lines[0]
        assert not (cache_dir() / "jobs").exists()
    else:
        assert code == 2  # frozen mode has nothing to train where no stage is added
        assert "frozen mode needs new stages at every step" in lines[0]


def test_no_root_is_told_with_the_ways_to_give_one(study, capfd):
    assert outcome(["run", str(study)]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "KP_MPII_ROOT" in line


def test_a_configured_root_that_is_not_there_is_an_error(study, capfd, monkeypatch):
    assert outcome(["run", str(study), "--set", "dataset.root=nowhere", "--set", 'dataset.when_missing="sample"']) == 2
    assert "nowhere" in capfd.readouterr().err
    monkeypatch.setenv("KP_MPII_ROOT", "nowhere-else")
    assert outcome(["run", str(study), "--set", 'dataset.when_missing="sample"']) == 2
    assert "nowhere-else" in capfd.readouterr().err


def test_root_and_generate_together_are_refused(study, data, capfd):
    assert run(study, data, "--set", 'dataset.generate.name="people"') == 2
    assert "dataset.root and dataset.generate are both set" in capfd.readouterr().err


def test_a_damaged_image_is_found_before_training(study, data, tmp_path, capfd):
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    path = broken / "images" / "train3.png"
    path.write_bytes(path.read_bytes()[:60])
    assert run(study, broken) == 2
    assert "train3.png" in capfd.readouterr().err
    assert not (cache_dir() / "jobs").exists()
    assert not list((cache_dir() / "stores").glob("*.h5"))


def test_a_wrong_profile_shows_before_it_is_asked_for(study, data):
    study.write_text(study.read_text() + "\n[profiles.typo.training]\nepoch = 3\n")
    with pytest.raises(KpError, match=r"profiles\.typo\.training\.epoch: unknown key 'epoch'; did you mean 'epochs'"):
        open_study(registry(), study, None, [f"dataset.root={data}"])


def test_a_profile_names_the_preset(study, data):
    assert run(study, data, "--profile", "brief", "--set", 'split.splits=["d"]') == 0
    assert results().preset == "brief"
    assert run(study, data, "--set", "training.epochs=1", "--set", 'split.splits=["d"]', "--out", "set") == 0
    assert results(Path("set")).preset == "own, changed: training.epochs"
    assert read_toml(Path("runs/tiny/study.toml"))["training"]["epochs"] == 1


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_study(study, data):
    sets = ["--set", f"dataset.root={data}", "--set", 'split.splits=["d"]', "--set", "training.epochs=100000"]
    sets += ["--set", "training.early_stopping=false", "--jobs", "2"]
    main = subprocess.Popen(
        [sys.executable, "-m", "kpcore", "run", str(study), *sets],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 240
        while not trained_on() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert trained_on()
        main.kill()
        main.wait()
        while alive(main.pid) and time.monotonic() < deadline + 10:
            time.sleep(0.2)
        assert not alive(main.pid)
    finally:
        if alive(main.pid):
            os.killpg(main.pid, signal.SIGKILL)


def trained_on() -> bool:
    """Whether some job has ended an epoch."""
    return any((cache_dir() / "jobs").glob("*/checkpoint-*.pt"))


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_metric_that_does_not_fit_the_keypoints_is_said_before_training(study, data):
    """Otherwise every job would train an epoch and fail."""
    sets = [f"dataset.root={data}", "evaluation.metric.convention=mpii-unweighted"]
    with pytest.raises(KpError, match=r"evaluation\.metric: split 'a', S2: .*needs keypoints that are not scored"):
        open_study(registry(), study, None, sets, lambda _: None)
