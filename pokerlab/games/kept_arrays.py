"""Arrays that take long to make, kept on disk: in :func:`pokerlab.store.files.cache_folder`."""

import contextlib
import os
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pokerlab.loops import warn_once
from pokerlab.store.files import cache_folder

CHECKSUM = 4
"""Bytes."""


def keep_array(
    folder: str,
    name: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    make: Callable[[], np.ndarray],
    otherwise: str,
) -> NDArray:
    """An array from its file, if that is whole; else it is made, and written if that is possible.

    Args:
        folder: within the cache.
        name: of the file.
        shape: of the array.
        dtype: likewise.
        make: makes it.
        otherwise: what is so if it cannot be written, for a warning.
    """
    path = cache_folder() / folder / name
    if (kept := _read(path, prod(shape) * np.dtype(dtype).itemsize)) is not None:
        return np.frombuffer(kept, dtype).reshape(shape)
    made = make().astype(dtype)
    _write(path, made.tobytes(), otherwise)
    return made


def _read(path: Path, size: int) -> bytes | None:
    """What :func:`_write` wrote; None: nothing that is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    whole = len(content) == CHECKSUM + size and content[:CHECKSUM] == _checksum(content[CHECKSUM:])
    return content[CHECKSUM:] if whole else None


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM, "little")


def _write(path: Path, content: bytes, otherwise: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # others may be at the same array
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_checksum(content) + content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        warn_once(f"{otherwise}: {error.strerror}: {path.parent} (POKERLAB_CACHE)")
