"""What is built in: who supplies which component, its options, what they are where nobody sets them, and their bounds.

Defaults decide results without being written in any study file, so each is stated here once more; a new option, or a
new component, is missing from the table until somebody says what it should be.
"""

import pytest

from kpcore.config import validate
from kpcore.errors import KpError
from kpcore.registry import KINDS, registry

SUPPLIED = {
    "coco": {"dataset": ["coco"], "metric": ["oks"], "writer": ["coco", "coco_results"]},
    "deeplabcut": {"dataset": ["deeplabcut"], "generator": ["mice"], "writer": ["deeplabcut"]},
    "faces": {"dataset": ["300w", "aflw", "cofw", "landmarks", "wflw"], "generator": ["faces"]},
    "h36m": {"dataset": ["h36m"]},
    "heatmap": {"codec": ["heatmap"]},
    "hourglass": {"backbone": ["hourglass"]},
    "kptransfer": {"split": ["explicit", "groups", "kptransfer", "random"]},
    "labelstudio": {"dataset": ["labelstudio"]},
    "lspet": {"dataset": ["lspet"]},
    "modes": {"strategy": ["by_name", "frozen", "gradual", "l2sp", "multi_task", "random", "replay", "transfer"]},
    "mpii": {"dataset": ["mpii"]},
    "mlflow": {"tracker": ["mlflow"]},
    "mpjpe": {"metric": ["mpjpe"]},
    "named": {"dataset": ["named"]},
    "nme": {"metric": ["nme"]},
    "outputs": {"writer": ["csv", "h5", "pictures"]},
    "pck": {"metric": ["heatmap_pck", "pck", "pckh"]},
    "tensorboard": {"tracker": ["tensorboard"]},
    "wandb": {"tracker": ["wandb"]},
    "people": {"dataset": ["people"], "generator": ["people"]},
    "sleap": {"writer": ["slp"]},
    "timm": {"backbone": ["timm"]},
    "volumetric": {"codec": ["volumetric"]},
    "yolo": {"dataset": ["yolo"]},
}

REQUIRED = object()
DEFAULTS = {
    # Newell: 256 features, four halvings, one residual module a position.
    "backbone hourglass": {"channels": 256, "depth": 4, "modules": 1},
    "backbone timm": {
        "model": "resnet50", "neck": "deconv", "channels": 256, "refinements": 2, "size": None, "pretrained": False,
        "weights": None,
    },
    # Newell's released code draws with a sigma of 1.75 pixels of the heatmap, and goes a quarter pixel when decoding.
    "codec heatmap": {
        "sigma": 1.75, "loss": "mse", "unlabelled": "ignore", "decode": "quarter", "subpixel": True, "patch": None,
    },
    # Sun et al. 2018: integral regression over 64 bins of depth.
    "codec volumetric": {
        "depth_bins": 64, "depth": 1.0, "loss": "integral", "sigma": 1.0, "decode": "soft_argmax",
    },
    "writer coco": {"category": None, "least": None},
    "writer coco_results": {},
    "writer csv": {},
    "writer deeplabcut": {"scorer": "kptransfer", "least": None},
    "writer h5": {},
    "writer pictures": {"quality": 92, "text": True, "legend": True},
    "writer slp": {},
    "tracker mlflow": {},
    "tracker tensorboard": {},
    "tracker wandb": {},
    "metric mpjpe": {"align": "root", "root": "pelvis", "aspects": False},
    "metric nme": {"normaliser": REQUIRED, "report": "nme", "threshold": 0.08},
    "metric oks": {"report": "ap", "sigmas": {}, "default_sigma": 0.067},
    "metric heatmap_pck": {"heatmap": 64, "threshold": 0.05, "groups": None},
    "metric pck": {"normaliser": "crop", "threshold": 0.05, "groups": None},
    "metric pckh": {"convention": "kptransfer", "threshold": 0.5},
    "strategy by_name": {"new_heads": "source", "unshared": "new"},
    "strategy frozen": {"norm": "eval"},
    "strategy gradual": {"until": 0.5, "every": None},
    "strategy l2sp": {"alpha": 0.1, "beta": 0.01},  # Li et al. 2018
    "strategy multi_task": {"keypoints": "steps"},
    "strategy random": {},
    "strategy replay": {"weight": 1.0, "confidence": 0.0},
    "strategy transfer": {"supervision": "s2", "heads": "reset", "source": "s1"},
    "dataset 300w": {"root": None, "subset": "full", "crop": 1.3},
    "dataset aflw": {"root": None, "annotations": None, "held_out": 0.18, "crop": 1.25},
    "dataset coco": {
        "root": None, "train_annotations": None, "valid_annotations": None, "train_images": None,
        "valid_images": None, "category": None, "mirrors": {}, "held_out": None,
    },
    "dataset cofw": {"root": None, "crop": 1.25},
    "dataset deeplabcut": {
        "root": None, "scorer": None, "held_out": 0.2, "valid_videos": None, "crop": None, "factor": 1.5,
        "normaliser": None, "mirrors": None, "groups": {}, "edges": [],
    },
    "dataset h36m": {"root": None, "annotations": None, "protocol": 1, "stride": 1},
    "dataset labelstudio": {
        "root": None, "annotation": None, "images": ".", "field": None, "category": None, "keypoints": None,
        "several": "last", "mirrors": None, "groups": {}, "margin": 1.25, "held_out": 0.2,
    },
    "dataset landmarks": {"root": None, "skeleton": None, "crop": 1.3, "held_out": 0.1, "origin": 0},
    "dataset lspet": {"root": None, "held_out": 0.1},
    "dataset mpii": {"root": None, "annotations": None, "list": None, "valid_list": None, "held_out": 0.1},
    "dataset named": {
        "root": None, "annotation": None, "images": ".", "origin": 0, "margin": 1.25, "normaliser": None,
        "mirrors": None, "groups": {}, "held_out": 0.1,
    },
    "dataset people": {"root": REQUIRED, "dims": 3},
    "dataset wflw": {"root": None, "subset": "all", "crop": 1.25},
    "dataset yolo": {
        "root": None, "data": None, "category": None, "keypoints": None, "mirrors": None, "groups": {}, "margin": 1.25,
        "held_out": None,
    },
    "split explicit": {"sets": REQUIRED},
    "split groups": {"groups": None, "leave_out": None},
    "split kptransfer": {"splits": ["a", "b", "c", "d"]},  # the paper's four; d_fig2 is asked for by name
    "split random": {"count": 4, "source": 4, "target": 4, "seed": 0},
    "generator faces": {
        "faces": 800, "valid": 200, "pictures": 4, "seed": 0, "size": 112, "turn": 45.0, "occlusion": 0.15,
        "clutter": 0.5,
    },
    "generator mice": {"frames": 600, "seed": 0, "size": 96},
    "generator people": {
        "people": 800, "valid": 200, "seed": 0, "size": 128, "turn": 180.0, "occlusion": 0.3, "clutter": 0.5,
        "layout": "mpii",
    },
}  # fmt: skip

