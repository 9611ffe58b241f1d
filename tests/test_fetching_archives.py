"""Archives that were made to do harm, and damaged ones: one line each, and nothing is placed."""

import io
import os
import random
import struct
import tarfile
import zipfile
from contextlib import contextmanager

import pytest
from hand_made import refused
from loopback import LICENCE, a_tar, a_zip, an_archive, member, tree, zipped

from kpcore.errors import KpError
from kpcore.fetching import fetch
from kpcore.fetching.download import Patience
from kpcore.fetching.told import Told
from kpcore.fetching.wanted import Wanted
from kpcore.interfaces import Download


@contextmanager
def no_bar(what):
    yield lambda done, total: None


QUIET = Told(lambda line: None, no_bar)


@pytest.fixture
def unpack(tmp_path):
    """A function that unpacks an archive's bytes as the folder it returns."""

    def run(data, places=None, **more):
        path = tmp_path / f"archive{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        load = Download("all", "http://127.0.0.1/x", LICENCE, places or {"": "all"}, **more)
        root = tmp_path / f"root{len(list(tmp_path.iterdir()))}"
        try:
            fetch.fetch([Wanted(load, "", path)], root, Patience(), QUIET)
        except KpError:
            assert not (root / "all").exists()
            assert not list((root / ".kp-fetch").glob("*.unpacked/*"))
            raise
        return root / "all"

    return run


KEPT = {"images/a.jpg": b"A" * 700, "images/deep/b.jpg": b"B", "notes.txt": b"hello"}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_archives_are_unpacked_as_a_whole_or_in_part(kind, unpack):
    assert tree(unpack(an_archive(kind))) == KEPT
    assert tree(unpack(an_archive(kind), {"images/deep": "all"})) == {"b.jpg": b"B"}
    assert unpack(an_archive(kind), {"notes.txt": "all"}).read_bytes() == b"hello"
    refused(lambda: unpack(an_archive(kind), {"picures": "all"}), "holds no 'picures'; it holds images, notes.txt")


BAD_NAMES = [
    "/etc/kp",
    "../x",
    "a/../../x",
    "a//b",
    "a\\..\\x",
    "C:/x",
    "C:x",
    "a/./b",
    "x\x1b[2J",
    "x" * 300,
    "a/" * 600 + "b",
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("make", [a_zip, a_tar])
def test_names_that_leave_the_folder_or_hide_are_refused(name, make, unpack, tmp_path):
    line = refused(lambda: unpack(make([("good.txt", b"x"), (name, b"evil")])), "nothing of the archive was placed")
    assert "\x1b" not in line
    assert not list(tmp_path.rglob("x")) and not list(tmp_path.rglob("kp"))


def test_a_name_that_is_no_text_is_refused(unpack):
    info = tarfile.TarInfo("caf\udce9")
    refused(lambda: unpack(a_tar([(info, b"x")])), "cannot be shown")
    assert tree(unpack(a_tar([("café ü.jpg", b"x")]))) == {"café ü.jpg": b"x"}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a symbolic link"), (tarfile.LNKTYPE, "is a hard link"), (tarfile.FIFOTYPE, "is a pipe"),
        (tarfile.CHRTYPE, "is a device"), (tarfile.BLKTYPE, "is a device"), (tarfile.GNUTYPE_SPARSE, "spar"),
        (b"Z", ""),
    ],
)  # fmt: skip
def test_links_and_devices_in_a_tar_are_refused(kind, words, unpack, tmp_path):
    (tmp_path / "secret").write_text("secret")
    evil = member("link", kind, str(tmp_path))
    found = a_tar([("a.txt", b"x"), (evil, b""), ("link/secret", b"overwritten")])
    refused(lambda: unpack(found), words)
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010666])
def test_links_and_devices_in_a_zip_are_refused(mode, unpack):
    info = zipfile.ZipInfo("link")
    info.external_attr = mode << 16
    refused(lambda: unpack(a_zip([(info, b"/etc/passwd")])), "link' is ")


@pytest.mark.parametrize("make", [a_zip, a_tar])
def test_names_that_meet_are_refused(make, unpack, recwarn):
    for names, words in (
        (["a", "a"], "is there twice"),
        (["Images/a.jpg", "images/b.jpg"], "are one file on many systems"),
        (["A.jpg", "a.jpg"], "are one file on many systems"),
        (["caf\u00e9", "cafe\u0301"], "are one file on many systems"),
        (["a", "a/b"], "is both a file and a folder"),
        (["a/b", "a"], "is both a file and a folder"),
    ):
        refused(lambda names=names: unpack(make([(name, b"x") for name in names])), words)


