"""A job's folder: which checkpoint stays, and what reaches the disk before a job counts as done."""

import json
import os

import pytest

from kpcore.errors import KpError
from kpcore.records.folder import JobFolder


@pytest.fixture
def folder(tmp_path):
    made = JobFolder(tmp_path / "job")
    made.path.mkdir()
    return made


@pytest.fixture
def flushed(monkeypatch):
    """Sizes of the files that the system was told to write to the disk, in order."""
    sizes, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (sizes.append(os.fstat(file).st_size), real(file)))
    return sizes


def checkpoint(folder, epochs, text):
    folder.keep_checkpoint(epochs, lambda path: path.write_bytes(text))


def test_the_newest_checkpoint_stays_alone(folder):
    for epochs, text in enumerate((b"one", b"two", b"three"), 1):
        checkpoint(folder, epochs, text)
        assert [path.read_bytes() for path in folder.checkpoints()] == [text]
    assert {path.name.split("-")[1] for path in folder.path.iterdir()} == {"000003"}
    folder.drop_checkpoints()
    assert not list(folder.path.iterdir())


def test_a_checkpoint_is_on_the_disk_before_the_one_before_it_goes(folder, flushed):
    checkpoint(folder, 1, b"one")
    assert flushed == [3]

    def write(path):
        path.write_bytes(b"second")
        assert [kept.read_bytes() for kept in folder.path.glob("checkpoint-*")] == [b"one"]

    folder.keep_checkpoint(2, write)
    assert flushed == [3, 6]


def test_a_file_system_that_cannot_flush_keeps_its_checkpoints_all_the_same(folder, monkeypatch):
    def unable(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "fsync", unable)
    checkpoint(folder, 1, b"one")
    assert [path.read_bytes() for path in folder.checkpoints()] == [b"one"]


def test_files_are_on_the_disk_before_the_manifest_says_so(folder, flushed):
    (folder.path / "plan.json").write_text("{}")
    (folder.path / "history.jsonl").write_text("")
    assert not folder.done
    folder.seal()
    assert sorted(flushed[:2]) == [0, 2]
    assert set(json.loads((folder.path / "manifest.json").read_text())["files"]) == {"plan.json", "history.jsonl"}
    assert folder.done


@pytest.mark.parametrize("name", ["plan", "timing", "result"])
def test_each_record_is_read_from_its_own_file(folder, name):
    with pytest.raises(KpError, match=rf"{name}\.json: cannot be read: .*; 'kp run' makes it again$"):
        getattr(folder, name)()


def test_a_plan_is_read_back(folder):
    (folder.path / "plan.json").write_text('{"origins": {"stem": "loaded"}}')
    assert folder.plan() == {"origins": {"stem": "loaded"}}
