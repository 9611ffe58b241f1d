"""The writer ``coco``: a whole COCO annotation file, for labelling tools to correct."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from kp_coco.forms import Forms, Numbers, Records, box, score
from kpcore.interfaces import About, Category, ComponentConfig, Identity, Predicted, Sink, Writer
from kpcore.keypoints import KeypointSet
from kpcore.placing import beside
from kpcore.trained.unsure import Unsure


class CocoAnnotations(Writer):
    """A whole COCO annotation file: pre-labels for CVAT, Label Studio or Roboflow.

    Images have width, height and file_name, of a video's frame "VIDEO/000012.png"; pictures that could not be read are
    left out. Categories have keypoints and the skeleton's edges, counted from 1. An annotation has keypoints (v = 2,
    and 0, 0, 0 where one is missing), num_keypoints, the points' own box, that box's area, and as score the mean
    confidence of its keypoints, in the codec's units. Ids of images and categories are those of the COCO file that
    ``--boxes`` names, if it does; else images are numbered from 1 in order, and the category is 1.
    """

    file: ClassVar[str] = "coco.json"

    class Config(ComponentConfig):
        """Options of the writer ``coco``."""

        category: str | None = Field(
            default=None, description="name of the category; that of the boxes' COCO file, else the skeleton's"
        )
        least: float | None = Field(
            default=None,
            description="confidence below which a keypoint is written as missing, in the codec's units; all are kept"
            " where absent",
        )

    def __init__(self, *, category: str | None, least: float | None) -> None:
        self._category = category
        self._least = least

    def open(self, path: Path, about: About) -> Sink:
        """Begin the file; raises KpError where keypoints are 3D."""
        about.require_flat("coco")
        return _Sink(path, about, Forms(about, self._category or ""), self._least, told=bool(self._category))


class _Sink(Sink):
    def __init__(self, path: Path, about: About, forms: Forms, least: float | None, *, told: bool) -> None:
        self._path = path
        self._told = told or bool(about.categories)
        self._about = about
        self._forms = forms
        self._least = -np.inf if least is None else least
        self._numbers = Numbers(about)
        self._images = Records(path.with_name(f"{path.name}.images"))
        self._annotations = Records(path.with_name(f"{path.name}.annotations"))
        self._known: set[Identity] = set()
        self._count = 0
        self._unsure = Unsure(least)

    def add(self, found: Predicted) -> None:
        """Write the image and its instances."""
        if found.problem:
            return
        image = self._numbers.of(found)
        if image not in self._known:
            self._known.add(image)
            width, height = found.size
            self._images.add({"id": image, "file_name": found.file_name, "width": width, "height": height})
        for place, form in self._forms.instances(found):
            points, surer = found.points[place], found.confidence[place]
            kept = np.isfinite(points).all(1) & ~(surer < self._least)
            self._unsure.count(points, kept)
            if kept.any():
                self._count += 1
                left_top_size = box(points[kept])
                self._annotations.add(
                    {
                        "id": self._count,
                        "image_id": image,
                        "category_id": form.category.id,
                        "keypoints": form.triplets(points, kept),
                        "num_keypoints": int(kept.sum()),
                        "bbox": left_top_size,
                        "area": round(left_top_size[2] * left_top_size[3], 2),
                        "iscrowd": 0,
                        "score": score(surer, kept),
                    }
                )

    def finish(self) -> Sequence[Path]:
        """Put the lists together."""
        info = {"description": f"predicted by {self._about.model}: pre-labels, to be corrected"}
        categories = [category_entry(one, self._about.keypoints) for one in self._forms.categories]
        partial = beside(self._path)
        with partial.open("w", encoding="utf-8") as file:
            file.write(f'{{"info": {json.dumps(info)},\n"categories": {json.dumps(categories, ensure_ascii=False)}')
            for key, records in (("images", self._images), ("annotations", self._annotations)):
                records.close()
                file.write(f',\n"{key}": ')
                with records.partial.open(encoding="utf-8") as part:
                    shutil.copyfileobj(part, file)
            file.write("}\n")
        partial.replace(self._path)
        self.abandon()
        return [self._path]

    def notes(self) -> Sequence[str]:
        """Say what was left out, and what the category is called where nobody said it."""
        name = self._forms.categories[0].name
        assumed = [] if self._told else [f"the category is called '{name}'; --set coco.category=NAME names it"]
        return [*self._unsure.notes(), *assumed]

    def abandon(self) -> None:
        """Remove what was begun."""
        self._images.remove()
        self._annotations.remove()


def category_entry(category: Category, keypoints: KeypointSet) -> dict[str, Any]:
    """Return a category as COCO's files have it; edges count keypoints from 1."""
    names = category.keypoints
    edges = [edge for edge in keypoints.skeleton.edges if set(edge) <= set(names)]
    return {
        "id": category.id,
        "name": category.name,
        "supercategory": category.name,
        "keypoints": list(names),
        "skeleton": [[names.index(one) + 1, names.index(other) + 1] for one, other in edges],
    }
