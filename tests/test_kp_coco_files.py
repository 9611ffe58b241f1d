"""Files of COCO's format as people have them: what names nothing, what is said twice, and what does not matter."""

import json
import math

import cv2
import numpy as np
import pytest
from hand_made import refused, told
from kp_coco.folders import found_lists, known
from kp_coco.skeleton import BONES, ORDER

from kpcore.cli import app as kp
from kpcore.registry import registry

NAMES = ["nose", "left_ear", "right_ear", "left_paw", "right_paw"]
SIZE = (120, 90)


def mouse(number=1, name="mouse", **changes):
    return {"id": number, "name": name, "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]} | changes


def rows(count, **changes):
    """People with every keypoint 5 px within their box, all over the pictures; areas are 0.6 of the box."""
    random, found = np.random.default_rng(3), []
    for number in range(1, count + 1):
        points = np.round(random.uniform((10, 10), (SIZE[0] - 10, SIZE[1] - 10), (5, 2)))
        low, high = points.min(0) - 5, points.max(0) + 5
        found.append({
            "id": number, "image_id": number, "category_id": 1, "num_keypoints": 5, "iscrowd": 0,
            "keypoints": [float(v) for x, y in points for v in (x, y, 2)],
            "bbox": [*low.tolist(), *(high - low).tolist()], "area": 0.6 * float(np.prod(high - low)), **changes,
        })  # fmt: skip
    return found


def images(count, **changes):
    return [
        {"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1], **changes}
        for number in range(1, count + 1)
    ]


def document(count=12, **changes):
    return {"images": images(count), "annotations": rows(count), "categories": [mouse()]} | changes


def lay(root, content, name="ann.json"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def pictures(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


def build(root, **options):
    return registry().build("dataset", "coco", {"root": str(root), **options}, where="dataset")


def opened(root, content, **options):
    lay(root, content)
    return build(root, train_annotations="ann.json", train_images="images", **options)


def test_a_file_in_order_has_nothing_to_tell(tmp_path):
    assert told(opened(tmp_path, document())) == []


# --- references -------------------------------------------------------------------------------------------------------


def test_a_category_that_does_not_exist_is_an_error_with_its_count(tmp_path):
    content = document()
    for row in content["annotations"][1::2]:
        row["category_id"] = 0
    assert refused(lambda: opened(tmp_path, content)) == (
        f"{tmp_path}/ann.json, annotations[1], 'category_id': category 0 does not exist (6 of 12 annotations have it);"
        " 1 does; mend the file"
    )


def test_images_that_do_not_exist_are_counted_beside_categories(tmp_path):
    content = document()
    for row, image in zip(content["annotations"][3:9], (77, 78, 79, 80, 77, 81), strict=True):
        row["image_id"] = image
    content["annotations"][0]["category_id"] = 9
    message = refused(lambda: opened(tmp_path, content))
    assert "category 9 does not exist (1 of 12 annotations have it); 1 does;" in message
    assert "annotations[3], 'image_id': image 77, 78, 79 (and 2 more ids) do not exist (6 of 12" in message
    assert message.endswith("; 1, 2, 3, 4, 5, 6 and 6 more do; mend the file")


def test_a_lost_reference_counts_whatever_else_the_row_is(tmp_path):
    content = document()
    content["annotations"][0] |= {"iscrowd": 1, "category_id": 5, "keypoints": []}
    assert "category 5 does not exist" in refused(lambda: opened(tmp_path, content, held_out=0.3))


@pytest.mark.parametrize(("key", "noun"), [("image_id", "image"), ("category_id", "category")])
def test_a_number_is_not_a_text(tmp_path, key, noun):
    content = document()
    for row in content["annotations"]:
        row[key] = str(row[key])
    message = refused(lambda: opened(tmp_path, content))
    assert f"'{key}': {noun} '1'" in message and "1 as a number does, '1' as a text does not" in message
    content = document()
    for entry in content["images" if noun == "image" else "categories"]:
        entry["id"] = str(entry["id"])
    assert "'1' as a text does, 1 as a number does not" in refused(lambda: opened(tmp_path, content))


def test_ids_that_are_texts_throughout_are_read(tmp_path):
    content = document()
    for entry in (*content["images"], *content["categories"]):
        entry["id"] = str(entry["id"])
    for row in content["annotations"]:
        row["image_id"], row["category_id"] = str(row["image_id"]), "1"
    assert len(opened(tmp_path, content).samples("train")) == 12


def test_a_whole_number_may_be_written_as_a_float(tmp_path):
    content = document()
    for row in content["annotations"]:
        row["image_id"], row["category_id"] = float(row["image_id"]), 1.0
    assert [sample.image_id for sample in opened(tmp_path, content).samples("train")][:2] == ["1.png", "2.png"]


@pytest.mark.parametrize("key", ["images", "categories"])
def test_one_id_as_a_number_and_as_a_text_is_an_error(tmp_path, key):
    content = document()
    content[key].append({**content[key][0], "id": "1", "file_name": "x.png"})
    message = refused(lambda: opened(tmp_path, content))
    assert "'1' as a text is there beside 1 as a number" in message and f"{key}[" in message


def test_there_may_be_no_image_at_all(tmp_path):
    assert "image 1, 2, 3 (and 9 more ids) do not exist (12 of 12 annotations have it); none does" in refused(
        lambda: opened(tmp_path, document(images=[]))
    )


# --- categories -------------------------------------------------------------------------------------------------------


def zoo(*categories):
    content = document(categories=list(categories))
    for place, row in enumerate(content["annotations"]):
        row["category_id"] = categories[place % len(categories)]["id"]
    return content


def test_two_of_one_name_are_an_error_that_says_both_ids(tmp_path):
    message = refused(lambda: opened(tmp_path, zoo(mouse(1), mouse(2))))
    assert "several categories have keypoints: 'mouse' (id 1), 'mouse' (id 2); set dataset.category to" in message
    assert 'category = [1, 2]), or to "all": their keypoints are the same' in message
    assert "2 categories are called 'mouse': 'mouse' (id 1), 'mouse' (id 2)" in refused(
        lambda: opened(tmp_path, zoo(mouse(1), mouse(2)), category="mouse")
    )


@pytest.mark.parametrize(
    ("asked", "people", "label"),
    [
        ("all", 12, "mouse (2 categories)"),
        ([1, 2], 12, "mouse (2 categories)"),
        ([2, 2], 6, "mouse (id 2)"),
        (1, 6, "mouse (id 1)"),
        ("2", 6, "mouse (id 2)"),
    ],
)
def test_two_of_one_name_are_told_apart_by_id(tmp_path, asked, people, label):
    dataset = opened(tmp_path, zoo(mouse(1), mouse(2)), category=asked)
    assert len(dataset.samples("train")) == people
    assert (dataset.label, dataset.skeleton.name) == (f"COCO format, {label}", label)


def test_several_with_the_same_keypoints_are_read_together(tmp_path):
    cats = [mouse(number, f"species {number}") for number in range(1, 7)]
    message = refused(lambda: opened(tmp_path, zoo(*cats)))
    assert "'species 5' (id 5) and 1 more; set" in message and 'to a list of them, or to "all"' in message
    every = opened(tmp_path, zoo(*cats), category="all")
    assert (len(every.samples("train")), every.label) == (12, "COCO format, 6 categories")
    assert [sample.row for sample in every.samples("train")] == list(range(12))
    some = opened(tmp_path, zoo(*cats), category=["species 2", 5])
    assert {sample.row % 6 for sample in some.samples("train")} == {1, 4}
    assert some.label == "COCO format, species 2 + species 5"
    assert told(some) == [("note", "annotations of other categories left out (first: 1.png, row 0)", 8)]


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        (NAMES[:4], "5 and 4"),
        ([*NAMES[:3], "right_paw", "left_paw"], "the 4. is 'left_paw' in one and 'right_paw' in the other"),
    ],
)
def test_others_cannot_be_read_together_and_the_difference_is_named(tmp_path, names, difference):
    content = zoo(mouse(1), mouse(2, "rat", keypoints=names))
    message = refused(lambda: opened(tmp_path, content, category="all"))
    assert f"'mouse' (id 1) and 'rat' (id 2) have other keypoints: {difference}; read one of them" in message
    assert "the same keypoints" in refused(lambda: opened(tmp_path, content))
    assert '"all"' not in refused(lambda: opened(tmp_path, content))


def test_a_name_goes_before_an_id_that_is_spelt_alike(tmp_path):
    content = zoo(mouse(1, "2"), mouse(2, "rat"))
    assert opened(tmp_path, content, category="2").label == "COCO format, 2"
    assert opened(tmp_path, content, category=2).label == "COCO format, rat"
    assert opened(tmp_path, zoo(mouse("a", "x"), mouse("7", "y")), category=7).label == "COCO format, y"
    message = refused(lambda: opened(tmp_path, content, category="mice"))
    assert "unknown category with keypoints 'mice'" in message and "(2, 1, rat exist)" in message


def test_no_list_of_categories_is_none(tmp_path):
    assert len(opened(tmp_path, document(), category=[]).samples("train")) == 12
    assert "several categories" in refused(lambda: opened(tmp_path, zoo(mouse(1), mouse(2)), category=[]))


def test_an_id_means_one_thing_in_both_files(tmp_path):
    lay(tmp_path, zoo(mouse(1), mouse(2, "rat")), "train.json")
    lay(tmp_path, zoo(mouse(2, "mouse"), mouse(1, "rat")), "valid.json")
    files = {"train_annotations": "train.json", "valid_annotations": "valid.json"}
    assert "is 'rat' there and 'mouse' in" in refused(
        lambda: [build(tmp_path, category=1, **files).samples(part) for part in ("train", "valid")]
    )
    dataset = build(tmp_path, category="rat", **files)
    assert [len(dataset.samples(part)) for part in dataset.parts] == [6, 6]


# --- facts stated twice -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        ({}, (120, 90)),
        ({"width": 120.0, "height": "90"}, (120, 90)),
        ({"width": math.nan}, None),
        ({"width": None}, None),
        ({"height": 0}, None),
        ({"height": -90}, None),
        ({"height": True}, None),
        ({"height": "tall"}, None),
        ({"height": math.inf}, None),
        ({"height": 10**400}, None),
        ({"height": [90]}, None),
    ],
)
def test_a_sample_has_the_size_that_the_file_states(tmp_path, stated, size):
    dataset = opened(tmp_path, document(images=images(12, **stated)))
    assert {sample.stated_size for sample in dataset.samples("train")} == {size}


