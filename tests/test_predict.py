"""Trained networks on new pictures: found, checked, fed by boxes, followed through videos, written."""

import csv
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import pytest
from hand_made import undraw
from kp_mpii.skeleton import MPII
from kp_outputs.lettering import Lettering, with_legend
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kpcore.cli.app import outcome
from kpcore.cli.predict import FORMATS, counts
from kpcore.cores import cores
from kpcore.drawing import LEGEND, Mark
from kpcore.errors import KpError
from kpcore.interfaces import Category
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.registry import registry
from kpcore.samples import Sample
from kpcore.trained import predicting
from kpcore.trained.api import TrainedModel, load_model
from kpcore.trained.boxes import read_boxes
from kpcore.trained.card import write_card
from kpcore.trained.copying import copy_model
from kpcore.trained.finding import Wanted, locate, trainings
from kpcore.trained.following import follow
from kpcore.trained.framing import Crop, Framing, measured, whole
from kpcore.trained.keypoints import Keypoints
from kpcore.trained.opening import _scores, open_model
from kpcore.trained.pictures import Picture, Source, frames, sources
from kpcore.trained.predicting import How, predict
from kpcore.trained.unsure import Unsure
from kpcore.trained.writing import Written, about_of


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_mpii, tiny_study):
    """A finished study of one split and one mode; its cache stays in place for the module."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_CACHE_DIR", str(folder / "cache"))
        undraw(patch)
        (folder / "study.toml").write_text(tiny_study)
        sets = [
            f"dataset.root={tiny_mpii}",
            'split.splits=["d"]',
            'study.modes=["transfer"]',
            "training.precision=fp32",
        ]
        words = [word for one in sets for word in ("--set", one)]
        code = outcome(["run", str(folder / "study.toml"), *words, "--out", str(folder / "out"), "--jobs", "1"])
        assert code == 0
    return folder


@pytest.fixture
def model(run, monkeypatch):
    """The job's folder as the run shows it."""
    monkeypatch.setenv("KP_CACHE_DIR", str(run / "cache"))
    return run / "out" / "jobs" / "d-transfer-0"


# ------------------------------------------------------------------------------------------------ the model


def test_a_finished_job_is_a_model_that_explains_itself(model, tiny_mpii):
    card = open_model(str(model)).card
    assert (card.study, card.name) == ("tiny", "d-transfer-0") and len(card.steps) == 2
    assert card.model.heads[-1].keypoints == card.steps[-1]
    assert card.scores[0].convention.startswith("PCKh") and card.scores[0].samples == 6
    sides = longer_sides(tiny_mpii, card.steps[-1])
    assert card.framing.points == pytest.approx(np.median(64 / sides), rel=1e-5)


def longer_sides(root, names):
    """Longer side of the box of these keypoints, of every person that was trained on."""
    places = [MPII.names.index(name) for name in names]
    with h5py.File(root / "annot" / "train.h5") as file:
        return np.ptp(file["part"][:, places], axis=1).max(1)


def test_the_same_boxes_give_the_studys_own_predictions(model, tiny_mpii, tmp_path):
    with (tmp_path / "crops.csv").open("w") as file:
        file.write("image,centre_x,centre_y,side,id\n")
        file.writelines(f"valid{person}.png,31.5,31.5,64,{person}\n" for person in range(6))
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{tiny_mpii}/images/valid{person}.png\n" for person in range(6)))
    words = ["--boxes", str(tmp_path / "crops.csv"), "--flip-test", "--format", "h5", "--out", str(tmp_path / "out")]
    assert outcome(["predict", str(model), str(listed), *words]) == 0
    with h5py.File(tmp_path / "out" / "predictions.h5") as mine, h5py.File(model / "predictions.h5") as theirs:
        np.testing.assert_allclose(mine["preds"], theirs["preds"], atol=1e-4)
        np.testing.assert_allclose(mine["confidence"], theirs["confidence"], atol=1e-6)
        assert list(mine.attrs["keypoints"]) == list(theirs.attrs["keypoints"])


