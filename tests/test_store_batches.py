"""The prepared store and the batches made from it."""

import cv2
import h5py
import numpy as np
import pytest
import torch

from kpcore.cache import cache_dir
from kpcore.config import Augmentation
from kpcore.data import crops as crops_module
from kpcore.data import store as store_module
from kpcore.data.batches import Batch, TrainingStream, evaluation_batches, input_affine
from kpcore.data.geometry import AS_IS, Draw, apply, compose, draw_augmentation, invert, reach, warp
from kpcore.data.sampling import CpuSampler, Warped
from kpcore.data.store import Cut, prepare, store_key, store_path
from kpcore.errors import KpError
from kpcore.samples import Sample
from kpcore.study.data import read_part
from kpcore.tensors import HIDDEN, UNLABELLED, VISIBLE

WHITE = (255, 255, 255)


def person(image, centre, side, points=None, row=0):
    points = np.full((6, 2), np.nan, np.float32) if points is None else np.asarray(points, np.float32)
    state = np.where(np.isnan(points[:, 0]), UNLABELLED, VISIBLE).astype(np.uint8)
    return Sample(image, points, state, np.array(centre, np.float32), side, 10.0, f"image{row}", "0", row)


@pytest.fixture
def given(dots):
    """A data set of these samples in every part."""

    def make(*samples):
        data = dots()
        data.samples = lambda part: samples
        return data

    return make


@pytest.fixture
def on_disk(tmp_path, given, paint):
    """Three people in two image files."""
    for name in ("a", "b"):
        pixels = paint([(20.0, 16.0)], [(250, 120, 10)], 40, 50)
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return given(
        person(tmp_path / "a.png", (20, 16), 30.0, row=0),
        person(tmp_path / "b.png", (20, 16), 30.0, row=1),
        person(tmp_path / "a.png", (20, 16), 20.0, row=2),
    )


def stores():
    return sorted(path.name for path in (cache_dir() / "stores").iterdir())


# The store


