"""What the samples of a study's finished rows added to their scores: ``values.h5``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from kpcore import __version__
from kpcore.draws import Clusters
from kpcore.evaluation.clusters import clusters_of
from kpcore.evaluation.score import Scored
from kpcore.evaluation.values import SampleValues, row_values, sample_values
from kpcore.records.values import VALUES, SplitValues, Values, write_values
from kpcore.study.guard import told
from kpcore.study.jobs import Row
from kpcore.study.scoring import Scorer
from kpcore.study.study import Study


def keep_values(study: Study, rows: Sequence[Row], scorer: Scorer, folder: Path, notice: Callable[[str], None]) -> None:
    """Write ``values.h5`` of rows that are done; a row whose metric cannot say is named, and has none.

    Args:
        study: whose rows they are.
        rows: that have scores.
        scorer: that scored them.
        folder: of the study.
        notice: is told of rows without values.
    """
    splits = tuple(_splits(study, rows, scorer, notice))
    if splits:
        write_values(folder / VALUES, Values(splits, {"kptransfer": __version__, "torch": torch.__version__}))
    else:
        (folder / VALUES).unlink(missing_ok=True)


def _splits(
    study: Study, rows: Sequence[Row], scorer: Scorer, notice: Callable[[str], None]
) -> Iterator[SplitValues]:  # fmt: skip
    for split in study.splits:
        found: list[tuple[Row, Scored, SampleValues]] = []
        clusters: Clusters | None = None
        for row in rows:
            if row.split.name == split.name:
                try:
                    scored = scorer.final(row.job)
                    clusters = clusters or clusters_of(scored.samples)
                    found.append((row, scored, sample_values(scored, clusters)))
                except (Exception, SystemExit) as error:  # a metric that scores may still fail here
                    notice(f"{row.job.name}: no intervals: {told(error, study.known)}")
        if found and clusters is not None:
            yield _split(study, split.name, clusters, found)


def _split(
    study: Study, name: str, clusters: Clusters, found: Sequence[tuple[Row, Scored, SampleValues]]
) -> SplitValues:  # fmt: skip
    _, scored, first = found[0]
    data = study.scored
    listed = f", list {data.list_name}" if data.list_name else ""
    return SplitValues(
        name=name,
        data=f"{data.label}{listed}, part {data.valid.name}",
        convention=study.metric.convention,
        higher_is_better=study.metric.higher_is_better,
        clusters=clusters,
        samples=np.asarray(scored.truth.rows, np.int64),
        composition=first.composition,
        groups=first.groups,
        keypoints=first.keypoints,
        rows=tuple(row_values(row.mode.name, row.seed, values, row.labels) for row, _, values in found),
    )
