"""The docs say what the code does: examples run, reference pages are current, links lead somewhere."""

import importlib.util
import inspect
import io
import json
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
import typer

from kpcore import hooks, interfaces
from kpcore.cli.app import COMMANDS, app, outcome
from kpcore.config import AdamW, Augmentation, StudyConfig, overlay, validate
from kpcore.data.batches import TrainingStream
from kpcore.data.sampling import CpuSampler
from kpcore.errors import KpError
from kpcore.interfaces import Backbone, TransferStrategy
from kpcore.keypoints import KeypointSplit, Step, default_columns
from kpcore.network import Network, build_network, describe
from kpcore.records.results import (
    DataInfo,
    JobInfo,
    ModeInfo,
    Results,
    Retained,
    Row,
    SplitInfo,
    read_history,
)
from kpcore.registry import KINDS, check_class, registry
from kpcore.report.tables import csv_table
from kpcore.samples import Instances
from kpcore.study.opening import resolve
from kpcore.tracking import Follower
from kpcore.trained.importing.rules import Rules
from kpcore.training.device import Device
from kpcore.training.step import Learner, Stepper
from kpcore.weights import execute

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def generator(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_study_files_is_current(generator):
    page = ROOT / "docs" / "reference" / "study-files.md"
    assert page.read_text(encoding="utf-8") == generator.study_files(), "run python docs/generate.py"


def test_the_layout_of_results_is_told_key_by_key():
    page = (ROOT / "docs" / "reference" / "results.md").read_text(encoding="utf-8")
    first = re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE)
    told = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    keys = {field.alias or name for name, field in Results.model_fields.items()}
    keys |= {*SplitInfo.model_fields, *Row.model_fields}
    assert keys <= told
    inside = set(re.findall(r"`(\w+)`", page))
    assert {*DataInfo.model_fields, *ModeInfo.model_fields, *JobInfo.model_fields, *Retained.model_fields} <= inside


def test_the_lines_of_pandas_read_the_file(tmp_path, monkeypatch, capsys):
    code, of_csv = blocks(ROOT / "docs" / "reference" / "results.md", "python")
    reference = {"random": {"average": 40.0}}
    split = SplitInfo(
        name="a", steps=(("x",), ("y",)), columns=("y",), reference=reference, not_compared="other people"
    )
    rows = tuple(
        Row(split="a", mode="random", seed=seed, columns={"y": 50.0 + seed}, average=50.0 + seed, convention="c",
            status="done")
        for seed in (0, 1)
    )  # fmt: skip
    data = DataInfo(label="D", list="", people={}, sample=False)
    modes = (ModeInfo(name="random", summary="Random"),)
    results = Results(study="s", data=data, splits=(split,), modes=modes, rows=rows)
    text = results.to_json()
    (tmp_path / "tables.csv").write_text(csv_table(results), encoding="utf-8")
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    assert {"split", "mode", "average", "status"} <= json.loads(text)["rows"][0].keys(), "what the lines name"
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    exec(
        compile(code, "results.md", "exec"), {"open": lambda name: io.StringIO(Path(name).read_text(encoding="utf-8"))}
    )
    assert "50.5" in capsys.readouterr().out
    exec(compile(of_csv, "results.md", "exec"), {})
    out = capsys.readouterr().out
    assert "50.5" in out
    assert out.count("not comparable: other people") == 1


def sections(text: str) -> dict[str, str]:
    """Heading -> what stands below it."""
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in text.split("\n## ")[1:]}


def words(text: str) -> set[str]:
    """Words, whatever the line breaks, which differ between versions of typer."""
    return set(re.findall(r"[A-Za-z]+", text))


