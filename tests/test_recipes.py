"""Whose code a component is: the files that a digest is made of."""

import importlib

import pytest

from kpcore.recipes import _found, code_digest, packages_of


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_of_a_package_every_file_of_its_own_counts_once(place):
    inside = place / "kp_digested"
    (inside / "data").mkdir(parents=True)
    for name in ("__init__.py", "a.py", "data/table.csv", "a.pyc", ".hidden"):
        (inside / name).write_text(name)
    assert {name for name, _ in _found("kp_digested")} == {
        "kp_digested/__init__.py", "kp_digested/a.py", "kp_digested/data/table.csv",
    }  # fmt: skip


def test_a_package_without_an_init_is_read_too(place):
    (place / "kp_spaced").mkdir()
    (place / "kp_spaced" / "a.py").write_text("")
    assert [name for name, _ in _found("kp_spaced")] == ["kp_spaced/a.py"]


def test_a_module_is_one_file_and_what_is_built_in_or_absent_has_none(place):
    (place / "kp_single.py").write_text("x = 1")
    assert [name for name, _ in _found("kp_single")] == ["kp_single.py"]
    assert list(_found("sys")) == list(_found("kp_absent")) == []


def test_the_digest_follows_what_a_file_holds_and_how_it_is_called(place):
    (place / "kp_one.py").write_text("x = 1")
    (place / "kp_two.py").write_text("x = 1")
    first = code_digest("kp_one:plugin")
    assert first == code_digest("kp_one") != code_digest("kp_two")
    (place / "kp_one.py").write_text("x = 22")
    assert code_digest("kp_one") != first


def test_a_class_from_beside_its_plugin_is_in_the_digest_too(place):
    (place / "kp_entry.py").write_text("from kp_beside.deep import Mine")
    (place / "kp_beside").mkdir()
    (place / "kp_beside" / "__init__.py").write_text("")
    (place / "kp_beside" / "deep.py").write_text("import kpcore.interfaces as i\nclass Mine(i.Metric): x = 1")
    mine = importlib.import_module("kp_entry").Mine
    assert packages_of(mine) == {"kp_beside"}
    first = code_digest("kp_entry", *packages_of(mine))
    assert first != code_digest("kp_entry")
    (place / "kp_beside" / "deep.py").write_text("import kpcore.interfaces as i\nclass Mine(i.Metric): x = 2222")
    assert code_digest("kp_entry", *packages_of(mine)) != first
