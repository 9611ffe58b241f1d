"""The command ``kp``: help without torch, errors in one line, exit codes, plugins, settings, cache, doctor."""

import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from filelock import FileLock

from kpcore import __version__
from kpcore.cache import cache_dir
from kpcore.cli import app as kp
from kpcore.config import StudyConfig
from kpcore.errors import KpError

ROOT = Path(__file__).parents[1]
STUDY = """
[dataset]
name = "mpii"
[split]
name = "kptransfer"
[backbone]
name = "hourglass"
[codec]
name = "heatmap"
[profiles.quick]
training.epochs = 3
"""
PLUGINS = {
    "good": """
from kpcore import hookimpl

@hookimpl
def kp_commands():
    import typer
    app = typer.Typer()

    @app.command()
    def greet(name: str = "you"):
        "Greet somebody."
        print(f"hello {name}")

    return {"greet": app}

@hookimpl
def kp_splits():
    from pydantic import Field
    from kpcore.interfaces import ComponentConfig, Split

    class Halves(Split):
        "Halves of a skeleton."

        class Config(ComponentConfig):
            "Options."
            how: str = Field(default="left", description="which half comes first")
            times: int = Field(description="how often")

        def __init__(self, *, how, times):
            pass

        def splits(self, skeleton, others):
            return []

    return {"halves": Halves}
""",
    "broken": "import no_such_module_anywhere",
    "misspelt": "def kp_splitz(): return {}",
    "failing": "from kpcore import hookimpl\n@hookimpl\ndef kp_commands(): raise SystemExit(7)",
    "unmarked": "def kp_splits(): return {}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an installed distribution of five plugins, of which one works."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "strangers-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[kpcore]\n" + "".join(f"{name} = stranger_{name}\n" for name in PLUGINS))
    for name, source in PLUGINS.items():
        (folder / f"stranger_{name}.py").write_text(source)
    return folder


