"""The protocol of one job, piece by piece: what it is grown from, what it is validated with, what it writes."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from kpcore.data.batches import evaluation_batches
from kpcore.errors import KpError
from kpcore.interfaces import Scores
from kpcore.keypoints import default_columns
from kpcore.network import build_network
from kpcore.records.folder import JobFolder
from kpcore.registry import registry
from kpcore.samples import Instances
from kpcore.study import protocol
from kpcore.study.dag import plan_jobs
from kpcore.study.opening import open_study
from kpcore.study.scoring import Scorer
from kpcore.study.workshop import open_workshop
from kpcore.tensors import UNLABELLED
from kpcore.trained.finding import trainings
from kpcore.trained.model import load_model, metadata, read_model
from kpcore.trained.predictor import Predictor
from kpcore.training.checkpoint import Checkpoints
from kpcore.training.device import Device
from kpcore.training.loop import JobError, Task, Training
from kpcore.weights import fingerprint, load_weights, restore, save_weights

CPU = Device(torch.device("cpu"), "fp32", 1)


class Silent:
    def iteration(self, done, total): ...
    def epoch(self, record): ...
    def notice(self, text): ...


@pytest.fixture
def shop(tmp_path, tiny_study, tiny_mpii):
    """(settings) -> the study's jobs by name, and its workshop."""
    file = tmp_path / "study.toml"
    file.write_text(tiny_study)

    def make(*sets):
        study = open_study(
            registry(), file, None, [f"dataset.root={tiny_mpii}", 'split.splits=["d"]', *sets], lambda _: None
        )
        return {job.name: job for job in plan_jobs(study, CPU).jobs}, open_workshop(study, CPU, [""])

    return make


def run(jobs, shop, *names):
    for name in names:
        protocol.run_job(jobs[name], shop, Silent())
    return [JobFolder.of(jobs[name].key).result() for name in names]


# Growing


def test_a_source_starts_from_the_jobs_seed_alone(shop):
    jobs, made = shop("study.seeds=[0, 1]")
    grown = {seed: protocol.grow(jobs[f"d-source-{seed}"], made) for seed in (0, 1)}
    weights = {seed: one.network.state_dict() for seed, one in grown.items()}
    assert fingerprint(protocol.grow(jobs["d-source-0"], made).network.state_dict()) == fingerprint(weights[0])
    assert not [
        name for name, tensor in weights[0].items() if tensor.ndim > 1 and torch.equal(tensor, weights[1][name])
    ]
    assert all(one.teacher is None and not one.plan.frozen for one in grown.values())
    assert grown[0].plan.supervision == jobs["d-source-0"].layout.heads


@pytest.mark.parametrize("mode", ["transfer", "frozen"])
def test_a_target_starts_from_its_sources_weights_and_what_is_new_from_its_seed(shop, mode):
    jobs, made = shop()
    run(jobs, made, "d-source-0")
    source = load_weights(JobFolder.of(jobs["d-source-0"].key).weights)
    job = jobs[f"d-{mode}-0"]
    grown, other = (protocol.grow(one, made) for one in (job, replace(job, seed=5)))
    fresh = build_network(made.study.backbone, made.study.codec, job.layout, seed=0, resolution=32)
    state, redrawn = grown.network.state_dict(), other.network.state_dict()
    for name, origin in grown.plan.origins.items():
        expected = source[origin.tensor] if origin.kind == "loaded" else fresh.state_dict()[name]
        assert torch.equal(state[name], expected), name
        if origin.kind == "new" and state[name].ndim > 1:
            assert not torch.equal(state[name], redrawn[name]), name


def test_the_teacher_is_the_source_frozen_and_in_evaluation_mode(shop):
    """Its BatchNorm must neither move nor see the batch, whatever the student does."""
    jobs, made = shop('study.modes=["replay"]')
    run(jobs, made, "d-source-0")
    grown = protocol.grow(jobs["d-replay-0"], made)
    source = load_weights(JobFolder.of(jobs["d-source-0"].key).weights)
    assert fingerprint(grown.teacher.state_dict()) == fingerprint(source)
    assert not any(module.training for module in grown.teacher.modules())
    assert not any(parameter.requires_grad for parameter in grown.teacher.parameters())
    seen = []
    extra = grown.plan.extra_loss

    def watched(outputs, batch, network, teacher):
        seen.append([module.training for module in teacher.modules()])
        return extra(outputs, batch, network, teacher)

    grown = replace(grown, plan=replace(grown.plan, extra_loss=watched))
    folder = JobFolder.of("by-hand")
    folder.path.mkdir(parents=True)
    protocol.train(jobs["d-replay-0"], made, grown, Checkpoints(folder, print), Silent())
    assert len(seen) == 6
    assert not any(map(any, seen))
    assert fingerprint(grown.teacher.state_dict()) == fingerprint(source)


