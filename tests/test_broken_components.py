"""Components that fail in every way: the right one is named in one line, nothing else suffers, no traceback is shown.

``broken/broken_lab.py`` lists what is spoilt, and what the line must say of it.
"""

import importlib
import itertools
import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from kpcore.cli.app import outcome
from kpcore.registry import Registry
from kpcore.training import step

LAB = EntryPoint("lab", "broken_lab", "kpcore")
STUDY = """
[study]
name = "broken"
modes = ["anew"]

[dataset]
name = "squares"

[split]
name = "halves"

[backbone]
name = "plain"
stages = [1, 2]

[codec]
name = "maps"

[training]
resolution = 32
batch_size = 4
epochs = 1
iterations_per_epoch = 4
"""


@pytest.fixture(scope="module")
def lab():
    """The module of good and of spoilt components."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "broken"))
        yield importlib.import_module("broken_lab")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for all: what is not broken is prepared and trained once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def kp(lab, cache, tmp_path, monkeypatch, capfd):
    """(settings, plugins) -> exit code, what was printed on stdout and on stderr of ``kp run``, without line breaks."""
    monkeypatch.setenv("KP_CACHE_DIR", str(cache))
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)

    def run(*sets, points=(LAB,), command=("run", "study.toml", "--jobs", "1")):
        known = Registry(list(points))
        monkeypatch.setattr("kpcore.registry.registry", lambda: known)
        monkeypatch.setattr("kpcore.cli.app.registry", lambda: known)
        code = outcome([*command, *(word for one in sets for word in ("--set", one))])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, " ".join(out.split()), " ".join(err.split())

    return run


def rows():
    """(mode, status, reason) of the results."""
    return [
        (row["mode"], row["status"], row["reason"])
        for row in json.loads(Path("runs/broken/results.json").read_text())["rows"]
    ]


def test_the_components_work_where_nothing_is_spoilt(kp):
    assert kp('dataset.generate.name="nothing"')[0] == 0
    assert rows() == [("anew", "done", "")]


SETTING = {
    "dataset": "dataset.name", "split": "split.name", "backbone": "backbone.name", "codec": "codec.name",
    "metric": "evaluation.metric.name", "generator": "dataset.generate.name",
}  # fmt: skip


def broken(phase):
    """The names of the spoilt components that show in this phase; the module is read as the tests are collected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "broken"))
        found = importlib.import_module("broken_lab").BROKEN
    return [name for name in found if name.startswith(phase)]


@pytest.mark.parametrize("name", broken("before"))
def test_what_all_jobs_need_stops_the_run_before_training_with_one_line(kp, lab, name, cache):
    kind, said, _ = lab.BROKEN[name]
    before = set(cache.glob("jobs/*"))
    setting = f'study.modes=["{name}"]' if kind == "strategy" else f"{SETTING[kind]}={name}"
    code, _, err = kp(setting)
    assert code == 2
    assert err.startswith(f"kp: error: {kind} '{name}' (plugin lab ?), ")
    assert said in err
    assert err.count("kp: ") == 1
    assert ("ZeroDivisionError" in said or "SystemExit" in said) == (
        "(broken_lab.py:" in err
    )  # where in the plugin's code it was raised
    assert set(cache.glob("jobs/*")) == before


def test_a_data_set_under_other_names_is_the_plugin_s_all_the_same(kp):
    name = next(name for name in broken("before") if name.endswith("samples"))
    code, _, err = kp(f"dataset.name={name}", "dataset.aliases.top=head")
    assert (code, err.startswith(f"kp: error: dataset '{name}' (plugin lab ?), samples(")) == (2, True)
    none = next(name for name in broken("before")[broken("before").index(name) + 1 :] if name.endswith("samples"))
    assert (
        f"dataset '{none}' (plugin lab ?), samples('train'): None"
        in kp(f"dataset.name={none}", "dataset.aliases.top=head")[2]
    )


def test_a_study_of_broken_modes_alone_ends_with_their_reasons(kp):
    names = [name for name in broken("mode") if name.endswith(("needs", "layout"))][:3]
    code, _, err = kp(f"study.modes={json.dumps(names)}")
    assert code == 1
    assert [row[1] for row in rows()] == ["failed"] * 3
    assert err.startswith("kp: 3 of the study's jobs failed; ")


