"""The example plugin, found and used as a third party's is: by entry point, in a study, with errors for people."""

import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import cv2
import numpy as np
import pytest

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.hooks import GROUP
from kpcore.registry import Registry
from kpcore.study.dag import plan_jobs
from kpcore.study.data import read_part
from kpcore.study.opening import open_study
from kpcore.tensors import UNLABELLED, VISIBLE
from kpcore.training.device import choose_device

PLUGIN = Path(__file__).parent.parent / "examples" / "plugin"
HEADER = "image,nose_x,nose_y,left_ear_x,left_ear_y,right_ear_x,right_ear_y"
ROWS = ("a.png,20,30,10,8,34,8", "b.png,22,28,,,30,6.5", "a.png,,,,,,")


@pytest.fixture
def known(monkeypatch):
    """This environment's plugins and the example, as if it were installed."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    points = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    mine = [EntryPoint(name, value, GROUP) for name, value in points.items()]
    others = [point for point in entry_points(group=GROUP) if point.name not in points]
    return Registry([*others, *mine])


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "cats"
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / "images" / name), random.integers(0, 256, (48, 44, 3), np.uint8))
    for part in ("train", "valid"):
        (folder / f"{part}.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    return folder


def opened(known, root, **options):
    return known.build("dataset", "csv", {"root": str(root)} | options, where="dataset")


def test_it_loads_without_a_problem(known):
    (plugin,) = [plugin for plugin in known.plugins if plugin.name == "csv"]
    assert known.supplies(plugin) == {"dataset": ["csv"]}
    assert plugin.ok
    assert not plugin.problems


def test_mirrors_and_groups_come_from_the_names(known, root):
    skeleton = opened(known, root).skeleton
    assert skeleton.names == ("nose", "left_ear", "right_ear")
    assert skeleton.all().flip_permutation == (0, 2, 1)
    assert skeleton.groups == {"nose": ("nose",), "ear": ("left_ear", "right_ear")}


def test_a_row_becomes_a_sample(known, root):
    first, second = opened(known, root, margin=2).samples("train")
    assert first.points.tolist() == [[20, 30], [10, 8], [34, 8]]
    assert first.centre.tolist() == [22, 19]
    assert (first.side, first.normaliser) == (48, 48)
    assert second.state.tolist() == [VISIBLE, UNLABELLED, VISIBLE]
    assert np.isnan(second.points[1]).all()
    assert second.row == 1


def test_rows_that_cannot_be_scored_are_left_out_and_told(known, root):
    dataset = opened(known, root, normaliser=["left_ear", "right_ear"])
    (sample,) = dataset.samples("train")
    assert sample.normaliser == 24
    (finding,) = dataset.findings("train")
    assert finding.count == 2


def test_data_check_finds_what_is_wrong_and_nothing_else(known, root):
    def errors():
        found = check_part(opened(known, root), "train", decode=True)
        return [finding.what for finding in found if finding.level == "error"]

    assert errors() == []
    (root / "images" / "b.png").unlink()
    assert any("b.png" in what for what in errors())


def test_the_fingerprint_sees_annotation_images_and_options(known, root):
    def fingerprint(**options):
        return read_part(opened(known, root, **options), "train").fingerprint

    prints = [fingerprint(), fingerprint(margin=2)]
    with (root / "images" / "a.png").open("ab") as file:
        file.write(b"more")
    prints.append(fingerprint())
    (root / "train.csv").write_text("\n".join([HEADER, *ROWS[:1]]) + "\n")
    prints.append(fingerprint())
    assert all(one != other for place, one in enumerate(prints) for other in prints[:place])


def test_its_study_can_be_planned(known, root):
    study = open_study(known, PLUGIN / "study.toml", None, [f"dataset.root='{root}'", "training.batch_size=1"])
    assert [split.target.names for split in study.splits] == [("left_ear", "right_ear")]
    plan = plan_jobs(study, choose_device("cpu", "fp32", 1))
    assert len(plan.rows) == 6  # three modes, two seeds
    assert len(plan.jobs) == 8  # and one shared training on S1 a seed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEADER.replace("nose_y", "nose"), ["train.csv", "'nose_y'"]),
        (HEADER.replace("image", "file"), ["train.csv", "'image'"]),
        ("image\n", ["train.csv", "NAME_x"]),
        ("", ["train.csv", "'image'"]),
        (f"{HEADER}\n{ROWS[0]}\na.png,20,thirty,10,8,34,8", ["train.csv, line 3", "column nose_y", "'thirty'"]),
        (f"{HEADER}\na.png,20,,10,8,34,8", ["line 2", "column nose_y", "''"]),
        (f"{HEADER}\na.png,nan,1,10,8,34,8", ["line 2", "column nose_x", "'nan'"]),
        (f"{HEADER}\na.png,20,30", ["line 2", "3 cells", "7"]),
        (f'{HEADER}\n"a.png,20', ["train.csv", "cannot be read"]),
    ],
)
def test_a_damaged_file_is_named_with_line_and_column(known, root, text, told):
    (root / "train.csv").write_text(text)
    with pytest.raises(KpError) as caught:
        opened(known, root).samples("train")
    assert [piece for piece in told if piece not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"normaliser": ["left_ear", "right_eer"]}, "right_ear"),
        ({"margins": 2}, "margin"),
    ],
)
def test_a_wrong_option_is_told_what_exists(known, root, options, told):
    with pytest.raises(KpError, match=told):
        opened(known, root, **options)


def test_a_wrong_root_is_named(known, tmp_path):
    with pytest.raises(KpError, match=r"dataset\.root.*nowhere is not a folder"):
        opened(known, tmp_path / "nowhere")


def test_parts_must_have_the_same_columns(known, root):
    (root / "valid.csv").write_text("image,nose_x,nose_y\na.png,1,2\n")
    with pytest.raises(KpError, match=r"valid\.csv.*train\.csv"):
        opened(known, root).samples("valid")
