"""One training by several processes is the training that one process does; gloo on CPUs, a prepared test for GPUs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file

from kpcore.cli import together
from kpcore.cli.app import outcome
from kpcore.config import Augmentation
from kpcore.data.batches import TrainingStream
from kpcore.data.sampling import CpuSampler
from kpcore.errors import KpError
from kpcore.interrupts import Stopped, ask, check, held, stoppable
from kpcore.network import build_network, describe
from kpcore.plans import Layout, TransferPlan, fresh_origins
from kpcore.records.folder import JobFolder
from kpcore.study.protocol import moving
from kpcore.tensors import UNLABELLED
from kpcore.training.checkpoint import Checkpoints
from kpcore.training.device import Device
from kpcore.training.launched import own_device
from kpcore.training.ranks import Ranks, Together
from kpcore.training.step import Learner, StepBatch, batch_loss

CPU = torch.device("cpu")
HELPERS = Path(__file__).parent / "helpers"
STUDY = """
[study]
name = "ranked"
modes = ["transfer", "frozen", "l2sp", "gradual", "replay"]

[dataset]
name = "mpii"

[split]
name = "kptransfer"
splits = ["d"]

[backbone]
name = "plain"
stages = [1, 2]

[codec]
name = "heatmap"
loss = "cross_entropy"
sigma = 1.0

[training]
resolution = 32
batch_size = 6
epochs = 2
iterations_per_epoch = 5
early_stopping = false
threads = 1
optimizer = { name = "adamw", learning_rate = 3e-3, eps = 1e-3 }
average = { name = "ema", decay = 0.9 }
keep = "last"

