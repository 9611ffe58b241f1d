"""Trainings on other machines, without any: what travels, what machines are asked, who is given what, what is said.

Ray itself is in test_ray.py; the pool here has a Ray of a few lines, whose machines do as each test says.
"""

import hashlib
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kpcore.cache import cache_dir
from kpcore.cli.app import outcome
from kpcore.cli.places import Places, check_names
from kpcore.errors import KpError
from kpcore.records.folder import CHECKPOINT, HISTORY, MANIFEST, JobFolder
from kpcore.registry import registry
from kpcore.study.dag import plan_jobs
from kpcore.study.executors import Run, State, processes
from kpcore.study.executors.child import Child
from kpcore.study.executors.cluster import connect, nodes, pool
from kpcore.study.executors.cluster.depot import Depot
from kpcore.study.executors.cluster.hand import Hand, Task
from kpcore.study.executors.cluster.machines import check_device, slots
from kpcore.study.executors.cluster.nodes import Node
from kpcore.study.executors.cluster.parcels import newest_checkpoint, pack, pack_checkpoint, unpack
from kpcore.study.executors.cluster.stores import Keeper
from kpcore.study.executors.interface import Order, lost_twice
from kpcore.study.executors.processes import Processes, Workers, least_used
from kpcore.study.opening import open_study
from kpcore.training.device import Device

CPU = Device(torch.device("cpu"), "fp32", 1)
GPUS = [Device(torch.device(f"cuda:{number}"), "fp32", 1) for number in range(3)]
KEY = "a" * 64


def job(name, *before):
    key = hashlib.sha256(name.encode()).hexdigest()
    return SimpleNamespace(key=key, name=name, waits_for=before, sources=before, datasets=())


def done(one, text="weights"):
    """Make a job's folder in the cache as a training leaves it."""
    folder = JobFolder.of(one.key)
    folder.begin(one.name, "study", {})
    folder.weights.write_text(text)
    folder.seal()
    return folder


def keep(folder, behind, content=b"state"):
    folder.path.mkdir(parents=True, exist_ok=True)
    return folder.keep_checkpoint(behind, lambda path: path.write_bytes(content + str(behind).encode())).name


def node(key="n1", shared=False, slots=1):
    answer = {"problem": "", "host": f"host-{key}", "cache": "/there", "shared": shared, "most": slots}
    return Node(key, "10.0.0.1", slots, answer)


# What travels


def test_a_job_s_files_arrive_whole_and_its_manifest_last(tmp_path, monkeypatch):
    one = job("one")
    parcel = pack(done(one))
    assert set(parcel) == {"job.json", "weights.safetensors", MANIFEST}
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "elsewhere"))
    placed = []
    from kpcore.study.executors.cluster import parcels

    put = parcels.put
    monkeypatch.setattr(parcels, "put", lambda path, *more, **how: placed.append(path.name) or put(path, *more, **how))
    keep(JobFolder.of(one.key), (1, 9))
    unpack(parcel, JobFolder.of(one.key))
    assert placed[-1] == MANIFEST
    assert JobFolder.of(one.key).done
    assert not newest_checkpoint(JobFolder.of(one.key))


def test_a_job_that_is_not_done_is_not_sent():
    with pytest.raises(KpError, match="the job is not done there"):
        pack(JobFolder.of(KEY))


@pytest.mark.parametrize("name", ["../x", "a/b", ".lock", "", "..", "/etc/x", "a\\b", "x\n", "-x", "checkpoint-1.pt"])
def test_a_file_of_another_name_is_not_taken(name):
    folder = JobFolder.of(KEY)
    with pytest.raises(KpError):
        unpack({"job.json": b"{}", name: b""}, folder)
    assert not folder.path.exists()


def test_the_newest_checkpoint_travels_and_the_one_before_it_stays(tmp_path, monkeypatch):
    there, names = JobFolder(tmp_path / "there"), []
    here = JobFolder.of(KEY)
    for behind in ((0, 5), (0, 10), (1, 12)):
        names.append(keep(there, behind))
        assert newest_checkpoint(there) == names[-1]
        there.write_history([{"epoch": 1}])
        unpack(pack_checkpoint(there, names[-1]), here)
    assert {path.name for path in here.path.glob("checkpoint-*")} == set(names[-2:])
    assert (here.path / HISTORY).exists()
    assert pack_checkpoint(there, names[0]) == {}  # a newer one has its place
    torn = pack_checkpoint(there, names[-1]) | {names[-1]: b"state("}
    with pytest.raises(KpError, match="did not arrive as it was written"):
        unpack(torn, here)


