"""The training loop: it learns, repeats itself bit by bit, and goes on after a kill as if nothing had happened."""

import itertools
import math
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from kpcore import config
from kpcore.config import (
    AdamW,
    Augmentation,
    Constant,
    MovingAverage,
    OneCycle,
    Optimizer,
    Plateau,
    RMSprop,
    Schedule,
    TrainingTable,
    models_in,
)
from kpcore.data.batches import TrainingStream, evaluation_batches, input_affine
from kpcore.data.geometry import apply, invert
from kpcore.data.sampling import CpuSampler
from kpcore.data.store import Cut, prepare
from kpcore.errors import KpError
from kpcore.interfaces import Backbone
from kpcore.interrupts import Stopped, stoppable
from kpcore.network import build_network, describe
from kpcore.plans import Layout, Thaw, TransferPlan, fresh_origins
from kpcore.records.folder import JobFolder
from kpcore.study.data import read_part
from kpcore.trained.evaluator import Evaluator
from kpcore.trained.predictor import unmirror
from kpcore.training import checkpoint, loop
from kpcore.training.checkpoint import Checkpoints, interval
from kpcore.training.device import Device, available, choose_device
from kpcore.training.loop import JobError, Task, Training, epoch_iterations, noise_seed
from kpcore.training.muon import Muon, is_matrix
from kpcore.training.optimisers import MAKERS, make_optimizer
from kpcore.training.schedules import BUILDERS, make_rate, one_cycle
from kpcore.training.step import (
    Learner,
    StepBatch,
    Stepper,
    draw_targets,
    select_channels,
    supervised_loss,
)
from kpcore.training.stopping import Progress
from kpcore.weights import fingerprint

CPU = Device(torch.device("cpu"), "fp32", 1)
NEAR = 5.0
"""Pixels of 52 x 48 within which a predicted dot counts as found."""


class Quiet:
    """A listener that remembers."""

    def __init__(self):
        self.records = []
        self.iterations = []
        self.notices = []

    def iteration(self, done, total):
        self.iterations.append((done, total))

    def epoch(self, record):
        self.records.append(record)

    def notice(self, text):
        self.notices.append(text)


class KilledError(Exception):
    pass


def training(task, folder, told=print, seconds=None):
    """A training that keeps its checkpoints in this folder, after so many seconds where that is said."""
    return Training(task, Checkpoints(JobFolder(folder), told, seconds))


def checkpoints(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("checkpoint"))


class KillAfter(Quiet):
    """Dies in the first iteration after this many epochs: what the checkpoint then holds is all that is left."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def iteration(self, done, total):
        super().iteration(done, total)
        if len(self.records) == self.epochs:
            raise KilledError


def named(name, **options):
    return TypeAdapter(Optimizer).validate_python({"name": name, **options})


def settings(**changes):
    quick = {
        "resolution": 32,
        "batch_size": 8,
        "epochs": 4,
        "early_stopping": False,
        "optimizer": RMSprop(learning_rate=3e-3),
        "augmentation": Augmentation(rotation=10.0),
    }
    return TrainingTable(**{**quick, **changes})


@pytest.fixture
def layout(figure):
    return Layout((figure.select(["hand", "head"]), figure.select(["hip", "hand"])))


@pytest.fixture
def learner(narrow, codec, layout):
    """A learner on a fresh network; keywords are the plan's."""

    def make(seed=0, layout=layout, backbone=narrow, codec=codec, device=CPU, teacher=None, **plan):
        network = build_network(backbone, codec, layout, seed=seed, resolution=32)
        origins = fresh_origins(describe(backbone, codec, layout))
        plan = TransferPlan(origins, **{"supervision": layout.heads, **plan})
        return Learner(
            network.to(memory_format=torch.channels_last),
            plan,
            teacher,
            backbone,
            codec,
            layout.heads[0].skeleton,
            device,
        )

    return make


def found(store, learner):
    """A validation: the share of dots that are found within NEAR pixels, in percent."""
    people = range(16)

    def value(network):
        predicted, _ = Evaluator(learner.backbone, learner.codec, CPU, 16).predict(
            network, CpuSampler(store), people, flip_test=False
        )
        truth = store.people.take(people).select(network.layout.heads[-1].indices).points
        return float(np.mean(np.linalg.norm(predicted - truth, axis=-1) < NEAR) * 100)

    return value


@pytest.fixture
def task(dots_store):
    def make(learner, seed=0, validate=None, higher_is_better=True, **changes):
        table = settings(**changes)
        stream = TrainingStream(
            CpuSampler(dots_store["train"]), range(32), table.augmentation, seed=seed, batch_size=table.batch_size
        )
        return Task(learner, stream, table, validate or found(dots_store["valid"], learner), higher_is_better)

    return make


def weights(task):
    return fingerprint(task.learner.network.state_dict())


@pytest.fixture
def first_batch(task, learner):
    """(B of) the first batch as the loss sees it."""
    batch = task(learner()).stream.batch(0)
    one = learner()
    return StepBatch(
        batch.input(CPU.torch, (0, 0, 0), (1, 1, 1)), batch.points, batch.state, one.codec, one.backbone.stride
    )


# Learning and repeating


def test_the_loss_falls_and_the_validation_rises(learner, task, tmp_path):
    listener = Quiet()
    outcome = training(task(learner(), epochs=12), tmp_path).run(listener)
    losses = [record["loss"] for record in outcome.history]
    values = [record["validation"] for record in outcome.history]
    assert losses[-1] < 0.9 * losses[0]
    assert max(values) > values[0] + 10
    assert outcome.best == max(values)
    assert outcome.best_epoch == values.index(max(values)) + 1
    assert listener.records == outcome.history


def test_the_history_counts_epochs_and_iterations(learner, task, tmp_path):
    listener = Quiet()
    outcome = training(task(learner(), epochs=2, validate=lambda _: 1.0), tmp_path).run(listener)
    assert [record["epoch"] for record in outcome.history] == [1, 2]
    assert [record["iterations"] for record in outcome.history] == [4, 8]
    assert listener.iterations == [(done, 8) for done in range(1, 9)]
    assert (outcome.epochs, outcome.iterations) == (2, 8)
    assert outcome.seconds.keys() == {"training", "validation", "waiting_for_data"}


@pytest.mark.parametrize(
    ("wanted", "people", "batch_size", "iterations"),
    [(None, 32, 8, 4), (None, 33, 8, 4), (None, 3, 8, 1), (7, 32, 8, 7)],
)
def test_an_epoch_is_one_pass_unless_set(wanted, people, batch_size, iterations):
    assert epoch_iterations(settings(iterations_per_epoch=wanted, batch_size=batch_size), people) == iterations


def test_two_runs_are_bit_identical_and_another_seed_differs(learner, task, tmp_path):
    runs = []
    for place, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(place)
        folder.mkdir()
        torch.manual_seed(place)  # what came before in this process must not matter
        one = task(learner(seed=seed), seed=seed, epochs=2)
        runs.append((training(one, folder).run(Quiet()).history, weights(one)))
    assert runs[0] == runs[1]
    assert runs[2][1] != runs[0][1]
    assert runs[2][0] != runs[0][0]


def test_the_seed_of_the_data_alone_changes_the_result(learner, task, tmp_path):
    results = set()
    for seed in (0, 1):
        one = task(learner(seed=0), seed=seed, epochs=1)
        (tmp_path / str(seed)).mkdir()
        training(one, tmp_path / str(seed)).run(Quiet())
        results.add(weights(one))
    assert len(results) == 2


