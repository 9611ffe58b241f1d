"""The writer ``coco_results``: COCO's list of results, which pycocotools and COCO's server score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from kp_coco.forms import Forms, Numbers, Records, score
from kpcore.interfaces import About, Predicted, Sink, Writer


class CocoResults(Writer):
    """COCO's list of results: an object an instance with image_id, category_id, keypoints and score.

    Ids of images and categories are those of the COCO file that ``--boxes`` names, and keypoints are in the order of
    its category, (0, 0, 0) where the network has none of the name; where there is no such file, images are numbered
    from 1 in order, as in the format ``coco``, and the category is 1. The score is the mean confidence of the
    instance's keypoints, in the codec's units, which is what the metric ``oks`` ranks instances by.
    """

    file: ClassVar[str] = "coco_results.json"

    def open(self, path: Path, about: About) -> Sink:
        """Begin the file.

        Raises:
            KpError: keypoints are 3D, or the boxes' category has keypoints and not all that are predicted.
        """
        about.require_flat("coco_results")
        return _Sink(path, about, Forms(about, strict=True))


class _Sink(Sink):
    def __init__(self, path: Path, about: About, forms: Forms) -> None:
        self._path = path
        self._forms = forms
        self._numbers = Numbers(about)
        self._records = Records(path)

    def add(self, found: Predicted) -> None:
        """Write its instances."""
        if found.problem:
            return
        image = self._numbers.of(found)
        for place, form in self._forms.instances(found):
            points = found.points[place]
            kept = np.isfinite(points).all(1)
            self._records.add(
                {
                    "image_id": image,
                    "category_id": form.category.id,
                    "keypoints": form.triplets(points, kept),
                    "score": score(found.confidence[place], kept),
                }
            )

    def finish(self) -> Sequence[Path]:
        """Give the file its name."""
        self._records.close()
        self._records.partial.replace(self._path)
        return [self._path]

    def abandon(self) -> None:
        """Remove what was begun."""
        self._records.remove()
