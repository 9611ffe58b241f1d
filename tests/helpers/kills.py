"""Kills small studies at random moments and looks whether they end as if nothing had happened.

As a script: ``python tests/helpers/kills.py --help``. It prints a line a kill, and what it found.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

STUDY = """
[study]
name = "killed"
modes = ["transfer", "random"]

[dataset]
name = "mpii"
generate = { name = "people", people = 24, valid = 8, size = 48 }

[split]
name = "kptransfer"
splits = ["d"]

[backbone]
name = "hourglass"
stages = [1, 2]
channels = 8
depth = 1

[codec]
name = "heatmap"

[training]
resolution = 32
batch_size = 4
epochs = 3
iterations_per_epoch = ITERATIONS
early_stopping = false
threads = 1
schedule = { name = "onecycle" }
average = { name = "ema", decay = 0.9 }
"""
CHECKPOINT = re.compile(r"checkpoint-\d{6}-(\d{9})-.*")
EARLY = 0.2
"""Share of the kills that may come before the first iteration."""
OF_A_STUDY = ("results.json", "tables.md", "tables.tex", "tables.csv", "curves.csv", "values.h5", "evidence.json")
OF_A_JOB = ("weights.safetensors", "history.jsonl", "predictions.h5", "plan.json", "result.json")


def study_text(iterations: int) -> str:
    """Return a study of three trainings, each of three epochs of so many iterations."""
    return STUDY.replace("ITERATIONS", str(iterations))


@dataclass
class Place:
    """Where a study is run.

    Args:
        folder: of study file, cache and results.
        minutes: between checkpoints.
        more: words of the command.
    """

    folder: Path
    minutes: float
    more: tuple[str, ...] = ()

    @property
    def jobs(self) -> Path:
        """The cache's folder of jobs."""
        return self.folder / "cache" / "jobs"

    def checkpoints(self) -> dict[Path, int]:
        """Return every checkpoint and the iterations that are behind in it."""
        found = {path: CHECKPOINT.fullmatch(path.name) for path in self.jobs.glob("*/checkpoint-*")}
        return {path: int(name[1]) for path, name in found.items() if name}

    def start(self, jobs: int, terminal: int | None = None) -> subprocess.Popen[str]:
        """Start ``kp run``, in a session of its own; where a terminal is given, it is that session's."""
        minutes = {"KP_CHECKPOINT_MINUTES": str(self.minutes)}
        output = subprocess.PIPE if terminal is None else terminal

        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if terminal is not None:
                fcntl.ioctl(1, termios.TIOCSCTTY, 0)

        return subprocess.Popen(
            [sys.executable, "-m", "kpcore", "run", "study.toml", "--jobs", str(jobs), *self.more],
            cwd=self.folder,
            env={**os.environ, "KP_CACHE_DIR": str(self.folder / "cache"), **minutes},
            stdout=output,
            stderr=output if terminal is not None else subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=prepare,
        )

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of all that two equal runs have equal."""
        for name in OF_A_STUDY:
            yield name, (self.folder / "runs" / "killed" / name).read_bytes()
        for job in sorted((self.folder / "runs" / "killed" / "jobs").iterdir()):
            for name in OF_A_JOB:
                yield f"{job.name}/{name}", (job / name).read_bytes()


def make_place(folder: Path, iterations: int, minutes: float, more: tuple[str, ...] = ()) -> Place:
    """Make a folder with the study in it."""
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(study_text(iterations))
    return Place(folder, minutes, more)


def whole_run(place: Place, jobs: int = 1) -> None:
    """Run the study to its end."""
    process = place.start(jobs)
    out, _ = process.communicate(timeout=3600)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {out[-2000:]}")


def differing(one: Place, other: Place) -> list[str]:
    """Return the names of files that differ."""
    here, there = dict(one.files()), dict(other.files())
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))


@dataclass
class Kill:
    """What one kill did.

    Args:
        how: SIGKILL, SIGTERM, SIGINT, SIGHUP or "truncated": SIGKILL, and the newest checkpoint cut.
        code: the command's exit code.
        behind: iterations in the newest checkpoint of the training that was under way; 0 where there is none.
        lost: seconds of training that were behind and are to be done again; None where it had hardly begun.
        last: the last line that was printed.
    """

    how: str
    code: int
    behind: int
    lost: float | None
    last: str


def wait_for(condition: object, process: subprocess.Popen[str], seconds: float = 300.0) -> bool:
    """Wait until a function returns true; False where the process ended before."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def kill_once(
    place: Place, how: str, jobs: int, delay: float, *, early: bool = False, group: bool = True
) -> Kill | None:  # fmt: skip
    """Start the study, wait until it trains and for so many seconds more, and kill it; None where it ended before.

    It trains when it has written a checkpoint; with ``early`` when a job has begun, whose network is yet to be made.
    """
    began = time.time()
    process = place.start(jobs)
    seen = partial(_begun, place) if early else place.checkpoints
    training = wait_for(lambda: any(_written(path) > began for path in seen()), process)
    first = time.time()  # of the checkpoints of this run, about
    if training:
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
    if process.poll() is not None:
        out, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"exit code {process.returncode}: {out[-2000:]}")
        return None
    killed, trained = time.time(), any(_written(path) > began for path in place.checkpoints())
    number = signal.SIGKILL if how == "truncated" else signal.Signals[how]
    (os.killpg if group else os.kill)(process.pid, number)
    out, _ = process.communicate(timeout=300)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # workers that had not noticed yet
    if how == "truncated" and (found := place.checkpoints()):
        newest = max(found, key=lambda path: path.stat().st_mtime)
        os.truncate(newest, random.randrange(newest.stat().st_size))
        os.utime(newest, (0, 0))
    found = place.checkpoints()
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    since = max(newest.stat().st_mtime if newest else 0.0, first - 60 * place.minutes)
    lost = max(0.0, killed - since) if trained else None
    lines = out.strip().splitlines()
    return Kill(how, process.returncode, found.get(newest, 0), lost, lines[-1] if lines else "")


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # a newer one took its place
        return 0.0