def test_a_plan_is_fitted_to_the_epochs_there_are(shop):
    """Gradual thawing is written in shares of the schedule."""
    jobs, made = shop('study.modes=["gradual"]', "training.epochs=9")
    run(jobs, made, "d-source-0")
    thaws = protocol.grow(jobs["d-gradual-0"], made).plan.thaws
    assert all(thaw.share is None for thaw in thaws)
    assert max(thaw.epoch for thaw in thaws) == 5  # half of nine, and no earlier


# Training


def test_a_job_is_trained_with_its_seed_people_and_direction(shop, monkeypatch):
    jobs, made = shop("study.seeds=[3]")
    tasks = []

    def look(self, listener):
        tasks.append(self.task)
        raise JobError("only looked at")

    monkeypatch.setattr(Training, "run", look)
    job = jobs["d-source-3"]
    with pytest.raises(JobError):
        run(jobs, made, "d-source-3")
    (task,) = tasks
    settings = made.study.config.training
    assert isinstance(task, Task)
    assert (task.stream.seed, task.stream.batch_size) == (3, 4)
    assert task.stream.people.tolist() == list(range(12))
    assert task.stream.sampler.store.part.name == "train"
    assert (task.stream.augmentation, task.settings) == (settings.augmentation, settings)
    assert task.higher_is_better is made.study.validation.higher_is_better
    assert (task.learner.compile, task.learner.device) == (settings.compile, CPU)
    assert task.learner.skeleton == job.keypoints.skeleton
    assert task.learner.codec is made.study.codec
    read = [name in job.reads for name in job.keypoints.skeleton.names]
    assert 0 < sum(read) < 16
    assert ((task.stream.truth.state != UNLABELLED) == read).all()


def test_labels_that_a_job_does_not_read_cannot_reach_it(shop, tiny_mpii, tmp_path):
    """The key says which; here everything else is moved, and the files of the job come out the same."""
    root = tmp_path / "moved"
    shutil.copytree(tiny_mpii, root)
    jobs, made = shop()
    job = jobs["d-source-0"]
    unread = [place for place, name in enumerate(job.keypoints.skeleton.names) if name not in job.reads]
    assert 0 < len(unread) < 16
    for part in ("train", "valid"):
        with h5py.File(root / "annot" / f"{part}.h5", "r+") as file:
            points = file["part"][()]
            points[:, unread] = points[:, unread][..., ::-1] + 1.5
            file["part"][()] = points
    others, moved = shop(f"dataset.root={root}")
    assert others["d-source-0"].key == job.key
    kept = []
    for one in (made, moved):
        protocol.run_job(job, one, Silent(), fresh=True)
        kept.append({
            name: (JobFolder.of(job.key).path / name).read_bytes()
            for name in ("weights.safetensors", "history.jsonl", "predictions.h5", "result.json")
        })  # fmt: skip
    assert kept[0] == kept[1]
    truths = [one.groups[""].training.store.people.points[:, unread] for one in (made, moved)]
    assert (truths[0] != truths[1]).any()  # they have been moved


@pytest.mark.parametrize("higher", [True, False])
def test_the_direction_of_the_validation_metric_is_minded(shop, monkeypatch, higher):
    jobs, made = shop()
    values = iter([5.0, 1.0])
    monkeypatch.setattr(type(made.study.validation), "higher_is_better", higher)
    monkeypatch.setattr(protocol, "validation_value", lambda job, shop, network: next(values))
    (result,) = run(jobs, made, "d-source-0")
    assert (result.best_validation, result.best_epoch) == ((5.0, 1) if higher else (1.0, 2))