def test_models_are_found_by_path_key_and_name_and_told_apart(model, capsys):
    found = trainings()
    assert [one.name for one in found] == ["d-source-0", "d-transfer-0"]
    assert [one.name for one in found if Wanted(mode="transfer", split="d", seed=0, study="tiny").takes(one)] == [
        "d-transfer-0"
    ]
    assert not [one for one in found if Wanted(seed=1).takes(one)]
    last = found[-1]
    assert locate(last.key[:10]) == locate("tiny/d-transfer-0") == last.folder
    assert [one.key for one in trainings(model.parent.parent)] == [one.key for one in found]
    with pytest.raises(KpError, match="no such file, folder or training; did you mean 'tiny/d-transfer-0'"):
        locate("tiny/d-transfr-0")
    with pytest.raises(KpError, match="no folder of a run"):
        trainings(model)
    assert outcome(["models", "ls", "--mode", "transfer", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["d-transfer-0"]
    assert outcome(["models", "ls"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "tiny/d-transfer-0" in line)
    assert line.split()[2] == "8" and "PCK@" in line
    assert outcome(["models", "show", "tiny/d-transfer-0"]) == 0
    told = capsys.readouterr().out
    assert "PCK@" in told and told.split()[0] == "name" and "kp models show RUN/jobs/d-transfer-0" in told


def test_scores_of_a_run_are_those_of_the_last_step_and_what_was_kept_of_an_earlier_one():
    split = SimpleNamespace(name="d", datasets=())
    data = SimpleNamespace(label="mice", people={"valid": 18}, step="", others=())
    kept = SimpleNamespace(step=0, average=77.3, columns={"paw": 77.3}, before=81.43)
    row = SimpleNamespace(split="d", convention="PCK", average=99.1, columns={"tail": 99.1}, retained=[kept])
    scored, old = _scores(row, SimpleNamespace(splits=[split], data=data))
    assert (scored.average, scored.data, scored.samples) == (99.1, "mice", 18)
    assert (old.average, old.data, old.columns) == (77.3, "mice: keypoints of step 1, 81.4 before", {"paw": 77.3})


def test_a_copied_model_predicts_the_same_and_is_refused_where_it_was_changed(model, tiny_mpii, tmp_path):
    image = tiny_mpii / "images" / "valid0.png"
    assert outcome(["models", "copy", str(model), str(tmp_path / "mine")]) == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["model.json", "weights.safetensors"]
    there, here = (load_model(path, device="cpu").predict(image) for path in (model, tmp_path / "mine"))
    np.testing.assert_array_equal(there.points, here.points)
    assert load_model(tmp_path / "mine").card.scores == open_model(str(model)).card.scores
    card = tmp_path / "mine" / "model.json"
    card.write_text(card.read_text().replace('"tiny"', '"mine"'))
    with pytest.raises(KpError, match=r"model\.json: it was changed after it was written"):
        load_model(tmp_path / "mine")
    assert load_model(tmp_path / "mine", changed=True).card.study == "mine"
    with pytest.raises(KpError, match="is not empty"):
        copy_model(str(model), tmp_path / "mine")


def test_changed_weights_another_version_and_what_is_no_model_are_one_line(model, tmp_path):
    copy_model(str(model), tmp_path / "mine")
    weights = tmp_path / "mine" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(KpError, match=r"weights\.safetensors: it was changed"):
        load_model(tmp_path / "mine")
    card = tmp_path / "mine" / "model.json"
    card.write_text(card.read_text().replace("kptransfer model 1", "kptransfer model 9"))
    with pytest.raises(KpError, match="is of format \"kptransfer model 9\", this program reads 'kptransfer model 1'"):
        load_model(tmp_path / "mine")
    card.write_text("{" * 100_000)
    with pytest.raises(KpError, match=r"model\.json: cannot be read"):
        load_model(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(KpError, match="no model folder"):
        load_model(tmp_path / "empty")


# --------------------------------------------------------------------------------------------------- framing

PAIR = Skeleton("pair", (Keypoint("a", group="a"), Keypoint("b", group="b")), (("a", "b"),))


def sample(a, b, centre, side, state=(2, 2)):
    return Sample(
        image=np.zeros((4, 4, 3), np.uint8), points=np.array([a, b], np.float32), state=np.array(state, np.uint8),
        centre=np.array(centre, np.float32), side=side, normaliser=1.0, image_id="i", person_id="p", row=0,
    )  # fmt: skip


def test_framing_is_the_median_of_the_trainings_crops_and_gives_them_back():
    samples = [sample((0, 0), (10, 20), (5, 14), 40.0), sample((0, 0), (20, 10), (10, 7), 40.0)]
    samples += [sample((0, 0), (10, 20), (5, 14), 40.0), sample((3, 3), (9, 9), (0, 0), 999.0, state=(2, 0))]
    found = measured(samples, PAIR.all())
    assert found.points == 2.0 and found.shift == pytest.approx((0.0, 0.1))
    assert found.of_points(np.array([[0.0, 0.0], [10.0, 20.0]])) == Crop(5.0, 14.0, 40.0)
    assert found.of_points(np.array([[1.0, 1.0], [np.nan, 2.0]])) is None
    assert found.of_points(np.array([[1.0, 1.0], [1.0, 1.0]])) is None
    assert measured([sample((0, 0), (9, 9), (0, 0), 9.0, state=(2, 0))], PAIR.all()) == Framing()


def test_a_box_and_a_whole_picture_become_crops_about_their_middles():
    assert Framing().of_box((10, 20, 40, 80)) == Crop(30.0, 60.0, 100.0)
    assert Framing(box=2.0).of_box((10, 20, 40, 80), 1.0) == Crop(30.0, 60.0, 80.0)
    assert whole(100, 60) == Crop(49.5, 29.5, 100.0)


# ----------------------------------------------------------------------------------------- boxes and pictures


def test_boxes_of_a_csv_belong_to_images_frames_and_instances(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("file_name,left,top,w,h,track\na.png,1,2,3,4,tom\nsub/b.png,5,6,7,8,\na.png,9,9,9,9,eva\n")
    boxes = read_boxes(path)
    assert [(one.box, one.id) for one in boxes.of(Picture("a.png", path))] == [
        ((1, 2, 3, 4), "tom"),
        ((9, 9, 9, 9), "eva"),
    ]
    assert boxes.of(Picture("b.png", path))[0].box == (5, 6, 7, 8)
    assert boxes.of(Picture("c.png", path)) == ()
    path.write_text("image,frame,x,y,width,height\nv.mp4,3,1,2,3,4\n")
    assert read_boxes(path).of(Picture("v.mp4", path, 3))[0].box == (1, 2, 3, 4)
    assert read_boxes(path).of(Picture("v.mp4", path, 4)) == ()


def test_boxes_of_coco_belong_to_file_names_and_state_sizes(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 7, "file_name": "a.png", "width": 6, "height": 5}],
                "annotations": [{"id": 1, "image_id": 7, "bbox": [1, 2, 3, 4]}],
            }
        )
    )
    boxes = read_boxes(path)
    assert boxes.of(Picture("a.png", path))[0].box == (1, 2, 3, 4) and boxes.size(Picture("a.png", path)) == (6, 5)


def coco_boxes(path, **more):
    """A COCO file of three images, one of which nobody is on, and two categories; the second annotation is a crowd."""
    images = [{"id": 7, "file_name": "a.png"}, {"id": "x", "file_name": "sub/b.png"}, {"id": 30, "file_name": "c.png"}]
    rows = [(7, {"category_id": 1}), (7, {"category_id": 1, "iscrowd": 1}), ("x", {"category_id": 5}), ("x", {})]
    annotations = [
        {"id": 100 + row, "image_id": image, "bbox": [1, 2, 3, 4], **rest} for row, (image, rest) in enumerate(rows)
    ]
    categories = [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}, {"id": 5, "name": "box"}, "no category"]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories, **more}))
    return read_boxes(path)


