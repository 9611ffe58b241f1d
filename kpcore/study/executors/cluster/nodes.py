"""The machines of a cluster, asked before anything is trained there: what they see, and whether they train the same."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, TypedDict

import cv2
import torch
from platformdirs import user_cache_path

from kpcore import __version__
from kpcore.cache import cache_dir
from kpcore.cores import memory
from kpcore.errors import listed
from kpcore.placing import put
from kpcore.registry import Registry, one_line
from kpcore.study.dag import plan_jobs
from kpcore.study.executors.interface import Order, Run
from kpcore.study.guard import told
from kpcore.study.jobs import Job
from kpcore.training.device import JOB_MEMORY

CACHE = "KP_CACHE_DIR"
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables that Ray sets for its workers; as they are on the machine that shows the study."""
PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"


class Setting(TypedDict):
    """What a process on another machine needs to be as those on this one.

    Args:
        variables: of the environment; None: not there.
        folder: that the command was started in.
    """

    variables: dict[str, str | None]
    folder: str


class Question(TypedDict):
    """What a machine is asked; of plain values, so that other versions of this can read it.

    Args:
        versions: of what must be the same there.
        cache: this machine's.
        marker: a file in it.
        token: that only this marker holds.
        setting: of processes here.
        order: the study, an :class:`Order`, pickled.
        jobs: key -> settings of the trainings that are planned here, of each step and mode one.
        keys: of all.
    """

    versions: dict[str, str]
    cache: str
    marker: str
    token: str
    setting: Setting
    order: bytes
    jobs: dict[str, dict[str, Any]]
    keys: list[str]


class Answer(TypedDict):
    """What a machine answers.

    Args:
        problem: why it cannot train, in one line; "" where it can.
        host: its name.
        cache: its folder of jobs and stores.
        shared: whether that is this machine's too.
        most: jobs at once that its memory holds.
    """

    problem: str
    host: str
    cache: str
    shared: bool
    most: int


@dataclass(eq=False)
class Node:
    """A machine of the cluster, or a part of one.

    Args:
        key: Ray's name for it.
        address: its IP address.
        slots: jobs at once.
        answer: what it has answered.
        has: jobs whose files are there.
    """

    key: str
    address: str
    slots: int
    answer: Answer
    has: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return called(self.address, self.answer["host"])

    @property
    def shared(self) -> bool:
        """Whether it uses this machine's cache."""
        return self.answer["shared"]


def called(address: str, host: str) -> str:
    """Return what lines call a machine."""
    return f"node {host} ({address})" if host else f"node {address}"


def setting() -> Setting:
    """Return what is set here: limits, intervals, roots of data, threads."""
    variables: dict[str, str | None] = {name: value for name, value in os.environ.items() if name.startswith("KP_")}
    variables.pop(CACHE, None)
    return {
        "variables": {**variables, **{name: os.environ.get(name) for name in (*COUNTS, PIXELS)}},
        "folder": str(Path.cwd()),
    }


def settle(wanted: Setting, cache: str) -> None:
    """Have this process be as that one: roots of data that are set here stay, and the folder where it is not here."""
    for name, value in wanted["variables"].items():
        if name.endswith("_ROOT") and name in os.environ:
            continue
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.environ[CACHE] = cache
    if Path(wanted["folder"]).is_dir():
        os.chdir(wanted["folder"])


def versions() -> dict[str, str]:
    """Return the versions that must be the same everywhere."""
    return {"kptransfer": __version__, "torch": torch.__version__, "opencv": cv2.__version__}


@contextmanager
def asked(run: Run) -> Iterator[Question]:
    """Give what machines are asked of a run; its marker lies in the cache for the block.

    Raises:
        OSError: the cache cannot be written.
    """
    cache_dir().mkdir(parents=True, exist_ok=True)
    token = token_hex(16)
    marker = put(cache_dir().absolute() / f".seen-{token_hex(8)}", token.encode())
    alike = {(job.step, job.mode and job.mode.name): job for job in reversed(run.plan.jobs)}
    try:
        yield {
            "versions": versions(),
            "cache": str(cache_dir().absolute()),
            "marker": marker.name,
            "token": token,
            "setting": setting(),
            "order": pickle.dumps(Order.of(run.study, run.device)),
            "jobs": {job.key: job.settings for job in alike.values()},
            "keys": [job.key for job in run.plan.jobs],
        }
    finally:
        marker.unlink(missing_ok=True)


def look(question: Question) -> Answer:
    """Answer on the machine that is asked: find a cache, open the study, and plan it."""
    cache, shared = find_cache(question)
    answer: Answer = {
        "problem": differing_versions(question["versions"], versions()),
        "host": socket.gethostname(),
        "cache": cache,
        "shared": shared,
        "most": max(1, memory() // JOB_MEMORY),
    }
    if answer["problem"]:
        return answer
    settle(question["setting"], cache)
    return {**answer, "problem": planned(question)}


def find_cache(question: Question) -> tuple[str, bool]:
    """Return the cache of the machine that is asked, and whether it is the one where the study is shown.

    That is the folder that the machine's own environment names, else that of the study; where the marker is not there,
    the machine's own.
    """
    own = os.environ.get(CACHE, "")
    place = Path(own or question["cache"]).expanduser().absolute()
    try:
        seen = (place / question["marker"]).read_text() == question["token"]
    except (OSError, ValueError):
        seen = False
    return str(place if own or seen else user_cache_path("kptransfer")), seen


def differing_versions(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return how versions differ, in one line; "" where they do not."""
    wrong = [
        f"{name} {there.get(name, 'is not')} there, {here[name]} here" for name in here if there.get(name) != here[name]
    ]
    return ", ".join(wrong)


def planned(question: Question) -> str:
    """Return why this machine would not train what is planned where the study is shown; "" where it would."""
    known = Registry()
    try:
        order: Order = pickle.loads(question["order"])
        jobs = plan_jobs(order.build(known), order.device).jobs
    except (Exception, SystemExit) as error:
        return told(error, known)
    return differing_plans(question, jobs)


def differing_plans(question: Question, jobs: Sequence[Job]) -> str:
    """Return in what the trainings that are planned on two machines differ, in one line; "" where they do not."""
    keys = set(question["keys"])
    other = [job for job in jobs if job.key not in keys]
    if not other and len(jobs) == len(keys):
        return ""
    parts = {name for job in other for name in _differing(job.settings, question["jobs"].values())}
    what = f" ({listed(sorted(parts))} differ)" if parts else ""
    return f"would not train the same{what}; have the same plugins, data and versions there"


def _differing(settings: Mapping[str, Any], others: Iterator[Any] | Any) -> list[str]:
    """Return the settings in which a job differs from the most alike of others, but those of its sources."""
    found = [
        [name for name in settings.keys() | other.keys() if name != "sources" and settings.get(name) != other.get(name)]
        for other in others
    ]
    return min(found, key=len, default=[])


def problem_of(error: BaseException) -> str:
    """Return the last line of what Ray tells of an error on another machine, which is the error itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("No module named 'kpcore'" in line for line in lines):
        return "kptransfer is not installed there"
    return lines[-1][:200] if lines else one_line(error)


def unanswered(error: BaseException) -> Answer:
    """Return what stands for the answer of a machine that could not even be asked."""
    return {"problem": problem_of(error), "host": "", "cache": "", "shared": False, "most": 0}