def test_the_reference_of_commands_has_every_command_with_all_its_options_and_no_other(generator):
    page = sections((ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8"))
    made = dict(generator.walk(typer.main.get_command(app), "kp"))
    assert {"kp", "kp bench", "kp data prepare"} <= made.keys()
    assert {name.split()[1] for name in made if name != "kp"} == set(COMMANDS)
    assert list(page) == list(made), "run python docs/generate.py"
    for name, command in made.items():
        options = [option for one in command.params for option in one.opts if option.startswith("-")]
        missing = [option for option in options if option not in page[name]]
        said = words(" ".join([command.help or "", *(getattr(one, "help", "") or "" for one in command.params)]))
        assert not missing and said <= words(page[name]), f"{name}: run python docs/generate.py"


def test_the_reference_of_interfaces_is_current_and_whole(generator):
    page = ROOT / "docs" / "reference" / "interfaces.md"
    text = page.read_text(encoding="utf-8")
    assert text == generator.interfaces(), "run python docs/generate.py"
    for name in [*interfaces.__all__, *(name for name in vars(hooks) if name.startswith("kp_"))]:
        assert f"\n### {name}\n" in text, f"{name}: add it to CONTENTS of docs/interfaces.py"


BASES = {
    "dataset": interfaces.Dataset, "generator": interfaces.Generator, "backbone": interfaces.Backbone,
    "split": interfaces.Split, "strategy": interfaces.TransferStrategy, "codec": interfaces.Codec,
    "metric": interfaces.Metric, "writer": interfaces.Writer, "tracker": interfaces.Tracker,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_of_interfaces_says_what_must_be_supplied_and_what_may(generator, kind):
    base = BASES[kind]
    section = generator.interfaces().partition(f"\n### {base.__name__}\n")[2].partition("\n### ")[0]
    must, _, may = (set(re.findall(r"^#### (\w+)", part, re.MULTILINE)) for part in section.partition("overridden"))
    assert must == base.__abstractmethods__
    own = {
        name for name, one in vars(base).items() if inspect.isfunction(one) or isinstance(one, property | classmethod)
    }
    assert may == {name for name in own if not name.startswith("_")} - must


def test_docstrings_become_markdown(generator):
    text = generator.interfaces.__globals__["markdown"](
        """Take ``x`` to :meth:`Codec.merge` of :mod:`kpcore.tensors`::

            y = x

        Args:
            x: (B, K), see
                :class:`~kpcore.plans.Thaw`.

        Returns:
            What is *left*.

        Plain again.
        """
    )
    assert "\n".join(text) == (
        "Take `x` to `Codec.merge` of `kpcore.tensors`:\n\n    y = x\n\n*Args*\n\n- `x`: (B, K), see\n  `Thaw`.\n\n"
        "*Returns*\n\nWhat is *left*.\n\nPlain again."
    )


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
        if "rename" in document:
            validate(Rules, document, where=page.name)
        elif "project" not in document:
            validate(StudyConfig, overlay(plain, document), where=page.name)
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_readme_opens_with_a_picture_and_two_commands_of_one_line():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    opening = text.partition("## ")[0]
    assert "](docs/images/labels.png)" in opening
    commands = blocks(ROOT / "README.md", "sh")[:2]
    assert opening.count("```sh") == 2
    for command, end in zip(commands, ("kp run examples/mpii_hourglass.toml", "python -m pytest -n auto"), strict=True):
        assert len(command.strip().splitlines()) == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert command.strip().endswith(end)


def code_of(name: str) -> str:
    for block in blocks(ROOT / "docs" / "how-to" / "write-a-plugin.md", "python"):
        if f"class {name}" in block:
            return block
    raise AssertionError(f"no example {name}")


def example(name: str) -> type:
    module = ModuleType("write_a_plugin")
    exec(compile(code_of(name), "write-a-plugin.md", "exec"), vars(module))
    return getattr(module, name)


@pytest.fixture
def my_lab(tmp_path, monkeypatch):
    """An installed plugin of the page's own data set and extra loss."""
    for name in ("Ants", "Distil"):
        (tmp_path / f"my_lab_{name}.py").write_text(code_of(name), encoding="utf-8")
    (tmp_path / "my_lab.py").write_text(
        "from kpcore import hookimpl\nfrom my_lab_Ants import Ants\nfrom my_lab_Distil import Distil\n"
        "@hookimpl\ndef kp_datasets(): return {'ants': Ants}\n"
        "@hookimpl\ndef kp_strategies(): return {'distil': Distil}\n"
    )
    folder = tmp_path / "my_lab-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: my_lab\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[kpcore]\nmy_lab = my_lab\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.cache_clear()
    yield tmp_path
    registry.cache_clear()
    for name in ("my_lab", "my_lab_Ants", "my_lab_Distil"):
        sys.modules.pop(name, None)


ANTS = """
study = { name = "ants", modes = ["distil", "random"] }
dataset = { name = "ants", root = "ants" }
split = { name = "explicit", sets.s.steps = [["head", "antenna"], ["antenna"]] }
backbone = { name = "hourglass", channels = 8, depth = 1, stages = [1, 2] }
codec = { name = "heatmap", loss = "cross_entropy", sigma = 1.0 }

[training]
resolution = 32
batch_size = 8
epochs = 4
iterations_per_epoch = 10
threads = 1
optimizer = { name = "adamw", learning_rate = 3e-3 }
"""


def write_ants(root: Path, paint) -> None:
    """Sixteen ants a part: three dots of a colour each; an antenna of the first is not labelled."""
    (root / "images").mkdir(parents=True)
    random, colours = np.random.default_rng(0), 255 * np.eye(3)
    for part in ("train", "valid"):
        people = []
        for row in range(16):
            points = random.uniform(8, 40, (3, 2)).round(1)
            name = f"{part}{row}.png"
            cv2.imwrite(str(root / "images" / name), paint(points, colours, 48, 48)[..., ::-1])
            named = dict(zip(("head", "left_antenna", "right_antenna"), points.tolist(), strict=True))
            people.append({"image": name, "points": named})
        del people[0]["points"]["left_antenna"]
        (root / f"{part}.json").write_text(json.dumps(people))


def test_the_example_of_a_data_set_is_trained_on_with_the_example_of_an_extra_loss(my_lab, paint, monkeypatch):
    monkeypatch.chdir(my_lab)
    write_ants(my_lab / "ants", paint)
    (my_lab / "study.toml").write_text(ANTS)
    assert outcome(["data", "check", "ants", "--dataset", "ants"]) == 0
    assert outcome(["run", "study.toml", "--jobs", "1"]) == 0
    results = Results.from_json(Path("runs/ants/results.json").read_text())
    assert [(row.mode, row.status) for row in results.rows] == [("distil", "done"), ("random", "done")]
    assert (results.data.label, results.data.people) == ("ants", {"train": 16, "valid": 16})
    for job in ("s-source-0", "s-distil-0"):
        losses = [record.loss for record in read_history(Path("runs/ants/jobs") / job / "history.jsonl")]
        assert losses[-1] < losses[0], job
    plan = json.loads(Path("runs/ants/jobs/s-distil-0/plan.json").read_text())
    assert plan["extra_loss"]


def test_the_example_of_a_data_set_says_what_is_wrong(tmp_path, paint):
    ants = example("Ants")
    with pytest.raises(KpError, match=r"dataset\.root: .*/none has no train\.json"):
        ants(root=str(tmp_path / "none"))
    write_ants(tmp_path / "ants", paint)
    found = ants(root=str(tmp_path / "ants"))
    with pytest.raises(KpError, match="unknown part 'trian'; did you mean 'train'"):
        found.samples("trian")
    people = json.loads((tmp_path / "ants" / "train.json").read_text())
    people += [{"image": people[0]["image"], "points": points} for points in ({}, {"head": [5, 5]})]
    (tmp_path / "ants" / "train.json").write_text(json.dumps(people))
    for alone in found.samples("train")[-2:]:  # nothing or one point labelled: the whole image is the crop
        assert (alone.side, alone.centre.tolist()) == (48, [23.5, 23.5])
    (tmp_path / "empty").mkdir()
    with pytest.raises(KpError, match=r"/empty has no train\.json; give a folder with images/"):
        ants(root=str(tmp_path / "empty"))
    first, second = found.samples("train")[:2]
    assert first.state.tolist() == [2, 0, 2]
    assert second.state.tolist() == [2, 2, 2]
    assert np.isnan(first.points[1]).all()
    assert (second.points.dtype, second.side) == (
        np.float32,
        pytest.approx(1.5 * float(np.ptp(second.points, 0).max())),
    )


def test_the_example_of_an_extra_loss_draws_the_last_stage_to_the_teacher(figure, codec, narrow, dots_store):
    half = figure.select(figure.names[:3])
    split = KeypointSplit("x", (Step(half), Step(figure.all())))
    apart = {weight: distilled(split, codec, narrow, dots_store["train"], weight) for weight in (0.0, 100.0)}
    assert apart[100.0] < 0.5 * apart[0.0]


def distilled(split, codec, backbone, store, weight):
    """Mean square of what the student's and the teacher's heatmaps differ by, after 30 steps."""
    strategy = example("Distil")(weight=weight)
    layouts = [strategy.layout(split, step, [1, 2]) for step in (0, 1)]
    source, target = (describe(backbone, codec, layout) for layout in layouts)
    plan = strategy.plan(split, 1, target, [source])
    plan.verify(target, (source,))
    teacher, network = (build_network(backbone, codec, layout, seed=3, resolution=32) for layout in layouts)
    execute(plan, network, target, [(source, teacher.state_dict())], {})
    teacher.requires_grad_(False).eval()
    cpu = Device(torch.device("cpu"), "fp32", 1)
    learner = Learner(network, plan, teacher, backbone, codec, store.skeleton, cpu)
    stepper = Stepper(learner, AdamW(name="adamw", learning_rate=3e-3))
    stream = TrainingStream(CpuSampler(store), range(32), Augmentation(), seed=0, batch_size=8)
    stepper.start_epoch(0)
    for batch in stream.iterate(0, 30):
        stepper.step(batch)
    with torch.no_grad():
        images = stream.batch(0).input(cpu.torch, backbone.mean, backbone.std)
        places = list(network.layout.heads[-1].places(split.source.names))
        return float((network(images)[-1][:, places] - teacher(images)[-1]).square().mean())


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
        ("dataset", "Ants"),
        ("strategy", "LastOnly"),
        ("strategy", "Distil"),
        ("backbone", "Plain"),
        ("split", "Growing"),
        ("codec", "MeanPixel"),
        ("metric", "MeanError"),
        ("tracker", "Lines"),
    ],
)
def test_an_example_would_be_taken_as_a_plugin(kind, name):
    assert check_class(kind, example(name)) == ""


def test_every_kind_of_component_has_an_example_to_look_at():
    text = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| .* \| `([A-Z]\w+)` \| `(kp_\w+)` \| `([\w/.]+)`", text, re.MULTILINE)
    assert sorted(hook for _, hook, _ in table) == sorted(KINDS.values())
    for base, _, path in table:
        assert base in interfaces.__all__
        assert (ROOT / path).exists(), path


def test_the_example_of_a_split_adds_group_after_group(figure):
    (split,) = example("Growing")(groups=["head", "hand", "hip"]).splits(figure, {})
    sets = [step.keypoints.names for step in split.steps]
    assert sets == [("head",), ("head", "r_hand", "l_hand"), ("head", "r_hand", "l_hand", "hip")]


def test_the_example_of_a_tracker_is_told_each_epoch_once(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    job = {"key": "a" * 64, "name": "job"}
    scored = {"job": job["key"], "mode": "m", "status": "done", "average": 1.5, "columns": {}, "scored_epoch": 1}
    for first in (1, 2):
        hear = Follower("lines", example("Lines")())
        hear("kp_study_started", study={"folder": str(tmp_path), "jobs": [job]})
        for epoch in range(first, 3):
            hear("kp_epoch_ended", job=job, record={"epoch": epoch, "loss": 0.5})
        hear("kp_study_ended", study={"folder": str(tmp_path)}, results={"rows": [scored]})
    lines = (tmp_path / "trackers" / "lines" / f"{job['key']}.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"epoch": 1, "loss": 0.5},
        {"epoch": 2, "loss": 0.5},
        {"epoch": 1, "scores": {"average": 1.5}},
    ]


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
    people = Instances.of(dots(people=4, unlabelled=(3,)).samples("valid"))
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


def test_the_whole_study_file_of_the_how_to_works_when_it_is_pasted(tmp_path, paint, monkeypatch):
    (study,) = [
        block
        for block in blocks(ROOT / "docs" / "how-to" / "your-own-question.md", "toml")
        if 'name = "named"' in block
    ]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(study)
    images, random = tmp_path / "data" / "cats", np.random.default_rng(0)
    images.mkdir(parents=True)
    lines = ["image,part,nose_x,nose_y,left_ear_x,left_ear_y,right_ear_x,right_ear_y"]
    for row in range(16):
        points = random.uniform(8, 40, (3, 2)).round(1)
        cv2.imwrite(str(images / f"{row}.png"), paint(points, 255 * np.eye(3), 48, 48))
        lines.append(f"cats/{row}.png,{('train', 'valid')[row % 2]}," + ",".join(map(str, points.ravel())))
    (tmp_path / "data" / "keypoints.csv").write_text("\n".join(lines) + "\n")
    small = ["training.resolution=32", "training.epochs=1", "training.iterations_per_epoch=1", "backbone.depth=1"]
    sets = [part for one in [*small, "backbone.channels=8", "training.threads=1"] for part in ("--set", one)]
    assert outcome(["run", "study.toml", "--jobs", "1", *sets]) == 0
    results = Results.from_json(Path("runs/nose_to_ears/results.json").read_text())
    assert [(row.mode, row.status) for row in results.rows] == [("transfer", "done"), ("random", "done")]
    assert results.splits[0].steps == (("nose",), ("left_ear", "right_ear"))
    assert results.splits[0].averaged == ("left_ear", "right_ear")
    assert results.splits[0].validation_mean_shape is not None
