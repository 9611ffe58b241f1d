"""Inputs that another program prepared in another way: the first convolution takes that up, exactly or not at all."""

from __future__ import annotations

from torch import Tensor

from kpcore.errors import KpError
from kpcore.interfaces import Backbone
from kpcore.trained.importing.rules import InputRules

TINY = 1e-6
RGB = (0, 1, 2)


def fit_input(state: dict[str, Tensor], rules: InputRules, backbone: Backbone, where: str) -> str:
    """Change the first convolution of a state, in place, so that it takes our inputs for the file's.

    Ours are y = (x - m) / s of RGB x in [0, 1], the file's y' = (white x - m') / s', so y' = a y + b per colour with
    a = white s / s' and b = (white m - m') / s'. A factor a goes into the weights of its colour. A shift b cannot: the
    convolution pads with zeros, which mean another colour there.

    Returns:
        What was done, in words; "" where nothing differs.

    Raises:
        KpError: a shift, or the rules do not name the convolution.
    """
    order = RGB if rules.order == "rgb" else tuple(reversed(RGB))
    factors, shifts = _differences(rules, backbone, order)
    if max(map(abs, shifts)) > TINY:
        raise KpError(
            f"{where}: input: black here is {_told(shifts)} there, since mean is {list(backbone.mean)} here and"
            f" {rules.mean} of white {rules.white:g} there; no convolution that pads with zeros can take that"
            " up; take a backbone of that mean"
        )
    if order == RGB and all(abs(factor - 1) <= TINY for factor in factors):
        return ""
    name = rules.convolution
    if name not in state or state[name].ndim != 4 or state[name].shape[1] != len(RGB):
        raise KpError(
            f"{where}: input.convolution = '{name}' is no convolution of three colours that is imported, and the file's"
            f" network takes {rules.order} times {_told(factors)}; name the first convolution's weight"
        )
    weights = state[name][:, list(order)]
    state[name] = weights * weights.new_tensor(factors)[None, :, None, None]
    return f"the first convolution takes up colours as {rules.order} and factors {_told(factors)}"


def _differences(rules: InputRules, backbone: Backbone, order: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Return factor and shift of every colour, red first."""
    if isinstance(rules.mean, str) or isinstance(rules.std, str):
        if rules.mean != rules.std or rules.white != 1:
            raise KpError('rules: input: mean and std are both "backbone", with white = 1, or neither')
        return [1.0] * 3, [0.0] * 3
    theirs = [(rules.mean[place], rules.std[place]) for place in order]
    pairs = list(zip(backbone.mean, backbone.std, theirs, strict=True))
    factors = [rules.white * std / their_std for _, std, (_, their_std) in pairs]
    return factors, [(rules.white * mean - their_mean) / their_std for mean, _, (their_mean, their_std) in pairs]


def _told(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in dict.fromkeys(values))