THAWING = {
    "frozen": frozenset({"stem", "stage0", "head0"}),
    "thaws": (Thaw(1, ("stage0",)), Thaw(3, ("stem", "head0"))),
    "learning_rates": {"stem": 0.1, "stage1": 2.0},
}
EMA = MovingAverage(name="ema", decay=0.8)
QUICK = ("plateau, waiting", "ema, thaws, best")
"""Recipes of all kinds of state between them; the others are slow for being many."""
RECIPES = {
    "rmsprop, plateau": (
        {"schedule": Plateau(patience=0), "min_improvement": 50.0},
        {},
    ),
    "adamw, onecycle": (
        {
            "optimizer": AdamW(name="adamw", learning_rate=1e-3, weight_decay=0.01),
            "schedule": OneCycle(name="onecycle"),
        },
        {},
    ),
    # The rate drops after the third epoch: a kill after the second must not let the patience start anew.
    "plateau, waiting": (
        {"schedule": Plateau(patience=1), "min_improvement": 1000.0},
        {},
    ),
    "thaws, factors": ({}, THAWING),
    "ema, last": ({"average": EMA, "keep": "last"}, {}),
    "ema, thaws, best": ({"average": EMA}, THAWING),
    "adamw, thaws, last": ({"optimizer": AdamW(name="adamw", weight_decay=0.1), "keep": "last"}, THAWING),
}


class KillAt(Quiet):
    """Dies after this iteration of the job, before its checkpoint."""

    def __init__(self, iteration):
        super().__init__()
        self.last = iteration

    def iteration(self, done, total):
        super().iteration(done, total)
        if done == self.last:
            raise KilledError


def folders(tmp_path, *names):
    for name in names:
        (tmp_path / name).mkdir()
    return [tmp_path / name for name in names]


@pytest.mark.parametrize(
    "recipe",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in RECIPES],
)
def test_a_killed_training_goes_on_bit_by_bit(learner, task, tmp_path, recipe):
    changes, plan = RECIPES[recipe]
    whole, cut = folders(tmp_path, "whole", "cut")
    uninterrupted = task(learner(**plan), epochs=5, iterations_per_epoch=2, **changes)
    expected = training(uninterrupted, whole).run(Quiet())
    for epochs, seed in ((0, 0), (2, 0), (1, 9)):  # seed 9: with a checkpoint the fresh network's weights do not matter
        with pytest.raises(KilledError):
            training(task(learner(seed=seed, **plan), epochs=5, iterations_per_epoch=2, **changes), cut).run(
                KillAfter(epochs)
            )
    resumed = task(learner(seed=9, **plan), epochs=5, iterations_per_epoch=2, **changes)
    outcome = training(resumed, cut).run(Quiet())
    assert outcome.history == expected.history
    assert (outcome.best, outcome.best_epoch) == (expected.best, expected.best_epoch)
    assert weights(resumed) == weights(uninterrupted)
    if recipe == "plateau, waiting":
        rates = [record["learning_rate"] for record in outcome.history]
        assert rates == pytest.approx([3e-3, 3e-3, 3e-3, 3e-3 / 5, 3e-3 / 5])


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param("adamw, onecycle", marks=pytest.mark.slow),
        pytest.param("plateau, waiting", marks=pytest.mark.slow),
        "ema, thaws, best",
    ],
)
def test_a_training_that_is_killed_inside_epochs_goes_on_bit_by_bit(learner, task, tmp_path, recipe):
    """A checkpoint at every iteration: each attempt goes on behind the iteration that the one before it ended with."""
    changes, plan = RECIPES[recipe]
    whole, cut = folders(tmp_path, "whole", "cut")
    uninterrupted = task(learner(**plan), epochs=3, iterations_per_epoch=3, **changes)
    expected = training(uninterrupted, whole).run(Quiet())
    begun = []
    for seed, last in enumerate((2, 6, 7)):
        listener = KillAt(last)
        with pytest.raises(KilledError):
            one = task(learner(seed=seed, **plan), epochs=3, iterations_per_epoch=3, **changes)
            training(one, cut, seconds=0).run(listener)
        begun.append(listener.iterations[0][0])
    resumed, listener = task(learner(seed=9, **plan), epochs=3, iterations_per_epoch=3, **changes), Quiet()
    outcome = training(resumed, cut, seconds=0).run(listener)
    assert [*begun, listener.iterations[0][0]] == [1, 2, 6, 7]
    assert outcome.history == expected.history
    assert (outcome.best, outcome.best_epoch) == (expected.best, expected.best_epoch)
    assert weights(resumed) == weights(uninterrupted)
    assert len(checkpoints(cut)) == 2


def test_a_damaged_newest_checkpoint_costs_what_lies_after_the_one_before(learner, task, tmp_path):
    whole, cut = folders(tmp_path, "whole", "cut")
    uninterrupted = task(learner(), epochs=2, iterations_per_epoch=5)
    training(uninterrupted, whole).run(Quiet())
    with pytest.raises(KilledError):
        training(task(learner(), epochs=2, iterations_per_epoch=5), cut, seconds=0).run(KillAt(9))
    assert [name[:27] for name in checkpoints(cut)] == ["checkpoint-000001-000000007", "checkpoint-000001-000000008"]
    spoil(cut / checkpoints(cut)[1], "cut")
    told, listener = [], Quiet()
    again = task(learner(seed=3), epochs=2, iterations_per_epoch=5)
    training(again, cut, told.append).run(listener)
    assert (len(told), listener.iterations[0]) == (1, (8, 10))
    assert weights(again) == weights(uninterrupted)


@pytest.mark.parametrize("moment", ["step", "last step", "validation", "epoch's end"])
def test_a_signal_ends_a_training_with_a_checkpoint_of_all_that_it_did(learner, task, tmp_path, moment):
    """Of a validation too, which is made again; a second and third signal at once are taken for the first."""
    whole, cut = folders(tmp_path, "whole", "cut")
    plain = {"epochs": 3, "iterations_per_epoch": 3, "average": EMA}
    uninterrupted = task(learner(), **plain)
    expected = training(uninterrupted, whole).run(Quiet())

    def signals():
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)

    class Stopping(Quiet):
        def iteration(self, done, total):
            super().iteration(done, total)
            if done == {"step": 5, "last step": 6}.get(moment):
                signals()

        def epoch(self, record):
            super().epoch(record)
            if moment == "epoch's end" and len(self.records) == 2:
                signals()

    stopped = task(learner(), **plain)
    validate, calls = stopped.validate, itertools.count(1)

    def value(network):
        if next(calls) == 2 and moment == "validation":
            signals()
        return validate(network)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as caught, stoppable():
        training(replace(stopped, validate=value), cut).run(Stopping())
    assert (caught.value.number, signal.getsignal(signal.SIGTERM)) == (signal.SIGTERM, before)
    assert JobFolder(cut).iterations == {"step": 5}.get(moment, 6)
    resumed, listener = task(learner(seed=4), **plain), Quiet()
    outcome = training(resumed, cut).run(listener)
    assert listener.iterations[0] == ({"step": 6}.get(moment, 7), 9)
    assert [len(listener.records), outcome.history] == [1 if moment == "epoch's end" else 2, expected.history]
    assert weights(resumed) == weights(uninterrupted)


