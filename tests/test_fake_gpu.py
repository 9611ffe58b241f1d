"""Code that runs on a GPU, run where there is none: torch's fake tensors have a device, a dtype and a shape, no data.

Everything between a batch and the optimiser's step, and a whole evaluation, runs on fake ``cuda`` tensors: a tensor on
the wrong device, or an operation that does not exist for these types, raises. ``Watch`` sees every operation and counts
what makes the host wait: reading a number, copies to the host, copies from memory that is not pinned.

What is replaced, because it needs a real device:
- autograd's engine (its threads belong to a device): gradients are zeros, so the backward formulas are not run;
- ``Tensor.pin_memory``, which marks what would be pinned, and ``Tensor.numpy``, which gives zeros;
- torch's questions whether autocast may be used, whether the chip knows bf16, and how much memory is free;
- ``Module.to``: parameters are made anew on the device.
Not covered at all: values, kernels, streams, memory, ``torch.compile``, and what torch itself waits for out of sight of
the dispatcher. For these ``docs/measure_gpu.py`` runs on a real GPU.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from kpcore.config import AdamW, Augmentation, Muon, RMSprop, TrainingTable
from kpcore.data.batches import TrainingStream
from kpcore.data.sampling import DeviceSampler, Warped, make_sampler
from kpcore.data.sending import send
from kpcore.interfaces import Backbone, Targets
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.measure.estimate import job_plan, random_batch
from kpcore.network import build_network, describe
from kpcore.plans import Layout, TransferPlan, fresh_origins
from kpcore.records.folder import JobFolder
from kpcore.registry import registry
from kpcore.study.dag import plan_jobs
from kpcore.study.opening import open_study
from kpcore.trained.evaluator import Evaluator
from kpcore.training.checkpoint import Checkpoints
from kpcore.training.device import Device
from kpcore.training.loop import Task, Training
from kpcore.training.step import Learner, Stepper

GPU = torch.device("cuda")
FIGURE = Skeleton(
    "figure", (Keypoint("r_hand", "l_hand", "hand"), Keypoint("head"), Keypoint("l_hand", "r_hand", "hand"))
)
BODY = Skeleton("body", FIGURE.keypoints, dims=3)
MODES = ("transfer", "frozen", "random", "by_name", "l2sp", "gradual", "replay")
aten = torch.ops.aten

OPTIMIZERS = {"rmsprop": RMSprop(), "adamw": AdamW(name="adamw"), "muon": Muon(name="muon")}


class Watch(TorchDispatchMode):
    """Sees every operation; keeps what the host would wait for: "read", "to host" and "unpinned"."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is aten._local_scalar_dense.default:
            self.waits.append("read")
            return 0.0
        kwargs = kwargs or {}
        source = {aten._to_copy.default: 0, aten.copy_.default: 1}.get(func)
        if source is None:
            return func(*args, **kwargs)
        _no_constants(args)
        out = func(*args, **kwargs)
        self._copied(args[source], out, kwargs.get("non_blocking", False) or args[2:] == (True,))
        return out

    def _copied(self, source, out, queued):
        if source.device.type == "cuda" and out.device.type == "cpu":
            self.waits.append("to host")
        if (
            source.device.type == "cpu"
            and out.device.type == "cuda"
            and not (queued and getattr(source, "pinned", False))
        ):
            self.waits.append("unpinned")


def _no_constants(args):
    """Fake tensors remember small constants, and would copy them to the device for real."""
    for one in args:
        if isinstance(one, FakeTensor):
            one.constant = None


class Plain(Backbone):
    """The least that is a backbone: every operation costs a fake tensor as much as a real one."""

    stride = 4
    channels = 8
    mean = (0.4, 0.5, 0.6)
    std = (0.2, 0.2, 0.3)

    def check_size(self, height, width):
        return None

    def stem(self):
        return nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())

    def stage(self, index):
        return nn.Conv2d(8, 8, 3, 1, 1)