[evaluation.validation]
name = "pck"
"""


# The loss of a batch that is shared


@dataclass(frozen=True)
class Pretended(Together):
    """One of two, in this process: what the other one has is handed over."""

    gathered: tuple[torch.Tensor, ...] = ()

    def whole(self, share):
        (found,) = [one for one in self.gathered if torch.equal(one[self.share(len(one))], share)]
        return found


@pytest.fixture
def network(narrow, codec, figure):
    layout = Layout((figure.select(["hand", "head"]), figure.select(["hip", "hand"])))
    return build_network(narrow, codec, layout, seed=0, resolution=32).eval()


@pytest.fixture
def step(dots_store, narrow, codec):
    """A batch whose first half lacks most of its labels."""
    stream = TrainingStream(CpuSampler(dots_store["train"]), range(32), Augmentation(), seed=0, batch_size=4)
    batch = stream.batch(0)
    state = batch.state.clone()
    state[:2, 1:] = UNLABELLED
    return StepBatch(batch.input(CPU, narrow.mean, narrow.std), batch.points, state, codec, narrow.stride)


def pull(outputs, step, network, teacher):
    """An extra loss of all that one may read: predictions, pictures of the whole batch, and weights."""
    assert len(step.images) == len(step.state)
    seen = (outputs[0].mean((1, 2, 3)) * step.images.mean((1, 2, 3))).sum()
    return seen + 1e-3 * sum(weight.square().sum() for weight in network.parameters())


def gradients(step, network, narrow, codec, figure, ranks):
    plan = TransferPlan(
        fresh_origins(describe(narrow, codec, network.layout)), supervision=network.layout.heads, extra_loss=pull
    )
    learner = Learner(network, plan, None, narrow, codec, figure, Device(CPU, "fp32", 1, ranks))
    network.zero_grad()
    loss = batch_loss(step, learner)
    loss.backward()
    return loss.item(), torch.cat([weight.grad.flatten() for weight in network.parameters()])


def test_the_mean_of_what_two_processes_find_is_the_gradient_of_the_whole_batch(step, network, narrow, codec, figure):
    made = (step, network, narrow, codec, figure)
    loss, wanted = gradients(*made, Ranks())
    with torch.no_grad():
        gathered = (step.images, *network(step.images))
    alone, shared = [], []
    for number in range(2):
        ranks = Pretended(number, 2, gathered=gathered)
        half = ranks.share(4)
        shared.append(gradients(replace(step, images=step.images[half]), *made[1:], ranks))
        part = replace(step, images=step.images[half], points=step.points[half], state=step.state[half])
        alone.append(gradients(part, *made[1:], Ranks()))
    assert [one for one, _ in shared] == pytest.approx([loss, loss], rel=1e-6)
    found, separate = (torch.stack([one for _, one in pair]).mean(0) for pair in (shared, alone))
    assert (found - wanted).norm() < 1e-6 * wanted.norm()
    assert (separate - wanted).norm() > 1e-2 * wanted.norm()  # each normalised by its own labelled points


def test_a_process_warps_its_own_images_and_knows_all_labels(dots_store):
    def batch(share):
        stream = TrainingStream(
            CpuSampler(dots_store["train"]), range(32), Augmentation(colour=0.2), seed=1, batch_size=8, share=share
        )
        return stream.batch(3)

    whole, second = batch(slice(None)), batch(Together(1, 2).share(8))
    assert torch.equal(second.input(CPU, (0, 0, 0), (1, 1, 1)), whole.input(CPU, (0, 0, 0), (1, 1, 1))[4:])
    assert torch.equal(second.points, whole.points) and torch.equal(second.state, whole.state)
    assert (second.rows == whole.rows).all()


# What is refused, and said


def line(call):
    with pytest.raises(KpError) as caught:
        call()
    return str(caught.value)


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_what_can():
    assert "6 = " not in line(lambda: Together(0, 4).share(6))
    assert "start 1, 2, 3, 6" in line(lambda: Together(0, 4).share(6))
    assert Together(2, 3).share(6) == slice(4, 6)


def test_batchnorm_that_trains_is_refused_where_there_is_no_synchronised_one(network, narrow, codec):
    origins, heads = fresh_origins(describe(narrow, codec, network.layout)), network.layout.heads
    training = TransferPlan(origins, supervision=heads)
    assert "'stem' trains with BatchNorm" in line(lambda: Together(0, 2).check(network, moving(network, training), CPU))
    still = frozenset(("stem", "stage0", "stage1"))
    Together(0, 2).check(network, moving(network, TransferPlan(origins, supervision=heads, frozen=still)), CPU)
    moved = TransferPlan(origins, supervision=heads, frozen=still, frozen_norm="train")
    assert "BatchNorm" in line(lambda: Together(0, 2).check(network, moving(network, moved), CPU))
    Together(0, 2).check(network, moving(network, training), torch.device("cuda"))


def test_a_lost_process_is_a_line_and_other_errors_stay_what_they_are():
    ranks = Together(0, 3, minutes=0.5)
    for text in (
        "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4711",
        "Application timeout caused pair closure",
        "[Rank 0]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3)",
    ):
        with pytest.raises(KpError, match=r"one of the 3 processes .* for 0\.5 min"), ranks.meeting():
            raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="shape"), ranks.meeting():
        raise RuntimeError("mat1 and mat2 have another shape")
    with pytest.raises(torch.OutOfMemoryError), ranks.meeting():
        raise torch.OutOfMemoryError("NCCL has none left")


def test_a_process_takes_the_gpu_of_its_number(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device("cuda") == "cuda:3"
    assert own_device("cpu") == "cpu"
    assert "cuda or cpu" in line(lambda: own_device("cuda:1"))


def test_a_signal_that_another_process_was_sent_stops_this_one():
    with pytest.raises(Stopped) as caught, stoppable(), held():
        ask(signal.SIGTERM)
        ask(signal.SIGINT)
        check()
    assert caught.value.number == signal.SIGTERM
    check()


def test_a_checkpoint_that_only_another_process_sees_is_said(tmp_path):
    found = Checkpoints(JobFolder(tmp_path / "ab"), lambda text: None)
    assert "KP_CACHE_DIR" in line(lambda: found.take("checkpoint-000000-000000001-00.pt", CPU))


@pytest.mark.parametrize(("words", "said"), [((), "write --job NAME"), (("--job", "a", "--job", "b"), "given 2")])
@pytest.mark.parametrize("rank", ["0", "1"])
def test_torchrun_wants_one_job_and_one_process_says_so(monkeypatch, capsys, words, said, rank):
    def ended(code):
        raise InterruptedError(code)

    told = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")
    monkeypatch.setattr(together.os, "_exit", ended)
    with pytest.raises(InterruptedError) as caught:
        outcome(["run", "study.toml", *words])
    assert caught.value.args == (2,)
    assert (said in capsys.readouterr().err) == (rank == "0")


@dataclass(frozen=True)
class Telling(Ranks):
    """One of several, of which the others have told these things."""

    told: tuple = ()

    def everyone(self, value):
        return [*self.told[: self.number], value, *self.told[self.number :]]


def refuse():
    raise KpError("no such study")


def test_what_one_process_cannot_do_is_told_once_by_the_first(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    assert together._agreed(Telling(0, 3, ("", "")), lambda: 7) == 7
    assert line(lambda: together._agreed(Telling(0, 2, ("no such study",)), refuse)) == "no such study"
    assert line(lambda: together._agreed(Telling(0, 3, ("", "no data")), lambda: 7)) == "process 2 of 3: no data"
    same, other = (type("Job", (), {"key": key, "name": "d-source-0"}) for key in "ab")
    together._compare(Telling(0, 2, ("a",)), same)
    assert "process 1 of 2 plans another training as d-source-0" in line(
        lambda: together._compare(Telling(0, 2, ("b",)), same)
    )
    monkeypatch.setenv("RANK", "1")
    for call in (
        lambda: together._agreed(Telling(1, 2, ("no such study",)), refuse),
        lambda: together._agreed(Telling(1, 2, ("no data",)), lambda: 7),
        lambda: together._compare(Telling(1, 2, ("a",)), other),
    ):
        with pytest.raises(typer.Exit) as caught:
            call()
        assert caught.value.exit_code == 2


# Processes


@pytest.fixture
def lab(tmp_path, write_mpii, monkeypatch):
    """A folder with a study of the plugin in helpers/ranked.py, and with people of whom much is unlabelled."""
    write_mpii(tmp_path / "mpii", 3)
    with h5py.File(tmp_path / "mpii/annot/train.h5", "r+") as file:
        holes = np.random.default_rng(0).random((12, 16)) < np.linspace(0, 0.9, 12)[:, None]
        file["visible"][...] = np.where(holes, -1, 1)
    (tmp_path / "study.toml").write_text(STUDY)
    about = tmp_path / "plugin" / "ranked_lab-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ranked-lab\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[kpcore]\nranked = ranked\n")
    path = os.pathsep.join([*filter(None, sys.path), str(HELPERS), str(about.parent)])
    for name, value in {"PYTHONPATH": path, "KP_MPII_ROOT": str(tmp_path / "mpii"), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def torchrun(processes, *words):
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), *words]


def done(command, cache, **environment):
    """Run a command to its end, in a cache of its own; return what it printed."""
    found = subprocess.run(
        command, env={**os.environ, "KP_CACHE_DIR": str(cache), **environment}, capture_output=True, text=True
    )
    assert found.returncode == 0, (found.stdout + found.stderr)[-3000:]
    return found.stdout


def jobs(cache):
    """Return name -> folder of the finished jobs of a cache."""
    folders = [path.parent for path in cache.glob("jobs/*/manifest.json")]
    return {json.loads((folder / "job.json").read_text())["title"]: folder for folder in folders}


def far(one, other):
    """Return how far two folders' weights are from each other, as a share of the largest of each tensor."""
    here, there = load_file(one / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert here.keys() == there.keys()
    return max(float((here[name] - there[name]).abs().max() / here[name].abs().max()) for name in here)


@pytest.mark.slow
def test_every_mode_ends_with_the_weights_of_one_process(lab):
    done([sys.executable, str(HELPERS / "ranked.py"), "study.toml"], lab / "one")
    done(torchrun(2, str(HELPERS / "ranked.py"), "study.toml"), lab / "two")
    one, two = jobs(lab / "one"), jobs(lab / "two")
    assert len(one) == 6 and {name: one[name].name for name in one} == {name: two[name].name for name in two}
    assert max(far(one[name], two[name]) for name in one) < 2e-6


@pytest.mark.gpu
def test_gpus_with_synchronised_batchnorm_end_with_the_weights_of_one(lab):
    count = torch.cuda.device_count()
    if count < 2:
        pytest.skip(f"needs two GPUs, there is {count}")
    words = ("study.toml", "backbone.name=hourglass", "backbone.channels=8", "backbone.depth=1")
    done([sys.executable, str(HELPERS / "ranked.py"), *words], lab / "one", RANKED_DEVICE="cuda")
    done(torchrun(2, str(HELPERS / "ranked.py"), *words), lab / "two", RANKED_DEVICE="cuda")
    one, two = jobs(lab / "one"), jobs(lab / "two")
    assert len(one) == 6 and max(far(one[name], two[name]) for name in one) < 1e-3


SOURCE = ("study.toml", "--job", "d-source-0", "--set", "training.iterations_per_epoch=30")


def started(command, cache, **environment):
    return subprocess.Popen(
        command,
        env={**os.environ, "KP_CACHE_DIR": str(cache), "KP_CHECKPOINT_MINUTES": "0.0001", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_checkpoint(cache, *processes):
    """Wait until a training is under way."""
    while not list(cache.glob("jobs/*/checkpoint-*")):
        assert all(process.poll() is None for process in processes), processes[0].communicate()[0]
        time.sleep(0.02)


def children(parent):
    """Return the processes of a torchrun, by their ranks."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                told = dict(one.split("=", 1) for one in (path / "environ").read_text().split("\0") if "=" in one)
                found[int(told["RANK"])] = int(path.name)
        except (OSError, KeyError):  # it has ended, or is no such process
            continue
    return found


@pytest.mark.slow
def test_what_two_processes_began_and_a_signal_stopped_three_and_one_end(lab):
    kp = (sys.executable, "-m", "kpcore", "run")
    done([*kp, *SOURCE], lab / "one")
    shared = started(torchrun(2, "-m", "kpcore", "run", *SOURCE), lab / "cache")
    wait_for_checkpoint(lab / "cache", shared)
    shared.send_signal(signal.SIGTERM)
    out, _ = shared.communicate(timeout=300)
    assert "kp: interrupted by SIGTERM; the same command goes on from iteration " in out
    assert out.count("kp: ") == 1
    (newest, *_) = sorted((lab / "cache").glob("jobs/*/checkpoint-*"), reverse=True)
    assert 0 < int(newest.name.split("-")[2]) < 60
    told = done(torchrun(3, "-m", "kpcore", "run", *SOURCE), lab / "cache")
    assert "by 3 processes" in told and told.count("done in") == 1
    one, many = jobs(lab / "one")["d-source-0"], jobs(lab / "cache")["d-source-0"]
    assert one.name == many.name and far(one, many) < 5e-6
    assert json.loads((many / "timing.json").read_text())["processes"] == 3
    assert "processes" not in json.loads((one / "timing.json").read_text())
    assert not (lab / "runs").exists()


@pytest.mark.slow
def test_a_killed_process_ends_the_others_with_a_line(lab):
    shared = started(torchrun(2, "-m", "kpcore", "run", *SOURCE), lab / "cache")
    wait_for_checkpoint(lab / "cache", shared)
    os.kill(children(shared.pid)[1], signal.SIGKILL)
    out, _ = shared.communicate(timeout=120)
    assert shared.returncode == 1
    assert (
        "d-source-0: one of the 2 processes of this training has ended" in out and "Traceback" not in out.split("W1")[0]
    )
    assert list((lab / "cache").glob("jobs/*/checkpoint-*"))


@pytest.mark.slow
def test_a_process_that_does_not_answer_is_waited_for_so_long_and_no_longer(lab):
    """Without torchrun, which would kill what is left of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "KP_PEER_MINUTES": "0.15"}
    command = [sys.executable, "-m", "kpcore", "run", *SOURCE]
    first, second = (started(command, lab / "cache", RANK=rank, LOCAL_RANK=rank, **told) for rank in "01")
    try:
        wait_for_checkpoint(lab / "cache", first, second)
        second.send_signal(signal.SIGSTOP)
        out, _ = first.communicate(timeout=120)
    finally:
        second.kill()
        second.communicate()
    assert first.returncode == 1 and "or has not answered for 0.15 min (KP_PEER_MINUTES)" in out
