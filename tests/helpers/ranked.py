"""Trains every job of a study, one after the other, in the processes that ``torchrun`` has started; else in one.

``python ranked.py STUDY [KEY=VALUE ...]``, on ``RANKED_DEVICE`` (cpu). It is a plugin too, of a backbone without
BatchNorm.
"""

import os
import sys
from pathlib import Path

import torch
from torch import nn

from kpcore import hookimpl
from kpcore.interfaces import Backbone, ComponentConfig

CHANNELS = 8


class Block(nn.Module):
    """A residual convolution."""

    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, x):
        return x + torch.tanh(self.look(x))


class Plain(Backbone):
    """Convolutions, and no statistics of batches."""

    class Config(ComponentConfig):
        """No options."""

    stride = 4
    channels = CHANNELS

    def check_size(self, height, width):
        return "multiples of 4 pixels" if height % 4 or width % 4 else None

    def stem(self):
        return nn.Sequential(nn.Conv2d(3, CHANNELS, 7, stride=4, padding=3), nn.Tanh())

    def stage(self, index):
        return Block()


@hookimpl
def kp_backbones():
    return {"plain": Plain}


def main(file, *sets):
    from kpcore.cli.single import launched
    from kpcore.cli.together import Nobody
    from kpcore.registry import registry
    from kpcore.study.opening import open_study
    from kpcore.study.planning import plan_study
    from kpcore.study.protocol import follow, run_job
    from kpcore.study.workshop import open_workshop
    from kpcore.training.device import Device
    from kpcore.training.launched import leave, meet, own_device
    from kpcore.training.process import set_up_process
    from kpcore.training.ranks import Ranks

    kind = os.environ.get("RANKED_DEVICE", "cpu")
    name = own_device(kind) if launched() else kind
    device = Device(torch.device(name), "fp32", 1, ranks := meet(name) if launched() else Ranks())
    set_up_process(device)
    study = open_study(registry(), Path(file), sets=sets, notice=lambda line: None)
    plan = plan_study(study, device)
    assert not plan.refused, plan.refused
    shop = open_workshop(study, device, {name for job in plan.jobs for name in job.datasets}, notice=lambda line: None)
    for job in plan.jobs:
        (run_job if ranks.first else follow)(job, shop, Nobody())
        ranks.everyone(None)
    if ranks.count > 1:
        leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
