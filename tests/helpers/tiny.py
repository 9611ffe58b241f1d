"""The sections that tests' studies have in common: a network that trains in a moment."""


def network(stages):
    """Return the sections of its backbone and its codec."""
    return f"""
[backbone]
name = "hourglass"
stages = {stages}
channels = 8
depth = 1

[codec]
name = "heatmap"
loss = "cross_entropy"
sigma = 1.0
"""


def training(*, epochs, iterations, people=None):
    """Return the sections of its training and its validation, on so many people or all."""
    some = f"people = {people}\n" if people else ""
    return f"""
[training]
resolution = 32
batch_size = 4
epochs = {epochs}
iterations_per_epoch = {iterations}
threads = 1
optimizer = {{ name = "adamw", learning_rate = 1e-3 }}

[evaluation.validation]
name = "pck"
{some}"""
