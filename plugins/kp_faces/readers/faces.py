"""What the five data sets share: parts read once, turned into samples and findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kp_faces.readers.table import Length, Table, lengths, samples_of
from kpcore.errors import unknown
from kpcore.interfaces import Finding
from kpcore.keypoints import Skeleton
from kpcore.samples import Sample


@dataclass(frozen=True, eq=False)
class Faces:
    """The parts of a data set.

    Args:
        where: root, for errors.
        skeleton: of all parts.
        parts: names.
        read: reads a part; called once a part.
        factor: crop side over the longer side of the face's box.
        length: what the samples' normaliser is.
    """

    where: Path
    skeleton: Skeleton
    parts: tuple[str, ...]
    read: Callable[[str], Table]
    factor: float
    length: Length
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