def test_the_device_s_generator_is_kept_besides_the_cpu_s(monkeypatch):
    """torch takes its state from the CPU, wherever the checkpoint was read to."""
    given = []
    chip = SimpleNamespace(get_rng_state=lambda: torch.tensor([7], dtype=torch.uint8), set_rng_state=given.append)
    monkeypatch.setattr(checkpoint, "_generators", lambda device: chip if device.type == "mps" else None)
    torch.manual_seed(3)
    state = checkpoint.random_state(torch.device("mps"))
    drawn = torch.rand(4)
    checkpoint.restore_random(state, torch.device("mps"))
    assert torch.equal(torch.rand(4), drawn)
    assert [one.tolist() for one in given] == [[7]]
    assert checkpoint.random_state(torch.device("cpu")).keys() == {"cpu"}


def test_a_loss_that_is_not_finite_is_never_gone_on_from(learner, task, tmp_path, monkeypatch):
    losses = iter([1.0, 1.0, 1.0, math.inf, 1.0])
    monkeypatch.setattr(Stepper, "step", lambda self, batch: torch.tensor(next(losses)))
    one = task(learner(), validate=lambda _: 0.0, epochs=2, iterations_per_epoch=3)
    with pytest.raises(KilledError):
        training(one, tmp_path, seconds=0).run(KillAt(5))
    assert JobFolder(tmp_path).iterations == 3


def test_checkpoints_lie_as_many_minutes_apart_as_the_environment_says(learner, task, tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write_state", lambda state, path: path.write_bytes(str(now[0]).encode()))
    real = JobFolder.keep_checkpoint
    monkeypatch.setattr(
        JobFolder,
        "keep_checkpoint",
        lambda self, behind, *a, **k: saved.append(behind[1]) or real(self, behind, *a, **k),
    )

    class Clock(Quiet):
        def iteration(self, done, total):
            now[0] += 60

    def places(minutes):
        saved.clear()
        monkeypatch.setenv("KP_CHECKPOINT_MINUTES", minutes)
        folder = tmp_path / (minutes or "unset")
        folder.mkdir()
        training(task(learner(), validate=lambda _: 0.0, epochs=2, iterations_per_epoch=8), folder).run(Clock())
        return list(saved)

    assert places("") == [5, 8, 13, 16]
    assert places("3") == [3, 6, 8, 11, 14, 16]
    assert places("0") == [8, 16]


@pytest.mark.parametrize("minutes", ["five", "-1", "nan"])
def test_minutes_between_checkpoints_that_are_none_are_told(monkeypatch, minutes):
    monkeypatch.setenv("KP_CHECKPOINT_MINUTES", minutes)
    with pytest.raises(KpError, match=rf"^KP_CHECKPOINT_MINUTES = {minutes}: give a number of minutes, 0 for none"):
        interval()


class Dropping(Backbone):
    """A backbone with noise of its own."""

    stride = 4
    channels = 8

    def __init__(self):
        pass

    def check_size(self, height, width):
        return None

    def stem(self):
        return nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Dropout(0.5))

    def stage(self, index):
        return nn.Conv2d(8, 8, 3, padding=1)


def test_noise_inside_the_network_depends_on_the_seed_and_survives_a_kill(learner, task, tmp_path):
    whole, cut = folders(tmp_path, "whole", "cut")
    torch.manual_seed(1)
    uninterrupted = task(learner(backbone=Dropping()), epochs=3)
    training(uninterrupted, whole).run(Quiet())
    torch.manual_seed(2)
    with pytest.raises(KilledError):
        training(task(learner(backbone=Dropping()), epochs=3), cut).run(KillAfter(1))
    torch.manual_seed(3)
    resumed = task(learner(backbone=Dropping()), epochs=3)
    training(resumed, cut).run(Quiet())
    assert weights(resumed) == weights(uninterrupted)
    (within,) = folders(tmp_path, "within")
    with pytest.raises(KilledError):
        training(task(learner(backbone=Dropping()), epochs=3), within, seconds=0).run(KillAt(7))  # of 4 an epoch
    torch.manual_seed(4)
    resumed = task(learner(backbone=Dropping()), epochs=3)
    training(resumed, within).run(Quiet())
    assert weights(resumed) == weights(uninterrupted)


def test_noise_is_another_in_every_epoch_and_for_every_seed(learner, task, tmp_path):
    class Listening(Quiet):
        def __init__(self):
            super().__init__()
            self.seeds = []

        def iteration(self, done, total):
            self.seeds.append(torch.initial_seed())  # as the epoch set it

    listeners = []
    for seed, folder in enumerate(folders(tmp_path, "0", "1")):
        listeners.append(Listening())
        one = task(learner(), seed=seed, epochs=3, iterations_per_epoch=2, validate=lambda _: 0.0)
        training(one, folder).run(listeners[-1])
    every = [listener.seeds[epoch * 2] for listener in listeners for epoch in range(3)]
    assert len(set(every)) == 6
    assert every == [noise_seed(seed, epoch) for seed in (0, 1) for epoch in range(3)]
    assert noise_seed(3, 2) == 7512159337271078464  # golden: another would change every result ever trained


def test_a_finished_training_is_not_trained_again(learner, task, tmp_path):
    first = task(learner(), epochs=2)
    outcome = training(first, tmp_path).run(Quiet())
    again, listener = task(learner(seed=5), epochs=2), Quiet()
    assert training(again, tmp_path).run(listener).history == outcome.history
    assert listener.iterations == []
    assert weights(again) == weights(first)


def spoil(path, how):
    data = path.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    path.write_bytes({"emptied": b"", "cut": data[:middle], "flipped": flipped}[how])


@pytest.mark.parametrize("how", ["emptied", "cut", "flipped"])
def test_a_damaged_checkpoint_is_said_and_not_used(learner, task, tmp_path, how):
    whole, cut = folders(tmp_path, "whole", "cut")
    uninterrupted = task(learner(), epochs=3, iterations_per_epoch=2)
    training(uninterrupted, whole).run(Quiet())
    with pytest.raises(KilledError):
        training(task(learner(), epochs=3, iterations_per_epoch=2), cut).run(KillAfter(2))
    for name in checkpoints(cut):
        spoil(cut / name, how)
    told, listener = [], Quiet()
    again = task(learner(), epochs=3, iterations_per_epoch=2)
    names = sorted(checkpoints(cut), reverse=True)
    training(again, cut, told.append).run(listener)
    assert told == [f"{name} of job cut is damaged; it is not used" for name in names]
    assert listener.iterations[0] == (1, 6)  # from the start
    assert weights(again) == weights(uninterrupted)


def test_another_jobs_checkpoint_is_not_used(learner, task, tmp_path):
    mine, other = folders(tmp_path, "mine", "other")
    for folder in (mine, other):
        with pytest.raises(KilledError):
            training(task(learner(), epochs=2, iterations_per_epoch=2), folder).run(KillAfter(1))
    (name,) = checkpoints(mine)
    (strange,) = checkpoints(other)
    (mine / name).unlink()
    (other / strange).rename(mine / strange)
    told, listener = [], Quiet()
    training(task(learner(), epochs=2, iterations_per_epoch=2), mine, told.append).run(listener)
    assert told == [f"{mine / strange}: is another job's; it is not used"]
    assert listener.iterations[0] == (1, 4)


