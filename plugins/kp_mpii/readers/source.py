"""What the data set asks of a layout."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kp_mpii.readers.table import Table


class Source(ABC):
    """The annotation files of one layout.

    Attributes:
        list_name: what results call the train list that these files hold.
    """

    list_name: str

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Parts that the files found hold."""

    @abstractmethod
    def table(self, part: str) -> Table:
        """Read a part; raises KpError where a file is damaged, with the path and, where there is one, the row."""