def test_a_size_that_is_absent_is_none(tmp_path):
    entries = images(12)
    del entries[0]["width"]
    samples = opened(tmp_path, document(images=entries)).samples("train")
    assert [sample.stated_size for sample in samples[:2]] == [None, (120, 90)]


@pytest.mark.parametrize(
    ("factor", "level"),
    [(0.01, "warning"), (0.08, "warning"), (0.1, ""), (1.0, ""), (1.66, ""), (2.5, "warning"), (16.0, "warning")],
)
def test_areas_far_from_their_boxes_are_a_warning(tmp_path, factor, level):
    content = document()
    for row in content["annotations"]:
        row["area"] *= factor
    found = [(kind, count) for kind, what, count in told(opened(tmp_path, content)) if "do not fit" in what]
    assert found == ([(level, 12)] if level else [])


def test_areas_of_1_name_the_first(tmp_path):
    ((level, what, count),) = told(opened(tmp_path, document(annotations=rows(12, area=1))))
    assert (level, count) == ("warning", 12)
    assert what.startswith("areas do not fit their boxes, and OKS is scaled by them: mend them, or set 0 for 0.53 x")
    assert "under 0.05 or over 1.1 of it: 1 for " in what and "first: 1.png, row 0" in what


def test_a_rare_area_of_a_sliver_is_a_note(tmp_path):
    content = document(150)
    content["annotations"][7]["area"] = 3.0
    ((level, what, count),) = told(opened(tmp_path, content))
    assert (level, count) == ("note", 1) and "row 7" in what


