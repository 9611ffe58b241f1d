"""The core's data check and image decoding, over people made here."""

from __future__ import annotations

import dataclasses
import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from kpcore.audit.check import check_part, part_findings, require_usable
from kpcore.audit.found import found_in
from kpcore.audit.images import GONE, first_of_each_image, missing_findings
from kpcore.audit.shared import shared_findings
from kpcore.errors import FaultsError, KpError
from kpcore.interfaces import Dataset, Facts, Finding
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.reading.images import decode_image, image_size, is_truncated
from kpcore.samples import Instances, Sample

WIDTH, HEIGHT = 48, 32
RANDOM = np.random.default_rng(3)
PICTURE = cv2.resize(RANDOM.integers(0, 255, (4, 6, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


class Made(Dataset):
    """Two keypoints a person, from lists of samples by part."""

    facts = Facts("made", Skeleton("two", (Keypoint("a"), Keypoint("b"))), ("train", "valid"), "a length", "pckh")

    def __init__(self, *, train, valid=(), own=()):
        self._people = {"train": train, "valid": list(valid)}
        self._own = own

    def samples(self, part):
        return self._people[part]

    def findings(self, part):
        return self._own


def test_parts_that_a_study_needs_are_told():
    def parts(*names, options=()):
        config = SimpleNamespace(model_fields=dict.fromkeys(options))
        return part_findings(type("Some", (), {"parts": names, "Config": config})())

    assert parts("valid", "test", "train") == []
    (one,) = parts("train", "Valid")
    told = "no part is called 'valid', and 'kp run' needs it (parts: 'train', 'Valid'); call the parts so"
    assert (one.level, one.what) == ("warning", told)
    (one,) = parts("train", options=["held_out"])
    assert one.what.endswith("or hold out a share: --set dataset.held_out=0.2")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "one.jpg"
    cv2.imwrite(str(path), PICTURE)
    return path


def person(image, row=0, **changes):
    fine = Sample(
        image=image, points=np.array([[10.0, 10], [20, 12]], np.float32) + row * 0.25, state=np.array([2, 1], np.uint8),
        centre=np.array([20.0, 15], np.float32), side=24.0, normaliser=6.0, image_id="one.jpg", person_id=str(row),
        row=row,
    )  # fmt: skip
    return dataclasses.replace(fine, **changes)


def found(dataset, part="train", decode=True):
    return {finding.what: finding for finding in check_part(dataset, part, decode=decode)}


def the(findings, text):
    (finding,) = [finding for what, finding in findings.items() if text in what]
    return finding


def test_sound_people_give_no_finding(image):
    assert found(Made(train=[person(image), person(image, 1)])) == {}


def test_the_data_sets_own_findings_come_first(image):
    own = Finding("note", "shifted", 1)
    assert check_part(Made(train=[person(image, side=0.0)], own=[own]), "train", decode=False)[0] == own


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"points": np.array([[np.nan, 1], [2, 3]], np.float32)}, "no number"),
        ({"points": np.array([[4, 1], [2, np.inf]], np.float32)}, "no number"),
        ({"points": np.array([[4, 1], [2, 1e5]], np.float32)}, "20 crop sides"),
        ({"centre": np.array([np.nan, 1], np.float32)}, "crop centre"),
        ({"side": 0.0}, "crop side"),
        ({"side": -3.0}, "crop side"),
        ({"side": float("nan")}, "crop side"),
        ({"side": 1e9}, "crop side over 50000 px"),
        ({"normaliser": 0.0}, "divided by"),
        ({"normaliser": float("inf")}, "divided by"),
    ],
)
def test_impossible_numbers_are_errors_that_name_file_and_row(image, changes, text):
    dataset = Made(train=[person(image), person(image, 7, **changes), person(image, 8, **changes)])
    finding = the(found(dataset), text)
    assert (finding.level, finding.count) == ("error", 2)
    assert "one.jpg, row 7" in finding.what


def test_an_unlabelled_keypoint_may_be_anywhere(image):
    lost = person(image, state=np.array([2, 0], np.uint8), points=np.array([[9, 9], [np.nan, np.nan]], np.float32))
    finding = the(found(Made(train=[lost])), "not labelled, 50.0% of 2")
    assert (finding.level, finding.count) == ("note", 1)
    assert len(found(Made(train=[lost]))) == 1


def test_a_far_keypoint_is_a_warning(image):
    far = person(image, points=np.array([[10, 10], [20 + 24 * 3.1, 15]], np.float32))
    assert the(found(Made(train=[far])), "3 crop sides").level == "warning"
    assert the(found(Made(train=[far])), "1 labelled keypoints lie far outside").level == "warning"


