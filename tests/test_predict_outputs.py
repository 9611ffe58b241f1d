"""What ``kp predict`` writes, and what it never writes over."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kp_outputs.table import Table

from kpcore import placing
from kpcore.cli.app import interrupted
from kpcore.cli.stopping import stopping
from kpcore.errors import InterruptError, KpError
from kpcore.trained import onnx_file
from kpcore.trained.finding import Listed, Wanted
from kpcore.trained.outputs import RECORD, drawn_below, recorded, settle, staging, target_of
from kpcore.trained.pictures import sources


def ran(folder, files, overwrite=False, inputs=()):
    """One run that writes these files: path -> text."""
    places = list(dict.fromkeys(name.partition("/")[0] for name in files))
    target = target_of(folder, places, inputs, overwrite=overwrite)
    with staging(target) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text)
        settle(stage, target)


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != RECORD
    }


def test_a_second_run_is_refused_and_with_overwrite_leaves_nothing_of_the_first(tmp_path):
    ran(tmp_path, {"a.csv": "1", "pictures/x/1.png": "1", "pictures/2.png": "1"})
    with pytest.raises(KpError, match=r"a\.csv: is there already; .*--overwrite"):
        ran(tmp_path, {"a.csv": "2"})
    ran(tmp_path, {"coco.json": "2"})  # another format beside it
    ran(tmp_path, {"pictures/3.png": "3"}, overwrite=True)
    assert texts(tmp_path) == {"a.csv": "1", "coco.json": "2", "pictures/3.png": "3"}
    assert not (tmp_path / "pictures" / "x").exists() and set(recorded(tmp_path)) == set(texts(tmp_path))


def test_what_a_hand_changed_or_wrote_is_never_replaced(tmp_path):
    ran(tmp_path, {"coco.json": "1", "pictures/1.png": "1"})
    (tmp_path / "coco.json").write_text("corrected")
    (tmp_path / "pictures" / "mine.png").write_text("mine")
    for name in ("coco.json", "pictures/1.png"):
        with pytest.raises(KpError, match=r"(coco\.json|mine\.png): is in the way .* never replaced"):
            ran(tmp_path, {name: "2"}, overwrite=True)
    (tmp_path / "a.csv").symlink_to(tmp_path / "pictures" / "mine.png")
    with pytest.raises(KpError, match=r"a\.csv: is in the way"):
        ran(tmp_path, {"a.csv": "2"}, overwrite=True)
    assert texts(tmp_path)["coco.json"] == "corrected" and texts(tmp_path)["pictures/mine.png"] == "mine"


def test_an_input_in_the_place_of_an_output_is_refused_whoever_wrote_it(tmp_path):
    ran(tmp_path, {"pictures/1.png": "1"})
    for inputs in ([tmp_path / "pictures" / "1.png"], [tmp_path / "pictures" / ".." / "pictures" / "1.png"]):
        with pytest.raises(KpError, match=r"would write to .*pictures, where .*1\.png lies, which is read"):
            ran(tmp_path, {"pictures/2.png": "2"}, overwrite=True, inputs=inputs)
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    with pytest.raises(KpError, match="which is read"):
        target_of(tmp_path, ["pictures"], [tmp_path / "link" / "1.png"])
    target_of(tmp_path, ["pictures2"], [tmp_path / "pictures" / "1.png"])


def test_what_came_in_the_way_meanwhile_stays_and_the_work_is_kept(tmp_path):
    target = target_of(tmp_path, ["a.csv"], [])
    with pytest.raises(KpError, match="what this run wrote lies in") as error, staging(target) as stage:
        (stage / "a.csv").write_text("work")
        (tmp_path / "a.csv").write_text("mine")
        settle(stage, target)
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert texts(tmp_path)[str(error.value).rpartition("lies in ")[2].removeprefix(f"{tmp_path}/") + "/a.csv"] == "work"


def test_a_run_that_fails_leaves_no_folder_and_tells_of_the_files_place(tmp_path):
    target = target_of(tmp_path / "out", ["a.csv"], [])
    with pytest.raises(OSError, match=r"out/a\.csv'"), staging(target) as stage:
        raise OSError(28, "No space", str(stage / "a.csv"))
    assert not (tmp_path / "out").exists()
    for name, told in (("file", "a file is in the way"), ("link", "a link that leads nowhere")):
        (tmp_path / "file").write_text("")
        if name == "link":
            (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        with pytest.raises(KpError, match=told):
            target_of(tmp_path / name, [], [])
    (tmp_path / "dir" / "predictions.csv").mkdir(parents=True)
    with pytest.raises(KpError, match=r"predictions\.csv: a folder is in the way of a file of that name"):
        target_of(tmp_path / "dir", [Table.file], [])


def test_a_record_of_somebody_else_is_refused_and_ours_names_what_is_not_predicted_on_again(tmp_path):
    ran(tmp_path / "out", {"pictures/1.png": "1"})
    (tmp_path / "new.png").write_bytes(b"")
    assert drawn_below(tmp_path) == {tmp_path / "out/pictures/1.png"}
    (source,) = sources([str(tmp_path)])
    assert source.names == ("new.png",) and "1 that 'kp predict' drew" in source.notes[0]
    assert sources([str(tmp_path / "out" / "pictures")])[0].names == ("1.png",)
    (tmp_path / "out" / RECORD).write_text(json.dumps({"files": {}}))
    with pytest.raises(KpError, match=r"predicted\.json: is no record"):
        target_of(tmp_path / "out", ["a.csv"], [])


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_and_other_machines_stay(tmp_path):
    code = "import sys, pathlib; from kpcore import placing as p; q = pathlib.Path(sys.argv[1]);"
    code += "p.beside(q / 'a.csv'); (p.beside_folder(q / 'b') / 'x').touch()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    dead = [path.name for path in tmp_path.iterdir()]
    mine = placing.beside(tmp_path / "mine.json").name
    other = f".a.000000-{2**31}-{'0' * 8}.partial.csv"
    (tmp_path / other).touch()
    assert len(dead) == 2
    placing.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine, other])


# ------------------------------------------------------------------------------------------------- what is read


def test_a_folder_says_what_it_leaves_out_and_a_picture_given_twice_is_taken_once(tmp_path):
    for name in ("a.png", "b.png", "c.gif", "d.mp4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "dir.png").mkdir()
    (half := placing.beside_folder(tmp_path / "predict")).joinpath("x.png").touch()
    found = sources([str(tmp_path), str(tmp_path / "a.png"), f"{tmp_path}/../{tmp_path.name}/b.png"])
    assert [source.names for source in found] == [("a.png", "b.png")] and half.is_dir()
    notes = " / ".join(found[0].notes)
    assert "2 that are no files (dangling.png, fifo.png), 2 of other kinds (c.gif, d.mp4)" in notes
    assert "a.png: is given twice, and taken once" in notes and "b.png: is given twice" in notes


def test_a_name_that_is_not_utf8_is_a_problem_of_its_own_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.png")
    with open(bad, "wb"):  # noqa: PTH123
        pass
    problems = {picture.name: picture.problem for picture in sources([str(tmp_path)])[0].pictures()}
    assert problems["a.png"] == "" and "is not UTF-8, and no format can write it" in problems["b\udcff.png"]
    (tmp_path / os.fsdecode(b"\xfe")).mkdir()
    (tmp_path / os.fsdecode(b"\xfe") / "c.png").write_bytes(b"")
    (picture,) = sources([str(tmp_path / os.fsdecode(b"\xfe") / "c.png")])[0].pictures()
    assert "not UTF-8" in picture.problem


# ------------------------------------------------------------------------------------------- models and signals


def test_a_folder_that_is_filled_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/er"):
        with pytest.raises(OSError, match=rf"{name}/x'"), placing.filled(tmp_path / name) as stage:
            raise OSError(28, "No space", str(stage / "x"))
        assert not (tmp_path / name).exists() or not list((tmp_path / name).iterdir())
        with placing.filled(tmp_path / name) as stage:
            (stage / "x").touch()
        assert [path.name for path in (tmp_path / name).iterdir()] == ["x"]
        with pytest.raises(KpError, match="is not empty"), placing.filled(tmp_path / name):
            pass
    assert not list(tmp_path.rglob(".*"))


def test_a_full_disk_is_told_of_the_copy_and_not_of_what_is_read(tmp_path, monkeypatch):
    def full(source, path):
        raise OSError(28, "No space", str(source))

    (tmp_path / "a").touch()
    monkeypatch.setattr("kpcore.placing.shutil.copyfile", full)
    with pytest.raises(OSError, match="/b'"):
        placing.copy(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_in_order_and_says_what_stays(tmp_path, name, monkeypatch, capsys):
    target = target_of(tmp_path / "out", ["a.csv"], [])
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with (
        pytest.raises(InterruptError, match="nothing half written") as stop,
        stopping("nothing half written stays"),
        staging(target) as stage,
    ):
        (stage / "a.csv").touch()
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert stop.value.number == number and not (tmp_path / "out").exists()
    assert interrupted(stop.value) == 128 + number and signal.getsignal(number) is before
    assert "nothing half written stays" in capsys.readouterr().err


def listed_as(study, name):
    return Listed(Path(), "0" * 12, name, study, 0, (), None, "")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted(study="tinny"), "--study: unknown study 'tinny'; did you mean 'tiny'"),
        (Wanted(mode="transfr"), "--mode transfr: no training is of these; nearest is 'd-transfer-0'"),
        (Wanted(seed=9), "--seed 9: no training"),
    ],
)
def test_trainings_that_are_not_there_are_told(wanted, told):
    with pytest.raises(KpError, match=told):
        wanted.among([listed_as("tiny", "d-transfer-0")])
    assert Wanted().among([]) == []


def test_an_onnx_file_whose_tensors_lie_elsewhere_is_refused():
    entry = b"\x6a\x16\x0a\x08location\x12\x08data.bin"
    for bad in (entry, b"\x8a\x80\x00\x88\x80\x00location"):
        with pytest.raises(KpError, match="keeps tensors in other files"):
            onnx_file._require_whole(Path("x.onnx"), b"..." + bad)
    onnx_file._require_whole(Path("x.onnx"), b"head.location\x12")