def test_the_last_good_checkpoint_is_kept_until_the_next_is_whole(learner, task, tmp_path, monkeypatch):
    real = torch.save

    def save(state, stream):
        if len(state["history"]) == 2:
            stream.write(b"as much as there was room for")
            raise OSError(28, "No space left on device")
        real(state, stream)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="No space"):
        training(task(learner(), epochs=3, iterations_per_epoch=2), tmp_path).run(Quiet())
    monkeypatch.setattr(torch, "save", real)
    listener = Quiet()
    training(task(learner(), epochs=3, iterations_per_epoch=2), tmp_path).run(listener)
    assert listener.iterations[0] == (3, 6)  # the second epoch anew


# Stopping, keeping, schedules


def sequence(values):
    """A validation that returns these, one after the other, and remembers the weights that it saw."""
    following, seen = iter(values), []

    def value(network):
        seen.append(fingerprint(network.state_dict()))
        return next(following)

    return value, seen


def test_early_stopping_counts_epochs_without_improvement(learner, task, tmp_path):
    value, _ = sequence([1.0, 3.0, 2.0, 3.0, 3.0, 9.0])
    outcome = training(
        task(learner(), validate=value, epochs=6, iterations_per_epoch=1, early_stopping=3), tmp_path
    ).run(Quiet())
    assert outcome.epochs == 5
    assert (outcome.best, outcome.best_epoch) == (3.0, 2)


def test_early_stopping_goes_on_counting_after_a_kill(learner, task, tmp_path):
    values = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0]

    def one(value):
        return task(learner(), validate=value, epochs=6, iterations_per_epoch=1, early_stopping=3)

    with pytest.raises(KilledError):
        training(one(sequence(values)[0]), tmp_path).run(KillAfter(2))
    outcome = training(one(sequence(values[2:])[0]), tmp_path).run(Quiet())
    assert outcome.epochs == 4
    assert (outcome.best, outcome.best_epoch) == (3.0, 1)


def test_the_best_weights_outlive_a_kill(learner, task, tmp_path):
    value, seen = sequence([3.0, 2.0])
    with pytest.raises(KilledError):
        training(task(learner(), validate=value, epochs=3, iterations_per_epoch=1), tmp_path).run(KillAfter(2))
    resumed = task(learner(seed=5), validate=lambda _: 1.0, epochs=3, iterations_per_epoch=1)
    training(resumed, tmp_path).run(Quiet())
    assert weights(resumed) == seen[0]


def test_seconds_are_counted_by_what_they_go_to(learner, task, tmp_path, monkeypatch):
    """A clock that ticks once a look: validation takes a second, waiting one a batch and one for the end of them."""
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(ticks)))
    outcome = training(task(learner(), validate=lambda _: 0.0, epochs=2, iterations_per_epoch=3), tmp_path).run(Quiet())
    assert outcome.seconds == {"training": 18.0, "validation": 2.0, "waiting_for_data": 8.0}
    assert outcome.at_epoch == [9.0, 18.0]


def test_every_iteration_has_its_own_rate(learner, task, tmp_path, monkeypatch):
    """Counted over the whole job, from 0; the epoch's line holds that of its last iteration."""
    factors = []
    monkeypatch.setattr(Stepper, "set_rate", lambda self, factor: factors.append(factor))
    schedule = OneCycle(name="onecycle", warmup=0.5)
    one = task(learner(), validate=lambda _: 0.0, epochs=3, iterations_per_epoch=2, schedule=schedule)
    outcome = training(one, tmp_path).run(Quiet())
    assert factors == [one_cycle((iteration + 1) / 6, 0.5) for iteration in range(6)]
    assert [record["learning_rate"] for record in outcome.history] == pytest.approx(
        [3e-3 * factor for factor in factors[1::2]]
    )


def test_the_loss_of_an_epoch_is_the_mean_over_its_iterations(learner, task, tmp_path, monkeypatch):
    losses = iter([1.0, 2.0, 6.0, 4.0, 4.0, 1.0])
    monkeypatch.setattr(Stepper, "step", lambda self, batch: torch.tensor(next(losses)))
    one = task(learner(), validate=lambda _: 0.0, epochs=2, iterations_per_epoch=3)
    assert [record["loss"] for record in training(one, tmp_path).run(Quiet()).history] == [3.0, 3.0]


def test_every_epoch_is_started_and_ends_in_a_checkpoint(learner, task, tmp_path, monkeypatch):
    """Written beside it and put in its place: a kill at any time leaves the last whole one."""
    started, held = [], []
    real = Stepper.start_epoch
    monkeypatch.setattr(Stepper, "start_epoch", lambda self, epoch: started.append(epoch) or real(self, epoch))

    def value(network):
        states = [torch.load(tmp_path / name, weights_only=True) for name in checkpoints(tmp_path)]
        held.append([len(state["history"]) for state in states])
        return 0.0

    one = task(learner(), validate=value, epochs=3, iterations_per_epoch=1)
    training(one, tmp_path).run(Quiet())
    assert (started, held) == ([0, 1, 2], [[], [1], [1, 2]])
    assert {path.name for path in tmp_path.iterdir()} == {*checkpoints(tmp_path), "history.jsonl"}
    assert [name[:27] for name in checkpoints(tmp_path)] == [
        "checkpoint-000002-000000002",
        "checkpoint-000003-000000003",
    ]
    started.clear()
    training(task(learner(), validate=value, epochs=4, iterations_per_epoch=1), tmp_path).run(Quiet())
    assert started == [0, 1, 2, 3]  # what was thawed is thawed again, in order


def test_batches_go_on_from_epoch_to_epoch(learner, task, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Stepper, "step", lambda self, batch: seen.append(batch.rows.tolist()) or torch.zeros(()))
    one = task(learner(), validate=lambda _: 0.0, epochs=3, iterations_per_epoch=3)
    training(one, tmp_path).run(Quiet())
    assert seen == [one.stream.batch(iteration).rows.tolist() for iteration in range(9)]


def test_early_stopping_minds_the_direction(learner, task, tmp_path):
    value, _ = sequence([5.0, 4.0, 4.5, 4.5, 1.0])
    one = task(learner(), validate=value, higher_is_better=False, epochs=5, iterations_per_epoch=1, early_stopping=2)
    outcome = training(one, tmp_path).run(Quiet())
    assert outcome.epochs == 4
    assert (outcome.best, outcome.best_epoch) == (4.0, 2)


@pytest.mark.parametrize(("keep", "place"), [("best", 1), ("last", 3)])
def test_the_weights_kept_are_those_of_the_epoch_asked_for(learner, task, tmp_path, keep, place):
    value, seen = sequence([1.0, 3.0, 2.0, 2.0])
    one = task(learner(), validate=value, epochs=4, iterations_per_epoch=1, keep=keep)
    training(one, tmp_path).run(Quiet())
    assert len(set(seen)) == 4
    assert weights(one) == seen[place]


def test_where_nothing_could_be_validated_the_last_weights_are_kept(learner, task, tmp_path):
    value, seen = sequence([math.nan, math.nan])
    one = task(learner(), validate=value, epochs=2)
    outcome = training(one, tmp_path).run(Quiet())
    assert [record["validation"] for record in outcome.history] == [None, None]
    assert (outcome.best, outcome.best_epoch) == (None, 0)
    assert weights(one) == seen[-1]


def test_progress_never_takes_nan_for_the_best():
    progress = Progress(higher_is_better=True, min_improvement=0.5)
    values = [math.nan, 1.0, math.nan, 1.5, 1.6, 0.0]
    assert [progress.record(epoch, value) for epoch, value in enumerate(values, 1)] == [
        False, True, False, False, True, False,
    ]  # fmt: skip
    assert (progress.best, progress.best_epoch, progress.stale) == (1.6, 5, 1)


