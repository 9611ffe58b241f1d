"""Pictures as they are read: orientation, depth, kinds, sizes; and the keys that hang on it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from functools import partial

import cv2
import numpy as np
import pytest
from hand_made import Listed, finding_of, somebody
from PIL import Image, ImageOps

from kpcore.audit.check import check_part, require_usable
from kpcore.audit.show import Look, contact_sheet
from kpcore.cli.app import outcome
from kpcore.config import Augmentation
from kpcore.data.adjusted import Adjusted, Adjustments
from kpcore.data.fingerprint import fingerprint, image_headers
from kpcore.data.readable import unreadable
from kpcore.data.store import Cut, prepare
from kpcore.errors import KpError
from kpcore.keypoints import Keypoint, Skeleton
from kpcore.reading.headers import Header, read_header
from kpcore.reading.images import decode_image, image_size, pixels_of, stretched
from kpcore.reading.shown import shown_size
from kpcore.reading.turning import turn_of, turned, turned_back, unclear
from kpcore.study.data import read_part
from kpcore.trained.predicting import How

WIDTH, HEIGHT = 48, 32
SKELETON = Skeleton("two", (Keypoint("a"), Keypoint("b")))
RANDOM = np.random.default_rng(3)
PICTURE = cv2.resize(RANDOM.integers(0, 255, (4, 6, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
"""RGB, (H, W, 3)."""
Made = partial(Listed, SKELETON)


def person(image, row=0, **changes):
    fine = somebody(image, np.array([[10.0, 10.3], [20, 12]]) + row * 0.25, row)
    return dataclasses.replace(fine, **changes)


def write(path, pixels=PICTURE, orientation=None, **options):
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
        options["exif"] = exif.tobytes()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def found(samples, text, **how):
    data = Adjusted(Made(samples), Adjustments(**how)) if how else Made(samples)
    return finding_of(data, text, decode=True)


def levels(samples):
    return {finding.level for finding in check_part(Made(samples), "train", decode=False)}


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_are_those_of_viewers_and_can_be_undone(tmp_path, orientation):
    path = write(tmp_path / "a.png", orientation=orientation)
    with Image.open(path) as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(turned(PICTURE, orientation), shown)
    np.testing.assert_array_equal(turned_back(shown, orientation), PICTURE)
    assert read_header(path).turned_size == (shown.shape[1], shown.shape[0])


@pytest.mark.parametrize(
    ("orientation", "stated", "option", "turn", "blind"),
    [
        (1, None, "auto", 1, False),
        (6, (HEIGHT, WIDTH), "auto", 6, False),
        (6, (WIDTH, HEIGHT), "auto", 1, False),
        (6, None, "auto", 1, True),
        (6, (99, 98), "auto", 1, True),
        (3, (WIDTH, HEIGHT), "auto", 1, True),
        (3, None, "turned", 3, True),
        (8, None, "turned", 8, True),
        (8, (HEIGHT, WIDTH), "stored", 1, False),
    ],
)
def test_auto_takes_what_fits_the_stated_size(orientation, stated, option, turn, blind):
    header = Header((WIDTH, HEIGHT), orientation)
    assert (turn_of(header, stated, option), unclear(header, stated)) == (turn, blind)


def test_a_square_picture_tells_nothing():
    header = Header((40, 40), 6)
    assert turn_of(header, (40, 40), "auto") == 1 and unclear(header, (40, 40))


@pytest.mark.parametrize(
    ("suffix", "orientation", "shown"),
    [
        ("jpg", 1, ((WIDTH, HEIGHT), False)),
        ("jpg", 3, ((WIDTH, HEIGHT), True)),
        ("jpg", 6, ((HEIGHT, WIDTH), True)),
        ("jpg", 9, ((WIDTH, HEIGHT), False)),  # there is no such orientation
        ("mpo", 8, ((HEIGHT, WIDTH), True)),
        ("png", 6, ((WIDTH, HEIGHT), False)),
        ("tif", 6, ((WIDTH, HEIGHT), False)),
    ],
)
def test_viewers_turn_a_jpeg_alone_which_is_opened_once(tmp_path, monkeypatch, suffix, orientation, shown):
    more = {"save_all": True, "append_images": [Image.fromarray(PICTURE)]} if suffix == "mpo" else {}
    path, opened, real = write(tmp_path / f"a.{suffix}", orientation=orientation, **more), [], Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **how: opened.append(given) or real(*given, **how))
    assert shown_size(path) == shown
    assert len(opened) == 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_sample_has_the_picture_that_its_stated_size_names(tmp_path, suffix, orientation):
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    path = write(tmp_path / f"a.{suffix}", orientation=orientation, **options)
    assert image_size(path) == (WIDTH, HEIGHT)
    near = {"atol": 8 if suffix == "jpg" else 0}
    np.testing.assert_allclose(decode_image(path).astype(int), PICTURE, **near)
    shown = pixels_of(person(path, orientation="turned"))
    np.testing.assert_allclose(shown.astype(int), turned(PICTURE, orientation), **near)
    by_size = pixels_of(person(path, stated_size=(HEIGHT, WIDTH)))
    np.testing.assert_allclose(by_size.astype(int), turned(PICTURE, orientation if orientation == 6 else 1), **near)


def test_check_says_what_is_done_with_an_orientation(tmp_path):
    path = write(tmp_path / "a.jpg", orientation=6)
    fits = found([person(path, stated_size=(HEIGHT, WIDTH))], "EXIF")
    assert fits.level == "note" and "pictures: turned by" in fits.what and fits.count == 1
    stored = found([person(path, stated_size=(WIDTH, HEIGHT))], "EXIF")
    assert stored.level == "note" and "not turned by" in stored.what
    blind = found([person(path), person(path, 1)], "EXIF")
    assert blind.level == "warning" and "dataset.orientation" in blind.what and blind.count == 1
    told = found([person(path)], "EXIF", orientation="turned")
    assert (
        told.level == "note"
        and "turned by their EXIF orientation, as the format or dataset.orientation says" in told.what
    )
    assert found([person(write(tmp_path / "b.jpg", orientation=1))], "EXIF") is None


def test_check_says_which_way_the_points_fit(tmp_path):
    path = write(tmp_path / "a.jpg", orientation=6)
    low = person(path, points=np.array([[5, 40], [7, 44]], np.float32))
    assert "the points fit the turned pictures alone" in found([low], "EXIF").what
    assert "alone" not in found([person(path)], "EXIF").what


def test_every_reader_of_pixels_turns_alike(tmp_path):
    """Crop, contact sheet and check see the picture that the points lie on."""
    path = write(tmp_path / "a.png", orientation=6)
    one = person(path, stated_size=(HEIGHT, WIDTH))
    same = person(turned(PICTURE, 6), image_id=one.image_id)
    crops = [prepare(read_part(Made([sample]), "train"), Cut(32, 1.25)).crops[0] for sample in (one, same)]
    np.testing.assert_array_equal(crops[0], crops[1])
    sheets = [contact_sheet([sample], Look(SKELETON), Augmentation(), seed=0) for sample in (one, same)]
    np.testing.assert_array_equal(*sheets)
    beyond = person(path, stated_size=(HEIGHT, WIDTH), points=np.array([[33, 10], [20, 47]], np.float32))
    assert found([beyond], "truncated: 1 labelled") is not None


def test_two_rows_of_one_picture_may_state_different_sizes(tmp_path):
    path = write(tmp_path / "a.png", orientation=6)
    part = read_part(Made([person(path, stated_size=(HEIGHT, WIDTH)), person(path, 1)]), "train")
    crops = prepare(part, Cut(32, 1.25)).crops
    alone = prepare(read_part(Made([person(path, 1)]), "train"), Cut(32, 1.25)).crops
    np.testing.assert_array_equal(crops[1], alone[0])


def test_a_crop_of_the_whole_picture_is_turned_with_it(tmp_path):
    path = write(tmp_path / "a.png", orientation=6)
    whole = person(path, centre=np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2], np.float32), side=float(WIDTH))
    (sample,) = Adjusted(Made([whole]), Adjustments(orientation="turned")).samples("train")
    assert sample.centre.tolist() == [(HEIGHT - 1) / 2, (WIDTH - 1) / 2] and sample.side == WIDTH
    (other,) = Adjusted(Made([person(path)]), Adjustments(orientation="turned")).samples("train")
    assert other.centre.tolist() == [15, 14]


# Keys


def images_key(sample):
    return fingerprint([sample], SKELETON).images


def test_the_key_holds_how_a_picture_is_turned_and_else_only_its_bytes(tmp_path):
    plain, exif = write(tmp_path / "a.jpg"), write(tmp_path / "b.jpg", orientation=6)
    old = hashlib.sha256(hashlib.sha256(plain.read_bytes()).hexdigest().encode()).hexdigest()
    for changes in ({}, {"stated_size": (WIDTH, HEIGHT)}, {"orientation": "turned"}, {"orientation": "stored"}):
        assert images_key(person(plain, **changes)) == old
    stored, shown = images_key(person(exif)), images_key(person(exif, orientation="turned"))
    assert stored == hashlib.sha256(hashlib.sha256(exif.read_bytes()).hexdigest().encode()).hexdigest() != shown
    assert shown == images_key(person(exif, stated_size=(HEIGHT, WIDTH)))


def test_the_key_of_a_16_bit_picture_says_that_it_is_stretched(tmp_path):
    path = write(tmp_path / "a.png", PICTURE[..., 0].astype(np.uint16) * 9)
    assert (
        images_key(person(path)) != hashlib.sha256(hashlib.sha256(path.read_bytes()).hexdigest().encode()).hexdigest()
    )


def test_headers_are_remembered_with_the_digests(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jpg", orientation=6)
    os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr("kpcore.data.fingerprint.FRESH", -(10**12))  # a file made now is old enough
    (header,) = image_headers([path])
    assert header == read_header(path) and header.orientation == 6
    monkeypatch.setattr("kpcore.data.fingerprint.read_header", lambda path: pytest.fail("read again"))
    assert image_headers([path]) == [header]
    path.unlink()
    assert image_headers([path]) == [header]
    with pytest.raises(KpError, match="does not exist"):
        image_headers([tmp_path / "never.jpg"])


@pytest.mark.parametrize("first", ["9", None])
def test_what_a_limit_refused_or_let_pass_is_read_again_under_another(tmp_path, monkeypatch, first):
    path = write(tmp_path / "a.jpg", orientation=6)
    os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr("kpcore.data.fingerprint.FRESH", -(10**12))
    for limit in (first, None if first else "9", first):
        monkeypatch.delenv("KP_MAX_PIXELS", raising=False)
        if limit:
            monkeypatch.setenv("KP_MAX_PIXELS", limit)
        assert bool(unreadable([person(path)])) == bool(limit)
        assert image_headers([path]) == [None if limit else read_header(path)]


def test_a_limit_that_is_none_is_no_fault_of_a_picture(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "a.jpg")
    monkeypatch.setenv("KP_MAX_PIXELS", "2e8")
    for call in (lambda: unreadable([person(path)]), lambda: image_headers([path]), How):
        with pytest.raises(KpError, match=r"^KP_MAX_PIXELS: '2e8' is no whole number above 0"):
            call()
    assert outcome(["predict", "model", str(path)]) == 2
    assert capsys.readouterr().err.startswith("kp: error: KP_MAX_PIXELS: '2e8' is no whole number")


def test_a_header_that_cannot_be_read_is_left_to_the_check(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no picture")
    assert image_headers([path, PICTURE]) == [None, None]


# Stated sizes


def test_a_stated_size_that_is_another_pictures_is_an_error_with_both_sizes(tmp_path):
    path = write(tmp_path / "a.png")
    rows = [person(path), person(path, 1, stated_size=(96, 64)), person(path, 2, stated_size=(96, 64))]
    finding = found(rows, "the file says")
    assert (finding.level, finding.count) == ("error", 2)
    assert f"the file says 96 x 64, the picture is {WIDTH} x {HEIGHT}" in finding.what
    assert "resized" in finding.what and "a.png, row 1" in finding.what
    with pytest.raises(KpError, match="the file says 96 x 64"):
        require_usable(Made(rows), ("train",))


def test_a_stated_size_of_pixels_in_memory_is_compared_too():
    assert found([person(PICTURE, stated_size=(96, 64))], "the file says").level == "error"
    assert found([person(PICTURE, stated_size=(WIDTH, HEIGHT))], "the file says") is None


def test_exchanged_sides_are_an_error_only_where_points_lie_outside(tmp_path):
    path = write(tmp_path / "a.png")
    fits, beyond = person(path), person(path, points=np.array([[10, 40], [20, 44]], np.float32))
    stated = {"stated_size": (HEIGHT, WIDTH)}
    assert found([dataclasses.replace(fits, **stated)], "exchanged: turned").level == "warning"
    assert found([dataclasses.replace(beyond, **stated)], "exchanged: turned").level == "error"


def test_a_few_pixels_are_a_warning(tmp_path):
    path = write(tmp_path / "a.png")
    assert found([person(path, stated_size=(WIDTH, HEIGHT + 2))], "the file says").level == "warning"
    assert found([person(path, stated_size=(WIDTH, HEIGHT + 3))], "the file says").level == "error"


# Kinds of picture


def coded(picture, **options):
    stream = io.BytesIO()
    picture.save(stream, **options)
    return stream.getvalue()


RGBA = np.dstack([PICTURE, np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)])
RGB_PICTURE = Image.fromarray(PICTURE)
READ = {
    "1-bit.png": RGB_PICTURE.convert("1"), "1-bit.tif": RGB_PICTURE.convert("1"), "grey.png": RGB_PICTURE.convert("L"),
    "grey-alpha.png": Image.fromarray(RGBA).convert("LA"), "palette.png": RGB_PICTURE.quantize(16),
    "palette.gif": RGB_PICTURE.quantize(16), "palette.bmp": RGB_PICTURE.quantize(16),
    "alpha.png": Image.fromarray(RGBA), "alpha.tif": Image.fromarray(RGBA), "alpha.webp": Image.fromarray(RGBA),
    "cmyk.tif": RGB_PICTURE.convert("CMYK"), "plain.ppm": RGB_PICTURE,
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_kinds_of_pictures_give_their_rgb(tmp_path, name):
    path, options = tmp_path / name, {"lossless": True, "exact": True} if name.endswith("webp") else {}
    READ[name].save(path, **options)
    with Image.open(path) as image:
        wanted = np.asarray(image.convert("RGB"))
    np.testing.assert_allclose(decode_image(path).astype(int), wanted, atol=1)


def test_cmyk_jpegs_are_no_negatives(tmp_path):
    path = tmp_path / "a.jpg"
    RGB_PICTURE.convert("CMYK").save(path, quality=100)
    assert np.abs(decode_image(path).astype(int) - PICTURE).mean() < 3


def test_alpha_is_dropped_and_said(tmp_path):
    path = write(tmp_path / "a.png", RGBA)
    np.testing.assert_array_equal(decode_image(path), PICTURE)
    assert found([person(path)], "alpha channel").level == "note"
    assert found([person(write(tmp_path / "b.png"))], "alpha channel") is None


REFUSED = {
    "float.tif": (Image.fromarray(PICTURE[..., 0].astype(np.float32)), {}, "32 bits"),
    "int.tif": (Image.fromarray(PICTURE[..., 0].astype(np.int32)), {}, "32 bits"),
    "lab.tif": (RGB_PICTURE.convert("LAB"), {}, "LAB"),
    "pages.tif": (RGB_PICTURE, {"save_all": True, "append_images": [RGB_PICTURE] * 2}, "several pictures"),
    "frames.gif": (RGB_PICTURE, {"save_all": True, "append_images": [RGB_PICTURE.rotate(90)]}, "several pictures"),
    "frames.png": (RGB_PICTURE, {"save_all": True, "append_images": [RGB_PICTURE.rotate(90)]}, "several pictures"),
    "targa.tga": (RGB_PICTURE, {}, "TGA"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_kinds_that_cannot_be_read_right_are_named(tmp_path, name):
    picture, options, text = REFUSED[name]
    path = tmp_path / name
    picture.save(path, **options)
    for read in (decode_image, image_size):
        with pytest.raises(KpError, match=text) as error:
            read(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value) and "PNG" in str(error.value)
    assert text in found([person(path)], "unreadable").what


def test_a_tiff_that_pillow_does_not_know_is_called_one(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(cv2.imencode(".tiff", PICTURE.astype(np.float32))[1].tobytes())
    with pytest.raises(KpError, match=r"a TIFF of a kind that is not read; save it"):
        image_size(path)


def test_a_jpeg_with_a_preview_behind_it_is_one_picture(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(coded(RGB_PICTURE, format="MPO", save_all=True, append_images=[RGB_PICTURE.resize((8, 8))]))
    assert image_size(path) == (WIDTH, HEIGHT) and decode_image(path).shape == (HEIGHT, WIDTH, 3)


def test_a_tiff_with_a_smaller_copy_is_one_picture(tmp_path):
    path = tmp_path / "a.tif"
    small = RGB_PICTURE.resize((8, 8))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    RGB_PICTURE.save(path, save_all=True, append_images=[small])
    assert decode_image(path).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bits_are_stretched_over_what_the_picture_uses(tmp_path, suffix):
    deep = PICTURE.astype(np.uint16) * 16  # 12 of 16 bits
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), deep[..., 0] if suffix == "pgm" else deep[..., ::-1])
    pixels = decode_image(path)
    wanted = np.repeat(deep[..., :1], 3, 2) if suffix == "pgm" else deep
    np.testing.assert_array_equal(pixels, stretched(wanted))
    assert pixels.min() == 0 and pixels.max() == 255 and np.corrcoef(pixels.ravel(), wanted.ravel())[0, 1] > 0.999
    finding = found([person(path)], "16-bit")
    assert (finding.level, finding.count) == ("note", 1) and "0.1" in finding.what


def test_a_hot_pixel_does_not_darken_a_16_bit_picture():
    deep = RANDOM.integers(1000, 2000, (60, 80, 3)).astype(np.uint16)
    hot = deep.copy()
    hot[5, 5] = 65535
    assert np.abs(stretched(hot).astype(int) - stretched(deep))[10:].max() <= 1


def test_pictures_of_one_and_of_few_values_are_stretched_too():
    assert stretched(np.full((9, 9, 3), 0x4321, np.uint16)).max() == 0x43
    few = np.zeros((100, 100, 3), np.uint16)
    few[0, 0] = 7
    assert stretched(few).max() == 255


# Size


def bomb(path, side):
    """Write a PNG of side x side white pixels, row by row."""
    packer = zlib.compressobj(1)
    row = bytes([0]) + bytes([255]) * ((side + 7) // 8)
    rows = packer.compress(row * 64)
    for _ in range(side // 64):
        rows += packer.compress(row * 64)
    rows += packer.flush()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [13_400, 30_000])
def test_a_picture_too_large_is_refused_from_its_header(tmp_path, side):
    path = bomb(tmp_path / "a.png", side)
    for read in (decode_image, image_size):
        with pytest.raises(KpError, match=f"{side * side:,} pixels, at most 178,956,970 are read"):
            read(path)


# Silence


def test_what_c_libraries_say_of_a_picture_is_not_heard(tmp_path):
    path = write(tmp_path / "a.png", icc_profile=bytes(200))
    code = (
        "import sys; from pathlib import Path; from kpcore.reading.quiet import spare_stderr, hushed\n"
        "from kpcore.reading.images import decode_image\n"
        "import os\n"
        "path = Path(sys.argv[1])\n"
        "decode_image(path); os.write(2, b'|')\n"
        "spare_stderr(); decode_image(path)\n"
        "with hushed():\n    with hushed():\n        os.write(2, b'lost')\n"
        "    os.write(2, b'lost'); print('ours', file=sys.stderr)\n"
        "os.write(2, b'heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    before, after = done.stderr.split("|")
    assert "iCCP" in before  # the library does speak
    assert after == "ours\nheard"