def test_a_store_comes_in_pieces_and_is_nothing_until_it_is_whole(tmp_path, monkeypatch):
    name, pieces = f"{KEY}.h5", [b"one", b"two"]
    keeper = Keeper(str(tmp_path / "there"))
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "there"))
    assert keeper.lacking([name]) == [name]
    for piece in pieces:
        keeper.take(name, piece)
    with pytest.raises(KpError, match="did not arrive as they were sent"):
        keeper.finish(name, "0" * 64, b"{}")
    assert keeper.lacking([name]) == [name] and not list((tmp_path / "there" / "stores").glob("*"))
    for piece in pieces:
        keeper.take(name, piece)
    keeper.finish(name, hashlib.sha256(b"onetwo").hexdigest(), b'{"title": "t"}')
    assert (tmp_path / "there" / "stores" / name).read_bytes() == b"onetwo"
    assert keeper.lacking([name]) == []
    with pytest.raises(KpError, match="no store has such a name"):
        keeper.take("../../x.h5", b"")


def test_a_job_that_is_trained_elsewhere_is_locked_here_and_its_sources_are_sent_once():
    source = job("source")
    target = job("target", source)
    done(source)
    depot, far = Depot(print), node()
    assert depot.hold(target, far)
    assert JobFolder.of(target.key).owner()
    assert not Depot(print).hold(target, far), "another has it"
    name = keep(JobFolder.of(target.key), (0, 3))
    files = depot.give(target, far)
    assert set(files) == {source.key, target.key} and name in files[target.key]
    far.has.add(source.key)
    assert set(depot.give(target, far)) == {target.key}
    assert depot.give(target, node(shared=True)) == {}
    assert depot.hold(target, node(shared=True)), "there the worker locks it itself"
    assert not JobFolder.of(target.key).owner()


def test_what_a_machine_sends_back_counts_when_it_is_whole_here():
    one, told = job("one"), []
    parcel = pack(done(one))
    depot, far = Depot(told.append), node()
    done(one, "older")
    assert depot.take(one, State("done"), parcel, far) == State("done")
    assert JobFolder.of(one.key).weights.read_text() == "weights"
    assert one.key in far.has
    broken = depot.take(one, State("done"), parcel | {"weights.safetensors": b"other"}, far)
    assert broken == State("failed", "its files did not arrive whole from node host-n1 (10.0.0.1)")
    bad = depot.take(one, State("done"), {"../x": b""}, far)
    assert bad.status == "failed" and "the training is kept on node host-n1" in bad.reason
    assert depot.take(one, State("failed", "why"), {"error.txt": b"trace"}, far).reason == "why"
    assert (JobFolder.of(one.key).path / "error.txt").read_bytes() == b"trace"
    assert not told


# What machines are asked


def asking(cache, token="t"):
    return {"cache": str(cache), "marker": ".seen-1", "token": token}


def test_a_cache_is_shared_where_the_marker_is_seen_in_it(tmp_path, monkeypatch):
    here, own = tmp_path / "here", tmp_path / "own"
    here.mkdir()
    (here / ".seen-1").write_text("t")
    monkeypatch.delenv("KP_CACHE_DIR")
    assert nodes.find_cache(asking(here)) == (str(here), True)
    place, shared = nodes.find_cache(asking(here, token="of another run"))
    assert not shared and place != str(here)
    monkeypatch.setenv("KP_CACHE_DIR", str(own))  # what the machine itself says goes before
    assert nodes.find_cache(asking(here)) == (str(own), False)
    own.symlink_to(here)
    assert nodes.find_cache(asking(here)) == (str(own), True)


