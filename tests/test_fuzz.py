"""Damaged and crafted files of every reader, each read in a cage; `python tests/fuzz` reads thousands."""

import sys
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bounds on a process are Linux's")
HERE = Path(__file__).parent / "fuzz"
QUICK = (
    "png_of", "jpeg_of", "jpeg_2000", "tiff_of", "pipe", "video", "hdf5_", "study: ", "tensor", "card_", "model of",
    "header_", "sqlite_", "code_in_weights", "names_that_lead",
)  # fmt: skip
"""Beginnings and parts of the names of crafted files that take no time to be made and read."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, of which none holds a lock here
    from runs import Run

    return Run(tmp_path, seed=0)


def fine(run):
    assert not run.failures, run.failures
    assert run.kinds.total() > 20


def test_crafted_files_are_refused_in_one_line(run):
    from crafted import CRAFTED

    for name in CRAFTED:
        if any(one in name for one in QUICK):
            run.crafted(name)
    fine(run)


def test_damaged_files_are_read_or_refused_in_one_line(run):
    run.mutated(47)
    fine(run)


@pytest.mark.slow
def test_more_files_are_read_or_refused_in_one_line(run):
    found = run.whole()
    assert {name for name, outcome in found.items() if outcome.kind != "read"} == set()
    run.crafted()
    run.mutated(600)
    fine(run)


def test_the_cage_notices_what_must_not_be(run, tmp_path):
    from cage import trial

    def long(root):
        raise ValueError("x\ny")

    def outside(root):
        (root.parent / "y").write_text("x")

    def memory(root):
        return bytearray(3 * 2**30)

    def crash(root):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)

    kinds = [trial(tmp_path / "arena", read).kind for read in (long, outside, memory, crash, lambda root: 1)]
    assert kinds == ["traceback", "outside", "memory", "signal", "read"]
