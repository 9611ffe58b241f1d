"""Why a job is not in the cache, though one of its name is: what has changed of what its key is made of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kpcore.cache import cache_dir
from kpcore.records.folder import JobFolder
from kpcore.records.slugs import slug
from kpcore.study.jobs import Job, JobPlan

Settings = Mapping[str, Any]
SHOWN = 4
"""Changes that are named; more are counted."""
DATA = {"images": "images", "boxes": "crop boxes", "lengths": "normalisers", "ids": "image ids or rows"}
PARTS = ("train", "valid")
COMPONENTS = {"backbone": "backbone", "codec": "codec", "validation": "validation", "strategy": "mode"}
OWN = ("heads", "keypoints", "columns", "stages", "seed", "view")


def reasons(plan: JobPlan, study: str, folder: Path) -> dict[str, str]:
    """Return name -> what has changed, for jobs that are not done while an earlier one of their name is known.

    Args:
        plan: of the study.
        study: its name.
        folder: where its results go; its links show what was trained for it last.
    """
    missing = [job for job in plan.jobs if not JobFolder.of(job.key).done]
    earlier = list(_known(study)) if missing else []
    found = {}
    for job in missing:
        before = [settings for name, key, settings in earlier if name == job.name and key != job.key]
        linked = _linked(folder, job)
        changes = [list(changed(settings, job.settings)) for settings in ([linked] if linked else before)]
        if changes:
            found[job.name] = _sentence(min(changes, key=len), job)
    return found


def damaged(plan: JobPlan) -> list[str]:
    """Return a line for every job whose files are not as they were written."""
    folders = {job.name: JobFolder.of(job.key) for job in plan.jobs}
    found = {name: (folder, folder.problem()) for name, folder in folders.items()}
    return [f"{name}: {problem}; {_then(folder)}" for name, (folder, problem) in found.items() if problem]


def _then(folder: JobFolder) -> str:
    """Return what becomes of a damaged job."""
    if os.access(folder.path.parent, os.W_OK) and os.access(folder.path, os.W_OK):
        return "its files are set aside, and it is trained again"
    return f"it cannot be trained again, because {folder.path} cannot be written; give another KP_CACHE_DIR"


def _known(study: str) -> Iterator[tuple[str, str, Settings]]:
    """Yield (name, key, settings) of the cache's jobs of this study."""
    jobs = cache_dir() / "jobs"
    for path in sorted(jobs.glob("[0-9a-f]*[0-9a-f]")):  # not what was set aside
        about = JobFolder(path).about()
        if about.get("study") == study and isinstance(about.get("settings"), dict):
            yield str(about.get("title")), path.name, about["settings"]


def _linked(folder: Path, job: Job) -> Settings | None:
    """Return the settings of the job that the study's folder links to under this name; None where it is this one."""
    link = folder / "jobs" / slug(job.name)
    if not link.is_symlink() or link.resolve().name == job.key:
        return None
    settings = JobFolder(link).about().get("settings")
    return settings if isinstance(settings, dict) else None


def _sentence(changes: list[str], job: Job) -> str:
    if not changes:
        return "it was not finished"
    if changes == [SOURCES]:
        return f"{SOURCES}: {', '.join(source.name for source in job.sources)}"
    changes = [change for change in changes if change != SOURCES]  # for the same reasons
    more = f", and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return ", ".join(changes[:SHOWN]) + more


SOURCES = "what it starts from is trained again"


def changed(old: Settings, new: Settings) -> Iterator[str]:
    """Yield what has changed of the settings that a job's key is made of, in words."""
    if old.get("format") != new["format"]:
        yield "made by another version of kptransfer"
        return
    yield from _data(old.get("data", {}), new["data"])
    for key, word in COMPONENTS.items():
        yield from _component(word, old.get(key) or {}, new[key] or {})
    for key in ("training", "evaluation", "numerics", "versions"):
        yield from _values(key, old.get(key), new[key])
    for key in OWN:
        if old.get(key) != new.get(key):
            yield f"{key} {_short(old.get(key))} -> {_short(new.get(key))}"
    if old.get("pretrained") != new["pretrained"]:
        yield "pretrained weights changed"
    if old.get("sources") != new["sources"]:
        yield SOURCES
    if old.get("matches") != new.get("matches"):
        yield "what it is as long as is trained again"


def _data(old: Settings, new: Settings) -> Iterator[str]:
    labels: dict[str, str] = {}
    for part in PARTS:
        before, after = old.get(part, {}), new[part]
        yield from (f"{word} of {part} changed" for key, word in DATA.items() if before.get(key) != after[key])
        labels |= _differing(before.get("labels", {}), after["labels"])
    mirrors = _differing(old.get("mirrors", {}), new["mirrors"])
    yield from (f"labels of {name} {how}" for name, how in labels.items())
    yield from (f"mirror partner of {name} changed" for name in mirrors if name not in labels)
    if old.get("left_out") != new["left_out"]:
        yield "who is left out of training changed"
    if old.get("others") != new["others"]:
        yield "other data that it is scored on changed"


def _differing(old: Settings, new: Settings) -> dict[str, str]:
    """Return name -> how it differs."""
    gone = {name: "are no longer read" for name in old if name not in new}
    fresh = {name: "are read now" for name in new if name not in old}
    return {**gone, **fresh, **{name: "changed" for name in new if name in old and old[name] != new[name]}}


def _component(word: str, old: Settings, new: Settings) -> Iterator[str]:
    if old.get("name") != new.get("name"):
        yield f"{word} {old.get('name', 'none')} -> {new.get('name', 'none')}"
        return
    yield from _values(word, old.get("options", {}), new.get("options", {}))
    plugin = new.get("package", "")
    if old.get("code") != new.get("code"):
        versions = (old.get("version"), new.get("version"))
        yield f"plugin {plugin} changed" if versions[0] == versions[1] else f"plugin {plugin} {_arrow(*versions)}"
    yield from _values(word, *({key: one.get(key) for key in ("people", "flip_test")} for one in (old, new)))


def _values(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _values(f"{path}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield f"{path} {_arrow(old, new)}"


def _arrow(old: Any, new: Any) -> str:
    return f"{_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
