"""What the page says: what is asked of which mode, in which unit, from whose files, and how modes are told apart."""

import json
import math
import shutil

import pytest
from finished_run import write_run

from kpcore.report.page.folder import read_run
from kpcore.report.summary import Estimate


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study of one split and two seeds. Read it only."""
    return write_run(tmp_path_factory.mktemp("says") / "run", splits=("c",), seeds=(0, 1))


@pytest.fixture
def folder(study, tmp_path):
    return shutil.copytree(study, tmp_path / "run")


@pytest.mark.parametrize("values", [[1e308] * 4, [1.7e308, -1.7e308], [1e308, 1e300]])
def test_the_mean_of_vast_figures_is_finite(values):
    found = Estimate.of(values)
    assert found.mean is not None and math.isfinite(found.mean) and found.spread is not None
    assert found.mean == pytest.approx(sum(value / len(values) for value in values))


# Whose files they are


def test_files_of_another_study_are_left_out_and_named(folder, tmp_path):
    assert read_run(folder).missing == () and read_run(folder).slices
    other = write_run(tmp_path / "other", splits=("c",), seeds=(0, 1, 2))
    shutil.copy(other / "report/slices.h5", folder / "report/slices.h5")
    run = read_run(folder)
    assert run.shown is not None and not run.slices
    assert run.missing == ("report/slices.h5: was made with other results than shown.json; 'kp run' writes both again",)
    shutil.copy(other / "report/shown.json", folder / "report/shown.json")
    run = read_run(folder)
    assert run.shown is None and not run.slices
    assert "report/shown.json: was made with other results than results.json" in run.missing[0]


def test_a_missing_file_of_parts_is_named(folder):
    (folder / "report/slices.h5").unlink()
    assert read_run(folder).missing == ("report/slices.h5: no such file; 'kp run' writes it",)


@pytest.mark.parametrize(("split", "shown"), [("c", True), ("x", False)])
def test_a_file_of_an_older_version_is_said_to_be_so_and_shown_where_it_can_be_of_these(folder, split, shown):
    path = folder / "report/shown.json"
    old = json.loads(path.read_text())
    for key in ("results", "slices", "value_unit"):
        del old[key]
    old["splits"][0]["name"] = split
    path.write_text(json.dumps(old))
    run = read_run(folder)
    assert (run.shown is not None) is shown and bool(run.slices) is shown
    assert ("older version" if shown else "other results") in run.missing[0]
