"""Small JSON files of a study's folder that somebody else wrote: one line, never a traceback or an endless read."""

import os

import pytest

from kpcore.errors import KpError
from kpcore.evidence.whole import _at_epoch
from kpcore.locks import _owner_file, owner
from kpcore.report.page.folder import _json

DEEP = b"[" * 200_000


@pytest.mark.parametrize("read", [_at_epoch, _json])
def test_what_is_no_such_file_is_named(tmp_path, read):
    path = tmp_path / "timing.json"
    for content in (DEEP, b'{"at_epoch": ' + DEEP, b"{", b"\xff\xfe", b'{"at_epoch": 1' + b"0" * 5000 + b"}"):
        path.write_bytes(content)
        with pytest.raises(KpError, match=r"timing\.json: "):
            read(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(KpError, match="is no regular file"):
        read(path)


def test_seconds_of_epochs_are_numbers(tmp_path):
    path = tmp_path / "timing.json"
    path.write_text('{"at_epoch": [1, 2.5]}')
    assert _at_epoch(path) == [1.0, 2.5]
    for content in ("{}", "[]", '{"at_epoch": 3}', '{"at_epoch": ["soon"]}'):
        path.write_text(content)
        with pytest.raises(KpError, match=r"has no 'at_epoch' seconds; 'kp run' makes it again"):
            _at_epoch(path)


def test_a_lock_whose_owner_cannot_be_read_is_another_processs(tmp_path):
    lock = tmp_path / "job.lock"
    _owner_file(lock).write_bytes(DEEP)
    assert owner(lock) == "another process"
