"""Downloads from a server that cuts, lies and changes its mind."""

import io
import json
import os
import shutil
from collections import namedtuple
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest
from hand_made import refused
from loopback import a_download, a_zip, an_archive, chunked, loopback, reply, serve, tree

from kpcore.fetching import download, fetch, kept, space, wanted
from kpcore.fetching.download import Patience
from kpcore.fetching.told import Told
from kpcore.interfaces import Download
from kpcore.registry import registry

BODY = bytes(range(256)) * 40
PATIENCE = Patience(timeout=5, retries=2, pause=0)
FILE = {"": "data/points.bin"}


@pytest.fixture
def server():
    """A server that serves BODY as ``points``."""
    with loopback() as found:
        found.files["points"] = BODY
        yield found


@dataclass
class Heard:
    """What was said, and how far the bars came."""

    lines: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    heard: object = None

    @property
    def told(self):
        step = self.heard or (lambda *one: self.steps.append(one))

        @contextmanager
        def bar(what):
            self.lines.append(what)
            yield lambda done, total: step(what, done, total)

        return Told(self.lines.append, bar)

    def __contains__(self, text):
        return any(text in line for line in self.lines)


@dataclass
class Getting:
    """Gets one file of the server into a root."""

    server: object
    root: Path
    heard: Heard = field(default_factory=Heard)
    load: Download | None = None

    def __post_init__(self):
        self.load = self.load or a_download(self.server, "points", FILE, archive=False)

    def __call__(self, sources=(), sums=(), patience=PATIENCE, heard=None):
        told = Heard(heard=heard).told if heard else self.heard.told
        return fetch.fetch(wanted.choose([self.load], (), sources, sums), self.root, patience, told)

    def refused(self, *words, **options):
        return refused(lambda: self(**options), *words)

    @property
    def result(self):
        return self.root / "data" / "points.bin"

    @property
    def part(self):
        return kept.Kept(self.root).part("points")


@pytest.fixture
def get(server, tmp_path):
    return Getting(server, tmp_path / "root")


def test_a_file_is_downloaded_placed_and_not_asked_for_again(get, server):
    (done,) = get()
    assert get.result.read_bytes() == BODY
    assert (done.sha256, done.new) == (sha256(BODY).hexdigest(), True)
    assert sorted(path.name for path in (get.root / ".kp-fetch").iterdir()) == ["lock", "points.state"]
    assert [one.new for one in get()] == [False]
    assert len(server.asked) == 1
    assert server.asked[0][1]["Accept-Encoding"] == "identity"
    assert ("points: downloading", len(BODY), len(BODY)) in get.heard.steps


def test_a_cut_connection_goes_on_where_it_was_cut(get, server):
    server.script = [serve(cut=1000), serve(cut=2000), serve()]
    get()
    assert get.result.read_bytes() == BODY
    assert server.ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert server.asked[1][1]["If-Range"] == '"one"'
    assert "1.0 kB are here; going on" in get.heard
    assert "the connection ended after 1,000 of 10,240 bytes" in get.heard or "IncompleteRead" in get.heard


def test_what_a_stopped_fetch_left_is_used_by_the_next(get, server):
    server.script = [serve(cut=4000), *[reply(503)] * 3]
    get.refused("the server answers 503", "3 tries", "the 4.0 kB that are there are kept", "--from points=ADDRESS")
    assert get.part.stat().st_size == 4000
    get()
    assert (get.result.read_bytes(), server.ranges[-1]) == (BODY, "bytes=4000-")


def test_a_fetch_that_is_killed_while_it_downloads_goes_on(get, server):
    def killed(what, done, total):
        if done >= 5000:
            raise KeyboardInterrupt

    server.script = [serve(cut=6000)]
    with pytest.raises(KeyboardInterrupt):
        get(heard=killed)
    assert not get.result.exists()
    get()
    assert (get.result.read_bytes(), server.ranges) == (BODY, [None, "bytes=6000-"])


def test_good_tries_are_not_counted_as_failures(get, server):
    server.files["points"] = body = os.urandom(5 * download.GAIN)
    server.script = [serve(cut=download.GAIN + 1)] * 4
    get(patience=replace(PATIENCE, retries=1))
    assert get.result.read_bytes() == body


def test_a_changed_file_is_downloaded_anew(get, server):
    server.script = [serve(cut=4000), serve(etag='"two"')]
    server.files["points"] = BODY
    get()
    assert "it has changed on the server; starting anew" in get.heard
    assert get.result.read_bytes() == BODY