CROP = {"crop": ([0.99, 10.1], [1, 10])}
SHARE = {"held_out": ([0.0, 1.0], [0.01, 0.99])}
DRAWN = {"seed": ([-1], [0]), "size": ([47, 1025], [48, 1024])}
CLUTTERED = {"valid": ([0], [1]), "occlusion": ([-0.1, 1.1], [0, 1]), "clutter": ([-0.1, 1.1], [0, 1]), **DRAWN}
BOUNDS = {
    "backbone hourglass": {"channels": ([0, 12], [8, 24]), "depth": ([0, 7], [1, 6]), "modules": ([0, 9], [1, 8])},
    "backbone timm": {
        "channels": ([6, 9], [8, 10]), "refinements": ([0, 17], [1, 16]), "size": ([28, 33], [32, 36]),
        "neck": (["fpm"], ["fpn"]),
    },
    "codec heatmap": {
        "sigma": ([0.0], [0.1]), "patch": ([0, -1, 4], [1, 7]), "loss": (["mae"], ["cross_entropy"]),
        "decode": (["soft"], ["dark", "argmax"]), "unlabelled": (["none"], ["zero"]),
    },
    "codec volumetric": {
        "depth_bins": ([1, 513], [2, 512]), "depth": ([0.0, 100.5], [0.1, 100]), "sigma": ([0.0, 100.5], [0.1, 100]),
        "loss": (["mse"], ["cross_entropy"]), "decode": (["argmax"], ["local"]),
    },
    "metric mpjpe": {"align": (["rigid"], ["none", "procrustes", "scale"])},
    "metric nme": {
        "threshold": ([0.0], [0.1]), "normaliser": (["eyes"], ["inter_pupil", "box", "sample"]),
        "report": (["ced"], ["auc", "failure"]),
    },
    "metric oks": {"default_sigma": ([0.0], [0.1]), "sigmas": ([{"a": 0.0}], [{"a": 0.1}])},
    "metric heatmap_pck": {"heatmap": ([3], [4]), "threshold": ([0.0], [0.1]), "groups": ([[]], [["a"]])},
    "metric pck": {"threshold": ([0.0], [0.1]), "normaliser": (["head"], ["sample"]), "groups": ([[]], [["a"]])},
    "metric pckh": {
        "threshold": ([0.0], [0.1]), "convention": (["mpii"], ["mpii-unweighted", "mpii-weighted", "mpii-all"]),
    },
    "strategy by_name": {"new_heads": (["old"], ["new"]), "unshared": (["zero"], ["mirror", "group"])},
    "strategy frozen": {"norm": (["off"], ["train"])},
    "strategy gradual": {"until": ([0.0, 1.1], [0.1, 1.0]), "every": ([0], [1])},
    "strategy l2sp": {"alpha": ([-0.1], [0.0]), "beta": ([-0.1], [0.0])},
    "strategy multi_task": {"keypoints": (["target"], ["all"])},
    "strategy replay": {"weight": ([0.0], [0.1]), "confidence": ([-0.1], [0.0])},
    "strategy transfer": {
        "supervision": (["both"], ["s1"]), "heads": (["keep"], ["by_name"]), "source": (["s3"], ["s2", "permuted"]),
    },
    "dataset 300w": {**CROP, "subset": (["all"], ["common", "challenging"])},
    "dataset aflw": {**CROP, **SHARE, "annotations": (["mat"], ["sqlite", "info"])},
    "dataset coco": SHARE,
    "dataset cofw": CROP,
    "dataset deeplabcut": {**SHARE, "factor": ([0.9, 10.1], [1, 10]), "crop": (["box"], ["points", "image"])},
    "dataset h36m": {
        "stride": ([0, 100_001], [1, 100_000]), "protocol": ([0, 3], [2]), "annotations": (["csv"], ["c2f", "spin"]),
    },
    "dataset labelstudio": {**SHARE, "margin": ([0.9, 4.1], [1, 4]), "several": (["all"], ["first"])},
    "dataset landmarks": {**CROP, **SHARE, "skeleton": (["faces"], ["faces68", "wflw98", "cofw29"])},
    "dataset lspet": SHARE,
    "dataset mpii": {
        **SHARE, "annotations": (["coco"], ["newell", "hrnet", "pytorch_pose", "mat"]),
        "list": (["mmpose"], ["newell", "hrnet"]),
    },
    "dataset named": {**SHARE, "margin": ([0.9, 4.1], [1, 4]), "origin": ([2, -1], [1])},
    "dataset people": {"dims": ([1, 4], [2])},
    "dataset wflw": {**CROP, "subset": (["full"], ["pose", "expression", "illumination"])},
    "dataset yolo": {**SHARE, "margin": ([0.9, 4.1], [1, 4])},
    "split random": {"count": ([0, 1001], [1, 1000]), "source": ([0], [1]), "target": ([0], [1])},
    "split kptransfer": {"splits": ([[]], [["d_fig2"]])},
    "generator faces": {
        "faces": ([0], [1]), "pictures": ([0], [1]), "turn": ([-1.0, 60.5], [0, 60]), **CLUTTERED,
    },
    "generator mice": {"frames": ([0, 100_000], [1, 99_999]), **DRAWN},
    "generator people": {
        "people": ([0], [1]), "turn": ([-1.0, 180.5], [0, 180]), "layout": (["coco"], ["lspet"]), **CLUTTERED,
    },
}  # fmt: skip
"""Component -> option -> (values that are refused, values that are taken)."""