def test_areas_that_are_the_boxes_own_are_a_note(tmp_path):
    content = document()
    for row in content["annotations"]:
        row["area"] = row["bbox"][2] * row["bbox"][3]
    ((level, what, count),) = told(opened(tmp_path, content))
    assert (level, count) == ("note", 12) and what.startswith("areas are the boxes' own")
    content["annotations"][0]["area"] *= 0.5
    assert told(opened(tmp_path, content)) == []


@pytest.mark.parametrize("area", [0, None, math.nan])
def test_no_area_is_no_misfit(tmp_path, area):
    ((level, what, count),) = told(opened(tmp_path, document(annotations=rows(12, area=area))))
    assert (level, count) == ("note", 12) and what.startswith("no positive area: 0.53 x the box's area taken")


def test_an_area_beside_a_box_of_keypoints_may_be_larger_but_not_tiny(tmp_path):
    content = document(annotations=rows(12, bbox=None))
    for row in content["annotations"]:
        row["area"] = 1e4
    assert [level for level, _, _ in told(opened(tmp_path, content))] == ["note"]
    for row in content["annotations"]:
        row["area"] = 2.0
    assert [level for level, _, _ in told(opened(tmp_path, content))] == ["note", "warning"]


def test_num_keypoints_is_counted(tmp_path):
    content = document()
    content["annotations"][4]["num_keypoints"] = 4
    content["annotations"][5]["keypoints"][2] = 0
    content["annotations"][6] |= {"num_keypoints": "five"}
    content["annotations"][7] |= {"num_keypoints": 5.0}
    del content["annotations"][8]["num_keypoints"]
    ((level, what, count),) = told(opened(tmp_path, content))
    assert (level, count) == ("warning", 2)
    assert what == "num_keypoints is not the number of labelled keypoints (4, 5 labelled; first: 5.png, row 4)"


