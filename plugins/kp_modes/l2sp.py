"""L2-SP: transfer learning that is pulled back to where it started from.

Source: Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks" (ICML
2018), section 3.1: alpha / 2 * |w_S - w0_S|^2 + beta / 2 * |w_new|^2. Their defaults are alpha = 0.1 and beta = 0.01,
and as in their code weights are counted, biases and the scales and shifts of norms are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from kp_modes.growth import grow_reset
from kpcore.interfaces import ComponentConfig, TransferStrategy
from kpcore.keypoints import KeypointSplit
from kpcore.plans import NetworkSpec, TransferPlan


class L2SP(TransferStrategy):
    """Carry the source's stages over as ``transfer`` does (heads reset), with a loss on the way they go.

    The defaults are made for a loss of the size of a cross-entropy. The mean squared error of heatmaps is hundreds of
    times smaller and wants options as much smaller.

    Args:
        alpha: pull of what was loaded towards the source's weights.
        beta: pull of what is new towards zero.
    """

    class Config(ComponentConfig):
        """Options; the defaults are the authors'."""

        alpha: float = Field(default=0.1, ge=0, description="pull of loaded weights towards the source's")
        beta: float = Field(default=0.01, ge=0, description="pull of new weights towards zero")

    def __init__(self, *, alpha: float, beta: float) -> None:
        self.alpha = alpha
        self.beta = beta

    @property
    def summary(self) -> str:
        """What tables call it."""
        return "L2-SP"

    def plan(
        self, split: KeypointSplit, step: int, target: NetworkSpec, sources: Sequence[NetworkSpec]
    ) -> TransferPlan:
        """All of the source is loaded but its heads; everything trains; the source stays by as the reference."""
        origins, dropped = grow_reset(target, sources[0])
        weights = [name for name, spec in target.tensors.items() if spec.trainable and len(spec.shape) > 1]
        loaded = {name: origins[name].tensor for name in weights if origins[name].kind == "loaded"}
        new = tuple(name for name in weights if name not in loaded)
        pull = Pull(self.alpha, self.beta, loaded, new)
        return TransferPlan(
            origins, supervision=target.layout.heads, dropped=dropped, extra_loss=pull, teacher=True
        )  # fmt: skip


@dataclass(frozen=True)
class Pull:
    """The extra loss.

    Args:
        alpha: as above.
        beta: as above.
        loaded: weight of the target -> that of the source which it came from.
        new: the other weights.
    """

    alpha: float
    beta: float
    loaded: Mapping[str, str]
    new: tuple[str, ...]

    def __call__(self, outputs: Sequence[Tensor], batch: Any, network: nn.Module, teacher: nn.Module) -> Tensor:
        """Return the scalar; all on the device, in a handful of kernels."""
        ours: Mapping[str, Tensor] = dict(network.named_parameters())
        theirs: Mapping[str, Tensor] = dict(teacher.named_parameters())
        kept, start = [ours[name] for name in self.loaded], [theirs[name] for name in self.loaded.values()]
        away = torch._foreach_sub(kept, start)
        return (self.alpha * _squares(away) + self.beta * _squares([ours[name] for name in self.new])) / 2


def _squares(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of all squares."""
    return torch.stack(torch._foreach_norm(list(tensors))).square().sum()
