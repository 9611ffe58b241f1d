"""What is damaged: for every reader a folder of small valid files, and a call that reads it as a command would."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import torch
from finished_run import write_run
from kp_deeplabcut.hdf_writer import write_hdf
from layouts import LAYOUTS
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat
from writing import MOUSE

from kpcore.audit.check import check_part
from kpcore.audit.looks import looks_of
from kpcore.cache import entries, file_digest
from kpcore.config import StudyConfig, assemble, parse_sets, read_toml, validate
from kpcore.data.crops import crops_problem, writer
from kpcore.evaluation.predictions import read_predictions
from kpcore.network import build_network
from kpcore.plans import Layout
from kpcore.reading.images import decode_image, image_size
from kpcore.records.folder import ERROR, JobFolder
from kpcore.records.results import read_results
from kpcore.records.shown import FOLDER, SHOWN, read_shown
from kpcore.records.values import read_values
from kpcore.registry import registry
from kpcore.report.page.folder import read_run
from kpcore.trained.boxes import read_boxes
from kpcore.trained.card import Card, write_card
from kpcore.trained.importing.naming import read_skeleton
from kpcore.trained.importing.rules import read_rules
from kpcore.trained.importing.state import read_state
from kpcore.trained.model import CROP, Model, Score, component, heads_of, load_model, metadata
from kpcore.trained.opening import open_model
from kpcore.trained.pictures import frames, sources
from kpcore.weights import save_weights

STUDY = """\
[study]
name = "tiny"
seeds = [0, 1]
modes = ["transfer", "random"]
[dataset]
name = "named"
root = "."
[split]
name = "explicit"
[split.sets.a]
steps = [["nose"], ["ear_l", "ear_r"]]
[backbone]
name = "hourglass"
stages = [1, 2]
channels = 8
[codec]
name = "heatmap"
[training]
epochs = 2
augmentation = { scale = [0.9, 1.1], rotation = 3.5 }
[profiles.brief.training]
precision = "fp32"
"""


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        name: of it.
        write: fills an empty folder with valid files.
        read: reads the folder.
        aim: names of the files that are damaged, as patterns.
    """

    name: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]
    aim: tuple[str, ...] = ("**/*",)


@dataclass
class Files:
    """A folder's files in memory, so that every trial gets its own."""

    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, root: Path) -> None:
        for name, content in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)


def folder_of(target: Target) -> Files:
    """Return a target's valid files."""
    with tempfile.TemporaryDirectory() as place:
        target.write(Path(place))
        paths = (path for path in sorted(Path(place).rglob("*")) if path.is_file())
        return Files({path.relative_to(place).as_posix(): path.read_bytes() for path in paths})


# ------------------------------------------------------------------------------------------------ annotations


def picture(path: Path, width: int = 80, height: int = 72) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST))


def checked(kind: str, options: Mapping[str, Any]) -> Callable[[Path], object]:
    """Return what reads a data set as ``kp data check`` does, every picture decoded."""

    def read(root: Path) -> object:
        data = registry().build("dataset", kind, {"root": str(root), **options}, where="dataset")
        found = [check_part(data, part, decode=True) for part in data.facts.parts]
        return [len(one) for one in found]

    return read


def of_layout(name: str) -> Target:
    layout = LAYOUTS[name]

    def write(root: Path) -> None:
        picture(root / layout.folder / "S1" / "Pic.png")
        layout.write(root, "S1/Pic.png")

    return Target(name, write, checked(layout.kind, layout.options))


def yolo(root: Path) -> None:
    (root / "data.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/val\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\n"
        "names: {0: cat}\nkpt_names: {0: [nose, left_ear, right_ear]}\n"
    )
    for part in ("train", "val"):
        picture(root / "images" / part / "0.png")
        (root / "labels" / part).mkdir(parents=True)
        (root / "labels" / part / "0.txt").write_text("0 0.5 0.5 0.5 0.5 0.5 0.25 2 0.25 0.5 1 0 0 0\n" * 2)


