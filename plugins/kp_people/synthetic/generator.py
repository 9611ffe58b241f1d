"""The generator ``people``: images and annotation in Newell's MPII layout with 3D ground truth beside, or in LSP's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from kp_people.synthetic.layout import Row, write_annotation, write_truth
from kp_people.synthetic.lsp_layout import lsp_name, write_joints
from kp_people.synthetic.scene import Difficulty, Person, draw_scene
from kpcore.cores import mapped
from kpcore.data.generated import write_image
from kpcore.interfaces import ComponentConfig, Generator

PARTS = ("train", "valid")
MOST = 999_999
"""People of a part, whose images are numbered with six digits."""
_PAIRED = 0.2
"""Share of images with two annotated people."""
_BYSTANDER = 0.15
"""Share of images with a further person whom nobody annotated."""
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class _Order:
    """One image to be drawn: its part, its number within the part, and how many people are annotated in it."""

    part: str
    number: int
    annotated: int

    @property
    def name(self) -> str:
        return f"{self.part}{self.number:06d}.jpg"


class PeopleGenerator(Generator):
    """Synthetic people, rendered from an articulated body; Args: as the fields of ``Config``."""

    class Config(ComponentConfig):
        """``[dataset.generate] name = "people"``."""

        people: int = Field(default=800, ge=1, le=MOST, description="annotated people to train on")
        valid: int = Field(
            default=200, ge=1, le=MOST, description="annotated people to score on; no image is in both parts"
        )
        seed: int = Field(default=0, ge=0, description="other seeds draw other people")
        size: int = Field(default=128, ge=48, le=1024, description="pixels of an image's shorter side")
        turn: float = Field(default=180.0, ge=0, le=180, description="people face the camera within this many degrees")
        occlusion: float = Field(default=0.3, ge=0, le=1, description="share of people with something before them")
        clutter: float = Field(default=0.5, ge=0, le=1, description="how much lies about behind them")
        layout: Literal["mpii", "lspet"] = Field(
            default="mpii",
            description="MPII's 16 joints in Newell's files, or LSP extended's 14 in its own; that has one person an"
            " image and no parts: 'people' and 'valid' are written one after the other, and its reader divides them",
        )

    def __init__(
        self, *, people: int, valid: int, seed: int, size: int, turn: float, occlusion: float, clutter: float,
        layout: str,
    ) -> None:  # fmt: skip
        self.layout = layout
        self.people = {"train": people, "valid": valid}
        self.seed = seed
        self.difficulty = Difficulty(size, turn, occlusion, clutter)

    @property
    def version(self) -> str:
        """The drawing's own version, and OpenCV's, which draws and compresses."""
        return f"2, opencv {cv2.__version__}"

    def write(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        """Write ``images/``, ``annot/{train,valid}.h5`` and ``annot/people3d.h5``; or ``images/`` and ``joints.mat``.

        Every image is drawn from its own random numbers, so neither threads nor the number of people change it.
        """
        (folder / "images").mkdir()
        if self.layout == "lspet":
            self._write_lsp(folder, progress)
        else:
            self._write_mpii(folder, progress)

    def _write_lsp(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        drawn: list[Person] = []
        for part in PARTS:
            for order, (person,) in self._draw(part, folder / "images"):
                (folder / "images" / order.name).rename(folder / "images" / lsp_name(len(drawn)))
                drawn.append(person)
                progress(len(drawn), sum(self.people.values()))
        write_joints(folder / "joints.mat", drawn)

    def _write_mpii(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        (folder / "annot").mkdir()
        total, done = sum(self.people.values()), 0
        truth: dict[str, list[Person]] = {}
        for part in PARTS:
            rows: list[Row] = []
            for order, people in self._draw(part, folder / "images"):
                rows.extend(Row(order.name, place, person) for place, person in enumerate(people))
                done += len(people)
                progress(done, total)
            write_annotation(folder / "annot" / f"{part}.h5", rows)
            truth[part] = [row.person for row in rows]
        write_truth(folder / "annot" / "people3d.h5", truth)

    def _draw(self, part: str, images: Path) -> Iterator[tuple[_Order, list[Person]]]:
        """Draw and write a part's images; return them in order."""

        def work(order: _Order) -> tuple[_Order, list[Person]]:
            random = self._random(part, order.number, 1)
            image, people = draw_scene(random, self.difficulty, order.annotated, bool(random.random() < _BYSTANDER))
            write_image(images / order.name, image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            return order, people

        return mapped(work, self._orders(part))

    def _orders(self, part: str) -> Iterator[_Order]:
        left, number = self.people[part], 0
        while left:
            paired = self.layout == "mpii" and left > 1 and self._random(part, number, 0).random() < _PAIRED
            annotated = 2 if paired else 1
            yield _Order(part, number, annotated)
            left, number = left - annotated, number + 1

    def _random(self, part: str, number: int, what: int) -> np.random.Generator:
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([self.seed, PARTS.index(part), number, what]))
        )
