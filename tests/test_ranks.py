"""One training by several processes is the training that one process does; gloo on CPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.torch import load_file

HELPERS = Path(__file__).parent / "helpers"
STUDY = """
[study]
name = "ranked"
modes = ["transfer", "frozen", "l2sp", "gradual", "replay"]

[dataset]
name = "mpii"

[split]
name = "kptransfer"
splits = ["d"]

[backbone]
name = "plain"
stages = [1, 2]

[codec]
name = "heatmap"
loss = "cross_entropy"
sigma = 1.0

[training]
resolution = 32
batch_size = 6
epochs = 2
iterations_per_epoch = 5
early_stopping = false
threads = 1
optimizer = { name = "adamw", learning_rate = 3e-3, eps = 1e-3 }
average = { name = "ema", decay = 0.9 }
keep = "last"

[evaluation.validation]
name = "pck"
"""


@pytest.fixture
def lab(tmp_path, write_mpii, monkeypatch):
    """A folder with a study of the plugin in helpers/ranked.py, and with people of whom much is unlabelled."""
    write_mpii(tmp_path / "mpii", 3)
    with h5py.File(tmp_path / "mpii/annot/train.h5", "r+") as file:
        holes = np.random.default_rng(0).random((12, 16)) < np.linspace(0, 0.9, 12)[:, None]
        file["visible"][...] = np.where(holes, -1, 1)
    (tmp_path / "study.toml").write_text(STUDY)
    about = tmp_path / "plugin" / "ranked_lab-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ranked-lab\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[kpcore]\nranked = ranked\n")
    path = os.pathsep.join([*filter(None, sys.path), str(HELPERS), str(about.parent)])
    for name, value in {"PYTHONPATH": path, "KP_MPII_ROOT": str(tmp_path / "mpii"), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def torchrun(processes, *words):
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), *words]


def done(command, cache, **environment):
    """Run a command to its end, in a cache of its own; return what it printed."""
    found = subprocess.run(
        command, env={**os.environ, "KP_CACHE_DIR": str(cache), **environment}, capture_output=True, text=True
    )
    assert found.returncode == 0, (found.stdout + found.stderr)[-3000:]
    return found.stdout


def jobs(cache):
    """Return name -> folder of the finished jobs of a cache."""
    folders = [path.parent for path in cache.glob("jobs/*/manifest.json")]
    return {json.loads((folder / "job.json").read_text())["title"]: folder for folder in folders}


def far(one, other):
    """Return how far two folders' weights are from each other, as a share of the largest of each tensor."""
    here, there = load_file(one / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert here.keys() == there.keys()
    return max(float((here[name] - there[name]).abs().max() / here[name].abs().max()) for name in here)


@pytest.mark.slow
def test_every_mode_ends_with_the_weights_of_one_process(lab):
    done([sys.executable, str(HELPERS / "ranked.py"), "study.toml"], lab / "one")
    done(torchrun(2, str(HELPERS / "ranked.py"), "study.toml"), lab / "two")
    one, two = jobs(lab / "one"), jobs(lab / "two")
    assert len(one) == 6 and {name: one[name].name for name in one} == {name: two[name].name for name in two}
    print({name: far(one[name], two[name]) for name in one})
    assert max(far(one[name], two[name]) for name in one) < 1e-5