def test_a_server_that_sends_a_part_of_another_version_is_not_believed(get, server):
    def stubborn(handler, body):  # ignores If-Range
        handler.headers.replace_header("If-Range", '"two"')
        serve(etag='"two"')(handler, body)

    server.script = [serve(cut=4000), stubborn]
    get()
    assert "it has changed on the server; starting anew" in get.heard
    assert server.ranges == [None, "bytes=4000-", None]
    assert get.result.read_bytes() == BODY


def test_a_length_that_has_changed_starts_anew(get, server):
    server.script = [serve(cut=4000)]
    server.script.append(lambda handler, body: serve()(handler, BODY + b"more"))
    get()
    assert "its length has changed on the server; starting anew" in get.heard
    assert get.result.read_bytes() == BODY


def test_a_server_without_ranges_starts_anew(get, server):
    server.script = [serve(cut=4000), serve(ranges=False)]
    get()
    assert "the server sends no parts of files; starting anew" in get.heard
    assert get.result.read_bytes() == BODY


def test_a_server_that_names_no_version_starts_anew(get, server):
    server.script = [serve(etag=None, cut=4000), serve(etag=None), serve(etag=None)]
    get()
    assert "does not say which version of it this is; starting anew" in get.heard
    assert (server.ranges, get.result.read_bytes()) == ([None, "bytes=4000-", None], BODY)


def test_a_date_is_a_version_too_and_a_weak_tag_is_not_asked_by(get, server):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.script = [serve(etag='W/"x"', modified=date, cut=4000), serve(etag='W/"x"', modified=date)]
    get()
    assert (server.ranges, server.asked[1][1]["If-Range"]) == ([None, "bytes=4000-"], date)
    assert get.result.read_bytes() == BODY


def test_a_stated_length_that_is_too_long_ends_after_some_tries(get, server):
    server.script = [serve(length=len(BODY) + 7)] * 4
    get.refused("3 tries", "the 10.2 kB that are there are kept")
    assert not get.result.exists()
    server.script = []  # the server has come to its senses: there is nothing behind what is here
    get()
    assert get.result.read_bytes() == BODY


def test_a_stated_length_that_is_too_short_is_seen_by_the_checksum(get, server):
    server.script = [serve(length=9000)]
    get.refused("its SHA-256 is", "as --sha256 states it", sums=[f"points={sha256(BODY).hexdigest()}"])
    assert not get.result.exists()
    get(sums=[f"points={sha256(BODY).hexdigest()}"])
    assert "another SHA-256; downloading it anew" in get.heard
    assert get.result.read_bytes() == BODY


def test_a_part_that_is_longer_than_the_file_starts_anew(get, server):
    server.script = [serve(cut=4000), *[reply(503)] * 3]
    get.refused("503")
    server.files["points"] = BODY[:3000]
    get()
    assert "the server has less of it than is here; starting anew" in get.heard
    assert get.result.read_bytes() == BODY[:3000]


def test_chunks_without_a_length_are_taken_and_a_missing_end_is_a_cut(get, server):
    server.script = [chunked(cut=True), chunked()]
    get()
    assert (get.result.read_bytes(), len(server.asked)) == (BODY, 2)


def test_more_than_was_stated_is_not_taken(get, server):
    def more(handler, body):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(206)
        for name, value in {
            "ETag": '"one"', "Content-Range": f"bytes 4000-{len(body) - 1}/{len(body)}", "Transfer-Encoding": "chunked",
        }.items():  # fmt: skip
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        handler.close_connection = True

    server.script = [serve(cut=4000), more]
    get()
    assert "the server sends more of it than it stated; starting anew" in get.heard
    assert (get.result.read_bytes(), server.ranges) == (BODY, [None, "bytes=4000-", None])


def test_a_part_that_was_not_asked_for_is_not_taken(get, server):
    def other(handler, body):
        handler.send_response(206)
        handler.send_header("Content-Length", "5")
        handler.send_header("Content-Range", f"bytes 0-4/{len(body)}")
        handler.end_headers()
        handler.wfile.write(body[:5])

    server.script = [other, serve(cut=4000), other]
    get(patience=replace(PATIENCE, retries=3))
    assert "another part of it than the one asked for" in get.heard
    assert (get.result.read_bytes(), server.ranges) == (BODY, [None, None, "bytes=4000-", None])


def test_errors_that_pass_are_tried_again_and_others_are_told(get, server):
    server.script = [reply(500), reply(429, {"Retry-After": "0"})]
    get()
    assert get.result.read_bytes() == BODY
    shutil.rmtree(get.root)
    server.script = [reply(404)]
    get.refused("/points: the server answers 404", "--from NAME=ADDRESS")
    server.script = [reply(416)]
    get.refused("answers 416 to a request for the whole file")
    assert len(server.asked) == 5


