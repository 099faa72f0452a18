"""Files of a run and of results: written whole, in the place of files only."""

import os
from pathlib import Path

import pytest

from pokerlab.store.files import write_atomically


def status(path: Path) -> tuple[int, int, float]:
    """What would change if `path` were replaced or written; reading a link changes its access time."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_mtime


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_only_a_file_is_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)
    before = status(path)
    with pytest.raises(OSError, match=r"is not a regular file: .*there"):
        write_atomically(path, "content")
    assert status(path) == before
    assert list(tmp_path.iterdir()) == [path]