def test_boxes_of_coco_keep_ids_of_images_categories_and_rows_and_no_crowds(tmp_path):
    boxes = coco_boxes(tmp_path / "boxes.json")
    pictures = [Picture(name, tmp_path) for name in ("a.png", "b.png", "c.png", "other.png")]
    assert [boxes.image_id(picture) for picture in pictures] == [7, "x", 30, None]
    assert [[(box.id, box.category, box.row) for box in boxes.of(picture)] for picture in pictures] == [
        [("100", 1, 0)], [("102", 5, 2), ("103", None, 3)], [], [],
    ]  # fmt: skip
    assert boxes.categories == (Category(1, "cat", ("nose", "tail")), Category(5, "box"))
    assert boxes.free_image_id == 31
    bare = coco_boxes(tmp_path / "boxes.json", categories=None)
    assert bare.categories == () and bare.of(pictures[0])[0].category is None


def test_predictions_bear_what_the_coco_file_of_boxes_calls_them(tmp_path):
    boxes = coco_boxes(tmp_path / "boxes.json")
    pictures = [Picture(name, tmp_path, pixels=scene(40, 40, (9, 9), (20, 20))) for name in ("sub/b.png", "c.png")]
    full, empty = predict(pictures, Blobs(), How(boxes=boxes))
    assert (full.image_id, full.categories, full.rows, full.ids) == ("x", (5, None), (2, 3), ("102", "103"))
    assert (empty.image_id, empty.categories, empty.rows) == (30, (), ())
    (plain,) = predict(pictures[:1], Blobs(), How())
    assert (plain.image_id, plain.categories, plain.rows) == (None, (), ())
    about = about_of([], Blobs(), SimpleNamespace(study="s", name="n", title="s/n", steps=()), boxes)
    assert (about.boxes, about.free_image_id, len(about.categories)) == (tmp_path / "boxes.json", 31, 2)


