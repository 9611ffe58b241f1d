"""Signals that come while plugins are imported, and faults of the machine that come out as somebody's error."""

import errno
import os
import signal
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from kpcore.cache import cache_dir
from kpcore.cli import app
from kpcore.cores import mapped
from kpcore.errors import KpError
from kpcore.hooks import GROUP
from kpcore.interrupts import Stopped, broke_off, stoppable
from kpcore.registry import Registry, registry
from kpcore.study.runner import make_folder

BROKEN_OFF = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000): pass
except KeyboardInterrupt as stop:      # as C code and Python 3.11's __set_name__ do
    raise ImportError("initialization failed") from stop
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "broken_off.py").write_text(BROKEN_OFF)
    monkeypatch.syspath_prepend(tmp_path)
    yield EntryPoint("broken_off", "broken_off", GROUP)
    sys.modules.pop("broken_off", None)


def test_a_signal_within_a_plugins_import_stops_the_command_and_is_no_fault_of_the_plugin(module):
    plugins = Registry([])
    with pytest.raises(Stopped) as caught, stoppable():
        plugins._load(module)
    assert caught.value.number == signal.SIGTERM
    assert [plugin.error for plugin in plugins.plugins] == [""]


@pytest.fixture
def ended(monkeypatch, capsys):
    """(error, signal) -> exit code and what is said, of a command that is sent the signal and raises the error."""

    def end(error, number=None):
        def main(*_, **__):
            try:
                if number:
                    os.kill(os.getpid(), number)
            except KeyboardInterrupt as stop:
                raise error from stop
            raise error

        monkeypatch.setattr(app.typer.main, "get_command", lambda _: SimpleNamespace(main=main))
        return app.outcome([]), capsys.readouterr().err

    return end


def test_what_a_signal_broke_off_is_an_interrupt_whatever_it_came_out_as(ended):
    error = RuntimeError("Error calling __set_name__")
    assert ended(error, signal.SIGHUP) == (129, "kp: interrupted by SIGHUP\n")
    assert broke_off() == signal.SIGHUP
    assert ended(KeyboardInterrupt(), signal.SIGTERM) == (143, "kp: interrupted by SIGTERM\n")
    with pytest.raises(RuntimeError):
        ended(error)
    assert broke_off() == 0


@pytest.mark.parametrize("name", [None, "crops.h5"])
def test_a_full_disk_is_the_machines_fault_wherever_it_comes_out(ended, name):
    code, said = ended(OSError(errno.ENOSPC, "No space left on device", name))
    assert code == 1
    assert (
        said
        == f"kp: error: {name or 'a disk'}: No space left on device; free disk space, and run the same command again\n"
    )


def test_a_library_that_memory_does_not_hold_is_told_in_a_line(ended):
    code, said = ended(ImportError("libx.so: failed to map segment from shared object"))
    assert code == 2 and said.startswith("kp: error: not enough memory to load a library (libx.so: failed to map")


def test_results_do_not_lie_in_the_cache(tmp_path):
    make_folder(tmp_path / "runs")
    for folder in (cache_dir(), cache_dir() / "jobs", tmp_path / "link"):
        if folder.name == "link":
            cache_dir().mkdir(parents=True, exist_ok=True)
            folder.symlink_to(cache_dir())
        with pytest.raises(KpError, match=r"lies in the cache, .*; give another --out"):
            make_folder(folder)


def test_work_without_end_is_taken_a_little_ahead_in_order_and_left_early():
    taken, done = [], []

    def endless():
        while True:
            taken.append(len(taken))
            yield taken[-1]

    found = mapped(lambda one: done.append(one) or one, endless(), ahead=3)
    assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
    found.close()
    assert len(taken) == 8 and len(done) <= 8
    assert list(mapped(str, range(40))) == [str(one) for one in range(40)]


@pytest.mark.parametrize(("name", "key"), [("people", "people"), ("people", "valid"), ("faces", "faces")])
def test_a_generator_is_not_asked_for_more_than_it_can_number(name, key):
    with pytest.raises(KpError, match=f"{key}.*less than or equal to [0-9]+"):
        registry().build("generator", name, {key: 1_000_000_000}, where="dataset.generate")
