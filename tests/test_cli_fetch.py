"""``kp data fetch``: what it asks, says and leaves, also where it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from importlib.metadata import EntryPoint

import pytest
from loopback import a_tar, a_zip, loopback, member, serve

from kpcore.cli import app as kp
from kpcore.registry import Registry

PLUGIN = """
from typing import ClassVar

from kpcore import hookimpl
from kpcore.errors import KpError
from kpcore.interfaces import ComponentConfig, Dataset, Download, Licence

ONE = Licence("Licence one", "Ask first.", "http://127.0.0.1/one")


class Ants(Dataset):
    "Ants."

    class Config(ComponentConfig):
        root: str

    def __init__(self, *, root):
        raise KpError("no ants")

    facts = property(lambda self: None)
    samples = lambda self, part: []
    downloads: ClassVar = (Download("labels", "http://127.0.0.1:1/labels", ONE, {"": "labels.txt"}, archive=False),)


class Bad(Ants):
    "Its download has no address."

    downloads: ClassVar = (Download("labels", "labels.txt", ONE, {"": "labels.txt"}),)


class Bare(Ants):
    "Nothing to download."

    downloads: ClassVar = ()


@hookimpl
def kp_datasets():
    return {"ants": Ants, "bad": Bad, "bare": Bare}
"""


@pytest.fixture
def server():
    with loopback() as found:
        yield found


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """A function that runs kp in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments):
        code = kp.outcome([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def ants(monkeypatch, tmp_path_factory):
    """The plugin above alone."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "ants_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(folder))
    known = Registry([EntryPoint("ants", "ants_plugin", "kpcore")])
    monkeypatch.setattr("kpcore.registry.registry", lambda: known)


@pytest.fixture
def mpii(server, tmp_path, write_mpii):
    """Options that have MPII's files come from the server, which has a few made-up people in Newell's layout."""
    root = write_mpii(tmp_path / "made", 1, train=3, valid=2)
    images = [(f"images/{path.name}", path.read_bytes()) for path in sorted((root / "images").iterdir())]
    notes = [(f"annot/{path.name}", path.read_bytes()) for path in sorted((root / "annot").iterdir())]
    server.files["images"] = a_tar([(member("images", tarfile.DIRTYPE), b""), *images])
    server.files["notes"] = a_zip(notes)
    return ["--from", f"images={server.url('images')}", "--from", f"annotations={server.url('notes')}"]


@pytest.fixture
def newell(monkeypatch):
    """MPII's annotation archive as if it held Newell's files, which are quickly made."""
    from dataclasses import replace

    from kp_mpii.dataset import Mpii

    images, notes = Mpii.downloads
    monkeypatch.setattr(Mpii, "downloads", (images, replace(notes, places={"annot": "annot"})))


def test_mpii_is_fetched_checked_and_there(run, mpii, newell, tmp_path):
    code, out, err = run("data", "fetch", "mpii", "--accept-terms", "--to", tmp_path / "mpii", *mpii)
    assert code == 0, err
    assert "Terms of images, annotations: MPII Human Pose" in err
    assert "Full text: http://human-pose.mpi-inf.mpg.de/#download" in err
    assert "images: downloading" in err and "annotations: unpacking" in err
    assert f"kp data check {tmp_path / 'mpii'} --dataset mpii" in out
    code, out, err = run("data", "check", tmp_path / "mpii", "--dataset", "mpii")
    assert code == 0, err
    assert run("data", "info", tmp_path / "mpii")[2] == "Read as 'mpii'.\n"  # what is kept beside it confuses nobody
    code, out, err = run("data", "fetch", "mpii", "--to", tmp_path / "mpii", "--json", *mpii)
    assert (code, err) == (0, "")  # nothing is left to be done, so no terms are asked for
    found = json.loads(out)
    assert (found["dataset"], [one["new"] for one in found["files"]]) == ("mpii", [False, False])


def test_the_official_layout_is_placed_as_the_plugin_reads_it(run, server, tmp_path):
    server.files |= {
        "images": a_tar([("images/1.jpg", b"x")]),
        "notes": a_zip([("mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat", b"x"), ("__MACOSX/x", b"")]),
    }
    froms = ["--from", f"images={server.url('images')}", "--from", f"annotations={server.url('notes')}"]
    assert run("data", "fetch", "mpii", "--accept-terms", "--to", "m", *froms)[0] == 0
    from kp_mpii.layouts import choose

    assert choose(tmp_path / "m", None)[0] == "mat"
    assert (tmp_path / "m" / "images" / "1.jpg").read_bytes() == b"x"


def test_coco_s_official_layout_is_placed_as_the_plugin_reads_it(run, server, tmp_path):
    notes = [
        (f"annotations/{name}_{part}2017.json", b"{}")
        for name in ("person_keypoints", "captions")
        for part in ("train", "val")
    ]
    server.files |= {"notes": a_zip(notes), "val": a_zip([("val2017/1.jpg", b"x")])}
    sums = [f"{name}={sum_of(server.files[name])}" for name in ("notes", "val")]
    froms = [f"annotations={server.url('notes')}", f"val2017={server.url('val')}"]
    arguments = [*opt("--from", froms), *opt("--only", ["annotations", "val2017"]), "--accept-terms", "--to", "c"]
    code, _, err = run("data", "fetch", "coco", *arguments)
    assert (code, "as its data set declares it" in err) == (2, True)
    sums = [sums[0].replace("notes", "annotations"), sums[1].replace("val", "val2017", 1)]
    assert run("data", "fetch", "coco", *arguments, *opt("--sha256", sums))[0] == 0
    from kp_coco.folders import found_lists

    assert sorted(found_lists(tmp_path / "c")) == ["train", "valid"]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [".kp-fetch", "annotations", "val2017"]
    assert not (tmp_path / "c" / "annotations" / "captions_val2017.json").exists()


def opt(name, values):
    return [text for value in values for text in (name, value)]


def sum_of(data):
    from hashlib import sha256

    return sha256(data).hexdigest()


def test_terms_are_asked_for_and_nothing_is_downloaded_without(run, mpii, newell, server, tmp_path, monkeypatch):
    code, out, err = run("data", "fetch", "mpii", "--to", "m", *mpii)
    assert (code, out, server.asked) == (2, "", [])
    assert err.splitlines()[-1].startswith(
        "kp: error: the terms of use were not accepted; nothing was downloaded: read"
    )
    assert not (tmp_path / "m").exists()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, wanted in (("n\n", 2), ("\n", 2), ("y\n", 0)):
        monkeypatch.setattr("typer.confirm", lambda text, err, answer=answer: answer == "y\n")
        code, _, err = run("data", "fetch", "mpii", "--to", "m", *mpii)
        assert code == wanted
        assert (tmp_path / "m").exists() == (wanted == 0)


def test_what_can_be_fetched_is_listed(run, ants):
    code, out, err = run("data", "fetch")
    assert code == 0
    assert "ants" in out and "http://127.0.0.1:1/labels" in out and "Licence one" in out and "bad" not in out
    assert "kp: warning: data set 'bad': download 'labels': 'labels.txt' is no address" in err
    found = json.loads(run("data", "fetch", "--json")[1])
    assert found["ants"][0]["licence"] == {
        "name": "Licence one",
        "summary": "Ask first.",
        "page": "http://127.0.0.1/one",
    }


def test_what_a_third_party_declares_is_fetched(run, ants, tmp_path):
    (tmp_path / "mine.txt").write_text("ants")
    code, _, err = run("data", "fetch", "ants:ants", "--accept-terms", "--from", f"labels={tmp_path / 'mine.txt'}")
    assert (code, (tmp_path / "data" / "ants" / "labels.txt").read_text()) == (0, "ants"), err


def test_wrong_words_are_one_line(run, ants):
    for arguments, words in (
        (["bare"], "data set 'bare' has no files to download; those that have: ants"),
        (["antz"], "did you mean 'ants'?"),
        (["bad"], "data set 'bad' of plugin ants"),
        (["ants", "--only", "lables"], "did you mean 'labels'?"),
        (["ants", "--from", "labels=/no/such"], "/no/such is not a file"),
        (["ants", "--accept-terms", "--retries", "0", "--timeout", "1"], "http://127.0.0.1:1/labels: "),
    ):
        code, out, err = run("data", "fetch", *arguments)
        assert (code, out) == (2, "")
        assert words in err.splitlines()[-1]
        assert err.splitlines()[-1].startswith("kp: error: ")


def test_an_interrupt_says_how_to_go_on(run, ants, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kpcore.fetching.fetch._get", interrupted)
    code, _, err = run("data", "fetch", "ants", "--accept-terms")
    assert (code, err.splitlines()[-1]) == (130, "kp: interrupted; what is there is kept; the same command goes on")


SCRIPT = """
import sys
from pathlib import Path

from kpcore.fetching import fetch, wanted
from kpcore.fetching.download import Patience
from kpcore.fetching.told import Told
from kpcore.interfaces import Download, Licence
from contextlib import contextmanager

@contextmanager
def bar(what):
    print(what, flush=True)
    yield lambda done, total: print(done, flush=True)

load = Download("all", sys.argv[1], Licence("", "", ""), {"images": "images", "notes.txt": "notes.txt"})
fetch.fetch(wanted.choose([load]), Path(sys.argv[2]), Patience(), Told(print, bar))
"""
COUNT = 60


@pytest.fixture
def big(server):
    """An archive of 60 files of 100 KB, which cannot be compressed, and a note."""
    files = [(f"images/{number}.bin", os.urandom(100_000)) for number in range(COUNT)]
    server.files["all"] = a_tar([*files, ("notes.txt", b"hello")])
    return dict(files) | {"notes.txt": b"hello"}


def started(server, root):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, server.url("all"), str(root)], stdout=subprocess.PIPE, text=True, env=environment
    )


def killed_when(process, seen):
    """Kill the process as soon as a line of its output says so."""
    for line in process.stdout:
        if seen(line.strip()):
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait(60) == -signal.SIGKILL


def files_of(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".kp-fetch" not in path.parts
    }


@pytest.mark.slow
def test_a_killed_fetch_leaves_nothing_half_and_the_next_goes_on(server, big, tmp_path):
    root, size = tmp_path / "root", len(server.files["all"])
    server.script = [serve(slow=lambda: time.sleep(0.02))]
    killed_when(started(server, root), lambda line: line.isdigit() and int(line) > size / 3)
    had = (root / ".kp-fetch" / "all.part").stat().st_size
    assert size / 3 < had < size and files_of(root) == {}
    unpacking = []
    killed_when(started(server, root), lambda line: bool(unpacking) or ("unpacking" in line and unpacking.append(1)))
    assert server.ranges == [None, f"bytes={had}-"]
    assert files_of(root) == {}
    last = started(server, root)
    last.communicate(timeout=60)
    assert (last.returncode, files_of(root), len(server.asked)) == (0, big, 2)
    assert sorted(path.name for path in (root / ".kp-fetch").iterdir()) == ["all.state", "lock"]


@pytest.mark.slow
def test_kills_at_any_moment_leave_nothing_half(server, big, tmp_path):
    """Whatever lies in its place after a kill is whole, and the last fetch has all."""
    import random

    root, chance, finished = tmp_path / "root", random.Random(0), 0
    for _ in range(60):
        server.script = [serve(slow=lambda: time.sleep(0.005))]
        process = started(server, root)
        timer = threading.Timer(chance.uniform(0.3, 2.0), process.kill)
        timer.start()
        process.communicate(timeout=60)
        timer.cancel()
        there = files_of(root)
        assert there in ({}, big, {name: data for name, data in big.items() if name.startswith("images/")})
        if process.returncode == 0:
            finished += 1
            assert there == big
            shutil.rmtree(root)
    process = started(server, root)
    process.communicate(timeout=60)
    assert (process.returncode, files_of(root)) == (0, big)
    assert finished < 60
