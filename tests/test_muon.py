"""Muon: what it takes, what it leaves to AdamW, and what its step is."""

import pytest
import torch
from torch import nn

from kpcore.training.muon import Muon, is_matrix, orthogonal


def groups(*parameters, lr=0.1, matrices=True, decay=0.0):
    return [{"params": list(parameters), "lr": lr, "weight_decay": decay, "matrices": matrices}]


def parameter(*shape, seed=0):
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    made = nn.Parameter(tensor)
    made.grad = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 100))
    return made


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (4, 16, 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_orthogonal_keeps_singular_vectors_and_brings_values_near_one(shape, dtype):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    result = orthogonal(matrices, dtype)
    assert result.dtype == torch.float32
    assert result.shape == matrices.shape
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    inside = left.mT @ result @ right.mT  # diagonal where the singular vectors are kept
    diagonal = inside.diagonal(dim1=1, dim2=2)
    assert diagonal.min() > 0.5
    assert diagonal.max() < 1.35
    rest = inside - torch.diag_embed(diagonal)
    assert rest.abs().max() < (0.02 if dtype is torch.float32 else 0.1)
    del values


def test_equal_shapes_share_a_product_and_stay_apart():
    alone = parameter(8, 12, seed=1)
    Muon(groups(alone), momentum=0.9, eps=1e-8, dtype=torch.float32).step()
    first, second = parameter(8, 12, seed=1), parameter(8, 12, seed=2)
    Muon(groups(first, second), momentum=0.9, eps=1e-8, dtype=torch.float32).step()
    torch.testing.assert_close(first, alone)
    assert not torch.allclose(first, second)


def test_a_convolution_is_a_matrix_of_outputs_by_inputs():
    flat = parameter(8, 36)
    bank = nn.Parameter(flat.detach().clone().view(8, 4, 3, 3).to(memory_format=torch.channels_last))
    bank.grad = flat.grad.view(8, 4, 3, 3).to(memory_format=torch.channels_last)
    for one in (flat, bank):
        Muon(groups(one), momentum=0.9, eps=1e-8, dtype=torch.float32).step()
    torch.testing.assert_close(bank.reshape(8, 36), flat)


def test_the_first_step_is_the_orthogonal_gradient_times_the_rate():
    one = parameter(6, 30)
    before, gradient = one.detach().clone(), one.grad.clone()
    Muon(groups(one, lr=0.2, decay=0.5), momentum=0.9, eps=1e-8, dtype=torch.float32).step()
    expected = before * (1 - 0.2 * 0.5) - 0.2 * orthogonal(gradient[None], torch.float32)[0]
    torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shape", "scale"), [((6, 30), 1.0), ((6, 6), 1.0), ((32, 8), 2.0)])
def test_momentum_is_nesterovs_and_tall_matrices_take_longer_steps(shape, scale):
    """Jordan et al.: update = orthogonal(lerp(gradient, average, momentum)) times sqrt(max(1, rows / columns))."""
    one = parameter(*shape)
    optimizer = Muon(groups(one, lr=0.2), momentum=0.9, eps=1e-8, dtype=torch.float32)
    expected, average = one.detach().clone(), torch.zeros(shape)
    for seed in range(3):
        one.grad = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        average = 0.9 * average + 0.1 * one.grad
        update = 0.1 * one.grad + 0.9 * average
        expected -= 0.2 * scale * orthogonal(update[None], torch.float32)[0]
        optimizer.step()
    torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-4)


def test_others_take_adamw_steps():
    mine, theirs = parameter(7), parameter(7)
    muon = Muon(groups(mine, matrices=False, decay=0.1), momentum=0.9, eps=1e-8, dtype=torch.float32)
    adamw = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.1, eps=1e-8)
    for seed in range(4):
        mine.grad = torch.randn(7, generator=torch.Generator().manual_seed(seed))
        theirs.grad = mine.grad.clone()
        muon.step()
        adamw.step()
    torch.testing.assert_close(mine, theirs)


def test_what_has_no_gradient_stays():
    one = parameter(6, 6)
    one.grad = None
    before = one.detach().clone()
    optimizer = Muon(groups(one), momentum=0.9, eps=1e-8, dtype=torch.float32)
    optimizer.step()
    assert torch.equal(one, before)
    with pytest.raises(ValueError, match="no closure"):
        optimizer.step(lambda: 0.0)


def test_its_state_can_be_saved_and_gone_on_with():
    def run(steps, state=None):
        pair = [parameter(6, 9), parameter(5)]
        optimizer = Muon(groups(pair[0]) + groups(pair[1], matrices=False), momentum=0.9, eps=1e-8, dtype=torch.float32)
        if state:
            optimizer.load_state_dict(state[0])
            for one, saved in zip(pair, state[1], strict=True):
                one.data.copy_(saved)
        for seed in steps:
            for one in pair:
                one.grad = torch.randn(one.shape, generator=torch.Generator().manual_seed(seed))
            optimizer.step()
        return optimizer.state_dict(), [one.detach().clone() for one in pair]

    whole = run(range(6))[1]
    halved = run(range(3, 6), run(range(3)))[1]
    assert all(torch.equal(one, other) for one, other in zip(whole, halved, strict=True))


@pytest.mark.parametrize(
    ("unit", "shape", "expected"),
    [
        ("stage0", (32, 64, 1, 1), True),
        ("junction0", (64, 16, 1, 1), True),
        ("head0", (16, 64, 1, 1), False),
        ("stem", (16, 3, 7, 7), False),
        ("stem", (32, 1, 3, 3), False),
        ("stage0", (32,), False),
    ],
)
def test_heads_vectors_and_what_sees_the_image_are_left_to_adamw(unit, shape, expected):
    assert is_matrix(unit, torch.zeros(shape)) is expected
