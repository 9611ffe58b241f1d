"""Flesh and clothes on the frames of an articulated body: the list of solids that a person is drawn with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_people.synthetic.body import SIDES, Body, Frame, articulate, draw_body, keypoints, turn_x, turn_z
from kp_people.synthetic.camera import Camera
from kp_people.synthetic.outfit import Outfit, draw_outfit
from kp_people.synthetic.poses import Pose, draw_pose
from kp_people.synthetic.solids import Paint, Solid
from kpcore.tensors import Float64Array

_ROUND = (1.0, 1.0, 1.0)
_DARK = (0.07, 0.05, 0.05)
_LIPS = (0.55, 0.22, 0.20)

# How far a joint lies under the skin, mm at girth 1: what is nearer than this in front of it belongs to its own limb.
FLESH = {
    "ankle": 55.0, "knee": 70.0, "hip": 130.0, "pelvis": 160.0, "thorax": 105.0, "upper_neck": 105.0,
    "head_top": 80.0, "wrist": 50.0, "elbow": 60.0, "shoulder": 90.0,
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A person, before a camera.

    Args:
        body: the build.
        frames: part -> its frame in body space.
        head: the solids that make the head's outline.
        solids: all solids, the head's among them.
    """

    body: Body
    frames: dict[str, Frame]
    head: tuple[Solid, ...]
    solids: tuple[Solid, ...]

    @property
    def keypoints(self) -> Float64Array:
        """(16, 3) mm, body space."""
        return keypoints(self.frames, self.body)


def draw_figure(rng: np.random.Generator) -> Figure:
    """Draw build, pose and outfit."""
    return build(draw_body(rng), draw_pose(rng), draw_outfit(rng))


def build(body: Body, pose: Pose, outfit: Outfit) -> Figure:
    """Dress a posed body."""
    frames = articulate(body, pose)
    head = _head(frames["head"], body, outfit)
    solids = [*head, *_face(frames["head"], body, outfit), *_torso(frames, body, outfit)]
    for side in SIDES:
        solids += _arm(frames, body, outfit, side) + _leg(frames, body, outfit, side)
    return Figure(body, frames, tuple(head), tuple(solids))


def head_box(figure: Figure, camera: Camera, margin: float) -> tuple[float, float, float, float]:
    """Box around the head, widened on every side by ``margin`` times its size: left, top, right, bottom, px."""
    boxes = np.array([solid.box(camera) for solid in figure.head])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    wider = margin * (high - low)
    left, top, right, bottom = (float(edge) for edge in (*(low - wider), *(high + wider)))
    return left, top, right, bottom


def _solid(
    frame: Frame, at: tuple[float, float, float], shape: tuple[float, float, float], paint: Paint,
    stretch: tuple[float, float, float] = _ROUND,
) -> Solid:  # fmt: skip
    """Place a solid of (length, start radius, end radius) in a frame."""
    return Solid(frame.at(*at), frame.rotation, *shape, stretch, paint)


def _head(frame: Frame, body: Body, outfit: Outfit) -> list[Solid]:
    size = body.bones["head"] / 226.0
    skull = _solid(
        frame, (0, 62 * size, 8 * size), (78 * size, 60 * size, 79 * size), Paint(outfit.skin), (0.96, 1.0, 1.12)
    )
    return [skull, *_HAIRDOS[outfit.hairdo](frame, size, outfit)]


def _short_hair(frame: Frame, size: float, outfit: Outfit) -> list[Solid]:
    paint = Paint(outfit.hair)
    return [_solid(frame, (0, 118 * size, -20 * size), (24 * size, 84 * size, 84 * size), paint, (1.0, 1.0, 1.08))]


def _long_hair(frame: Frame, size: float, outfit: Outfit) -> list[Solid]:
    tail = _solid(
        frame, (0, 100 * size, -42 * size), (-150 * size, 80 * size, 56 * size), Paint(outfit.hair), (1.12, 1.0, 0.75)
    )
    return [*_short_hair(frame, size, outfit), tail]


def _bun(frame: Frame, size: float, outfit: Outfit) -> list[Solid]:
    bun = _solid(frame, (0, 165 * size, -98 * size), (1.0, 40 * size, 40 * size), Paint(outfit.hair))
    return [*_short_hair(frame, size, outfit), bun]


def _cap(frame: Frame, size: float, outfit: Outfit) -> list[Solid]:
    paint = Paint(outfit.accent)
    crown = _solid(frame, (0, 150 * size, -4 * size), (1.0, 85 * size, 85 * size), paint, (1.0, 0.95, 1.1))
    peak = _solid(frame, (0, 158 * size, 78 * size), (1.0, 62 * size, 62 * size), paint, (1.0, 0.2, 1.05))
    return [*_short_hair(frame, size * 0.96, outfit), crown, peak]


