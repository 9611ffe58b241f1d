"""What a person looks like besides the face's shape: colours, hair, beard, glasses, clothes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kpcore.tensors import Float64Array

Rgb = tuple[float, float, float]
Hairdo = Literal["bald", "short", "full", "long"]

SKINS: tuple[Rgb, ...] = (
    (0.95, 0.80, 0.71), (0.90, 0.72, 0.60), (0.83, 0.64, 0.50), (0.72, 0.52, 0.38), (0.55, 0.38, 0.27),
    (0.38, 0.25, 0.18),
)  # fmt: skip
HAIRS: tuple[Rgb, ...] = (
    (0.06, 0.05, 0.05), (0.17, 0.10, 0.06), (0.33, 0.20, 0.11), (0.55, 0.38, 0.20), (0.78, 0.63, 0.38),
    (0.50, 0.20, 0.09), (0.62, 0.62, 0.61),
)  # fmt: skip
IRISES: tuple[Rgb, ...] = ((0.20, 0.12, 0.07), (0.32, 0.22, 0.11), (0.30, 0.38, 0.30), (0.32, 0.45, 0.58))


@dataclass(frozen=True)
class Style:
    """One person's looks.

    Args:
        skin, hair, iris, lips, cloth: colours in [0, 1].
        hairdo: how the hair is cut.
        hairline: y of the hairline in the middle.
        fringe: how far hair falls over the forehead, ragged.
        volume: how far hair stands off.
        length: y where long hair ends.
        brows: half their thickness.
        beard: 0 none, 1 full.
        moustache: whether it comes with a moustache.
        make_up: how red the lips and how dark the lids.
        age: how deep the folds are.
    """

    skin: Rgb
    hair: Rgb
    iris: Rgb
    lips: Rgb
    cloth: Rgb
    hairdo: Hairdo
    hairline: float
    fringe: float
    volume: float
    length: float
    brows: float
    beard: float
    moustache: bool
    make_up: float
    age: float


@dataclass(frozen=True)
class Glasses:
    """A pair: half the width and height of a lens, colour of the frame, and how dark the lenses are."""

    half: tuple[float, float]
    frame: Rgb
    dark: float
    round: bool


def draw_style(rng: np.random.Generator) -> Style:
    """Draw a person's looks."""
    skin, hair = _between(rng, SKINS, 0.035), _between(rng, HAIRS, 0.02)
    hair = _rgb(np.array(hair) * min(1.0, 0.15 + 1.1 * float(np.mean(skin))))  # darker people have darker hair
    bearded = rng.random() < 0.3
    make_up = 0.0 if bearded else float(rng.random() * (rng.random() < 0.5))
    hairdo: Hairdo = ("bald", "short", "full", "long")[int(rng.choice(4, p=_CUTS[bearded]))]
    red = np.array([0.72, 0.22, 0.24]) * rng.uniform(0.7, 1.15)
    lips = np.array(skin) * (0.92, 0.68, 0.68) * (1 - make_up) + red * make_up
    return Style(
        skin, hair, _between(rng, IRISES, 0.02), _rgb(lips), _rgb(rng.uniform(0.04, 0.9) + rng.normal(0, 0.15, 3)),
        hairdo, float(rng.normal(-0.72, 0.06)), float(rng.uniform(0.1, 0.42) * (rng.random() < 0.35)),
        float(rng.uniform(0.05, 0.2) if hairdo != "short" else rng.uniform(0.02, 0.09)),
        float(rng.uniform(0.6, 2.2)), float(rng.uniform(0.016, 0.042)), float(rng.uniform(0.2, 1.0) * bearded),
        bool(rng.random() < 0.7), make_up, float(rng.uniform(0, 1)),
    )  # fmt: skip


_CUTS = {False: (0.05, 0.3, 0.25, 0.4), True: (0.2, 0.6, 0.12, 0.08)}
"""Shares of the hairdos, without and with a beard."""


def draw_glasses(rng: np.random.Generator) -> Glasses | None:
    """Draw glasses for one face in six; one pair in five has dark lenses."""
    if rng.random() >= 0.17:
        return None
    dark = float(rng.uniform(0.75, 0.95)) if rng.random() < 0.2 else float(rng.uniform(0.0, 0.12))
    frame = _rgb(rng.uniform(0.03, 0.35) + rng.normal(0, 0.06, 3))
    return Glasses(
        (float(rng.uniform(0.2, 0.25)), float(rng.uniform(0.12, 0.2))), frame, dark, bool(rng.random() < 0.5)
    )


def _between(rng: np.random.Generator, colours: tuple[Rgb, ...], spread: float) -> Rgb:
    """Draw a colour between two neighbours."""
    place = rng.uniform(0, len(colours) - 1)
    low = int(place)
    mixed = np.array(colours[low]) * (1 - place + low) + np.array(colours[low + 1]) * (place - low)
    return _rgb(mixed * (1 + rng.normal(0, 2 * spread)) + rng.normal(0, spread / 2, 3))


def _rgb(values: Float64Array) -> Rgb:
    red, green, blue = np.clip(values, 0.02, 0.98).tolist()
    return red, green, blue
