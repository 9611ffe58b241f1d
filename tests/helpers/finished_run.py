"""A finished study's folder, made up: one mode better, one worse, in as many splits, seeds and shares as wanted."""

import base64
import json
from itertools import product

import cv2
import numpy as np

from kpcore.cache import file_digest
from kpcore.draws import Clusters
from kpcore.records.folder import HISTORY, PLAN, TIMING
from kpcore.records.results import DataInfo, JobInfo, ModeInfo, Results, Row, SplitInfo
from kpcore.records.shown import Body, Person, Predicted, Shown, ShownSplit, Thresholds, Within
from kpcore.records.slugs import slug
from kpcore.records.values import RowValues, SplitValues, Values, write_values
from kpcore.study.shown.gallery import QUALITY
from kpcore.terms import Composition

PEOPLE = 60
JOINTS = ("hip", "knee", "ankle", "wrist")
S1, S2 = ("hip", "knee"), ("knee", "ankle", "wrist")
HOSTILE = (
    '</script><img src=https://x.example/a.png onerror=alert(1)> & "quoted" $x_1$ {{ 7777*7777 }} \x1b[31m ' + "n" * 20
)
GAINS = {"transfer": 12.0, "frozen": -15.0, "random": 0.0, "l2sp": 4.0}


def tensors(mode):
    origins = {
        "l2sp": ("loaded", True),
        "transfer": ("loaded", True),
        "frozen": ("loaded", False),
        "random": ("new", True),
    }
    first, trains = origins[mode]
    source = {"source": 0, "tensor": "t"} if first == "loaded" else {}
    start = {f"{unit}.w": {"origin": first, "trains": trains, **source} for unit in ("stem", "stage0", "head0")}
    return start | {f"{unit}.w": {"origin": "new", "trains": True} for unit in ("junction0", "stage1", "head1")}


def plan(mode, s1, s2):
    frozen = mode == "frozen"
    return {
        "tensors": tensors(mode), "heads": [list(s1 if frozen else s2), list(s2)],
        "supervision": [None if frozen else list(s2), list(s2)], "frozen": ["stem"] if frozen else [],
        "frozen_norm": "eval", "dropped": [{"source": 0, "tensor": "head0.b"}], "learning_rates": {"stem": 0.1},
        "thaws": [], "extra_loss": False, "frozen_hash": {"units": [], "before": "a", "after": "a"},
    }  # fmt: skip


def values_of(names, seeds, gains, random, splits, shares=(1.0,)):
    """Rows whose points are right with 50% and the mode's gain: made by the same draws, so that they are paired."""
    clusters = Clusters("image", np.arange(PEOPLE) // 2)
    found = []
    for split in splits:
        luck, rows = random.random((PEOPLE, len(names))), []
        for (mode, gain), share, seed in product(gains.items(), shares, seeds):
            jitter = random.normal(0, 0.01, luck.shape)
            right = 100.0 * (luck + jitter < 0.4 + 0.1 * share + gain / 100)
            scores = np.append(right.mean(0), right.mean())
            rows.append(RowValues(mode, seed, scores, right, np.ones_like(right), labels=share))
        columns = {name: (place,) for place, name in enumerate(names)}
        composition = Composition(columns, tuple(names))
        found.append(
            SplitValues(split, "made up", "PCK", True, clusters, np.arange(PEOPLE), composition, {}, columns, rows)
        )
    return Values(tuple(found), {"kptransfer": "0"})


def person(kind, joints, s1, s2, modes, side):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)  # the largest picture of this side
    picture = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    places = {name: (0.2 + 0.1 * place, 0.5) for place, name in enumerate(joints)}
    both = [
        Predicted(mode=mode, seed=0, value=0.2, target={name: places[name] for name in s2},
                  source={name: places[name] for name in s1} if mode == modes[0] else {})
        for mode in (modes[0], modes[2])
    ]  # fmt: skip
    return Person(
        kind=kind, image="someone.jpg", row=3, jpeg=base64.b64encode(picture.tobytes()).decode(), truth=places,
        hidden=(joints[0],), predicted=tuple(both),
    )  # fmt: skip


