"""Muon: momentum whose matrices are made orthogonal before they are applied; AdamW for everything that is no matrix.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). torch's own takes plain matrices only
and one at a time; here a convolution's weights are a matrix, outputs by inputs, and equal shapes share one product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

FUSED = ("cpu", "cuda")
"""Devices on which torch has one kernel for AdamW; several hundred small tensors one by one cost more than it."""
STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration (Jordan et al.): singular values end within about 0.7 to 1.2."""
FEWEST_INPUTS = 4
"""Filters that see fewer channels (the image's three, a depthwise one's single) are no matrices worth the name."""


def is_matrix(unit: str, weight: Tensor) -> bool:
    """Whether Muon takes a parameter: weights of hidden layers; not heads, nor what sees the image."""
    return weight.ndim > 1 and not unit.startswith("head") and weight.shape[1] >= FEWEST_INPUTS


class Muon(torch.optim.Optimizer):
    """Muon for groups that are marked ``matrices``, AdamW for the others.

    Args:
        groups: with ``lr``, ``weight_decay`` and ``matrices``.
        momentum: of Muon, Nesterov's.
        eps: of AdamW.
        dtype: of the products that orthogonalise; bfloat16 is enough where the chip is fast at it.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], *, momentum: float, eps: float, dtype: torch.dtype) -> None:
        self.momentum = momentum
        self.eps = eps
        self.dtype = dtype
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take a step; parameters without a gradient stay as they are."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            (self._matrices if group["matrices"] else self._others)(parameters, group)

    def _matrices(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, ...], list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
        for same in by_shape.values():
            averages = [self._average(parameter, "average") for parameter in same]
            gradients = gradients_of(same)
            torch._foreach_lerp_(averages, gradients, 1 - self.momentum)
            ahead = torch._foreach_lerp(gradients, averages, self.momentum)  # Nesterov
            updates = orthogonal(torch.stack([update.flatten(1) for update in ahead]), self.dtype)
            scale = max(1.0, updates.shape[1] / updates.shape[2]) ** 0.5
            torch._foreach_mul_(same, 1 - group["lr"] * group["weight_decay"])
            shaped = [update.view(same[0].shape) for update in updates.unbind()]
            torch._foreach_add_(same, shaped, alpha=-group["lr"] * scale)

    def _others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        for parameter in parameters:
            if "step" not in self.state[parameter]:
                self.state[parameter]["step"] = torch.zeros((), device=parameter.device)
        adamw(
            parameters,
            gradients_of(parameters),
            [self._average(parameter, "average") for parameter in parameters],
            [self._average(parameter, "square") for parameter in parameters],
            [],
            [self.state[parameter]["step"] for parameter in parameters],
            fused=parameters[0].device.type in FUSED,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=self.eps,
            maximize=False,
        )

    def _average(self, parameter: Tensor, name: str) -> Tensor:
        state: dict[str, Tensor] = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter)
        return state[name]


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients of those that have one."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def orthogonal(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the nearest orthogonal matrices, about: singular vectors as they are, singular values near 1.

    Args:
        matrices: (N, rows, columns) float32.
        dtype: of the products.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    x = (matrices if wide else matrices.mT).to(dtype)
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    result: Tensor = (x if wide else x.mT).float().contiguous()
    return result
