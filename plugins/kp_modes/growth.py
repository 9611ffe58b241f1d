"""What the modes share: a trained network becomes the first stages of a bigger one, and keypoints meet by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kpcore.errors import KpError
from kpcore.keypoints import KeypointSet, Skeleton
from kpcore.plans import NEW, NetworkSpec, Origin, TensorSpec

Grown = tuple[dict[str, Origin], tuple[tuple[int, str], ...]]
"""(origins, dropped) of a plan with one source."""


def new_stages(before: int, after: int, mode: str) -> int:
    """Return how many stages a step adds, for a mode whose carried stages keep their heads.

    Raises:
        KpError: none, so that no stage would learn the step's keypoints.
    """
    if after == before:
        raise KpError(
            f"backbone.stages: {mode} needs new stages at every step, but the network keeps its {before} stages;"
            " let the numbers grow, as in [2, 4]"
        )
    return after - before


def grow(target: NetworkSpec, source: NetworkSpec, renew: Callable[[TensorSpec], bool]) -> Grown:
    """Return (origins, dropped): every tensor that the source has too is carried over, except what ``renew`` picks.

    A tensor laid out by other keypoints than in the source is sliced by the names that both have; with none in common
    it is new.
    """
    origins = {
        name: NEW if renew(spec) else by_keypoint(spec, source, name) if name in source.tensors else NEW
        for name, spec in target.tensors.items()
    }
    return origins, left_behind(origins, source)


def left_behind(origins: Mapping[str, Origin], source: NetworkSpec) -> tuple[tuple[int, str], ...]:
    """Return what a plan with one source drops: all of it that nothing comes from."""
    taken = {origin.tensor for origin in origins.values() if origin.kind in ("loaded", "sliced")}
    return tuple((0, name) for name in source.tensors if name not in taken)


def grow_reset(target: NetworkSpec, source: NetworkSpec) -> Grown:
    """As :func:`grow`; heads and the prediction branches of junctions are renewed: what belongs to keypoints."""
    return grow(target, source, lambda spec: spec.unit.startswith("head") or spec.part == "predictions")


def by_keypoint(spec: TensorSpec, source: NetworkSpec, tensor: str) -> Origin:
    """Return the origin of a tensor that comes from that one of the source: whole, sliced by name, or new."""
    here, there = spec.keypoint_axis, source.tensors[tensor].keypoint_axis
    if here == there:
        return Origin("loaded", tensor=tensor)
    known = there.keypoints if there else ()
    shared = tuple(keypoint for keypoint in (here.keypoints if here else ()) if keypoint in known)
    return Origin("sliced", tensor=tensor, keypoints=shared) if shared else NEW


def on_skeleton(keypoints: KeypointSet, skeleton: Skeleton) -> KeypointSet | None:
    """Return the keypoints that a skeleton has too, as a set on it; None where it has none.

    A step of another data set brings keypoints of another skeleton; labels are found by the step's own.
    """
    names = tuple(name for name in keypoints.names if name in skeleton.names)
    return KeypointSet(skeleton, names) if names else None
