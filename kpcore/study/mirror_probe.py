"""A codec tried on a mirrored image: what the flip test makes of two predictions decodes to where one of them does.

No type tells that: the core turns a map along w and exchanges partners' channels, which mirrors a map that says what is
where. A map that holds coordinates or offsets along x has to be mirrored by the codec's own ``merge``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kpcore.errors import ContractError
from kpcore.interfaces import Codec
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import KeypointSet
from kpcore.tensors import VISIBLE
from kpcore.trained.predictor import unmirror

STEPS = 20
"""Of gradient descent, where targets are no prediction themselves."""
RATE = 1.0
PEOPLE, SMALL = 4, 16
"""Who is tried, and the side of the map for one of them where descent is needed: it is dear."""


def probe_mirroring(codec: Codec, keypoints: KeypointSet, size: tuple[int, int], stride: int) -> None:
    """Encode points and the mirrored points, merge both as predictions, and decode.

    What the codec's own loss does not lead to within ``STEPS`` is not judged.

    Args:
        codec: any.
        keypoints: whose mirror partners are exchanged; one pair of them is tried, or the first alone.
        size: (h, w) of a prediction.
        stride: input pixels per prediction pixel.

    Raises:
        ContractError: the merged prediction decodes more than a prediction pixel away along an axis.
    """
    pair = keypoints.skeleton.select(_some(keypoints))
    tried = codec.encode(torch.zeros(1, len(pair), codec.dims), torch.full((1, len(pair)), VISIBLE), size, stride)
    drawn = tried.maps.shape == (1, codec.channels(len(pair)), *size)
    people, size = (PEOPLE, size) if drawn else (1, (min(size[0], SMALL), min(size[1], SMALL)))
    extent = torch.tensor([size[1] * stride, size[0] * stride, *[0] * (codec.dims - 2)], dtype=torch.float32)
    points = (0.2 + 0.6 * torch.rand(people, len(pair), codec.dims)) * extent
    mirrored = points[:, list(pair.flip_permutation)].clone()
    mirrored[..., 0] = extent[0] - 1 - mirrored[..., 0]
    plain, other = (_prediction(codec, those, size, stride) for those in (points, mirrored))
    alone, reflected = codec.decode(plain, stride)[0], codec.decode(other, stride)[0]
    if _off(alone, points) > 2 * stride or _off(reflected, mirrored) > 2 * stride:
        return
    off = _off(codec.decode(codec.merge(plain, unmirror(other, pair, codec)), stride)[0], alone)
    if off > 1.01 * stride:
        raise ContractError(
            codec,
            "merge()",
            f"with the mirrored image's prediction, points decode {off:.3g} px from where they are"
            f" without it, expected within a prediction pixel ({stride} px): override merge(), which mirrors what the"
            " maps hold along x, or set training.augmentation.flip = 0 and evaluation.flip_test = false",
        )


def _some(keypoints: KeypointSet) -> list[str]:
    """Return a mirror pair, or the first keypoint where there is none."""
    for name in keypoints.names:
        partner = keypoints.skeleton[name].mirror
        if partner is not None and partner in keypoints:
            return [name, partner]
    return [keypoints.names[0]]


def _off(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max())


def _prediction(codec: Codec, points: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Return what a perfect network would predict: the targets, where they are such; else what the loss leads to."""
    state = torch.full(points.shape[:2], VISIBLE, dtype=torch.uint8)
    targets = codec.encode(points, state, size, stride)
    shape = (len(points), codec.channels(points.shape[1]), *size)
    return targets.maps.float() if targets.maps.shape == shape else _fitted(codec, targets, shape)


def _fitted(codec: Codec, targets: Targets, shape: tuple[int, ...]) -> Tensor:
    prediction = torch.zeros(shape, requires_grad=True)
    optimiser = torch.optim.Adam([prediction], lr=RATE)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        optimiser.zero_grad()
        codec.loss(prediction, targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return prediction.detach()