def test_boxes_of_others_are_a_warning(tmp_path):
    content = document(images=images(12, width=400, height=400))
    for row in content["annotations"][:3]:
        row["bbox"][0] += 200
    found = [(level, what, count) for level, what, count in told(opened(tmp_path, content)) if "outside 1.25 x" in what]
    (keypoints, _) = found
    assert keypoints[0] == "warning" and keypoints[2] == 3 and "first: 1.png, row 0" in keypoints[1]


def corners(content):
    for row in content["annotations"]:
        left, top, width, height = row["bbox"]
        row["bbox"] = [left, top, left + width, top + height]
    return content


def test_boxes_of_corners_are_an_error(tmp_path):
    ((level, what, count),) = told(opened(tmp_path, corners(document(40))))
    assert (level, count) == ("error", 40)
    assert what.startswith("boxes are left, top, right, bottom; they must be left, top, width, height: write them so (")


def test_boxes_of_corners_without_sizes_are_a_warning(tmp_path):
    content = corners(document(40, images=images(40, width=None)))
    for row in content["annotations"]:  # further in, where the two readings differ
        row["bbox"] = [value + 100 for value in row["bbox"]]
        row["keypoints"] = [value + 100 * (place % 3 < 2) for place, value in enumerate(row["keypoints"])]
    assert [(level, what[:32]) for level, what, _ in told(opened(tmp_path, content))] == [
        ("warning", "boxes are left, top, right, bott")
    ]


def test_boxes_near_the_corner_are_no_corners(tmp_path):
    """Large boxes that begin near the picture's corner hold their keypoints either way; within it they are good."""
    content = document()
    for row in content["annotations"]:
        row |= {"bbox": [2, 2, SIZE[0] - 4, SIZE[1] - 4], "area": 5000.0}
    assert told(opened(tmp_path, content)) == []
    assert told(opened(tmp_path, content | {"images": images(12, width=None)})) == []


# --- what does not matter ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [[math.nan, math.nan, 0], [None, None, 0], [None] * 3, [1e9, -math.inf, 0]])
def test_coordinates_of_unlabelled_keypoints_do_not_count(tmp_path, nothing):
    content = document(annotations=rows(12, num_keypoints=4))
    for row in content["annotations"]:
        row["keypoints"][3:6] = nothing
    dataset = opened(tmp_path, content)
    assert all(sample.state.tolist() == [2, 0, 2, 2, 2] for sample in dataset.samples("train"))
    assert all(np.isnan(sample.points[1]).all() for sample in dataset.samples("train"))
    assert told(dataset) == []