def _begun(place: Place) -> list[Path]:
    """Return what a training writes when it begins, and again when it goes on."""
    return [path for path in place.jobs.glob("*/job.json") if not (path.parent / "manifest.json").exists()]


def kill_runs(place: Place, kills: int, jobs: int, seconds: float, ways: tuple[str, ...]) -> Iterator[Kill]:
    """Kill a study so often, most times within so many seconds of its training, in turn in these ways."""
    for count in range(kills):
        early = random.random() < EARLY
        done = kill_once(place, ways[count % len(ways)], jobs, random.uniform(0, seconds), early=early)
        if done is None:
            return
        yield done


# Workers


@dataclass
class Workers:
    """Kills of single workers of one study.

    Args:
        kills: how many.
        code: the command's exit code; None where it did not end.
        told: lines of jobs that were taken up again.
        failed: jobs that failed, each with its reason.
    """

    kills: int = 0
    code: int | None = None
    told: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def kill_workers(place: Place, jobs: int, pause: float, limit: float = 900.0) -> Workers:
    """Run a study and kill one of its workers again and again; it must end by itself all the same."""
    found = Workers()
    process = place.start(jobs)
    stop = threading.Event()

    def killer() -> None:
        while not stop.wait(random.uniform(0, pause)):
            workers = children(process.pid)
            if workers and any(place.jobs.glob("*/job.json")):
                with suppress(ProcessLookupError):
                    os.kill(random.choice(workers), signal.SIGKILL)
                    found.kills += 1

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        out, _ = process.communicate(timeout=limit)
        found.code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
    finally:
        stop.set()
        thread.join()
    text = " ".join(out.split())
    found.told = re.findall(r"\S+: worker \d+ \(process \d+\) was killed by SIGKILL[^;]*; another takes it up", text)
    found.failed = re.findall(r"\S+: failed: its process was killed by SIGKILL[^,]*, and one before it", text)
    return found


def children(parent: int) -> list[int]:
    """Return the workers of a process: its children that multiprocessing has started, but its resource tracker."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            about = (path / "stat").read_text().rpartition(")")[2].split()
            if int(about[1]) == parent and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def main() -> int:
    """Kill studies and workers as the command line says; return 1 where something was lost, or froze."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of whole studies")
    parser.add_argument("--workers", type=int, default=0, help="kills of single workers, at least")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=150, help="of an epoch")
    parser.add_argument("--seconds", type=float, default=1.5, help="of training within which a study is killed")
    parser.add_argument("--minutes", type=float, default=0.01, help="between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        bad = studies(asked, Path(folder)) if asked.kills else 0
        return int(bool(bad + (workers(asked, Path(folder)) if asked.workers else 0)))


def studies(asked: argparse.Namespace, folder: Path) -> int:
    """Kill a study; return how many files differ from those of one that was left in peace."""
    whole = make_place(folder / "whole", asked.iterations, 5)
    started = time.monotonic()
    whole_run(whole)
    print(f"uninterrupted: {time.monotonic() - started:.0f} s", flush=True)
    cut = make_place(folder / "cut", asked.iterations, asked.minutes)
    kills = []
    for kill in kill_runs(cut, asked.kills, asked.jobs, asked.seconds, ("SIGKILL", "SIGTERM", "truncated")):
        kills.append(kill)
        print(len(kills), kill, flush=True)
    whole_run(cut, asked.jobs)
    found = differing(whole, cut)
    inside = sum(bool(kill.behind % asked.iterations) for kill in kills)
    print(f"{len(kills)} kills, {inside} inside an epoch by their newest checkpoint; {len(dict(cut.files()))} files")
    for how in dict.fromkeys(kill.how for kill in kills):
        lost = [kill.lost for kill in kills if kill.how == how and kill.lost is not None]
        print(f"{how}: at most {max(lost, default=0.0):.2f} s lost, a checkpoint every {60 * asked.minutes:.2f} s")
    print("differing:", found or "none")
    return len(found)


def workers(asked: argparse.Namespace, folder: Path) -> int:
    """Kill workers in study after study; return how many studies did not end by themselves."""
    frozen = killed = number = 0
    while killed < asked.workers:
        place = make_place(folder / f"workers{number}", 1, asked.minutes, ("--set", "training.epochs=300"))
        found = kill_workers(place, max(2, asked.jobs), asked.seconds)
        killed, number = killed + found.kills, number + 1
        frozen += found.code not in (0, 1)
        print(number, f"{killed} kills", found.code, len(found.told), "again", len(found.failed), "failed", flush=True)
    print(f"{killed} kills of workers in {number} studies; {frozen} did not end by themselves")
    return frozen


if __name__ == "__main__":
    sys.exit(main())
