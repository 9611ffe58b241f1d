"""Predictions as SLEAP's file, read back by sleap-io; and what is told where it is not installed."""

import sys

import cv2
import numpy as np
import pytest
from writing import MOUSE, about, found, written

from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton

ONE = [[10.25, 20.5], [30.12345, 40.0], [15.0, 44.0], [0.5, 0.0]]
TWO = [[50.0, 60.0], [51.0, 61.0], [52.0, 62.0], [90.5, 60.0]]
LOST = [[np.nan, np.nan]] * 4


@pytest.fixture
def sleap_io():
    return pytest.importorskip("sleap_io", reason="sleap-io is not installed: pip install 'kptransfer[sleap]'")


def test_images_are_read_back_with_points_scores_and_skeleton(sleap_io, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.full((100, 200, 3), 7, np.uint8))
    pictures = [
        found("a.png", ONE, TWO, folder=tmp_path),
        found("b.png", LOST, folder=tmp_path),
        found("bad.png", folder=tmp_path, problem="no image"),
        found("c.png", TWO, folder=tmp_path),
    ]
    (path,) = written("slp", tmp_path, pictures)
    assert path == tmp_path / "predictions.slp" and not list(tmp_path.glob("*.partial*"))
    labels = sleap_io.load_slp(str(path))
    assert [len(frame.predicted_instances) for frame in labels] == [2, 1]
    assert not any(frame.user_instances for frame in labels)
    np.testing.assert_allclose(labels[0][1].numpy(), TWO, atol=1e-9)
    np.testing.assert_allclose(labels[0][0].points["score"], [0.9, 0.8, 0.7, 0.6])
    assert labels[0][0].score == pytest.approx(0.75) and labels[0][0].track is None
    skeleton = labels.skeleton
    assert skeleton.node_names == list(MOUSE.names)
    assert [tuple(names) for names in skeleton.edge_names] == list(MOUSE.edges)
    assert [set(names) for names in skeleton.symmetry_names] == [{"ear_l", "ear_r"}]
    assert labels[1].frame_idx == 2 and labels[1].image.shape[:2] == (100, 200)
    assert (labels[1].image == 7).all()


def test_images_of_two_sizes_are_two_videos(sleap_io, tmp_path):
    from dataclasses import replace

    pictures = [found("a.png", ONE), replace(found("b.png", ONE), size=(50, 60)), found("c.png", ONE)]
    labels = sleap_io.load_slp(str(written("slp", tmp_path, pictures)[0]))
    assert [tuple(video.shape[:3]) for video in labels.videos] == [(2, 100, 200), (1, 60, 50)]
    assert [(labels.videos.index(frame.video), frame.frame_idx) for frame in labels] == [(0, 0), (1, 0), (0, 1)]


def test_a_followed_video_has_tracks_and_its_frames(sleap_io, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "v.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (200, 100))
    for _ in range(3):
        writer.write(np.zeros((100, 200, 3), np.uint8))
    writer.release()
    pictures = [
        found("v.mp4", ONE, TWO, frame=0, ids=["tom", "eva"], folder=tmp_path),
        found("v.mp4", LOST, ONE, frame=1, ids=["tom", "eva"], folder=tmp_path),
        found("v.mp4", TWO, TWO, frame=2, ids=["tom", "eva"], folder=tmp_path),
    ]
    labels = sleap_io.load_slp(str(written("slp", tmp_path, pictures)[0]))
    assert [frame.frame_idx for frame in labels] == [0, 1, 2]
    assert [[instance.track.name for instance in frame] for frame in labels] == [
        ["tom", "eva"],
        ["eva"],
        ["tom", "eva"],
    ]
    assert labels.video.filename == str(tmp_path / "v.mp4") and len(labels.video) == 3


def test_without_sleap_io_and_for_3d_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with pytest.raises(KpError, match=r"--format slp: needs sleap-io .*pip install 'kptransfer\[sleap\]'"):
        written("slp", tmp_path, [])
    deep = Skeleton("deep", (Keypoint("a", group="a"),), dims=3).all()
    with pytest.raises(KpError, match="--format slp: has x and y"):
        written("slp", tmp_path, [], about(deep))