@pytest.mark.parametrize("nothing", [None, [], "absent"])
def test_a_box_without_keypoints_is_left_out_and_counted(tmp_path, nothing):
    content = document()
    for row in content["annotations"][2:4]:
        row |= {"keypoints": nothing, "num_keypoints": 0}
        if nothing == "absent":
            del row["keypoints"]
    dataset = opened(tmp_path, content)
    assert [sample.row for sample in dataset.samples("train")] == [0, 1, *range(4, 12)]
    assert told(dataset) == [("note", "annotations without keypoints (boxes alone) left out (first: 3.png, row 2)", 2)]
    content["annotations"][2]["num_keypoints"] = 5
    ((level, what, count), _) = told(opened(tmp_path, content))
    assert (level, count) == ("note", 1) and "though their num_keypoints counts some" in what


@pytest.mark.parametrize("key", ["iscrowd", "area", "bbox", "num_keypoints"])
def test_null_is_as_good_as_absent(tmp_path, key):
    null = opened(tmp_path, document(annotations=rows(12, **{key: None})))
    null_samples, null_told = null.samples("train"), told(null)
    content = document()
    for row in content["annotations"]:
        del row[key]
    absent = opened(tmp_path, content)
    assert null_told == told(absent) and len(absent.samples("train")) == 12
    for one, other in zip(null_samples, absent.samples("train"), strict=True):
        assert (one.side, one.normaliser, one.row) == (other.side, other.normaliser, other.row)


def test_one_file_under_two_ids_has_the_people_of_both(tmp_path):
    twice = images(12)
    twice[7] |= {"file_name": "1.png"}
    dataset = opened(tmp_path, document(images=twice))
    assert sorted(sample.row for sample in dataset.samples("train") if sample.image_id == "1.png") == [0, 7]
    assert told(dataset) == [
        ("note", "images listed twice under two ids: the people of both are read (first: 1.png, images[7])", 1)
    ]
    twice[7]["width"] = 60
    dataset = opened(tmp_path, document(images=twice))
    ((level, what, _),) = told(dataset)
    assert level == "warning" and what.startswith("images listed twice under two ids, with two sizes")
    assert {sample.stated_size for sample in dataset.samples("train")} == {(120, 90), (60, 90)}


def test_an_entry_that_is_there_twice_is_read_once(tmp_path):
    dataset = opened(tmp_path, document(images=[*images(12), *images(1)]))
    assert len(dataset.samples("train")) == 12
    assert told(dataset) == [("note", "images listed twice under one id: read once (first: 1.png, images[12])", 1)]


@pytest.mark.parametrize("bad", [3, -1, 0.5, True, "2"])
def test_a_visibility_that_means_nothing_is_named(tmp_path, bad):
    content = document()
    content["annotations"][1]["keypoints"][5] = bad
    message = refused(lambda: opened(tmp_path, content))
    assert "annotations[1], 'keypoints': expected" in message
    assert ("for 'left_ear'" in message) if bad in (3, -1, 0.5) else (f"got {bad!r} in place 6" in message)


# --- layouts ----------------------------------------------------------------------------------------------------------


def part_of(root, annotations, folder, first=1, **changes):
    """Write a list of four people on four pictures, and the pictures."""
    names = [f"{number}.png" for number in range(first, first + 4)]
    content = document(4, **changes)
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
    lay(root, content, annotations)
    pictures(root / folder, names)


def all_there(dataset):
    return {part: all(s.image.is_file() for s in dataset.samples(part)) for part in dataset.parts}


BOTH = {"train": True, "valid": True}
SPECIES = [mouse(number, name) for number, name in ((1, "antelope"), (2, "argali"), (3, "bison"))]


def test_ap10k_as_it_is(tmp_path):
    for split in (1, 2, 3):
        for place, part in enumerate(("train", "val", "test")):
            name = f"annotations/ap10k-{part}-split{split}.json"
            part_of(tmp_path, name, "data", first=1 + 4 * place, categories=SPECIES)
    assert "several categories have keypoints: 'antelope' (id 1)" in refused(lambda: build(tmp_path))
    dataset = build(tmp_path, category="all")
    assert all_there(dataset) == BOTH
    assert (dataset.label, dataset.facts.list_name) == ("AP-10K, antelope + argali + bison", "split 1")
    other = build(tmp_path, category="all", train_annotations="annotations/ap10k-train-split2.json", held_out=0.5)
    assert all_there(other) == BOTH
    assert other.facts.list_name == "split 2, 0.5 of the images held out by name hash"


