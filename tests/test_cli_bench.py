"""``kp bench`` and ``kp data prepare`` on a small study of synthetic people."""

import json
import re

import pytest

from kpcore.cache import cache_dir
from kpcore.cli import app as kp
from kpcore.measure import bench, timing

STUDY = """
study = { name = "tiny", modes = ["transfer", "frozen"] }
dataset = { name = "mpii", generate = { name = "people", people = 24, valid = 8, size = 48 } }
split = { name = "kptransfer", splits = ["d"] }
backbone = { name = "hourglass", channels = 8, depth = 1, stages = [1, 2] }
codec = { name = "heatmap" }

[training]
resolution = 32
batch_size = 4
epochs = 1
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    return str(path)


def run(capsys, *arguments):
    code = kp.outcome(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_preparing_says_sizes_and_does_nothing_twice(study, capsys):
    code, out, err = run(capsys, "data", "prepare", study, "--json")
    assert code == 0
    first = json.loads(out)
    assert first["label"] == "sample data (MPII layout)"
    assert [(store["part"], store["people"], store["prepared"]) for store in first["stores"]] == [
        ("train", 24, True),
        ("valid", 8, True),
    ]
    assert "train: 24 samples, " in err
    train = first["stores"][0]
    assert train["side"] > train["resolution"] == 32
    assert train["bytes"] >= 24 * train["side"] ** 2 * 3
    code, out, err = run(capsys, "data", "prepare", study, "--json")
    assert [(store["prepared"], store["seconds"]) for store in json.loads(out)["stores"]] == [(False, None)] * 2
    assert "people" not in err
    code, out, _ = run(capsys, "data", "prepare", study)
    assert out.count("was there") == 2


def test_jpeg_crops_are_a_store_of_their_own(study, capsys):
    raw, jpeg = (
        json.loads(run(capsys, "data", "prepare", study, "--json", "--set", f"training.crops={kind}")[1])["stores"][0]
        for kind in ("raw", "jpeg")
    )
    assert raw["path"] != jpeg["path"]
    assert jpeg["bytes"] < raw["bytes"]
    assert {path.suffix for path in (cache_dir() / "stores").iterdir()} == {".h5", ".json", ".lock"}


def test_a_folder_cannot_be_prepared(tmp_path, capsys):
    code, _, err = run(capsys, "data", "prepare", str(tmp_path))
    assert code == 2
    assert "a study file is needed" in err


def test_a_run_says_what_it_will_prepare(study, tmp_path, capsys):
    first = run(capsys, "run", study, "--jobs", "1", "--out", str(tmp_path / "out"))
    assert first[0] == 0
    assert "Crops to prepare: 32 samples, " in first[1]
    again = run(capsys, "run", study, "--jobs", "1", "--out", str(tmp_path / "out"))
    assert "Crops to prepare" not in again[1]


@pytest.mark.slow
def test_bench_measures_every_part(study, capsys, monkeypatch):
    # In this process: fresh ones cost seconds each.
    measured = {}

    def once(requests):
        """Seconds are not what is tested: the second bench is told those of the first."""
        for request in requests:
            if str(request) not in measured:
                measured[str(request)] = timing.measure(request)
        return [measured[str(request)] for request in requests]

    monkeypatch.setattr(bench, "time_steps", once)
    monkeypatch.setattr(bench, "start_up", lambda: {"kp --help": 0.1})
    quick = ["--rounds", "1", "--steps", "1"]
    code, out, err = run(capsys, "bench", study, "--vs-naive", "--jobs", "2", "--json", "--precision", "fp32", *quick)
    assert code == 0
    result = json.loads(out)
    assert result["preset"] == "own"
    assert result["data"] == "sample data (MPII layout)"
    assert result["prepare"]["people"] == 24
    assert result["prepare"]["people_per_second"] > 0
    shares = [result["pipeline"][name] for name in ("batches", "input", "targets")]
    assert sum(shares) == pytest.approx(1)
    assert [(step["job"], step["precision"]) for step in result["steps"]] == [
        ("source", "naive"),
        ("source", "fp32"),
        ("transfer", "fp32"),
        ("frozen", "fp32"),
    ]
    found = result["predict"]
    assert found["crops"] >= 64 and found["resolution"] == 32 and found["precision"] == "fp32"
    assert found["alone"] > 0 and found["whole"] > 0 and found["ratio"] > 0
    naive, source, transfer, frozen = result["steps"]
    assert naive["streamed"] is None
    assert source["flop"] == naive["flop"] > 0
    assert frozen["flop"] < transfer["flop"]
    for step in (source, transfer, frozen):
        assert step["images_per_second"] == pytest.approx(4 / step["streamed"])
        assert 0 <= step["waiting"] < 1
        assert step["peak"] > 10**7
    ratios = result["ratios"]
    assert ratios["naive / ours, fp32"] == pytest.approx(naive["in_memory"] / source["in_memory"])
    assert ratios["frozen / transfer, fp32"] == pytest.approx(frozen["in_memory"] / transfer["in_memory"])
    assert result["at_once"]["jobs"] == 2
    assert re.search(r"measuring steps, fp32, about \d+ s .*\(\d of \d\) \.\.\.\n", err)
    told = [tuple(map(int, found)) for found in re.findall(r"\((\d) of (\d)\)", err)]
    assert told == [(number, len(told)) for number in range(1, len(told) + 1)]
    code, out, _ = run(capsys, "bench", study, "--precision", "fp32", *quick)
    assert code == 0
    assert "input pipeline:" in out and "kp predict: " in out
    assert "frozen / transfer, fp32:" in out


def test_every_mode_is_compared_with_the_first_and_training_on_s1_with_the_naive_step():
    seconds = {
        ("source", "naive"): 6,
        ("source", "fp32"): 3,
        ("one", "fp32"): 8,
        ("two", "fp32"): 4,
        ("one", "bf16"): 2,
    }
    steps = [{"job": job, "precision": how, "in_memory": time} for (job, how), time in seconds.items()]
    assert bench.ratios(steps) == {"naive / ours, fp32": 2, "two / one, fp32": 0.5}


def test_checkpoints_are_measured_against_the_training_between_them(study, capsys, monkeypatch):
    only = ["bench", study, "--only", "checkpoint"]
    monkeypatch.setattr(bench.time, "perf_counter", iter(range(100)).__next__)  # each takes a second
    code, out, _ = run(capsys, *only, "--json")
    found = json.loads(out)["checkpoint"]
    assert code == 0
    assert (found["job"], found["seconds"], found["every"], found["share"]) == ("frozen", 1, 300, 1 / 300)
    assert found["bytes"] > 4 * 3 * 1000  # weights, their squared gradients, the best ones
    assert [path.name for path in cache_dir().iterdir() if path.name.startswith("bench-")] == []
    monkeypatch.setenv("KP_CHECKPOINT_MINUTES", "0.5")
    assert "on the disk in 1.00 s; one in 0.5 minutes takes 3.33% of training" in " ".join(
        run(capsys, *only)[1].split()
    )
    monkeypatch.setenv("KP_CHECKPOINT_MINUTES", "0")
    assert "on the disk in 1.00 s; none inside an epoch" in " ".join(run(capsys, *only)[1].split())


@pytest.mark.slow
def test_steps_are_timed_in_processes_of_their_own(study, capsys):
    only = ["--only", "steps", "--precision", "fp32", "--set", 'study.modes=["transfer"]']
    code, out, _ = run(capsys, "bench", study, *only, "--rounds", "1", "--steps", "1", "--json")
    assert code == 0
    assert set(json.loads(out)) >= {"steps", "ratios", "chip"}
    assert "pipeline" not in json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "pipelin"], "did you mean 'pipeline'"),
        (["--precision", "fp64"], "precision"),
        (["--precision", "fp16", "--device", "cpu"], "needs a GPU"),
    ],
)
def test_wrong_words_are_one_line(study, capsys, arguments, message):
    code, _, err = run(capsys, "bench", study, *arguments)
    assert code == 2
    assert message in err.splitlines()[-1]


@pytest.mark.slow
def test_start_up_times_whole_processes():
    seconds = bench.start_up(tries=1)
    assert list(seconds) == ["kp --help", "kp plugins list"]
    assert all(0 < value < 60 for value in seconds.values())
