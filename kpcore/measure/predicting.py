"""How much of a network's speed ``kp predict`` keeps: reading, cropping and writing, against the network alone."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from kpcore.cores import cores
from kpcore.interfaces import About
from kpcore.measure.timing import kinds
from kpcore.samples import Sample
from kpcore.study.protocol import place
from kpcore.study.study import Study
from kpcore.trained.boxes import Box, Boxes
from kpcore.trained.engine import NetworkEngine
from kpcore.trained.framing import Crop, Framing
from kpcore.trained.pictures import Picture
from kpcore.trained.predicting import How, predict
from kpcore.trained.predictor import Predictor
from kpcore.trained.writing import Sinks
from kpcore.training.device import Device
from kpcore.training.process import set_up_process

FORMAT = "csv"
SECONDS = 2.0
"""That a round takes at least of the network alone, so that the first batch, which it waits for, counts for little."""
BATCHES = 2
"""At least, in a round."""
FIRST = 4
"""Crops before the first round: what is loaded at the first picture is none of a picture's cost."""


class Workbench:
    """The network that a study trains last, with initial weights, and pictures of the people that are scored.

    Args:
        study: its data, its network at its resolution.
        device: where it runs; on a CPU with all cores, as ``kp predict`` does.
    """

    def __init__(self, study: Study, device: Device) -> None:
        *_, last = kinds(study, device).values()
        network = place(study.network(last.layout, seed=0), device.torch).eval().requires_grad_(False)
        self.predictor = Predictor(network, study.backbone, study.codec, device, flip_test=False)
        self.engine = NetworkEngine(self.predictor, study.config.training.resolution, Framing())
        self.samples = study.scored.valid.samples
        self.writer = study.known.build("writer", FORMAT, {}, where="kp bench")
        self._inputs = torch.rand(How().batch_size, 3, self.engine.resolution, self.engine.resolution).to(device.torch)

    def network(self, batches: int) -> float:
        """Return the seconds of that many batches that are at hand, through the network alone."""
        started = time.perf_counter()
        for _ in range(batches):
            self.predictor.maps(self._inputs)
        self.predictor.device.synchronize()
        return time.perf_counter() - started

    def whole(self, crops: int) -> float:
        """Return the seconds of that many crops, each of a picture of its own, from files to a file."""
        pictures = list(self._pictures(crops))
        boxes = {picture.name: (box,) for picture, box in pictures}
        how = How(boxes=Boxes(Path("kp bench"), boxes))
        about = About(self.engine.keypoints, "kp bench", pictures=len(pictures))
        with tempfile.TemporaryDirectory(prefix="kp-bench-") as folder:
            started = time.perf_counter()
            with Sinks({FORMAT: self.writer}, Path(folder), about) as sinks:
                for found in predict((picture for picture, _ in pictures), self.engine, how):
                    sinks.add(found)
                sinks.finish()
            return time.perf_counter() - started

    def _pictures(self, count: int) -> Iterator[tuple[Picture, Box]]:
        """Yield that many pictures with the crop of a person; people come again where there are fewer."""
        for number, sample in enumerate(islice(cycle(self.samples), count)):
            x, y = sample.centre.tolist()
            yield picture_of(sample, str(number)), Box(None, Crop(x, y, sample.side))


def picture_of(sample: Sample, name: str) -> Picture:
    """Return a sample's picture, which is read when its turn comes."""
    if isinstance(sample.image, Path):
        return Picture(name, sample.image)
    return Picture(name, Path(name), pixels=sample.image)


def predicting(study: Study, device: Device, rounds: int) -> dict[str, Any]:
    """Time both in turns; the ratio is the median of the rounds', so that a noisy machine is noisy to both alike.

    Returns:
        Crops a second ``alone`` and by the ``whole`` of ``kp predict``, medians; their ``ratio``; how many crops a
        round has, at which resolution and precision.
    """
    where = replace(device, threads=cores()) if device.torch.type == "cpu" else device
    set_up_process(where)
    try:
        bench = Workbench(study, where)
        bench.network(1)
        bench.whole(FIRST)
        batches = max(BATCHES, math.ceil(SECONDS / bench.network(1)))
        crops = batches * How().batch_size
        times = [(bench.network(batches), bench.whole(crops)) for _ in range(rounds)]
    finally:
        set_up_process(device)
    return {
        "crops": crops,
        "resolution": bench.engine.resolution,
        "precision": where.precision,
        "alone": crops / median(alone for alone, _ in times),
        "whole": crops / median(whole for _, whole in times),
        "ratio": median(alone / whole for alone, whole in times),
    }