def pin(tensor):
    """What pinning gives: the same numbers, in other memory."""
    if tensor.device.type != "cpu":
        raise RuntimeError(f"cannot pin a tensor on {tensor.device}")
    pinned = tensor.detach()
    pinned.pinned = True
    return pinned


def as_array(tensor):
    if tensor.device.type != "cpu":
        raise TypeError(f"can't convert {tensor.device} tensor to numpy")
    return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


@pytest.fixture
def watch(monkeypatch):
    """A machine that seems to have a GPU; what is seen there."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 40, 1 << 40))
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(FakeTensor, "numpy", as_array, raising=False)
    with FakeTensorMode(allow_non_fake_inputs=True), Watch() as seen:
        yield seen


@pytest.fixture
def no_engine(monkeypatch):
    """``backward`` of one network fills its gradients with zeros; returns what takes the network."""

    def of(network):
        def backward(loss):
            assert loss.device.type == "cuda"
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter.grad = torch.zeros_like(parameter)

        monkeypatch.setattr(torch.autograd, "backward", backward)

    return of


def on_gpu(network):
    """Make all parameters and buffers anew on the device."""
    for module in network.modules():
        for name, one in module._parameters.items():
            if one is not None:
                made = torch.empty(one.shape, device=GPU).requires_grad_(one.requires_grad)
                module._parameters[name] = nn.Parameter(made, one.requires_grad)
        for name, one in module._buffers.items():
            if one is not None:
                module._buffers[name] = torch.empty(one.shape, dtype=one.dtype, device=GPU)
    return network


def network_of(backbone, codec, layout):
    return on_gpu(build_network(backbone, codec, layout, seed=0, resolution=32))


@pytest.fixture
def learner(no_engine):
    """A learner of two stages on the device."""

    def make(codec, precision="fp32", backbone=None, skeleton=FIGURE):
        backbone = backbone or Plain()
        layout = Layout((skeleton.select(["head"]), skeleton.select(["hand"])))
        network = network_of(backbone, codec, layout)
        plan = TransferPlan(fresh_origins(describe(backbone, codec, layout)), supervision=layout.heads)
        no_engine(network)
        return Learner(network, plan, None, backbone, codec, skeleton, Device(GPU, precision, 1))

    return make


def steps(learner, batches, optimizer="adamw"):
    """Take them; return the last loss."""
    stepper = Stepper(learner, OPTIMIZERS[optimizer])
    stepper.start_epoch(0)
    for batch in batches:
        loss = stepper.step(batch)
    return loss


def codec_of(name, **options):
    return registry().build("codec", name, options, where="codec")


@pytest.mark.parametrize("optimizer", ["rmsprop", "adamw", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_stays_on_the_gpu_and_waits_for_nothing(precision, optimizer, watch, learner, codec):
    loss = steps(learner(codec, precision), [random_batch(2, 32, FIGURE)] * 2, optimizer)
    assert loss.device.type == "cuda"
    assert loss.shape == ()
    # torch's scaler of fp16 reads whether a gradient overflowed, unless the optimiser takes that on the device.
    reads = 2 if precision == "fp16" and optimizer != "adamw" else 0
    assert watch.waits == ["read"] * reads


def test_the_network_computes_in_the_precision_that_is_asked_for(watch, learner, codec):
    for precision, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}.items():
        made = learner(codec, precision)
        seen = []
        made.network.head1.register_forward_hook(lambda module, args, out, seen=seen: seen.append(out.dtype))
        steps(made, [random_batch(2, 32, FIGURE)])
        assert seen == [dtype]


CODECS = [
    ("heatmap", {"loss": loss, "decode": decode, "unlabelled": "ignore"})
    for loss, decode in [("mse", "quarter"), ("cross_entropy", "dark"), ("mse", "argmax")]
] + [
    ("volumetric", {"loss": loss, "decode": decode, "depth_bins": 4})
    for loss, decode in [("integral", "soft_argmax"), ("cross_entropy", "local")]
]


@pytest.mark.parametrize(("name", "options"), CODECS)
def test_every_codec_draws_compares_and_decodes_on_the_gpu(name, options, watch, learner):
    codec = codec_of(name, **options)
    skeleton = BODY if name == "volumetric" else FIGURE
    steps(learner(codec, skeleton=skeleton), [random_batch(2, 32, skeleton)])
    prediction = torch.zeros(2, codec.channels(3), 8, 8, device=GPU)
    points, confidence = codec.decode(prediction, 4)
    assert points.device.type == confidence.device.type == "cuda"
    assert points.shape == (2, 3, codec.dims)
    assert watch.waits == []


def test_the_paper_s_network_does_too(watch, learner, codec, narrow):
    steps(learner(codec, "bf16", narrow), [random_batch(2, 32, FIGURE)])
    assert watch.waits == []


# --- every mode, as a study makes it ----------------------------------------------------------------------------------


@pytest.fixture
def planned(tiny_study, tiny_mpii, tmp_path):
    """A study of every mode on one split: (study, job, its transfer plan), training on S1 first."""
    file = tmp_path / "study.toml"
    text = tiny_study.replace('"transfer", "frozen", "random"', ", ".join(f'"{mode}"' for mode in MODES))
    file.write_text(text.replace('"a", "d"', '"d"'))
    study = replace(open_study(registry(), file, None, [f"dataset.root={tiny_mpii}"], lambda _: None), backbone=Plain())
    jobs = plan_jobs(study, Device(torch.device("cpu"), "fp32", 1)).jobs
    return [(study, job, job_plan(study, job)[1]) for job in jobs]


def test_every_mode_takes_steps_on_the_gpu(planned, no_engine, watch):
    assert {job.mode.name for _, job, _ in planned if job.mode} == set(MODES)
    for study, job, plan in planned:
        network = network_of(study.backbone, study.codec, job.layout)
        teacher = network_of(study.backbone, study.codec, job.sources[0].layout) if plan.teacher else None
        assert (teacher is not None) == bool(job.mode and job.mode.name in ("l2sp", "replay"))
        no_engine(network)
        skeleton = job.keypoints.skeleton
        learner = Learner(network, plan, teacher, study.backbone, study.codec, skeleton, Device(GPU, "bf16", 1))
        assert steps(learner, [random_batch(2, 32, skeleton)]).device.type == "cuda"
    assert watch.waits == []


# --- both samplers, an epoch, an evaluation ---------------------------------------------------------------------------


class Quiet:
    def iteration(self, done, total):
        pass

    def epoch(self, record):
        self.record = record


def stream_of(sampler, **changes):
    return TrainingStream(sampler, range(32), Augmentation(colour=0.2, **changes), seed=0, batch_size=4)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("average", ["off", "ema"])
def test_an_epoch_reads_the_device_once(average, resident, dots_store, watch, learner, codec, figure, tmp_path):
    sampler = DeviceSampler(dots_store["train"], GPU, resident=resident)
    made = learner(codec, skeleton=figure)
    averaging = {"average": {"name": average}}
    settings = TrainingTable(resolution=32, batch_size=4, epochs=1, iterations_per_epoch=3, **averaging)
    watch.waits.clear()  # the store was copied: once a job
    kept = Checkpoints(JobFolder(tmp_path), print)
    training = Training(Task(made, stream_of(sampler), settings, lambda network: 50.0, True), kept)
    listener = Quiet()
    training._epoch(0, listener)
    assert listener.record["loss"] == 0.0
    assert watch.waits == ["read"]


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("flip_test", [True, False])
def test_an_evaluation_reads_points_and_confidences_a_batch(
    flip_test, resident, dots_store, watch, learner, codec, figure
):
    sampler = DeviceSampler(dots_store["valid"], GPU, resident=resident)
    made = learner(codec, "bf16", skeleton=figure)
    evaluator = Evaluator(made.backbone, codec, made.device, 4)
    watch.waits.clear()
    points, confidence = evaluator.predict(made.network, sampler, range(8), flip_test=flip_test)
    assert points.shape == (8, 2, 2)
    assert confidence.shape == (8, 2)
    assert watch.waits == ["to host"] * 4


def test_a_gpu_takes_the_resident_sampler(dots_store, watch):
    sampler = make_sampler(dots_store["train"], GPU)
    assert sampler.crops.device.type == "cuda"
    assert sampler.crops.shape == dots_store["train"].crops.shape


# --- these tests can fail ---------------------------------------------------------------------------------------------

MIXED = "found two different devices|is on cpu|same device|different from other tensors"


class OnTheHost:
    """A codec of which one method answers with tensors of the host."""

    def __init__(self, codec, method):
        self._codec, self._method = codec, method

    def __getattr__(self, name):
        found = getattr(self._codec, name)
        return found if name != self._method else lambda *args: moved(found(*args))


def moved(found):
    return Targets(found.maps.cpu(), found.weights.cpu()) if isinstance(found, Targets) else found.cpu()


def test_targets_on_the_wrong_device_are_found(watch, learner, codec):
    with pytest.raises(RuntimeError, match=MIXED):
        steps(learner(OnTheHost(codec, "encode")), [random_batch(2, 32, FIGURE)])


def test_a_loss_on_the_wrong_device_is_found(watch, learner, codec):
    with pytest.raises(AssertionError):
        steps(learner(OnTheHost(codec, "loss")), [random_batch(2, 32, FIGURE)])
    assert "to host" in watch.waits


def test_a_sampler_that_forgets_the_device_is_found(watch, learner, codec, monkeypatch):
    monkeypatch.setattr(Warped, "on", lambda self, device: self.pixels)
    with pytest.raises(RuntimeError, match=MIXED):
        steps(learner(codec), [random_batch(2, 32, FIGURE)])


def test_a_sampler_that_does_not_pin_is_found(dots_store, watch, monkeypatch):
    for resident, copies in ((True, 2), (False, 2)):
        sampler = DeviceSampler(dots_store["train"], GPU, resident=resident)
        sampler.pinned = False
        batch = stream_of(sampler).batch(0)
        watch.waits.clear()
        batch.input(GPU, (0, 0, 0), (1, 1, 1))
        assert watch.waits == ["unpinned"] * copies


def test_what_makes_the_host_wait_is_counted(watch):
    there = torch.zeros(4, 3, device=GPU)
    for wait, seen in [
        (lambda: there.sum().item(), "read"),
        (lambda: float(there.sum()), "read"),
        (lambda: bool(there.any()), "read"),
        (lambda: there.cpu(), "to host"),
        (lambda: there.tolist(), "read"),
        (lambda: there.new_tensor((1.0, 2.0)), "unpinned"),
        (lambda: there[:, [0, 2]], "unpinned"),
        (lambda: torch.zeros(3).to(GPU, non_blocking=True), "unpinned"),
        (lambda: torch.zeros(3).pin_memory().to(GPU), "unpinned"),
        (lambda: there[0].copy_(torch.zeros(3)), "unpinned"),
    ]:
        watch.waits.clear()
        wait()
        assert set(watch.waits) == {seen}
    watch.waits.clear()
    send(torch.zeros(3), GPU)
    there[:, 1:].mul_(2.0)
    assert watch.waits == []


def test_a_fake_tensor_tells_no_number():
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        torch.zeros(3, device=GPU).sum().item()


def test_what_is_pinned_or_read_must_be_on_the_host(watch):
    with pytest.raises(RuntimeError, match="cannot pin"):
        send(torch.zeros(3, device=GPU), GPU)
    with pytest.raises(TypeError, match="to numpy"):
        torch.zeros(3, device=GPU).numpy()


def test_on_a_cpu_nothing_is_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pytest.fail("no GPU"))
    tensor = torch.ones(3)
    assert send(tensor, torch.device("cpu")) is tensor