def test_redirects_are_followed_but_not_for_ever_nor_elsewhere(get, server):
    server.files["elsewhere"] = BODY
    server.script = [reply(302, {"Location": "/elsewhere"})]
    get()
    assert (get.result.read_bytes(), server.asked[-1][0]) == (BODY, "elsewhere")
    shutil.rmtree(get.root)
    server.script = [reply(301, {"Location": "/points"})] * 20
    get.refused("more than 10 redirects")
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "gopher:x"):
        server.script = [reply(302, {"Location": target})]
        get.refused("which is no address of HTTP or HTTPS")


def test_the_body_of_a_redirect_is_not_read(get, server):
    server.script = [reply(302, {"Location": "/points", "Content-Length": "1000000000"})]
    get(patience=replace(PATIENCE, retries=0))
    assert get.result.read_bytes() == BODY


def test_no_redirect_leaves_https():
    from kpcore.fetching.http import _followed

    assert _followed("https://a.example/x", "//b.example/y") == "https://b.example/y"
    refused(lambda: _followed("https://a.example/x", "http://b.example/y"), "redirects from HTTPS to http://b.example")


def test_a_server_that_is_not_there_is_told(get):
    closed = replace(get.load, address="http://127.0.0.1:1/points")
    get.load = closed
    get.refused("http://127.0.0.1:1/points: ", "refused", "3 tries")


def test_a_silent_server_is_not_waited_for_for_ever(get, server):
    import threading

    done = threading.Event()
    server.script = [lambda handler, body: done.wait(20)] * 2
    get.refused("timed out", patience=replace(PATIENCE, timeout=0.1, retries=1))
    done.set()


def test_a_file_that_is_far_too_large_is_refused(get, server):
    get.load = replace(get.load, size=1000)
    get.refused("has 10,240 bytes; points has about 1,000: it is another file")
    server.script = [chunked()]
    get.refused("sends more than 2,000 bytes")


def test_checksums_are_recorded_and_checked_ever_after(get, server):
    get()
    (get.result).unlink()
    server.files["points"] = BODY[::-1]
    get.refused("its SHA-256 is", "as at the first download", "--sha256 points=HEX")
    assert not get.result.exists()
    server.files["points"] = BODY
    get()
    assert get.result.read_bytes() == BODY
    get.refused("lies there from a file with SHA-256", "delete data/points.bin", sums=[f"points={'0' * 64}"])
    get.result.unlink()
    server.files["points"] = other = BODY[::-1]
    get(sums=[f"points={sha256(other).hexdigest()}"])  # the user's word counts more
    assert get.result.read_bytes() == other


def test_a_declared_checksum_counts_and_a_mistyped_one_costs_no_download(get, server):
    get.load = replace(get.load, sha256="1" * 64)
    get.refused("as its data set declares it")
    get.refused("as --sha256 states it", sums=[f"points={'2' * 64}"])
    count = len(server.asked)
    get(sums=[f"points=SHA256:{sha256(BODY).hexdigest().upper()}"])
    assert (get.result.read_bytes(), len(server.asked)) == (BODY, count)


def test_another_address_starts_anew_and_a_secret_in_it_is_not_written_down(get, server):
    server.script = [serve(cut=4000), *[reply(503)] * 3]
    get.refused("503")
    server.files["mirror"] = BODY
    address = server.url("mirror?token=geheim").replace("//", "//user:geheim@")
    (done,) = get(sources=[f"points={address}"])
    assert (server.asked[-1][0], server.ranges[-1]) == ("mirror", None)
    assert done.source == server.url("mirror")
    assert "geheim" not in "".join(path.read_text() for path in (get.root / ".kp-fetch").iterdir())
    assert "geheim" not in "".join(get.heard.lines)


def test_a_file_of_this_machine_is_used_and_left_alone(get, server, tmp_path):
    (tmp_path / "mine.bin").write_bytes(BODY)
    (done,) = get(sources=[f"points={tmp_path / 'mine.bin'}"])
    assert (get.result.read_bytes(), done.source, server.asked) == (BODY, str(tmp_path / "mine.bin"), [])
    assert (tmp_path / "mine.bin").read_bytes() == BODY


