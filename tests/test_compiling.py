"""training.compile, the allocator and precision "auto": asked for rightly, refused in one line."""

import shutil
import subprocess
import sys

import pytest
import torch

from kpcore.config import TrainingTable
from kpcore.errors import KpError
from kpcore.training import compiling, device
from kpcore.training import process as memory
from kpcore.training.compiling import compile_network, require, uncompiled
from kpcore.training.device import best_precision, choose_device, choose_precisions

CPU = torch.device("cpu")


class Blocks:
    blocks = (torch.nn.Conv2d,)


class NoBlocks:
    blocks = ()


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())


def compiled(network):
    return [name for name, module in network.named_modules() if module._compiled_call_impl is not None]


@pytest.mark.parametrize(("how", "expected"), [("off", []), ("blocks", ["stem.0"]), ("network", [""])])
def test_what_is_compiled_keeps_its_names(how, expected, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    network = Network()
    names = list(network.state_dict())
    compile_network(network, Blocks(), how, CPU)
    assert compiled(network) == expected
    assert list(network.state_dict()) == names


@pytest.mark.parametrize(
    ("how", "backbone", "compiler", "message"),
    [
        ("graphs", Blocks, True, "CUDA graphs need a CUDA device, this is cpu"),
        ("blocks", NoBlocks, True, "this backbone names no blocks"),
        ("network", Blocks, False, "no C\\+\\+ compiler is found"),
    ],
)
def test_what_cannot_be_compiled_is_said_in_one_line(how, backbone, compiler, message, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name if compiler else None)
    with pytest.raises(KpError, match=message):
        require(backbone(), how, CPU)


def test_evaluation_runs_what_was_not_compiled(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    network = Network()
    compile_network(network, Blocks(), "blocks", CPU)
    image = torch.rand(1, 3, 8, 8)
    with uncompiled(), torch.no_grad():
        assert torch.equal(network.stem(image), torch.nn.functional.relu(network.stem[0].forward(image)))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_block_computes_the_same():
    network = Network()
    image = torch.rand(1, 3, 8, 8)
    plain = network.stem(image)
    compile_network(network, Blocks(), "blocks", CPU)
    torch.testing.assert_close(network.stem(image), plain)


@pytest.mark.parametrize(("probes", "expected"), [([True, False], "bf16"), ([False, False], "fp32"), ([], "fp32")])
def test_auto_is_bf16_where_the_chip_multiplies_it(probes, expected, monkeypatch):
    monkeypatch.setattr(device, "_cpu_probes", lambda: [lambda answer=answer: answer for answer in probes])
    assert best_precision(CPU) == expected
    assert choose_device("cpu", "auto", 1).precision == expected


def test_auto_on_a_gpu_asks_for_native_bf16(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: asked.append(options) or True)
    assert best_precision(torch.device("cuda")) == "bf16"
    assert asked == [{"including_emulation": False}]
    assert best_precision(torch.device("mps")) == "fp32"


def test_precisions_are_named_and_checked():
    assert choose_precisions("cpu", ["bf16", "fp32"]) == ("fp32", "bf16")
    with pytest.raises(KpError, match="did you mean 'bf16'"):
        choose_precisions("cpu", ["bf61"])
    with pytest.raises(KpError, match="needs a GPU"):
        choose_precisions("cpu", ["fp16"])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_kept_in_a_process_of_its_own():
    # In a process of its own: the setting stays.
    code = """
import resource, torch
from kpcore.training.process import keep_freed_memory
kept = keep_freed_memory()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3): torch.ones(5_000_000)
before = faults()
for _ in range(20): torch.ones(5_000_000)
print(kept, faults() - before)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed[0] == "True"
    assert int(printed[1]) < 40_000  # 20 blocks of 4,883 pages, given back each time, would be 97,660


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed_memory()


def test_steps_are_marked_for_graphs_alone(monkeypatch):
    marked = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marked.append(True))
    for how in ("off", "blocks", "network", "graphs"):
        compiling.start_step(how)
    assert len(marked) == 1


def test_a_network_that_cannot_be_compiled_is_refused_before_it_is_used(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    network = Network()
    with pytest.raises(KpError, match=r"no C\+\+ compiler"):
        compile_network(network, Blocks(), "network", CPU)
    assert compiled(network) == []
    compile_network(network, Blocks(), "off", CPU)  # needs none


def test_glibc_is_told_by_its_own_numbers(monkeypatch):
    """malloc.h: M_TRIM_THRESHOLD -1, M_MMAP_THRESHOLD -3, M_ARENA_MAX -8; mallopt answers 1 where it took a value."""
    told = {}

    class C:
        @staticmethod
        def mallopt(name, value):
            told[name] = value
            return answers.get(name, 1)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: C)
    answers = {}
    assert memory.keep_freed_memory()
    assert told == {-8: 1, -3: 32 * 1024 * 1024, -1: 2**31 - 1}
    for refused in (-8, -3, -1):
        answers = {refused: 0}
        assert not memory.keep_freed_memory()


@pytest.mark.parametrize(
    ("cores", "gigabytes", "threads", "expected"),
    [
        (8, 64, 1, 8),  # a core each
        (2, 64, 1, 2),
        (1, 64, 1, 1),
        (8, 64, 3, 2),
        (8, 64, 16, 1),
        (64, 16, 1, 4),  # as many as the memory holds
        (8, 2, 1, 1),
    ],
)
def test_jobs_fill_the_cores_as_far_as_memory_goes(cores, gigabytes, threads, expected, monkeypatch):
    monkeypatch.setattr(device, "cores", lambda: cores)
    monkeypatch.setattr(device, "memory", lambda: gigabytes << 30)
    assert device.jobs_at_once(choose_device("cpu", "fp32", threads)) == expected


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_no_machine_chooses_the_threads_of_a_job(cores, monkeypatch):
    monkeypatch.setattr(device, "cores", lambda: cores)
    assert choose_device("cpu", "fp32").threads == 1
    assert TrainingTable().threads == 1


def test_a_gpu_takes_one_job_at_a_time(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "cores", lambda: 6)
    assert device.available()[:3] == ["cpu", "cuda:0", "cuda:1"]
    assert choose_device(None, "fp16") == device.Device(torch.device("cuda:0"), "fp16", 1)
    assert choose_device("cuda", "fp32", 2) == device.Device(torch.device("cuda:0"), "fp32", 2)
    assert choose_device("cuda:1", "fp32", 2).torch == torch.device("cuda:1")
    assert device.jobs_at_once(choose_device(None, "fp32")) == 1
    assert choose_precisions("cuda", ["fp16", "bf16"]) == ("bf16", "fp16")


@pytest.mark.parametrize(("precision", "enabled"), [("fp32", False), ("bf16", False), ("fp16", True)])
def test_gradients_are_scaled_for_fp16_alone(precision, enabled, monkeypatch):
    made = []
    monkeypatch.setattr(device, "GradScaler", lambda kind, enabled: made.append((kind, enabled)))
    device.Device(torch.device("cuda"), precision, 1).scaler()
    assert made == [("cuda", enabled)]
