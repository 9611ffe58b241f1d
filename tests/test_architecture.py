"""The house stays visible: arrows point downwards, plugins are doors, modes are short, the command starts fast."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "kpcore").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists())


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_import_contracts_hold():
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("import-linter is not installed; .ci/run has it")
    found = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_the_core_imports_no_plugin():
    for path in (ROOT / "kpcore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] in PLUGINS], path


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_s_door_holds_hooks_only(plugin):
    tree = ast.parse((ROOT / "plugins" / plugin / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        assert isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.If | ast.FunctionDef)
        if isinstance(node, ast.FunctionDef):
            assert node.name.startswith("kp_")
            assert [ast.unparse(one) for one in node.decorator_list] == ["hookimpl"]


def test_every_plugin_is_in_each_list_of_plugins_and_nothing_else_is():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = project["tool"]["importlinter"]
    (apart,) = [one for one in linter["contracts"] if one.get("layers", [])[-1:] == ["kpcore"]]
    lists = {
        "entry points": list(project["project"]["entry-points"]["kpcore"].values()),
        "root_packages": [name for name in linter["root_packages"] if name != "kpcore"],
        "contract": re.findall(r"[^\s|]+", apart["layers"][0]),
    }
    assert {name: sorted(found) for name, found in lists.items()} == dict.fromkeys(lists, PLUGINS)


def test_the_wheel_takes_the_whole_folder_of_plugins_which_holds_nothing_else():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"only-include": ["kpcore", "plugins"], "sources": ["plugins"]}
    strangers = [path.name for path in (ROOT / "plugins").iterdir() if not path.name.startswith((".", "__"))]
    assert sorted(strangers) == PLUGINS


@pytest.mark.parametrize(
    ("mode", "source"),
    [
        *((mode, "Paper, section 3.2") for mode in ("transfer", "frozen", "random", "by_name")),
        ("gradual", "Howard, Ruder"),
        ("l2sp", "Li, Grandvalet, Davoine"),
        ("replay", "Li, Hoiem"),
    ],
)
def test_a_mode_is_one_short_file_that_cites_its_source(mode, source):
    text = (ROOT / "plugins" / "kp_modes" / f"{mode}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert source in text


def test_no_function_is_too_long_to_be_read_at_once():
    """Counted from the first line of its body: a command's options are its signature."""
    others = [path for folder in ("docs", "examples", "tests/mutation") for path in (ROOT / folder).rglob("*.py")]
    long = []
    for path in [*SOURCES, *others]:
        for function in functions(ast.parse(path.read_text(encoding="utf-8"))):
            lines = function.body[-1].end_lineno - function.body[0].lineno + 1
            if lines > 40:
                long.append(f"{path.name}:{function.lineno} {function.name}: {lines} lines")
    assert not long


def test_what_is_public_says_what_it_is():
    silent = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef))]
        silent += [
            f"{path.name} {getattr(node, 'name', '')}"
            for node in nodes
            if not getattr(node, "name", "").startswith("_") and not ast.get_docstring(node)
        ]
    assert not silent


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from kpcore.cli.app import outcome; outcome(['--help']);"
        "print([name for name in ('torch', 'cv2', 'numpy', 'matplotlib', 'h5py') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip().splitlines()[-1] == "[]"


def test_nothing_is_left_for_later():
    later = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    found = [
        f"{path.name}: {line}"
        for path in SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if later.search(line)
    ]
    assert not found
