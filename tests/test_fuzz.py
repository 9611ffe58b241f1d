"""Damaged and crafted files of every reader, each read in a cage; `python tests/fuzz` reads thousands."""

import sys
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bounds on a process are Linux's")
HERE = Path(__file__).parent / "fuzz"
CRAFTED_QUICKLY = (
    "png_of_900_million_pixels", "jpeg_2000_whose_stream_is_larger_than_its_box", "tiff_of_enormous_tiles",
    "png_that_is_a_pipe", "png_whose_chunk_claims_4_gigabytes", "box_of_an_enormous_number",
    "video_that_is_a_playlist", "hdf5_of_20_million_people", "hdf5 link out of p.h5", "hdf5 storage out of p.h5",
    "hdf5 virtual out of p.h5", "hdf5_attribute_that_is_one_long_text_4000_times", "study: a key of 500,000 parts",
    "study: 10,000 seeds", "study: deep tables", "model of 64 heads", "tensor_of_a_billion_numbers_that_stores_one",
    "code_in_weights", "card_of_deep_lists", "header_longer_than_its_file",
)  # fmt: skip
DAMAGED_QUICKLY = (
    "named csv", "newell", "image png", "image jpg", "image tif", "boxes csv", "boxes json", "predictions",
    "model folder", "weights pth", "weights safetensors", "store", "study", "--set", "skeleton", "job folder",
)  # fmt: skip
"""Those that take a few hundredths of a second."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, of which none holds a lock here
    from runs import Run

    return Run(tmp_path, seed=0)


def fine(run, refused=8):
    assert not run.failures, run.failures
    assert run.kinds["refused"] >= refused


@pytest.mark.slow
def test_crafted_files_are_refused_in_one_line(run):
    for name in CRAFTED_QUICKLY:
        run.crafted(name)
    fine(run, refused=len(CRAFTED_QUICKLY))


def test_damaged_files_are_read_or_refused_in_one_line(run):
    run.mutated(32, names=DAMAGED_QUICKLY)
    fine(run)


@pytest.mark.slow
def test_more_files_are_read_or_refused_in_one_line(run):
    found = run.whole()
    assert {name for name, outcome in found.items() if outcome.kind != "read"} == set()
    run.crafted()
    run.mutated(600)
    fine(run)


@pytest.mark.slow
def test_the_cage_notices_what_must_not_be(run, tmp_path):
    from cage import trial

    def long(root):
        raise ValueError("x\ny")

    def outside(root):
        (root.parent / "y").write_text("x")

    def memory(root):
        return bytearray(3 * 2**30).count(1)

    def crash(root):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)

    kinds = [trial(tmp_path / "arena", read).kind for read in (long, outside, memory, crash, lambda root: 1)]
    assert kinds == ["traceback", "outside", "memory", "signal", "read"]