def labelstudio(root: Path) -> None:
    def task(number: int) -> dict[str, Any]:
        points = [("nose", 50, 25), ("left_ear", 25, 50), ("right_ear", 75, 50)]
        found = [
            {"id": f"{number}{name}", "type": "keypointlabels", "from_name": "kp", "to_name": "img",
             "value": {"x": x, "y": y, "width": 0.5, "keypointlabels": [name]},
             "original_width": 80, "original_height": 72, "image_rotation": 0}
            for name, x, y in points
        ]  # fmt: skip
        return {"id": number, "data": {"image": f"/data/upload/1/1a2b3c4d-{number}.png"},
                "annotations": [{"id": 100 + number, "result": found}], "predictions": []}  # fmt: skip

    for number in range(6):
        picture(root / "pics" / f"{number}.png")
    (root / "project.json").write_text(json.dumps([task(number) for number in range(6)]))


def lspet(root: Path) -> None:
    joints = np.concatenate([np.random.default_rng(0).uniform(5, 60, (14, 2, 3)), np.ones((14, 1, 3))], axis=1)
    for row in range(1, 4):
        picture(root / "images" / f"im{row:05d}.jpg")
    savemat(root / "joints.mat", {"joints": joints}, do_compression=True)


def ibug(root: Path) -> None:
    points = "".join(f"{x:.3f} {x / 2 + 9:.3f}\n" for x in np.linspace(10, 60, 68))
    for folder in ("afw", "helen/trainset", "lfpw/testset", "ibug"):
        picture(root / folder / "a.jpg" if "lfpw" not in folder else root / folder / "a.png")
        (root / folder / "a.pts").write_text(f"version: 1\nn_points:  68\n{{\n{points}}}\n")


def cofw(root: Path) -> None:
    for name, ending in (("COFW_train_color", "Tr"), ("COFW_test_color", "T")):
        with h5py.File(root / f"{name}.mat", "w") as file:
            cells = file.create_dataset(f"Is{ending}", (1, 2), dtype=h5py.ref_dtype)
            for row in range(2):
                pixels = np.random.default_rng(row).integers(0, 255, (3, 40, 48), np.uint8)
                cells[0, row] = file.create_dataset(f"#refs#/{row}", data=pixels, compression="gzip").ref
            file[f"phis{ending}"] = np.tile(np.linspace(5, 40, 87), (2, 1)).T
            file[f"bboxes{ending}"] = np.tile([3.0, 4.0, 30.0, 32.0], (2, 1)).T


def deeplabcut_hdf(root: Path) -> None:
    columns = [("x", part, axis) for part in ("nose", "tail") for axis in ("x", "y")]
    index = [("labeled-data", "run", f"img{row}.png") for row in range(3)]
    for row in range(3):
        picture(root / "labeled-data" / "run" / f"img{row}.png")
    write_hdf(root / "labeled-data" / "run" / "CollectedData_x.h5", ("scorer", "bodyparts", "coords"), columns, index,
              np.linspace(10, 50, 12).reshape(3, 4))  # fmt: skip


def h36m_hdf(root: Path) -> None:
    picture(root / "images" / "S1_a.jpg")
    with h5py.File(root / "h36m_train.h5", "w") as file:
        file["part"], file["S"] = np.full((2, 17, 2), 30.0), np.random.default_rng(0).normal(0, 400, (2, 17, 3))
        file.create_dataset("imgname", data=["S1_a.jpg", "S1_a.jpg"], dtype=h5py.string_dtype())
        file["center"], file["scale"] = np.full((2, 2), 36.0), np.full(2, 0.3)


# ------------------------------------------------------------------------------------------------ pictures


def image(ending: str, **options: Any) -> Target:
    name = options.pop("name", ending)
    pixels = np.random.default_rng(1).integers(0, 255, (24, 30, 3), np.uint8)
    deep = options.pop("deep", False)

    def write(root: Path) -> None:
        if deep:
            cv2.imwrite(str(root / f"a.{ending}"), pixels.astype(np.uint16) * 200)
        else:
            Image.fromarray(pixels).save(root / f"a.{ending}", **options)

    def read(root: Path) -> object:
        path = root / f"a.{ending}"
        return image_size(path), decode_image(path).shape, looks_of([path]).shape

    return Target(f"image {name}", write, read)