def test_bombs_are_refused_before_anything_is_written(unpack, monkeypatch):
    monkeypatch.setattr("kpcore.fetching.entries.SLACK", 1000)
    zeros = [("zeros", bytes(2**22))]
    for found in (a_zip(zeros), a_tar(zeros)):
        refused(lambda found=found: unpack(found), "unpacks to more than 100 times its own size")
        refused(lambda found=found: unpack(found, unpacked=2**20), "unpacks to more than 1,048,576 bytes")
    many = [(f"f{number}", b"") for number in range(300)]
    for found in (a_zip(many), a_tar(many)):
        refused(lambda found=found: unpack(found, entries=299), "more than 299 files and folders")
        assert len(tree(unpack(found, entries=300))) == 300


def test_a_hundred_thousand_members_are_not_waited_for(unpack):
    refused(lambda: unpack(zipped(tarfile.TarInfo("x").tobuf() * 100_000)), "is there twice")
    headers = [tarfile.TarInfo(str(number)).tobuf() for number in range(1001)]
    found = zipped(b"".join(headers) + headers[-1] * 99_000)
    refused(lambda: unpack(found, entries=1000), "unpacks to more than 1,000 files and folders")


def test_a_zip_s_directory_is_not_read_where_it_is_too_large(unpack, monkeypatch):
    found = a_zip([(f"f{number}" * 20, b"") for number in range(300)])
    monkeypatch.setattr("kpcore.fetching.zips.HEADER", 46)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    refused(lambda: unpack(found, entries=300), "has a directory of", "nothing of the archive was placed")


def test_a_tar_header_does_not_fill_the_memory(unpack, monkeypatch):
    monkeypatch.setattr("kpcore.fetching.tars.HEADERS", 2**15)
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * 10**6}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info)
    refused(lambda: unpack(out.getvalue()), "has headers of over 32,768 bytes")


def test_a_zip_that_lies_about_sizes_is_refused(unpack):
    honest = a_zip([("a.txt", b"x" * 5000)])
    for lie in (100, 4999, 5001):
        found = honest.replace(struct.pack("<L", 5000), struct.pack("<L", lie))
        assert found != honest
        refused(lambda found=found: unpack(found), "is damaged or cut short")


def test_an_encrypted_zip_or_an_odd_compression_is_refused(unpack):
    found = bytearray(a_zip([("a.txt", b"x")]))
    place = found.rindex(b"PK\1\2")
    found[place + 8] |= 1
    refused(lambda: unpack(bytes(found)), "is encrypted")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.txt", b"x" * 100)
    refused(lambda: unpack(out.getvalue()), "compressed in a way (14) that is not read")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_damaged_and_cut_archives_are_told(kind, unpack):
    noise = os.urandom(3000)
    files = [("a.bin", noise), ("b.bin", noise)]
    modes = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2"}
    whole = a_zip(files) if kind == "zip" else a_tar(files, modes[kind])
    end = 2 * 512 + 2 * 3072 if kind == "tar" else len(whole)  # zeros follow
    for count in (0, 3, 200, end // 2, end - 9, end - 1):
        refused(lambda count=count: unpack(whole[:count]))
    place = 1500  # within the first file
    flipped = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
    if kind != "tar":  # a plain tar's bytes have no checksum
        refused(lambda: unpack(flipped), "is damaged or cut short")
    refused(lambda: unpack(b"<html>not found</html>"), "is no zip, tar, tar.gz or tar.bz2 file")


def test_what_follows_a_tar_s_damaged_header_is_not_passed_over(unpack):
    whole = bytearray(a_tar([("a", b"x"), ("b", b"y"), ("c", b"z")], "w"))
    whole[1024 + 10] ^= 0xFF  # in the header of b: tarfile takes that for the end
    refused(lambda: unpack(zipped(bytes(whole))), "what follows its last file is no tar")


def test_random_damage_is_one_line_or_harmless(unpack):
    chance = random.Random(0)
    for kind in ("zip", "tar", "tar.gz"):
        whole = an_archive(kind)
        for _ in range(15):
            found = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                found[chance.randrange(len(found))] = chance.randrange(256)
            try:
                folder = unpack(bytes(found))
            except KpError as error:
                assert "\n" not in str(error)
            else:
                assert all(folder in path.parents for path in folder.rglob("*"))