def config_of(address):
    kind, name = address.split()
    return registry().component(kind, name).Config


def built_in(kind):
    """Names of a kind that our own plugins supply; others may be installed beside them."""
    return [name for plugin in SUPPLIED.values() for name in plugin.get(kind, [])]


@pytest.mark.parametrize("plugin", SUPPLIED)
def test_every_plugin_supplies_what_it_says(plugin):
    known = registry()
    found = {kind: [name for name, owners in known.claims(kind).items() if plugin in owners] for kind in KINDS}
    assert {kind: sorted(names) for kind, names in found.items() if names} == SUPPLIED[plugin]
    for kind, names in SUPPLIED[plugin].items():
        for name in names:
            assert known.provider(kind, name).name == plugin


def test_every_built_in_component_is_in_the_table():
    assert set(DEFAULTS) == {f"{kind} {name}" for kind in KINDS for name in built_in(kind)}


@pytest.mark.parametrize("address", DEFAULTS)
def test_an_option_that_nobody_sets_is_what_it_was(address):
    fields = config_of(address).model_fields
    found = {
        name: REQUIRED if field.is_required() else field.get_default(call_default_factory=True)
        for name, field in fields.items()
    }
    assert found == DEFAULTS[address]


def given(address, option, value):
    needed = {"metric nme": {"normaliser": "box"}, "dataset people": {"root": "."}}.get(address, {})
    return {**needed, option: value}


VALUES = [(address, option, *values) for address, options in BOUNDS.items() for option, values in options.items()]


@pytest.mark.parametrize(("address", "option", "refused", "taken"), VALUES)
def test_options_have_bounds(address, option, refused, taken):
    config = config_of(address)
    for value in refused:
        with pytest.raises(KpError, match=rf"test.*\b{option}\b"):
            validate(config, given(address, option, value), where="test")
    for value in taken:
        assert getattr(validate(config, given(address, option, value), where="test"), option) == value


@pytest.mark.parametrize("address", DEFAULTS)
def test_no_component_takes_an_option_that_it_does_not_have(address):
    with pytest.raises(KpError, match="unknown key 'nonsense'"):
        validate(config_of(address), {**given(address, "nonsense", 1)}, where="test")


@pytest.mark.parametrize(
    "address", [one for one in DEFAULTS if one.startswith(("codec", "metric", "strategy", "back"))]
)
def test_a_component_is_built_from_its_defaults(address):
    kind, name = address.split()
    needed = {key: value for key, value in given(address, "", None).items() if key}
    assert registry().build(kind, name, needed, where="test")