@pytest.mark.parametrize(("keep", "score"), [("best", 5.0), ("last", 1.0)])
def test_a_network_is_said_to_score_what_the_weights_do_that_were_kept(shop, monkeypatch, keep, score):
    jobs, made = shop(f"training.keep='{keep}'")
    values = iter([5.0, 1.0])
    monkeypatch.setattr(protocol, "validation_value", lambda job, shop, network: next(values))
    run(jobs, made, "d-source-0")
    folder = JobFolder.of(jobs["d-source-0"].key)
    assert read_model(folder.weights).score.value == score
    assert [one.validation for one in trainings() if one.key == jobs["d-source-0"].key] == [score]


# Validating and predicting


class Asked:
    """An evaluator that notes what it is asked, and finds every point where it is."""

    def __init__(self, evaluator):
        self._evaluator = evaluator
        self.asked = []

    def predict(self, network, sampler, people, *, flip_test):
        self.asked.append((sampler.store.part.name, list(people), flip_test))
        truth = sampler.store.people.take(people).select(network.layout.heads[-1].indices)
        return np.nan_to_num(truth.points), np.ones(truth.state.shape)


@pytest.fixture
def asked(shop):
    def make(*sets):
        jobs, made = shop(*sets)
        evaluator = Asked(made.evaluator)
        return jobs["d-random-0"], replace(made, evaluator=evaluator), evaluator.asked

    return make


@pytest.mark.parametrize("flip", [True, False])
def test_validation_asks_for_the_flip_test_that_its_table_says(asked, flip):
    flag = str(flip).lower()
    job, made, questions = asked(f"evaluation.validation.flip_test={flag}", f"evaluation.flip_test={not flip}".lower())
    network = SimpleNamespace(layout=job.layout)
    assert protocol.validation_value(job, made, network) == 100
    assert questions == [("valid", [0, 1, 2, 4, 5], flip)]  # five of six, evenly spread


@pytest.mark.parametrize("flip", [True, False])
def test_without_a_table_of_its_own_validation_is_the_final_score_of_everybody(asked, flip):
    job, made, questions = asked(f"evaluation.flip_test={str(flip).lower()}")
    evaluation = made.study.config.evaluation.model_copy(update={"validation": None})
    study = replace(made.study, config=made.study.config.model_copy(update={"evaluation": evaluation}))
    protocol.validation_value(job, replace(made, study=study), SimpleNamespace(layout=job.layout))
    assert [question[2] for question in questions] == [flip]


@pytest.mark.parametrize("flip", [True, False])
def test_final_predictions_are_of_everybody_with_the_flip_test_that_is_set(asked, flip, tmp_path):
    job, made, questions = asked(f"evaluation.flip_test={str(flip).lower()}")
    protocol.predict(SimpleNamespace(layout=job.layout), made, "", tmp_path / "p.h5")
    assert questions == [("valid", list(range(6)), flip)]
    samples = made.study.data[""].dataset.samples("valid")
    with h5py.File(tmp_path / "p.h5") as file:
        assert list(file.attrs["keypoints"]) == list(job.layout.heads[-1].names)
        assert (file.attrs["part"], file.attrs["origin"], file.attrs["data"]) == ("valid", 0, "MPII")
        assert file["rows"][()].tolist() == [sample.row for sample in samples]
        columns = list(job.keypoints.indices)
        np.testing.assert_allclose(file["preds"], [sample.points[columns] for sample in samples], atol=1e-3)


def test_what_is_validated_is_the_steps_own_keypoints_of_a_larger_head(asked):
    """by_name keeps S1's maps in the head; S2 alone chooses the epoch, by its own columns."""
    job, made, _ = asked()
    everything = job.keypoints.skeleton.all()
    larger = replace(job, layout=replace(job.layout, heads=(everything, everything)))
    seen = []

    class Metric:
        def score(self, points, confidence, people, keypoints, columns):
            seen.append((points, confidence, people, keypoints, columns))
            return Scores({"all": 12.0}, 12.0)

    study = replace(made.study, validation=Metric())
    assert protocol.validation_value(larger, replace(made, study=study), SimpleNamespace(layout=larger.layout)) == 12
    ((points, confidence, people, keypoints, columns),) = seen
    assert keypoints == job.keypoints
    assert columns == job.columns
    assert confidence.shape == points.shape[:2] == (5, len(job.keypoints))
    np.testing.assert_allclose(points, people.points[:, list(job.keypoints.indices)], atol=1e-4)


# What is written


