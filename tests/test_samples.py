"""Every example's profile ``sample`` runs to its table without any data, and learned: it beats the mean shape."""

from pathlib import Path

import pytest

from kpcore.cli.app import outcome
from kpcore.config import read_toml
from kpcore.records.results import Results

EXAMPLES = Path(__file__).parent.parent / "examples"
MARGINS = {
    "mpii_hourglass": 30,  # points of PCKh
    "lspet_to_mpii": 25,
    "mpii_timm": 30,
    "faces68": 0.6,  # of the mean shape's NME
    "mouse": 45,  # points of PCK
    "mpii_controls": -100,  # eleven trainings, kept short: they are to run
    "body3d": 0.85,  # of the mean shape's millimetres
}
"""Example -> by how much transfer and random beat the mean shape: points where higher is better; where lower is better,
the share of the mean shape's error that is left at most."""


def test_every_example_with_a_sample_profile_is_tried():
    sampled = {path.stem for path in EXAMPLES.glob("*.toml") if "sample" in read_toml(path).get("profiles", {})}
    assert sampled == set(MARGINS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MARGINS)
def test_the_sample_profile_learns(name, tmp_path):
    assert outcome(["run", str(EXAMPLES / f"{name}.toml"), "--profile", "sample", "--out", str(tmp_path / "out")]) == 0
    found = Results.from_json((tmp_path / "out" / "results.json").read_text())
    assert found.data.sample
    assert {row.status for row in found.rows} == {"done"}
    margin = MARGINS[name]
    for row in found.rows:
        shape = next(split.mean_shape["average"] for split in found.splits if split.name == row.split)
        told = f"{row.split}, {row.mode}: {row.average} beside the mean shape's {shape}"
        if row.mode != "frozen":
            better = row.average - shape >= margin if found.higher_is_better else row.average <= margin * shape
            assert better, told
