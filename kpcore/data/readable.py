"""Pictures that cannot be decoded: found once for the same bytes, and remembered as their digests are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kpcore.data.fingerprint import remembered
from kpcore.errors import KpError
from kpcore.reading.budget import stated
from kpcore.reading.images import decode_image
from kpcore.samples import Sample

KIND = "readable "


def unreadable(samples: Sequence[Sample]) -> dict[Path, str]:
    """Return picture -> why it cannot be decoded, in the samples' order; one that is gone cannot, whatever it was.

    Raises:
        KpError: a limit of the environment is none.
    """
    paths = list(dict.fromkeys(sample.image for sample in samples if isinstance(sample.image, Path)))
    there = [path for path in paths if path.is_file()]
    problems = dict(zip(there, remembered(there, KIND + stated(), _problem), strict=True))
    found = {path: problems.get(path, f"{path}: image file does not exist") for path in paths}
    return {path: problem for path, problem in found.items() if problem}


def _problem(path: Path) -> str:
    try:
        decode_image(path)
    except KpError as error:
        return str(error)
    return ""
