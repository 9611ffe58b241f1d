"""The docs say what the code does: examples run, reference pages are current, links lead somewhere."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from kpcore import hooks
from kpcore.config import StudyConfig, overlay, validate
from kpcore.interfaces import Backbone, TransferStrategy
from kpcore.keypoints import KeypointSplit, Step, default_columns
from kpcore.network import Network, describe
from kpcore.registry import KINDS, check_class
from kpcore.samples import People
from kpcore.study.opening import resolve
from kpcore.weights import execute

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_study_files_is_current():
    page = ROOT / "docs" / "reference" / "study-files.md"
    assert page.read_text(encoding="utf-8") == generator().study_files(), "run python docs/generate.py"


def test_the_reference_of_commands_names_every_command_and_option():
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for command in generator().COMMANDS:
        call = [sys.executable, "-m", "kpcore", *command.split(), "--help"]
        told = subprocess.run(call, capture_output=True, text=True, check=True).stdout
        section = text.partition(f"## kp {command}\n")[2].partition("\n## ")[0]
        assert section, f"kp {command} is not in the reference; run python docs/generate.py"
        missing = {option for option in re.findall(r"--[a-z][a-z-]+", told) if option not in section}
        assert not missing, f"kp {command}: {missing}; run python docs/generate.py"


def test_every_hook_is_documented():
    text = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    for name, hook in vars(hooks).items():
        if name.startswith("kp_"):
            assert hook.__doc__
            assert f"`{name}`" in text, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_toml_is_valid_and_links_lead_somewhere(page):
    plain = resolve(ROOT / "examples" / "mpii_hourglass.toml", None, []).model_dump(mode="json", exclude_none=True)
    for block in blocks(page, "toml"):
        document = tomllib.loads(block)
        if "project" not in document:
            validate(StudyConfig, overlay(plain, document), where=page.name)
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_readme_opens_with_a_picture_and_two_commands_of_one_line():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    opening = text.partition("## ")[0]
    assert "](docs/images/overview.svg)" in opening
    commands = blocks(ROOT / "README.md", "sh")[:2]
    assert opening.count("```sh") == 2
    for command, end in zip(commands, ("kp run examples/mpii_hourglass.toml", "python -m pytest"), strict=True):
        assert len(command.strip().splitlines()) == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert command.strip().endswith(end)


def example(name: str) -> type:
    for block in blocks(ROOT / "docs" / "how-to" / "write-a-plugin.md", "python"):
        if f"class {name}" in block:
            namespace: dict[str, object] = {}
            exec(compile(block, "write-a-plugin.md", "exec"), namespace)
            return namespace[name]
    raise AssertionError(f"no example {name}")


def test_the_examples_of_a_mode_and_a_network_work_together(figure, codec):
    mode, network = example("LastOnly"), example("Plain")
    assert issubclass(mode, TransferStrategy)
    assert issubclass(network, Backbone)
    backbone, strategy = network(channels=8), mode()
    half = figure.select(figure.names[:2])
    split = KeypointSplit("x", (Step(half), Step(figure.all())))
    layout = strategy.layout(split, 1, [1, 2])
    target = describe(backbone, codec, layout)
    source_layout = type(layout)((half,))
    source = describe(backbone, codec, source_layout)
    plan = strategy.plan(split, 1, target, [source])
    state = Network(backbone, codec, source_layout).state_dict()
    grown = Network(backbone, codec, layout)
    execute(plan, grown, target, [(source, state)], {})
    predictions = grown(torch.zeros(1, 3, 32, 32))
    assert predictions[-1].shape == (1, len(figure.names), 8, 8)
    assert torch.equal(grown.state_dict()["stem.0.weight"], state["stem.0.weight"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("strategy", "LastOnly"),
        ("backbone", "Plain"),
        ("split", "Growing"),
        ("codec", "MeanPixel"),
        ("metric", "MeanError"),
    ],
)
def test_an_example_would_be_taken_as_a_plugin(kind, name):
    assert check_class(kind, example(name)) == ""


def test_every_kind_of_component_has_an_example_to_look_at():
    text = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| .* \| `kpcore\.interfaces\.\w+` \| `(kp_\w+)` \| `([\w/.]+)`", text, re.MULTILINE)
    assert sorted(hook for hook, _ in table) == sorted(KINDS.values())
    for _, path in table:
        assert (ROOT / path).exists(), path


def test_the_example_of_a_split_adds_group_after_group(figure):
    (split,) = example("Growing")(groups=["head", "hand", "hip"]).splits(figure, {})
    sets = [step.keypoints.names for step in split.steps]
    assert sets == [("head",), ("head", "r_hand", "l_hand"), ("head", "r_hand", "l_hand", "hip")]


def test_the_example_of_a_codec_reads_back_what_it_draws_and_learns():
    codec, stride = example("MeanPixel")(), 4
    points = torch.tensor([[[9.5, 21.5], [30.0, 3.0]]])
    state = torch.tensor([[2, 0]])
    targets = codec.encode(points, state, (8, 8), stride)
    assert targets.weights.tolist() == [[1, 0]]
    sharp = torch.zeros(1, 2, 8, 8)
    sharp[0, 0, 5, 2] = 50  # row 5, column 2: x = (2 + 0.5) * 4 - 0.5 = 9.5, y = 21.5
    decoded, confidence = codec.decode(sharp, stride)
    assert torch.allclose(decoded[0, 0], points[0, 0], atol=1e-4)
    assert confidence[0, 0] > 0.99
    assert codec.loss(sharp, targets) < 1e-4
    maps = torch.zeros(1, 2, 8, 8, requires_grad=True)
    codec.loss(maps, targets).backward()
    assert maps.grad[0, 0, 5, 2] < 0  # more there would lower the loss
    assert not maps.grad[0, 1].any()  # nobody marked this one


def test_the_example_of_a_metric_counts_what_is_labelled(dots, figure):
    people = People.of(dots(people=4, unlabelled=(3,)).samples("valid"))
    metric, keypoints = example("MeanError")(), figure.all()
    values = metric.values(people.points + np.array([3.0, 4.0]), people, keypoints)
    scores = metric.reduce(values, people, keypoints, default_columns(keypoints))
    assert scores.columns == pytest.approx({"hand": 5, "head": 5, "hip": np.nan, "foot": 5}, nan_ok=True)
    assert scores.average == pytest.approx(5)
    nothing = metric.values(np.full_like(people.points, np.nan), people, keypoints)
    assert metric.reduce(nothing, people, keypoints, default_columns(keypoints)).average == np.inf


def test_the_example_of_a_tracker_takes_a_line_of_history(capsys):
    (block,) = [
        block
        for block in blocks(ROOT / "docs" / "how-to" / "write-a-plugin.md", "python")
        if "def kp_epoch_ended" in block
    ]
    namespace: dict[str, object] = {}
    exec(compile(block, "write-a-plugin.md", "exec"), namespace)
    namespace["kp_epoch_ended"](job={"name": "d-random-0"}, record={"epoch": 1, "loss": 0.5, "validation": 20.0})
    assert capsys.readouterr().out == "d-random-0 1 0.5 20.0\n"
