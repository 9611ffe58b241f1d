"""An articulated body: bone lengths from anthropometry, and forward kinematics.

Body space: millimetres, right-handed, x to the person's own left, y up, z forward; the pelvis is the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_people.skeleton import NAMES
from kp_people.synthetic.poses import Pose
from kpcore.tensors import Float64Array

# Shares of the stature (Drillis and Contini 1966, as in Winter, "Biomechanics and Motor Control of Human Movement",
# fig. 4.1); hip and shoulder spacing are those of the joint centres, which lie inside the quoted breadths.
SHARES = {
    "shank": 0.246, "thigh": 0.245, "hip": 0.068, "lumbar": 0.140, "chest": 0.150, "shoulder": 0.108,
    "upper_arm": 0.186, "forearm": 0.146, "hand": 0.080, "neck": 0.056, "head": 0.130, "foot": 0.110,
}  # fmt: skip
SIDES = {"l": 1.0, "r": -1.0}


@dataclass(frozen=True)
class Body:
    """One person's build.

    Args:
        bones: millimetres, by the names of :data:`SHARES`; ``hip`` and ``shoulder`` reach from the midline to a joint.
        girth: factor on every radius.
    """

    bones: dict[str, float]
    girth: float


@dataclass(frozen=True)
class Frame:
    """A body part's own axes: origin (3,) mm, rotation (3, 3) from the part to body space."""

    origin: Float64Array
    rotation: Float64Array

    def at(self, x: float, y: float, z: float) -> Float64Array:
        """Body-space point of part coordinates."""
        return np.asarray(self.origin + self.rotation @ np.array([x, y, z]))

    def child(self, offset: tuple[float, float, float], rotation: Float64Array) -> Frame:
        """Return the frame of a part that hangs on this one."""
        return Frame(self.at(*offset), self.rotation @ rotation)


def draw_body(rng: np.random.Generator) -> Body:
    """Draw stature 1.50-1.95 m, proportions of +-4 % a bone, and girth."""
    stature = rng.uniform(1500.0, 1950.0)
    bones = {name: stature * share * rng.uniform(0.96, 1.04) for name, share in SHARES.items()}
    return Body(bones, stature / 1740.0 * rng.uniform(0.88, 1.22))


def turn_x(degrees: float) -> Float64Array:
    """Rotation about x, (3, 3)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def turn_y(degrees: float) -> Float64Array:
    """Rotation about y, (3, 3)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def turn_z(degrees: float) -> Float64Array:
    """Rotation about z, (3, 3)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def articulate(body: Body, pose: Pose) -> dict[str, Frame]:
    """Return every part's frame.

    Limbs hang along their own -y. Half the spine's bend is taken at the pelvis and half at the chest.
    """
    bones = body.bones
    bend = _ball(pose["spine_flexion"] / 2, pose["spine_side"] / 2, pose["spine_twist"] / 2)
    pelvis = Frame(np.zeros(3), np.eye(3))
    lumbar = pelvis.child((0.0, 0.0, 0.0), bend)
    chest = lumbar.child((0.0, bones["lumbar"], 0.0), bend)
    nod = _ball(pose["neck_flexion"] / 2, pose["neck_side"] / 2, pose["neck_turn"] / 2)
    neck = chest.child((0.0, bones["chest"], 0.0), nod)
    frames = {"pelvis": pelvis, "lumbar": lumbar, "chest": chest, "neck": neck}
    frames["head"] = neck.child((0.0, bones["neck"], 0.0), nod)
    for side, sign in SIDES.items():
        frames |= _leg(pelvis, body, pose, side, sign) | _arm(chest, body, pose, side, sign)
    return frames


def _ball(flexion: float, side: float, twist: float) -> Float64Array:
    """Rotation of an upright part: forward, to the left, turned to the left."""
    return np.asarray(turn_z(-side) @ turn_x(flexion) @ turn_y(twist))


def _limb(pose: Pose, joint: str, sign: float) -> Float64Array:
    """Rotation of a limb at hip or shoulder: axial rotation first, then flexion, then abduction."""
    abduction = turn_z(sign * pose[f"{joint}_abduction"])
    return np.asarray(abduction @ turn_x(-pose[f"{joint}_flexion"]) @ turn_y(-sign * pose[f"{joint}_rotation"]))


def _leg(pelvis: Frame, body: Body, pose: Pose, side: str, sign: float) -> dict[str, Frame]:
    bones = body.bones
    thigh = pelvis.child((sign * bones["hip"], 0.0, 0.0), _limb(pose, f"{side}_hip", sign))
    shank = thigh.child((0.0, -bones["thigh"], 0.0), turn_x(pose[f"{side}_knee"]))
    foot = shank.child((0.0, -bones["shank"], 0.0), turn_x(pose[f"{side}_ankle"] - 90.0))
    return {f"{side}_thigh": thigh, f"{side}_shank": shank, f"{side}_foot": foot}


def _arm(chest: Frame, body: Body, pose: Pose, side: str, sign: float) -> dict[str, Frame]:
    bones = body.bones
    upper = chest.child((sign * bones["shoulder"], bones["chest"] - 15.0, 0.0), _limb(pose, f"{side}_shoulder", sign))
    forearm = upper.child((0.0, -bones["upper_arm"], 0.0), turn_x(-pose[f"{side}_elbow"]))
    hand = forearm.child((0.0, -bones["forearm"], 0.0), np.eye(3))
    return {f"{side}_upper_arm": upper, f"{side}_forearm": forearm, f"{side}_hand": hand}


_ORIGINS = {
    "pelvis": "pelvis", "thorax": "neck", "upper_neck": "head",
    **{f"{side}_{joint}": f"{side}_{part}" for side in SIDES for joint, part in (
        ("hip", "thigh"), ("knee", "shank"), ("ankle", "foot"),
        ("shoulder", "upper_arm"), ("elbow", "forearm"), ("wrist", "hand"),
    )},
}  # fmt: skip


def keypoints(frames: dict[str, Frame], body: Body) -> Float64Array:
    """Body-space points of the 16 keypoints, (16, 3) mm: a joint is where its part's frame starts."""
    points = {joint: frames[part].origin for joint, part in _ORIGINS.items()}
    points["head_top"] = frames["head"].at(0.0, body.bones["head"], 0.0)
    return np.stack([points[name] for name in NAMES])
