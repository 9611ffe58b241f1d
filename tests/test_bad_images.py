"""Pictures that are gone or damaged: an error, or left out and counted."""

import json
import shutil

import pytest

from kpcore.data import readable
from kpcore.errors import KpError
from kpcore.registry import registry
from kpcore.study.opening import open_study
from kpcore.study.workshop import open_workshop
from kpcore.training.device import choose_device


@pytest.fixture
def damaged(tmp_path, tiny_mpii):
    """A data set of which one training picture is cut short and one scored picture is gone, and their samples."""
    root = tmp_path / "mpii"
    shutil.copytree(tiny_mpii, root)
    return root


@pytest.fixture
def opened(tmp_path, tiny_study):
    """(root, policy) -> the tiny study on it, and what was said."""
    file = tmp_path / "study.toml"
    file.write_text(tiny_study)

    def open_with(root, policy):
        said = []
        sets = [f"dataset.root={json.dumps(str(root))}", 'split.splits=["d"]', f"dataset.bad_image_policy={policy}"]
        return open_study(registry(), file, None, sets, notice=said.append), said

    return open_with


def spoil(study):
    """Cut the first training picture short and remove the first scored one; return how many samples lose theirs."""
    train, valid = study.data[""].train.samples, study.data[""].valid.samples
    cut, gone = train[0].image, valid[0].image
    cut.write_bytes(cut.read_bytes()[:-200])
    gone.unlink()
    return cut, gone, [sum(one.image == path for one in part) for path, part in ((cut, train), (gone, valid))]


def prepare(study, said):
    return open_workshop(study, choose_device("cpu", "fp32", 1), [""], None, said.append)


def test_a_bad_picture_fails_unless_it_is_to_be_left_out(damaged, opened):
    study, said = opened(damaged, "fail")
    spoil(study)
    with pytest.raises(KpError, match=r"truncated|does not exist"):
        prepare(opened(damaged, "fail")[0], said)


def test_left_out_samples_are_counted_and_said(damaged, opened):
    before, _ = opened(damaged, "leave_out")
    counts = [before.data[""].people(part) for part in ("train", "valid")]
    cut, gone, lost = spoil(before)
    study, said = opened(damaged, "leave_out")
    data = study.data[""]
    assert [data.people(part) for part in ("train", "valid")] == [
        every - few for every, few in zip(counts, lost, strict=True)
    ]
    assert data.undecoded == dict(zip(("train", "valid"), lost, strict=True))
    assert len(said) == 2
    assert f"{cut}: image is truncated" in said[0]
    assert f"{gone}: image file does not exist" in said[1]
    assert data.train.fingerprint != before.data[""].train.fingerprint
    prepare(study, said)


def test_a_picture_is_decoded_once_for_the_same_bytes(damaged, opened, monkeypatch):
    first, _ = opened(damaged, "leave_out")
    decoded = []
    real = readable.decode_image
    monkeypatch.setattr(readable, "decode_image", lambda path: decoded.append(path) or real(path))
    monkeypatch.setattr("kpcore.data.fingerprint.FRESH", 0)
    opened(damaged, "leave_out")
    once = len(decoded)
    opened(damaged, "leave_out")
    assert once and len(decoded) == once
    cut, _, _ = spoil(first)
    opened(damaged, "leave_out")
    assert decoded[once:] == [cut]
