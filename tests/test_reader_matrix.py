"""Every reader that names images against every way to spell names, and every reader of CSV against all its ways."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts import LAYOUTS

from kpcore.errors import KpError
from kpcore.registry import registry


@pytest.fixture(autouse=True)
def whole_mat_files(monkeypatch):
    """Matlab's files are first read in a process of their own, a second each; these are known to be whole."""
    monkeypatch.setattr("kpcore.reading.matlab.try_out", lambda path: None)


PLAIN = "S1/Pic.png"
ACCENT = unicodedata.normalize("NFC", "S1/B\u00e4r.png")
FOUND = {
    "plain": (PLAIN, PLAIN, ""),
    "backslash": (PLAIN, "S1\\Pic.png", ""),
    "dots": (PLAIN, "S1/../S1/./Pic.png", ""),
    "below the root": (PLAIN, "{folder}/S1/Pic.png", ""),
    "up and down": (PLAIN, "{up}/{folder}/S1/Pic.png", ""),
    "inside the root": (PLAIN, "{root}/{folder}/S1/Pic.png", ""),
    "moved": (PLAIN, "/home/ann/proj/{folder}/S1/Pic.png", "note paths of another folder"),
    "moved from Windows": (PLAIN, "C:\\Users\\ann\\{folder}\\S1\\Pic.png", "note paths of another folder"),
    "case": (PLAIN, "s1/PIC.PNG", "warning image names that differ from their files in upper and lower case"),
    "NFD": (
        ACCENT,
        unicodedata.normalize("NFD", ACCENT),
        "warning image names that differ from their files in Un",
    ),
    "colon": ("S1/12:30.png", "S1/12:30.png", ""),
}
"""File, its name in the annotation, and how a finding begins."""


def opened(layout, root, stated):
    (root / layout.folder / "S1").mkdir(parents=True, exist_ok=True)
    up = "/".join([".."] * len(Path(layout.folder).parts))
    layout.write(root, stated.format(folder=layout.folder, up=up or ".", root=root))
    dataset = registry().build("dataset", layout.kind, {"root": str(root), **layout.options}, where="dataset")
    return dataset, [sample for part in dataset.parts for sample in dataset.samples(part)]


@pytest.mark.parametrize("reader", LAYOUTS)
def test_every_reader_finds_an_image_however_it_is_spelled(tmp_path, reader):
    for place, (situation, (file, stated, told)) in enumerate(FOUND.items()):
        layout, root = LAYOUTS[reader], tmp_path / str(place)
        image = root / layout.folder / file
        image.parent.mkdir(parents=True)
        cv2.imwrite(str(root / "a.png"), np.zeros((100, 100, 3), np.uint8))
        (root / "a.png").rename(image)
        dataset, samples = opened(layout, root, stated)
        assert [sample.image for sample in samples] == [image], situation
        findings = [f"{finding.level} {finding.what}" for part in dataset.parts for finding in dataset.findings(part)]
        assert not told or any(finding.startswith(told) for finding in findings), situation
        if situation in ("plain", "backslash", "dots", "colon"):
            assert not any("image names" in finding or "of another" in finding for finding in findings), situation


@pytest.mark.parametrize("reader", LAYOUTS)
@pytest.mark.parametrize(
    "stated", ["../../../S1/Pic.png", "/etc/S1_passwd.png", "C:\\S1\\x.png", "http://host/S1/Pic.png", "S1/a:b.png"]
)
def test_no_reader_leaves_the_root(tmp_path, reader, stated):
    with pytest.raises(KpError, match=r"image name .* is not a path below the folder of images"):
        opened(LAYOUTS[reader], tmp_path, stated)


@pytest.mark.parametrize("reader", LAYOUTS)
def test_a_missing_image_stays_where_it_would_be(tmp_path, reader):
    _, samples = opened(LAYOUTS[reader], tmp_path, "S1\\Pic.png")
    assert [sample.image for sample in samples] == [tmp_path / LAYOUTS[reader].folder / PLAIN]


@pytest.mark.parametrize("reader", ["coco", "named csv", "deeplabcut"])
def test_two_files_alike_are_told(tmp_path, reader):
    folder = tmp_path / LAYOUTS[reader].folder / "S1"
    folder.mkdir(parents=True)
    for name in ("a.PNG", "A.png"):
        (folder / name).touch()
    if len(list(folder.iterdir())) < 2:
        pytest.skip("this file system takes the two for one")
    with pytest.raises(KpError, match=r"no file is called 'a.png', but several are but for case .*'A.png', 'a.PNG'"):
        opened(LAYOUTS[reader], tmp_path, "S1/a.png")


def test_two_moved_names_of_one_file_are_told(tmp_path):
    (tmp_path / "a.png").touch()
    rows = "".join(f"/old/{folder}/a.png,1,2\n" for folder in ("x", "y"))
    (tmp_path / "keypoints.csv").write_text(f"image,a_x,a_y\n{rows}")
    with pytest.raises(KpError, match=r"line 3: image names '/old/x/a.png' and '/old/y/a.png' both end in one file"):
        registry().build("dataset", "named", {"root": str(tmp_path)}, where="dataset")


# ---------------------------------------------------------------------------------------------------------------- CSV

