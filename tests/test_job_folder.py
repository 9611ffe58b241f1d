"""A job's folder: which checkpoint stays, and what reaches the disk before a job counts as done."""

import hashlib
import json
import os
import stat

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
    """Sizes of the files that the system was told to write to the disk, in order; "folder" where it was one."""
    sizes, real = [], os.fsync

    def fsync(file):
        about = os.fstat(file)
        sizes.append("folder" if stat.S_ISDIR(about.st_mode) else about.st_size)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    return sizes


def checkpoint(folder, epochs, text, iterations=0, beside=None):
    return folder.keep_checkpoint((epochs, iterations), lambda path: path.write_bytes(text), beside)


def test_the_newest_checkpoint_and_the_one_before_it_stay(folder):
    newest = None
    for epochs, text in enumerate((b"one", b"two", b"three"), 1):
        newest = checkpoint(folder, epochs, text, 10 * epochs, newest)
    assert [path.read_bytes() for path in folder.checkpoints()] == [b"three", b"two"]
    assert folder.iterations == 30
    folder.drop_checkpoints()
    assert not list(folder.path.iterdir())
    assert folder.iterations == 0


def test_checkpoints_are_ordered_by_epochs_and_iterations_not_by_their_digests(folder):
    """Those of before tell no iterations."""
    for epochs, iterations in ((2, 25), (2, 29), (3, 30), (3, 100)):
        path = folder.path / f"checkpoint-{epochs:06d}-{iterations:09d}-{hashlib.sha256(b'x').hexdigest()[:32]}.pt"
        path.write_bytes(b"x")
    (folder.path / f"checkpoint-000003-{hashlib.sha256(b'y').hexdigest()[:32]}.pt").write_bytes(b"y")
    names = [path.name.split("-")[1:-1] for path in folder.checkpoints()]
    assert names == [["000003", "000000100"], ["000003", "000000030"], ["000003"], ["000002", "000000029"],
                     ["000002", "000000025"]]  # fmt: skip


def test_a_checkpoint_is_on_the_disk_before_the_one_before_it_goes(folder, flushed):
    checkpoint(folder, 1, b"one")
    assert flushed == [3, "folder"]

    def write(path):
        path.write_bytes(b"second")
        assert [kept.read_bytes() for kept in folder.path.glob("checkpoint-*")] == [b"one"]

    folder.keep_checkpoint((2, 0), write)
    assert flushed == [3, "folder", 6, "folder"]


def test_a_file_system_that_cannot_flush_keeps_its_checkpoints_all_the_same(folder, monkeypatch):
    def unable(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "fsync", unable)
    checkpoint(folder, 1, b"one")
    assert [path.read_bytes() for path in folder.checkpoints()] == [b"one"]


def test_a_checkpoint_that_the_disk_has_lost_is_an_error_and_the_one_before_stays(folder, monkeypatch):
    checkpoint(folder, 1, b"one")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output error"):
        checkpoint(folder, 2, b"two")
    assert [path.read_bytes() for path in folder.checkpoints()] == [b"one"]
    assert not list(folder.path.glob(".*"))


def test_files_are_on_the_disk_before_the_manifest_says_so(folder, flushed):
    (folder.path / "plan.json").write_text("{}")
    (folder.path / "history.jsonl").write_text("")
    assert not folder.done
    folder.seal()
    assert (sorted(flushed[:2]), flushed[3:]) == ([0, 2], ["folder"])
    assert set(json.loads((folder.path / "manifest.json").read_text())["files"]) == {"plan.json", "history.jsonl"}
    assert folder.done


def test_what_a_worker_printed_is_no_result(folder):
    (folder.path / "plan.json").write_text("{}")
    (folder.path / "worker.log").write_text("a warning")
    folder.seal()
    assert set(json.loads((folder.path / "manifest.json").read_text())["files"]) == {"plan.json"}
    (folder.path / "worker.log").write_text("another")
    assert folder.done
    folder.set_aside()
    assert [path.name for path in folder.path.iterdir()] == ["worker.log"]  # it is being written


@pytest.mark.parametrize("name", ["plan", "timing", "result"])
def test_each_record_is_read_from_its_own_file(folder, name):
    with pytest.raises(KpError, match=rf"{name}\.json: cannot be read: .*; 'kp run' makes it again$"):
        getattr(folder, name)()


def test_a_plan_is_read_back(folder):
    (folder.path / "plan.json").write_text('{"origins": {"stem": "loaded"}}')
    assert folder.plan() == {"origins": {"stem": "loaded"}}
