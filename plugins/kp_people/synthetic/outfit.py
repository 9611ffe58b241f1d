"""What a person looks like: skin, hair, clothes, as paints of the body's parts."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kp_people.synthetic.solids import Paint

Colour = tuple[float, float, float]
Layer = tuple[str, tuple[float, ...], Colour]

_SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69), (0.89, 0.68, 0.54), (0.78, 0.56, 0.42), (0.62, 0.42, 0.29), (0.45, 0.30, 0.20),
    (0.33, 0.21, 0.15),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (0.09, 0.07, 0.06), (0.21, 0.13, 0.08), (0.38, 0.23, 0.12), (0.72, 0.55, 0.28), (0.55, 0.20, 0.09),
    (0.62, 0.61, 0.60),
)  # fmt: skip


@dataclass(frozen=True)
class Outfit:
    """Colours and cuts.

    Args:
        skin, hair, shirt, trousers, shoes: base colours.
        accent: colour of stripes and prints.
        sleeve, leg: where cloth ends: at the shoulder or hip, half-way down the upper limb, or at wrist or ankle.
        print: pattern of the shirt.
        stripe: whether trousers carry one along the outer side.
        hairdo: how far hair reaches; a cap is worn over short hair.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    accent: Colour
    sleeve: Literal["none", "short", "long"]
    leg: Literal["short", "long"]
    print: Literal["plain", "rings", "badge", "zip"]
    stripe: bool
    hairdo: Literal["short", "long", "bun", "cap", "bald"]

    def torso(self) -> Paint:
        """Paint of the chest; prints are on the front, so front and back differ."""
        return Paint(self.shirt, self._print())

    def belly(self) -> Paint:
        """Paint of the belly: as the chest, without its badge."""
        return Paint(self.shirt, () if self.print == "badge" else self._print())

    def _print(self) -> tuple[Layer, ...]:
        if self.print == "rings":
            return (("rings", (70.0,), self.accent),)
        if self.print == "badge":
            return (("front", (48.0, 40.0, 130.0), self.accent),)
        if self.print == "zip":
            return (("front", (9.0, -200.0, 260.0), self.accent),)
        return ()

    def upper_arm(self, length: float) -> Paint:
        """Paint of an upper arm that hangs ``length`` mm along -y."""
        if self.sleeve == "none":
            return Paint(self.skin)
        stripes = self._print() if self.print == "rings" else ()
        bare: tuple[Layer, ...] = (("below", (-0.55 * length,), self.skin),) if self.sleeve == "short" else ()
        return Paint(self.shirt, stripes + bare)

    def forearm(self, length: float) -> Paint:
        """Paint of a forearm; a long sleeve ends before the wrist."""
        if self.sleeve != "long":
            return Paint(self.skin)
        stripes = self._print() if self.print == "rings" else ()
        return Paint(self.shirt, (*stripes, ("below", (-0.92 * length,), self.skin)))

    def thigh(self, length: float) -> Paint:
        """Paint of a thigh."""
        seam: tuple[Layer, ...] = (("sides", (14.0,), self.accent),) if self.stripe else ()
        bare: tuple[Layer, ...] = (("below", (-0.72 * length,), self.skin),) if self.leg == "short" else ()
        return Paint(self.trousers, seam + bare)

    def shank(self, length: float) -> Paint:
        """Paint of a shank, with a sock above the shoe."""
        sock: Layer = ("below", (-0.84 * length,), self.shoes if self.leg == "long" else (0.92, 0.92, 0.90))
        if self.leg == "short":
            return Paint(self.skin, (sock,))
        seam: tuple[Layer, ...] = (("sides", (12.0,), self.accent),) if self.stripe else ()
        return Paint(self.trousers, seam)


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Draw an outfit; shirt and trousers differ in brightness."""
    shirt_light = rng.uniform(0.3, 0.98)
    trousers_light = (shirt_light + rng.uniform(0.3, 0.7) - 0.12) % 0.86 + 0.12
    skin = _SKINS[rng.integers(len(_SKINS))]
    return Outfit(
        skin=_jitter(rng, skin),
        hair=_jitter(rng, _HAIRS[rng.integers(len(_HAIRS))]),
        shirt=_cloth(rng, shirt_light, 0.95),
        trousers=_cloth(rng, trousers_light, 0.6),
        shoes=_cloth(rng, rng.choice([0.12, 0.3, 0.95]), 0.5),
        accent=_cloth(rng, (shirt_light + 0.5) % 1.0, 0.7),
        sleeve=rng.choice(["none", "short", "long"], p=[0.15, 0.5, 0.35]),
        leg=rng.choice(["short", "long"], p=[0.45, 0.55]),
        print=rng.choice(["plain", "rings", "badge", "zip"], p=[0.35, 0.2, 0.3, 0.15]),
        stripe=bool(rng.random() < 0.25),
        hairdo=rng.choice(["short", "long", "bun", "cap", "bald"], p=[0.45, 0.2, 0.12, 0.16, 0.07]),
    )


def _cloth(rng: np.random.Generator, light: float, most: float) -> Colour:
    return colorsys.hsv_to_rgb(rng.random(), most * rng.random() ** 0.7, float(light))


def _jitter(rng: np.random.Generator, colour: Colour) -> Colour:
    r, g, b = np.clip(np.array(colour) * rng.uniform(0.92, 1.06) + rng.normal(0, 0.01, 3), 0.02, 1.0)
    return float(r), float(g), float(b)
