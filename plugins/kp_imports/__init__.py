"""Rules by which weights of other programs become weights of this one's backbones; text files, nothing that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kpcore import hookimpl


@hookimpl
def kp_weight_rules() -> Mapping[str, Path]:
    """Supply every rules file beside this one."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