def video(root: Path) -> None:
    out = cv2.VideoWriter(str(root / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    for number in range(4):
        out.write(np.full((48, 64, 3), 40 * number, np.uint8))
    out.release()


def read_video(root: Path) -> object:
    (source,) = sources([str(root / "a.avi")])
    return len(source), sum(1 for _ in frames(source.path))


# ------------------------------------------------------------------------------------------------ what kp wrote


def boxes_json(root: Path) -> None:
    LAYOUTS["coco"].write(root, "a.png")


def boxes_csv(root: Path) -> None:
    (root / "boxes.csv").write_text("image,x,y,width,height,frame,id\na.png,1,2,30,40,,a\nv.mp4,1,2,30,40,3,b\n")


def predictions(root: Path) -> None:
    with h5py.File(root / "p.h5", "w") as file:
        file.attrs.create("keypoints", ["a", "b", "c"], dtype=h5py.string_dtype())
        file.attrs["origin"], file.attrs["part"] = 0, "valid"
        file.attrs["format"] = "kptransfer predictions 1"
        file.create_dataset("preds", data=np.ones((4, 3, 2)), compression="gzip")
        file["confidence"], file["rows"] = np.ones((4, 3)), np.arange(4)
        file.create_dataset("image_ids", data=["a", "b", "c", "d"], dtype=h5py.string_dtype())


def made_run(root: Path) -> None:
    write_run(root, seeds=(0,), splits=("c",), side=16)


def read_made_run(root: Path) -> object:
    found: list[object] = [read_results(root), read_shown(root / FOLDER / SHOWN), read_values(root / "values.h5")]
    return len(found), read_run(root, None)


def network(root: Path) -> None:
    """A model folder, which is a job's folder too."""
    known = registry()
    backbone = known.make("backbone", "hourglass", {"channels": 8, "depth": 1}, where="x")
    codec = known.make("codec", "heatmap", {}, where="x")
    layout = Layout((MOUSE.all(),) * 2)
    skeletons, heads = heads_of(layout)
    model = Model(
        backbone=component(backbone.recipe), codec=component(codec.recipe), skeletons=skeletons, heads=heads,
        trained_on=MOUSE.names, resolution=32, stride=4, crop=CROP, mean=backbone.component.mean,
        std=backbone.component.std, data="x", job="",
        score=Score(value=None, convention="", higher_is_better=True, people=0),
    )  # fmt: skip
    made = build_network(backbone.component, codec.component, layout, seed=0, resolution=32)
    save_weights(root / "weights.safetensors", made, metadata(model))
    card = Card(name="x", study="s", model=model, steps=(), weights=file_digest(root / "weights.safetensors"))
    write_card(root, card)


def read_network(root: Path) -> object:
    opened = open_model(str(root), changed=True)
    return len(load_model(opened.weights, registry()).keypoints)


def job(root: Path) -> None:
    job_folder = JobFolder(root)
    job_folder.begin("d-transfer-0", "s", {"a": 1})
    job_folder.write_history([{"epoch": 1, "iterations": 3, "loss": 0.5, "learning_rate": 1e-3, "validation": 3.0}])
    job_folder.write_plan({"tensors": {"a": {"origin": "new", "trains": True}}})
    job_folder.write_timing({"seconds": 3})
    job_folder.write_error("x")
    job_folder.seal()


def read_job(root: Path) -> object:
    folder = JobFolder(root)
    (root / ERROR).unlink(missing_ok=True)
    return folder.problem(), folder.about(), folder.history(), folder.plan(), folder.timing()


def store(root: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), np.uint8)
    made = writer("jpeg", root / "key.h5", 4, 16)
    for row, crop in enumerate(crops):
        made.put(row, made.encode(crop))
    made.finish()
    made.close()
    (root / "stores").mkdir()
    (root / "stores" / "key.json").write_text('{"title": "x"}')


def read_store(root: Path) -> object:
    return crops_problem(root / "key.h5"), entries()


# ------------------------------------------------------------------------------------------------ weights, settings


def tensors() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.ones(4, 3), "b.bias": torch.zeros(7, dtype=torch.float16)}


