"""Who is trained on, who is validated on and who is scored; and how their crops are cut."""

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kpcore.config import Augmentation, TrainingTable
from kpcore.data.geometry import reach
from kpcore.data.store import Cut
from kpcore.errors import KpError
from kpcore.registry import registry
from kpcore.study.opening import open_study
from kpcore.study.workshop import cuts, divide, hold_out, open_workshop, spread, wanted_stores
from kpcore.tensors import UNLABELLED
from kpcore.training.device import Device

CPU = Device(torch.device("cpu"), "fp32", 1)


@pytest.fixture
def study(tmp_path, tiny_study, tiny_mpii):
    file = tmp_path / "study.toml"
    file.write_text(tiny_study)
    return lambda *sets: open_study(registry(), file, None, [f"dataset.root={tiny_mpii}", *sets], lambda _: None)


@pytest.mark.parametrize(
    ("people", "wanted", "expected"),
    [
        ([3, 5, 7], None, [3, 5, 7]),
        ([3, 5, 7], 3, [3, 5, 7]),
        ([3, 5, 7], 9, [3, 5, 7]),
        (range(11), 3, [0, 5, 10]),
        (range(10, 16), 5, [10, 11, 12, 14, 15]),
        (range(4), 1, [0]),
    ],
)
def test_some_people_are_spread_evenly_over_all(people, wanted, expected):
    assert spread(people, wanted) == expected


def test_people_are_held_out_by_their_images_name(dots_store):
    """By a hash: two people of one image stay together, and the others' order changes nothing."""
    images = tuple(f"image{row // 2}" for row in range(400))
    store = SimpleNamespace(people=replace(dots_store["train"].people, image_ids=images))
    kept, held = hold_out(store, range(400), 0.25)
    assert sorted(kept + held) == list(range(400))
    assert kept == sorted(kept)
    assert held == sorted(held)
    assert not {images[place] for place in kept} & {images[place] for place in held}
    assert len(held) == 100
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in images}
    assert max(hashes[images[place]] for place in held) < min(hashes[images[place]] for place in kept)
    some = [place for place in range(400) if place % 3]  # nobody of other images counts
    assert hold_out(store, some[::-1], 0.25)[1] == hold_out(store, some, 0.25)[1][::-1]
    assert hold_out(store, [0, 1, 2], 0.01) in (([0, 1], [2]), ([2], [0, 1]))
    assert set(held) < set(hold_out(store, range(400), 0.5)[1])


def test_the_paper_validates_on_the_validation_part_and_trains_on_everybody(study):
    opened = study()
    groups = divide(opened, opened.data[""], CPU, None)
    assert (groups.training.store.part.name, list(groups.training.people)) == ("train", list(range(12)))
    assert (groups.validation.store.part.name, list(groups.validation.people)) == ("valid", [0, 1, 2, 4, 5])
    assert (groups.scored.store.part.name, list(groups.scored.people)) == ("valid", list(range(6)))


def test_a_held_out_share_is_validated_on_and_not_trained_on(study):
    opened = study('training.select_on="held_out"', "training.held_out=0.4")
    groups = divide(opened, opened.data[""], CPU, None)
    assert groups.training.store.part.name == groups.validation.store.part.name == "train"
    kept, held = hold_out(groups.training.store, range(12), 0.4)
    assert list(groups.training.people) == kept
    assert list(groups.validation.people) == spread(held, 5)
    assert (groups.scored.store.part.name, len(groups.scored.people)) == ("valid", 6)


def test_the_truth_of_a_group_is_that_of_these_keypoints_alone(study):
    opened = study()
    group = divide(opened, opened.data[""], CPU, None).training
    people, names = group.store.people, ("l_wrist", "r_knee")
    truth = group.truth(names)
    assert len(truth) == len(people) == 12
    for place, name in enumerate(group.store.skeleton.names):
        if name in names:
            assert (truth.points[:, place] == people.points[:, place]).all()
            assert (truth.state[:, place] == people.state[:, place]).all()
        else:
            assert np.isnan(truth.points[:, place]).all()
            assert (truth.state[:, place] == UNLABELLED).all()
    assert (people.state != UNLABELLED).all()  # the store's own is left alone
    assert truth.centre is people.centre


@pytest.mark.parametrize("select_on", ["valid", "held_out"])
def test_who_is_left_out_is_neither_trained_nor_validated_on(study, select_on):
    opened = study(f'training.select_on="{select_on}"', "training.held_out=0.4")
    data = replace(opened.data[""], left_out=(0, 3, 11))
    groups = divide(opened, data, CPU, None)
    assert not {0, 3, 11} & set(groups.training.people)
    if select_on == "held_out":
        assert not {0, 3, 11} & set(groups.validation.people)
    assert data.people("train") == 9
    assert data.people("valid") == 6


def test_a_part_that_cannot_fill_a_batch_is_told(study):
    assert divide(study("training.batch_size=12"), study().data[""], CPU, None)
    with pytest.raises(
        KpError, match=r"MPII: training samples are 12, too few for training.batch_size = 13; set it to 12"
    ):
        study("training.batch_size=13")  # before anything is prepared
    opened = study("training.batch_size=12", 'training.select_on="held_out"')  # what is left of them is known later
    with pytest.raises(KpError, match=r"11 samples to train on and 1 to validate on are too few for .*batch_size = 12"):
        divide(opened, opened.data[""], CPU, None)


def test_only_training_crops_have_a_margin():
    settings = TrainingTable(resolution=64, crops="jpeg", augmentation=Augmentation(scale=(0.5, 1.5), rotation=10.0))
    assert cuts(settings) == {
        "train": Cut(64, reach(settings.augmentation), "jpeg"),
        "valid": Cut(64, 1.0, "jpeg"),
    }


def test_the_stores_that_are_announced_are_those_that_are_made(study):
    opened = study()
    wanted = wanted_stores(opened)
    assert [(one.part.name, one.people, one.path.exists()) for one in wanted] == [
        ("train", 12, False),
        ("valid", 6, False),
    ]
    announced = [one.size for one in wanted]
    open_workshop(opened, CPU, [""])
    for one, size in zip(wanted, announced, strict=True):
        assert one.path.exists()
        assert size <= one.size < size + 100_000


def test_an_evaluator_is_that_of_the_study(study):
    opened = study("evaluation.batch_size=7")
    shop = open_workshop(opened, CPU, ["", ""])
    assert list(shop.groups) == [""]
    assert shop.evaluator.batch_size == 7
    assert (shop.evaluator.backbone, shop.evaluator.codec) == (opened.backbone, opened.codec)
    assert shop.evaluator.device == CPU