def test_a_finished_job_is_read_and_not_trained_again(shop, monkeypatch):
    jobs, made = shop()
    first = run(jobs, made, "d-source-0")
    monkeypatch.setattr(Training, "run", None)
    assert run(jobs, made, "d-source-0") == first


def test_the_files_of_a_job_say_what_became_of_it(shop):
    jobs, made = shop()
    run(jobs, made, "d-source-0")
    (result,) = run(jobs, made, "d-frozen-0")
    job = jobs["d-frozen-0"]
    kept = JobFolder.of(job.key)
    folder = kept.path
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history] == [1, 2]
    values = [record["validation"] for record in history]
    assert result.best_validation == max(values)
    assert result.best_epoch == 1 + values.index(max(values))
    assert (result.epochs, result.iterations) == (2, 6)
    assert result.validation_convention == made.study.validation.convention
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["frozen_hash"] == result.frozen
    assert result.frozen["before"] == result.frozen["after"] is not None
    weights = load_weights(folder / "weights.safetensors")
    assert result.frozen["after"] == fingerprint(weights, result.frozen["units"])
    assert result.parameters == sum(
        tensor.numel() for name, tensor in weights.items() if "running" not in name and "num_batches" not in name
    )
    described = json.loads((folder / "job.json").read_text())
    assert described == {"title": "d-frozen-0", "study": "tiny", "key": job.key, "settings": described["settings"]}
    assert described["settings"]["seed"] == 0
    timing = json.loads((folder / "timing.json").read_text())
    assert set(timing) == {"training", "validation", "waiting_for_data", "at_epoch"}
    assert not list(folder.glob("checkpoint*"))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["job"] == job.key
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json", ".lock"}
    assert kept.done
    assert kept.problem() == ""


def test_weights_say_what_they_are_of_and_rebuild_their_network(shop):
    """From the file and the plugins alone: what comes out predicts the very points that the job stored."""
    jobs, made = shop()
    run(jobs, made, "d-source-0", "d-frozen-0")
    job, folder = jobs["d-frozen-0"], JobFolder.of(jobs["d-frozen-0"].key)
    trained = load_model(folder.weights, registry())
    model, result = trained.model, folder.result()
    assert (model.job, model.trained_on, model.resolution) == (job.key, job.keypoints.names, 32)
    assert [head.names for head in trained.network.layout.heads] == [head.names for head in job.layout.heads]
    assert trained.keypoints.skeleton == job.layout.heads[-1].skeleton
    assert (model.backbone.name, model.codec.name) == ("hourglass", "heatmap")
    assert (model.score.value, model.score.people) == (result.best_validation, 5)
    assert (model.mean, model.std, model.stride) == (made.study.backbone.mean, made.study.backbone.std, 4)
    assert fingerprint(trained.network.state_dict()) == fingerprint(load_weights(folder.weights))
    group = made.groups[""].scored
    network = protocol.place(trained.network, CPU.torch)
    points, _ = made.evaluator.predict(network, group.sampler, group.people, flip_test=True)
    with h5py.File(folder.predictions()) as file:
        np.testing.assert_array_equal(points, file["preds"])


def test_a_predictor_needs_no_store(shop):
    jobs, made = shop()
    run(jobs, made, "d-source-0")
    trained = load_model(JobFolder.of(jobs["d-source-0"].key).weights, registry())
    predictor = Predictor(trained.network, trained.backbone, trained.codec, CPU, flip_test=False)
    batch = next(evaluation_batches(made.groups[""].scored.sampler, [0, 1, 2], 3))
    points, confidence = predictor.crops(batch.images.pixels)
    assert points.shape == (3, len(predictor.keypoints), 2)
    assert confidence.shape == (3, len(predictor.keypoints))
    there = predictor.inputs(batch.input(CPU.torch, trained.backbone.mean, trained.backbone.std))[0]
    torch.testing.assert_close(points, there, atol=1e-3, rtol=0)


@pytest.mark.parametrize("flip_test", [False, True])
def test_a_large_batch_goes_through_in_parts_and_comes_out_the_same(flip_test, shop, monkeypatch):
    jobs, made = shop()
    network = protocol.grow(jobs["d-source-0"], made).network
    predictor = Predictor(network.eval(), made.study.backbone, made.study.codec, CPU, flip_test)
    images = torch.rand(5, 3, 32, 32)
    whole = predictor.maps(images)
    sizes = []
    network.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    monkeypatch.setattr("kpcore.trained.predictor.CPU_PIXELS", 4 * 32 * 32)
    torch.testing.assert_close(predictor.maps(images), whole, atol=1e-6, rtol=0)
    assert sizes == ([4, 4, 2] if flip_test else [4, 1])
    monkeypatch.setattr("kpcore.trained.predictor.CPU_PIXELS", 1)  # an input larger than that goes alone
    assert len(predictor.maps(images)) == 5


