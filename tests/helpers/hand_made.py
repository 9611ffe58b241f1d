"""Samples and data sets that tests make by hand, and what is asked of any data set.

The folder is on pytest's ``pythonpath``: test modules, which cannot import each other, import this.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kpcore.audit.check import check_part
from kpcore.errors import KpError
from kpcore.interfaces import Dataset, Facts
from kpcore.samples import Sample
from kpcore.tensors import VISIBLE


class Listed(Dataset):
    """People that were handed over, the same in both parts."""

    def __init__(self, skeleton, samples):
        self._skeleton = skeleton
        self._samples = samples

    @property
    def facts(self):
        return Facts("made", self._skeleton, ("train", "valid"), "a length", "pck")

    def samples(self, part):
        return self._samples


def somebody(image, points, row=0, **changes):
    """A person with every keypoint (K, 2) visible, on the crop of 20 px around (15, 14); ``changes`` are its fields."""
    plain = Sample(
        image=image, points=np.asarray(points, np.float32), state=np.full(len(points), VISIBLE, np.uint8),
        centre=np.array([15.0, 14], np.float32), side=20.0, normaliser=6.0, image_id=getattr(image, "name", "array"),
        person_id=str(row), row=row,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def finding_of(data, text, *, decode):
    """Return the training part's one finding with this text; None where there is none."""
    hits = [finding for finding in check_part(data, "train", decode=decode) if text in finding.what]
    assert len(hits) < 2
    return hits[0] if hits else None


def told(data, part="train"):
    """Return level, text and count of what a reader finds in its own files."""
    return [(finding.level, finding.what, finding.count) for finding in data.findings(part)]


def refused(call, *words):
    """Return the one line by which a call is refused, which holds these words."""
    with pytest.raises(KpError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line, line
    return line


def undraw(patch):
    """Let runs write their curves as numbers alone, draw no figure and no page: each takes a second or two."""
    from kpcore.report.curves import curves_csv
    from kpcore.report.files import save

    def numbers(results, histories, folder):
        return [save(folder / "curves.csv", curves_csv(results, histories).encode())]

    patch.setattr("kpcore.api.closing.write_curves", numbers)
    patch.setattr("kpcore.cli.report.page_of", lambda *_: None)
