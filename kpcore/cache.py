"""The cache folder: stores, jobs and generated data, each found by its content key."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path


def cache_dir() -> Path:
    """Return ``KP_CACHE_DIR``, else the platform's user cache folder for kptransfer."""
    configured = os.environ.get("KP_CACHE_DIR")
    return Path(configured).expanduser() if configured else user_cache_path("kptransfer")


def content_key(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, as 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
