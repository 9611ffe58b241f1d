"""The how-to of old and new points: its files open on made data, and make the networks that it speaks of."""

import csv
import re
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tomli_w

from kpcore.config import merge
from kpcore.registry import registry
from kpcore.study.opening import open_study
from kpcore.study.planning import plan_study
from kpcore.training.device import choose_device

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "old-and-new-points.md"
FILES = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)]
OLD, NEW = ("shoulder", "elbow"), ("wrist",)


def write_folder(root, labelled, seed):
    """A folder for ``named``: twelve pictures, of which only some keypoints are labelled."""
    random = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    names = [f"{side}_{name}" for name in (*OLD, *NEW) for side in ("left", "right")]
    with (root / "keypoints.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "part", *(f"{name}_{axis}" for name in names for axis in "xy")])
        for number in range(12):
            image = f"images/{number}.png"
            cv2.imwrite(str(root / image), random.integers(0, 255, (64, 64, 3), np.uint8))
            points = random.uniform(5, 59, (len(names), 2)).round(1)
            cells = [
                value if name.partition("_")[2] in labelled else ""
                for name, place in zip(names, points, strict=True)
                for value in place
            ]
            writer.writerow([image, "train" if number < 9 else "valid", *cells])
    return root


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The function that opens the page's file of that number, laid over its first one, on made data."""
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))

    def open_it(number, new, old=None):
        base, top = FILES[0], FILES[number]
        tables = merge({**base, "split": {}}, top)
        file = tmp_path / "study.toml"
        file.write_text(tomli_w.dumps(tables))
        sets = [f"dataset.root={write_folder(tmp_path / 'new', new, 1)}", "training.resolution=64"]
        sets += ["backbone.channels=8", "backbone.depth=2"]
        if old:
            sets.append(f"datasets.old.root={write_folder(tmp_path / 'old', old, 2)}")
        study = open_study(registry(), file, None, sets, lambda _: None)
        return study, plan_study(study, choose_device("cpu", "fp32"))

    return open_it


def groups(keypoints):
    return list(dict.fromkeys(name.partition("_")[2] for name in keypoints.names))


def test_all_points_at_once_is_one_training(opened):
    _, plan = opened(0, OLD + NEW)
    assert [(row.mode.name, len(row.job.layout.heads)) for row in plan.rows] == [("random", 2)]
    assert groups(plan.rows[0].job.layout.heads[-1]) == [*OLD, *NEW]
    assert len(plan.jobs) == 1


def test_by_name_ends_with_a_network_of_all_points(opened):
    study, plan = opened(1, OLD + NEW)
    assert [row.mode.name for row in plan.rows if row.seed == 0] == ["by_name", "random"]
    assert all(groups(row.job.layout.heads[-1]) == [*OLD, *NEW] for row in plan.rows)
    assert [column.name for column in study.splits[0].columns] == ["old", "new"]


def test_replay_ends_with_a_network_of_all_points_and_scores_the_old_on_their_pictures(opened):
    _, plan = opened(2, NEW, OLD)
    replay = plan.rows[0].job
    assert plan.rows[0].mode.name == "replay"
    assert groups(replay.layout.heads[-1]) == [*OLD, *NEW]
    assert groups(replay.keypoints) == list(NEW)
    assert replay.datasets == ("", "old")
    assert [groups(kept) for kept in replay.retained.values()] == [list(OLD)]
    assert not plan.refused
