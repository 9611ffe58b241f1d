"""How a study was run: its data, settings, cost, the commands that make it again, and the scores' signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from kpcore.report.page.folder import Run
from kpcore.report.page.sets import short

PRIVATE = ("dataset", "datasets", "study")
"""Tables of a study file that are not shown: they say where data lies on somebody's disk, or stand above already."""


@dataclass(frozen=True)
class Spent:
    """Seconds that a mode's rows cost: their own, of what they build on (None: nothing), and with their share of it."""

    mode: str
    trainings: int
    own: float
    sources: float | None
    share: float


@dataclass(frozen=True)
class Cost:
    """The same in words."""

    mode: str
    trainings: int
    own: str
    sources: str
    share: str


@dataclass(frozen=True)
class How:
    """The last section of a page."""

    facts: Mapping[str, str]
    costs: list[Cost]
    spent: str
    commands: Mapping[str, str]
    settings: str
    signatures: list[str]


def how(run: Run) -> How:
    """Return how a study was run."""
    return How(
        facts=dict(_facts(run)),
        costs=list(_costs(run)),
        spent=spent(run),
        commands={
            "Run it again": "kp run study.toml --out .",
            "Draw this page again": "kp report .",
        },
        settings=tomli_w.dumps({name: value for name, value in run.settings.items() if name not in PRIVATE}),
        signatures=list(dict.fromkeys(table.signature for table in run.evidence.tables)) if run.evidence else [],
    )


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    results = run.results
    yield "Data", results.data.name
    yield "List and samples", results.data.extent
    yield "Convention", " and ".join(results.conventions) or "nothing scored yet"
    if results.validation_convention:
        yield "Validation", "; ".join([results.validation_convention, *_averaged(run)])
    yield "Preset", results.preset
    yield "Seeds", ", ".join(str(seed) for seed in sorted({row.seed for row in results.rows})) or "none"
    done = sum(job.status == "done" for job in results.jobs)
    yield "Trainings", f"{done} of {len(results.jobs)} done"
    if "device" in run.timing:
        threads = run.timing.get("threads")
        plural = "" if threads == 1 else "s"
        yield (
            "Machine",
            f"{run.timing['device']}, {threads} thread{plural} a training, {run.timing.get('precision', '')}",
        )


def _averaged(run: Run) -> Iterator[str]:
    """Yield which keypoints of each split validation averages, of those that the metric's name may list."""
    for split in run.splits:
        if split.averaged:
            yield f"of these split {split.name} has {short(split.averaged, run.body(split.name))}"


def spent(run: Run) -> str:
    """Return in one sentence what the modes cost, training on S1 counted; "" where it is not known."""
    said = [f"{cost.mode} {cost.share}" for cost in _costs(run)]
    return f"Summed training time, S1's share in: {', '.join(said)}." if said else ""


def _costs(run: Run) -> Iterator[Cost]:
    """Yield what each mode's rows cost, all in one unit of time; nothing where no seconds are known."""
    spent = list(_spent(run))
    longest = max((one.share for one in spent), default=0.0)
    for one in spent:
        told = [duration(value, longest) for value in (one.own, one.share)]
        sources = "none" if one.sources is None else duration(one.sources, longest)
        yield Cost(one.mode, one.trainings, told[0], sources, told[1])


def _spent(run: Run) -> Iterator[Spent]:
    seconds = _seconds(run)
    jobs = {job.key: job for job in run.results.jobs}
    users: dict[str, set[str]] = {}
    for row in run.results.rows:
        for source in _sources(jobs, row.job):
            users.setdefault(source, set()).add(row.job)
    for mode in run.results.modes:
        own = {row.job for row in run.results.rows if row.mode == mode.name and row.status == "done" and row.job}
        if not own or not all(key in seconds for key in own):
            continue
        before = {source for key in own for source in _sources(jobs, key)}
        share = sum(seconds.get(source, 0.0) * len(users[source] & own) / len(users[source]) for source in before)
        yield Spent(
            run.results.labels[mode.name], len(own), sum(seconds[key] for key in own),
            sum(seconds.get(key, 0.0) for key in before) if before else None,
            sum(seconds[key] for key in own) + share,
        )  # fmt: skip


def _sources(jobs: Mapping[str, Any], key: str) -> list[str]:
    """Return all trainings that one was built on."""
    found: list[str] = []
    for source in jobs[key].sources if key in jobs else ():
        found += [source, *_sources(jobs, source)]
    return list(dict.fromkeys(found))


def _seconds(run: Run) -> dict[str, float]:
    """Return key -> seconds of a training with its validation."""
    told = run.timing.get("seconds", {})
    found = {}
    for job in run.results.jobs:
        one = told.get(job.name, {}) if isinstance(told, dict) else {}
        parts = [one.get(name) for name in ("training", "validation")] if isinstance(one, dict) else [None]
        known = [float(value) for value in parts if isinstance(value, int | float)]
        if len(known) == len(parts):
            found[job.key] = sum(known)
    return found


def duration(seconds: float, longest: float) -> str:
    """Return a duration in the unit that suits the longest beside it: "45 s", "12.0 min", "3.5 h"."""
    if longest < 120:
        return f"{seconds:.0f} s"
    size, name = (60, "min") if longest < 7200 else (3600, "h")
    return f"{seconds / size:.1f} {name}" if seconds >= size or not seconds else f"{seconds / size:.2g} {name}"