def shell(*arguments, path="", code=None):
    """Run kp, or Python code, in a process of its own."""
    command = ["-c", code] if code else ["-c", "from kpcore.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, cwd="/")


def test_help_imports_no_torch_and_names_every_command(folder):
    code = (
        "import sys; from kpcore.cli.app import outcome; code = outcome(['--help']);"
        "heavy = [m for m in ('torch', 'cv2', 'numpy', 'pydantic', 'rich') if m in sys.modules]; print(code, heavy)"
    )
    done = shell(path=folder, code=code)
    assert done.stdout.splitlines()[-1] == "0 []", done
    listed = [line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line.startswith("  ")]
    own = [
        "init",
        "run",
        "report",
        "compare",
        "eval",
        "predict",
        "models",
        "export",
        "data",
        "splits",
        "plugins",
        "config",
        "bench",
        "cache",
        "doctor",
    ]
    assert listed == [*own, "greet"]


def test_a_stranger_s_plugins_are_listed_with_what_is_wrong(folder):
    done = shell("plugins", "list", "--json", path=folder)
    assert (done.returncode, done.stderr) == (0, "")
    plugins = {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}
    assert plugins["good"]["ok"]
    assert plugins["good"]["supplies"] == {"split": ["halves"], "command": ["greet"]}
    assert (plugins["good"]["distribution"], plugins["good"]["version"]) == ("strangers", "0.3")
    assert plugins["broken"]["error"] == "ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    assert "did you mean 'kp_splits'" in plugins["misspelt"]["error"]
    assert plugins["unmarked"]["error"] == "kp_splits() is not marked; put @kpcore.hookimpl above it"
    assert plugins["failing"]["problems"] == ["kp_commands(): SystemExit: 7"]
    assert plugins["hourglass"]["ok"]


def test_a_stranger_s_command_runs(folder):
    done = shell("greet", "--name", "Ada", path=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello Ada\n", "")


def test_a_reader_that_leaves_gets_no_traceback():
    code = "from kpcore.cli import main; main(['--version'])"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.fixture
def run(capsys):
    """A function that runs kp in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        code = kp.outcome([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def fails_with(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("kp: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_version(run):
    assert run("--version") == (0, f"kp {__version__}\n", "")


def test_no_arguments_show_the_help(run):
    assert run() == run("--help")
    assert run("cache") == run("cache", "--help")


def test_unknown_commands_and_options_are_told_the_nearest(run):
    fails_with(run("plugin"), "unknown command 'plugin'; did you mean 'plugins'?", "doctor")
    fails_with(run("plugins", "lits"), "kp plugins: unknown command 'lits'; did you mean 'list'?")
    fails_with(run("plugins", "list", "--jsn"), "No such option", "--jsn")
    fails_with(run("eval"), "(see --help)")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KpError("two\nlines"), 2, "kp: error: two lines\n"),
        (PermissionError(13, "Permission denied", "/x.png"), 2, "kp: error: /x.png: Permission denied\n"),
        (KeyboardInterrupt(), 130, "kp: interrupted\n"),
        (typer.Abort(), 130, "kp: interrupted\n"),
        (typer.Exit(1), 1, ""),
    ],
)
def test_what_a_command_raises_becomes_a_line_and_a_code(monkeypatch, run, error, code, text):
    def explode():
        raise error

    monkeypatch.setattr("kpcore.cli.doctor.doctor", explode)
    assert run("doctor") == (code, "", text)


def test_a_bug_is_not_hidden(monkeypatch, run):
    monkeypatch.setattr("kpcore.cli.doctor.doctor", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("doctor")


def test_plugin_info_by_plugin_and_by_component(run):
    code, out, _ = run("plugins", "info", "hourglass", "--json")
    found = json.loads(out)
    assert code == 0
    assert [plugin["name"] for plugin in found["plugins"]] == ["hourglass"]
    (component,) = found["components"]
    channels = next(option for option in component["options"] if option["name"] == "channels")
    assert (component["kind"], channels["type"], channels["default"]) == ("backbone", "int", "256")
    assert [c["name"] for c in json.loads(run("plugins", "info", "pckh", "--json")[1])["components"]] == ["pckh"]
    fails_with(run("plugins", "info", "hourglas"), "unknown plugin or component 'hourglas'; did you mean 'hourglass'?")


def test_plugin_tables_fit_a_terminal_of_100_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    for command in (["plugins", "list"], ["plugins", "info", "heatmap"], ["doctor"]):
        code, out, _ = run(*command)
        assert code == 0
        assert max(map(len, out.splitlines())) <= 100


def test_config_print_shows_profile_and_sets(run, study):
    code, out, _ = run("config", "print", study, "--profile", "quick", "--set", "training.batch_size=9")
    assert code == 0
    training = tomllib.loads(out)["training"]
    assert (training["epochs"], training["batch_size"], training["resolution"]) == (3, 9, 256)
    fails_with(run("config", "print", study, "--profile", "slow"), "study.toml: unknown profile 'slow'", "quick")
    fails_with(run("config", "print", study, "--set", "training.epoch=1"), "did you mean 'epochs'?")
    fails_with(run("config", "print", study.with_name("none.toml")), "no such study file")


def test_config_schema_knows_our_tables_and_the_options_of_plugins(run):
    code, out, _ = run("config", "schema")
    assert code == 0
    schema = json.loads(out)
    study = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert set(study["properties"]) == set(StudyConfig.model_fields)
    then = {c["if"]["properties"]["name"]["const"]: c["then"] for c in schema["$defs"]["BackboneTable"]["allOf"]}
    assert then["hourglass"]["properties"]["channels"]["default"] == 256


def test_doctor_says_what_is_there(run, monkeypatch, tmp_path):
    monkeypatch.setenv("KP_MPII_ROOT", str(tmp_path / "nowhere"))
    code, out, err = run("doctor", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["python"].startswith("3.")
    assert "missing" not in found["versions"].values()
    assert found["processor"]["torch_threads"] >= 1
    assert found["cache"]["folder"] == str(cache_dir())
    mpii = next(each for each in found["data"] if each["dataset"] == "mpii")
    assert mpii == {"dataset": "mpii", "variable": "KP_MPII_ROOT", "root": str(tmp_path / "nowhere"), "exists": False}
    assert "(no such folder)" in run("doctor")[1]


@pytest.fixture
def cached(tmp_path):
    """A cache with one entry of each kind, and links that lead out of it."""
    cache = cache_dir()
    outside = tmp_path / "outside"
    for folder in (cache / "jobs" / "a1", cache / "generated" / "c3", cache / "stores", outside):
        folder.mkdir(parents=True)
    (cache / "jobs" / "a1" / "job.json").write_text('{"title": "d-transfer-0"}')
    (cache / "jobs" / "a1" / "weights.safetensors").write_bytes(b"w" * 1000)
    (cache / "stores" / "b2.h5").write_bytes(b"s" * 5000)
    (cache / "stores" / "b2.json").write_text("not json")
    (cache / "stores" / "b2.lock").touch()
    (outside / "precious").write_text("mine")
    (cache / "jobs" / "a1" / "link").symlink_to(outside)
    (cache / "generated" / "c3" / "link").symlink_to(outside / "precious")
    (cache / "stray").write_text("not ours")
    os.utime(cache / "stores" / "b2.h5", (0, 0))
    return cache


def listed(run):
    return {entry["key"]: entry for entry in json.loads(run("cache", "ls", "--json")[1])["entries"]}


def test_cache_ls(run, cached):
    found = listed(run)
    assert {key: entry["kind"] for key, entry in found.items()} == {"a1": "jobs", "b2": "stores", "c3": "generated"}
    assert found["a1"]["title"] == "d-transfer-0"
    assert found["b2"]["title"] == ""
    assert found["b2"]["bytes"] >= 5000
    assert str(cached) in run("cache", "ls")[1]


def test_cache_gc_removes_what_is_named_and_nothing_outside(run, cached, tmp_path):
    assert run("cache", "gc", "--jobs", "--generated", "--yes")[0] == 0
    assert set(listed(run)) == {"b2"}
    assert (tmp_path / "outside" / "precious").read_text() == "mine"
    assert run("cache", "gc", "-y")[0] == 0
    assert listed(run) == {}
    assert (cached / "stray").exists()


def test_cache_gc_follows_no_link_that_stands_for_a_kind(run, cached, tmp_path):
    (cached / "jobs").rename(tmp_path / "moved")
    (cached / "jobs").symlink_to(tmp_path / "moved")
    run("cache", "gc", "--yes")
    assert (tmp_path / "moved" / "a1" / "job.json").exists()


def test_cache_gc_asks_shows_and_spares(run, cached, monkeypatch):
    before = listed(run)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = run("cache", "gc")
    assert code == 2
    assert "add --yes" in err
    run("cache", "gc", "--dry-run")
    run("cache", "gc", "--older-than", "1", "--yes")
    assert listed(run).keys() == before.keys()
    with FileLock(cached / "stores" / "b2.lock"):
        assert "1 in use, kept" in run("cache", "gc", "--stores", "--yes")[1]
    assert "b2" in listed(run)


def test_a_set_that_names_another_component_says_what_it_drops_on_stderr(tmp_path, tiny_study, capfd):
    study = tmp_path / "study.toml"
    study.write_text(tiny_study)
    assert kp.outcome(["config", "print", str(study), "--set", "backbone.name=timm"]) == 0
    out, err = capfd.readouterr()
    assert "options of the one before are dropped: backbone.channels, backbone.depth" in err
    found = tomllib.loads(out)["backbone"]
    assert (found["name"], found["stages"], found["channels"]) == ("timm", [1, 2], 256)  # its own default, not the 8
    assert "depth" not in found