CROWD = [name for name in ORDER if name[:4] in ("left", "righ") and name.split("_")[1] not in ("eye", "ear")]


@pytest.mark.parametrize("prefix", ["json/", "annotations/", "", "annotations/mmpose_"])
def test_crowdpose_as_it_is(tmp_path, prefix):
    """Its 14 keypoints come with COCO's edges, which are left out; its images have a crowdIndex, its people no area."""
    person = {
        "id": 1,
        "name": "person",
        "keypoints": [*CROWD, "head", "neck"],
        "skeleton": [list(b) for b in BONES[:12]],
    }
    people = rows(4, num_keypoints=14)
    for row in people:
        row["keypoints"] = [*row["keypoints"][:3]] * 14
        del row["area"]
    crowded = images(4, crowdIndex=0.4)
    for part in ("train", "val", "trainval", "test"):
        lay(
            tmp_path,
            document(images=crowded, annotations=people, categories=[person]),
            f"{prefix}crowdpose_{part}.json",
        )
    pictures(tmp_path / "images", [image["file_name"] for image in crowded])
    dataset = build(tmp_path)
    assert all_there(dataset) == BOTH
    assert (dataset.label, dataset.skeleton.edges, len(dataset.skeleton.names)) == ("CrowdPose", (), 14)
    edges, area = told(dataset)[:2]
    what = "category 'person': edges are those of COCO's 17 keypoints, not of these 14; edges are only drawn"
    assert edges == ("warning", what, 12)
    assert area[0] == "note" and area[1].startswith("no positive area")


@pytest.mark.parametrize("folder", ["images/default", "images"])
def test_cvats_export_as_it_is(tmp_path, folder):
    part_of(tmp_path, "annotations/person_keypoints_default.json", folder)
    dataset = build(tmp_path)
    assert all_there(dataset) == {"train": True}
    assert dataset.label == "COCO format, mouse"
    assert all_there(build(tmp_path, held_out=0.5)) == BOTH


def test_cvats_names_may_have_folders(tmp_path):
    content = document(2)
    for image in content["images"]:
        image["file_name"] = f"day 1/{image['file_name']}"
    lay(tmp_path, content, "annotations/person_keypoints_default.json")
    pictures(tmp_path / "images" / "default", ["day 1/1.png", "day 1/2.png"])
    assert all_there(build(tmp_path)) == {"train": True}


@pytest.mark.parametrize(("train", "valid"), [("Train", "Validation"), ("train", "val"), ("train", "valid")])
def test_cvats_subsets_are_parts(tmp_path, train, valid):
    part_of(tmp_path, f"annotations/person_keypoints_{train}.json", f"images/{train}")
    part_of(tmp_path, f"annotations/person_keypoints_{valid}.json", f"images/{valid}", first=5)
    assert all_there(build(tmp_path)) == BOTH


@pytest.mark.parametrize(("year", "folder"), [("2014", "{}2014"), ("2017", "images/{}2017"), ("2014", "images")])
def test_cocos_other_year_and_folders(tmp_path, year, folder):
    for place, part in enumerate(("train", "val")):
        name = f"annotations/person_keypoints_{part}{year}.json"
        part_of(tmp_path, name, folder.format(part), first=1 + 4 * place)
    assert all_there(build(tmp_path)) == BOTH


def test_cocos_usual_files_go_before_all_others(tmp_path):
    for name in ("train2017", "train2014", "default"):
        part_of(tmp_path, f"annotations/person_keypoints_{name}.json", name)
    assert {part: one.path for part, one in found_lists(tmp_path).items()} == {
        "train": "annotations/person_keypoints_train2017.json"
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("annotations/person_keypoints_default.json", "annotations/person_keypoints_train.json"),
        ("annotations/crowdpose_train.json", "json/crowdpose_train.json"),
        ("annotations/ap10k-train-split1.json", "json/crowdpose_val.json"),
        ("annotations/ap10k-train-split2.json", "annotations/ap10k-train-split3.json"),
        ("annotations/person_keypoints_train2014.json", "annotations/person_keypoints_train2015.json"),
    ],
)
def test_files_that_may_both_be_meant_are_an_error(tmp_path, one, other):
    for name in (one, other):
        part_of(tmp_path, name, "images")
    message = refused(lambda: build(tmp_path))
    assert f"several annotation files may be meant, such as {one} and {other}; set train_annotations" in message
    assert all_there(build(tmp_path, train_annotations=one)) == {"train": True}