def test_two_videos_of_one_name_are_refused(tmp_path):
    for name in ("one/v.mp4", "two/v.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(KpError, match=r"two/v\.avi: is called as .*one/v\.mp4 is"):
        sources([str(tmp_path / "one" / "v.mp4"), str(tmp_path / "two" / "v.avi")])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("b.csv", "", "is empty"),
        ("b.csv", "image,x,y,width\na,1,2,3\n", "no column 'height'"),
        ("b.csv", "image,x,y,width,height\na,1,2,3,-4\n", "line 2: 1, 2, 3, -4 is no box"),
        ("b.csv", "image,x,y,width,height\na,1,2,3,abc\n", "line 2, column height: 'abc' is not a number"),
        ("b.json", "[1]", "no list 'images'"),
        ("b.json", '{"images": [{"id": 1}], "annotations": []}', r"images\[0\]: no 'file_name'"),
        ("b.json", '{"images": [], "annotations": [{"image_id": [1], "bbox": []}]}', r"image_id \[1\] is no image"),
        (
            "b.json",
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3]}]}',
            "is no list of 4 numbers",
        ),
        *(
            (
                "b.json",
                '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3,'
                + far
                + "]}]}",
                r"annotations\[0\]: 1, 2, 3, [-e+0-9inf]{3,} is no box; .* no number is beyond",
            )
            for far in ("1000001", "1e308", "-" + "9" * 400, "9" * 400)
        ),
        ("b.json", "[" * 100_000, "cannot be read as boxes"),
    ],
)
def test_what_is_wrong_with_a_file_of_boxes_is_one_line(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(KpError, match=told):
        read_boxes(tmp_path / name)


def test_sources_are_images_folders_patterns_and_lists_and_clashes_have_whole_paths(tmp_path):
    for name in ("one/a.png", "one/sub/b.jpg", "two/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "list.txt").write_text("# mine\none/a.png\n\ntwo/a.png\n")
    assert sources([str(tmp_path / "one")])[0].names == ("a.png", "sub/b.jpg")
    assert sources([str(tmp_path / "list.txt")])[0].names == ("one/a.png", "two/a.png")
    assert len(sources([str(tmp_path / "*" / "a.png")])[0]) == 2
    clash = sources([str(tmp_path / "one"), str(tmp_path / "two")])
    assert [name for one in clash for name in one.names] == ["one/a.png", "sub/b.jpg", "two/a.png"]
    whole = tmp_path / "whole.txt"
    whole.write_text("".join(f"{tmp_path}/{name}\n" for name in ("one/a.png", "one/sub/b.jpg", "two/a.png")))
    named = ("one/a.png", "one/sub/b.jpg", "two/a.png")
    assert sources([str(whole)])[0].names == named and sources([str(tmp_path / "**/*.*g")])[0].names == named
    (tmp_path / "b.csv").write_text("image,x,y,width,height\n" + "".join(f"{tmp_path}/{n},0,0,9,9\n" for n in named))
    boxes = read_boxes(tmp_path / "b.csv")
    assert [len(boxes.of(one)) for one in sources([str(whole)])[0].known] == [1, 1, 1]
    boxes.require_some(sources([str(whole)])[0].known)
    (tmp_path / "none").mkdir()
    for word, told in (("none", "holds no image"), ("*.gif", "the pattern finds no image"), ("x.png", "no such file")):
        with pytest.raises(KpError, match=told):
            sources([str(tmp_path / word)])


# ----------------------------------------------------------------------- an engine that sees, without a network


class Blobs:
    """Finds the middle of what is red and of what is green: an engine whose right answer is known."""

    keypoints = PAIR.all()
    resolution = 64
    framing = Framing(points=2.0)
    on_cpu = True

    def crops(self, pixels):
        steps = np.arange(self.resolution, dtype=np.float64)
        points, sure = [], []
        for image in pixels:
            weights = image[..., :2].astype(np.float64).clip(60) - 60
            total = weights.sum((0, 1))
            x, y = (weights.sum(axis) * steps[:, None] for axis in (0, 1))
            points.append(np.stack([x.sum(0), y.sum(0)], 1) / np.maximum(total, 1)[:, None])
            sure.append(total / 1e4)
        return np.array(points), np.array(sure)


def scene(width, height, red, green):
    image = np.zeros((height, width, 3), np.uint8)
    for channel, place in ((0, red), (1, green)):
        if place is not None:
            layer = np.zeros((height, width), np.uint8)
            cv2.circle(layer, place, 8, 250, -1)
            image[..., channel] = layer
    return image


def test_an_unreadable_picture_and_a_box_outside_are_told_and_the_others_are_done(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), scene(200, 160, (60, 70), (120, 90))[..., ::-1])
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n0.png,40,40,100,80\n1.png,0,0,9,9\n2.png,900,0,9,9\n")
    source = Source(tmp_path, tuple((f"{n}.png", tmp_path / f"{n}.png") for n in range(3)))
    how = How(boxes=read_boxes(tmp_path / "boxes.csv"), batch_size=2)
    good, bad, outside = predict(source.pictures(), Blobs(), how)
    np.testing.assert_allclose(good.points[0], [[60, 70], [120, 90]], atol=1.0)
    assert (
        not good.problem
        and "1.png" in bad.problem
        and "lies outside the picture, which is 200 x 160 px" in outside.left_out[0]
    )


def test_a_picture_without_a_box_is_given_out_empty_and_the_order_holds(tmp_path):
    pictures = [Picture(str(n), tmp_path, pixels=scene(100, 100, (30 + n, 40), (70, 60))) for n in range(40)]
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n7,0,0,99,99\n9,0,0,99,99\n9,0,0,90,90\n")
    found = list(predict(pictures, Blobs(), How(boxes=read_boxes(tmp_path / "boxes.csv"), batch_size=2)))
    assert [one.name for one in found] == [str(n) for n in range(40)]
    assert [len(one.points) for one in found] == [{7: 1, 9: 2}.get(n, 0) for n in range(40)]
    assert found[9].points[0, 0] == pytest.approx([39, 40], abs=1)


def test_pictures_without_instances_do_not_pile_up_behind_a_batch_that_does_not_fill(tmp_path):
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n0,0,0,99,99\n")
    taken = []

    def many():
        for number in range(1000):
            taken.append(number)
            yield Picture(str(number), tmp_path, pixels=scene(100, 100, (30, 40), (70, 60)))

    found = predict(many(), Blobs(), How(boxes=read_boxes(tmp_path / "boxes.csv"), batch_size=8))
    assert next(found).name == "0" and len(taken) < 200


class Watched(Blobs):
    """Notes which pictures have been cut when a batch goes through; it waits for those that are being cut."""

    def __init__(self, on_cpu, cut):
        self.on_cpu, self.cut, self.seen = on_cpu, cut, []

    def crops(self, pixels):
        until = time.monotonic() + (0.05 if self.on_cpu else 5)
        while time.monotonic() < until and (self.on_cpu or len(self.cut) < 8):
            time.sleep(0.001)
        self.seen.append(len(self.cut))
        return super().crops(pixels)


@pytest.mark.parametrize("on_cpu", [True, False])
def test_a_network_on_the_cpu_takes_turns_with_reading_and_another_is_read_ahead_of(on_cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "AHEAD", 0)
    cut, real = [], predicting.prepare
    monkeypatch.setattr(predicting, "prepare", lambda one, **how: (real(one, **how), cut.append(one.name))[0])
    engine = Watched(on_cpu, cut)
    pictures = [Picture(str(number), tmp_path, pixels=scene(80, 80, (30, 40), (50, 60))) for number in range(12)]
    found = list(predict(iter(pictures), engine, How(batch_size=4)))
    assert [one.name for one in found] == [one.name for one in pictures]
    assert engine.seen == [4, 8, 12] if on_cpu else engine.seen[0] >= 8


def test_a_turn_is_as_many_crops_as_some_batches_have_or_few_pictures_where_pixels_are_held(tmp_path):
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n" + "4.png,0,0,9,9\n" * 50)
    boxes = read_boxes(tmp_path / "boxes.csv")

    def turns(how, pixels=None):
        coming = (Picture(f"{number}.png", tmp_path, pixels=pixels) for number in range(100))
        return [len(list(predicting._turn(coming, how))) for _ in range(3)]

    assert turns(How(batch_size=8)) == [32, 32, 32]
    assert turns(How(batch_size=8, boxes=boxes)) == [5, 32, 32]
    assert turns(How(batch_size=32)) == [100, 0, 0]
    few = [predicting.AHEAD * cores()] * 3
    assert turns(How(batch_size=32, keep=True)) == turns(How(batch_size=32), scene(9, 9, None, None)) == few


def test_large_pictures_without_a_box_are_not_held_behind_a_batch_that_does_not_fill(tmp_path, monkeypatch):
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n0,0,0,99,99\n")
    monkeypatch.setattr(predicting, "HELD", 5 * 100 * 100 * 3)
    taken = []

    def many():
        for number in range(1000):
            taken.append(number)
            yield Picture(str(number), tmp_path, pixels=scene(100, 100, (30, 40), (70, 60)))

    how = How(boxes=read_boxes(tmp_path / "boxes.csv"), batch_size=64, keep=True)
    found = predict(many(), Blobs(), how)
    assert next(found).name == "0" and len(taken) <= 5 + 2 * predicting.AHEAD * cores()


def video(path, images, rate=10.0):
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def test_following_keeps_an_instance_that_moves_out_of_its_first_crop(tmp_path):
    places = [(60 + 6 * step, 60) for step in range(40)]
    images = [scene(400, 120, place, (place[0] + 30, 80)) for place in places]
    path = video(tmp_path / "walk.mp4", images)
    (tmp_path / "boxes.csv").write_text("image,frame,x,y,width,height\nwalk.mp4,0,45,40,60,60\n")
    found = list(follow(frames(path), Blobs(), How(boxes=read_boxes(tmp_path / "boxes.csv"))))
    assert len(found) == 40 and found[0].ids == ("1",)
    np.testing.assert_allclose([one.points[0, 0, 0] for one in found], [x for x, _ in places], atol=2.0)


def test_following_loses_what_is_not_there_and_finds_it_again_where_it_began(tmp_path):
    images = [scene(200, 120, (60, 60), (90, 80))] * 8 + [scene(200, 120, None, None)] * 6
    images += [scene(200, 120, (64, 60), (94, 80))] * 5
    pictures = [Picture("v", tmp_path, number, image) for number, image in enumerate(images)]
    (tmp_path / "boxes.csv").write_text("image,frame,x,y,width,height\nv,0,45,40,60,60\n")
    found = list(follow(pictures, Blobs(), How(boxes=read_boxes(tmp_path / "boxes.csv"))))
    lost = [bool(np.isnan(one.points).all()) for one in found]
    assert lost == [False] * 8 + [True] * 6 + [False] * 5
    np.testing.assert_allclose(found[-1].points[0], [[64, 60], [94, 80]], atol=2.0)


def test_following_needs_a_network_that_knows_its_crops(tmp_path):
    blind = Blobs()
    blind.framing = Framing()
    with pytest.raises(KpError, match="do not tell where a crop lies"):
        next(follow([Picture("v", tmp_path, 0, scene(9, 9, None, None))], blind, How()))


def test_a_video_that_ends_early_is_said_after_its_frames(tmp_path, monkeypatch):
    path = video(tmp_path / "v.mp4", [scene(64, 64, (9, 9), (30, 30))] * 5)
    monkeypatch.setattr("kpcore.trained.pictures.frames_of", lambda path: 9)
    found = list(predict(frames(path), Blobs(), How()))
    assert [one.frame for one in found] == [0, 1, 2, 3, 4, 5]
    assert "ends after 5 frames, its header promises 9" in found[-1].problem
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(KpError, match="cannot be opened as a video"):
        list(frames(tmp_path / "bad.mp4"))


# ------------------------------------------------------------------------------------------------- the command


def test_predict_writes_a_tidy_table_pictures_and_a_video(model, tiny_mpii, tmp_path, capsys):
    image = cv2.imread(str(tiny_mpii / "images" / "valid0.png"))[..., ::-1]
    path = video(tmp_path / "v.mp4", [image] * 4)
    words = ["--format", "csv", "--format", "pictures", "--set", "pictures.text=false", "--out", str(tmp_path / "out")]
    one = str(tiny_mpii / "images" / "valid1.png")
    assert outcome(["predict", str(model), one, str(path), *words]) == 0
    out = capsys.readouterr().out
    assert "tiny/d-transfer-0, trained on MPII" in out and "5 instances in 1 picture and 4 frames." in out
    with (tmp_path / "out" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 8 and {row["image"] for row in rows} == {"valid1.png", "v.mp4"}
    assert {row["frame"] for row in rows} == {"", "0", "1", "2", "3"}
    assert cv2.imread(str(tmp_path / "out" / "pictures" / "valid1.png")).shape == (64, 64, 3)
    assert len(list(frames(tmp_path / "out" / "pictures" / "v.mp4"))) == 4


def test_predict_says_what_failed_and_ends_with_1(model, tiny_mpii, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"{tiny_mpii}/images/valid0.png\nnot_there.png\n")
    assert outcome(["predict", str(model), str(tmp_path / "list.txt"), "--out", str(tmp_path / "out"), "--json"]) == 1
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["pictures"] == 1 and "does not exist" in found["problems"][0]["problem"]
    assert "not_there.png: image file does not exist" in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "cvs"], "did you mean 'csv'"),
        (
            ["--set", "pictures.text=false"],
            "--set pictures: csv is written, and 'pictures' is not; add --format pictures",
        ),
        (["--set", "pictres.text=false"], "--set: unknown format 'pictres'; did you mean 'pictures'?"),
        (["--format", "coco", "--set", "coco.least=a"], "--set coco: least: "),
        (["--orientation", "up"], "unknown orientation 'up'"),
        (["--follow"], "is no video; leave --follow out"),
        (["--boxes", "no.csv"], "no.csv"),
    ],
)
def test_wrong_options_of_predict_are_one_line(model, tiny_mpii, tmp_path, capsys, words, told):
    one = str(tiny_mpii / "images" / "valid0.png")
    assert outcome(["predict", str(model), one, "--out", str(tmp_path / "out"), *words]) == 2
    assert told in capsys.readouterr().err


