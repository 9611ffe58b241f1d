"""The docs say what the code does: examples run, reference pages are current, links lead somewhere."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from kpcore import hooks
from kpcore.config import StudyConfig, overlay, validate
from kpcore.interfaces import Backbone, TransferStrategy
from kpcore.keypoints import KeypointSplit, Step
from kpcore.network import Network, describe
from kpcore.registry import check_class
from kpcore.study.setup import resolve
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
    assert check_class("strategy", mode) == ""
    assert check_class("backbone", network) == ""
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
