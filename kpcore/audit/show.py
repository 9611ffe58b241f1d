"""A contact sheet: samples as they are and as augmentation makes them, with S1 and S2 in colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kpcore.audit.sides import listed, lonely, pairs_of
from kpcore.config import Augmentation
from kpcore.data.geometry import AS_IS, Draw, apply, crop_affine, draw_augmentation, order, warp
from kpcore.drawing import EDGE, LEGEND, PAPER, Colour, Mark, draw_edges, draw_mark, word_of
from kpcore.errors import KpError
from kpcore.keypoints import KeypointSplit, Skeleton
from kpcore.placing import put
from kpcore.reading.images import pixels_of
from kpcore.reading.sides import side_of
from kpcore.samples import Sample
from kpcore.tensors import HIDDEN, UNLABELLED, Float64Array, ImageArray

RIM: Colour = (255, 255, 255)
"""Around the marks of left keypoints."""
NUMBERED = 24
"""Keypoints whose marks bear numbers, at most; more would cover the picture."""
LINE = 22
"""Pixels of a line of text."""
PAIRS = 3
"""Pairs of pictures in a row of the sheet."""


@dataclass(frozen=True)
class Look:
    """How a sheet is drawn.

    Args:
        skeleton: of the samples.
        split: whose first and last set are coloured; all keypoints are "other" where None.
        size: pixels of a picture's side.
    """

    skeleton: Skeleton
    split: KeypointSplit | None = None
    size: int = 256

    @property
    def numbers(self) -> dict[str, int]:
        """Keypoint -> its number beside the mark and in the legend; none where there are too many."""
        names = self.skeleton.names
        return {name: number for number, name in enumerate(names, 1)} if len(names) <= NUMBERED else {}

    def left(self, name: str) -> bool:
        """Whether a keypoint is the left one of a pair, as far as names tell."""
        mirror = self.skeleton[name].mirror
        return mirror is not None and side_of(name, mirror) == "left"

    def group(self, name: str) -> str:
        """Return the legend's word for a keypoint."""
        if self.split is None:
            return "other"
        return word_of(name, self.split.source.names, self.split.target.names if len(self.split.steps) > 1 else ())


