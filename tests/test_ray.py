"""Studies on a Ray cluster of two nodes, of which one is killed: every file as by one worker of one machine."""

import importlib.util
import os
import signal
import subprocess
import sys
import time

import pytest
import ray_nodes
from kills import CHECKPOINT, Place, differing, make_place, wait_for, whole_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed; .ci/run has it"),
]
ITERATIONS = 100
"""Of an epoch, so that it takes longer than a checkpoint every 0.3 s."""
MINUTES = 0.005


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study by one worker of this machine."""
    place = make_place(tmp_path_factory.mktemp("whole") / "study", ITERATIONS, 5)
    whole_run(place)
    return place


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Make two nodes, each with a cache of its own or without."""
    for name, value in ray_nodes.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KP_CACHE_DIR")  # which a node would take for its own
    return ray_nodes.two_nodes


def own(name, folder):
    """Return the variable of a node that has a cache of its own."""
    return f"KP_CACHE_DIR={folder / name}"


def there(folder, place):
    """Return the jobs that have a checkpoint inside an epoch in that cache, and one in this."""
    inside = {
        path.parent.name
        for path in folder.glob("*/checkpoint-*")
        if int(CHECKPOINT.fullmatch(path.name)[1]) % ITERATIONS
    }
    return inside & {path.parent.name for path in place.checkpoints()}


def on_ray(folder, nodes):
    return make_place(folder, ITERATIONS, MINUTES, ("--executor", "ray", "--address", nodes.address))


def ended(process):
    out, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, out
    assert "(raylet)" not in out and "Traceback" not in out, out
    return " ".join(out.split())


def test_a_node_that_is_killed_costs_nothing_where_files_travel(tmp_path, cluster, whole):
    with cluster(own("first", tmp_path), own("second", tmp_path)) as nodes:
        place = on_ray(tmp_path / "study", nodes)
        process = place.start(2)
        assert wait_for(lambda: there(tmp_path / "second" / "jobs", place), process, 1200)
        nodes.kill_second()
        out = ended(process)
    assert "files are sent and fetched through Ray" in out
    assert "gets 2 of the prepared stores" in out
    assert "another takes it up from its last checkpoint, if any" in out
    assert differing(place, whole) == []


def test_a_node_that_is_killed_costs_nothing_where_a_cache_is_shared(tmp_path, cluster, whole):
    with cluster("-", "-") as nodes:
        place = on_ray(tmp_path / "study", nodes)
        process = place.start(2)
        assert wait_for(lambda: len(there(place.jobs, place)) == 2, process, 1200)  # one on each node
        nodes.kill_second()
        out = ended(process)
    assert "in this cache, which it sees" in out
    assert "another takes it up from its last checkpoint, if any" in out
    assert differing(place, whole) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_study_that_is_stopped_has_its_checkpoints_and_goes_on_without_the_cluster(tmp_path, cluster, whole, number):
    with cluster(own("first", tmp_path), own("second", tmp_path)) as nodes:
        place = on_ray(tmp_path / "study", nodes)
        process = place.start(2)
        assert wait_for(place.checkpoints, process, 1200)
        time.sleep(0.5)
        os.kill(process.pid, number)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + number, out
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert f"kp: interrupted{by}; the same command goes on from iteration" in " ".join(out.split())
    assert place.checkpoints()
    local = Place(place.folder, place.minutes)
    whole_run(local, 2)
    assert differing(local, whole) == []


def test_a_machine_that_lacks_the_data_says_so_and_gets_no_jobs(tmp_path, cluster, tiny_mpii, tiny_study, monkeypatch):
    (tmp_path / "study.toml").write_text(tiny_study)
    monkeypatch.setenv("KP_MPII_ROOT", str(tiny_mpii))
    sets = ['split.splits=["d"]', 'study.modes=["random"]', "training.epochs=1"]
    with cluster("-", f"KP_MPII_ROOT={tmp_path / 'nowhere'}") as nodes:
        words = ["--executor", "ray", "--address", nodes.address, *(word for one in sets for word in ("--set", one))]
        command = [sys.executable, "-m", "kpcore", "run", "study.toml", *words]
        environment = {**os.environ, "KP_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    said = "".join(done.stdout.split())  # lines are broken at 80 columns
    refused = f"KP_MPII_ROOT: {tmp_path / 'nowhere'} is not a folder; it should hold images/ and MPII's annotation"
    assert said.count("itgetsnojobs") == 1
    assert f"{refused}; it gets no jobs".replace(" ", "") in said
    assert said.index("itgetsnojobs") < said.index("d-random-0:done")


def test_this_machine_alone_is_a_cluster_too(tmp_path, monkeypatch, whole):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    place = make_place(tmp_path / "study", ITERATIONS, 5, ("--executor", "ray"))
    process = place.start(2)
    assert "in this cache, which it sees" in ended(process)
    assert differing(place, whole) == []
