"""The two layouts that are read, and those that are known and refused.

======= ================================================================ ===========================================
layout  files                                                            arrays
======= ================================================================ ===========================================
c2f     ``annot/train.h5``, ``annot/valid.h5``, or ``h36m_train.h5``,    S (N, 17, 3) and part (N, 17, 2), or with
        ``h36m_valid.h5``; each with ``imgname`` or, beside it,          their last two axes swapped; center (N, 2),
        ``train_images.txt`` (Pavlakos et al., CVPR 2017)                scale (N,); K (N, 3, 3) where there
spin    ``h36m_train.npz``, ``h36m_valid_protocol1.npz`` or ``2``        imgname, center, scale, S (N, 24, 4), part
        (Kolotouros et al., ICCV 2019)                                   (N, 24, 3), the last number a confidence
======= ================================================================ ===========================================
"""

from __future__ import annotations

from pathlib import Path

from kp_h36m.archive import Archive, Hdf5, Npz, pickled
from kp_h36m.names import image_name
from kp_h36m.skeleton import ORDER
from kpcore.errors import KpError
from kpcore.reading.opening import read_text
from kpcore.reading.paths import Images

JOINTS = len(ORDER)
SPIN_JOINTS = 24
FOLDERS = ("annot", ".")
VIDEOPOSE = "data_*h36m*.npz"
LONGEST_LIST = 2**30
"""Bytes of a list of image names, at most."""


def candidates(layout: str, part: str, protocol: int) -> tuple[str, ...]:
    """Return the file names of a part, in order of preference."""
    if layout == "c2f":
        return (f"{part}.h5", f"h36m_{part}.h5")
    if part == "train":
        return ("h36m_train.npz",)
    return (f"h36m_valid_protocol{protocol}.npz", *(["h36m_valid_protocol1.npz"] if protocol == 2 else []))


def choose(root: Path, layout: str | None, protocol: int) -> tuple[str, dict[str, Archive]]:
    """Return the layout and its files by part: the one asked for, else the first that is there.

    Raises:
        KpError: there is none, or a file is damaged or of another data set; says what was looked for.
    """
    why: list[str] = []
    for name in [layout] if layout else ["c2f", "spin"]:
        before = len(why)
        files = {part: file for part in ("train", "valid") if (file := _find(root, name, part, protocol, why))}
        if len(files) == 1 and len(why) > before:  # the other part's file is there, and damaged
            raise KpError(why[before])
        if files:
            return name, files
    if why:
        raise KpError(why[0])
    for path in sorted(root.glob(VIDEOPOSE)):
        raise _videopose(path)
    other = "; h36m_valid_protocol2.npz is there: set protocol = 2" if _other_protocol(root, protocol) else ""
    raise KpError(
        f"{root}: no annotation of Human3.6M in it or in annot/: none of train.h5, valid.h5, h36m_train.h5,"
        f" h36m_valid.h5, h36m_train.npz, h36m_valid_protocol{protocol}.npz{other}"
    )


def _find(root: Path, layout: str, part: str, protocol: int, why: list[str]) -> Archive | None:
    for path in (root / folder / name for folder in FOLDERS for name in candidates(layout, part, protocol)):
        if not path.is_file():
            continue
        file: Archive = Hdf5(path) if layout == "c2f" else Npz(path)
        problem = _strange(file, layout)
        if not problem:
            return file
        why.append(problem)
    return None


def _strange(file: Archive, layout: str) -> str:
    """Return why a file is not of the layout; "" where it is."""
    try:
        fields = file.fields
    except KpError as error:
        return str(error)
    missing = [key for key in ("S", "center", "scale") if key not in fields]
    if missing:
        have = ", ".join(sorted(fields)[:20]) or "none"
        return f"{file.path}: not Human3.6M's, for it has no array {', '.join(missing)} ({have} exist)"
    if fields["S"].dtype.hasobject:
        return str(pickled(file.path, "S"))
    wanted = [(JOINTS, 3), (3, JOINTS)] if layout == "c2f" else [(SPIN_JOINTS, 4)]
    if fields["S"].shape[1:] not in wanted or fields["S"].shape[0] < 1:
        shapes = " or ".join(f"(people, {first}, {second})" for first, second in wanted)
        return f"{file.path}: 'S' has shape {fields['S'].shape}; layout {layout} has {shapes}"
    return ""


def names(file: Archive, images: Images) -> tuple[str, ...]:
    """Return the images' names, one a row, below ``images/``.

    Raises:
        KpError: there are none, or not as many as rows, or one is no path below the folder.
    """
    rows, source = file.field("S").shape[0], f"{file.path}, 'imgname'"
    listed = list_file(file) if isinstance(file, Hdf5) else None
    if listed is not None:
        found, source = tuple(_lines(listed)), str(listed)
    else:
        if "imgname" not in file.fields:
            stem = file.path.stem
            raise KpError(f"{file.path}: has no array 'imgname', and no {stem}_images.txt lies beside it; add one")
        found = file.texts("imgname", rows)
    if len(found) != rows:
        raise KpError(f"{source}: {len(found)} image names for {rows} people in {file.path.name}; one a row")
    return tuple(image_name(name, f"{source}, row {row}", images) for row, name in enumerate(found))


def list_file(file: Archive) -> Path | None:
    """Return ``train_images.txt`` beside ``train.h5``, which comes before ``imgname``; None where there is none."""
    stem = file.path.stem
    beside = (file.path.with_name(f"{name}_images.txt") for name in (stem, stem.removeprefix("h36m_")))
    return next((path for path in beside if path.is_file()), None)


def _lines(path: Path) -> list[str]:
    text = read_text(path, "a list of image names, one a line", LONGEST_LIST)
    return text.rstrip("\n").replace("\r\n", "\n").split("\n")


def _other_protocol(root: Path, protocol: int) -> bool:
    here = (root / folder / "h36m_valid_protocol2.npz" for folder in FOLDERS)
    return protocol == 1 and any(path.is_file() for path in here)


def _videopose(path: Path) -> KpError:
    return KpError(
        f"{path}: VideoPose3D's files hold pickled Python objects, which could run any code and are never loaded (nor"
        " do they name images); give annot/*.h5 of c2f-vol or h36m_*.npz of SPIN, with plain arrays"
    )