def choose(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Return that many samples, drawn by the seed; all where there are no more."""
    return [samples[place] for place in order(seed, 0, len(samples))[:count]]


def contact_sheet(samples: Sequence[Sample], look: Look, augmentation: Augmentation, *, seed: int) -> ImageArray:
    """Draw every sample twice, as it is and as augmentation makes it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        KpError: an image cannot be read.
    """
    pairs = [
        pair(sample, look, draw_augmentation(seed, 0, place, augmentation)) for place, sample in enumerate(samples)
    ]
    columns = min(PAIRS, len(pairs))
    blank = np.full_like(pairs[0], PAPER)
    pairs += [blank] * (-len(pairs) % columns)
    rows = [np.hstack(pairs[start : start + columns]) for start in range(0, len(pairs), columns)]
    return np.vstack([*rows, legend(rows[0].shape[1], look, augmentation)])


def pair(sample: Sample, look: Look, draw: Draw) -> ImageArray:
    """Draw one sample: as it is, as augmented, and a line that names it."""
    image = pixels_of(sample)
    pictures = np.hstack([picture(image, sample, look, AS_IS), picture(image, sample, look, draw)])
    line = np.full((LINE, pictures.shape[1], 3), PAPER, np.uint8)
    named = f"{sample.image_id}  row {sample.row}"
    write(line, fitted(named, line.shape[1] - 12), 6, LEGEND["other"])
    return np.vstack([pictures, line])


def picture(image: ImageArray, sample: Sample, look: Look, draw: Draw) -> ImageArray:
    """Draw one crop with its keypoints, (size, size, 3)."""
    affine = crop_affine(
        (float(sample.centre[0]), float(sample.centre[1])), sample.side, look.size,
        scale=draw.scale, rotation=draw.rotation, flip=draw.flip, shift=draw.shift,
    )  # fmt: skip
    crop = warp(image, affine, look.size) * np.asarray(draw.colour)
    canvas = np.ascontiguousarray(np.clip(crop, 0, 255).astype(np.uint8))
    draw_skeleton(canvas, look, marks(sample, look, affine, flip=draw.flip))
    cv2.rectangle(canvas, (0, 0), (look.size - 1, look.size - 1), PAPER)
    return canvas


def marks(sample: Sample, look: Look, affine: Float64Array, *, flip: bool) -> dict[str, Mark]:
    """Return the labelled keypoints by name; in a mirrored picture each has its partner's name."""
    points = apply(affine, sample.points[:, :2].astype(np.float64))
    found = {}
    for keypoint, (x, y), state in zip(look.skeleton.keypoints, points.tolist(), sample.state, strict=True):
        name = keypoint.mirror if flip and keypoint.mirror else keypoint.name
        if state != UNLABELLED and max(abs(x), abs(y)) < 8 * look.size:  # OpenCV's coordinates are short
            found[name] = Mark((round(x), round(y)), bool(state == HIDDEN))
    return found


def draw_skeleton(canvas: ImageArray, look: Look, found: dict[str, Mark]) -> None:
    """Draw edges, and a mark a keypoint."""
    draw_edges(canvas, look.skeleton, found)
    radius = max(2, look.size // 64)
    for name, mark in found.items():
        draw_mark(canvas, mark, look.group(name), radius)
        if look.left(name):
            cv2.circle(canvas, mark.place, radius + 3, RIM, 1, cv2.LINE_AA)
    for name, mark in found.items():
        if name in look.numbers:
            draw_number(canvas, mark, look.numbers[name], radius)


def draw_number(canvas: ImageArray, mark: Mark, number: int, radius: int) -> None:
    """Write a keypoint's number beside its mark, in light on dark."""
    (width, height), _ = cv2.getTextSize(str(number), cv2.FONT_HERSHEY_SIMPLEX, 0.34, 1)
    inside = canvas.shape[1] - width - 2
    left = mark.place[0] + radius + 2
    at = (left if left <= inside else min(inside, mark.place[0] - radius - width - 2),
          max(height + 1, mark.place[1] - radius))  # fmt: skip
    if not (0 <= mark.place[0] < canvas.shape[1] and 0 <= mark.place[1] < canvas.shape[0]):
        return
    for colour, thick in ((PAPER, 3), (EDGE, 1)):
        cv2.putText(canvas, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, 0.34, colour, thick, cv2.LINE_AA)


def legend(width: int, look: Look, augmentation: Augmentation) -> ImageArray:
    """Return lines that explain the marks and name the keypoints of each, as many as the width asks for."""
    lines = [np.full((LINE, width, 3), PAPER, np.uint8)]
    at = write(lines[-1], f"split {look.split.name}:" if look.split else "keypoints:", 6, EDGE)
    for entry, word in _entries(look, augmentation):
        room = 24 if entry == word else 8
        text = fitted(entry, width - room - 6)
        if at + room + text_width(text) > width and at > 0:
            lines.append(np.full((LINE, width, 3), PAPER, np.uint8))
            at = 0
        if entry == word:
            draw_mark(lines[-1], Mark((at + 16, LINE // 2), hidden=False), word, 4)
        at = write(lines[-1], text, at + room, LEGEND.get(word, EDGE))
    return np.vstack(lines)


def _entries(look: Look, augmentation: Augmentation) -> Iterator[tuple[str, str]]:
    """(text, word of the legend or ""): every word, the names it is for, and what the rest of the sheet means."""
    for word in dict.fromkeys(look.group(name) for name in look.skeleton.names):
        yield word, word
        yield from ((numbered(name, look), word) for name in look.skeleton.names if look.group(name) == word)
    yield "outline: hidden;", ""
    if any(look.left(name) for name in look.skeleton.names):
        yield "white ring: left;", ""
    yield f"right of each pair: augmented ({told(augmentation)})", ""


def numbered(name: str, look: Look) -> str:
    """Return a keypoint's entry in the legend: its number, where marks bear them, and its name."""
    return f"{look.numbers[name]} {name}" if name in look.numbers else name


def told(augmentation: Augmentation) -> str:
    """Return the settings of augmentation in a line: "scale 0.75 to 1.25, rotation 30, flip 0.5"."""
    low, high = augmentation.scale
    rest = augmentation.model_dump(exclude={"scale"})
    return ", ".join([f"scale {low:g} to {high:g}", *(f"{name} {value:g}" for name, value in rest.items() if value)])


def without_unsure_flips(augmentation: Augmentation, skeleton: Skeleton) -> tuple[Augmentation, str]:
    """Return the augmentation that a study of these keypoints can use, and why it does not mirror; "" where it may.

    A mirrored picture shows every keypoint at its partner's place, so that it would be wrong where none is known.
    """
    alone = lonely(skeleton)
    if not augmentation.flip or len(skeleton.names) < 2 or (pairs_of(skeleton) and not alone):
        return augmentation, ""
    what = f"{listed(alone)} without a mirror partner" if alone else "no mirror pair is known"
    return augmentation.model_copy(update={"flip": 0.0}), f"not mirrored: {what}"


def fitted(text: str, width: int) -> str:
    """Return a text, its beginning left out where it is wider than so many pixels."""
    if text_width(text) <= width:
        return text
    fits = (len(text) - place for place in range(len(text)) if text_width("..." + text[place:]) <= width)
    return "..." + text[len(text) - next(fits, 0) :]


def text_width(text: str) -> int:
    """Pixels that a line of text takes."""
    plain = text.encode("ascii", "replace").decode()
    return int(cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0])


def write(canvas: ImageArray, text: str, left: int, colour: Colour) -> int:
    """Write a line of text in place and return where it ends; OpenCV's letters are ASCII."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, (left, LINE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    (width, _), _ = cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    return left + width


def write_png(path: Path, image: ImageArray) -> None:
    """Write an image (H, W, 3) RGB; raises KpError where the name does not end in .png."""
    if path.suffix.lower() != ".png":
        raise KpError(f"{path}: the sheet is a PNG; let the name end in .png")
    _, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    put(path, data.tobytes())