def test_a_process_elsewhere_has_the_settings_of_here_and_the_places_of_there(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_CHECKPOINT_MINUTES", "0.5")
    monkeypatch.setenv("KP_MAX_PIXELS", "7")
    monkeypatch.setenv("KP_MPII_ROOT", "/here")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.chdir(tmp_path)
    wanted = nodes.setting()
    assert "KP_CACHE_DIR" not in wanted["variables"]
    for name in ("KP_CHECKPOINT_MINUTES", "KP_MAX_PIXELS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("KP_MPII_ROOT", "/there")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # Ray's own
    nodes.settle({**wanted, "folder": "/not/here"}, "/cache")
    found = {name: os.environ.get(name) for name in wanted["variables"]}
    assert (found["KP_CHECKPOINT_MINUTES"], found["KP_MAX_PIXELS"], found["KP_MPII_ROOT"]) == ("0.5", "7", "/there")
    assert found["OMP_NUM_THREADS"] is None
    assert cache_dir() == Path("/cache") and Path.cwd() == tmp_path


def test_other_versions_and_other_plans_are_told_in_a_line():
    here = {"kptransfer": "1", "torch": "2"}
    assert nodes.differing_versions(here, {"kptransfer": "1", "torch": "2"}) == ""
    assert nodes.differing_versions(here, {"kptransfer": "1", "torch": "3"}) == "torch 3 there, 2 here"
    question = {"keys": ["k1", "k2"], "jobs": {"k1": {"backbone": 1, "data": 1, "sources": []}}}
    same = SimpleNamespace(key="k1", settings={"backbone": 1, "data": 1, "sources": []})
    also, other = SimpleNamespace(key="k2", settings={}), SimpleNamespace(key="k3", settings={"backbone": 2, "data": 1})
    assert nodes.differing_plans(question, [same, also]) == ""
    line = nodes.differing_plans(question, [same, other])
    assert line == "would not train the same (backbone differ); have the same plugins, data and versions there"
    assert nodes.differing_plans(question, [same]).startswith("would not train the same;")


def test_a_machine_that_cannot_be_asked_is_told_of():
    assert (
        nodes.unanswered(Exception("a\n  No module named 'kpcore'\n"))["problem"] == "kptransfer is not installed there"
    )
    assert nodes.unanswered(Exception("first\nlast"))["problem"] == "last"


def test_jobs_at_once_are_what_a_machine_has_of_what_a_job_takes():
    answer = {"most": 3}
    assert slots({"CPU": 8.0}, CPU, answer) == 3
    assert slots({"CPU": 8.0}, Device(torch.device("cpu"), "fp32", 4), answer) == 2
    assert slots({"CPU": 2.0}, Device(torch.device("cpu"), "fp32", 4), answer) == 0
    assert slots({"CPU": 8.0, "GPU": 2.0}, GPUS[0], answer) == 2
    assert slots({"CPU": 8.0}, GPUS[0], answer) == 0
    with pytest.raises(KpError, match="not mps"):
        check_device(Device(torch.device("mps"), "fp32", 1))


# Ray


def test_ray_that_is_missing_is_a_line(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'ray'", name=name)

    monkeypatch.setattr(connect, "import_module", missing)
    with pytest.raises(KpError) as caught, connect.connected("host:1", 1):
        pass
    assert str(caught.value) == "--executor ray: ray is not installed; pip install 'kptransfer[ray]'"
    with pytest.raises(KpError, match="give the cluster's own address"), connect.connected("ray://host:1", 1):
        pass


def test_a_cluster_of_one_machine_lets_in_who_knows_its_word(monkeypatch):
    for name in connect.OWN:
        monkeypatch.delenv(name, raising=False)
    with connect.guarded():
        assert os.environ[connect.MODE] == "token" and len(os.environ[connect.TOKEN]) == 64
    assert not set(connect.OWN) & set(os.environ)
    monkeypatch.setenv(connect.MODE, "disabled")  # the user's own affair
    with connect.guarded():
        assert connect.TOKEN not in os.environ
    assert os.environ[connect.MODE] == "disabled"


class LostError(Exception):
    """What Ray raises where a machine or process is gone."""


class Small:
    """A Ray of a few lines: an answer is there at once, and calls are made when it is asked for.

    Args:
        hand: makes what stands in for a worker.
    """

    exceptions = SimpleNamespace(RayError=LostError)
    util = SimpleNamespace(scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda key, soft: key))

    def __init__(self, *alive):
        self.alive = set(alive)
        self.killed = []

    def nodes(self):
        return [{"NodeID": key, "Alive": key in self.alive} for key in ("n1", "n2")]

    def remote(self, **takes):
        def made(cls):
            return SimpleNamespace(
                options=lambda scheduling_strategy: SimpleNamespace(remote=self.actor(cls, scheduling_strategy))
            )

        return made

    def actor(self, cls, key):
        def start(*args):
            hand = cls(key, *args)
            methods = {
                name: SimpleNamespace(remote=lambda *words, name=name: Reply(getattr(hand, name), words))
                for name in ("ready", "start", "poll", "finish")
            }
            return SimpleNamespace(hand=hand, **methods)

        return start

    def wait(self, replies, num_returns, timeout):
        return replies[:num_returns], []

    def get(self, reply, timeout=None):
        return reply.call(*reply.words)

    def kill(self, actor):
        self.killed.append(actor.hand)


class Reply(SimpleNamespace):
    def __init__(self, call, words):
        super().__init__(call=call, words=words)

    __hash__ = object.__hash__


class Told:
    def __init__(self):
        self.lines = []

    def notice(self, text):
        self.lines.append(text)

    def iteration(self, one, number, total):
        self.lines.append((one.name, number))


@pytest.fixture
def pooled(monkeypatch):
    """Make a pool of jobs on two machines, whose workers do in turn as a list of functions says."""

    def make(doing, jobs, *, shared=True, fresh=False, most=2, ready=None):
        class Doing:
            made = 0

            def __init__(self, key, number, *_):
                self.key, self.number = key, number
                self.task = None

            def ready(self):
                if ready is not None and self.key == "n1":
                    ready(self)
                return [("ready", "", 100 + self.number)]

            def start(self, task):
                self.task = task
                given.append((self.key, task))
                return [("started", task.key, 100 + self.number)]

            def poll(self):
                return doing.pop(0)(self)

            def finish(self):
                return [("checkpoint", self.task.key, saved)]

        given, told = [], Told()
        monkeypatch.setattr(pool, "Hand", Doing)
        monkeypatch.setattr(pool.Order, "of", lambda study, device: None)
        small = Small("n1", "n2")
        run = Run(None, SimpleNamespace(jobs=jobs), CPU, jobs, told, fresh)
        hands = pool.Hands(small, run, [node("n1", shared), node("n2", shared)], most)
        hands.open()
        return hands, small, given, told.lines

    saved = {}
    make.saved = saved
    return make


def ends(hand):
    return [("ended", hand.task.key, State("done"), {})]


def trains(hand):
    return [("iteration", hand.task.key, 5, 9)]


def dies(hand):
    return [("lost", hand.task.key, "was killed by SIGKILL", {})]


def loses(small, key):
    def lose(hand):
        small.alive.discard(key)
        raise LostError("the actor is dead because its node has died")

    return lose


def test_jobs_go_to_idle_workers_and_their_events_come_back(pooled):
    one, two = job("one"), job("two")
    done(one)
    done(two)
    hands, small, given, told = pooled([trains, ends, ends], [one, two], fresh=True)
    assert hands.slots == 2
    hands.start(one)
    hands.start(two)
    assert {hands.wait()[0].name, hands.wait()[0].name} == {"one", "two"}
    assert {key for key, _ in given} == {"n1", "n2"}
    assert told == [("one", 5)]
    hands.stop()
    assert len(small.killed) == 2


def test_a_lost_worker_s_job_is_taken_up_once_and_fails_the_second_time(pooled):
    one = job("one")
    hands, _, given, told = pooled([dies, trains, dies], [one], most=1)
    hands.start(one)
    assert hands.wait() == (
        one,
        lost_twice("was killed by SIGKILL"),
    )
    assert [(task.again, task.fresh) for _, task in given] == [(False, False), (True, False)]
    assert told[0] == (
        "one: worker 1 (process 101 on node host-n1 (10.0.0.1)) was killed by SIGKILL;"
        " another takes it up from its last checkpoint, if any"
    )


def test_a_lost_machine_s_job_goes_on_elsewhere(pooled):
    one = job("one")
    doing = []
    hands, small, given, told = pooled(doing, [one], most=1, fresh=True)
    doing += [trains, loses(small, "n1"), ends]
    done(one)
    hands.start(one)
    assert hands.wait() == (one, State("done"))
    assert [key for key, _ in given] == ["n1", "n2"]
    assert [task.fresh for _, task in given] == [True, False], "what it has trained is not thrown away"
    assert told[1:] == [
        "node host-n1 (10.0.0.1) is gone; 1 left",
        "one: worker 1 (process 101 on node host-n1 (10.0.0.1)) was lost with its machine;"
        " another takes it up from its last checkpoint, if any",
    ]


def test_where_no_machine_is_left_jobs_fail_with_that_reason(pooled):
    one = job("one")
    doing = []
    hands, small, _, _ = pooled(doing, [one], most=1)
    doing += [loses(small, "n1"), loses(small, "n2")]
    small.alive = {"n1"}
    hands.nodes.pop()
    hands.start(one)
    assert hands.wait()[1] == State("failed", "no machine of the cluster is left; the same command goes on")
    assert hands.slots == 1, "so that what waits for it is not waited for"


def test_a_machine_that_was_gone_before_it_began_costs_no_try(pooled):
    one = job("one")
    doing = []
    hands, small, given, _ = pooled(doing, [one], most=1)

    def gone(task):
        small.alive.discard("n1")
        raise LostError("its node has died")

    hands.workers[0].actor.hand.start = gone
    doing += [dies, ends]
    done(one)
    hands.run = Run(None, hands.run.plan, CPU, [one], hands.events, True)
    hands.start(one)
    assert hands.wait() == (one, State("done"))
    assert [task.again for _, task in given] == [False, True]


def test_a_machine_that_starts_no_worker_is_not_asked_for_ever(pooled, monkeypatch):
    one = job("one")

    def broken(hand):
        raise LostError("Traceback\nValueError: no")

    hands, _, given, told = pooled([ends], [one], most=2, ready=broken)
    assert told == ["node host-n1 (10.0.0.1) starts no worker: ValueError: no; 1 left"]
    done(one)
    hands.run = Run(None, hands.run.plan, CPU, [one], hands.events, True)
    hands.start(one)
    assert hands.wait() == (one, State("done"))
    assert [key for key, _ in given] == ["n2"]


def test_a_stand_in_that_fails_and_files_that_are_missing_are_reasons(pooled):
    one, source = job("one"), job("source")
    two = job("two", source)

    def fails(hand):
        error = LostError("a traceback")
        error.cause = OSError(28, "No space left on device")
        raise error

    hands, _, _, told = pooled([fails, dies], [one, two], shared=False, most=1)
    hands.start(one)
    hands.start(two)
    assert hands.wait() == (
        one,
        lost_twice("was killed by SIGKILL"),
    )
    assert hands.wait()[1].reason.endswith("the job is not done there")
    assert told == [
        "one: worker 1 (process 101 on node host-n1 (10.0.0.1)) failed: OSError: [Errno 28] No space left on device;"
        " another takes it up from its last checkpoint, if any"
    ]
    assert str(pool.first_of_its_kind(GPUS[2]).torch) == "cuda:0" and pool.first_of_its_kind(CPU) is CPU


def test_an_interrupt_brings_checkpoints_back(pooled, tmp_path):
    one = job("one")
    hands, _, _, _ = pooled([trains], [one], shared=False, most=1)
    name = keep(JobFolder(tmp_path / one.key), (0, 7))
    pooled.saved.update(pack_checkpoint(JobFolder(tmp_path / one.key), name))
    hands.start(one)
    hands._place()
    hands.finish()
    hands.stop()
    assert newest_checkpoint(JobFolder.of(one.key)) == name
    assert not JobFolder.of(one.key).owner()


@pytest.mark.slow
def test_a_stand_in_passes_on_what_its_worker_tells_and_leaves(tmp_path, tiny_study, tiny_mpii, monkeypatch):
    """Without Ray: its worker is killed inside an epoch; the next one goes on, and at its end the files come."""
    (tmp_path / "study.toml").write_text(tiny_study)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KP_CHECKPOINT_MINUTES", "0.0005")
    sets = [f"dataset.root={tiny_mpii}", 'split.splits=["d"]', "training.iterations_per_epoch=60", "training.epochs=1"]
    study = open_study(registry(), tmp_path / "study.toml", None, sets, lambda _: None)
    one = plan_jobs(study, CPU).jobs[0]
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    order = pickle.dumps(Order.of(study, CPU))
    hand = Hand(7, nodes.setting(), str(tmp_path / "there"), order, shared=False)
    assert cache_dir() == tmp_path / "there"
    hand.start(Task(one.key, fresh=False, again=False, files={}))
    told, lost = [], None
    while lost is None:
        told += hand.poll()
        if any(message[0] == "checkpoint" for message in told):
            hand.child.process.kill()
        lost = next((message for message in told if message[0] == "lost"), None)
    assert lost[1:3] == (one.key, "was killed by SIGKILL")
    parcels = [message[2] for message in told if message[0] == "checkpoint"]
    behind = max(int(CHECKPOINT.fullmatch(name)[2]) for name in parcels[-1] if CHECKPOINT.fullmatch(name))
    hand.start(Task(one.key, fresh=False, again=True, files={one.key: parcels[-1]}))
    told = []
    while not any(message[0] == "ended" for message in told):
        told += hand.poll()
    hand.child.kill()
    first = next(message for message in told if message[0] == "iteration")
    assert first[2] >= behind > 0
    *_, state, parcel = told[-1]
    assert state == State("done") and {MANIFEST, "weights.safetensors", "predictions.h5"} <= set(parcel)


# Devices of one machine


def test_processes_are_dealt_out_in_turn_and_one_in_another_s_place_has_its_device(monkeypatch):
    def started(number, order):
        return SimpleNamespace(number=number, order=order, job=None, alive=True, kill=lambda: None)

    monkeypatch.setattr(Child, "start", started)
    study = SimpleNamespace(config=None, file="", preset="")
    workers = Workers(Run(study, SimpleNamespace(jobs=[]), GPUS[0], [], Told()), 5, GPUS)
    workers.open()
    assert [str(one.order.device.torch) for one in workers.workers] == [
        "cuda:0",
        "cuda:1",
        "cuda:2",
        "cuda:0",
        "cuda:1",
    ]
    for place in range(5):
        lost = workers.workers.pop(place)
        assert workers._add_worker().order.device == lost.order.device
        workers.workers.insert(place, workers.workers.pop())
    assert least_used([CPU], []) is CPU


def test_a_run_without_several_devices_has_its_own():
    study = SimpleNamespace(config=None, file="", preset="")
    assert Workers(Run(study, SimpleNamespace(jobs=[]), CPU, [], Told()), 2).devices == (CPU,)
    assert Processes(2).devices == ()
    assert processes.Workers is Workers


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["cuda:0", "cuda:5"], "--devices: unknown device 'cuda:5'; did you mean"),
        (
            ["cuda:0", "cuda:0"],
            "--devices: cuda:0 is there twice; for several trainings at once on one device give --jobs",
        ),
        (["cpu", "cuda:1"], "--devices: cpu and cuda compute differently; give devices of one kind"),
        ([""], "--devices: unknown device ''"),
    ],
)
def test_devices_that_cannot_be_shared_are_a_line(names, told):
    with pytest.raises(KpError) as caught:
        check_names(names, ["cpu", "cuda:0", "cuda:1"])
    assert str(caught.value).startswith(told)


