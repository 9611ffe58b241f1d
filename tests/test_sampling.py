"""Both samplers give the same batch; JPEG crops are nearly the raw ones; a batch's input is what it says."""

import numpy as np
import pytest
import torch

from kpcore.config import Augmentation
from kpcore.data import sampling
from kpcore.data.batches import TrainingStream
from kpcore.data.geometry import crop_affine, invert, warp
from kpcore.data.sampling import CpuSampler, DeviceSampler, fits, make_sampler, warp_batch
from kpcore.data.store import Cut, prepare
from kpcore.study.data import read_part

CPU = torch.device("cpu")


def smooth(size, seed=0):
    """A picture without edges: what two interpolations may differ in is then only their rounding."""
    y, x = np.mgrid[:size, :size] / size
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [np.sin(6 * x + p) * np.cos(5 * y - p) for p in phase]
    return np.round(127 + 120 * np.stack(waves, -1)).astype(np.uint8)


@pytest.mark.parametrize(("scale", "rotation", "flip"), [(1.0, 0.0, False), (0.75, 30.0, True), (1.25, -17.3, False)])
def test_the_device_warps_as_opencv_does(scale, rotation, flip):
    picture = smooth(90)
    affine = crop_affine((44.3, 45.8), 50.0, 64, scale=scale, rotation=rotation, flip=flip)
    inverse = torch.from_numpy(invert(affine)).float()[None]
    there = warp_batch(torch.from_numpy(picture)[None], inverse, 64)[0]
    difference = np.abs(there.numpy() - warp(picture, affine, 64))
    assert difference.max() <= 2.0
    assert difference.mean() <= 0.4


def test_outside_a_crop_both_are_black():
    white = np.full((20, 20, 3), 255, np.uint8)
    affine = crop_affine((10.0, 10.0), 40.0, 40)
    there = warp_batch(torch.from_numpy(white)[None], torch.from_numpy(invert(affine)).float()[None], 40)[0].numpy()
    here = warp(white, affine, 40)
    for image in (here, there):
        assert (image[:9] == 0).all()
        assert (image[11:29, 11:29] == 255).all()
    assert np.abs(there - here).max() <= 8  # half-covered pixels of the edge: OpenCV rounds places to 1/32 pixel


@pytest.mark.parametrize("resident", [True, False])
def test_both_samplers_give_the_same_batch_for_the_same_seed(dots_store, resident):
    store = dots_store["train"]
    augmentation = Augmentation(colour=0.2)
    here = TrainingStream(CpuSampler(store), range(len(store)), augmentation, seed=3, batch_size=8)
    there = TrainingStream(
        DeviceSampler(store, CPU, resident=resident), range(len(store)), augmentation, seed=3, batch_size=8
    )
    for iteration in (0, 5):
        one, other = here.batch(iteration), there.batch(iteration)
        assert one.rows.tolist() == other.rows.tolist()
        assert torch.equal(one.points, other.points)
        assert torch.equal(one.state, other.state)
        x, y = (batch.input(CPU, (0, 0, 0), (1, 1, 1)) for batch in (one, other))
        assert x.shape == y.shape
        assert x.stride() == y.stride()
        assert (x - y).abs().mean() < 0.004
        assert (x - y).abs().max() < 0.05


def test_a_cpu_takes_opencv_and_other_devices_warp_there(dots_store):
    assert isinstance(make_sampler(dots_store["train"], CPU), CpuSampler)
    assert isinstance(make_sampler(dots_store["train"], torch.device("meta")), DeviceSampler)


def test_a_store_lives_on_the_gpu_where_it_takes_little_of_it(dots_store, monkeypatch):
    store = dots_store["train"]
    size = int(np.prod(store.crops.shape))
    gpu = torch.device("cuda")
    for free, expected in [(size / sampling.RESIDENT_SHARE + 10, True), (size / sampling.RESIDENT_SHARE - 10, False)]:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        assert fits(store, gpu) is expected
    assert not fits(store, CPU)


@pytest.mark.parametrize("people", [1, 255, 256, 257, 513])
def test_every_crop_of_a_resident_store_is_moved(people):
    """They go in pieces of 256; what is left over is a piece too."""

    class Crops(list):
        shape = (people, 2, 2, 3)

    class Numbered:
        crops = Crops(np.full((2, 2, 3), row % 251, np.uint8) for row in range(people))

        def __len__(self):
            return people

    moved = DeviceSampler(Numbered(), CPU, resident=True).crops
    assert moved.shape == (people, 2, 2, 3)
    assert moved[:, 0, 0, 0].tolist() == [row % 251 for row in range(people)]
    assert (moved == moved[:, :1, :1, :1]).all()


def test_jpeg_crops_are_nearly_the_raw_ones(dots):
    raw = prepare(read_part(dots(), "train"), Cut(32, 1.5))
    jpeg = prepare(read_part(dots(), "train"), Cut(32, 1.5, "jpeg"))
    assert jpeg.crops.shape == raw.crops.shape
    assert np.array_equal(jpeg.affines, raw.affines)
    for row in (0, 7, len(raw) - 1):
        difference = np.abs(jpeg.crops[row].astype(int) - raw.crops[row])
        assert difference.mean() < 3
    streams = [
        TrainingStream(CpuSampler(store), range(8), Augmentation(), seed=0, batch_size=8).batch(0)
        for store in (raw, jpeg)
    ]
    one, other = (batch.input(CPU, (0, 0, 0), (1, 1, 1)) for batch in streams)
    assert (one - other).abs().mean() < 0.02
