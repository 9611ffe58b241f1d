"""``[source] model``: a network that is there already, in place of the training on S1."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
from hand_made import undraw
from safetensors.numpy import load_file

from kpcore.cli.app import outcome
from kpcore.records.results import read_results
from kpcore.trained.copying import copy_model
from kpcore.trained.finding import trainings
from kpcore.trained.opening import open_model


def study(folder, text, root, *sets):
    """Run a study of split d with two seeds; return its exit code."""
    (folder / "study.toml").write_text(text)
    words = [f"dataset.root={root}", 'split.splits=["d"]', 'study.modes=["transfer", "random"]', *sets]
    options = [word for one in words for word in ("--set", one)]
    return outcome(["run", str(folder / "study.toml"), *options, "--out", str(folder / "out"), "--jobs", "1"])


@pytest.fixture(scope="module")
def first(tmp_path_factory, tiny_mpii, tiny_study):
    """A finished study, its cache, and its S1 as a model folder elsewhere."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_CACHE_DIR", str(folder / "cache"))
        undraw(patch)
        assert study(folder, tiny_study, tiny_mpii, 'study.modes=["transfer", "replay"]') == 0
        copy_model("tiny/d-source-0", folder / "s1")
    return folder


@pytest.mark.page
def test_a_given_source_gives_bit_for_bit_what_its_training_gave(first, tiny_mpii, tiny_study, tmp_path, capsys):
    text = f'{tiny_study}\n[source]\nmodel = "{first / "s1"}"\n'
    assert study(tmp_path, text, tiny_mpii) == 0
    here, there = (folder / "out" / "jobs" / "d-transfer-0" for folder in (tmp_path, first))
    mine, theirs = (load_file(path / "weights.safetensors") for path in (here, there))
    assert mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
    with h5py.File(here / "predictions.h5") as one, h5py.File(there / "predictions.h5") as other:
        np.testing.assert_array_equal(one["preds"], other["preds"])
    results = read_results(tmp_path / "out")
    assert {job.name: job.status for job in results.jobs} == {
        "given": "done", "d-transfer-0": "done", "d-random-0": "done",
    }  # fmt: skip
    assert results.rows[0].columns == read_results(first / "out").rows[0].columns
    assert (tmp_path / "out" / "report" / "index.html").is_file()
    assert [one.name for one in trainings() if one.name == "given"] == ["given"]
    assert "warning" not in capsys.readouterr().err


def test_a_source_that_the_cache_has_is_the_very_training(first, tiny_mpii, tiny_study, tmp_path, monkeypatch):
    monkeypatch.setenv("KP_CACHE_DIR", str(first / "cache"))
    text = f'{tiny_study}\n[source]\nmodel = "tiny/d-source-0"\n'
    assert study(tmp_path, text, tiny_mpii, 'study.modes=["transfer"]') == 0
    mine, theirs = (read_results(folder / "out").rows[0].job for folder in (tmp_path, first))
    assert mine == theirs  # nothing was trained again


def before(folder):
    """What S1 scores in the network that was made of it, and scored as it was itself."""
    (row,) = (one for one in read_results(folder / "out").rows if one.mode == "replay")
    (kept,) = row.retained
    return kept.average, kept.before


def test_a_given_source_is_scored_on_s1_as_its_training_was(first, tiny_mpii, tiny_study, tmp_path, monkeypatch):
    now, then = before(first)
    assert now is not None and then is not None
    text = f'{tiny_study}\n[source]\nmodel = "{first / "s1"}"\n'
    assert study(tmp_path, text, tiny_mpii, 'study.modes=["replay"]') == 0
    assert before(tmp_path) == (now, then)
    assert (tmp_path / "out" / "jobs" / "d-replay-0" / "given.h5").is_file()
    monkeypatch.setenv("KP_CACHE_DIR", str(first / "cache"))  # which has the training and what was made of it
    text = f'{tiny_study}\n[source]\nmodel = "tiny/d-source-0"\n'
    assert study(tmp_path, text, tiny_mpii, 'study.modes=["replay"]') == 0
    assert before(tmp_path) == (now, then)


def test_what_was_said_of_the_data_goes_with_the_network(first, tiny_mpii, tiny_study, tmp_path, capsys):
    stated = open_model(str(first / "out" / "jobs" / "d-transfer-0")).card.terms
    assert stated.startswith("MPII: free for research, no commercial use")
    copy_model(str(first / "s1"), tmp_path / "mine", terms=" for our lab alone\n")
    assert open_model(str(tmp_path / "mine")).card.terms == "for our lab alone"
    text = f'{tiny_study}\n[source]\nmodel = "{tmp_path / "mine"}"\n'
    ours = ['study.modes=["transfer"]', 'dataset.terms="as agreed with the zoo"']
    assert study(tmp_path, text, tiny_mpii, *ours) == 0
    wanted = "MPII: as agreed with the zoo; the source network: for our lab alone"
    assert open_model(str(tmp_path / "out" / "jobs" / "d-transfer-0")).card.terms == wanted
    capsys.readouterr()
    assert outcome(["models", "copy", str(tmp_path / "mine"), str(tmp_path / "bare"), "--terms", ""]) == 0
    assert outcome(["models", "show", str(tmp_path / "bare")]) == 0
    assert re.search(r"terms +not stated", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (['split.splits=["a"]'], "split 'a': of its S1 the network lacks"),
        (["backbone.stages=[2, 2]"], "it has 1 stages, backbone.stages begins with 2; let it begin with 1"),
        (["backbone.channels=16"], "its backbone has channels = 8, the study's 16; set it to that"),
        (["source.model=no/where"], "model 'no/where': no such file, folder or training"),
        (["source.model=no/where.onnx"], "no network can be built from an exported file"),
    ],
)
def test_a_source_that_does_not_fit_is_told_before_anything_is_trained(
    first, tiny_mpii, tiny_study, tmp_path, capsys, sets, told
):
    text = f'{tiny_study}\n[source]\nmodel = "{first / "s1"}"\n'
    assert study(tmp_path, text, tiny_mpii, *sets) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_source_that_was_changed_is_refused(first, tiny_mpii, tiny_study, tmp_path, capsys):
    shutil.copytree(first / "s1", tmp_path / "s1")
    card = json.loads((tmp_path / "s1" / "model.json").read_text())
    (tmp_path / "s1" / "model.json").write_text(json.dumps({**card, "study": "another"}))
    text = f'{tiny_study}\n[source]\nmodel = "{tmp_path / "s1"}"\n'
    assert study(tmp_path, text, tiny_mpii) == 2
    told = capsys.readouterr().err
    assert "it was changed after it was written" in told and "set source.changed = true" in told
    assert "--changed" not in told