def test_the_file_of_predictions_has_the_rows_of_coco_boxes_and_is_scored_by_them_alone(model, tiny_mpii, tmp_path):
    images = [{"id": 9 - person, "file_name": f"valid{person}.png"} for person in range(6)]
    annotations = [{"id": n, "image_id": n + 4, "bbox": [6, 6, 51.2, 51.2], "category_id": 1} for n in range(6)]
    (tmp_path / "boxes.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    words = ["--boxes", str(tmp_path / "boxes.json"), "--format", "h5", "--format", "coco", "--out", str(tmp_path)]
    assert outcome(["predict", str(model), str(tiny_mpii / "images" / "valid*.png"), *words]) == 0
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert file["rows"][:].tolist() == [5, 4, 3, 2, 1, 0]
    document = json.loads((tmp_path / "coco.json").read_text())
    assert [image["id"] for image in document["images"]] == [9, 8, 7, 6, 5, 4]
    assert [one["image_id"] for one in document["annotations"]] == [9, 8, 7, 6, 5, 4]


def test_predictions_in_another_order_score_the_same_and_are_written_over_when_told_so_alone(
    model, tiny_mpii, tmp_path, capsys
):
    shuffled = [tiny_mpii / "images" / f"valid{person}.png" for person in (0, 2, 1, 3, 4, 5)]
    words = ["--format", "h5", "--out", str(tmp_path)]
    file = str(tmp_path / "predictions.h5")
    scoring = ["eval", file, "--dataset", "mpii", "--root", str(tiny_mpii), "--part", "valid", "--json"]
    assert outcome(["predict", str(model), *map(str, shuffled), *words]) == 0
    capsys.readouterr()
    assert outcome(scoring) == 0
    first = json.loads(capsys.readouterr().out)
    assert outcome(["predict", str(model), *map(str, sorted(shuffled)), *words]) == 2
    assert "predictions.h5: is there already" in capsys.readouterr().err
    assert outcome(["predict", str(model), *map(str, sorted(shuffled)), *words, "--overwrite"]) == 0
    capsys.readouterr()
    assert outcome(scoring) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == first["columns"]


def test_the_line_of_counts_says_pictures_frames_boxes_and_what_following_lost():
    some = Written(pictures=32, instances=5, without=28, problems=[("a", "b")])
    assert counts(some, False) == "5 instances in 32 pictures; 28 of them without a box; 1 not read."
    assert counts(Written(pictures=20, frames=20, instances=20, lost=3), True) == (
        "20 instances in 20 frames; 3 of the instances lost."
    )
    assert counts(Written(pictures=3, frames=2, instances=3), True).startswith(
        "3 instances in 1 picture and 2 frames; none"
    )


def test_the_help_names_the_formats_that_come_along():
    assert sorted(FORMATS) == [name for name in registry().names("writer") if ":" not in name]


def test_what_is_left_out_for_its_confidence_is_counted():
    found = Unsure(0.5)
    points = np.array([[1.0, 1.0], [2.0, 2.0], [np.nan, np.nan]])
    for kept in ([True, False, False], [False, False, False]):
        found.count(points, np.array(kept))
    assert (
        found.notes() == ["3 of 4 keypoints are less sure than 0.5 and left out; 1 of 2 instances have none left"]
        and not Unsure(None).notes()
    )


# --------------------------------------------------------------------------------------------------- in Python


def test_a_loaded_model_predicts_arrays_and_boxes_and_draws(model, tiny_mpii):
    loaded = load_model(model, device="cpu")
    image = cv2.imread(str(tiny_mpii / "images" / "valid0.png"))[..., ::-1].copy()
    found = loaded.predict(image, boxes=[[4, 4, 50, 50], [0, 0, 30, 30]])
    assert len(found) == 2 and found.names == loaded.names and found[loaded.names[0]].shape == (2, 2)
    assert found.crops[0].tolist() == [29.0, 29.0, 62.5]
    assert (found.draw() != image).any() and image.shape == found.draw().shape
    assert [record["keypoint"] for record in found.records()][:8] == list(loaded.names)
    assert next(iter(found))[loaded.names[1]] == pytest.approx(found[loaded.names[1]][0])
    grey = loaded.predict(image[..., 0])
    assert len(grey) == 1
    for wrong in (image.astype(float), image[..., :2], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(KpError, match=r"expected a path, \(H, W, 3\) uint8 RGB"):
            loaded.predict(wrong)
    with pytest.raises(KpError, match=r"expected \(N, 4\) left, top, width, height"):
        loaded.predict(image, boxes=[[1, 2, 3, 0]])


def marks(**places):
    return {name: Mark(place, False) for name, place in places.items()}


def test_words_cover_no_mark_and_names_are_left_out_where_they_would_cover_the_instance():
    found = marks(a=(100, 100), b=(112, 100), c=(100, 112), d=(399, 5))
    canvas = np.zeros((240, 400, 3), np.uint8)
    lettering = Lettering(canvas, [(found, 5)])
    lettering.names(found, 5)
    assert (canvas.sum() > 0) and not any(canvas[y - 4 : y + 5, max(0, x - 4) : x + 5].any() for x, y in
                                          (mark.place for mark in found.values()))  # fmt: skip
    assert canvas[:20, 370:392].any()  # on the left of the mark at the right edge
    small = np.zeros((240, 400, 3), np.uint8)
    many = marks(**{f"left_ankle{n}": (100 + n, 90) for n in range(17)})
    Lettering(small, [(many, 2)]).names(many, 2)
    assert not small.any()


def test_the_legend_tells_the_sets_that_there_are_and_narrow_pictures_have_none():
    picture = np.zeros((100, 400, 3), np.uint8)
    told = with_legend(picture, ("a", "b"), (("a",), ("b",)))
    strip = told[100:].reshape(-1, 3).tolist()
    assert told.shape[1] == 400 and len(told) % 2 == 0
    assert list(LEGEND["S1"]) in strip and list(LEGEND["S2"]) in strip and list(LEGEND["S1 and S2"]) not in strip
    assert len(with_legend(picture[:, :170], ("a", "b"), (("a",), ("b",)))) > len(told)  # in rows
    assert with_legend(picture[:, :99], ("a",), ()).shape == (100, 99, 3)


def test_an_annotation_s_id_is_no_name_and_a_track_s_is(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(Lettering, "headline", lambda self, words, *_: said.append(words))
    about = about_of([], Blobs(), SimpleNamespace(title="m", steps=()))
    sink = registry().build("writer", "pictures", {}, where="").open(tmp_path / "pictures", about)
    one = next(predict([Picture("a.png", tmp_path, pixels=PICTURE)], Blobs(), How(keep=True)))
    for rows in ((), (7,)):
        sink.add(replace(one, ids=("mary",), rows=rows, confidence=np.array([[0.5, 0.25]])))
    assert said == ["mary  confidence 0.38", "confidence 0.38"]
    assert cv2.imread(str(tmp_path / "pictures" / "a.png")).shape == PICTURE.shape


def in_python():
    """A model for programs, of an engine whose right answer is known."""
    card = SimpleNamespace(steps=(), title="lab/blobs-0", model=SimpleNamespace(data="blobs"))
    return TrainedModel(Blobs(), card)


PICTURE = scene(100, 80, (30, 40), (70, 60))
WRONG_IN_PYTHON = {
    "no keypoint": (lambda loaded: loaded.predict(PICTURE)["a_"], "found: unknown keypoint 'a_'"),
    "number": (lambda loaded: loaded.predict(PICTURE)[0], "found: unknown keypoint '0'"),
    "file of boxes": (lambda loaded: loaded.predict(PICTURE, "b.csv"), r"boxes: str 'b.csv'; expected .* predict_all"),
    "one box": (lambda loaded: loaded.predict(PICTURE, [1, 2, 3, 4]), r"boxes: list \[1, 2, 3, 4\]; expected"),
    "ragged boxes": (lambda loaded: loaded.predict(PICTURE, [[1, 2, 3, 4], [1]]), "boxes: list .*; expected"),
    "margin 0": (lambda loaded: loaded.predict(PICTURE, margin=0), "margin = 0: .* is 0.1 to 100"),
    "margin NaN": (lambda loaded: loaded.predict(PICTURE, margin=float("nan")), "margin = nan"),
    "margin in words": (lambda loaded: loaded.predict_all([], margin="1"), "margin = str '1'"),
    "orientation": (lambda loaded: loaded.predict(PICTURE, orientation="up"), "orientation: unknown orientation 'up'"),
    "batch": (lambda loaded: loaded.predict_all([], batch_size=0), "batch_size = 0"),
    "ragged image": (lambda loaded: loaded.predict([[1], [1, 2]]), "image: list .*; expected a path"),
    "drawn elsewhere": (lambda loaded: loaded.predict(PICTURE).draw(PICTURE[1:]), r"image: \(79, 100, 3\)"),
    "no path": (lambda loaded: loaded.predict_all(5), "pictures: 5; give a path"),
    "an array": (lambda loaded: loaded.predict_all([PICTURE]), r"pictures: \(80, 100, 3\) uint8 names none.* predict"),
    "an array alone": (lambda loaded: loaded.predict_all(PICTURE), "uint8 names none"),
    "no name": (lambda loaded: loaded.predict_all([""]), "pictures: str '' names none"),
    "boxes for all": (lambda loaded: loaded.predict_all([], [[1, 2, 3, 4]]), "give a file of boxes"),
}


@pytest.mark.parametrize("wrong", WRONG_IN_PYTHON)
def test_what_a_program_hands_over_wrongly_is_one_line_when_it_is_called(wrong):
    call, told = WRONG_IN_PYTHON[wrong]
    with pytest.raises(KpError, match=told):
        call(in_python())


def test_one_folder_is_a_source_and_no_box_no_instance_and_what_is_found_says_itself(tmp_path):
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), PICTURE[..., ::-1])
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\n1.png,0,0,99,79\n")
    loaded = in_python()
    for folder in (tmp_path, str(tmp_path), [tmp_path]):
        assert [one.name for one in loaded.predict_all(folder)] == ["0.png", "1.png"]
    assert [len(one.points) for one in loaded.predict_all(tmp_path, tmp_path / "boxes.csv")] == [0, 1]
    for boxes in ([], np.empty((0, 4))):
        assert loaded.predict(PICTURE, boxes).points.shape == (0, 2, 2)
    first, second = loaded.names
    assert repr(loaded) == f"TrainedModel('lab/blobs-0', 2 keypoints: {first}, {second}; 64 px, trained on blobs)"
    assert repr(loaded.predict(PICTURE)) == f"Keypoints(1 instance of 2: {first}, {second}; in 100 x 80 px)"


def test_a_lost_keypoint_is_not_drawn_and_no_edge_leads_to_it():
    blank = np.zeros((40, 40, 3), np.uint8)
    points = np.array([[[10.0, 10.0], [np.nan, np.nan]]])
    found = Keypoints(PAIR.all(), points, np.array([[1.0, np.nan]]), np.array([[20.0, 20.0, 40.0]]), blank)
    drawn = found.draw().any(2)
    assert drawn[8:13, 8:13].any() and not drawn[14:].any() and not drawn[:, 14:].any()


@pytest.mark.parametrize("scored", ["fp32", "bf16", "fp16"])
def test_a_network_that_was_scored_on_another_chip_predicts_here(model, tiny_mpii, tmp_path, scored):
    copy_model(str(model), tmp_path / "mine")
    opened = open_model(str(tmp_path / "mine"))
    write_card(tmp_path / "mine", opened.card.model_copy(update={"precision": scored}))
    found = load_model(tmp_path / "mine", device="cpu").predict(tiny_mpii / "images" / "valid0.png")
    assert np.isfinite(found.points).all()


def test_pictures_of_one_name_and_two_kinds_are_drawn_apart(model, tiny_mpii, tmp_path):
    image = cv2.imread(str(tiny_mpii / "images" / "valid0.png"))
    (tmp_path / "in").mkdir()
    for ending in ("bmp", "tif", "png"):
        cv2.imwrite(str(tmp_path / "in" / f"a.{ending}"), image)
    words = [str(tmp_path / "in"), "--format", "pictures", "--out", str(tmp_path / "out")]
    assert outcome(["predict", str(model), *words]) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir()) == [
        "a.bmp.png",
        "a.png",
        "a.tif.png",
    ]


