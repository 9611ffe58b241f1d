"""Single jobs of a study: what they are called, how they are trained, and that a whole study is made of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kpcore.cache import cache_dir
from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.records.folder import JobFolder
from kpcore.study import some
from kpcore.study.some import await_sources, chosen, stages
from kpcore.training.loop import Training

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "many-machines.md"
SETS = ("--set", "split.splits=['d']", "--set", "study.modes=['transfer', 'random']", "--set", "training.epochs=1")


@pytest.fixture
def study(tmp_path, monkeypatch, tiny_study, tiny_mpii):
    monkeypatch.setenv("KP_MPII_ROOT", str(tiny_mpii))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(tiny_study)
    return path


def run(*words):
    return outcome(["run", "study.toml", *SETS, *words])


def keys():
    """Return name -> key of what the cache holds."""
    found = [path for path in cache_dir().glob("jobs/*") if JobFolder(path).done]
    return {JobFolder(path).about()["title"]: path.name for path in found}


def test_a_study_is_made_of_jobs_that_were_trained_one_by_one(study, monkeypatch, capsys):
    assert run("--plan", "--names") == 0
    assert capsys.readouterr().out == "0\td-source-0\n0\td-random-0\n1\td-transfer-0\n"
    assert run("--job", "d-transfer-0") == 2
    assert "its source d-source-0 is not in the cache" in (line := capsys.readouterr().err)
    assert "run --job d-source-0 first" in line and line.count("\n") == 1
    assert run("--job", "d-source-0") == 0
    assert "In the cache: 1 of the study's 3 trainings" in capsys.readouterr().out
    assert run("--job", "d-transfer-0", "--job", "d-random-0", "--jobs", "1") == 0
    assert "Of these, into the cache and no further: d-transfer-0, d-random-0" in capsys.readouterr().out
    assert not Path("runs").exists()
    assert run("--plan", "--names") == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(Training, "run", None)  # nothing is trained any more
    assert run("--job", keys()["d-random-0"][:6]) == 0
    assert "d-random-0: was in the cache" in capsys.readouterr().out
    assert run() == 0
    rows = json.loads(Path("runs/tiny/results.json").read_text())["rows"]
    assert [(row["mode"], row["status"]) for row in rows] == [("transfer", "done"), ("random", "done")]


def test_a_job_that_fails_is_a_line_and_leaves_the_others_alone(study, monkeypatch, capsys):
    def broken(self, listener):
        raise MemoryError

    monkeypatch.setattr(Training, "run", broken)
    assert run("--job", "d-source-0", "--job", "d-transfer-0", "--jobs", "1") == 1
    assert "d-transfer-0: failed: its source d-source-0 failed" in capsys.readouterr().out
    assert not keys() and not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--job", "d-sorce-0"), "--job: unknown job 'd-sorce-0'; did you mean 'd-source-0'?"),
        (("--names",), "write --plan --names"),
        (("--job", "d-source-0", "--plan"), "--plan trains nothing"),
        (("--job", "d-source-0", "--out", "there"), "--out: --job trains into the cache"),
    ],
)
def test_what_does_not_go_together_is_a_line(study, capsys, words, said):
    assert run(*words) == 2
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1


class Job:
    """What these functions ask of one."""

    def __init__(self, name, key, *sources):
        self.name, self.key, self.sources, self.waits_for = name, key * 64, sources, sources


def plan(*jobs):
    return type("Plan", (), {"jobs": jobs})


def test_a_job_is_found_by_its_name_or_the_beginning_of_its_key():
    first, second = Job("a", "b"), Job("abcdef", "c")
    second.key = "bbbbbbb" + "c" * 57
    jobs = plan(first, second)
    assert chosen(jobs, ["a"]) == (first,)
    assert chosen(jobs, ["bbbbbbbc", "a"]) == (first, second)
    for name, said in (("bbbbbb", "begins the keys of a and abcdef"), ("bbbbb", "unknown job"), ("", "unknown job")):
        with pytest.raises(KpError, match=said):
            chosen(jobs, [name])


def test_a_stage_comes_after_all_that_its_jobs_wait_for():
    source = Job("s", "a")
    middle = Job("m", "b", source)
    last = Job("l", "c", source, middle)
    assert list(stages(plan(source, middle, last, Job("r", "d"))).values()) == [0, 1, 2, 0]


def test_a_source_that_another_process_trains_is_waited_for(monkeypatch):
    source = Job("s", "a")
    turns, told = iter([False, False, True]), []
    monkeypatch.setattr(JobFolder, "done", property(lambda self: next(turns)))
    monkeypatch.setattr(JobFolder, "owner", lambda self: "process 4711 on host")
    monkeypatch.setattr(some, "LOOK", 0.0)
    await_sources([Job("t", "b", source)], told.append)
    assert told == ["t: waits for s, which process 4711 on host trains"]
    await_sources([source, Job("t", "b", source)], told.append)  # trained by this very run
    assert len(told) == 1


# SLURM

SBATCH = """#!/bin/bash
# Runs an array's tasks one after the other, here and now.
echo "$@" >> sbatch.log
array=1-1
while [[ $1 == --* ]]; do
    [[ $1 == --array=* ]] && array=${1#*=}
    shift
done
for task in $(seq ${array/-/ }); do
    SLURM_ARRAY_TASK_ID=$task bash "$@" >> kp.log 2>&1 || exit 1
done
echo 4711
"""


def executable(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.slow
def test_the_scripts_of_the_how_to_make_a_study(study, tmp_path):
    scripts = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name, text in zip(("submit.sh", "train.sh", "results.sh"), scripts, strict=True):
        Path(name).write_text(text)
    study.write_text(study.read_text().replace('["transfer", "frozen", "random"]', '["transfer", "random"]'))
    study.write_text(study.read_text().replace('["a", "d"]', '["d"]'))
    executable(tmp_path / "bin" / "kp", f'#!/bin/bash\nexec {sys.executable} -m kpcore "$@"\n')
    executable(tmp_path / "bin" / "sbatch", SBATCH)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    found = subprocess.run(["bash", "submit.sh", "study.toml"], env=env, capture_output=True, text=True)
    log = Path("kp.log").read_text()
    assert found.returncode == 0, found.stderr + log
    (lists,) = (path for path in Path("slurm").iterdir() if path.is_dir())
    kill = "--kill-on-invalid-dep=yes"
    assert Path("sbatch.log").read_text().splitlines() == [
        f"--parsable {kill} --array=1-2 train.sh study.toml {lists}/stage-0.txt",
        f"--parsable {kill} --dependency=afterok:4711 --array=1-1 train.sh study.toml {lists}/stage-1.txt",
        f"{kill} --dependency=afterok:4711 results.sh study.toml",
    ]
    assert re.findall(r"(\S+): done in", log) == ["d-source-0", "d-random-0", "d-transfer-0"]
    assert "3 in the cache" in " ".join(log.rpartition("Written to")[0].split())
    rows = json.loads(Path("runs/tiny/results.json").read_text())["rows"]
    assert [(row["mode"], row["status"]) for row in rows] == [("transfer", "done"), ("random", "done")]