def test_devices_say_how_many_trainings_there_are_at_once():
    places = Places("local", None, None, "cuda, cuda:1", None)
    assert places.names == ["cuda:0", "cuda:1"]
    check_names(places.names, ["cpu", "cuda:0", "cuda:1"])
    assert (places.first, places.at_once(GPUS[0])) == ("cuda:0", 2)
    assert Places("local", None, None, "cuda:0", 3).at_once(GPUS[0]) == 3
    assert Places("ray", None, "cpu", None, None).at_once(CPU) == 0
    assert Places("local", None, "cuda:1", None, None).first == "cuda:1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--executor", "rays"], "--executor: unknown executor 'rays'; did you mean 'ray'?"),
        (["--address", "host:1"], "--address: is of a Ray cluster; give --executor ray too"),
        (["--device", "cpu", "--devices", "cpu"], "--devices and --device: give one of them"),
        (["--executor", "ray", "--devices", "cpu"], "--devices: shares the devices of this machine"),
        (
            ["--executor", "ray", "--job", "d-random-0"],
            "--job: trains on one device of this machine; leave --executor ray out",
        ),
        (
            ["--devices", "cpu", "--job", "d-random-0"],
            "--job: trains on one device of this machine; leave --devices out",
        ),
        (["--devices", "cpu,cpu"], "--devices: cpu is there twice"),
        (["--devices", "cuda:77"], "--devices: unknown device 'cuda:77'"),
    ],
)
def test_options_that_do_not_go_together_are_a_line(words, told, tmp_path, capfd):
    assert outcome(["run", str(tmp_path / "study.toml"), *words]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert told in line


def test_a_key_knows_the_kind_of_device_and_not_its_number():
    from kpcore.study.jobs import numerics

    assert json.dumps(numerics(GPUS[0])) == json.dumps(numerics(GPUS[2]))
