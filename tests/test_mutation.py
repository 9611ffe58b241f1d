"""The tool that tests the tests: what it changes, what it leaves alone, and that its lists name what is there."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("libcst", reason="needs the extra 'mutation'")
pytest.importorskip("mutmut", reason="needs the extra 'mutation'")

HERE = Path(__file__).parent / "mutation"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    from mutants import mutants

    return mutants


MODULE = '''
"""A module."""

SIZE = 3


def f(x: int = 4, *, where: str = "a") -> dict[str, int]:
    """Return it."""
    if x < SIZE:
        raise ValueError(f"{where}: {x} is less than " + str(SIZE + 1))
    print(x)
    return {"x": x, "y": 2}


class C:
    @property
    def width(self) -> int:
        return field(default=1, description="a width")
'''


@pytest.fixture
def found(mutants, tmp_path):
    (tmp_path / "m.py").write_text(MODULE)
    return mutants(tmp_path, "m.py")


def test_every_mutant_is_one_change_that_still_parses(found):
    assert len({one.code for one in found}) == len(found) == len({one.key for one in found})
    for one in found:
        compile(one.code, "m.py", "exec")
        assert one.code != MODULE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE = 3", "SIZE = 4"),
        ("x < SIZE", "x <= SIZE"),
        ("if x < SIZE", "if not (x < SIZE)"),
        ("int = 4", "int = 5"),
        ("print(x)", "pass"),
        ("print(x)", "print(None)"),
        ('{"x": x, "y": 2}', '{"y": 2}'),
        ("default=1", "default=2"),
    ],
)
def test_what_decides_something_is_changed(found, old, new):
    assert MODULE.count(old) == 1
    assert MODULE.replace(old, new) in {one.code for one in found}


def test_types_texts_and_errors_are_left_alone(found):
    changed = " ".join(one.old for one in found if one.operator not in ("turn_condition", "drop_statement"))
    for text in ("A module", "Return it", "a width", "less than", "SIZE + 1", "dict[str, int]"):
        assert text not in changed.replace('field(default=1, description="a width")', "")


def test_a_name_stays_when_other_lines_change(mutants, found, tmp_path):
    (tmp_path / "m.py").write_text(MODULE.replace("SIZE = 3", "# more\n\nOTHER = 'x'\nSIZE = 3"))
    after = {one.key: one.line for one in mutants(tmp_path, "m.py")}
    assert all(after[one.key] == one.line + 3 for one in found)


def places_of(path, node=None, outer=""):
    """Qualified names of the functions and classes of a module."""
    for inner in ast.iter_child_nodes(node or ast.parse(path.read_text())):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            yield outer + inner.name
            yield from places_of(path, inner, f"{outer}{inner.name}.")


@pytest.mark.parametrize("name", ["groups.toml", "decides.toml"])
def test_the_groups_name_files_and_places_that_there_are(name):
    for group in tomllib.loads((HERE / name).read_text()).values():
        files = [str(path.relative_to(ROOT)) for pattern in group["files"] for path in ROOT.glob(pattern)]
        assert all(list(ROOT.glob(pattern)) for pattern in group["files"])
        assert set(group.get("places", [])) <= {place for file in files for place in places_of(ROOT / file)}


@pytest.mark.slow
def test_every_equivalent_mutant_is_still_there_and_says_why(mutants):
    listed = tomllib.loads((HERE / "equivalent.toml").read_text())["mutant"]
    keys = {file: {one.key for one in mutants(ROOT, file)} for file in {entry["file"] for entry in listed}}
    for entry in listed:
        assert entry["key"] in keys[entry["file"]], entry
        assert entry["what"]
        assert entry["why"]
