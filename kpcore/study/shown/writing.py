"""``report/shown.json`` and ``report/slices.h5``: written together, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from kpcore import __version__, placing
from kpcore.cache import file_digest
from kpcore.placing import put
from kpcore.records.folder import JobFolder
from kpcore.records.results import read_results
from kpcore.records.shown import FOLDER, SHOWN, SLICES, Body, Person, Shown, ShownSplit
from kpcore.records.values import SplitValues, Values, write_values
from kpcore.samples import Sample
from kpcore.study.data import StudyData
from kpcore.study.jobs import JobPlan
from kpcore.study.scoring import Scorer
from kpcore.study.shown.body import body
from kpcore.study.shown.chosen import Shots, shots
from kpcore.study.shown.gallery import gallery
from kpcore.study.shown.slices import slices
from kpcore.study.shown.spread import thresholds
from kpcore.study.study import Study

ROOM = 1_300_000
"""Bytes of pictures in base64, at most; splits after that show no people."""


def keep_shown(study: Study, plan: JobPlan, folder: Path) -> None:
    """Write what the page shows beside the results of a study's finished trainings.

    Args:
        study: whose rows are scored by its metric.
        plan: all its jobs.
        folder: of the study.

    Raises:
        KpError: predictions, images or results cannot be read, or the folder cannot be written.
    """
    keeper = _Keeper(study, plan)
    splits = tuple(keeper.split(place) for place in range(len(study.splits)))
    place = placing.folder(folder, FOLDER)
    if keeper.slices:
        versions = {"kptransfer": __version__, "torch": torch.__version__}
        write_values(place / SLICES, Values(tuple(keeper.slices), versions))
    else:
        (place / SLICES).unlink(missing_ok=True)
    shown = Shown(
        unit=study.metric.unit,
        value_unit=study.metric.value_unit,
        results=read_results(folder).digest,
        slices=file_digest(place / SLICES) if keeper.slices else "",
        bodies=tuple(keeper.bodies.values()),
        splits=splits,
    )
    put(place / SHOWN, shown.to_json().encode())


class _Keeper:
    def __init__(self, study: Study, plan: JobPlan) -> None:
        self.study = study
        self.rows = [row for row in plan.rows if JobFolder.of(row.job.key).done]
        self.baseline = study.config.study.baseline or plan.baseline
        self.scorer = Scorer(study)
        self.bodies: dict[str, Body] = {}
        self.slices: list[SplitValues] = []
        self.room = ROOM

    def split(self, place: int) -> ShownSplit:
        """Return what is shown of one split."""
        split = self.study.splits[place]
        data = self.study.data[split.steps[-1].dataset]
        found = shots(split, self.rows, self.scorer, self.baseline)
        training = trained_on(data)
        return ShownSplit(
            name=split.name,
            body=self._body(data, training),
            columns={column.name: column.keypoints for column in split.columns},
            thresholds=thresholds(found, training) if found else None,
            people=self._people(found) if found else (),
            slices=self._slices(found) if found else {},
        )

    def _body(self, data: StudyData, training: Sequence[Sample]) -> int:
        if data.name not in self.bodies:
            self.bodies[data.name] = body(data.skeleton, training)
        return list(self.bodies).index(data.name)

    def _people(self, found: Shots) -> tuple[Person, ...]:
        people = tuple(gallery(found, len(self.study.splits))) if self.room > 0 else ()
        self.room -= sum(len(person.jpeg) for person in people)
        return people if self.room >= 0 else ()

    def _slices(self, found: Shots) -> dict[str, str]:
        made = slices(found)
        if made is None:
            return {}
        self.slices.append(made[0])
        return made[1]


def trained_on(data: StudyData) -> list[Sample]:
    """Return the people that are trained on."""
    left_out = set(data.left_out)
    return [sample for place, sample in enumerate(data.train.samples) if place not in left_out]