def test_options_are_checked(server):
    loads = [a_download(server, "points", FILE), a_download(server, "images", {"": "images"})]
    for options, words in {
        (("imges",), (), ()): "did you mean 'images'?",
        ((), ("imges=/x",), ()): "--from: unknown file 'imges'",
        ((), ("points",), ()): "is not NAME=VALUE; names: points, images",
        ((), ("points=/x", "points=/y"), ()): "points is given twice",
        ((), ("points=/no/such/file",), ()): "/no/such/file is not a file",
        ((), ("points=/dev/null",), ()): "is not a file",
        ((), ("points=ftp://a/b",), ()): "neither an address of HTTP or HTTPS nor a path",
        ((), ("points=file:///etc/passwd",), ()): "neither an address",
        ((), ("points=http://",), ()): "neither an address",
        ((), (), ("points=123",)): "is not 64 hex digits",
    }.items():
        refused(lambda options=options: wanted.choose(loads, *options), words)
    assert [one.name for one in wanted.choose(loads, ("images",))] == ["images"]


def test_a_plugin_s_downloads_must_keep_the_rules(server):
    good = a_download(server, "points", {"a/b": "a"})
    assert wanted.checked([good], "data set 'x'") == (good,)
    for change, words in (
        ({"name": "../x"}, "its name has other characters"),
        ({"address": "file:///etc/passwd"}, "is no address of HTTP or HTTPS"),
        ({"licence": "MIT"}, "its licence is no"),
        ({"licence": replace(good.licence, page="")}, "its licence is no"),
        ({"sha256": "abc"}, "not 64 hex digits"),
        ({"size": -1}, "too small"),
        ({"entries": 0}, "too small"),
        ({"places": {}}, "must name something"),
        ({"places": {"": "../x"}}, "leaves the archive's folder"),
        ({"places": {"": "/x"}}, "is not a path"),
        ({"places": {"": ""}}, "empty part"),
        ({"places": {"": ".kp-fetch/x"}}, "lies in .kp-fetch"),
        ({"places": {"a": "x", "a/b": "y"}}, "one of its places holds another"),
        ({"places": {"a": "x", "b": "x/y"}}, "one of its places holds another"),
        ({"archive": False}, 'of a file that is no archive just ""'),
    ):
        refused(lambda change=change: wanted.checked([replace(good, **change)], "data set 'x'"), "data set 'x'", words)
    refused(lambda: wanted.checked(["http://a.example/x"], "data set 'x'"), "is no kpcore.interfaces.Download")
    refused(lambda: wanted.checked([replace(good, size="1 GB")], "data set 'x'"), "a value of another kind")
    refused(lambda: wanted.checked([good, replace(good, name="POINTS")], "data set 'x'"), "two downloads have one name")