def test_a_value_as_good_as_the_best_is_no_improvement():
    progress = Progress(higher_is_better=False, min_improvement=0.0)
    assert [progress.record(epoch, value) for epoch, value in enumerate([2.0, 2.0, 1.0], 1)] == [True, False, True]


@pytest.mark.parametrize("patience", [0, 1, 2, 5])
def test_plateau_drops_as_torchs_own_does(patience):
    values = [1, 2, 2, 2, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 0, 0]
    (weight,) = [nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.2, patience=patience, threshold=0.0, threshold_mode="abs", eps=0
    )
    rate, progress = make_rate(Plateau(patience=patience), 100), Progress(True, 0.0)
    for epoch, value in enumerate(values, 1):
        theirs.step(value)
        rate.epoch_ended(progress.record(epoch, float(value)))
        assert rate.factor(0) == pytest.approx(optimizer.param_groups[0]["lr"]), epoch
    assert rate.dropped > 0


def test_plateau_divides_the_learning_rate_by_five_in_the_history(learner, task, tmp_path):
    value, _ = sequence([3.0, 2.0, 2.0, 2.0, 2.0])
    schedule = Plateau(patience=1)
    outcome = training(
        task(learner(), validate=value, epochs=5, iterations_per_epoch=1, schedule=schedule), tmp_path
    ).run(Quiet())
    rates = [record["learning_rate"] for record in outcome.history]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-3, 3e-3 / 5, 3e-3 / 5])


@pytest.mark.parametrize(
    ("share", "warmup", "factor"),
    [
        (0.0, 0.3, 1 / 25),
        (0.15, 0.3, (1 + 1 / 25) / 2),
        (0.3, 0.3, 1.0),
        (0.65, 0.3, (1 + 1 / 2500) / 2),
        (1.0, 0.3, 1 / 2500),
        (0.1, 0.2, 0.52),
        (0.05, 0.2, 1 / 25 + 24 / 25 * (1 - math.sqrt(0.5)) / 2),
    ],
)
def test_one_cycle_rises_and_falls_by_cosines(share, warmup, factor):
    assert one_cycle(share, warmup) == pytest.approx(factor)


@pytest.mark.parametrize(("share", "factor"), [(0.2, 1.0), (0.4, 0.75), (0.6, 0.5), (1.0, 0.0)])
def test_one_cycle_can_fall_straight(share, factor):
    assert one_cycle(share, 0.2, "linear") == pytest.approx(1 / 2500 + (1 - 1 / 2500) * factor)
    rate = make_rate(OneCycle(name="onecycle", warmup=0.2, fall="linear"), 10)
    assert rate.factor(5) == pytest.approx(one_cycle(0.6, 0.2, "linear"))


def test_every_member_of_the_unions_has_what_makes_it():
    assert set(models_in(Optimizer)) == set(MAKERS)
    assert set(models_in(Schedule)) == set(BUILDERS)


def test_one_cycle_ends_with_the_last_iteration():
    rate = make_rate(OneCycle(name="onecycle", warmup=0.25), 40)
    factors = [rate.factor(iteration) for iteration in range(40)]
    assert max(factors) == factors[9] == pytest.approx(1.0)
    assert factors[-1] == min(factors) == pytest.approx(1 / 2500)
    assert factors[:10] == sorted(factors[:10])
    assert factors[9:] == sorted(factors[9:], reverse=True)


def test_a_constant_rate_is_constant():
    rate = make_rate(Constant(name="constant"), 10)
    for _ in range(20):
        rate.epoch_ended(False)
    assert {rate.factor(iteration) for iteration in range(10)} == {1.0}


def test_a_loss_that_is_no_number_ends_the_job(learner, task, tmp_path):
    def broken(outputs, batch, network, teacher):
        return outputs[0].sum() * math.nan

    with pytest.raises(JobError, match=r"the loss is nan in epoch 1; lower training\.optimizer\.learning_rate"):
        training(task(learner(extra_loss=broken)), tmp_path).run(Quiet())
    assert not checkpoints(tmp_path)


@pytest.fixture
def brittle(monkeypatch):
    """Steps whose loss is no number from the eleventh on, while the learning rate is above 2e-3."""
    real = Stepper.step

    def step(self, batch):
        loss = real(self, batch)
        done = max(float(state["step"]) for state in self.optimizer.state.values())
        return loss * math.nan if done > 10 and self.optimizer.param_groups[0]["lr"] > 2e-3 else loss

    monkeypatch.setattr(Stepper, "step", step)


LOWER = {
    "nan_policy": "lower_rate",
    "epochs": 4,
    "schedule": Constant(name="constant"),
    "average": MovingAverage(name="ema"),
}


def test_an_epoch_without_a_finite_loss_is_trained_again_with_half_of_the_rate(brittle, learner, task, tmp_path):
    one = task(learner(), **LOWER)
    outcome = training(one, tmp_path).run(listener := Quiet())
    assert [record["learning_rate"] for record in outcome.history] == [3e-3, 3e-3, 1.5e-3, 1.5e-3]
    assert outcome.lowered == 1
    assert listener.notices == ["the loss is nan in epoch 3; the epoch is trained again, with half of the learning rate from here on"]  # fmt: skip  # noqa: E501
    assert all(math.isfinite(record["loss"]) for record in outcome.history)
    assert all(tensor.isfinite().all() for tensor in one.learner.network.state_dict().values())


@pytest.mark.parametrize("killed", [pytest.param(one, marks=pytest.mark.slow) for one in (9, 11, 14)])
def test_a_kill_changes_nothing_of_going_back(brittle, learner, task, tmp_path, killed):
    """Counted in iterations as they are done: 9 to 12 are those of the epoch that is trained twice, 13 to 16 again."""

    class KillOnce(Quiet):
        def iteration(self, done, total):
            super().iteration(done, total)
            if len(self.iterations) == killed:
                raise KilledError

    (whole := tmp_path / "whole").mkdir()
    (cut := tmp_path / "cut").mkdir()
    uninterrupted = task(learner(), **LOWER)
    expected = training(uninterrupted, whole, seconds=0).run(Quiet())
    with pytest.raises(KilledError):
        training(task(learner(), **LOWER), cut, seconds=0).run(KillOnce())
    resumed = task(learner(seed=4), **LOWER)
    outcome = training(resumed, cut, seconds=0).run(Quiet())
    assert (outcome.history, outcome.lowered) == (expected.history, 1)
    assert weights(resumed) == weights(uninterrupted)


def test_the_rate_is_halved_three_times_at_most(learner, task, tmp_path):
    def broken(outputs, batch, network, teacher):
        return outputs[0].sum() * math.nan

    class Told(Quiet):
        def notice(self, text):
            self.records.append(text)

    with pytest.raises(
        JobError, match="the loss is nan in epoch 1, though the learning rate was halved 3 times; lower"
    ):
        training(task(learner(extra_loss=broken), **LOWER), tmp_path).run(listener := Told())
    assert len(listener.records) == 3


# The step


def forward(one, batch):
    one.network.train()
    return one.network(batch.images)


