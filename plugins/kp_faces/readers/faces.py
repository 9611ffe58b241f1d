"""What the five data sets share: parts read once, turned into samples, findings and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kp_faces.readers.table import Length, Table, file_sizes, lengths, samples_of
from kpcore.cache import content_key
from kpcore.errors import unknown
from kpcore.interfaces import Finding
from kpcore.keypoints import Skeleton
from kpcore.reading.opening import guarded
from kpcore.samples import Sample

FORMAT = 1
"""Raised whenever the same files would give other samples."""


@dataclass(frozen=True, eq=False)
class Faces:
    """The parts of a data set.

    Args:
        where: root, for errors.
        kind: what an annotation file is, for errors.
        skeleton: of all parts.
        parts: names.
        read: reads a part; called once a part.
        files: part -> the annotation files that it is made from.
        factor: crop side over the longer side of the face's box.
        length: what the samples' normaliser is.
        settings: what else changes samples.
    """

    where: Path
    kind: str
    skeleton: Skeleton
    parts: tuple[str, ...]
    read: Callable[[str], Table]
    files: Callable[[str], Sequence[Path]]
    factor: float
    length: Length
    settings: Mapping[str, Any]
    _tables: dict[str, Table] = field(default_factory=dict)
    _samples: dict[str, tuple[Sample, ...]] = field(default_factory=dict)

    def table(self, part: str) -> Table:
        """Return a part's faces that have a labelled landmark; raises KpError where there is no such part."""
        if part not in self.parts:
            raise unknown("part", part, self.parts, where=str(self.where))
        if part not in self._tables:
            self._tables[part] = self.read(part).labelled_only()
        return self._tables[part]

    def samples(self, part: str) -> Sequence[Sample]:
        """Return a part's samples, made once and kept."""
        if part not in self._samples:
            self._samples[part] = samples_of(self.table(part), self.skeleton, self.factor, self.length)
        return self._samples[part]

    def findings(self, part: str) -> Sequence[Finding]:
        """Return what the reader said, and where a normaliser had to be made from the box."""
        table = self.table(part)
        _, derived = lengths(table, self.skeleton, self.length)
        what = "no distance of outer eye corners: normaliser is the root of the area of the face's box"
        return (*table.findings, *table.counted("warning", what, derived))

    def fingerprint(self, part: str) -> str:
        """Return a digest of annotation bytes, image names and sizes, and settings."""
        table = self.table(part)
        return content_key(
            {
                "format": FORMAT,
                "kind": self.kind,
                "part": part,
                "skeleton": [[point.name, point.mirror] for point in self.skeleton.keypoints],
                "crop": self.factor,
                "settings": dict(self.settings),
                "annotation": [_digest(path, self.kind) for path in self.files(part)],
                "images": file_sizes(table),
            }
        )


def _digest(path: Path, kind: str) -> str:
    with guarded(path, kind), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
