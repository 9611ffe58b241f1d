"""What tests share: a clean environment, one small skeleton, images of dots, and a narrow network.

With ``--import-mode=importlib`` test modules cannot import each other, so helpers are handed out as fixtures; what is
made by hand, and used by plain functions, is in ``helpers/hand_made.py``.
"""

import os
import re
import signal
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import tiny
import torch
from hand_made import undraw
from kp_heatmap.codec import GaussianHeatmap
from kp_hourglass.hourglass import StackedHourglass

from kpcore.config import Augmentation
from kpcore.data.geometry import reach
from kpcore.data.store import Cut, prepare
from kpcore.interfaces import Dataset, Facts
from kpcore.interrupts import SIGNALS
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.samples import Sample
from kpcore.study.data import read_part
from kpcore.tensors import UNLABELLED, VISIBLE

# Hands and feet are mirror pairs; the order is no set's order, so that a mixed-up axis shows.
FIGURE = Skeleton(
    "figure",
    (
        Keypoint("r_hand", "l_hand", "hand"),
        Keypoint("head"),
        Keypoint("l_hand", "r_hand", "hand"),
        Keypoint("hip"),
        Keypoint("l_foot", "r_foot", "foot"),
        Keypoint("r_foot", "l_foot", "foot"),
    ),
)
COLOURS = 255 * np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.6, 0), (0, 0.6, 0.6), (0.6, 0, 0.6)])


def pytest_configure():
    """Signals that who started us ignores (``nohup``, a shell's background) are sent in tests all the same."""
    for number in SIGNALS:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``-n`` a module's tests stay together where they can: what they share is not made in every worker."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(autouse=True)
def no_drawing(request, monkeypatch):
    """A run within a test draws no figure and no page, which takes seconds; who looks at them is marked ``page``."""
    if "page" not in request.keywords:
        undraw(monkeypatch)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path_factory):
    """No test sees the user's cache or data."""
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    for variable in [name for name in os.environ if re.fullmatch("KP_[A-Z0-9]+_ROOT", name)]:
        monkeypatch.delenv(variable)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks here are so small that a second thread only waits; and exactness is promised for a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def real_data():
    """The folder that holds mpii/ and other real data, never part of this project."""
    folder = os.environ.get("KP_REAL_DATA")
    if not folder:
        pytest.skip("KP_REAL_DATA names no folder with real data")
    if not Path(folder).is_dir():
        pytest.skip(f"KP_REAL_DATA = {folder} is not a folder")
    return Path(folder)


def draw_dots(points, colours, height, width, sigma=2.0):
    """An image with a soft dot at each point, which may lie anywhere between pixels; NaN draws none."""
    rows, columns = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3))
    for (x, y), colour in zip(points, colours, strict=True):
        if np.isfinite(x):
            image += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))[..., None] * colour
    return image.clip(0, 255).round().astype(np.uint8)


def dots_sample(row, random, unlabelled):
    """One person of 40 x 40 px in an image of 52 x 48: every keypoint has its own colour and place."""
    points = (24 + random.uniform(-14, 14, (len(COLOURS), 2))).astype(np.float32)
    image = draw_dots(points, COLOURS, 48, 52)
    state = np.full(len(points), VISIBLE, np.uint8)
    state[list(unlabelled)] = UNLABELLED
    points[list(unlabelled)] = np.nan
    return Sample(
        image, points, state, np.array([24, 24], np.float32), 40.0, 20.0, f"image{row}", "0", row
    )  # fmt: skip


class Dots(Dataset):
    """Images of coloured dots, made in memory; ``unlabelled`` are columns that nobody marked."""

    def __init__(self, *, people=32, unlabelled=()):
        self.people = people
        self.unlabelled = tuple(unlabelled)

    @property
    def facts(self):
        return Facts("dots", FIGURE, ("train", "valid"), normaliser="half the crop's side", default_metric="pck")

    def samples(self, part):
        random = np.random.default_rng(self.parts.index(part))
        return [dots_sample(row, random, self.unlabelled) for row in range(self.people)]


@pytest.fixture(scope="session")
def figure():
    """The skeleton of the dots."""
    return FIGURE


@pytest.fixture(scope="session")
def dots():
    """The class of the data set of dots."""
    return Dots


@pytest.fixture(scope="session")
def paint():
    """The function that draws dots."""
    return draw_dots


@pytest.fixture(scope="session")
def narrow():
    """Newell's hourglass, 8 channels wide and one halving deep: takes multiples of 8 px."""
    return StackedHourglass(channels=8, depth=1, modules=1)


@pytest.fixture(scope="session")
def make_codec():
    """Heatmap codec with some of its options set."""
    return lambda **options: GaussianHeatmap(**GaussianHeatmap.Config(**options).model_dump())


@pytest.fixture(scope="session")
def codec(make_codec):
    """Gaussians of one heatmap pixel, learned by cross-entropy: quick."""
    return make_codec(sigma=1.0, loss="cross_entropy")


@pytest.fixture(scope="session")
def dots_store(tmp_path_factory):
    """part -> 32 prepared people of 32 px, with the margin of the default augmentation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_CACHE_DIR", str(tmp_path_factory.mktemp("stores")))
        far = reach(Augmentation())
        return {part: prepare(read_part(Dots(), part), Cut(32, far)) for part in ("train", "valid")}


def write_part(root, part, people, random):
    """A part in Newell's layout: 64 x 64 px, each joint a dot of its own colour on a dark, noisy ground."""
    points = random.uniform(10, 54, (people, 16, 2)).round(1)
    for person in range(people):
        image = random.integers(0, 60, (64, 64, 3), np.uint8)
        for joint, (x, y) in enumerate(points[person]):
            cv2.circle(image, (round(x), round(y)), 2, (joint * 16, 255 - joint * 16, 128), -1)
        cv2.imwrite(str(root / "images" / f"{part}{person}.png"), image)
    with h5py.File(root / "annot" / f"{part}.h5", "w") as file:
        file.create_dataset("imgname", data=[f"{part}{person}.png".encode() for person in range(people)])
        file["part"] = points + 1  # the layout counts pixels from 1
        file["center"] = np.full((people, 2), 32.5)
        file["scale"] = np.full(people, 64 / 200)
        file["visible"] = np.ones((people, 16))
        file["normalize"] = np.full(people, 8.0)
        file["index"] = np.arange(people)
        file["person"] = np.zeros(people)


@pytest.fixture(scope="session")
def write_mpii():
    """The function that writes made-up people in MPII's layout into a new folder, and returns it."""

    def write(root, seed, train=12, valid=6):
        random = np.random.default_rng(seed)
        (root / "images").mkdir(parents=True)
        (root / "annot").mkdir()
        write_part(root, "train", train, random)
        write_part(root, "valid", valid, random)
        return root

    return write


@pytest.fixture(scope="session")
def tiny_mpii(tmp_path_factory, write_mpii):
    """Twelve people to train on and six to score, in MPII's layout; not to be written to."""
    return write_mpii(tmp_path_factory.mktemp("mpii") / "tiny", 1)


TINY_STUDY = (
    """
[study]
name = "tiny"
modes = ["transfer", "frozen", "random"]

[dataset]
name = "mpii"

[split]
name = "kptransfer"
splits = ["a", "d"]
"""
    + tiny.network([1, 2])
    + tiny.training(epochs=2, iterations=3, people=5)
    + """
[profiles.brief]
training = { epochs = 1 }
"""
)


@pytest.fixture(scope="session")
def tiny_study():
    """A study file for these people that takes a second: two splits, three modes, one seed."""
    return TINY_STUDY