def test_the_loss_is_the_sum_over_the_supervised_stages(learner, layout, first_batch):
    both, last = learner(), learner(supervision=(None, layout.heads[1]))
    first = learner(supervision=(layout.heads[0], None))
    losses = [
        float(supervised_loss(forward(one, first_batch), first_batch, one).detach()) for one in (both, first, last)
    ]
    assert losses[0] == pytest.approx(losses[1] + losses[2])
    assert min(losses) > 0


def test_a_stage_without_supervision_takes_no_loss(learner, layout, first_batch):
    one = learner(supervision=(layout.heads[0], None))
    supervised_loss(forward(one, first_batch), first_batch, one).backward()
    touched = {name.partition(".")[0] for name, value in one.network.named_parameters() if value.grad is not None}
    assert touched == {"stem", "stage0", "head0"}


def test_a_stage_can_learn_some_of_its_heads_keypoints(learner, layout, figure, codec, first_batch):
    # The head is hip, r_hand, l_hand; the other order shows whether channels are found by name.
    one = learner(supervision=(None, figure.select(["l_hand", "hip"])))
    outputs = forward(one, first_batch)
    loss = supervised_loss(outputs, first_batch, one)
    columns = [figure.names.index("l_hand"), figure.names.index("hip")]
    targets = codec.encode(first_batch.points[:, columns], first_batch.state[:, columns], (8, 8), 4)
    assert float(loss.detach()) == pytest.approx(float(codec.loss(outputs[1][:, [2, 0]], targets).detach()))
    loss.backward()
    reached = one.network.head1.weight.grad.abs().sum((1, 2, 3)) > 0
    assert reached.tolist() == [True, False, True]


def test_a_heads_channels_are_selected_by_name(figure, codec):
    head = figure.select(["hip", "hand", "head"])
    output = torch.arange(4.0).view(1, 4, 1, 1)
    assert select_channels(output, head, figure.select(["head", "r_hand"]), codec).flatten().tolist() == [3, 1]
    assert select_channels(output, head, head, codec) is output


@pytest.mark.parametrize("options", [{"loss": "cross_entropy"}, {"loss": "mse"}, {"loss": "mse", "unlabelled": "zero"}])
def test_unlabelled_points_give_no_gradient_unless_they_count_as_zero(
    learner, make_codec, figure, first_batch, options
):
    one = learner(codec=make_codec(**options))
    state = first_batch.state.clone()
    state[:, figure.names.index("r_hand")] = 0
    batch = replace(first_batch, state=state)
    supervised_loss(forward(one, batch), batch, one).backward()
    reached = one.network.head1.weight.grad.abs().sum((1, 2, 3)) > 0
    assert reached.tolist() == [True, options.get("unlabelled") == "zero", True]  # hip, r_hand, l_hand


def names_of(optimizer, network):
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return {name for name, parameter in network.named_parameters() if id(parameter) in held}


def test_frozen_parameters_are_not_in_the_optimiser_until_they_thaw(learner):
    one = learner(frozen=frozenset({"stem", "stage0"}), thaws=(Thaw(2, ("stem",)),))
    stepper = Stepper(one, RMSprop())
    everything = {name for name, _ in one.network.named_parameters()}
    held = []
    for epoch in range(4):
        stepper.start_epoch(epoch)
        held.append(everything - names_of(stepper.optimizer, one.network))
    units = [{name.partition(".")[0] for name in left_out} for left_out in held]
    assert units == [{"stem", "stage0"}, {"stem", "stage0"}, {"stage0"}, {"stage0"}]
    parameters = [parameter for group in stepper.optimizer.param_groups for parameter in group["params"]]
    assert len({id(parameter) for parameter in parameters}) == len(parameters)


@pytest.mark.parametrize("name", ["rmsprop", "adamw", "muon"])
def test_weights_decay_and_biases_and_norms_do_not(learner, name):
    one = learner()
    optimizer = make_optimizer(one.network, one.plan, named(name, weight_decay=0.5), CPU)
    decaying = {
        id(parameter) for group in optimizer.param_groups if group["weight_decay"] for parameter in group["params"]
    }
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.5}
    for parameter in one.network.parameters():
        assert (id(parameter) in decaying) == (parameter.ndim > 1)


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        (RMSprop(alpha=0.9, eps=1e-6), torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-6, "momentum": 0}),
        (RMSprop(), torch.optim.RMSprop, {"alpha": 0.99, "eps": 1e-8, "lr": 2.5e-4}),
        (AdamW(name="adamw", eps=1e-5, learning_rate=0.1), torch.optim.AdamW, {"eps": 1e-5, "lr": 0.1}),
    ],
)
def test_the_optimiser_has_the_settings_it_was_given(learner, settings, kind, expected):
    one = learner()
    optimizer = make_optimizer(one.network, one.plan, settings, CPU)
    assert type(optimizer) is kind
    assert {name: {group[name] for group in optimizer.param_groups} for name in expected} == {
        name: {value} for name, value in expected.items()
    }


@pytest.mark.parametrize(("kind", "fused"), [("cpu", True), ("meta", False)])
def test_adamw_is_one_kernel_where_torch_has_one(learner, kind, fused):
    """Several hundred small tensors one by one cost more than it."""
    one = learner()
    made = make_optimizer(one.network, one.plan, AdamW(name="adamw"), Device(torch.device(kind), "fp32", 1))
    assert made.defaults["fused"] is fused
    assert make_optimizer(one.network, one.plan, RMSprop(), CPU).defaults["foreach"]


def test_a_gradient_scaler_goes_on_where_it_was(learner):
    """Its scale is found by trial, over thousands of steps."""
    one, told = Stepper(learner(), RMSprop()), []
    one.scaler = SimpleNamespace(state_dict=lambda: {"scale": 512.0}, load_state_dict=told.append)
    state = one.state()
    assert state["scaler"] == {"scale": 512.0}
    one.restore(state, 0)
    assert told == [{"scale": 512.0}]


def test_targets_are_as_wide_and_high_as_the_prediction(codec, figure, first_batch):
    keypoints = figure.select(["head", "l_hand"])
    targets = draw_targets(keypoints, first_batch, codec, torch.zeros(8, 2, 6, 10), 4)
    columns = list(keypoints.indices)
    expected = codec.encode(first_batch.points[:, columns], first_batch.state[:, columns], (6, 10), 4)
    assert targets.maps.shape == (8, 2, 6, 10)
    assert torch.equal(targets.maps, expected.maps)
    assert torch.equal(targets.weights, expected.weights)


def test_targets_of_one_set_are_drawn_once(learner, layout, first_batch, monkeypatch):
    """Stages on the same keypoints share them; the sum of their losses is the same."""
    drawn = []
    hands = layout.heads[0]
    one = learner(layout=Layout((hands, hands)))
    encode = type(one.codec).encode
    monkeypatch.setattr(type(one.codec), "encode", lambda self, *given: drawn.append(1) or encode(self, *given))
    supervised_loss(forward(one, first_batch), first_batch, one)
    assert len(drawn) == 1


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_muon_has_the_settings_it_was_given(learner, precision, dtype):
    one = learner()
    settings = config.Muon(name="muon", eps=1e-5, momentum=0.8)
    made = make_optimizer(one.network, one.plan, settings, Device(torch.device("cpu"), precision, 1))
    assert isinstance(made, Muon)
    assert (made.momentum, made.eps, made.dtype) == (0.8, 1e-5, dtype)


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_another_rate(learner):
    """Muon is for what lies between the image and the heads; these, biases and norms learn as AdamW would."""
    one = learner(learning_rates={"head1": 0.5})
    optimizer = make_optimizer(one.network, one.plan, config.Muon(name="muon", other_learning_rate=0.5), CPU)
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in one.network.named_parameters():
        group = groups[id(parameter)]
        hidden = is_matrix(name.partition(".")[0], parameter)
        assert group["matrices"] == hidden, name
        factor = 0.5 if name.startswith("head1.") else 1.0
        assert group["rate"] == group["lr"] == factor * (2.5e-4 if hidden else 0.5), name
    for name in ("rmsprop", "adamw"):
        other = make_optimizer(one.network, one.plan, named(name), CPU)
        assert {group["rate"] for group in other.param_groups} == {2.5e-4, 0.5 * 2.5e-4}
        assert not any(group["matrices"] for group in other.param_groups)


