"""Archives that somebody else made, opened."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kpcore.errors import KpError
from kpcore.fetching.entries import Archive, Limits, damaged
from kpcore.fetching.tars import Tar, unzipped
from kpcore.fetching.zips import Zip, small_directory


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Archive]:
    """Open a zip or tar file, told apart by its first bytes.

    Raises:
        ArchiveError: it is neither, is damaged, or breaks a rule: a name that leaves the folder or meets another, a
            link, a device, more entries or bytes than it may have.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
            file.seek(0)
            if start.startswith(b"PK"):
                with zipfile.ZipFile(small_directory(path, file, limits)) as found:
                    yield Zip(found, path, limits)
            else:
                yield Tar(unzipped(path, file, start), file, path, limits)
    except KpError:
        raise
    except Exception as error:  # parsers of binary files raise anything on damaged input
        if isinstance(error, OSError) and error.errno is not None:  # the system's; gzip's and bz2's have none
            raise
        raise damaged(path, error) from error
