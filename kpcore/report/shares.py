"""Scores against labelled images: one table a split of a study that was run on several shares of the labels."""

from __future__ import annotations

from collections.abc import Iterator

from kpcore.evidence.whole import Evidence
from kpcore.records.results import AVERAGE, Results, SplitInfo
from kpcore.report.figures import decimals, mean_and_spread
from kpcore.report.spans import compared, score
from kpcore.report.summary import as_sentence, estimate


def share_rows(
    results: Results, split: SplitInfo, evidence: Evidence | None
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return heading and rows: a row a mode, a column a share, the fewest labels first; then the differences.

    Args:
        results: of all shares.
        split: any of the study's.
        evidence: its intervals; means and deviations over seeds where None.
    """
    shares = sorted(results.shares)
    heading = ("Mode", *(heading_of(results, split, share) for share in shares))
    modes = [mode.name for mode in results.modes if results.rows_of(split.name, mode.name)]
    rows = [
        (results.labels[mode], *(_cell(results, split, mode, share, evidence) for share in shares)) for mode in modes
    ]
    if evidence is not None and evidence.baseline:
        rows += [
            (
                f"{results.labels[mode]} vs {evidence.baseline}",
                *(_against(results, split, mode, share, evidence) for share in shares),
            )
            for mode in modes
            if mode != evidence.baseline
        ]
    return heading, rows


def share_notes(results: Results, split: SplitInfo, evidence: Evidence | None) -> Iterator[str]:
    """What shares are; what each mode's images are worth in the baseline's, and how; and rows without a score."""
    yield "A share is of the training images; every share trains for as many iterations."
    found = evidence.by_labels(split.name) if evidence else None
    if found is not None:
        yield from (f"{one.sentence(results.labels[one.mode], found.baseline)}." for one in found.saved)
        yield from (as_sentence(note, results) for note in found.notes)
    yield from (
        f"{results.labels[row.mode]}, {100 * row.labels:.3g}% of the labels, seed {row.seed}: {row.status}"
        + (f": {row.reason}" if row.reason else "")
        for row in results.rows_of(split.name)
        if row.status != "done" and row.labels != results.shares[0]  # those of the largest stand below the table of it
    )


def heading_of(results: Results, split: SplitInfo, share: float) -> str:
    """A share as a heading: "5%, 80 images"."""
    images = next((row.images for row in results.rows_of(split.name) if row.labels == share and row.images), None)
    percent = f"{100 * share:.3g}%"
    return percent if images is None else f"{percent}, {images:,} image{'s' * (images != 1)}"


def _cell(results: Results, split: SplitInfo, mode: str, share: float, evidence: Evidence | None) -> str:
    digits = decimals(results)
    table = evidence.table(split.name, share) if evidence else None
    if table is None:
        return mean_and_spread(estimate(results.at(share), split.name, mode, AVERAGE), digits)
    return score(table, mode, AVERAGE, digits)


def _against(results: Results, split: SplitInfo, mode: str, share: float, evidence: Evidence) -> str:
    table = evidence.table(split.name, share)
    return "–" if table is None else compared(table, mode, decimals(results))
