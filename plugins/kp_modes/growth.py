"""What the modes share: a trained network becomes the first stages of a bigger one."""

from __future__ import annotations

from collections.abc import Callable

from kpcore.errors import KpError
from kpcore.plans import NEW, NetworkSpec, Origin, TensorSpec


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


def grow(
    target: NetworkSpec, source: NetworkSpec, renew: Callable[[TensorSpec], bool]
) -> tuple[dict[str, Origin], tuple[tuple[int, str], ...]]:
    """Return (origins, dropped): every tensor that the source has too is carried over, except what ``renew`` picks.

    A tensor laid out by other keypoints than in the source is sliced by the names that both have; with none in common
    it is new.
    """
    origins = {name: _origin(name, spec, source, renew) for name, spec in target.tensors.items()}
    taken = {origin.tensor for origin in origins.values() if origin.kind in ("loaded", "sliced")}
    return origins, tuple((0, name) for name in source.tensors if name not in taken)


def _origin(name: str, spec: TensorSpec, source: NetworkSpec, renew: Callable[[TensorSpec], bool]) -> Origin:
    there = source.tensors.get(name)
    if there is None or renew(spec):
        return NEW
    if spec.keypoint_axis == there.keypoint_axis:
        return Origin("loaded", tensor=name)
    here_names = spec.keypoint_axis.keypoints if spec.keypoint_axis else ()
    there_names = there.keypoint_axis.keypoints if there.keypoint_axis else ()
    shared = tuple(keypoint for keypoint in here_names if keypoint in there_names)
    return Origin("sliced", tensor=name, keypoints=shared) if shared else NEW
