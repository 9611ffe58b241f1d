"""Jobs that wait: sources first, and what another process trains is left to it."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from kpcore.records.folder import JobFolder
from kpcore.study import queue as module
from kpcore.study.executors import State
from kpcore.study.queue import Queue

HOLD = """
import sys
from kpcore.records.folder import JobFolder
with JobFolder.of(sys.argv[1]).locked(print):
    print("held", flush=True)
    sys.stdin.readline()
"""


@dataclass(frozen=True)
class Job:
    """What the queue asks of one."""

    key: str
    sources: tuple = ()

    @property
    def name(self):
        return f"job {self.key[0]}"

    @property
    def waits_for(self):
        return self.sources


SOURCE, OTHER = Job("a" * 64), Job("b" * 64)
TARGET = Job("c" * 64, (SOURCE,))


def test_sources_come_first_and_what_failed_takes_its_own_along():
    states = {}
    queue = Queue([SOURCE, TARGET, OTHER], states, print)
    assert [queue.next(), queue.next(), queue.next(), bool(queue)] == [SOURCE, OTHER, None, True]
    assert queue.lost() is None
    states[SOURCE.key] = State("failed", "why")
    assert queue.lost() == (TARGET, "its source job a failed")
    assert not queue


@pytest.fixture
def holder():
    """A process that holds the source's lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, SOURCE.key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_what_another_process_trains_is_left_to_it(holder, monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    queue = Queue([SOURCE, TARGET, OTHER], {}, said.append)
    assert queue.next() == OTHER
    assert [queue.next(), queue.next()] == [None, None]
    assert said == [f"job a: process {holder.pid} trains it; its result is waited for"]
    holder.kill()
    holder.wait()
    assert queue.next() is None, "it is looked at again only after a while"
    now[0] += module.LOOK
    assert queue.next() == SOURCE
    assert len(said) == 1


@pytest.mark.slow
def test_two_runs_of_one_study_train_everything_once(tmp_path, monkeypatch, tiny_study, tiny_mpii):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KP_CACHE_DIR", "cache")
    text = tiny_study.replace('name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"')
    (tmp_path / "study.toml").write_text(text.replace("epochs = 2", "epochs = 20"))
    command = [sys.executable, "-m", "kpcore", "run", "study.toml", "--jobs", "1", "--out"]
    runs = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in ("one", "two")
    ]
    said = [run.communicate(timeout=900)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two")]
    assert results[0] == results[1]
    trained = [" ".join(text.split()).count(": done in ") for text in said]
    assert sum(trained) == len(results[0]["jobs"]), (trained, said)
    assert any("trains it; its result is waited for" in " ".join(text.split()) for text in said)
    assert not list((tmp_path / "cache").rglob("*.partial*"))
    assert all(JobFolder.of(job["key"]).done for job in results[0]["jobs"])