def test_a_store_is_made_once_and_each_image_decoded_once(on_disk, monkeypatch):
    decoded = []
    real = store_module.pixels_of
    monkeypatch.setattr(store_module, "pixels_of", lambda one: decoded.append(one.image.name) or real(one))
    seen = []
    first = prepare(read_part(on_disk, "train"), Cut(32, 1.25), progress=lambda done, total: seen.append((done, total)))
    assert sorted(decoded) == ["a.png", "b.png"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    second = prepare(read_part(on_disk, "train"), Cut(32, 1.25))
    assert sorted(decoded) == ["a.png", "b.png"]
    assert np.array_equal(first.crops, second.crops)
    assert np.array_equal(first.affines, second.affines)


def test_what_changes_the_crops_changes_the_key(dots):
    train, valid = (read_part(dots(), part) for part in ("train", "valid"))
    keys = {
        store_key(train, Cut(32, 1.5)),
        store_key(valid, Cut(32, 1.5)),  # other people
        store_key(train, Cut(64, 1.5)),
        store_key(train, Cut(32, 1.6)),
        store_key(train, Cut(32, 1.5, "jpeg")),
        store_key(read_part(dots(people=5), "train"), Cut(32, 1.5)),
    }
    assert len(keys) == 6
    assert store_key(read_part(dots(), "train"), Cut(32, 1.5)) in keys


def test_a_mended_label_costs_no_crop_and_a_moved_box_does(given):
    image = np.zeros((40, 40, 3), np.uint8)
    plain = person(image, (20, 20), 30.0, np.full((6, 2), 12.0))
    mended = person(image, (20, 20), 30.0, np.full((6, 2), 13.0))
    others = [person(image, (20.5, 20), 30.0), person(image, (20, 20), 31.0), person(image + 1, (20, 20), 30.0)]
    key, same_key, *other_keys = (
        store_key(read_part(given(one), "train"), Cut(32, 1.0)) for one in (plain, mended, *others)
    )
    assert key == same_key
    assert len({key, *other_keys}) == 4
    assert store_key(read_part(given(plain), "valid"), Cut(32, 1.0)) == key  # nor has the part's name anything to say


def test_people_keep_the_order_of_the_annotation(on_disk):
    store = prepare(read_part(on_disk, "train"), Cut(32, 1.0))
    assert len(store) == 3
    assert store.people.rows.tolist() == [0, 1, 2]
    assert store.people.image_ids == ("image0", "image1", "image2")
    # The third shares the first's image, but is nearer.
    assert np.array_equal(store.crops[0], store.crops[1])
    assert not np.array_equal(store.crops[0], store.crops[2])


def test_colours_are_rgb(on_disk):
    store = prepare(read_part(on_disk, "train"), Cut(32, 1.0))
    red, green, blue = store.crops[0].reshape(-1, 3).max(0)
    assert red > green > blue > 0


def test_crops_are_memory_mapped_and_cannot_be_written(on_disk):
    crops = prepare(read_part(on_disk, "train"), Cut(32, 1.0)).crops
    assert isinstance(crops._data, np.memmap)
    assert not crops._data.flags.writeable
    assert not crops[0].flags.writeable
    how = Cut(32, 1.0)
    assert crops.shape == (3, how.side, how.side, 3)
    assert how.size(3) == crops._data.nbytes
    with pytest.raises(IndexError):
        crops[3]


def centroid(image):
    weights = image.astype(np.float64).sum(2)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


@pytest.mark.parametrize("side", [23.0, 64.0, 100.5, 333.3])
@pytest.mark.parametrize("far", [1.0, 1.7])
def test_affines_are_exact(given, paint, side, far):
    """A dot of the source appears at its stored point, whether the crop was enlarged or shrunk."""
    at = np.array([170.3 + side / 9, 140.8 - side / 7])
    image = paint([at], [WHITE], 300, 340, sigma=side / 25)
    points = np.full((6, 2), np.nan)
    points[1] = at
    store = prepare(read_part(given(person(image, (170.3, 140.8), side, points)), "train"), Cut(64, far))
    np.testing.assert_allclose(centroid(store.crops[0]), apply(store.affines[0], store.people.points[0])[1], atol=0.1)
    # The same through the batch: as the network sees it.
    (batch,) = evaluation_batches(CpuSampler(store), [0], 1)
    np.testing.assert_allclose(centroid(batch.images.pixels[0].numpy()), batch.points[0, 1], atol=0.1)


@pytest.mark.parametrize("side", [7.0, 40.0, 260.4])
def test_the_margin_holds_what_augmentation_can_reach(given, side):
    """In a white image no augmented crop shows anything black, whatever was drawn."""
    image = np.full((900, 900, 3), 255, np.uint8)
    augmentation = Augmentation(scale=(0.75, 1.25), rotation=45, translation=0.1)
    sample = person(image, (450.25, 449.6), side)
    store = prepare(read_part(given(sample), "train"), Cut(32, reach(augmentation)))
    extreme = [
        Draw(scale=1.25, rotation=rotation, flip=flip, shift=(x, y))
        for rotation in (-45, 0, 20, 45)
        for flip in (False, True)
        for x in (-0.1, 0.1)
        for y in (-0.1, 0.1)
    ]
    for draw in [*extreme, *(draw_augmentation(0, 0, index, augmentation) for index in range(20))]:
        affine = compose(input_affine(store, 0, draw), invert(store.affines[0]))
        assert warp(store.crops[0], affine, 32).min() == 255, draw


def test_outside_the_image_is_black(given):
    white = np.full((60, 60, 3), 255, np.uint8)
    store = prepare(read_part(given(person(white, (0, 0), 40.0)), "train"), Cut(32, 1.5))
    at = apply(store.affines[0], np.array([[-1.0, -1.0], [1.0, 1.0]]))
    (x0, y0), (x1, y1) = np.floor(at[0]).astype(int), np.ceil(at[1]).astype(int)
    assert (store.crops[0][:y0] == 0).all()
    assert (store.crops[0][:, :x0] == 0).all()
    assert (store.crops[0][y1:, x1:] == 255).all()


@pytest.mark.parametrize("centre", [(-500, 20), (20, 5000), (1e6, -1e6)])
def test_a_crop_that_misses_the_image_is_black(given, centre):
    white = np.full((60, 60, 3), 255, np.uint8)
    store = prepare(read_part(given(person(white, centre, 40.0)), "train"), Cut(32, 1.0))
    assert not store.crops[0].any()


def test_a_margin_far_beyond_the_image_is_black(given):
    white = np.full((30, 30, 3), 255, np.uint8)
    far = reach(Augmentation(scale=(0.5, 9.5), rotation=180, translation=0.5))
    store = prepare(read_part(given(person(white, (14.5, 14.5), 30.0)), "train"), Cut(32, far))
    middle = store.crops.shape[1] // 2
    assert store.crops.shape[1] >= 32 * far
    assert (store.crops[0][middle - 14 : middle + 14, middle - 14 : middle + 14] == 255).all()
    assert int((store.crops[0] > 0).all(2).sum()) == pytest.approx(32**2, rel=0.1)


def test_a_crop_that_would_fill_the_memory_is_refused_with_its_row(given):
    image = np.zeros((30, 30, 3), np.uint8)
    with pytest.raises(KpError, match="image7, row 7: its crop is 38750 px wide"):
        prepare(read_part(given(person(image, (15, 15), 20_000.0, row=7)), "train"), Cut(32, 60 / 32))


def test_a_crop_of_the_networks_own_size_keeps_every_pixel(given):
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    store = prepare(read_part(given(person(image, (19.5, 20.5), 32.0)), "train"), Cut(32, 1.0))
    (batch,) = evaluation_batches(CpuSampler(store), [0], 1)
    assert np.array_equal(batch.images.pixels[0].numpy(), image[5:37, 4:36])


def test_a_part_without_people_is_refused(given):
    with pytest.raises(KpError, match="dots, part 'train': no samples"):
        prepare(read_part(given(), "train"), Cut(32, 1.0))


def test_what_a_crash_left_is_replaced(on_disk):
    key = store_key(read_part(on_disk, "train"), Cut(32, 1.0))
    folder = cache_dir() / "stores"
    folder.mkdir(parents=True)
    (folder / f"{key}.partial").write_bytes(b"half a store")
    store = prepare(read_part(on_disk, "train"), Cut(32, 1.0))
    assert store.crops[0].any()
    assert f"{key}.partial" not in stores()
    assert f"{key}.h5" in stores()


def test_crops_of_images_that_change_meanwhile_are_not_kept(on_disk, tmp_path, monkeypatch):
    """A copy that still runs: their key was made of other bytes."""
    part = read_part(on_disk, "train")
    real = store_module.pixels_of

    def overwritten(sample):
        pixels = real(sample)
        cv2.imwrite(str(tmp_path / "b.png"), np.zeros((40, 50, 3), np.uint8))
        return pixels

    monkeypatch.setattr(store_module, "pixels_of", overwritten)
    with pytest.raises(KpError, match=r"part 'train': images changed while their crops were prepared"):
        prepare(part, Cut(32, 1.25))
    assert [name for name in stores() if not name.endswith(".lock")] == []
    monkeypatch.setattr(store_module, "pixels_of", real)
    assert not prepare(read_part(on_disk, "train"), Cut(32, 1.25)).crops[1].any()


def test_a_damaged_image_is_named_and_leaves_no_store(on_disk, tmp_path):
    good = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(KpError, match=r"b\.png: image is truncated"):
        prepare(read_part(on_disk, "train"), Cut(32, 1.0))
    assert [name for name in stores() if not name.endswith(".lock")] == []
    (tmp_path / "b.png").write_bytes(good)
    assert len(prepare(read_part(on_disk, "train"), Cut(32, 1.0))) == 3


def test_a_full_disk_is_said_in_one_line(on_disk, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py, "File", full)
    with pytest.raises(KpError, match="No space left on device"):
        prepare(read_part(on_disk, "train"), Cut(32, 1.0))
    assert not any(name.endswith(".h5") for name in stores())


# What was damaged


def store_file(data, how):
    return cache_dir() / "stores" / f"{store_key(read_part(data, 'train'), how)}.h5"


def pixels_of(store):
    return np.stack([store.crops[row] for row in range(len(store))])


def flip_byte(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(bytes(data))


def place_of(path, name):
    """Where a data set's bytes begin."""
    with h5py.File(path) as file:
        return file[name].id.get_offset()


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
@pytest.mark.parametrize("how", ["emptied", "cut short", "its end gone", "digests", "places", "swapped"])
def test_a_store_that_is_not_as_it_was_written_is_made_anew(on_disk, kind, how):
    cut = Cut(32, 1.0, kind)
    before = pixels_of(prepare(read_part(on_disk, "train"), cut))
    path = store_file(on_disk, cut)
    whole = path.read_bytes()
    if how in ("digests", "places"):
        if how == "places" and kind == "raw":
            pytest.skip("raw crops have no places")
        flip_byte(path, place_of(path, how) + 3)
    elif how == "swapped":
        other = Cut(64, 1.0, kind)
        prepare(read_part(on_disk, "train"), other)
        path.write_bytes(store_file(on_disk, other).read_bytes())
    else:
        path.write_bytes({"emptied": b"", "cut short": whole[:100], "its end gone": whole[:-1000]}[how])
    told = []
    after = prepare(read_part(on_disk, "train"), cut, notice=told.append)
    assert np.array_equal(pixels_of(after), before)
    (line,) = told
    assert f"the prepared crops {path.name} are damaged" in line
    assert line.startswith(f"dots, train, 3 people at 32 px, {kind}: ")
    assert path.read_bytes() == whole
    assert f"{path.name}.damaged" in stores()
    prepare(read_part(on_disk, "train"), cut, notice=told.append)
    assert len(told) == 1


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_a_damaged_crop_is_cut_from_its_image_again(on_disk, kind):
    cut = Cut(32, 1.0, kind)
    before = pixels_of(prepare(read_part(on_disk, "train"), cut))
    path = store_file(on_disk, cut)
    flip_byte(path, place_of(path, "crops") + (2 * cut.side**2 * 3 if kind == "raw" else 700))
    assert crops_module.crops_problem(path).startswith("1 of 3 crops are damaged (first: row ")
    told = []
    store = prepare(read_part(on_disk, "train"), cut, notice=told.append)
    assert told == []  # nothing has been read yet
    assert np.array_equal(pixels_of(store), before)
    assert np.array_equal(pixels_of(store), before)
    (line,) = told
    assert "is damaged in" in line
    assert f"{path.name}.damaged" in stores()
    assert np.array_equal(pixels_of(prepare(read_part(on_disk, "train"), cut, notice=told.append)), before)
    assert len(told) == 1
    assert crops_module.crops_problem(path) == ""


def test_a_damaged_crop_whose_image_is_gone_is_an_error(on_disk, tmp_path):
    how = Cut(32, 1.0)
    part = read_part(on_disk, "train")
    prepare(part, how)
    path = store_file(on_disk, how)
    flip_byte(path, place_of(path, "crops"))
    (tmp_path / "a.png").unlink()
    store = prepare(part, how, notice=lambda line: None)
    with pytest.raises(KpError, match=r"a\.png: image file does not exist"):
        store.crops[0]
    assert store.crops[1].any()


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
@pytest.mark.parametrize("lost", [b"\0" * 512, b"\xff" * 512, bytes(range(256)) * 2, None])
def test_whatever_is_damaged_in_a_store_the_crops_are_the_same(given, tmp_path, kind, lost):
    """Each sector of the file in turn, and bytes all over it: nothing hangs, nothing escapes, no pixel is another."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (20, 20, 3), np.uint8) for _ in range(3)]
    part = read_part(given(*(person(image, (10, 10), 8.0, row=row) for row, image in enumerate(images))), "train")
    how = Cut(8, 1.0, kind)
    before = pixels_of(prepare(part, how))
    path = store_path(part, how)
    whole = path.read_bytes()
    damages = [(place, lost) for place in range(0, len(whole), 512)]
    if lost is None:
        places = {816, 817, *range(0, len(whole), 29)}  # at 816 is what kind of thing "crops" is
        damages = [(place, bytes([whole[place] ^ 0xFF])) for place in sorted(places)]
    told = []
    for place, content in damages:
        path.unlink(missing_ok=True)  # a new file: the old one may be mapped
        path.write_bytes((whole[:place] + content + whole[place + len(content) :])[: len(whole)])
        problem, already = crops_module.crops_problem(path), len(told)
        assert np.array_equal(pixels_of(prepare(part, how, notice=told.append)), before), place
        assert len(told) == already or problem, place
    assert len(told) > len(damages) / 5  # there are gaps in a file in which nothing lies


def test_a_damaged_crop_whose_image_was_replaced_is_an_error(on_disk, tmp_path):
    how = Cut(32, 1.0)
    part = read_part(on_disk, "train")
    prepare(part, how)
    path = store_file(on_disk, how)
    flip_byte(path, place_of(path, "crops"))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 50, 3), np.uint8))
    store = prepare(part, how, notice=lambda line: None)
    with pytest.raises(KpError, match="its image is not the one that it was cut from"):
        store.crops[0]


@pytest.mark.parametrize("content", [b"", b"no store", None])
def test_what_is_wrong_with_a_store_is_told_without_its_samples(on_disk, content):
    how = Cut(32, 1.0)
    prepare(read_part(on_disk, "train"), how)
    path = store_file(on_disk, how)
    assert crops_module.crops_problem(path) == ""
    if content is not None:
        path.write_bytes(content)
    else:
        flip_byte(path, place_of(path, "digests"))
    assert crops_module.crops_problem(path)


# Batches


def stream(store, people=range(32), seed=0, batch_size=5, **augmentation):
    return TrainingStream(CpuSampler(store), people, Augmentation(**augmentation), seed=seed, batch_size=batch_size)


STILL = {"scale": (1.0, 1.0), "rotation": 0.0, "flip": 0.0}


def same(one, other):
    tensors = all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("points", "state"))
    tensors = tensors and torch.equal(one.images.pixels, other.images.pixels)
    colour = one.colour is other.colour is None or torch.equal(one.colour, other.colour)
    return tensors and colour and one.rows.tolist() == other.rows.tolist()


@pytest.fixture
def train(dots_store):
    return dots_store["train"]


def test_a_batch_is_a_function_of_seed_and_iteration(train):
    asked = [40, 0, 7, 3, 40]
    batches = [stream(train, colour=0.1).batch(iteration) for iteration in asked]
    one = stream(train, colour=0.1)
    assert all(same(batch, one.batch(iteration)) for batch, iteration in zip(batches, asked, strict=True))
    assert not same(one.batch(0), one.batch(1))
    assert not same(one.batch(0), stream(train, seed=1, colour=0.1).batch(0))


def test_a_batch_does_not_depend_on_threads(train):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = stream(train).batch(2)
        cv2.setNumThreads(4)
        assert same(stream(train).batch(2), alone)
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(("start", "count"), [(3, 2), (0, 12), (5, 0)])
def test_iterating_yields_the_batches_from_there_on(train, start, count):
    made = list(stream(train).iterate(start, count))
    assert len(made) == count
    assert all(same(batch, stream(train).batch(start + place)) for place, batch in enumerate(made))


def test_iterating_can_be_left_early(train):
    batches = stream(train).iterate(0, 10**9)
    next(batches)
    batches.close()


def test_an_error_in_the_background_is_raised_in_front(train):
    broken = stream(train, people=[0, 10**6], batch_size=2)
    with pytest.raises(IndexError):
        list(broken.iterate(0, 1))


@pytest.mark.parametrize("batch_size", [4, 5, 7, 25])
def test_every_pass_sees_every_person_once(train, batch_size):
    people = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    one = stream(train, people=people, batch_size=batch_size, **STILL)
    rows = np.concatenate([one.batch(iteration).rows for iteration in range(13)])
    passes = [rows[first : first + 10].tolist() for first in range(0, len(rows) - 9, 10)]
    assert all(sorted(one_pass) == people for one_pass in passes)
    assert len({tuple(one_pass) for one_pass in passes}) == len(passes)


def test_a_person_is_drawn_anew_in_every_pass(train):
    one = stream(train, people=[4], batch_size=1)
    points = {tuple(one.batch(iteration).points.flatten().tolist()) for iteration in range(5)}
    assert len(points) == 5


def points_by_row(batches):
    return {int(row): points for batch in batches for row, points in zip(batch.rows, batch.points, strict=True)}


def test_what_a_person_draws_does_not_depend_on_the_batch_size(train):
    small = points_by_row(stream(train, batch_size=4).batch(iteration) for iteration in range(8))
    large = points_by_row(stream(train, batch_size=8).batch(iteration) for iteration in range(4))
    assert small.keys() == large.keys() == set(range(32))
    assert all(torch.equal(small[row], large[row]) for row in small)


def test_what_a_person_draws_depends_on_who_it_is_not_on_its_place(train):
    """The same person in other company, and so at another place of the pass, is drawn the same."""
    everybody = points_by_row(stream(train, batch_size=8).batch(iteration) for iteration in range(4))
    some = [29, 3, 11, 17, 4]
    few = points_by_row([stream(train, people=some, batch_size=5).batch(0)])
    assert few.keys() == set(some)
    assert all(torch.equal(few[row], everybody[row]) for row in some)


def test_a_seed_changes_the_order_and_what_everybody_draws(train):
    (first, one), (second, other) = (
        (np.concatenate([batch.rows for batch in batches]).tolist(), points_by_row(batches))
        for batches in ([stream(train, seed=seed, batch_size=4).batch(i) for i in range(8)] for seed in (0, 1))
    )
    assert first != second
    assert sorted(first) == sorted(second)
    assert not any(torch.equal(one[row], other[row]) for row in one)


def test_flip_mirrors_pixels_points_and_states(train, figure):
    people = list(range(6))
    (plain,) = evaluation_batches(CpuSampler(train), people, 6)
    flipped = stream(train, people=people, batch_size=6, scale=(1.0, 1.0), rotation=0.0, flip=1.0).batch(0)
    back = np.argsort(flipped.rows)
    difference = flipped.images.pixels[back].int() - plain.images.pixels.flip(2).int()
    assert difference.abs().max() <= 1
    swapped = [figure.names.index(figure[name].mirror or name) for name in figure.names]
    expected = plain.points[:, swapped].clone()
    expected[..., 0] = 31 - expected[..., 0]
    torch.testing.assert_close(flipped.points[back], expected, atol=1e-4, rtol=0)


def test_flip_takes_the_state_along(given, figure):
    image = np.zeros((40, 40, 3), np.uint8)
    points = np.full((6, 2), 20.0)
    points[figure.names.index("l_foot")] = np.nan
    sample = person(image, (20, 20), 40.0, points)
    sample.state[figure.names.index("r_hand")] = HIDDEN
    store = prepare(read_part(given(sample), "train"), Cut(32, 1.0))
    batch = stream(store, people=[0], batch_size=1, scale=(1.0, 1.0), rotation=0.0, flip=1.0).batch(0)
    states = dict(zip(figure.names, batch.state[0].tolist(), strict=True))
    assert states["l_hand"] == HIDDEN
    assert states["r_hand"] == VISIBLE
    assert states["r_foot"] == UNLABELLED
    assert states["l_foot"] == VISIBLE
    assert store.people.state[0].tolist() == sample.state.tolist()  # the store itself is left alone


def test_points_are_finite_where_nobody_marked_any(given, figure):
    points = np.full((6, 2), np.nan)
    points[1] = (20, 20)
    store = prepare(
        read_part(given(person(np.zeros((40, 40, 3), np.uint8), (20, 20), 40.0, points)), "train"), Cut(32, 2)
    )
    batch = stream(store, people=[0], batch_size=3).batch(0)
    assert torch.isfinite(batch.points).all()
    unlabelled = batch.state == UNLABELLED
    assert unlabelled.sum() == 15
    assert (batch.points[unlabelled] == 0).all()
    assert batch.points.dtype == torch.float32


def test_labels_that_are_not_read_are_not_in_a_batch(train, figure):
    """Everything else of it is the same: pixels, draws, and the labels that are read."""
    unread = [figure.names.index(name) for name in ("head", "l_foot", "r_foot")]
    read = [place for place in range(6) if place not in unread]
    truth = train.people.without(unread)
    part = TrainingStream(
        CpuSampler(train), range(32), Augmentation(flip=0.5), seed=0, batch_size=8, truth=truth
    ).batch(3)  # fmt: skip
    whole = stream(train, batch_size=8, flip=0.5).batch(3)
    assert torch.equal(part.images.pixels, whole.images.pixels)
    assert torch.equal(part.points[:, read], whole.points[:, read])
    assert torch.equal(part.state[:, read], whole.state[:, read])
    assert (part.state[:, unread] == UNLABELLED).all()
    assert (part.points[:, unread] == 0).all()
    assert (whole.state != UNLABELLED).all()


def test_augmented_points_follow_the_pixels(given, paint):
    at = np.array([52.7, 44.1])
    points = np.full((6, 2), np.nan)
    points[1] = at  # the head has no mirror partner
    image = paint([at], [WHITE], 100, 100)
    strong = {"scale": (0.8, 1.2), "rotation": 40.0, "flip": 0.5, "translation": 0.1}
    far = reach(Augmentation(**strong))
    store = prepare(read_part(given(person(image, (50, 50), 60.0, points)), "train"), Cut(64, far))
    batch = stream(store, people=[0], batch_size=16, **strong).batch(0)
    for pixels, truth in zip(batch.images.pixels.numpy(), batch.points[:, 1].numpy(), strict=True):
        np.testing.assert_allclose(centroid(pixels), truth, atol=0.15)


def test_evaluation_batches_come_in_order_as_they_are(dots_store):
    store = dots_store["valid"]
    people = [5, 0, 31, 7, 8, 9, 30]
    batches = list(evaluation_batches(CpuSampler(store), people, 3))
    assert [batch.rows.tolist() for batch in batches] == [[5, 0, 31], [7, 8, 9], [30]]
    for batch in batches:
        assert batch.colour is None
        for place, row in enumerate(batch.rows):
            expected = apply(input_affine(store, row, AS_IS), store.people.points[row])
            np.testing.assert_allclose(batch.points[place], expected, atol=1e-4)
    assert list(evaluation_batches(CpuSampler(store), [], 3)) == []


def test_colour_factors_are_drawn_a_person_and_channel(train):
    batch = stream(train, colour=0.3, batch_size=8).batch(0)
    assert batch.colour.shape == (8, 3)
    assert len(set(batch.colour.flatten().tolist())) == 24
    assert ((batch.colour - 1).abs() <= 0.3).all()
    assert stream(train).batch(0).colour is None


def small_batch(colour=None):
    images = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).view(2, 4, 4, 3) * 2
    nothing = torch.zeros(2, 1, 2), torch.zeros(2, 1, dtype=torch.uint8), np.arange(2)
    return Batch(Warped(images), colour, *nothing)


CPU = torch.device("cpu")


def test_input_is_in_zero_to_one_and_channels_last():
    batch = small_batch()
    x = batch.input(CPU, (0, 0, 0), (1, 1, 1))
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x, batch.images.pixels.permute(0, 3, 1, 2) / 255)


def test_input_takes_the_mean_and_divides_by_the_deviation():
    batch = small_batch()
    x = batch.input(CPU, (0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    expected = (batch.images.pixels / 255 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 1.0, 2.0])
    torch.testing.assert_close(x, expected.permute(0, 3, 1, 2))
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_input_multiplies_colours_and_clips():
    colour = torch.tensor([[1.0, 1.0, 1.0], [0.5, 2.0, 1.0]])
    batch = small_batch(colour)
    x = batch.input(CPU, (0, 0, 0), (1, 1, 1))
    expected = (batch.images.pixels / 255 * colour[:, None, None]).clamp(0, 1)
    torch.testing.assert_close(x, expected.permute(0, 3, 1, 2))
    assert batch.images.pixels.equal(small_batch().images.pixels)


# Killed and gone on with


class Killed(BaseException):
    """A kill is no Exception: nothing tidies up after it."""


def killed_after(data, how, people, monkeypatch):
    """Prepare until that many people are written, with every one of them noted at once; return what is decoded then."""
    monkeypatch.setattr(crops_module, "SAFE_EVERY", -1.0)

    def kill(done, total):
        if done == people:
            raise Killed

    with pytest.raises(Killed):
        prepare(read_part(data, "train"), how, kill)
    decoded = []
    real = store_module.pixels_of
    monkeypatch.setattr(store_module, "pixels_of", lambda one: decoded.append(one.image.name) or real(one))
    return decoded


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_a_killed_preparation_goes_on_where_it_was(on_disk, kind, monkeypatch):
    how = Cut(32, 1.25, kind)
    decoded = killed_after(on_disk, how, 2, monkeypatch)  # both people of a.png
    seen = []
    store = prepare(read_part(on_disk, "train"), how, lambda done, total: seen.append((done, total)))
    assert decoded == ["b.png"]
    assert seen == [(3, 3)]
    whole = [store.crops[row].copy() for row in range(3)]
    (cache_dir() / "stores" / f"{store.key}.h5").unlink()
    again = prepare(read_part(on_disk, "train"), how)
    assert all(np.array_equal(again.crops[row], whole[row]) for row in range(3))
    assert not [name for name in stores() if name.endswith((".partial", ".done", ".whole"))]


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_what_a_kill_damaged_is_made_anew(on_disk, kind, monkeypatch):
    how = Cut(32, 1.25, kind)
    decoded = killed_after(on_disk, how, 2, monkeypatch)
    partial = cache_dir() / "stores" / f"{store_key(read_part(on_disk, 'train'), how)}.partial"
    partial.write_bytes(partial.read_bytes()[:5])
    store = prepare(read_part(on_disk, "train"), how)
    assert sorted(decoded) == ["a.png", "b.png"]
    assert all(store.crops[row].any() for row in range(3))


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_a_noted_crop_that_was_damaged_before_the_store_was_finished_is_seen_when_read(on_disk, kind, monkeypatch):
    """Its digest was noted when it was cut, not when the store was finished."""
    part, how = read_part(on_disk, "train"), Cut(32, 1.25, kind)
    whole = pixels_of(prepare(part, how))
    path = store_path(part, how)
    path.unlink()
    killed_after(on_disk, how, 2, monkeypatch)
    partial = path.with_suffix(".partial")
    flip_byte(partial, (place_of(partial, "crops") if kind == "raw" else 0) + 900)
    told = []
    store = prepare(part, how, notice=told.append)
    assert told == []
    assert np.array_equal(pixels_of(store), whole)
    assert len(told) == 1


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(on_disk, monkeypatch):
    usage = type("Usage", (), {"free": 3 * Cut(32, 1.0).side ** 2 * 3 - 1})
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(KpError, match=r"take [\d.]+ kB, [\d.]+ kB are free.*training\.crops = 'jpeg'"):
        prepare(read_part(on_disk, "train"), Cut(32, 1.0))
    usage.free += 1
    assert len(prepare(read_part(on_disk, "train"), Cut(32, 1.0))) == 3


def test_what_a_killed_preparation_has_taken_need_not_be_free_again(on_disk, monkeypatch):
    how = Cut(32, 1.0)
    killed_after(on_disk, how, 2, monkeypatch)
    partial = cache_dir() / "stores" / f"{store_key(read_part(on_disk, 'train'), how)}.partial"
    taken = partial.stat().st_blocks * 512
    assert taken > 0
    usage = type("Usage", (), {"free": how.size(3) - taken - 1})
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(KpError, match="free disk"):
        prepare(read_part(on_disk, "train"), how)
    usage.free += 1
    assert len(prepare(read_part(on_disk, "train"), how)) == 3


# What exactly is cut, kept and read back


@pytest.mark.parametrize(
    ("resolution", "far", "side"), [(32, 1.0, 34), (31, 1.0, 34), (32, 1.25, 42), (32, 1.26, 44), (256, 1.5, 386)]
)
def test_a_stored_crop_has_a_pixel_more_on_each_side_and_is_even(resolution, far, side):
    assert Cut(resolution, far).side == side
    assert Cut(resolution, far).size(10) == 10 * side * side * 3
    assert Cut(resolution, far, "jpeg").size(10) == side * side * 3  # a tenth
    assert Cut(resolution, far).kind == "raw"


@pytest.mark.parametrize(
    ("side", "centre", "left", "top", "span"),
    [
        (30.0, (20, 16), 5, 1, 32),  # exactly the stored crop's 32 px
        (30.0, (20.4, 17.1), 5, 2, 32),
        (60.3, (20, 16), -11, -15, 64),  # 64.32 px: shrunk, to the nearest
        (60.6, (20, 16), -12, -16, 65),
        (29.9, (20, 16), 4, 0, 33),  # 31.9 px: enlarged, a source pixel to spare
        (0.1, (20, 16), 20, 16, 2),
    ],
)
def test_a_window_is_whole_pixels_about_the_centre(side, centre, left, top, span):
    what = store_module.window(person(None, centre, side), Cut(30, 1.0))
    assert (what.left, what.top, what.span, what.side) == (left, top, span, 32)
    corners = apply(what.map.affine, np.array([(left - 0.5, top - 0.5), (left + span - 0.5, top + span - 0.5)]))
    np.testing.assert_allclose(corners, [(-0.5, -0.5), (31.5, 31.5)], atol=1e-9)


def test_the_largest_window_is_20_000_px():
    assert store_module.window(person(None, (0, 0), 18_750.0), Cut(30, 1.0)).span == 20_000
    with pytest.raises(KpError, match=r"^image7, row 7: its crop is 20001 px wide with the margin, at most 20000 can"):
        store_module.window(person(None, (0, 0), 18_751.0, row=7), Cut(30, 1.0))


@pytest.mark.parametrize(("side", "how"), [(60.0, cv2.INTER_AREA), (20.0, cv2.INTER_LINEAR)])
def test_shrinking_averages_areas_and_enlarging_interpolates(side, how):
    image = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    one = person(image, (45, 45), side)
    what = store_module.window(one, Cut(30, 1.0))
    square = image[what.top : what.top + what.span, what.left : what.left + what.span]
    expected = cv2.resize(square, (32, 32), interpolation=how)
    np.testing.assert_array_equal(store_module.cut(image, one, Cut(30, 1.0)), expected)


@pytest.mark.parametrize("centre", [(3, 4), (86, 4), (3, 70), (86, 70), (45, 3), (3, 40)])
def test_what_is_cut_at_an_edge_lies_where_it_was(centre):
    image = np.random.default_rng(1).integers(1, 256, (74, 90, 3), np.uint8)
    one = person(image, centre, 30.0)
    what = store_module.window(one, Cut(30, 1.0))
    wide = np.pad(image, ((40, 40), (40, 40), (0, 0)))
    expected = wide[what.top + 40 : what.top + 72, what.left + 40 : what.left + 72]
    np.testing.assert_array_equal(store_module.cut(image, one, Cut(30, 1.0)), expected)
    assert (expected == 0).any() and (expected > 0).any()


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_a_store_holds_all_that_is_known_of_its_people(given, kind):
    image = np.full((60, 80, 3), 90, np.uint8)
    samples = []
    for row in range(3):
        one = person(image, (30.25 + row, 20.5), 24.0 + row, [(row, k) for k in range(6)], row=10 + row)
        state = np.array([VISIBLE, HIDDEN, UNLABELLED, VISIBLE, HIDDEN, VISIBLE], np.uint8)
        samples.append(
            Sample(
                **{**vars(one), "normaliser": 3.5 + row, "person_id": f"p{row}", "image_id": f"bild_ä{row}",
                   "state": np.roll(state, row), "mm_per_px": 2.5 * (row + 1)}
            )
        )  # fmt: skip
    data, how = given(*samples), Cut(32, 1.25, kind)
    part = read_part(data, "valid")
    store = prepare(part, how)
    assert (store.key, store.part, store.resolution) == (store_key(part, how), part, 32)
    assert (part.label, part.name) == ("dots", "valid")
    assert store.skeleton == data.skeleton
    assert (len(store), store.crops.shape) == (3, (3, 42, 42, 3))
    people = store.people
    assert people.image_ids == ("bild_ä0", "bild_ä1", "bild_ä2")
    assert people.person_ids == ("p0", "p1", "p2")
    assert people.rows.tolist() == [10, 11, 12]
    assert people.normaliser.tolist() == [3.5, 4.5, 5.5]
    assert people.side.tolist() == [24.0, 25.0, 26.0]
    assert people.mm_per_px.tolist() == [2.5, 5.0, 7.5]
    np.testing.assert_array_equal(people.state, [sample.state for sample in samples])
    np.testing.assert_array_equal(people.points, [sample.points for sample in samples])
    np.testing.assert_array_equal(people.centre, [(30.25 + row, 20.5) for row in range(3)])
    np.testing.assert_array_equal(store.affines, [store_module.window(one, how).map.affine for one in samples])
    title = (cache_dir() / "stores" / f"{store.key}.json").read_text()
    assert title == f'{{"title": "dots, valid, 3 people at 32 px, {kind}"}}'
    with h5py.File(cache_dir() / "stores" / f"{store.key}.h5") as file:  # and nothing of who they are
        assert set(file) == {"crops", "digests"} | ({"places"} if kind == "jpeg" else set())


def test_a_jpeg_crop_is_of_quality_95_in_full_colour_resolution(given):
    image = np.random.default_rng(2).integers(0, 256, (60, 60, 3), np.uint8)
    one = person(image, (30, 30), 30.0)
    store = prepare(read_part(given(one), "train"), Cut(30, 1.0, "jpeg"))
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    pixels = cv2.cvtColor(store_module.cut(image, one, Cut(30, 1.0)), cv2.COLOR_RGB2BGR)
    expected = cv2.imencode(".jpg", pixels, settings)[1]
    with h5py.File(cache_dir() / "stores" / f"{store.key}.h5") as file:
        assert file["crops"][()].tobytes() == expected.tobytes()
        assert file["places"][()].tolist() == [[0, len(expected)]]
        assert file.attrs["side"] == 32


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_nothing_is_noted_as_safe_before_its_time_and_all_at_the_end(on_disk, kind, monkeypatch):
    """A kill within the first two seconds costs everything that was done; one later, what came after the last note."""
    assert crops_module.SAFE_EVERY == 2.0
    clock = [100.0]
    monkeypatch.setattr(crops_module.time, "monotonic", lambda: clock[0])

    def kill(done, total):
        clock[0] += 1.5
        if done == total:
            raise Killed

    with pytest.raises(Killed):
        prepare(read_part(on_disk, "train"), Cut(32, 1.0, kind), kill)
    notes = cache_dir() / "stores" / f"{store_key(read_part(on_disk, 'train'), Cut(32, 1.0, kind))}.done"
    noted = np.fromfile(notes, crops_module.NOTE)
    # Notes at 100 (begun) and, with the third person, at 103: rows 0 and 2 are of one image, row 1 comes last.
    assert (noted["offset"] >= 0).tolist() == [True, True, True]
    assert all(note["digest"].any() for note in noted)
    clock[0] = 100.0
    notes.unlink()
    notes.with_suffix(".partial").unlink()
    with pytest.raises(Killed):
        prepare(
            read_part(on_disk, "train"),
            Cut(32, 1.0, kind),
            lambda done, total: kill(total if done == 2 else done, total),
        )
    assert (np.fromfile(notes, crops_module.NOTE)["offset"] == -1).all()


def test_notes_of_another_number_of_people_are_not_believed(on_disk):
    how = Cut(32, 1.0, "jpeg")
    folder = cache_dir() / "stores"
    folder.mkdir(parents=True)
    key = store_key(read_part(on_disk, "train"), how)
    (folder / f"{key}.partial").write_bytes(b"x" * 5000)
    np.zeros(2, crops_module.NOTE).tofile(folder / f"{key}.done")
    store = prepare(read_part(on_disk, "train"), how)
    assert all(store.crops[row].any() for row in range(3))


def test_a_noted_crop_whose_bytes_are_not_all_there_is_made_anew(on_disk, monkeypatch):
    how = Cut(32, 1.0, "jpeg")
    decoded = killed_after(on_disk, how, 2, monkeypatch)
    partial = cache_dir() / "stores" / f"{store_key(read_part(on_disk, 'train'), how)}.partial"
    noted = np.fromfile(partial.with_suffix(".done"), crops_module.NOTE)
    ends = noted["offset"] + noted["length"]
    assert (ends[[0, 2]].max(), noted["offset"][1]) == (partial.stat().st_size, -1)
    partial.write_bytes(partial.read_bytes()[:-1])  # the later one lacks its last byte; the earlier is whole
    rows = []
    real = store_module.cut
    monkeypatch.setattr(
        store_module, "cut", lambda pixels, sample, cut: rows.append(sample.row) or real(pixels, sample, cut)
    )
    prepare(read_part(on_disk, "train"), how)
    assert sorted(rows) == [1, 2]
    assert sorted(decoded) == ["a.png", "b.png"]