def test_a_duplicated_row_is_an_error_that_names_the_repetition(image):
    again = dataclasses.replace(person(image), row=5)
    finding = the(found(Made(train=[person(image), person(image, 1), again])), "duplicated row")
    assert (finding.level, finding.count) == ("error", 1) and "row 5" in finding.what


def test_people_without_labels_and_empty_parts(image):
    nobody = person(image, state=np.zeros(2, np.uint8))
    assert the(found(Made(train=[nobody])), "without a labelled").level == "warning"
    told = the(found(Made(train=[], own=[Finding("note", "faces without a mark left out", 7)])), "no samples in this")
    assert told.level == "error" and told.what.endswith("its reader says: faces without a mark left out (7)")


def test_points_that_do_not_fit_the_skeleton_are_an_error(image):
    odd = person(image, 4, points=np.zeros((3, 2), np.float32))
    assert "row 4" in the(found(Made(train=[person(image), odd])), "(3, 2), but").what


@pytest.mark.parametrize("decode", [True, False])
def test_what_lies_beyond_the_picture_is_counted_and_the_border_is_inside(image, decode):
    corners = ([-0.5, -0.5], [WIDTH - 0.5, HEIGHT - 0.5])
    border = [person(image, points=np.array([corner, [20, 12]], np.float32)) for corner in corners]
    assert found(Made(train=border), decode=decode) == {}
    beyond = person(image, 1, points=np.array([[-0.6, 3], [3, HEIGHT - 0.4]], np.float32), side=60.0)
    seen = found(Made(train=[*border, beyond]), decode=decode)
    assert the(seen, "truncated: 2 labelled").count == 1
    assert the(seen, "crop reaches beyond").count == 1


@pytest.mark.parametrize(
    ("x", "y", "outside"),
    [
        (-0.5, 10, False), (-0.51, 10, True), (10, -0.5, False), (10, -0.51, True),
        (WIDTH - 0.5, 10, False), (WIDTH - 0.49, 10, True), (10, HEIGHT - 0.5, False), (10, HEIGHT - 0.49, True),
    ],
)  # fmt: skip
def test_a_picture_ends_half_a_pixel_beyond_its_outermost_centres(image, x, y, outside):
    points = np.array([[20, 12], [x, y]], np.float32)
    findings = found(Made(train=[person(image, points=points)]))
    assert any("truncated: 1 labelled keypoints lie outside" in what for what in findings) == outside
    unlabelled = person(image, points=points, state=np.array([2, 0], np.uint8))
    assert not any("truncated" in what for what in found(Made(train=[unlabelled])))


@pytest.mark.parametrize(
    ("centre", "side", "beyond"),
    [
        ((11.5, 16), 24.0, False), ((11.4, 16), 24.0, True), ((WIDTH - 12.5, 16), 24.0, False),
        ((WIDTH - 12.4, 16), 24.0, True), ((20, 11.5), 24.0, False), ((20, 11.4), 24.0, True),
        ((20, HEIGHT - 12.5), 24.0, False), ((20, HEIGHT - 12.4), 24.0, True),
    ],
)  # fmt: skip
def test_a_crop_that_reaches_beyond_the_picture_is_noted(image, centre, side, beyond):
    made = person(image, centre=np.array(centre, np.float32), side=side)
    assert any("crop reaches beyond the picture" in what for what in found(Made(train=[made]))) == beyond


@pytest.mark.parametrize(("sides", "level"), [(3.0, None), (3.1, "warning"), (20.0, "warning"), (20.1, "error")])
def test_how_far_a_keypoint_may_be_is_counted_in_crop_sides(image, sides, level):
    points = np.array([[20, 15], [20 + sides * 24.0, 15]], np.float32)
    findings = check_part(Made(train=[person(image), person(image, 5, points=points)]), "train", decode=False)
    far = [finding for finding in findings if "crop sides from the crop's centre" in finding.what]
    assert [finding.level for finding in far] == ([level] if level else [])
    assert all("(first: one.jpg, row 5)" in finding.what and finding.count == 1 for finding in far)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"side": 50_000.0}, False), ({"side": 50_001.0}, True), ({"side": 0.0}, True), ({"side": np.inf}, True),
        ({"normaliser": 0.0}, True), ({"normaliser": -1.0}, True), ({"normaliser": np.nan}, True),
        ({"normaliser": 0.001}, False), ({"centre": np.array([np.nan, 1], np.float32)}, True),
    ],
)  # fmt: skip
def test_lengths_are_positive_numbers(image, changes, wrong):
    findings = check_part(Made(train=[person(image, 7, **changes)]), "train", decode=False)
    errors = [finding for finding in findings if finding.level == "error"]
    assert bool(errors) == wrong
    assert all("row 7" in finding.what for finding in errors)


