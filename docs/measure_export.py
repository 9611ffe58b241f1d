"""Exported networks beside PyTorch: how far their points are apart, and the ratio of their seconds on one thread.

Called through ``python docs/measure.py export [NAME ...]``: networks with random weights (all, or those whose names
begin so: hourglasses with every codec, one network of each of timm's families) on made-up crops.
``export MODEL PICTURES``: a trained network on crops of the pictures.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from kpcore.cores import cores
from kpcore.errors import KpError
from kpcore.interfaces import Codec
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.network import build_network
from kpcore.plans import Layout
from kpcore.registry import registry
from kpcore.tensors import ImageArray
from kpcore.trained.agreeing import agreement, made_up
from kpcore.trained.cropping import input_of
from kpcore.trained.exporting import Exporting, export
from kpcore.trained.framing import whole
from kpcore.trained.model import Component, Model, Score, heads_of, load_model, metadata
from kpcore.trained.onnx_engine import OnnxEngine, images_of, onnx_engine
from kpcore.trained.opening import open_model
from kpcore.trained.pictures import sources
from kpcore.trained.predictor import Predictor
from kpcore.training.device import Device
from kpcore.training.process import set_up_process

CROPS = 100
LARGE = ({"channels": 64, "depth": 4}, 128)
"""The hourglass of examples' small profiles, two stacks, at their resolution."""
CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "heatmap, quarter": ("heatmap", {"decode": "quarter"}),
    "heatmap, quarter, softmax": ("heatmap", {"decode": "quarter", "loss": "cross_entropy"}),
    "heatmap, dark": ("heatmap", {"decode": "dark"}),
    "heatmap, dark, softmax": ("heatmap", {"decode": "dark", "loss": "cross_entropy"}),
    "heatmap, argmax": ("heatmap", {"decode": "argmax"}),
    "volumetric, soft_argmax": ("volumetric", {"depth_bins": 16}),
    "volumetric, local": ("volumetric", {"depth_bins": 16, "decode": "local"}),
}
TIMM = (
    "resnet18", "resnet50", "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "hrnet_w18_small", "convnext_atto",
    "efficientnet_b0", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "regnetx_002", "tiny_vit_5m_224",
    "edgenext_xx_small",
)  # fmt: skip
"""Those of tests/test_kp_timm.py."""
NAMES = [Keypoint(f"{side}_{part}", f"{'rl'[side == 'r']}_{part}") for part in "abcd" for side in "rl"]
Case = tuple[str, str, dict[str, Any], tuple[str, dict[str, Any]], int]
"""What it is called, the backbone's name and options, the codec's, and the input's side."""


def main(*words: str) -> None:
    """Print a line a network."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one thread for both, whose processor time is compared
    set_up_process(Device(torch.device("cpu"), "fp32", cores()))
    with tempfile.TemporaryDirectory() as folder:
        if words and Path(words[0]).is_dir():
            model, pictures = words
            crops = crops_of(pictures, open_model(model).card.model.resolution)
            told(Path(model).name, model, Path(folder), crops)
            return
        for case in cases(words):
            name, side = case[0], case[-1]
            told(name, str(random_network(case, Path(folder))), Path(folder), made_up(CROPS, side))


def cases(names: Sequence[str]) -> Iterator[Case]:
    """Yield the networks with random weights whose names begin so: hourglasses with every codec, timm's families."""
    wanted = tuple(names) or ("",)
    options, side = LARGE
    hourglasses: list[Case] = [
        *(
            (f"hourglass, {name}", "hourglass", {"channels": 16, "depth": 1}, codec, 64)
            for name, codec in CODECS.items()
        ),
        (f"hourglass, {side} px", "hourglass", options, CODECS["heatmap, dark, softmax"], side),
    ]
    yield from (case for case in hourglasses if case[0].startswith(wanted))
    for model in (model for model in TIMM if f"timm, {model}".startswith(wanted)):
        options, side = fitting(model)
        yield f"timm, {model}", "timm", options, CODECS["heatmap, dark, softmax"], side


