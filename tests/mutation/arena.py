"""Where mutants are tried: copies of the tree, and processes forked after the heavy imports.

A child process writes its mutant into its own copy of the tree, imports the program from there and runs the tests that
it was given, until one fails.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mutants import Mutant

HEAVY = ("torch", "torch._dynamo", "torchvision", "timm", "h5py", "cv2", "scipy.io", "scipy.stats", "matplotlib.pyplot",
         "pycocotools.cocoeval", "safetensors.torch", "typer", "rich.progress", "pydantic")  # fmt: skip
"""Imported once, before the fork; nothing of the program is."""
SLACK = 60.0
"""Seconds beyond three times the tests' own after which a mutant counts as killed by the clock."""
BROKEN = 99
"""Exit status of a child in which pytest itself failed."""
Trial = tuple[Mutant, list[str]]


@dataclass(frozen=True)
class Verdict:
    """killed, survived or timeout; ``by`` is the first failing test."""

    name: str
    by: str
    seconds: float


@dataclass
class _Seat:
    tree: Path
    trial: Trial
    started: float
    limit: float


@dataclass
class Arena:
    """Copies of the tree, one a mutant at a time.

    Args:
        root: the project.
        work: where the copies go.
        jobs: how many.
    """

    root: Path
    work: Path
    jobs: int
    trees: list[Path] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def __enter__(self) -> Arena:
        self.trees = [_copy(self.root, self.work / f"tree{number}") for number in range(self.jobs)]
        self.known = _listed(self.trees[0])
        for name in HEAVY:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        return self

    def __exit__(self, *_: object) -> None:
        for tree in self.trees:
            shutil.rmtree(tree, ignore_errors=True)

    def run(
        self, trials: Sequence[Trial], durations: Mapping[str, float]
    ) -> Iterator[tuple[Mutant, list[str], Verdict]]:
        """Yield the verdicts as they come.

        Raises:
            RuntimeError: a test that was recorded is not there any more.
        """
        gone = sorted({test for _, tests in trials for test in tests} - self.known)
        if gone:
            raise RuntimeError(f"{len(gone)} recorded tests are gone ({gone[0]}); record again")
        self._check(trials)
        waiting, free = list(reversed(trials)), list(self.trees)
        seats: dict[int, _Seat] = {}
        try:
            while waiting or seats:
                while waiting and free:
                    one, tests = waiting.pop()
                    if tests:
                        tree, limit = free.pop(), SLACK + 3 * sum(durations[test] for test in tests)
                        process = _start(tree, one.code, one.file, tests)
                        seats[process] = _Seat(tree, (one, tests), time.monotonic(), limit)
                    else:
                        yield one, tests, Verdict("survived", "", 0.0)
                for process in list(seats):
                    verdict = _ended(process, seats[process])
                    if verdict is not None:
                        seat = seats.pop(process)
                        file = seat.trial[0].file
                        shutil.copyfile(self.root / file, seat.tree / file)
                        free.append(seat.tree)
                        yield *seat.trial, verdict
                time.sleep(0.02)
        finally:
            for process in seats:
                _end(process)

    def _check(self, trials: Sequence[Trial]) -> None:
        """Whatever fails from here on is a mutant's doing: the tests of a few trials must pass on the tree as it is."""
        tests = sorted({test for _, some in trials[::20] for test in some[:3]})
        if tests:
            one = trials[0][0]
            process = _start(self.trees[0], (self.root / one.file).read_text(), one.file, tests)
            _, status = os.waitpid(process, 0)
            if os.waitstatus_to_exitcode(status):
                raise RuntimeError(f"tests fail without a mutant:\n{(self.trees[0] / 'log').read_text()[-3000:]}")


def _copy(root: Path, tree: Path) -> Path:
    """Copy what git knows or would take into a tree of its own."""
    shutil.rmtree(tree, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, tree / name)
    return tree


def _listed(tree: Path) -> set[str]:
    """Return the tests that there are: one that is not there would look like a mutant that cannot be imported."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-m", ""]
    listed = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False).stdout
    return {line.strip() for line in listed.splitlines() if "::" in line}


def _start(tree: Path, code: str, file: str, tests: list[str]) -> int:
    """Run the tests on the tree with this code in this file, in a process of their own; return its number."""
    (tree / file).write_text(code)
    (tree / "failed").unlink(missing_ok=True)
    process = os.fork()
    if process:
        return process
    os.setsid()  # so that a mutant is ended with all that it started
    _try(tree, tests)
    os._exit(99)  # unreachable


def _try(tree: Path, tests: list[str]) -> None:
    """Run the tests in this process, which ends with pytest's exit status."""
    os.chdir(tree)
    quiet = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    paths = [str(tree), str(tree / "plugins")]
    here = str(Path(__file__).parent)
    sys.path[:] = paths + [path for path in sys.path if path != here] + [here]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["MUTATION_FAILED"] = str(tree / "failed")
    sys.dont_write_bytecode = True
    status = BROKEN
    try:
        import pytest

        options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "failed_plugin",
                   "-W", "ignore:Module already imported so cannot be rewritten"]  # fmt: skip
        status = int(pytest.main([*options, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _end(process: int) -> None:
    """End a child with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _ended(process: int, seat: _Seat) -> Verdict | None:
    seconds = time.monotonic() - seat.started
    pid, status = os.waitpid(process, os.WNOHANG)
    if pid == 0 and seconds < seat.limit:
        return None
    _end(process)
    if pid == 0:
        os.waitpid(process, 0)
        return Verdict("timeout", "the clock", seconds)
    code = os.waitstatus_to_exitcode(status)
    failed = seat.tree / "failed"
    by = failed.read_text() if failed.exists() else f"exit status {code}"
    return Verdict("survived" if code == 0 else "killed", "" if code == 0 else by, seconds)