def test_a_thawed_unit_learns_whole_from_its_epoch_on(learner, task):
    """Before: neither weights nor statistics move. From the start of the epoch on, both do."""
    one = learner(frozen=frozenset({"stem", "stage0"}), thaws=(Thaw(1, ("stem",)),))
    stepper, batch = Stepper(one, RMSprop(learning_rate=0.01)), task(one).stream.batch(0)
    moved = []
    for epoch in range(3):
        before = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
        stepper.start_epoch(epoch)
        norms = {name: module.training for name, module in one.network.named_modules()}
        assert norms["stem.1"] == (epoch >= 1)
        assert not norms["stage0"]
        stepper.step(batch)
        after = one.network.state_dict()
        moved.append({name for name in before if not torch.equal(before[name], after[name])})
    frozen = {name for name in moved[1] if name.startswith("stage0.")}
    assert not frozen
    assert not {name for name in moved[0] if name.startswith("stem.")}
    for epoch in (1, 2):
        assert {"stem.0.weight", "stem.1.weight", "stem.1.running_mean", "stem.1.running_var"} <= moved[epoch]


@pytest.mark.parametrize(
    ("share", "epochs", "epoch"), [(0.0, 7, 0), (0.5, 4, 2), (0.5, 5, 3), (0.1, 30, 3), (1.0, 6, 6), (0.34, 3, 2)]
)
def test_a_thaw_by_share_comes_with_the_first_epoch_by_which_the_share_is_over(share, epochs, epoch):
    assert Thaw.after(share, ("stem",)).at(epochs) == Thaw(epoch, ("stem",))
    assert Thaw(2, ("stem",)).at(epochs) == Thaw(2, ("stem",))


def test_a_unit_learns_at_its_own_rate(learner):
    one = learner(learning_rates={"stem": 0.1, "head1": 3.0})
    stepper = Stepper(one, RMSprop(learning_rate=0.01))
    stepper.set_rate(0.5)
    rates = {id(parameter): group["lr"] for group in stepper.optimizer.param_groups for parameter in group["params"]}
    by_unit = {name.partition(".")[0]: rates[id(parameter)] for name, parameter in one.network.named_parameters()}
    assert by_unit == pytest.approx(
        {"stem": 5e-4, "stage0": 5e-3, "head0": 5e-3, "junction0": 5e-3, "stage1": 5e-3, "head1": 1.5e-2}
    )


def test_a_plan_that_freezes_everything_is_refused(learner, narrow, codec, layout):
    everything = frozenset(describe(narrow, codec, layout).units)
    with pytest.raises(KpError, match="every unit is frozen"):
        Stepper(learner(frozen=everything), RMSprop())


def test_an_extra_loss_sees_the_teacher_and_is_added(learner, task):
    seen = []

    def extra(outputs, batch, network, teacher):
        seen.append((len(outputs), tuple(batch.images.shape), network, teacher))
        return 7 + 0 * outputs[0].sum()

    teacher = learner(seed=4).network
    plain, distilled = learner(), learner(teacher=teacher, extra_loss=extra)
    batch = task(plain).stream.batch(0)
    losses = []
    for one in (plain, distilled):
        stepper = Stepper(one, RMSprop())
        stepper.start_epoch(0)
        losses.append(float(stepper.step(batch)))
    assert losses[1] == pytest.approx(losses[0] + 7)
    assert seen == [(2, (8, 3, 32, 32), distilled.network, teacher)]


def test_an_extra_loss_is_learned_from(learner, task):
    def pull(outputs, batch, network, teacher):
        return 100 * network.get_parameter("head0.bias").sum()

    moved = []
    for extra in (None, pull):
        one = learner(extra_loss=extra)
        stepper = Stepper(one, RMSprop(learning_rate=0.01))
        stepper.start_epoch(0)
        before = one.network.get_parameter("head0.bias").clone()
        stepper.step(task(one).stream.batch(0))
        moved.append(one.network.get_parameter("head0.bias") - before)
    assert (moved[1] < 0).all()
    assert not torch.equal(*moved)


def test_a_step_forgets_the_gradients_of_the_one_before(learner, task):
    """Otherwise the second step on a batch would not be what a fresh gradient makes of it."""
    one = learner()
    stepper, batch = Stepper(one, RMSprop(learning_rate=1e-9)), task(learner()).stream.batch(0)
    stepper.start_epoch(0)
    gradients = []
    for _ in range(2):
        stepper.step(batch)
        gradients.append(one.network.get_parameter("head1.weight").grad.clone())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-6)


# The device


def test_bf16_trains_on_the_cpu_and_keeps_weights_in_float32(learner, task, tmp_path):
    one = task(learner(device=Device(torch.device("cpu"), "bf16", 1)), epochs=1, validate=lambda _: 0.0)
    with one.learner.device.autocast():
        assert one.learner.network(torch.rand(1, 3, 32, 32))[0].dtype == torch.bfloat16
    before = weights(one)
    outcome = training(one, tmp_path).run(Quiet())
    assert math.isfinite(outcome.history[0]["loss"])
    assert weights(one) != before
    assert {value.dtype for value in one.learner.network.parameters()} == {torch.float32}


def test_fp16_is_refused_on_the_cpu():
    with pytest.raises(KpError, match=r"training\.precision = 'fp16': needs a GPU"):
        choose_device("cpu", "fp16", None)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "CPU0"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name):
    with pytest.raises(KpError, match=rf"--device {name}: not on this machine; cpu.* exist"):
        choose_device(name, "fp32", None)


def test_a_device_takes_the_threads_asked_for():
    assert choose_device("cpu", "bf16", 3) == Device(torch.device("cpu"), "bf16", 3)
    assert choose_device("cpu", "fp32").threads == 1
    assert available()[0] == "cpu"


# Predicting


class Bright(nn.Module):
    """A network whose every channel is the input's brightness at a quarter of its size."""

    def __init__(self, layout):
        super().__init__()
        self.layout = layout

    def forward(self, images):
        bright = nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4)
        return [bright.expand(-1, len(head), -1, -1) for head in self.layout.heads]