def fitting(model: str) -> tuple[dict[str, Any], int]:
    """Return options and the smallest side from 64 px on that a network of timm takes."""
    for side in range(64, 512, 16):
        for sized in ({}, {"size": side}):
            options = {"model": model, "channels": 64, "neck": "fpn", **sized}
            try:
                if registry().build("backbone", "timm", options, where=model).check_size(side, side) is None:
                    return options, side
            except KpError:
                continue
    raise SystemExit(f"{model} takes no side")


def random_network(case: Case, folder: Path) -> Path:
    """Write a network of random weights that explains itself."""
    name, kind, options, (coding, coded), side = case
    known = registry()
    backbone, codec = known.build("backbone", kind, options, where=name), known.build("codec", coding, coded, where="")
    assert isinstance(codec, Codec)
    skeleton = Skeleton("s", tuple(NAMES), (), codec.dims)
    layout = Layout((skeleton.select(skeleton.names),) * 2)
    network = build_network(backbone, codec, layout, seed=0, resolution=side)
    parts = [
        Component(name=one, options=how, plugin="", package="", version="", code="")
        for one, how in ((kind, options), (coding, coded))
    ]
    skeletons, heads = heads_of(layout)
    model = Model(
        backbone=parts[0], codec=parts[1], skeletons=skeletons, heads=heads, trained_on=(), resolution=side,
        stride=backbone.stride, mean=backbone.mean, std=backbone.std, data="random weights", job="",
        score=Score(value=None, convention="", higher_is_better=True, people=0),
    )  # fmt: skip
    path = folder / f"{name.replace(', ', '-')}.safetensors"
    save_file(network.state_dict(), path, metadata(model))
    return path


def crops_of(pictures: str, side: int) -> ImageArray:
    """Return the first whole pictures as crops (N, side, side, 3)."""
    found = islice((one for source in sources([pictures]) for one in source.pictures()), CROPS)
    from kpcore.reading.images import decode_image

    images = [decode_image(one.path) if one.pixels is None else one.pixels for one in found]
    return np.stack([input_of(image, whole(image.shape[1], image.shape[0]), side, "")[0] for image in images])


def told(name: str, model: str, folder: Path, crops: ImageArray) -> None:
    """Export a network and print how far it is from PyTorch on these crops, and their seconds."""
    started, out = time.process_time(), folder / f"{Path(model).stem}.onnx"
    try:
        export(model, out, Exporting("onnx", limit=float("inf")), registry())
    except KpError as error:
        print(f"{name}: {error}", flush=True)
        return
    seconds = time.process_time() - started
    trained = load_model(open_model(model).weights, registry())
    device = Device(torch.device("cpu"), "fp32", cores())
    predictor = Predictor(trained.network, trained.backbone, trained.codec, device, False)
    engine = onnx_engine(out, "cpu", flip_test=False, changed=False)
    found = agreement(engine.images, predictor, crops)
    size = f"{crops.shape[1]} px, {out.stat().st_size / 1e6:.1f} MB"
    print(
        f"{name} ({size}, written in {seconds:.0f} s of processor time): {found.pixels:.2g} px"
        f" over {found.steady} of {found.points} points on {len(crops)} crops, confidence {found.confidence:.2g};"
        f" PyTorch / onnxruntime {ratios(predictor, engine, crops)}",
        flush=True,
    )


def ratios(predictor: Predictor, engine: OnnxEngine, crops: ImageArray) -> str:
    """Return PyTorch's seconds over onnxruntime's, with batches of 1 and of 32."""
    texts = []
    for count in (1, 32):
        some, images = crops[:count], images_of(crops[:count])
        ours, theirs = in_turns(lambda s=some: predictor.crops(torch.from_numpy(s)), lambda i=images: engine.images(i))
        texts.append(f"{ours / theirs:.2f} (batch {count}: {1e3 * theirs / count:.1f} ms a crop)")
    return ", ".join(texts)


def in_turns(*works: Callable[[], object], rounds: int = 7) -> list[float]:
    """Return the median seconds of processor time of each, one after the other in every round, the first two left out.

    With one thread that is what they take on a machine with nothing else to do.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 2):
        for place, work in enumerate(works):
            started = time.process_time()
            work()
            seconds[place].append(time.process_time() - started)
    return [median(some[2:]) for some in seconds]


if __name__ == "__main__":
    main(*sys.argv[1:])
