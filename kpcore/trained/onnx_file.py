"""An exported network's file, ``.onnx``: its card among the file's texts, and a seal over all of its bytes.

Predicting with one takes the library onnxruntime alone, reading its card none. Nothing in such a file runs but its
graph of operators.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any

from kpcore.errors import KpError
from kpcore.reading.budget import Limit, within
from kpcore.reading.opening import one_line, regular
from kpcore.trained.card import Card, parsed
from kpcore.trained.onnx_texts import texts_in

ENDING = ".onnx"
INPUT, OUTPUTS = "images", ("points", "confidence")
CARD, FLIP_TEST, SEAL = "kptransfer.card", "kptransfer.flip_test", "kptransfer.seal"
"""Keys of the file's texts: the card's JSON, "yes" or "no", and the digest of the file."""
OUTSIDE = re.compile(rb"(\x0a|\x8a\x80*\x00)(\x08|\x88\x80*\x00)location")
"""An entry of the key "location", protobuf's field 1 of 8 bytes in any of its spellings: a tensor in another file."""
UNSEALED = "sha256:" + "0" * 64
"""What stands in the seal's place while the file is hashed."""
CHANGED = "it was changed after it was written; export it again, or say --changed to use it as it is"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
QUIET = 4
"""onnxruntime's level of messages: fatal ones. Errors are raised besides, and become one line here."""


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """An exported network, opened.

    Args:
        path: of the file.
        session: onnxruntime's, on a device.
        card: what is known of the network.
        flip_test: whether it averages with the prediction on the mirrored crop.
    """

    path: Path
    session: Any
    card: Card
    flip_test: bool


def require(*names: str) -> None:
    """Raise KpError where libraries of the extra ``onnx`` are not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise KpError(f"ONNX needs {', '.join(missing)}: pip install 'kptransfer[onnx]'")


def texts_of(card: Card, *, flip_test: bool) -> dict[str, str]:
    """Return the texts that a file carries, not sealed yet."""
    said = json.dumps(card.sealed().model_dump(mode="json"), allow_nan=False)
    return {CARD: said, FLIP_TEST: "yes" if flip_test else "no", SEAL: UNSEALED}


def sealed(content: bytes) -> bytes:
    """Return a file's bytes with its seal; raises KpError where the seal has no one place."""
    if content.count(UNSEALED.encode()) != 1:
        raise KpError("the exporter wrote no single place for the file's seal; report this as a bug")
    return content.replace(UNSEALED.encode(), seal_of(content).encode())


def seal_of(unsealed: bytes) -> str:
    """Return the seal of a file whose seal is :data:`UNSEALED`."""
    return "sha256:" + hashlib.sha256(unsealed).hexdigest()


def open_onnx(path: Path, device: str | None = "cpu", *, changed: bool = False) -> OnnxFile:
    """Open an exported network.

    Args:
        path: of the file.
        device: as for ``--device``.
        changed: take a file that was changed after it was written.

    Raises:
        KpError: onnxruntime is missing or has no such device, the file cannot be used, is not ours, or was changed.
    """
    require("onnxruntime")
    content = _content(path)
    _require_whole(path, content)
    session = _session(path, content, providers(device))
    texts: dict[str, str] = session.get_modelmeta().custom_metadata_map
    card = _card(path, content, texts, changed)
    _require_fit(path, session, card)
    return OnnxFile(path, session, card, texts.get(FLIP_TEST) == "yes")


def read_onnx_card(path: Path, *, changed: bool = False) -> Card:
    """Read an exported network's card, without onnxruntime and without building the network.

    Raises:
        KpError: the file cannot be read, is not ours, or was changed.
    """
    content = _content(path)
    try:
        texts = texts_in(content)
    except ValueError as error:
        raise KpError(f"{path}: not an ONNX file: {one_line(error)}; export it again") from None
    return _card(path, content, texts, changed)


def _content(path: Path) -> bytes:
    try:
        size = regular(path, "an exported network")
        within(Limit.BYTES, size, f"has {size:,} bytes", path)
        return path.read_bytes()
    except OSError as error:
        raise KpError(f"{path}: cannot be read: {error.strerror}; export it again") from None


def _card(path: Path, content: bytes, texts: Mapping[str, str], changed: bool) -> Card:
    """Return the card among a file's texts; raises KpError where there is none, or the file was changed."""
    if CARD not in texts:
        raise KpError(f"{path}: an ONNX file without a card (no text '{CARD}'); was it written by 'kp export'?")
    card = parsed(texts[CARD], path, "export it again")
    if not changed and not (card.whole and _seal_holds(content, texts.get(SEAL, ""))):
        raise KpError(f"{path}: {CHANGED}")
    return card


def _require_whole(path: Path, content: bytes) -> None:
    """Refuse a file that would have onnxruntime read others, which no seal covers; raises KpError."""
    if OUTSIDE.search(content):
        raise KpError(
            f"{path}: keeps tensors in other files, and none of these is read; export it again, or save it as one file"
        )


def _seal_holds(content: bytes, seal: str) -> bool:
    return bool(seal) and seal_of(content.replace(seal.encode(), UNSEALED.encode())) == seal


def _session(path: Path, content: bytes, wanted: Sequence[Any]) -> Any:
    """Return onnxruntime's session. From bytes: they are the ones that were hashed, and name no other file."""
    runtime: Any = import_module("onnxruntime")
    runtime.set_default_logger_severity(QUIET)
    options = runtime.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = _threads()
    try:
        return runtime.InferenceSession(content, options, providers=list(wanted))
    except Exception as error:  # each fault has a class of its own, and they have no common base
        said = shorten(str(error), 200, placeholder=" ...")
        raise KpError(f"{path}: not an ONNX file that onnxruntime can use: {said}; export it again") from None


def _threads() -> int:
    from kpcore.cores import cores

    return cores()


def providers(device: str | None) -> list[Any]:
    """Return onnxruntime's names for a device; without one CUDA where it is there, else the CPU.

    Raises:
        KpError: this onnxruntime has no such device.
    """
    runtime: Any = import_module("onnxruntime")
    cuda = CUDA in runtime.get_available_providers()
    kind, _, number = (device or ("cuda" if cuda else "cpu")).partition(":")
    if kind == "cpu":
        return [CPU]
    if kind == "cuda" and cuda and (not number or number.isdecimal()):
        return [(CUDA, {"device_id": number or "0", "use_tf32": "0"}), CPU]
    have = "cpu and cuda exist" if cuda else "cpu exists (the package onnxruntime-gpu brings cuda)"
    raise KpError(f"--device {device}: not for an ONNX file on this machine; {have}")


def _require_fit(path: Path, session: Any, card: Card) -> None:
    """Refuse a graph that is not what the card says."""
    side, head = card.model.resolution, card.model.layout.heads[-1]
    shapes = {one.name: tuple(one.shape[1:]) for one in (*session.get_inputs(), *session.get_outputs())}
    points, confidence = OUTPUTS
    wanted = {
        INPUT: (3, side, side),
        points: (len(head), head.skeleton.dims),
        confidence: (len(head),),
    }
    if shapes != wanted:
        raise KpError(f"{path}: takes and gives {shapes}, where its card says {wanted}; export it again")