def test_what_is_not_labelled_is_counted_and_an_empty_part_is_an_error(image):
    half = person(image, state=np.array([2, 0], np.uint8))
    findings = check_part(Made(train=[half, person(image, 1), person(image, 2)]), "train", decode=False)
    assert findings == [Finding("note", "keypoints not labelled, 16.7% of 6", 1)]
    assert check_part(Made(train=[]), "train", decode=False) == [
        Finding("error", "no samples in this part; look at the annotation and at the data set's options", 0)
    ]


def test_images_in_two_parts_are_a_warning(image):
    dataset = Made(train=[person(image)], valid=[person(image, 3), person(image, 4, image_id="two")])
    assert the(found(dataset), "same images are in part 'valid' (first: 'one.jpg' and 'two')").count == 1
    assert the(found(dataset, "valid"), "same images are in part 'train'").level == "warning"


def test_missing_and_damaged_images_are_errors_once_an_image(image, tmp_path):
    lost, cut = tmp_path / "lost.jpg", tmp_path / "cut.jpg"
    cut.write_bytes(image.read_bytes()[:-40])
    people = [person(image), person(lost, 2), person(lost, 3), person(cut, 4), person(cut, 5)]
    seen = found(Made(train=people))
    assert (the(seen, "does not exist").count, the(seen, "unreadable").count) == (1, 1)
    assert f"{lost}, row 2" in the(seen, "does not exist").what and f"{cut}, row 4" in the(seen, "truncated").what
    assert not [what for what in found(Made(train=people), decode=False) if "unreadable" in what]


def test_pixels_instead_of_a_path_are_checked_too():
    inside, outside = person(PICTURE), person(PICTURE, 1, points=np.full((2, 2), WIDTH, np.float32))
    seen = found(Made(train=[inside, outside]))
    assert the(seen, "2 labelled keypoints lie far outside").count == 1


def test_progress_counts_images(image):
    steps = []
    check_part(Made(train=[person(image)]), "train", decode=True, progress=lambda *step: steps.append(step))
    assert steps == [(1, 1)]


def faults(dataset, *parts):
    with pytest.raises(FaultsError) as caught:
        require_usable(dataset, parts)
    assert str(caught.value) == "; ".join(caught.value.lines)
    return caught.value.lines


def test_require_usable_names_every_error_once_with_its_count(image, tmp_path):
    require_usable(Made(train=[person(image)], valid=[person(image)]), ["train", "valid"])
    bad = [person(image, 1, side=0.0), person(image, 2, side=0.0), person(tmp_path / "lost.jpg", 3)]
    own = [Finding("error", "of the whole file", 3), Finding("warning", "odd", 1)]
    assert [line.partition(" (first")[0] for line in faults(Made(train=[], valid=bad, own=own), "train", "valid")] == [
        "made, parts 'train' and 'valid': of the whole file (3 such)",
        "made, part 'train': no samples in this part; its reader says: odd (1)",
        "made, part 'valid': crop side is not a positive number",
        f"made, part 'valid': {GONE}",
    ]
    assert faults(Made(train=[], valid=bad, own=own), "valid")[1].endswith("(first: one.jpg, row 1) (2 such)")


def encoded(extension, *options):
    return cv2.imencode(extension, PICTURE, options)[1].tobytes()


def test_decoding_gives_rgb_in_stored_pixels(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(".png"))
    np.testing.assert_array_equal(decode_image(path), PICTURE[..., ::-1])
    assert image_size(path) == (WIDTH, HEIGHT)


def test_an_exif_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter
    path = tmp_path / "turned.jpg"
    Image.fromarray(PICTURE).save(path, exif=exif)
    assert decode_image(path).shape == (HEIGHT, WIDTH, 3)
    assert image_size(path) == (WIDTH, HEIGHT)


JPEGS = {
    "baseline": encoded(".jpg"),
    "progressive": encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
}