@pytest.mark.parametrize("path", ["mine.json", "annotations/instances_train2017.json", "x/crowdpose_train.json"])
def test_other_files_are_of_no_layout(path):
    assert known(path) is None


def test_images_of_a_named_file_are_looked_for(tmp_path):
    part_of(tmp_path, "train/labels.json", "train")
    assert all_there(build(tmp_path, train_annotations="train/labels.json")) == {"train": True}
    part_of(tmp_path, "all.json", "images")
    assert all_there(build(tmp_path, train_annotations="all.json", held_out=0.5)) == BOTH
    samples = build(tmp_path, train_annotations="all.json", train_images="elsewhere").samples("train")
    assert samples[0].image == tmp_path / "elsewhere" / "1.png"


# --- the sigma that is only assumed -----------------------------------------------------------------------------------

STUDY = """
[dataset]
name = "coco"
train_annotations = "ann.json"
train_images = "images"
held_out = 0.3
[split]
name = "explicit"
[split.sets.ears]
steps = [["paw"], ["ear"]]
[split.sets.paws]
steps = [["ear"], ["paw"]]
[backbone]
name = "hourglass"
stages = [1, 2]
channels = 8
depth = 2
[codec]
name = "heatmap"
[training]
resolution = 32
epochs = 1
[evaluation]
metric = {METRIC}
validation = { name = "pck", normaliser = "crop", threshold = 0.1 }
"""
PCK = '{ name = "pck", normaliser = "crop", threshold = 0.1 }'
REMARK = "no sigma is known for 2 of 2 keypoints (left_paw, right_paw): the default 0.067 is taken"


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs kp in this process, wide enough for one line a finding: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments):
        code = kp.outcome([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def study(tmp_path):
    """Write a study of mice, and return what writes it for a metric."""
    lay(tmp_path, document())
    pictures(tmp_path / "images", [f"{number}.png" for number in range(1, 13)])

    def write(metric):
        file = tmp_path / "study.toml"
        file.write_text(STUDY.replace("{METRIC}", metric))
        return file

    return write


@pytest.mark.parametrize(
    ("metric", "said"),
    [('{ name = "oks" }', True), ('{ name = "oks", sigmas = { paw = 0.1 } }', False), (PCK, False)],
)
def test_a_run_and_a_check_say_which_sigmas_are_assumed(study, tmp_path, run, metric, said):
    sets = ("--set", f"dataset.root={tmp_path}")
    code, out, _ = run("run", study(metric), "--plan", *sets)
    assert (code, f"Warning: oks: {REMARK}" in " ".join(out.split())) == (0, said)
    code, out, _ = run("data", "check", study(metric), "--json", *sets)
    found = [(one["part"], one["level"]) for one in json.loads(out)["findings"] if REMARK in one["what"]]
    assert (code, found) == (0, [(None, "warning")] if said else [])


def test_a_check_without_a_study_is_by_the_usual_metric(study, tmp_path, run):
    study(PCK)
    sets = [word for key in ("train_annotations=ann.json", "held_out=0.3") for word in ("--set", key)]
    code, out, _ = run("data", "check", tmp_path, "--dataset", "coco", *sets, "--json")
    assert code == 0 and REMARK.replace("2 of 2", "2 of 5") in json.dumps(json.loads(out)["findings"])


def test_keypoints_of_a_category_that_names_none_are_not_left_out_in_silence(tmp_path):
    """Half of the annotations under a second category of the name, whose keypoints were forgotten."""
    forgotten = {key: value for key, value in mouse(2, "mouse").items() if key != "keypoints"}
    some = opened(tmp_path, zoo(mouse(1, "mouse"), forgotten))
    (lost,) = (finding for finding in some.findings("train") if "category has none" in finding.what)
    assert (lost.level, lost.count) == ("warning", 6)
    assert len(some.samples("train")) == 6