@pytest.mark.parametrize("flip_test", [False, True])
def test_predictions_are_in_source_pixels_in_the_order_asked_for(
    dots, paint, make_codec, narrow, figure, flip_test, tmp_path
):
    places = [(60.0, 71.5), (85.2, 64.0), (70.7, 90.1)]

    class OneDot(dots):
        def samples(self, part):
            plain = super().samples(part)[: len(places)]
            images = [paint([at], [(255, 255, 255)], 140, 160, sigma=8.0) for at in places]
            centre = np.array([75, 75], np.float32)
            return [
                type(old)(image, old.points, old.state, centre, 100.0, 1.0, old.image_id, "0", row)
                for row, (old, image) in enumerate(zip(plain, images, strict=True))
            ]

    store = prepare(read_part(OneDot(people=4, unlabelled=(0,)), "train"), Cut(64, 1.0))
    codec = make_codec(sigma=1.3, decode="dark")
    network = Bright(Layout((figure.select(["hip"]), figure.select(["head", "hand"]))))
    done = []
    points, confidence = Evaluator(narrow, codec, CPU, 2).predict(
        network, CpuSampler(store), [2, 0, 1], flip_test=flip_test, progress=lambda *count: done.append(count)
    )
    assert points.shape == (3, 3, 2)
    assert confidence.shape == (3, 3)
    for person, at in zip(points, [places[2], places[0], places[1]], strict=True):
        np.testing.assert_allclose(person, [at] * 3, atol=0.5)
    assert done == [(2, 3), (3, 3)]
    assert not network.training


class Lopsided(nn.Module):
    """A network that sees left and right differently, and has random maps of its own for every keypoint."""

    def __init__(self, layout):
        super().__init__()
        self.layout = layout
        torch.manual_seed(3)
        self.convolution = nn.Conv2d(3, len(layout.heads[-1]), 5, stride=4, padding=2)

    def forward(self, images):
        return [None] * (len(self.layout.heads) - 1) + [self.convolution(images)]


def test_the_flip_test_is_the_mean_of_a_prediction_and_the_mirrors(narrow, make_codec, figure, dots_store):
    codec = make_codec(sigma=1.0, loss="mse", decode="argmax")
    keypoints = figure.select(["l_foot", "head", "r_hand", "l_hand", "r_foot"])
    network = Lopsided(Layout((figure.select(["hip"]), keypoints)))
    sampler, people = CpuSampler(dots_store["valid"]), [4, 1, 9]
    evaluator = Evaluator(narrow, codec, CPU, 2)
    plain, flipped = (evaluator.predict(network, sampler, people, flip_test=flip) for flip in (False, True))
    assert not np.array_equal(plain[0], flipped[0])
    (batch,) = evaluation_batches(sampler, people, 3)
    images = batch.input(CPU.torch, narrow.mean, narrow.std)
    with torch.no_grad():
        maps, mirrored = network(images)[-1], network(images.flip(3))[-1].flip(3)
    partners = [keypoints.names.index(figure[name].mirror or name) for name in keypoints.names]
    for (points, confidence), expected in ((plain, maps), (flipped, (maps + mirrored[:, partners]) / 2)):
        places, heights = codec.decode(expected, narrow.stride)
        np.testing.assert_allclose(confidence, heights.numpy(), rtol=1e-5)
        source = apply(invert(input_affine(sampler.store, np.array(people))), places.double().numpy())
        np.testing.assert_allclose(points, source, atol=1e-6)


def test_predicting_leaves_the_networks_statistics_and_gradients_alone(learner, dots_store):
    one = learner()
    before = fingerprint(one.network.state_dict())
    one.network.train()
    evaluator = Evaluator(one.backbone, one.codec, CPU, 4)
    first, again = (
        evaluator.predict(one.network, CpuSampler(dots_store["valid"]), some, flip_test=False)[0]
        for some in ([0, 1, 2, 3, 4], [4, 3])
    )
    assert fingerprint(one.network.state_dict()) == before
    np.testing.assert_allclose(again, first[[4, 3]], atol=1e-4)  # who else is in the batch does not matter


def test_unmirroring_swaps_partners_and_columns(narrow, codec, figure):
    evaluator = Evaluator(narrow, codec, CPU, 2)
    keypoints = figure.select(["l_hand", "head", "r_hand"])
    prediction = torch.arange(6.0).view(1, 3, 1, 2)
    back = unmirror(prediction, keypoints, evaluator.codec)
    assert back.flatten().tolist() == [5, 4, 3, 2, 1, 0]
    assert torch.equal(unmirror(back, keypoints, evaluator.codec), prediction)


def test_a_flip_test_of_half_a_pair_is_refused(narrow, codec, figure):
    with pytest.raises(KpError, match="without its mirror partner"):
        unmirror(torch.zeros(1, 2, 1, 1), figure.select(["l_hand", "head"]), codec)


# Averaged weights


def test_averaging_changes_no_step_of_the_training(learner, task, tmp_path):
    """Only what is validated: losses are the same, values are not."""
    plain, averaged = folders(tmp_path, "plain", "averaged")
    one, other = task(learner(), keep="last"), task(learner(), keep="last", average=EMA)
    first, second = training(one, plain).run(Quiet()), training(other, averaged).run(Quiet())
    assert [record["loss"] for record in first.history] == [record["loss"] for record in second.history]
    assert weights(one) != weights(other)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_what_is_validated_is_what_is_kept(learner, task, tmp_path, keep):
    """The averaged weights of the epoch that counts, and in between the training goes on from its own."""
    seen, values = [], iter([1.0, 3.0, 2.0])

    def value(network):
        seen.append(fingerprint(network.state_dict()))
        return next(values)

    one = task(learner(), epochs=3, validate=value, average=EMA, keep=keep)
    made = training(one, tmp_path)
    own = []
    save = made.save
    made.save = lambda: (own.append(weights(one)), save())
    made.run(Quiet())
    assert weights(one) == seen[{"last": 2, "best": 1}[keep]]
    assert not set(own) & set(seen)


def test_averaging_leaves_frozen_units_bit_by_bit(learner, task, tmp_path):
    frozen = frozenset({"stem", "stage0", "head0"})
    one = task(learner(frozen=frozen), average=EMA)
    before = fingerprint(one.learner.network.state_dict(), frozen)
    moved = fingerprint(one.learner.network.state_dict(), {"stage1"})
    training(one, tmp_path).run(Quiet())
    assert fingerprint(one.learner.network.state_dict(), frozen) == before
    assert fingerprint(one.learner.network.state_dict(), {"stage1"}) != moved


def test_an_extra_loss_sees_the_weights_that_are_trained(learner, task, tmp_path):
    """With the first step's weight near 0 the average of the second is far from what is trained."""
    seen = []

    def extra(outputs, batch, network, teacher):
        seen.append(fingerprint(network.state_dict()))
        return 0.0 * outputs[0].sum()

    runs = []
    for average in (config.LastStep(), EMA):
        (tmp_path / average.name).mkdir()
        training(task(learner(extra_loss=extra), epochs=2, average=average), tmp_path / average.name).run(Quiet())
        runs.append(list(seen))
        seen.clear()
    assert runs[0] == runs[1]


def test_a_checkpoint_from_before_there_were_averages_is_gone_on_with(learner, task, tmp_path, monkeypatch):
    """The key of a job without one is what it was, so its folder may hold such a checkpoint."""
    whole, cut = folders(tmp_path, "whole", "cut")
    uninterrupted, first, second = (task(learner(), epochs=3) for _ in range(3))
    training(uninterrupted, whole).run(Quiet())
    made = training(first, cut)
    save = made.checkpoints.save
    monkeypatch.setattr(
        made.checkpoints, "save", lambda epochs, state: save(epochs, {k: v for k, v in state.items() if k != "average"})
    )
    with pytest.raises(KilledError):
        made.run(KillAfter(1))
    assert training(second, cut).run(Quiet()).epochs == 3
    assert weights(second) == weights(uninterrupted)