@pytest.mark.parametrize("kind", [*JPEGS, "png"])
def test_every_truncation_is_refused(tmp_path, kind):
    data, path = JPEGS.get(kind, encoded(".png")), tmp_path / "image"
    path.write_bytes(data)
    assert decode_image(path).shape == (HEIGHT, WIDTH, 3)
    for length in [*range(0, len(data), 17), *range(len(data) - 12, len(data))]:
        path.write_bytes(data[:length])
        with pytest.raises(KpError, match=str(path)):
            decode_image(path)


def test_bytes_after_the_end_are_tolerated_and_zeros_in_place_of_the_end_are_not(tmp_path):
    data, path = JPEGS["baseline"], tmp_path / "image.jpg"
    path.write_bytes(data + b"garbage\0\0")
    assert decode_image(path).shape == (HEIGHT, WIDTH, 3)
    path.write_bytes(data[:-50] + bytes(50))
    with pytest.raises(KpError, match="truncated"):
        decode_image(path)


def test_a_thumbnails_end_is_not_the_images_end(tmp_path):
    thumbnail = b"Exif\0\0" + JPEGS["baseline"]
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data, path = JPEGS["baseline"], tmp_path / "image.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    assert decode_image(path).shape == (HEIGHT, WIDTH, 3)
    path.write_bytes(data[:2] + segment + data[2:-30])
    with pytest.raises(KpError, match="truncated"):
        decode_image(path)


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xd9", b"GIF89a"])
def test_what_is_no_image_is_refused_with_its_path(tmp_path, data):
    path = tmp_path / "image.jpg"
    path.write_bytes(data)
    for read in (decode_image, image_size):
        with pytest.raises(KpError, match=str(path)):
            read(path)


def test_a_missing_image_and_a_folder_are_refused(tmp_path):
    for read in (decode_image, image_size):
        for path in (tmp_path / "none.jpg", tmp_path):
            with pytest.raises(KpError, match=str(path)):
                read(path)