TABLES = {
    "named": (
        "keypoints.csv",
        [["image", "a_x", "a_y", "b_x", "b_y"], ["1.png", "1.5", "2", "", ""], ["2.png", "3", "4.25", "5", "6"]],
        {},
    ),
    "deeplabcut": (
        "CollectedData_x.csv",
        [
            ["scorer", "x", "x", "x", "x"], ["bodyparts", "a", "a", "b", "b"], ["coords", "x", "y", "x", "y"],
            ["1.png", "1.5", "2", "", ""], ["2.png", "3", "4.25", "5", "6"],
        ],
        {"crop": "points"},
    ),
    "landmarks": (
        "training.csv",
        [["image", "a_x", "a_y", "b_x", "b_y"], ["1.png", "1.5", "2", "", ""], ["2.png", "3", "4.25", "5", "6"]],
        {},
    ),
}  # fmt: skip


def joined(table, separator=","):
    return "".join(separator.join(row) + "\n" for row in table)


def comma(table):
    return [
        [cell.replace(".", ",") if cell[:1].isdigit() and "png" not in cell else cell for cell in row] for row in table
    ]


def missing(word):
    return lambda table: joined([[cell or word for cell in row] for row in table])


WAYS = {
    "plain": joined,
    "semicolon": lambda table: joined(table, ";"),
    "semicolon and decimal comma": lambda table: joined(comma(table), ";"),
    "tab": lambda table: joined(table, "\t"),
    "tab and decimal comma": lambda table: joined(comma(table), "\t"),
    "quoted": lambda table: joined([[f'"{cell}"' for cell in row] for row in table]),
    "said separator": lambda table: "sep=;\n" + joined(table, ";"),
    "CRLF": lambda table: joined(table).replace("\n", "\r\n"),
    "no last line end": lambda table: joined(table).rstrip("\n"),
    "byte-order mark": lambda table: joined(table).encode("utf-8-sig"),
    "UTF-16": lambda table: joined(table, "\t").encode("utf-16"),
    "trailing separators": lambda table: joined([[*row, "", ""] for row in table]),
    "blank lines": lambda table: "\n" + joined(table).replace("\n", "\n\n,,\n"),
    "comments": lambda table: "# made by hand\n#\n" + joined(table) + "# the end, for now\n",
    "white space": lambda table: joined([[f" {cell} " for cell in row] for row in table]),
    **{f"missing is {word}": missing(word) for word in ("NaN", "nan", "NA", "N/A", "null", "None", "-")},
}


def points_of(root, kind, content):
    name, _, options = TABLES[kind]
    (root / "training").mkdir(parents=True)
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    dataset = registry().build("dataset", kind, {"root": str(root), **options}, where="dataset")
    samples = sorted((s for part in dataset.parts for s in dataset.samples(part)), key=lambda sample: sample.row)
    return [sample.points.tolist() for sample in samples]


@pytest.mark.parametrize("kind", TABLES)
def test_every_reader_of_csv_takes_the_one_dialect(tmp_path, kind):
    for place, (way, write) in enumerate(WAYS.items()):
        found = points_of(tmp_path / str(place), kind, write(TABLES[kind][1]))
        np.testing.assert_equal(found, [[[1.5, 2], [np.nan, np.nan]], [[3, 4.25], [5, 6]]], err_msg=way)


@pytest.mark.parametrize("kind", ["named", "landmarks"])
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_nameless_column_of_row_numbers_is_left_out(tmp_path, kind, name):
    header, *rows = TABLES[kind][1]
    table = [[name, *header], *([str(place), *row] for place, row in enumerate(rows))]
    assert points_of(tmp_path, kind, joined(table))[1] == [[3, 4.25], [5, 6]]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("cell", ["inf", "1_000", "1,5", "one", "\u0661", "0x10"])
def test_what_is_no_number_is_told_with_its_line(tmp_path, kind, cell):
    table = [[f'"{cell}"' if entry == "4.25" else entry for entry in row] for row in TABLES[kind][1]]
    line = {"deeplabcut": "row 5"}.get(kind, "line 3")
    with pytest.raises(KpError, match=line):
        points_of(tmp_path, kind, joined(table))


@pytest.mark.parametrize("kind", TABLES)
def test_points_and_commas_in_one_column_are_told(tmp_path, kind):
    table = [[entry.replace("1.5", "1,5").replace("3", "3.500") for entry in row] for row in TABLES[kind][1]]
    with pytest.raises(KpError, match=r"'3.500', but '1,5' in line \d of the same column"):
        points_of(tmp_path, kind, joined(table, ";"))


def test_coordinates_of_what_is_not_labelled_do_not_count(tmp_path):
    table = [["image", "a_x", "a_y", "a_v", "b_x", "b_y"], ["1.png", "nan", "junk", "0", "1", "2"]]
    assert points_of(tmp_path / "a", "named", joined(table))[0][1] == [1, 2]
    points = '{"a": [NaN, null, 0], "b": [1, 2], "c": [null, NaN]}'
    sample = '{"image": "1.png", "points": ' + points + "}"
    (tmp_path / "keypoints.json").write_text('{"keypoints": ["a", "b", "c"], "samples": [' + sample + "]}")
    dataset = registry().build("dataset", "named", {"root": str(tmp_path)}, where="dataset")
    (found,) = [sample for part in dataset.parts for sample in dataset.samples(part)]
    assert found.state.tolist() == [0, 2, 0]