def test_weights_that_do_not_say_what_they_are_of_are_refused(shop, tmp_path):
    jobs, made = shop()
    network = protocol.grow(jobs["d-source-0"], made).network
    for name, texts, told in (
        ("none", {}, "does not say what network it is of"),
        ("json", {"kptransfer": "{"}, "cannot be used"),
        ("half", {"kptransfer": '{"version": 1}'}, "backbone: Field required"),
    ):
        save_weights(tmp_path / name, network, texts)
        with pytest.raises(KpError, match=told):
            load_model(tmp_path / name, registry())
    with pytest.raises(KpError, match="no such weights file"):
        load_model(tmp_path / "gone", registry())


def test_scores_come_from_the_stored_points_of_the_jobs_own_keypoints(shop):
    jobs, made = shop("evaluation.metric.threshold=2.5")
    run(jobs, made, "d-random-0")
    job = jobs["d-random-0"]
    found = Scorer(made.study).final(job).scores
    with h5py.File(JobFolder.of(job.key).predictions()) as file:
        points, confidence = file["preds"][()], file["confidence"][()]
    truth = Instances.of(made.study.data[""].dataset.samples("valid"))
    again = made.study.metric.score(points, confidence, truth, job.keypoints, job.columns)
    assert found == again
    assert found.average > 0


def test_a_changed_weight_is_another_prediction(shop, tmp_path):
    """The network that is saved is the one that is scored."""
    jobs, made = shop()
    run(jobs, made, "d-random-0")
    job = jobs["d-random-0"]
    folder = JobFolder.of(job.key)
    network = build_network(made.study.backbone, made.study.codec, job.layout, seed=9, resolution=32)
    restore(network, load_weights(folder.weights), "test")
    network = protocol.place(network, CPU.torch)
    protocol.predict(network, made, "", tmp_path / "again.h5")
    save_weights(tmp_path / "again.safetensors", network, metadata(read_model(folder.weights)))
    assert (tmp_path / "again.h5").read_bytes() == folder.predictions().read_bytes()
    assert (tmp_path / "again.safetensors").read_bytes() == folder.weights.read_bytes()


def test_columns_of_a_source_are_its_groups(shop):
    jobs, _ = shop()
    assert jobs["d-source-0"].columns == default_columns(jobs["d-source-0"].keypoints)
    assert jobs["d-random-0"].columns == jobs["d-random-0"].split.columns


def test_predictions_on_other_data_are_numbered_in_the_order_of_the_steps(tmp_path):
    names = [JobFolder(tmp_path).predictions(number).name for number in range(4)]
    assert names == ["predictions.h5", "predictions-1.h5", "predictions-2.h5", "predictions-3.h5"]


def test_a_score_reads_points_and_confidences_of_the_steps_own_keypoints_from_a_larger_head(asked):
    job, made, _ = asked()
    everything = job.keypoints.skeleton.all()
    larger = replace(job, layout=replace(job.layout, heads=(everything, everything)))

    class Numbered(Asked):
        def predict(self, *given, **more):
            points, confidence = super().predict(*given, **more)
            return points, confidence * np.arange(len(everything))  # tells whose it is

    folder = JobFolder.of(larger.key)
    folder.path.mkdir(parents=True)
    shop = replace(made, evaluator=Numbered(made.evaluator))
    protocol.predict(SimpleNamespace(layout=larger.layout), shop, "", folder.predictions())
    seen = []
    metric = SimpleNamespace(score=lambda *given: seen.append(given) or Scores({"all": 1.0}, 1.0))
    Scorer(replace(made.study, metric=metric)).final(larger)
    ((points, confidence, people, keypoints, columns),) = seen
    assert (keypoints, columns) == (job.keypoints, job.columns)
    assert confidence.tolist() == [list(map(float, job.keypoints.indices))] * 6
    np.testing.assert_allclose(points, people.points[:, list(job.keypoints.indices)], atol=1e-3)
