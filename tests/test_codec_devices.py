"""Codecs compute where their tensors are: tried on the ``meta`` device, on which a tensor of the CPU is a mistake."""

import pytest
import torch

from kpcore.registry import registry

META = torch.device("meta")
OPTIONS = [
    ("heatmap", {}),
    ("heatmap", {"loss": "cross_entropy", "decode": "dark"}),
    ("heatmap", {"decode": "argmax", "subpixel": False, "patch": 7, "unlabelled": "zero"}),
    ("volumetric", {"depth_bins": 4}),
    ("volumetric", {"depth_bins": 4, "loss": "cross_entropy", "decode": "local"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_a_codec_computes_on_the_tensors_device(name, options):
    codec = registry().build("codec", name, options, where="test")
    points = torch.empty(2, 3, codec.dims, device=META)
    state = torch.empty(2, 3, dtype=torch.uint8, device=META)
    targets = codec.encode(points, state, (8, 10), 4)
    prediction = torch.empty(2, codec.channels(3), 8, 10, device=META)
    loss = codec.loss(prediction, targets)
    found, confidence = codec.decode(prediction, 4)
    assert (loss.device, found.device, confidence.device) == (META, META, META)
    assert (loss.shape, found.shape, confidence.shape) == ((), (2, 3, codec.dims), (2, 3))
    assert codec.merge(prediction, prediction).shape == prediction.shape