def shown(joints, s1, s2, modes, splits, seeds, side):
    body = Body(
        keypoints=joints, groups=joints, edges=((joints[0], joints[1]),),
        shape=tuple((0.3 + 0.1 * place, 0.2 + 0.2 * place) for place in range(len(joints))),
    )  # fmt: skip
    at = tuple(float(value) for value in np.linspace(0, 1, 11))
    within = tuple(Within(mode=mode, seed=seed, shares=at) for mode in modes for seed in seeds)
    people = tuple(
        person(kind, joints, s1, s2, list(modes), side)
        for kind in ("best", "best", "typical", "typical", "worst", "worst")
    )
    return Shown(
        unit="%", value_unit="head sizes", bodies=(body,),
        splits=tuple(
            ShownSplit(name=split, body=0, columns={name: (name,) for name in s2},
                       thresholds=Thresholds(rising=False, thresholds=at, modes=within, mean_shape=at),
                       people=people, slices={"hidden": "points that something hides"})
            for split in splits
        ),
    )  # fmt: skip


def write_run(folder, *, seeds=(0, 1, 2), name="", splits=("c", "d"), modes=tuple(GAINS)[:3], side=32, shares=(1.0,)):
    """A finished study's folder, in which transfer is better and frozen worse; ``name`` is part of every name."""
    joints, s1, s2 = (tuple(f"{one}{name}" for one in names) for names in (JOINTS, S1, S2))
    splits = tuple(f"{split}{name}" for split in splits)
    gains = {f"{mode}{name}": GAINS[mode] for mode in modes}
    values = values_of(s2, seeds, gains, np.random.default_rng(0), splits, shares)
    jobs, rows = [], []
    for split in values.splits:
        for row in split.rows:
            job = f"{split.name}-{row.mode}-{row.seed}-{row.labels:g}"
            jobs.append(
                JobInfo(key=job, name=job, split=split.name, mode=row.mode, seed=row.seed, step=1, status="done")
            )
            rows.append(
                Row(split=split.name, mode=row.mode, seed=row.seed, columns=dict(zip(s2, row.scores, strict=False)),
                    average=row.scores[-1], convention=f"PCK{name}", epochs=2, best_epoch=2,
                    scored_epoch=2, iterations=20,
                    images=round(30 * row.labels), labels=row.labels, job=job, status="done")
            )  # fmt: skip
            place = folder / "jobs" / slug(job)
            place.mkdir(parents=True)
            history = [{"epoch": n, "iterations": 10 * n, "loss": 1.0, "validation": 10.0 * n} for n in (1, 2)]
            (place / HISTORY).write_text("".join(json.dumps(one) + "\n" for one in history))
            (place / PLAN).write_text(json.dumps(plan(row.mode.removesuffix(name), s1, s2)))
            (place / TIMING).write_text(json.dumps({"at_epoch": [1.0, 2.0]}))
    results = Results(
        study=f"study{name}",
        data=DataInfo(label=f"data{name}", list="", people={"train": 9, "valid": PEOPLE}, sample=False),
        validation_convention=f"PCK{name}", validation_unit="%", baseline=f"random{name}",
        splits=tuple(
            SplitInfo(name=split, steps=(s1, s2), columns=s2, overlap=(s2[0],), not_compared="", averaged=s2,
                      mean_shape={**dict.fromkeys(s2, 20.0), "average": 20.0}, validation_mean_shape=5.0,
                      reference={f"transfer{name}": {"average": 60.0}})
            for split in splits
        ),
        modes=tuple(ModeInfo(name=mode, summary=f"Mode {mode}") for mode in gains), jobs=tuple(jobs), rows=tuple(rows),
    )  # fmt: skip
    (folder / "results.json").write_text(results.to_json())
    write_values(folder / "values.h5", values)
    (folder / "report").mkdir()
    write_values(
        folder / "report/slices.h5", values_of(("hidden", "small"), seeds, gains, np.random.default_rng(1), splits)
    )
    of = {"results": results.digest, "slices": file_digest(folder / "report/slices.h5")}
    page = shown(joints, s1, s2, gains, splits, seeds, side).model_copy(update=of)
    (folder / "report/shown.json").write_text(page.to_json())
    seconds = {job.name: {"training": 60.0, "validation": 6.0} for job in jobs}
    (folder / "timing.json").write_text(
        json.dumps({"device": "cpu", "threads": 1, "precision": "fp32", "seconds": seconds})
    )
    (folder / "study.toml").write_text('[dataset]\nroot = "/home/somebody/pictures"\n[training]\nepochs = 2\n')
    return folder