def test_the_example_of_the_docs_keeps_the_rules():
    text = (Path(__file__).parents[1] / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    (block,) = [code.partition("```")[0] for code in text.split("```python")[1:] if "DOWNLOADS = (" in code]
    found = {}
    exec(block, found)
    assert [one.name for one in wanted.checked(found["DOWNLOADS"], "data set 'ants'")] == ["images", "train"]


@pytest.mark.parametrize("name", registry().names("dataset"))
def test_the_downloads_of_every_data_set_keep_the_rules(name):
    downloads = registry().component("dataset", name).downloads
    assert wanted.checked(downloads, name) == tuple(downloads)
    for one in downloads:
        assert one.licence.name and one.licence.summary.endswith(".") and wanted.is_address(one.licence.page)
    assert bool(downloads) == (name in ("mpii", "coco"))


@pytest.fixture
def pictures(server, tmp_path):
    """Two files of one data set: an archive of images, and an annotation in a zip."""
    server.files |= {
        "images": an_archive("tar.gz"),
        "notes": a_zip([("v1/notes.txt", b"hello"), ("v1/more.txt", b"!")]),
    }
    loads = [
        a_download(server, "images", {"images": "pictures"}),
        a_download(server, "notes", {"v1/notes.txt": "notes.txt", "v1/more.txt": "more/more.txt"}),
    ]
    return wanted.choose(loads)


def get_all(pictures, root):
    return fetch.fetch(pictures, root, PATIENCE, Heard().told)


PLACED = {"pictures/a.jpg": b"A" * 700, "pictures/deep/b.jpg": b"B", "notes.txt": b"hello", "more/more.txt": b"!"}


def placed(root):
    return {name: data for name, data in tree(root).items() if not name.startswith(".kp-fetch")}


def test_places_are_as_the_plugin_says_and_what_is_gone_is_fetched_again(pictures, server, tmp_path):
    root = tmp_path / "root"
    get_all(pictures, root)
    assert placed(root) == PLACED
    (root / "more" / "more.txt").unlink()
    (root / "notes.txt").write_text("mine")
    assert [one.new for one in get_all(pictures, root)] == [False, True]
    assert placed(root) == {**PLACED, "notes.txt": b"mine"}
    assert [path for path, _ in server.asked] == ["images", "notes", "notes"]


def test_what_lies_in_a_place_is_never_overwritten(pictures, server, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "notes.txt").write_text("mine")
    refused(lambda: get_all(pictures, root), "notes.txt: is there already", "--to", "--only")
    assert (server.asked, placed(root)) == ([], {"notes.txt": b"mine"})
    (root / "notes.txt").unlink()
    (root / "pictures").symlink_to(tmp_path)
    refused(lambda: get_all(pictures, root), "pictures: is there already")


def test_an_archive_that_cannot_be_unpacked_is_deleted_and_fetched_anew(pictures, server, tmp_path):
    good, root = server.files["notes"], tmp_path / "root"
    server.files["notes"] = good[:-30]
    refused(lambda: get_all(pictures, root), "is damaged or cut short", "it was deleted")
    server.files["notes"] = good
    get_all(pictures, root)
    assert placed(root) == PLACED
    assert [path for path, _ in server.asked].count("images") == 1


def test_a_kill_between_two_places_is_mended(pictures, tmp_path, monkeypatch):
    root, rename = tmp_path / "root", Path.rename

    def killed(path, target):
        if path.name == "1":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        get_all(pictures, root)
    assert "more/more.txt" not in placed(root)
    monkeypatch.undo()
    get_all(pictures, root)
    assert placed(root) == PLACED


Usage = namedtuple("Usage", "total used free")


def test_a_disk_that_is_too_small_is_told_before_and_while(pictures, server, tmp_path, monkeypatch):
    root = tmp_path / "root"
    room = [space.RESERVE + 10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, room[0]))
    big = [replace(one, download=replace(one.download, size=10**10)) for one in pictures]
    refused(lambda: get_all(big, root), "needs 40.0 GB", "the disk has 1.1 GB free", "--to")
    assert server.asked == []
    room[0] = space.RESERVE + 20
    refused(lambda: get_all(pictures, root), "for the rest of images")
    room[0] = space.RESERVE + 600  # the archives fit, a picture does not
    refused(lambda: get_all(pictures, root), "what is in images.whole")
    assert placed(root) == {}
    room[0] = space.RESERVE + 700
    count = len(server.asked)
    get_all(pictures, root)
    assert (placed(root), len(server.asked)) == (PLACED, count)


def test_a_full_disk_is_one_line_and_the_part_is_kept(get, server, monkeypatch):
    import errno

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[:5000])
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **more: Full(path, "ab") if mode == "ab" else opened(path, mode, **more)
    )
    get.refused("points.part: No space left on device; free disk space")
    monkeypatch.undo()
    get()
    assert (get.result.read_bytes(), server.ranges) == (BODY, [None, "bytes=5000-"])


def test_a_place_that_cannot_be_written_to_is_one_line(get, tmp_path, monkeypatch):
    (tmp_path / "root").write_text("a file")
    get.refused("Not a directory")
    (tmp_path / "root").unlink()
    (tmp_path / "root").mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write everywhere: the system's answer is made up

        def denied(path, *_, **__):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "mkdir", denied)
    get.refused(".kp-fetch: Permission denied")


def test_two_at_once_do_not_meet(get):
    with kept.Kept(get.root).locked(print):
        get.refused(f"another 'kp data fetch' (process {os.getpid()}) is at work there")
    get()


def test_a_file_system_without_locks_is_told(get, monkeypatch):
    def no_locks(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("kpcore.locks.FileLock.acquire", no_locks)
    get()
    assert get.result.read_bytes() == BODY
    assert "has no locks" in get.heard


def test_a_proxy_is_asked_where_the_environment_names_one(get, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.files["http://data.invalid/points"] = BODY
    get(sources=["points=http://data.invalid/points"])
    assert get.result.read_bytes() == BODY


def test_a_damaged_state_is_told(get):
    get()
    state = get.root / ".kp-fetch" / "points.state"
    for text in ("", "[]", "{", '{"etag": 3}', '{"colour": ""}', "[" * 10**5, json.dumps({"etag": "x" * 10**5})):
        state.write_text(text)
        get.refused("points.state: is damaged", "delete it")
    state.unlink()
    get.refused("points.bin: is there already")


def test_a_link_in_the_place_of_the_folder_is_refused(get, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    get.root.mkdir()
    (get.root / ".kp-fetch").symlink_to(tmp_path / "elsewhere")
    get.refused(".kp-fetch: is a link")
    assert not list((tmp_path / "elsewhere").iterdir())
