"""Predictions put aside in files, and writers whose memory does not hang on how many there are."""

import os
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest
from writing import MOUSE, about, found, written

from kpcore.evaluation.predictions import read_predictions
from kpcore.registry import registry
from kpcore.trained.spool import Spool

ONE = [[1 / 3, 20.5], [30.12345, 40.0], [15.0, np.nan], [0.5, 0.0]]
TWO = [[50.0, 60.0], [51.0, 61.0], [52.0, 62.0], [90.5, 60.0]]


def test_what_is_put_aside_comes_back_to_the_last_bit_and_as_often_as_asked(tmp_path):
    spool = Spool(tmp_path / "spool")
    pictures = [
        found("a.png", ONE, TWO, ids=["tom", ""], pixels=np.zeros((2, 2, 3), np.uint8)),
        found("b\udcff.png"),
        found("v.mp4", TWO, frame=3),
        found("c.png", problem="cannot be read"),
    ]
    for one in pictures:
        spool.add(one)
        spool.rest()
    for _ in range(2):
        back = list(spool)
        assert [(one.name, one.path, one.frame, one.size, one.ids, one.problem) for one in back] == [
            (one.name, one.path, one.frame, one.size, one.ids, one.problem) for one in pictures
        ]
        for mine, theirs in zip(back, pictures, strict=True):
            np.testing.assert_array_equal(mine.points, theirs.points)
            np.testing.assert_array_equal(mine.confidence, theirs.confidence)
            np.testing.assert_array_equal(mine.crops, theirs.crops)
            assert mine.pixels is None and mine.points.shape[1:] == (4, 2)
    spool.remove()
    assert not list(tmp_path.iterdir()) and list(spool) == []


def test_a_spool_begins_anew_where_a_killed_run_left_one(tmp_path):
    (tmp_path / "spool").write_text("half a li")
    spool = Spool(tmp_path / "spool")
    spool.add(found("a.png", ONE))
    assert [one.name for one in spool] == ["a.png"]


@pytest.mark.parametrize("rows", [True, False])
def test_many_instances_are_written_to_the_hdf5_some_at_a_time_and_none_is_lost(tmp_path, rows):
    random = np.random.default_rng(0)
    points = random.uniform(0, 99, (300, 2, 4, 2))
    pictures = [found(f"{n}.png", *points[n], rows=(2 * n, 2 * n + 1) if rows or n < 200 else ()) for n in range(300)]
    pictures.insert(7, found("empty.png"))
    (path,) = written("h5", tmp_path, pictures)
    back = read_predictions(path)
    np.testing.assert_array_equal(back.points, points.reshape(600, 4, 2))
    assert back.keypoints == MOUSE.names and back.origin == 0
    assert back.image_ids == tuple(f"{n}.png" for n in range(300) for _ in range(2))
    assert (back.rows is None) is not rows
    with h5py.File(path) as file:
        assert file["person_ids"].asstr()[:4].tolist() == ["0", "1", "0", "1"] and (file["frames"][:] == -1).all()
        assert file["crops"].shape == (600, 3) and file["confidence"].dtype == np.float32
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("name", "most"), [("csv", 2), ("h5", 2), ("coco_results", 2), ("deeplabcut", 400)])
def test_memory_does_not_grow_with_the_pictures(tmp_path, name, most):
    """Bytes a picture that are still held after it: DeepLabCut's labels hold the images' names, and nothing else."""
    writer = registry().build("writer", name, {}, where="test")
    sink = writer.open(tmp_path / writer.file, about())
    pixels = np.zeros((64, 64, 3), np.uint8)
    picture = found("a.png", ONE, TWO)

    def add(first, count):
        for number in range(first, first + count):
            sink.add(replace(picture, path=picture.path.with_name(f"{number:06}.png"), pixels=pixels.copy()))

    add(0, 300)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    add(300, 640)  # whole chunks
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    sink.abandon()
    assert grown < 640 * most + 200_000, grown / 640


@pytest.mark.parametrize("name", ["csv", "h5", "deeplabcut", "coco", "coco_results"])
def test_what_is_abandoned_leaves_no_file(tmp_path, name):
    writer = registry().build("writer", name, {}, where="test")
    sink = writer.open(tmp_path / writer.file, about())
    for number in range(200):
        sink.add(found(f"{number}.png", TWO))
    sink.abandon()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


KILLED = """
import os, signal, sys
from pathlib import Path
from writing import about, found
from kpcore.registry import registry
writer = registry().build("writer", sys.argv[1], {}, where="test")
sink = writer.open(Path(sys.argv[2]) / writer.file, about())
for number in range(300):
    sink.add(found(f"{number}.png", [[1.0, 2.0]] * 4))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["csv", "h5", "deeplabcut", "coco"])
def test_a_killed_run_leaves_no_file_that_looks_whole(tmp_path, name):
    helpers = os.pathsep.join([*sys.path, os.path.dirname(sys.modules["writing"].__file__)])  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", KILLED, name, str(tmp_path)], env={**os.environ, "PYTHONPATH": helpers}
    )
    assert done.returncode == -signal.SIGKILL
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left and all(name.endswith(".partial") or (name.startswith(".") and ".partial" in name) for name in left)
    assert written(name, tmp_path, [found("a.png", TWO)])
    assert not list(tmp_path.rglob("0.spool.partial"))