def test_a_broken_mode_loses_its_own_rows_alone(kp, lab):
    """All of them beside one that works, in one run: none takes another's row."""
    code, out, _ = kp(f"study.modes={json.dumps(['anew', *broken('mode')])}")
    good, *bad = rows()
    assert (code, good) == (1, ("anew", "done", ""))
    assert [row[:2] for row in bad] == [(name, "failed") for name in broken("mode")]
    for name, _, reason in bad:
        _, said, _ = lab.BROKEN[name]
        assert reason.startswith(f"strategy '{name}' (plugin lab ?), ")
        assert said in reason
        assert f"strategy '{name}'" in out and said in out, name


@pytest.mark.parametrize("method", ["needs", "layout", "plan"])
def test_a_broken_mode_is_the_error_of_a_run_that_ends(kp, lab, method):
    name = next(name for name in broken("mode") if name.endswith(f"-{method}"))
    _, said, _ = lab.BROKEN[name]
    code, _, err = kp(f'study.modes=["anew", "{name}"]')
    assert code == 1
    assert f"strategy '{name}'" in err and said in err


@pytest.mark.parametrize("name", broken("during"))
def test_what_fails_in_training_fails_its_jobs_with_the_reason(kp, lab, name, cache):
    kind, said, _ = lab.BROKEN[name]
    code, out, err = kp(f"{SETTING[kind]}={name}")
    ((_, status, reason),) = rows()
    assert (code, status) == (1, "failed")
    assert reason.startswith(f"{kind} '{name}' (plugin lab ?), ")
    assert said in reason and said in err
    (job,) = json.loads(Path("runs/broken/results.json").read_text())["jobs"]
    file = cache / "jobs" / job["key"] / "error.txt"
    assert "Traceback (most recent call last)" in file.read_text()
    assert f"(traceback:{file})" in out.replace(" ", "")  # lines break anywhere


def test_a_final_score_that_fails_takes_its_row_and_not_the_training(kp, lab):
    (name,) = broken("final")
    code, _, err = kp(f"evaluation.metric.name={name}", "evaluation.validation.name=distance")
    ((_, status, reason),) = rows()
    assert (code, status) == (1, "failed")
    assert reason.startswith(f"metric '{name}' (plugin lab ?), score(): ZeroDivisionError")
    assert f"h-anew-0: metric '{name}'" in err
    assert [job["status"] for job in json.loads(Path("runs/broken/results.json").read_text())["jobs"]] == ["done"]


@pytest.mark.parametrize("name", broken("after"))
def test_what_only_intervals_need_costs_the_intervals_alone(kp, lab, name):
    _, said, _ = lab.BROKEN[name]
    code, out, _ = kp(f"evaluation.metric.name={name}", "evaluation.validation.name=distance")
    assert (code, rows()) == (0, [("anew", "done", "")])
    assert f"no intervals: metric '{name}' (plugin lab ?), " in out and said in out
    assert not Path("runs/broken/values.h5").exists() and not Path("runs/broken/evidence.json").exists()


def test_a_job_that_succeeds_later_leaves_no_traceback(kp, cache, monkeypatch):
    real = step.supervised_loss

    def fail(*given):
        raise KeyError("a bug of ours")

    monkeypatch.setattr(step, "supervised_loss", fail)
    assert kp("study.seeds=[11]")[0] == 1
    assert rows() == [("anew", "failed", "kpcore: KeyError: 'a bug of ours'")]
    (job,) = json.loads(Path("runs/broken/results.json").read_text())["jobs"]
    file = cache / "jobs" / job["key"] / "error.txt"
    assert "KeyError: 'a bug of ours'" in file.read_text()
    monkeypatch.setattr(step, "supervised_loss", real)
    assert kp("study.seeds=[11]")[0] == 0
    assert not file.exists() and (file.parent / "result.json").exists()


def test_a_loss_that_is_no_number_is_a_reason_of_its_own(kp, lab, monkeypatch):
    good, calls = lab.Maps.loss, itertools.count()

    def loss(self, prediction, targets):
        return good(self, prediction, targets) * (float("nan") if next(calls) > 3 else 1.0)

    monkeypatch.setattr(lab.Maps, "loss", loss)
    assert kp("study.seeds=[12]")[0] == 1
    assert rows() == [
        (
            "anew",
            "failed",
            "the loss is nan in epoch 1; lower training.optimizer.learning_rate, or set training.nan_policy ="
            " 'lower_rate'",
        )
    ]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("full")])
