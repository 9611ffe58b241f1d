"""Locks: who holds one is told, one of a killed process is free, and a file system without them is said."""

import errno
import json
import signal
import subprocess
import sys

import pytest

from kpcore import locks
from kpcore.errors import FaultError
from kpcore.locks import BusyError, local_only, locked, owner

HOLD = """
import sys, time
from pathlib import Path
from kpcore.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock, until it is told to go or killed."""
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.kill()


def test_who_holds_it_is_told(holder):
    path, process = holder
    with pytest.raises(BusyError, match=f"^process {process.pid}$"), locked(path):
        pass
    told = []

    def waiting(who):
        told.append(who)
        process.stdin.write("go\n")
        process.stdin.flush()

    with locked(path, waiting=waiting):
        assert told == [f"process {process.pid}"]
    assert list(path.parent.glob("*.owner")) == []


def test_a_killed_owner_leaves_it_free(holder):
    path, process = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(path):
        assert str(process.pid) not in owner(path)


def test_another_machine_is_named(tmp_path):
    path = tmp_path / "a.lock"
    (tmp_path / "a.lock.owner").write_text(json.dumps({"host": "elsewhere", "process": 7}))
    assert owner(path) == "process 7 on elsewhere"
    (tmp_path / "a.lock.owner").write_text("[")
    assert owner(path) == "another process"


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), RuntimeError("flock")])
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, error):
    def refuse(lock, path, waiting):
        raise error

    monkeypatch.setattr(locks, "_take", refuse)
    with pytest.raises(FaultError, match="cannot be locked there"), locked(tmp_path / "a.lock"):
        pass


@pytest.mark.parametrize(
    ("mount", "alone"),
    [
        ("30 1 0:5 / {} rw - nfs4 host:/x rw,vers=4.2", ""),
        ("30 1 0:5 / {} rw,relatime - nfs host:/x rw,nolock,vers=3", "mounted with nolock"),
        ("30 1 0:5 / {} rw - lustre host:/x rw", "mounted without flock"),
        ("30 1 0:5 / {} rw - lustre host:/x rw,flock", ""),
        ("30 1 0:5 / {} rw - ext4 /dev/x rw", ""),
    ],
)
def test_locks_that_other_machines_do_not_see(tmp_path, mount, alone):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"20 1 0:1 / / rw - ext4 /dev/root rw\n{mount.format(tmp_path / 'shared')}\n")
    found = local_only(tmp_path / "shared" / "cache", mounts)
    assert (alone in found and "on this machine alone" in found) if alone else found == ""
    assert local_only(tmp_path, mounts) == ""
    assert local_only(tmp_path, tmp_path / "none") == ""
