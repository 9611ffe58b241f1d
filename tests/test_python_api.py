"""Studies from Python: the page's lines and the notebook run, results are records and arrays, importing is light."""

import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import kpcore
from kpcore.api.studies import assignments
from kpcore.errors import KpError

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
PAGE = ROOT / "docs" / "how-to" / "python.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_mpii, tiny_study):
    """A folder with a study of one split and two modes; its cache stays in place for the module."""
    folder = tmp_path_factory.mktemp("api")
    text = tiny_study.replace('["transfer", "frozen", "random"]', '["transfer", "random"]').replace('"a", "d"', '"d"')
    (folder / "study.toml").write_text(text.replace('name = "mpii"', f'name = "mpii"\nroot = "{tiny_mpii}"'))
    return folder


def quiet(patch, place):
    """Work in that folder, with its cache, without the page."""
    patch.setenv("KP_CACHE_DIR", str(place / "cache"))
    patch.chdir(place)
    patch.setattr("kpcore.report.page.write_page", lambda folder, *_: [folder / "report" / "index.html"])
    patch.setattr("kpcore.api.closing.keep_shown", lambda *_: None)


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    """Every test is there."""
    quiet(monkeypatch, place)


@pytest.fixture(scope="module")
def results(place):
    """Of the study."""
    with pytest.MonkeyPatch.context() as patch:
        quiet(patch, place)
        return kpcore.load_study("study.toml", notice=lambda _: None).run(place / "runs" / "first")


def test_importing_the_core_loads_no_library():
    heavy = ("torch", "numpy", "cv2", "pydantic", "h5py", "pandas")
    code = f"import sys, kpcore; kpcore.__version__; print([one for one in {heavy} if one in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
    code = "import sys, kpcore; kpcore.read_results; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"


def test_what_the_core_has_lazily_is_all_that_its_types_say():
    assert set(kpcore.LAZY) < set(dir(kpcore)) and all(callable(getattr(kpcore, name)) for name in kpcore.LAZY)
    stub = (ROOT / "kpcore" / "__init__.pyi").read_text(encoding="utf-8")
    for name, module in kpcore.LAZY.items():
        assert f"from {module} import {name} as {name}\n" in stub
    with pytest.raises(AttributeError, match="no attribute 'load_stduy'"):
        _ = kpcore.load_stduy


def test_a_plan_is_records_and_knows_what_is_done(results):
    said = []
    study = kpcore.load_study("study.toml", sets={"study": {"seeds": [0, 1]}}, notice=said.append)
    plan = study.plan()
    assert len(plan) == 6 and [one["name"] for one in plan.jobs if one["done"]] == [
        "d-source-0", "d-transfer-0", "d-random-0",
    ]  # fmt: skip
    first = next(one for one in plan.jobs if one["name"] == "d-transfer-1")
    assert first["sources"] == ("d-source-1",) and first["mode"] == "transfer" and first["step"] == 1
    assert study.name == "tiny" and "modes transfer, random" in repr(study) and plan.refused == {}
    assert len(study.samples("valid")) == 6
    with pytest.raises(KpError, match="unknown part 'test'"):
        study.samples("test")
    with pytest.raises(KpError, match="jobs = 0: at least one"):
        study.run(jobs=0)


def test_results_are_records_and_arrays(results, place):
    again = kpcore.read_results("runs/first")
    assert again.rows == results.rows and len(again.rows) == 2 and again.failed == {}
    row = again.rows[0]
    assert (row["split"], row["mode"], row["seed"], row["status"]) == ("d", "transfer", 0, "done")
    column = next(iter(again.results.rows[0].columns))
    np.testing.assert_array_equal(again.scores("d", "transfer"), [row["average"]])
    np.testing.assert_array_equal(
        again.scores("d", "transfer", column), [np.nan if row[column] is None else row[column]]
    )
    assert [one["epoch"] for one in again.history("d", "transfer")] == [1, 2]
    assert "2 of 2 rows" in repr(again)
    names = {path.name for path in (place / "runs" / "first").iterdir()}
    assert {"results.json", "tables.csv", "curves.png", "evidence.json", "values.h5", "study.toml", "jobs"} <= names


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda found: found.scores("e", "transfer"), "unknown split 'e'"),
        (lambda found: found.scores("d", "transfr"), "unknown mode 'transfr'; did you mean 'transfer'"),
        (lambda found: found.scores("d", "transfer", "knees"), "unknown column 'knees'"),
        (lambda found: found.scores("d", "transfer", labels=0.5), "no share 0.5 of the labels; it has 1"),
        (lambda found: found.load_model("d", "transfer", 7), "unknown seed '7'"),
        (lambda _: kpcore.read_results("nowhere"), "no such file; give the folder"),
        (lambda _: kpcore.load_study("study.toml", sets="training.epochs=1"), "give a list"),
        (lambda _: kpcore.load_study("study.toml", sets={"training.epochs": None}), "TOML has no such value"),
        (lambda _: kpcore.load_study("study.toml", "brif"), "did you mean 'brief'"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_one_line(results, ask, told):
    with pytest.raises(KpError) as error:
        ask(results)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_keys_are_set_as_the_command_sets_them():
    sets = {"a.b": 'x "y"', "c": {"d": [1, 2.5], "e": {"f": True}}, "g": Path("/h")}
    assert [" ".join(one.split()) for one in assignments(sets)] == [
        "a.b=\"x \\\"y\\\"\"", "c.d=[ 1, 2.5, ]", "c.e.f=true", 'g="/h"',
    ]  # fmt: skip
    assert assignments(["a.b=1"]) == ["a.b=1"]


def test_a_job_that_fails_is_in_the_results_and_said(place, monkeypatch):
    def broken(*_, **__):
        raise KpError("no disk")

    monkeypatch.setattr("kpcore.study.executors.here.run_job", broken, raising=True)
    said = []
    found = kpcore.load_study("study.toml", sets={"study.seeds": [5]}, notice=said.append).run("runs/failed")
    assert set(found.failed) == {"d-transfer-5", "d-random-5"}
    assert any(line.startswith("d-source-5: failed: no disk") for line in said)
    with pytest.raises(KpError, match="no such file, folder or training"):
        found.load_model("d", "random", 5)


def test_the_page_s_lines_run(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) < 15
    names: dict[str, object] = {}
    exec(compile(code, "python.md", "exec"), names)
    assert "transfer" in capsys.readouterr().out
    assert names["drawn"].dtype == np.uint8 and names["drawn"].shape[2] == 3


def cells():
    """The notebook's cells of code, as texts, and which of them holds the parameters."""
    found = [one for one in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if one["cell_type"] == "code"]
    assert not any(one["outputs"] for one in found), "clear the notebook's outputs"
    texts = ["".join(one["source"]) for one in found]
    (place,) = [number for number, one in enumerate(found) if "parameters" in one["metadata"].get("tags", [])]
    return texts, place


def test_the_notebook_runs():
    pytest.importorskip("pandas", reason="frames need pandas; .ci/run has it")
    texts, parameters = cells()
    with mpl.rc_context():
        mpl.use("agg")
        names: dict[str, object] = {}
        exec(texts[parameters], names)
        assert (ROOT / "examples" / str(names["FILE"])).is_file()
        names |= {"FILE": "study.toml", "PROFILE": None, "SETS": {}, "OUT": "runs/notebook"}
        for number, text in enumerate(texts):
            if number != parameters:
                exec(compile(text, f"notebook cell {number}", "exec"), names)
    assert len(names["results"].rows) == 2 and names["found"].points.shape[0] == 1
