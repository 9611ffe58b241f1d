"""A finished cache, damaged in every way we can think of: the next run names it and ends with the same results.

Nothing that is damaged is used, nothing has to be deleted by hand, and nothing else is trained again.
"""

import json
import shutil
from pathlib import Path

import h5py
import pytest
import torch
from hand_made import undraw

from kpcore.cache import cache_dir
from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.records.folder import JobFolder
from kpcore.registry import registry
from kpcore.study.opening import open_study
from kpcore.study.workshop import open_workshop
from kpcore.training.device import choose_device

JOBS = ("d-source-0", "d-transfer-0", "d-frozen-0", "d-random-0")
FILES = (
    "weights.safetensors", "history.jsonl", "predictions.h5", "plan.json", "result.json", "timing.json", "job.json",
    "manifest.json",
)  # fmt: skip
LASTING = tuple(name for name in FILES if name not in ("timing.json", "manifest.json"))
"""Files that hold nothing that differs between two equal runs."""


def run(*more):
    return outcome(["run", "study.toml", "--jobs", "1", *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_study, tiny_mpii):
    """A folder with a study that has been run; read only."""
    folder = tmp_path_factory.mktemp("finished")
    sets = f'[dataset]\nname = "mpii"\nroot = "{tiny_mpii}"\n'
    text = tiny_study.replace('[dataset]\nname = "mpii"\n', sets)
    assert sets in text
    (folder / "study.toml").write_text(text)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_CACHE_DIR", str(folder / "cache"))
        patch.chdir(folder)
        undraw(patch)
        assert run("--set", 'split.splits=["d"]') == 0
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    """A copy of it to spoil, as the working directory; its jobs' folders by name."""
    place = tmp_path / "copy"
    shutil.copytree(finished, place, symlinks=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("KP_CACHE_DIR", str(place / "cache"))
    return {name: place / "cache" / "jobs" / (finished / "runs/tiny/jobs" / name).resolve().name for name in JOBS}


def again(capsys):
    """Run once more; return what was said."""
    capsys.readouterr()
    assert run("--set", 'split.splits=["d"]') == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return " ".join(said.out.split())


def lasting(folder):
    return {name: (folder / name).read_bytes() for name in LASTING}


def same(copy, finished):
    """Whether results and jobs are byte for byte what they were."""
    one, other = ((Path(place) / "runs/tiny/results.json").read_bytes() for place in (".", finished))
    assert one == other
    for name, folder in copy.items():
        assert lasting(folder) == lasting(finished / "cache" / "jobs" / folder.name), name
        assert JobFolder(folder).done, name
    return True


def empty(path):
    path.write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[: max(1, path.stat().st_size * 2 // 3)])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def remove(path):
    path.unlink()


def exchange(path):
    """Put another job's file of that name in its place."""
    other = next(folder for folder in sorted(path.parent.parent.iterdir()) if folder.is_dir() and folder != path.parent)
    path.write_bytes((other / path.name).read_bytes())


DAMAGES = [empty, truncate, flip, remove, exchange]


@pytest.mark.parametrize(
    ("damage", "turn"),
    [
        pytest.param(damage, turn, marks=[] if (damage, turn) in ((flip, 0), (remove, 0)) else pytest.mark.slow)
        for damage in DAMAGES for turn in (0, 1)
    ],
)  # fmt: skip
def test_damaged_files_of_jobs_are_named_and_made_again(copy, finished, capsys, damage, turn):
    """Four jobs at once, each with another file spoilt; every file of a job has its turn."""
    spoilt = {name: FILES[4 * turn + place] for place, name in enumerate(JOBS)}
    for name, file in spoilt.items():
        damage(copy[name] / file)
    said = again(capsys)
    for name, file in spoilt.items():
        assert f"{name}: {file} is" in said, said
    assert said.count("its files are set aside, and it is trained again") == 4
    assert same(copy, finished)
    for name, file in spoilt.items():
        aside = copy[name].with_name(f"{copy[name].name}.damaged")
        assert (aside / file).exists() is (damage is not remove)
    if damage is flip:  # what is made again is as it was, and so is taken as it was
        assert "set aside" not in again(capsys)


def test_one_damaged_job_is_trained_again_and_no_other(copy, finished, capsys):
    before = {name: (folder / "weights.safetensors").stat().st_mtime_ns for name, folder in copy.items()}
    flip(copy["d-source-0"] / "weights.safetensors")
    assert "d-source-0: weights.safetensors is not as it was written" in again(capsys)
    after = {name: (folder / "weights.safetensors").stat().st_mtime_ns for name, folder in copy.items()}
    assert [name for name in JOBS if after[name] != before[name]] == ["d-source-0"]
    assert same(copy, finished)


def test_the_plan_says_what_is_damaged_and_changes_nothing(copy, capsys):
    flip(copy["d-random-0"] / "history.jsonl")
    spoilt = (copy["d-random-0"] / "history.jsonl").read_bytes()
    capsys.readouterr()
    assert run("--set", 'split.splits=["d"]', "--plan") == 0
    assert "d-random-0: history.jsonl is not as it was written" in " ".join(capsys.readouterr().out.split())
    assert (copy["d-random-0"] / "history.jsonl").read_bytes() == spoilt


def test_a_job_without_any_file_is_just_not_done(copy, finished, capsys):
    shutil.rmtree(copy["d-random-0"])
    assert "set aside" not in again(capsys)
    assert same(copy, finished)


@pytest.mark.slow
def test_two_damaged_at_once_are_mended_by_two_at_once(copy, finished, capsys):
    for name in JOBS:
        flip(copy[name] / "predictions.h5")
    capsys.readouterr()
    assert outcome(["run", "study.toml", "--jobs", "2", "--set", 'split.splits=["d"]']) == 0
    assert same(copy, finished)


def stores():
    return sorted((cache_dir() / "stores").glob("*.h5"))


def offset(path, name):
    with h5py.File(path) as file:
        return file[name].id.get_offset()


def flip_at(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(bytes(data))


def flip_crop(path):
    flip_at(path, offset(path, "crops") + 1234)


def flip_digest(path):
    flip_at(path, offset(path, "digests") + 5)


def flip_start(path):
    flip_at(path, 5)


def exchange_stores(path):
    one, other = stores()
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


@pytest.mark.parametrize(
    ("damage", "which"),
    [
        (flip_crop, 0), (exchange_stores, 0),
        *(pytest.param(*one, marks=pytest.mark.slow)
          for one in ((empty, 0), (truncate, 1), (remove, 0), (flip_crop, 1), (flip_digest, 1), (flip_start, 0))),
    ],
)  # fmt: skip
def test_damaged_stores_are_named_and_made_again(copy, finished, capsys, damage, which):
    """They are looked at when something is trained: here one job that is not there any more."""
    path = stores()[which]
    whole = path.read_bytes()
    damage(path)
    shutil.rmtree(copy["d-random-0"])
    said = again(capsys)
    assert (" damaged " in said) is (damage is not remove)
    assert same(copy, finished)
    if damage is flip_crop:  # found while it is read: the next run makes the store again
        shutil.rmtree(copy["d-random-0"])
        assert " damaged " not in again(capsys)
        assert same(copy, finished)
    assert path.read_bytes() == whole


def test_an_interrupted_job_whose_files_are_half_written_goes_on(copy, finished, capsys):
    """As a kill leaves it between the weights and the manifest: the checkpoint is there still."""
    folder = copy["d-random-0"]
    (folder / "manifest.json").unlink()
    (folder / "weights.safetensors").write_bytes(b"half")
    (folder / "checkpoint-000001-00000000000000000000000000000000.pt").write_bytes(b"damaged too")
    said = again(capsys)
    assert "checkpoint-000001-00000000000000000000000000000000.pt" in said
    assert same(copy, finished)


@pytest.mark.parametrize(
    "damage", [flip, *(pytest.param(one, marks=pytest.mark.slow) for one in (empty, truncate, remove))]
)
def test_generated_data_that_is_damaged_is_made_again(tmp_path, monkeypatch, capsys, tiny_study, damage):
    monkeypatch.chdir(tmp_path)
    text = tiny_study.replace('[dataset]\nname = "mpii"\n', '[dataset]\nname = "mpii"\ngenerate = {name = "people", people = 6, valid = 5, size = 64}\n')  # fmt: skip  # noqa: E501
    Path("study.toml").write_text(text.replace("batch_size = 4", "batch_size = 2"))
    plan = ["run", "study.toml", "--plan", "--set", 'study.modes=["random"]', "--set", 'split.splits=["d"]']
    assert outcome(plan) == 0
    (folder,) = [path for path in (cache_dir() / "generated").iterdir() if path.is_dir()]
    image = sorted((folder / "images").iterdir())[2]
    whole = image.read_bytes()
    damage(image)
    capsys.readouterr()
    assert outcome(plan) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"images/{image.name} is" in said
    assert "made again" in said
    assert image.read_bytes() == whole


def test_generated_data_that_is_damaged_while_it_is_used_is_made_again_by_the_next_run(tmp_path, tiny_study):
    text = tiny_study.replace('[dataset]\nname = "mpii"\n', '[dataset]\nname = "mpii"\ngenerate = {name = "people", people = 6, valid = 5, size = 64}\n')  # fmt: skip  # noqa: E501
    file = tmp_path / "study.toml"
    file.write_text(text.replace("batch_size = 4", "batch_size = 2"))
    study = open_study(registry(), file, notice=lambda text: None)
    picture = study.data[""].train.samples[0].image
    truncate(picture)
    device = choose_device("cpu", "fp32", 1)
    with pytest.raises(KpError, match=r"truncated.*; it is sample data, which is made again when this is run again$"):
        open_workshop(study, device, [""])
    assert not picture.exists()
    again = open_study(registry(), file, notice=lambda text: None)
    assert len(open_workshop(again, device, [""]).groups[""].scored.people) == 5


def test_verify_names_what_is_damaged(copy, capsys):
    assert outcome(["cache", "verify"]) == 0
    assert "0 damaged" in capsys.readouterr().out
    flip(copy["d-source-0"] / "weights.safetensors")
    (copy["d-random-0"] / "checkpoint-000001-00000000000000000000000000000000.pt").write_bytes(b"x")
    flip_crop(stores()[0])
    assert outcome(["cache", "verify", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    told = sorted(one["problem"] for one in found["damaged"])
    assert len(told) == 3
    assert told[0].startswith("1 of ")
    assert "crops are damaged" in told[0]
    assert "checkpoint-000001-" in told[1]
    assert told[2] == "weights.safetensors is not as it was written"