def rules(root: Path) -> None:
    (root / "rules.toml").write_text(registry().weight_rules()["newell_pytorch"].read_text(encoding="utf-8"))


def skeleton(root: Path) -> None:
    held = {"keypoints": [{"name": "nose"}, {"name": "ear_l", "mirror": "ear_r", "group": "ear"}, {"name": "ear_r"}],
            "edges": [["nose", "ear_l"]], "dims": 2}  # fmt: skip
    (root / "skeleton.json").write_text(json.dumps(held))


def read_study(root: Path) -> object:
    document = read_toml(root / "study.toml")
    tables = assemble(document, profile="brief", sets=[], where="study.toml")
    config = validate(StudyConfig, tables, where="study.toml")
    for kind, table in (("backbone", config.backbone), ("codec", config.codec), ("split", config.split)):
        registry().build(kind, table.name, table.options, where=f"study.toml: {kind}")
    return config.study.seeds


def read_sets(root: Path) -> object:
    return parse_sets((root / "sets.txt").read_text(encoding="utf-8", errors="replace").splitlines())


def archive(root: Path) -> None:
    (root / "sets.txt").write_text("training.epochs=3\nstudy.seeds=[0, 1]\ndataset={name = 'named', root = '.'}\nx=a\n")


@cache
def targets() -> dict[str, Target]:
    """Return all targets by name."""
    formats = (
        image("png"), image("jpg", quality=80), image("jpg", name="jpg progressive", progressive=True), image("bmp"),
        image("tif"), image("tif", name="tif deflate", compression="tiff_deflate"), image("gif"), image("webp"),
        image("jp2"), image("ppm"), image("png", name="png 16", deep=True), image("tif", name="tif 16", deep=True),
    )  # fmt: skip
    found = [
        *map(of_layout, LAYOUTS),
        Target("yolo", yolo, checked("yolo", {})),
        Target("labelstudio", labelstudio, checked("labelstudio", {})),
        Target("lspet", lspet, checked("lspet", {})),
        Target("300w", ibug, checked("300w", {})),
        Target("cofw", cofw, checked("cofw", {})),
        Target("deeplabcut h5", deeplabcut_hdf, checked("deeplabcut", {})),
        Target("h36m h5", h36m_hdf, checked("h36m", {})),
        *formats,
        Target("video", video, read_video),
        Target("boxes csv", boxes_csv, lambda root: read_boxes(root / "boxes.csv").by_image),
        Target("boxes json", boxes_json, lambda root: read_boxes(root / "ann.json").by_image),
        Target("predictions", predictions, lambda root: read_predictions(root / "p.h5").points.shape),
        Target("run", made_run, read_made_run),
        Target("model folder", network, read_network),
        Target("job folder", job, read_job),
        Target("store", store, read_store),
        Target("weights safetensors", lambda root: save_file(tensors(), root / "w.safetensors"),
               lambda root: len(read_state(root / "w.safetensors").tensors)),
        Target("weights pth", lambda root: torch.save({"state_dict": tensors()}, root / "w.pth"),
               lambda root: len(read_state(root / "w.pth").tensors)),
        Target("weights old pth", lambda root: torch.save(tensors(), root / "w.pth",
               _use_new_zipfile_serialization=False), lambda root: len(read_state(root / "w.pth").tensors)),
        Target("rules", rules, lambda root: read_rules(str(root / "rules.toml"), registry())[0]),
        Target("skeleton", skeleton, lambda root: read_skeleton(root / "skeleton.json").names),
        Target("study", lambda root: root.joinpath("study.toml").write_text(STUDY) and None, read_study),
        Target("--set", archive, read_sets),
    ]  # fmt: skip
    return {target.name: target for target in found}
