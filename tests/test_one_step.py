"""Studies of one step: train on these keypoints, carry nothing over; a row for what starts from nothing."""

from pathlib import Path

import pytest

from kpcore.audit.show import Look
from kpcore.cli.app import outcome
from kpcore.config import read_toml
from kpcore.errors import KpError
from kpcore.keypoints import KeypointSplit, Step
from kpcore.records.results import Results
from kpcore.registry import registry
from kpcore.study.dag import plan_jobs
from kpcore.study.opening import open_study
from kpcore.study.single import modes_of
from kpcore.training.device import choose_device
from kpcore.training.loop import Training

SETS = """
[split]
name = "explicit"

[split.sets.arms]
steps = [["wrist", "elbow"]]
"""
PAPERS = '\n[split]\nname = "kptransfer"\nsplits = ["a", "d"]\n'
SECOND = '\n[split.sets.legs]\nsteps = [["hip"], ["knee"]]\n'


@pytest.fixture
def study(tmp_path, monkeypatch, tiny_study):
    monkeypatch.setenv("KP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("KP_MPII_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert PAPERS in tiny_study
    path = tmp_path / "study.toml"
    path.write_text(tiny_study.replace(PAPERS, SETS).replace("stages = [1, 2]", "stages = [2]"))
    return path


def change(study, old, new):
    text = study.read_text()
    assert old in text
    study.write_text(text.replace(old, new))


def opened(study, data, *sets):
    said = []
    found = open_study(registry(), study, None, [f"dataset.root={data}", *sets], said.append)
    return found, said


def test_it_runs_from_end_to_end_and_says_what_is_left_out(study, tiny_mpii, capfd, monkeypatch):
    command = ["run", str(study), "--set", f"dataset.root={tiny_mpii}", "--jobs", "1"]
    assert outcome(command) == 0
    said = " ".join("".join(capfd.readouterr()).split())
    assert "Split arms has one step: a plain training on it; transfer, frozen would carry over" in said
    assert "1 row = 1 split x 1 mode x 1 seed; 1 training" in said
    folder = Path("runs/tiny")
    found = Results.from_json((folder / "results.json").read_text())
    assert [(row.split, row.mode, row.status) for row in found.rows] == [("arms", "random", "done")]
    assert [mode.name for mode in found.modes] == ["random"]
    assert [(job.name, job.mode, job.step, job.sources) for job in found.jobs] == [("arms-random-0", "random", 0, ())]
    assert (folder / "jobs" / "arms-random-0" / "weights.safetensors").exists()
    table = (folder / "tables.md").read_text()
    assert "S1: " in table and "S2" not in table and "vs " not in table and "In both" not in table
    assert ",random,1.0,0,0,1,3," in (folder / "curves.csv").read_text()
    monkeypatch.setattr(Training, "run", lambda self, listener: pytest.fail("trained again"))
    assert outcome(["run", str(folder / "study.toml"), "--out", "again", "--jobs", "1"]) == 0
    assert Path("again/results.json").read_bytes() == (folder / "results.json").read_bytes()
    assert read_toml(folder / "study.toml")["backbone"]["stages"] == [2]


def test_its_training_is_the_source_that_a_longer_split_starts_from(study, tiny_mpii):
    """Equal sets and columns are one training, whatever it is called."""
    study.write_text(study.read_text() + '\n[split.sets.more]\nsteps = [["wrist", "elbow"], ["knee"]]\n')
    change(study, "stages = [2]", "stages = [2, 3]")
    found, said = opened(study, tiny_mpii)
    plan = plan_jobs(found, choose_device("cpu", "fp32"))
    assert [(row.split.name, row.mode.name) for row in plan.rows] == [
        ("arms", "random"), ("more", "transfer"), ("more", "frozen"), ("more", "random"),
    ]  # fmt: skip
    assert [job.name for job in plan.jobs] == ["arms-random-0", "more-transfer-0", "more-frozen-0", "more-random-0"]
    assert plan.baseline == "random"
    assert any("its network has 2 stages, the first of backbone.stages" in line for line in said)


def test_beside_a_longer_split_only_that_one_has_all_modes(study, tiny_mpii, capfd):
    study.write_text(study.read_text() + SECOND)
    change(study, "stages = [2]", "stages = [1, 2]")
    assert outcome(["run", str(study), "--set", f"dataset.root={tiny_mpii}", "--jobs", "1"]) == 0
    assert "4 rows; 5 trainings" in " ".join("".join(capfd.readouterr()).split())
    found = Results.from_json(Path("runs/tiny/results.json").read_text())
    assert [row.mode for row in found.rows_of("arms")] == ["random"]
    assert [row.mode for row in found.rows_of("legs")] == ["transfer", "frozen", "random"]
    arms, legs = Path("runs/tiny/tables.md").read_text().split("## ")[1:]
    assert ("Transfer learning" in arms, "Transfer learning" in legs) == (False, True)


def test_modes_that_all_carry_over_are_refused_with_what_to_write(study, tiny_mpii):
    with pytest.raises(KpError, match=r"study\.modes = transfer, frozen: split 'arms' has one step.*\[\"random\"\]"):
        opened(study, tiny_mpii, 'study.modes=["transfer", "frozen"]')
    with pytest.raises(KpError, match=r"study\.baseline = 'frozen' has no rows"):
        opened(study, tiny_mpii, 'study.baseline="frozen"')
    found, said = opened(study, tiny_mpii, 'study.modes=["random"]')
    assert [mode.name for mode in found.modes] == ["random"]
    assert said == []


def test_every_mode_that_starts_from_nothing_has_a_row_of_the_same_training(study, tiny_mpii):
    study.write_text(study.read_text() + '\n[modes.scratch]\nstrategy = "random"\n')
    change(study, '["transfer", "frozen", "random"]', '["scratch", "transfer", "random"]')
    found, _ = opened(study, tiny_mpii)
    plan = plan_jobs(found, choose_device("cpu", "fp32"))
    assert [row.mode.name for row in plan.rows] == ["scratch", "random"]
    assert len(plan.jobs) == 1


def test_a_strategy_that_cannot_say_what_it_needs_has_no_row(study, tiny_mpii, monkeypatch):
    found, _ = opened(study, tiny_mpii, 'study.modes=["random"]')
    assert len(modes_of(found, found.splits[0])) == 1
    monkeypatch.setattr(type(found.modes[0].strategy), "needs", lambda self, split, step: 1 / 0)
    assert modes_of(found, found.splits[0]) == ()


def test_one_step_shares_nothing_with_itself(figure):
    split = KeypointSplit("one", (Step(figure.all()),))
    assert (split.overlap, split.extra, split.crosses) == ((), (), False)
    assert split.source == split.target
    assert Look(figure, split).group(figure.names[0]) == "S1"


def test_it_is_listed_with_an_empty_second_set(study, tiny_mpii, capsys):
    change(study, 'name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"')
    assert outcome(["splits", "list", str(study)]) == 0
    assert "arms" in capsys.readouterr().out
    assert outcome(["splits", "show", "arms", str(study)]) == 0
    shown = capsys.readouterr().out
    assert "S1" in shown and "S2" not in shown


def test_a_mode_that_matches_another_has_no_row_where_there_is_nothing_to_match(study, tiny_mpii):
    change(study, 'modes = ["transfer", "frozen", "random"]', 'modes = ["transfer", "random", "long"]')
    study.write_text(study.read_text() + '\n[modes.long]\nstrategy = "random"\nmatches = "transfer"\n')
    found, said = opened(study, tiny_mpii)
    assert [mode.name for mode in found.modes] == ["random"]
    assert any("transfer, long would carry over" in line for line in said)
