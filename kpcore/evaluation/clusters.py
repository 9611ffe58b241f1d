"""Which samples are drawn together: those of one video where names tell it, else those of one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kpcore.draws import ClusterKind, Clusters
from kpcore.reading.videos import video_of
from kpcore.samples import Sample


def clusters_of(samples: Sequence[Sample]) -> Clusters:
    """Return the samples' clusters: frames of a video are one, and so are the people of an image that is of none."""
    videos = [video_of(sample.image) if isinstance(sample.image, Path) else None for sample in samples]
    names = [("image", sample.image_id) if video is None else ("video", video)
             for sample, video in zip(samples, videos, strict=True)]  # fmt: skip
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    kind: ClusterKind = "image" if all(video is None for video in videos) else "video"
    return Clusters(kind, np.array([numbers[name] for name in names], np.int64))
