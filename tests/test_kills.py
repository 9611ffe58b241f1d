"""Studies that are killed or stopped end as if nothing had happened, and workers that die stop nobody else."""

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe

import flood
import kills
import pytest

from kpcore import interrupts
from kpcore.cache import cache_dir
from kpcore.cli.app import outcome
from kpcore.errors import InterruptError
from kpcore.interrupts import Stopped, check, give_up, held, released, stoppable
from kpcore.records.folder import JobFolder
from kpcore.study.executors.deaths import MEMORY, cause
from kpcore.study.executors.wire import Inlet, Outlet


def python(*words):
    """Run Python with these words in a process of its own."""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=path)


# Signals


def test_a_signal_raises_at_once_or_where_it_is_no_longer_held():
    order = []
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGTERM)
        order.append("never")
    with pytest.raises(Stopped), stoppable(), held():
        with held():
            signal.raise_signal(signal.SIGTERM)
            order.append("inner")
        order.append("outer")
    assert order == ["inner", "outer"]
    with pytest.raises(Stopped), stoppable(), held(), released():
        signal.raise_signal(signal.SIGTERM)
        order.append("never")
    with pytest.raises(Stopped), stoppable(), held():
        signal.raise_signal(signal.SIGTERM)
        check()
        order.append("never")
    assert order == ["inner", "outer"]
    check()  # it is over with the block


def test_what_cleans_up_after_a_signal_is_not_stopped_by_it():
    cleaned = []
    with pytest.raises(Stopped), stoppable():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            with held():
                signal.raise_signal(signal.SIGINT)
            cleaned.append(True)
    assert cleaned == [True]


def test_a_second_signal_counts_where_it_is_none_of_the_first(monkeypatch):
    """Schedulers, shells and terminals often send theirs twice."""
    now, again = [10.0], []
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    with pytest.raises(Stopped) as caught, stoppable(insisted=again.append), held():
        for now[0], number in ((10.0, signal.SIGTERM), (10.9, signal.SIGTERM), (11.1, signal.SIGINT)):
            signal.raise_signal(number)
    assert (caught.value.number, again) == (signal.SIGTERM, [signal.SIGINT])


def test_a_second_signal_in_a_program_of_somebody_else_is_an_interrupt_that_saves_nothing(monkeypatch):
    monkeypatch.setattr(interrupts, "SAME", -1.0)
    with pytest.raises(KeyboardInterrupt) as caught, stoppable((signal.SIGINT,), give_up), held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Stopped)


def test_signals_that_are_ignored_stay_so_and_the_others_are_what_they_were():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        with stoppable():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != terminate
        assert signal.getsignal(signal.SIGTERM) == terminate
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_takes_no_signals():
    seen = []

    def run():
        with stoppable(), held():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_second_signal_ends_a_process_with_the_first_one_s_sort_of_code():
    code = "\n".join([
        "import signal, time", "from kpcore import interrupts", "interrupts.SAME = 0.0",
        "with interrupts.stoppable(), interrupts.held():",
        "    signal.raise_signal(signal.SIGTERM); time.sleep(0.01); signal.raise_signal(signal.SIGINT)",
    ])  # fmt: skip
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (130, "kp: interrupted twice; stopped at once\n")


def test_an_interrupt_knows_its_signal():
    assert InterruptError("x").number == signal.SIGINT
    assert InterruptError("x", signal.SIGHUP).number == signal.SIGHUP


# Messages


@pytest.fixture
def pipe():
    """Where messages are read, and the end that is written to."""
    read, write = Pipe(duplex=False)
    inlet = Inlet(read)
    yield inlet, write
    inlet.close()
    write.close()


def test_messages_come_out_whole_and_in_order(pipe):
    inlet, write = pipe
    outlet, received = Outlet(write), []
    big = {"text": "x" * 300_000}
    thread = threading.Thread(target=lambda: [outlet.send(message) for message in ("one", big, ("two", 2))])
    thread.start()
    deadline = time.monotonic() + 30
    while len(received) < 3 and time.monotonic() < deadline:
        received += inlet.read()
    thread.join()
    assert received == ["one", big, ("two", 2)]
    assert inlet.read() == [] and inlet.open


@pytest.mark.parametrize("torn", [b"", b"\0\0", struct.pack("!I", 1000), struct.pack("!I", 1000) + b"x" * 999])
def test_a_torn_message_neither_waits_nor_fails(pipe, torn):
    """Whether its writer is gone, or another process still holds the end that it wrote to."""
    inlet, write = pipe
    Outlet(write).send("whole")
    os.write(write.fileno(), torn)
    assert (inlet.read(), inlet.open) == (["whole"], True)
    assert (inlet.read(), inlet.open) == ([], True)
    write.close()
    assert (inlet.read(), inlet.open) == ([], False)


def test_who_writes_to_nobody_is_told(pipe):
    inlet, write = pipe
    inlet.close()
    with pytest.raises(OSError, match="Broken pipe"):
        Outlet(write).send("x")


@pytest.mark.parametrize(
    ("code", "of_memory", "told"),
    [
        (-9, False, "was killed by SIGKILL"),
        (-9, True, "was killed by SIGKILL" + MEMORY),
        (-11, True, "was killed by SIGSEGV"),
        (-200, False, "was killed by signal 200"),
        (143, False, "was told to stop by SIGTERM"),
        (3, False, "ended by itself with exit code 3"),
    ],
)
def test_the_end_of_a_process_has_its_true_reason(code, of_memory, told):
    assert cause(code, of_memory=of_memory) == told


