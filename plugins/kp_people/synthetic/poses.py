"""Joint angles: what a body can do, and what people do. Degrees throughout.

A pose maps every name of :data:`LIMITS` to an angle. Limits are adult ranges of motion, rounded (American Academy of
Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording", 1965); 0 everywhere is standing, arms down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Pose = Mapping[str, float]

_TRUNK = {
    "spine_flexion": (-25.0, 75.0), "spine_side": (-30.0, 30.0), "spine_twist": (-40.0, 40.0),
    "neck_flexion": (-40.0, 45.0), "neck_side": (-35.0, 35.0), "neck_turn": (-65.0, 65.0),
}  # fmt: skip
_LIMB = {
    "hip_flexion": (-25.0, 120.0), "hip_abduction": (-15.0, 45.0), "hip_rotation": (-40.0, 40.0),
    "knee": (0.0, 140.0), "ankle": (-20.0, 45.0),
    "shoulder_flexion": (-55.0, 175.0), "shoulder_abduction": (-10.0, 170.0), "shoulder_rotation": (-80.0, 75.0),
    "elbow": (0.0, 145.0),
}  # fmt: skip
LIMITS: dict[str, tuple[float, float]] = {
    **_TRUNK,
    **{f"{side}_{joint}": limits for side in "rl" for joint, limits in _LIMB.items()},
}
"""Angle -> (low, high). Flexion is forward, abduction and rotation are away from and towards the body's midline."""


@dataclass(frozen=True)
class Activity:
    """A family of poses: mean and spread of some angles; ``a_`` and ``b_`` are the two sides, ``ab_`` is both."""

    weight: float
    angles: Mapping[str, tuple[float, float]]


_REST: dict[str, tuple[float, float]] = {
    "spine_flexion": (5, 6), "spine_side": (0, 6), "spine_twist": (0, 8),
    "neck_flexion": (4, 10), "neck_side": (0, 7), "neck_turn": (0, 18),
    "ab_hip_flexion": (3, 7), "ab_hip_abduction": (6, 5), "ab_hip_rotation": (-4, 8), "ab_knee": (6, 6),
    "ab_ankle": (4, 6), "ab_shoulder_flexion": (6, 12), "ab_shoulder_abduction": (14, 9),
    "ab_shoulder_rotation": (10, 15), "ab_elbow": (22, 16),
}  # fmt: skip

ACTIVITIES: dict[str, Activity] = {
    "stand": Activity(2.0, {}),
    "hands_on_hips": Activity(
        0.7, {"ab_shoulder_abduction": (48, 8), "ab_shoulder_rotation": (62, 8), "ab_elbow": (95, 12)}
    ),
    "walk": Activity(
        1.6,
        {"a_hip_flexion": (26, 8), "b_hip_flexion": (-14, 6), "a_knee": (12, 8), "b_knee": (32, 14),
         "a_shoulder_flexion": (-22, 10), "b_shoulder_flexion": (28, 12)},
    ),
    "run": Activity(
        1.2,
        {"spine_flexion": (14, 6), "a_hip_flexion": (62, 14), "b_hip_flexion": (-14, 8), "a_knee": (80, 22),
         "b_knee": (40, 25), "a_shoulder_flexion": (-38, 12), "b_shoulder_flexion": (42, 16), "ab_elbow": (88, 14)},
    ),
    "sit": Activity(
        1.2,
        {"spine_flexion": (10, 9), "ab_hip_flexion": (84, 10), "ab_hip_abduction": (14, 9), "ab_knee": (82, 16),
         "ab_shoulder_flexion": (32, 18), "ab_elbow": (58, 28)},
    ),
    "squat": Activity(
        0.5,
        {"spine_flexion": (34, 10), "ab_hip_flexion": (98, 12), "ab_hip_abduction": (20, 8), "ab_knee": (112, 14),
         "ab_shoulder_flexion": (72, 22)},
    ),
    "reach_up": Activity(
        1.0,
        {"spine_flexion": (-4, 6), "ab_shoulder_flexion": (146, 20), "ab_shoulder_abduction": (18, 12),
         "ab_elbow": (24, 18)},
    ),
    "star": Activity(
        1.0,
        {"ab_shoulder_abduction": (105, 30), "ab_elbow": (18, 14), "ab_hip_abduction": (26, 8)},
    ),
    "wave": Activity(
        1.0,
        {"a_shoulder_abduction": (118, 22), "a_shoulder_rotation": (-20, 25), "a_elbow": (55, 30)},
    ),
    "kick": Activity(
        0.8,
        {"spine_flexion": (-2, 8), "a_hip_flexion": (74, 18), "a_knee": (22, 18), "ab_shoulder_abduction": (58, 20)},
    ),
    "throw": Activity(
        1.0,
        {"spine_twist": (0, 22), "a_shoulder_abduction": (96, 14), "a_shoulder_rotation": (-62, 14),
         "a_elbow": (88, 20),
         "b_shoulder_flexion": (68, 18), "a_hip_flexion": (-8, 8), "b_hip_flexion": (38, 12), "b_knee": (34, 12)},
    ),
    "lunge": Activity(
        0.7,
        {"a_hip_flexion": (74, 10), "a_knee": (80, 12), "b_hip_flexion": (-12, 7), "b_knee": (38, 14)},
    ),
    "guard": Activity(
        0.8,
        {"spine_flexion": (14, 7), "ab_shoulder_flexion": (48, 16), "ab_shoulder_rotation": (26, 14),
         "ab_elbow": (112, 16), "ab_hip_flexion": (18, 8), "ab_knee": (26, 10)},
    ),
    "bend": Activity(
        0.5,
        {"spine_flexion": (50, 14), "ab_hip_flexion": (44, 14), "ab_knee": (24, 14), "ab_shoulder_flexion": (70, 22)},
    ),
}  # fmt: skip


def draw_pose(rng: np.random.Generator) -> dict[str, float]:
    """Draw an activity, the side that leads, and every angle within its limits."""
    weights = np.array([activity.weight for activity in ACTIVITIES.values()])
    activity = list(ACTIVITIES.values())[rng.choice(len(weights), p=weights / weights.sum())]
    sides = {"a": "rl"[int(rng.integers(2))]}
    sides["b"] = "l" if sides["a"] == "r" else "r"
    spread = {**_named(_REST, sides), **_named(activity.angles, sides)}
    return {name: _bounded(rng.normal(*spread[name]), limits) for name, limits in LIMITS.items()}


def _named(angles: Mapping[str, tuple[float, float]], sides: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Turn leading, other and both sides into left and right."""
    found = {}
    for name, value in angles.items():
        prefix, _, joint = name.partition("_")
        if prefix == "ab":
            found.update({f"{side}_{joint}": value for side in "rl"})
        else:
            found[f"{sides[prefix]}_{joint}" if prefix in sides else name] = value
    return found


def _bounded(angle: float, limits: tuple[float, float]) -> float:
    """Fold an angle back at a limit it passed, so that poses do not pile up on the limits."""
    low, high = limits
    folded = low + abs(angle - low)
    folded = high - abs(high - folded)
    return float(min(max(folded, low), high))