def test_a_full_memory_is_no_fault_of_a_component(kp, lab, monkeypatch, error):
    good, calls = lab.Maps.loss, itertools.count()

    def loss(self, prediction, targets):
        if next(calls) > 3:
            raise error
        return good(self, prediction, targets)

    monkeypatch.setattr(lab.Maps, "loss", loss)
    assert kp("study.seeds=[13]")[0] == 1
    ((_, _, reason),) = rows()
    assert reason.startswith("out of memory") and "lower training.batch_size" in reason


def test_an_interrupt_inside_a_component_is_an_interrupt(kp, lab, monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab.Plain, "stem", interrupted)
    assert kp()[0] == 130


def test_processes_name_what_fails_in_them(kp, lab, monkeypatch):
    """A worker builds the study anew; here it finds no plugin lab, since that was given to this process alone."""
    code, _, err = kp("study.seeds=[14]", command=("run", "study.toml", "--jobs", "2"))
    assert code == 1
    assert "unknown dataset 'squares'" in err


TRACKER = """
from kpcore import hookimpl

@hookimpl
def kp_job_started(job):
    {0}

@hookimpl
def kp_epoch_ended(job, record):
    {1}

@hookimpl
def kp_job_finished(job, result):
    {2}
"""
HOOKS = ["kp_job_started", "kp_epoch_ended", "kp_job_finished"]


@pytest.mark.parametrize("place", range(3))
def test_a_tracker_that_raises_is_named_once_and_the_study_goes_on(kp, tmp_path, monkeypatch, place):
    bodies = ["pass"] * 3
    bodies[place] = "raise OSError('the tracker is down')"
    (tmp_path / f"tracker{place}.py").write_text(TRACKER.format(*bodies))
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [LAB, EntryPoint("watch", f"tracker{place}", "kpcore")]
    code, out, _ = kp(f"study.seeds=[{20 + 2 * place}, {21 + 2 * place}]", points=points)
    assert code == 0
    line = f"plugin watch ?: {HOOKS[place]}(): OSError: the tracker is down; the study goes on without it"
    assert out.count(line) == 1


def test_a_plan_is_shown_without_the_broken_mode(kp, lab):
    name = next(name for name in broken("mode") if name.endswith("needs"))
    code, out, _ = kp(f'study.modes=["anew", "{name}"]', command=("run", "study.toml", "--plan"))
    assert code == 1
    assert f"h-{name}-0: failed: strategy '{name}' (plugin lab ?), needs(): ZeroDivisionError" in out


def test_other_commands_name_the_component_too(kp):
    name = next(name for name in broken("before") if name.endswith("findings"))
    for command in (("data", "prepare", "study.toml"), ("bench", "study.toml")):
        code, _, err = kp(f"dataset.name={name}", command=command)
        assert (code, err.startswith(f"kp: error: dataset '{name}' (plugin lab ?), findings()")) == (2, True)


def test_a_bug_of_the_core_is_still_a_traceback(monkeypatch):
    def fail(*given):
        raise KeyError("a bug of ours")

    monkeypatch.setattr("kpcore.study.opening.read_toml", fail)
    with pytest.raises(KeyError, match="a bug of ours"):
        outcome(["config", "print", "x.toml"])


def test_the_list_is_long_and_covers_every_method_of_every_interface(lab):
    assert len(lab.BROKEN) >= 60
    spoilt = {(kind, method) for kind, method, *_ in (*lab.BEFORE, *lab.MODES, *lab.DURING, *lab.AFTER)}
    for kind, (_, good) in lab.GOOD.items():
        (interface,) = good.__bases__
        methods = {name for name in vars(interface) if not name.startswith("_") and name != "Config"}
        methods -= {
            "root_variable",
            "default_skeleton",
            "downloads",
            "listed",
            "marks",
            "terms",
        }  # plain attributes of a class
        methods -= {"skeleton", "label", "parts", "measured", "measured_aspects"}  # final: of the base class
        methods -= {"near"}  # of folders, not of a study: tests/test_recognise.py
        assert {method for of, method in spoilt if of == kind} >= methods, kind