def _bald(frame: Frame, size: float, outfit: Outfit) -> list[Solid]:
    fringe = _solid(frame, (0, 90 * size, -30 * size), (12 * size, 74 * size, 74 * size), Paint(outfit.hair))
    return [fringe]


_HAIRDOS = {"short": _short_hair, "long": _long_hair, "bun": _bun, "cap": _cap, "bald": _bald}


def _face(frame: Frame, body: Body, outfit: Outfit) -> list[Solid]:
    """Eyes, nose, ears and mouth: what tells front from back, and so left from right."""
    size = body.bones["head"] / 226.0
    r, g, b = outfit.skin
    nose = Paint((r * 0.93, g * 0.87, b * 0.84))
    parts = [
        _solid(frame, (0, 112 * size, 88 * size), (-22 * size, 8 * size, 15 * size), nose),
        _solid(frame, (0, 52 * size, 66 * size), (1.0, 14 * size, 14 * size), Paint(_LIPS), (1.9, 0.6, 0.9)),
    ]
    for sign in SIDES.values():
        eye = (sign * 31 * size, 122 * size, 72 * size)
        parts.append(_solid(frame, eye, (1.0, 13 * size, 13 * size), Paint(_DARK), (1.2, 0.9, 0.8)))
        ear = (sign * 74 * size, 100 * size, 0.0)
        parts.append(_solid(frame, ear, (14 * size, 19 * size, 20 * size), nose, (0.5, 1.0, 0.8)))
    return parts


def _torso(frames: dict[str, Frame], body: Body, outfit: Outfit) -> list[Solid]:
    bones, girth = body.bones, body.girth
    lumbar, chest = bones["lumbar"], bones["chest"]
    bar = Frame(frames["neck"].origin, frames["chest"].rotation @ turn_z(90))
    return [
        _solid(
            frames["pelvis"], (0, -30, -8), (60.0, 96 * girth, 92 * girth), Paint(outfit.trousers), (1.5, 1.0, 1.05)
        ),
        _solid(frames["lumbar"], (0, 70, 0), (lumbar - 50, 92 * girth, 98 * girth), outfit.belly(), (1.42, 1.0, 1.05)),
        _solid(frames["chest"], (0, -40, 0), (chest - 30, 100 * girth, 96 * girth), outfit.torso(), (1.5, 1.0, 1.12)),
        _solid(
            bar, (-48, 1.15 * bones["shoulder"], -6), (-2.3 * bones["shoulder"], 46 * girth, 46 * girth),
            Paint(outfit.shirt),
        ),
        _solid(frames["neck"], (0, -45, -4), (bones["neck"] + 70, 54 * girth, 47 * girth), Paint(outfit.skin)),
    ]  # fmt: skip


def _arm(frames: dict[str, Frame], body: Body, outfit: Outfit, side: str) -> list[Solid]:
    upper, fore, girth = body.bones["upper_arm"], body.bones["forearm"], body.girth
    loose = 1.12 if outfit.sleeve != "none" else 1.0
    wide = 1.15 if outfit.sleeve == "long" else 1.0
    palm = (40.0 - body.bones["hand"], 26 * girth, 22 * girth)
    return [
        _solid(frames[f"{side}_upper_arm"], (0, 0, 0), (-upper, 50 * girth * loose, 38 * girth * wide),
               outfit.upper_arm(upper)),
        _solid(frames[f"{side}_forearm"], (0, 0, 0), (-fore, 39 * girth * wide, 27 * girth * wide),
               outfit.forearm(fore)),
        _solid(frames[f"{side}_hand"], (0, -30, 0), palm, Paint(outfit.skin), (0.75, 1.25, 1.25)),
    ]  # fmt: skip


def _leg(frames: dict[str, Frame], body: Body, outfit: Outfit, side: str) -> list[Solid]:
    thigh, shank, girth = body.bones["thigh"], body.bones["shank"], body.girth
    loose = 1.1 if outfit.leg == "long" else 1.0
    foot = frames[f"{side}_foot"]
    shin, calf = frames[f"{side}_shank"], (-0.5 * shank, 46 * girth * loose, 40 * girth * loose)
    return [
        _solid(frames[f"{side}_thigh"], (0, 0, 0), (-thigh, 84 * girth, 56 * girth * loose), outfit.thigh(thigh)),
        _solid(shin, (0, 0, 0), (-shank, 54 * girth * loose, 36 * girth * loose), outfit.shank(shank)),
        _solid(shin, (0, -0.16 * shank, -20 * girth), calf, outfit.shank(shank)),
        _solid(Frame(foot.at(0, 40, -38), foot.rotation @ turn_x(-6)), (0, 0, 0),
               (-(body.bones["foot"] + 20), 42 * girth, 30 * girth), Paint(outfit.shoes), (1.0, 1.0, 0.95)),
    ]  # fmt: skip
