"""A codec whose maps do not mirror is refused where images are mirrored."""

import pytest
import torch
from kp_heatmap.codec import GaussianHeatmap

from kpcore.errors import ContractError
from kpcore.interfaces import Codec
from kpcore.interfaces.codec import Targets
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry
from kpcore.study.mirror_probe import probe_mirroring

PAIR = Skeleton("pair", (Keypoint("nose"), Keypoint("l_eye", "r_eye"), Keypoint("r_eye", "l_eye"))).all()
BODY = Skeleton("body", PAIR.skeleton.keypoints, dims=3).all()
SIZE, STRIDE = (16, 24), 4


class Places(Codec):
    """Two channels a keypoint that hold its x and y, as shares of the input, everywhere."""

    dims = property(lambda self: 2)
    width = property(lambda self: 2)

    def encode(self, points, state, size, stride):
        extent = torch.tensor([size[1] * stride - 1, size[0] * stride - 1])
        shares = (points / extent).flatten(1)
        return Targets(shares[..., None, None].expand(*shares.shape, *size), (state > 0).float())

    def loss(self, prediction, targets):
        return (prediction - targets.maps).abs().mean()

    def decode(self, prediction, stride):
        extent = torch.tensor([prediction.shape[3] * stride - 1, prediction.shape[2] * stride - 1])
        shares = prediction.mean((2, 3)).unflatten(1, (-1, 2))
        return shares * extent, torch.ones(shares.shape[:2])


class Mirrored(Places):
    """The same, which mirrors what it is given back."""

    def merge(self, prediction, flipped):
        flipped = flipped.clone()
        flipped[:, ::2] = 1 - flipped[:, ::2]
        return (prediction + flipped) / 2


class Numbers(Places):
    """Places whose targets are numbers, no maps: what a network should predict is found by the loss."""

    def encode(self, points, state, size, stride):
        full = super().encode(points, state, size, stride)
        return Targets(full.maps[..., 0, 0], full.weights)

    def loss(self, prediction, targets):
        return (prediction.mean((2, 3)) - targets.maps).abs().mean()


class Turned(Numbers):
    """The same, which mirrors."""

    merge = Mirrored.merge


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_coordinates_that_are_not_mirrored_are_refused_with_what_to_do():
    with pytest.raises(ContractError, match=r"merge\(\): .* px from where .*override merge\(\).*flip_test = false"):
        probe_mirroring(Places(), PAIR, SIZE, STRIDE)
    probe_mirroring(Mirrored(), PAIR, SIZE, STRIDE)


def test_targets_that_are_no_prediction_are_fitted(monkeypatch):
    monkeypatch.setattr("kpcore.study.mirror_probe.RATE", 0.1)
    with pytest.raises(ContractError, match=r"merge\(\)"):
        probe_mirroring(Numbers(), PAIR, SIZE, STRIDE)
    probe_mirroring(Turned(), PAIR, SIZE, STRIDE)


@pytest.mark.parametrize("options", [{}, {"loss": "cross_entropy"}, {"decode": "dark"}, {"patch": 7}])
def test_heatmaps_mirror(options):
    codec = GaussianHeatmap(**GaussianHeatmap.Config(**options).model_dump())
    for keypoints in (PAIR, PAIR.skeleton.select(["nose"])):
        probe_mirroring(codec, keypoints, SIZE, STRIDE)


def test_volumes_mirror():
    probe_mirroring(registry().build("codec", "volumetric", {"depth_bins": 8}, where="here"), BODY, SIZE, STRIDE)


def test_a_codec_that_exchanges_nothing_is_refused():
    class Kept(GaussianHeatmap):
        def merge(self, prediction, flipped):
            return flipped.flip(3)

    with pytest.raises(ContractError, match=r"merge\(\)"):
        probe_mirroring(Kept(**GaussianHeatmap.Config().model_dump()), PAIR, SIZE, STRIDE)
