"""Averaged weights: what is validated, scored and saved instead of the last step's, where ``training.average`` says so.

A high learning rate leaves the weights jumping around a good place (decision 22); their running mean is nearer (Polyak
& Juditsky, "Acceleration of stochastic approximation by averaging", 1992; Izmailov et al., "Averaging weights leads to
wider optima and better generalization", 2018).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from kpcore import config
from kpcore.network import Network


class Average:
    """What a network is validated, scored and saved as. This one: as the last step left it."""

    def start_epoch(self, frozen: Collection[str]) -> None:
        """Take note of the units that are frozen in the epoch that begins."""

    def update(self, iterations: int) -> None:
        """Take the weights in, after so many iterations of the job; nothing here waits for the device."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the network hold the average; it is given its own weights back, to the bit, where the block is left."""
        yield

    def keep(self) -> None:
        """Leave the network with the average for good."""

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint needs."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint."""


class MovingAverage(Average):
    """The exponential moving average of the parameters, free of the bias towards where it began.

    After t steps the weight of the step t - i is proportional to ``decay ** i``, and all of them sum to 1: the first
    update takes the weights as they are (Kingma & Ba, "Adam", 2015, section 3, for the same correction of a mean).

    Frozen units are left out of it: they are not touched at all. A unit that thaws is averaged from then on as if it
    had been before, since the average of what does not change is itself.

    Args:
        network: whose parameters are averaged. BatchNorm's statistics are not: see decision 22.
        decay: of a step's weight with every step after it.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.means: dict[str, Tensor] = {}
        self._pairs: tuple[list[Tensor], list[Tensor]] = ([], [])  # parameters and their means

    def start_epoch(self, frozen: Collection[str]) -> None:
        """Begin to average what trains from this epoch on."""
        for name, parameter in self.network.named_parameters():
            if name.partition(".")[0] not in frozen and name not in self.means:
                self.means[name] = parameter.detach().clone()
        parameters = dict(self.network.named_parameters())
        self._pairs = [parameters[name].detach() for name in self.means], list(self.means.values())

    def update(self, iterations: int) -> None:
        """Move the means towards the parameters, by 1 at the first iteration and by 1 - decay in the long run."""
        now, means = self._pairs
        torch._foreach_lerp_(means, now, (1 - self.decay) / (1 - self.decay**iterations))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the network hold the means within the block."""
        now, _ = self._pairs
        own = [parameter.clone() for parameter in now]
        self.keep()
        try:
            yield
        finally:
            torch._foreach_copy_(now, own)

    def keep(self) -> None:
        """Copy the means into the network."""
        torch._foreach_copy_(*self._pairs)

    def state(self) -> dict[str, Tensor]:
        """Return the means by the parameters' names."""
        return dict(self.means)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take the means of a checkpoint; the epochs before it have been started."""
        for name, mean in self.means.items():
            mean.copy_(state[name])


def make_average(settings: config.Average, network: Network) -> Average:
    """Return what ``[training.average]`` asks for."""
    return MovingAverage(network, settings.decay) if isinstance(settings, config.MovingAverage) else Average()
