"""What the data set asks of a layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from kp_mpii.readers.table import Table
from kpcore.reading.paths import Images


class Source(ABC):
    """The annotation files of one layout.

    Args:
        root: of the data set; images lie in its folder ``images``.

    Attributes:
        list_name: what results call the train list that these files hold.
    """

    list_name: str

    def __init__(self, root: Path) -> None:
        self._root = root

    def images(self) -> Images:
        """Return what finds images, for one reading of an annotation: it gathers that reading's findings."""
        return Images(self._root / "images", self._root)

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Parts that the files found hold."""

    @abstractmethod
    def table(self, part: str) -> Table:
        """Read a part; raises KpError where a file is damaged, with the path and, where there is one, the row."""
