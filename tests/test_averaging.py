"""Averaged weights by themselves: what they are of, and what they leave alone. What a training does with them is tested
with the training."""

import pytest
import torch
from torch import nn

from kpcore import config
from kpcore.network import build_network
from kpcore.plans import Layout
from kpcore.training.averaging import Average, MovingAverage, make_average
from kpcore.weights import fingerprint

DECAY = 0.7


@pytest.fixture
def network(narrow, codec, figure):
    """Two stages, in the memory layout of a training."""
    layout = Layout((figure.select(["hand"]), figure.select(["hip", "hand"])))
    made = build_network(narrow, codec, layout, seed=0, resolution=32)
    return made.to(memory_format=torch.channels_last)


def move(network, step, units=None):
    """Set the parameters of these units as a step might leave them; return them by name."""
    random = torch.Generator().manual_seed(step)
    moved = {}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if units is None or name.partition(".")[0] in units:
                parameter.copy_(torch.randn(parameter.shape, generator=random))
                moved[name] = parameter.clone()
    return moved


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def expected(steps):
    """The mean of these, each counting DECAY times as much as the one after it; weights sum to 1."""
    weights = [DECAY ** (len(steps) - 1 - place) for place in range(len(steps))]
    return sum(weight * step.double() for weight, step in zip(weights, steps, strict=True)) / sum(weights)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_the_mean_counts_every_step_less_than_the_one_after_it(network, steps):
    average = MovingAverage(network, DECAY)
    average.start_epoch(())
    seen = []
    for step in range(1, steps + 1):
        seen.append(move(network, step))
        average.update(step)
    with average.shown():
        for name, parameter in network.named_parameters():
            wanted = expected([one[name] for one in seen])
            torch.testing.assert_close(parameter.double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_first_step_is_its_own_mean(network):
    """Not the initial weights: nothing of them is left in it."""
    average = MovingAverage(network, 0.999)
    average.start_epoch(())
    move(network, 1)
    average.update(1)
    before = fingerprint(network.state_dict())
    average.keep()
    assert fingerprint(network.state_dict()) == before


def test_the_network_has_its_own_weights_back_to_the_bit(network):
    average = MovingAverage(network, DECAY)
    average.start_epoch(())
    average.update(1)
    move(network, 1)
    before = fingerprint(network.state_dict())
    with pytest.raises(RuntimeError), average.shown():
        assert fingerprint(network.state_dict()) != before
        raise RuntimeError
    assert fingerprint(network.state_dict()) == before


def test_only_parameters_are_averaged(network):
    """Statistics and counts are those of the last step."""
    average = MovingAverage(network, DECAY)
    average.start_epoch(())
    average.update(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(3.0)
            module.num_batches_tracked.fill_(7)
    average.update(2)
    with average.shown():
        buffers = dict(network.named_buffers())
    assert len(buffers) > 6
    assert {float(one.flatten()[0]) for name, one in buffers.items() if "running_mean" in name} == {3.0}
    assert {int(one) for name, one in buffers.items() if "num_batches" in name} == {7}


def test_what_is_frozen_is_never_touched(network):
    """Bit by bit, and minus zero too, which sums of zeros would turn into zero."""
    with torch.no_grad():
        network.get_parameter("stem.0.weight")[0].fill_(-0.0)
    frozen = {"stem", "stage0"}
    before = fingerprint(network.state_dict(), frozen)
    average = MovingAverage(network, DECAY)
    average.start_epoch(frozen)
    assert not [name for name in average.state() if name.partition(".")[0] in frozen]
    for step in range(1, 6):
        move(network, step, units={"head0", "stage1", "head1", "junction0"})
        average.update(step)
    average.keep()
    assert fingerprint(network.state_dict(), frozen) == before


def test_a_unit_that_thaws_is_averaged_as_if_it_always_had_been(network):
    seen = []
    average, whole = MovingAverage(network, DECAY), MovingAverage(network, DECAY)
    whole.start_epoch(())
    for step in range(1, 7):
        average.start_epoch({"stem"} if step < 4 else ())
        seen.append(move(network, step, units={"stem", "head1"} if step >= 4 else {"head1"}))
        average.update(step)
        whole.update(step)
    assert "stem.0.weight" not in seen[0]
    assert average.state().keys() == whole.state().keys()
    for name, mean in average.state().items():
        torch.testing.assert_close(mean, whole.state()[name], rtol=1e-5, atol=1e-6)


def test_means_lie_in_memory_as_the_parameters_do(network):
    """Else every update would walk through memory in two orders, and on a GPU launch a kernel a tensor."""
    average = MovingAverage(network, DECAY)
    average.start_epoch(())
    parameters = dict(network.named_parameters())
    assert all(mean.stride() == parameters[name].stride() for name, mean in average.state().items())


def test_a_checkpoint_holds_the_means(network):
    average = MovingAverage(network, DECAY)
    average.start_epoch(())
    move(network, 1)
    average.update(1)
    move(network, 2)
    average.update(2)
    saved = {name: tensor.clone() for name, tensor in average.state().items()}
    other = MovingAverage(network, DECAY)
    other.start_epoch(())
    other.restore(saved)
    for one in (average, other):
        one.update(3)
    for name, mean in average.state().items():
        assert torch.equal(mean, other.state()[name])


def test_off_is_the_last_step(network):
    average = make_average(config.LastStep(), network)
    assert type(average) is Average
    before = fingerprint(network.state_dict())
    average.start_epoch(())
    average.update(1)
    with average.shown():
        assert fingerprint(network.state_dict()) == before
    average.keep()
    assert average.state() == {}
    average.restore({})
    assert fingerprint(network.state_dict()) == before


def test_the_decay_is_the_one_that_was_asked_for(network):
    average = make_average(config.MovingAverage(name="ema", decay=0.25), network)
    assert isinstance(average, MovingAverage)
    assert average.decay == 0.25
