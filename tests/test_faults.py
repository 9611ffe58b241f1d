"""A machine that runs out of disk or memory: a line, no signal, and the study goes on when there is room again."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from kpcore.cache import cache_dir
from kpcore.study.faults import fault, placeless

CPU = torch.device("cpu")
ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    " 400000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


def no_memory_of_opencv():
    error = cv2.error("Failed to allocate 1 bytes")
    error.code = cv2.Error.StsNoMem
    return error


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError(ALLOCATOR), OSError(errno.ENOMEM, "x"), no_memory_of_opencv()]
)
def test_memory_that_runs_out_is_called_so(error):
    assert fault(error, CPU).startswith("out of memory; lower training.batch_size")


def test_torch_says_what_is_looked_for():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert fault(error.value, CPU).startswith("out of memory; ")


def test_hdf5s_paragraphs_become_the_systems_words():
    said = OSError(errno.ENOSPC, "Can't write data (file write failed: time = Fri, filename = '/a/b.h5', errno = 28)")
    assert fault(said, CPU) == "the cache: No space left on device; free disk space"
    said = RuntimeError("Can't decrement id ref count (file write failed: ..., errno = 28, error message = 'No space')")
    assert fault(said, CPU) == "the cache: No space left on device; free disk space"
    assert fault(RuntimeError("shapes do not fit"), CPU) is None


@pytest.mark.parametrize(
    ("reason", "without"),
    [
        ("/data/a/x.jpg: image is truncated", "x.jpg: image is truncated"),
        ("'/home/q/r.png' and /a/b/c.png", "'r.png' and c.png"),
        (r"C:\data\im\a.png: gone", "a.png: gone"),
        ("see http://x.org/a/b; lower a/b and 3/4", "see http://x.org/a/b; lower a/b and 3/4"),
    ],
)
def test_results_name_no_folder_of_this_machine(reason, without):
    assert placeless(reason) == without


def test_folders_with_spaces_are_known_where_they_are_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "a b"))
    assert placeless(f"{cache_dir() / 'stores' / 'x.h5'}: No space") == "x.h5: No space"


SMALL = Path("small")
"""A file system of a size of its own, mounted in the folder of the test."""
FULL = """
set -e
mkdir -p small
mount -t tmpfs -o size={size}k,mode=777 none small
{before}
exec "$@"
"""


def in_small(size, *command, before=""):
    """Run a command where ``small`` has so many KiB; nothing of it stays."""
    script = FULL.format(size=size, before=before)
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *map(str, command)]
    return subprocess.run(shell, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def study(tmp_path, monkeypatch, tiny_study, tiny_mpii):
    """A folder with the tiny study on one split and one mode, its cache on the small file system."""
    if not shutil.which("unshare") or in_small(64, "true").returncode:
        pytest.skip("this system mounts no file system of a test's own (unshare, tmpfs)")
    monkeypatch.chdir(tmp_path)
    text = tiny_study.replace('name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"').replace('["a", "d"]', '["d"]')
    (tmp_path / "study.toml").write_text(text.replace('"transfer", "frozen", "random"', '"random"'))
    return tmp_path


KP = (sys.executable, "-m", "kpcore", "run", "study.toml", "--jobs", "1")


@pytest.mark.slow
@pytest.mark.parametrize(("size", "crops"), [(8, "raw"), (100, "raw"), (220, "raw"), (300, "raw"), (60, "jpeg")])
def test_a_full_disk_is_a_line_at_every_stage_and_nothing_is_lost(study, monkeypatch, size, crops):
    """Sizes from one that holds no crops to one that holds crops, checkpoints and half of the weights."""
    monkeypatch.setenv("KP_CACHE_DIR", "small/cache")
    keep = 'trap "cp -a small/cache kept" EXIT; "$@"; exit $?'
    ended = in_small(size, *KP, "--set", f"training.crops={crops}", before=keep)
    assert ended.returncode in (1, 2), (ended.returncode, ended.stdout[-800:], ended.stderr[-800:])
    assert "Traceback" not in ended.stdout + ended.stderr
    said = " ".join((ended.stdout + ended.stderr).split())
    assert "No space left on device" in said or "are free; free disk" in said
    if (study / "runs/tiny/results.json").exists():
        rows = json.loads((study / "runs/tiny/results.json").read_text())["rows"]
        assert all(row["status"] == "failed" and row["reason"] and str(study) not in row["reason"] for row in rows)
    os.environ["KP_CACHE_DIR"] = "kept"
    again = subprocess.run([*KP, "--set", f"training.crops={crops}"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-800:]


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 12, 24])
def test_results_that_cannot_be_written_lose_no_training(study, monkeypatch, size):
    """The folder of results on the small file system, the cache elsewhere."""
    monkeypatch.setenv("KP_CACHE_DIR", "cache")
    ended = in_small(size, *KP, "--out", "small/out")
    assert ended.returncode == (2 if size == 4 else 1), (ended.stdout[-800:], ended.stderr[-800:])
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "No space left on device" in " ".join((ended.stdout + ended.stderr).split())
    if size > 4:
        again = subprocess.run(KP, capture_output=True, text=True, check=False)
        assert again.returncode == 0 and "1 in the cache" in " ".join(again.stdout.split())


@pytest.mark.slow
def test_a_read_only_cache_in_which_all_is_done_is_enough(study, monkeypatch):
    monkeypatch.setenv("KP_CACHE_DIR", "cache")
    text = (study / "study.toml").read_text()
    generate = "generate = {name = 'people', people = 12, valid = 6, size = 64}"
    root = next(line for line in text.splitlines() if line.startswith("root"))
    (study / "study.toml").write_text(text.replace(root, generate))
    first = subprocess.run(KP, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr[-800:]
    written = {path: path.read_bytes() for path in (study / "runs/tiny").iterdir() if path.suffix == ".json"}
    shutil.rmtree(study / "runs")
    frozen = "mount --bind cache cache; mount -o remount,ro,bind cache"
    again = in_small(64, *KP, before=frozen)
    assert again.returncode == 0, (again.stdout[-800:], again.stderr[-800:])
    assert (study / "runs/tiny/results.json").read_bytes() == written[study / "runs/tiny/results.json"]
    more = in_small(64, *KP, "--set", "study.seeds=[0,1]", before=frozen)
    rows = json.loads((study / "runs/tiny/results.json").read_text())["rows"]
    assert more.returncode == 1 and [row["status"] for row in rows] == ["done", "failed"]
    assert "Read-only file system" in rows[1]["reason"]