# Logs

PRINTING = """
import os, sys
from kpcore.records.folder import JobFolder
from kpcore.study.executors.worker import logged
for again in (False, True):
    with logged(JobFolder.of("k" * 64), again=again):
        print("said", again)
        os.write(2, b"by C\\n")
with logged(JobFolder.of("s" * 64), again=False):
    pass
"""


@pytest.mark.slow
def test_what_a_worker_prints_is_kept_with_its_job_and_silence_is_not():
    done = python("-c", PRINTING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert JobFolder.of("k" * 64).log_tail() == ("said False", "by C", "said True", "by C")
    assert JobFolder.of("k" * 64).log_tail(2) == ("said True", "by C")
    assert JobFolder.of("s" * 64).log_tail() == ()
    assert [path.name for path in (cache_dir() / "jobs").glob("*/worker.log")] == ["worker.log"]


@pytest.mark.slow
def test_a_pool_outlives_two_hundred_workers_that_are_killed_while_they_tell():
    done = python(flood.__file__, "--kills", "200")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("200 kills, ") and done.stdout.endswith("wrong: none\n")


# Whole studies


ONE = ("--set", 'study.modes=["random"]', "--set", "training.epochs=1")


def finish(place, monkeypatch):
    """Run the study to its end here: a process of its own costs seconds."""
    monkeypatch.setenv("KP_CACHE_DIR", str(place.folder / "cache"))
    monkeypatch.chdir(place.folder)
    assert outcome(["run", "study.toml", "--jobs", "1", *place.more]) == 0


@pytest.mark.slow
def test_a_study_that_is_killed_inside_its_epoch_ends_the_same(tmp_path, monkeypatch):
    whole, cut = (kills.make_place(tmp_path / name, 150, 0.001, ONE) for name in ("whole", "cut"))
    killed = kills.kill_once(cut, "SIGKILL", 1, 0.0)
    assert killed is not None and killed.code == -signal.SIGKILL
    assert 0 < killed.behind < 150
    for place in (whole, cut):
        finish(place, monkeypatch)
    assert kills.differing(whole, cut) == []
    assert len(dict(cut.files())) == len(kills.OF_A_STUDY) + len(kills.OF_A_JOB)


@pytest.mark.slow
def test_a_study_that_a_scheduler_stops_with_its_workers_ends_the_same(tmp_path, monkeypatch):
    """SIGTERM, sent to all of the group."""
    whole, cut = (kills.make_place(tmp_path / name, 300, 0.001, ONE) for name in ("whole", "cut"))
    stopped = kills.kill_once(cut, "SIGTERM", 2, 0.0)
    assert stopped is not None and stopped.code == 128 + signal.SIGTERM
    assert 0 < stopped.behind < 300
    line = f"kp: interrupted by SIGTERM; the same command goes on from iteration {stopped.behind} of d-random-0"
    assert stopped.last == line
    assert '"status": "pending"' in (cut.folder / "runs/killed/results.json").read_text()
    for place in (whole, cut):
        finish(place, monkeypatch)
    assert kills.differing(whole, cut) == []


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("how", "group"), [("SIGINT", True), ("SIGTERM", False), ("SIGHUP", True)])
def test_a_signal_is_one_line_with_one_job_and_with_two(tmp_path, how, group, jobs):
    place = kills.make_place(tmp_path / "place", 5000, 0.001)
    stopped = kills.kill_once(place, how, jobs, 1.0, group=group)
    assert stopped is not None
    assert stopped.code == 128 + signal.Signals[how]
    by = "" if how == "SIGINT" else f" by {how}"
    assert stopped.last.startswith(f"kp: interrupted{by}; the same command goes on from iteration ")
    again = kills.kill_once(place, how, jobs, 0.0, group=group)
    assert again is not None and again.behind > stopped.behind


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_terminal_that_is_closed_stops_a_study_as_a_signal_does(tmp_path, jobs):
    place = kills.make_place(tmp_path / "place", 5000, 0.001)
    ours, theirs = os.openpty()
    process = place.start(jobs, terminal=theirs)
    os.close(theirs)
    os.set_blocking(ours, False)

    def trains():
        with suppress(BlockingIOError):
            os.read(ours, 1 << 16)
        return place.checkpoints()

    assert kills.wait_for(trains, process)
    before = max(place.checkpoints().values())
    os.close(ours)
    assert process.wait(120) == 128 + signal.SIGHUP
    assert max(place.checkpoints().values()) >= before
    assert (place.folder / "runs/killed/results.json").exists()


@pytest.mark.slow
def test_twenty_kills_cost_nothing_but_what_lies_after_a_checkpoint(tmp_path):
    random.seed(0)
    whole, cut = (kills.make_place(tmp_path / name, 150, 0.01) for name in ("whole", "cut"))
    kills.whole_run(whole)
    done = list(kills.kill_runs(cut, 20, 1, 1.5, ("SIGKILL", "SIGTERM", "truncated")))
    kills.whole_run(cut, 2)
    assert kills.differing(whole, cut) == []
    assert sum(bool(kill.behind % 150) for kill in done) > len(done) / 2


@pytest.mark.slow
def test_workers_that_are_killed_freeze_no_study(tmp_path):
    random.seed(0)
    killed = 0
    for number in range(3):
        place = kills.make_place(tmp_path / str(number), 1, 0.001, ("--set", "training.epochs=200"))
        found = kills.kill_workers(place, 2, 4.0)
        assert found.code in (0, 1), found
        killed += found.kills
    assert killed >= 10
