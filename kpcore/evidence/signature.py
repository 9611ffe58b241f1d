"""One line that says what a score is, as sacrebleu does (Post, A Call for Clarity in Reporting BLEU Scores, 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpcore.records.values import RowValues, SplitValues

PLURAL = {"image": "images", "video": "videos (images, where a name tells none)"}


def signature(
    split: SplitValues,
    rows: Sequence[RowValues],
    resamples: int,
    versions: Mapping[str, str],
    *,
    trainings: bool = True,
) -> str:
    """Return metric, data, samples, clusters, seeds, draws, method and versions in one line; no path is in it.

    Without ``trainings`` the rows are predictions from anywhere, and nothing is known of seeds.
    """
    seeds = sorted({row.seed for row in rows})
    several = len(seeds) > 1
    method = (
        "expanded percentile"
        + (" given the seeds" if trainings else "")
        + (", t (Zou-Donner) across seeds" if several else "")
    )
    parts = [
        split.convention,
        split.data,
        f"n {len(split.samples):,}",
        f"{len(split.clusters):,} {PLURAL[split.clusters.kind]}",
        f"seed{'s' * several} {', '.join(map(str, seeds))}" if trainings else "given these predictions",
        *([f"labels {rows[0].labels:g}"] if rows[0].labels != 1 else []),
        f"{resamples:,} resamples",
        f"95%: {method}",
        *(f"{package} {version}" for package, version in versions.items()),
    ]
    return " | ".join(part for part in parts if part)