def test_a_picture_too_large_to_decode_is_one_line(tmp_path):
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "png")
    data = bytearray(stream.getvalue())
    data[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    path = tmp_path / "bomb.png"
    path.write_bytes(bytes(data))
    for read in (decode_image, image_size):
        with pytest.raises(KpError, match="bomb"):
            read(path)


# --- a JPEG's end, marker by marker -----------------------------------------------------------------------------------

END = b"\xff\xd9"


@pytest.mark.parametrize(
    ("between", "truncated"),
    [
        (b"", False),
        (b"\xff", False),  # a marker may be filled up with 0xFF
        (b"\xff\x00\x00\x09", False),  # a stuffed byte is no marker: nothing is skipped
        (b"\xff\xd0\x00\x09", False), (b"\xff\xd7\x00\x09", False),  # nor is a restart
        (b"\xff\x01", False), (b"\xff\xd8", False),  # these two have no length
        (b"\xff\xe0\x00\x02", False), (b"\xff\xe0\x00\x04ab", False),
        (b"\xff\xe0\x00\x00", False), (b"\xff\xe0\x00\x01", False),  # a length counts its own two bytes
        (b"\xff\xe0\x00\x04", True), (b"\xff\xe0\x00\x03", True),  # the end lies within the segment
        (b"\xff\xe0\x01\x00" + bytes(254), False), (b"\xff\xe0\x01\x00" + bytes(253), True),
        (b"\xff\xda\x00\x02ab\xff\x00c", False), (b"\xff\xda\x00\x02ab\xff\xd0c", False),
        (b"\xff\xda\x00\x02ab\xff", False), (b"\xff\xda\x00\x02ab\xff\xda\x00\x02cd", False),
        (b"\xff\xda\x00\x02ab\xff\xc4\x00\x05", True),  # the end is a table's, between two scans
        (b"\xff\xda\x00\x05", True), (b"\xff\xda\x00\x05abc", False),
    ],
)  # fmt: skip
def test_segments_are_skipped_by_their_length(between, truncated):
    assert is_truncated(b"\xff\xd8" + between + END) == truncated
    assert is_truncated(b"\xff\xd8" + between)


def test_a_png_ends_with_its_last_chunk_and_other_files_are_whole():
    start, end = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
    chunk = b"\0\0\0\1tEXtx\0\0\0\0"
    assert is_truncated(start) and is_truncated(start + end[:-1])
    assert not is_truncated(start + chunk + end + b"more")
    assert is_truncated(start + chunk[:-1] + end)
    for other in (b"", b"GIF89a", b"\xff", end, END, b"BM" + start):
        assert not is_truncated(other)


# --- which person, image and part a finding is about ------------------------------------------------------------------


def test_a_finding_counts_people_and_names_the_first_by_image_and_row(image):
    people = Instances.of([person(image, 4), person(PICTURE, 5, image_id="folder/b"), person(PICTURE, 6)])
    assert found_in(people, "note", "odd", np.array([False, True, True])) == [
        Finding("note", "odd (first: folder/b, row 5)", 2)
    ]
    assert found_in(people, "note", "odd", np.zeros(3, bool)) == []


def test_the_first_person_of_an_image_stands_for_it(image, tmp_path):
    other = tmp_path / "two.jpg"
    people = [person(PICTURE), person(image, 3), person(other, 4), person(image, 5)]
    assert {path.name: one.row for path, one in first_of_each_image(people).items()} == {"one.jpg": 3, "two.jpg": 4}
    (finding,) = missing_findings(people)
    assert finding == Finding("error", f"{GONE} (first: {other}, row 4)", 1)
    assert missing_findings([person(PICTURE), person(image)]) == []


@pytest.mark.parametrize(
    "changes",
    [{"image_id": "two"}, {"centre": np.array([20.5, 15], np.float32)}, {"points": np.zeros((2, 2), np.float32)}],
)
def test_what_differs_in_image_centre_or_points_is_no_repetition(image, changes):
    again = dataclasses.replace(person(image), row=5)
    assert "duplicated row" in " ".join(found(Made(train=[person(image), again]), decode=False))
    again = dataclasses.replace(again, **changes)
    assert "duplicated row" not in " ".join(found(Made(train=[person(image), again]), decode=False))


def test_every_repetition_counts_and_the_first_repetition_is_named(image):
    people = [dataclasses.replace(person(image), row=row) for row in (2, 3, 4)]
    finding = the(found(Made(train=people), decode=False), "duplicated row: equal image, crop centre and points")
    assert (finding.count, "row 3" in finding.what) == (2, True)


@pytest.mark.parametrize(
    "changes", [{"points": np.zeros((3, 2), np.float32)}, {"points": np.zeros((2, 3), np.float32)},
                {"state": np.zeros(3, np.uint8)}],
)  # fmt: skip
def test_what_does_not_fit_the_skeleton_is_all_that_is_said(image, changes, tmp_path):
    odd = person(tmp_path / "lost.jpg", 4, side=0.0, **changes)
    (finding,) = check_part(Made(train=[person(image), odd, odd]), "train", decode=False)
    assert (finding.level, finding.count) == ("error", 2)
    assert finding.what == (
        f"points are {odd.points.shape}, but the skeleton has 2 keypoints of 2 dimensions (first: one.jpg, row 4)"
    )


def test_images_shared_with_several_parts_are_told_part_by_part(image):
    class Three(Made):
        facts = dataclasses.replace(Made.facts, parts=("train", "valid", "test"))

    dataset = Three(train=[person(image, image_id=name) for name in "cab"], valid=[person(image, image_id="x")])
    dataset._people["test"] = [person(image, image_id=name) for name in "bcz"]
    told = [shared_findings(dataset, part, near=False) for part in dataset.parts]
    assert [[found.what.split(" (")[0] for found in findings] for findings in told] == [
        ["the same images are in part 'valid'", "the same images are in part 'test'"],
        ["the same images are in part 'train'", "the same images are in part 'test'"],
        ["the same images are in part 'train'", "the same images are in part 'valid'"],
    ]
    assert {found.level for findings in told for found in findings} == {"warning"}


def test_an_unreadable_image_says_why_and_its_people_are_measured_against_nothing(image, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    beyond = person(bad, 1, points=np.full((2, 2), 60, np.float32), side=90.0)
    for decode in (True, False):
        findings = check_part(Made(train=[person(image), beyond]), "train", decode=decode)
        (finding,) = findings
        assert finding.what.startswith(f"image unreadable: {bad}: not an image")
        assert finding.what.endswith(f"(first: {bad}, row 1)")
    steps = []
    check_part(Made(train=[person(image), beyond]), "train", decode=False, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]


def test_one_error_alone_needs_no_count(image):
    bad = Made(train=[person(image, 1, side=0.0)])
    (line,) = faults(bad, "train")
    assert line.startswith("made, part 'train': crop side") and line.endswith("row 1)")
    assert faults(Made(train=[person(image)], own=[Finding("error", "own", 1)]), "train") == (
        "made, part 'train': own",
    )
    require_usable(
        Made(train=[person(image)], own=[Finding("warning", "own", 1), Finding("note", "own", 1)]), ["train"]
    )