def test_weights_that_are_no_numbers_are_refused(model, tmp_path):
    copy_model(str(model), tmp_path / "m")
    path = tmp_path / "m" / "weights.safetensors"
    with safe_open(path, framework="pt") as file:
        texts = file.metadata()
    tensors = load_file(path)
    first = sorted(tensors)[0]
    tensors[first].view(-1)[0] = float("nan")
    save_file(tensors, path, texts)
    with pytest.raises(KpError, match=rf"1 of {len(tensors)} tensors hold NaN or infinity \(first: {first}\)"):
        load_model(tmp_path / "m", changed=True)


def test_a_card_that_says_otherwise_than_its_weights_is_refused_and_with_changed_the_weights_count(model, tmp_path):
    copy_model(str(model), tmp_path / "m")
    card = open_model(str(tmp_path / "m")).card
    other = card.model_copy(update={"model": card.model.model_copy(update={"resolution": 128})})
    write_card(tmp_path / "m", other)  # sealed anew, so that nothing but the weights tells
    with pytest.raises(KpError, match=r"says otherwise than the weights of: resolution; copy .*--changed"):
        open_model(str(tmp_path / "m"))
    opened = open_model(str(tmp_path / "m"), changed=True)
    assert opened.card.model == card.model and "the weights' own is taken" in opened.notes[0]
    assert load_model(tmp_path / "m", changed=True)._engine.resolution == card.model.resolution
