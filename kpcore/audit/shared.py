"""What a part has in common with the other parts of its data set."""

from __future__ import annotations

from kpcore.interfaces import Dataset, Finding


def shared_findings(dataset: Dataset, part: str) -> list[Finding]:
    """Images of this part that another part has too: what is learned there is not new here."""
    mine = {sample.image_id for sample in dataset.samples(part)}
    found = []
    for other in dataset.parts:
        shared = mine & {sample.image_id for sample in dataset.samples(other)} if other != part else set()
        if shared:
            found.append(Finding("warning", f"images also in part '{other}' (first: {min(shared)})", len(shared)))
    return found
