"""Files: written whole, put in place when they are; and foreign ones, read with care."""

import contextlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from errno import EEXIST
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from pokerlab.errors import UserError

TEMPORARY = ".tmp"
"""What the name of a file that is still being written ends with."""


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def shipped_path(name: str) -> Path:
    """A file or folder that comes with the package: inside of an installed one, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / name if (package / name).exists() else package.parent / name


def cache_folder() -> Path:
    """Where what takes long to make is kept for every run: ``$POKERLAB_CACHE``, or the user's own."""
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("POKERLAB_CACHE") or Path(own) / "pokerlab")


def check_regular(path: Path) -> None:
    """Raises an OSError if there is a folder, a device or a pipe."""
    if path.exists() and not path.is_file():
        raise OSError(EEXIST, "is not a regular file", str(path))


def write_atomically(path: Path, content: bytes | str | Callable[[BinaryIO], Any]) -> None:
    """Replaces ``path`` so that a reader, or a crash, sees the old content or the new, whole.

    Args:
        path: the file.
        content: what it is to hold, or what writes it.

    Raises:
        OSError: it cannot be written, or is a folder, a device or a pipe; names ``path``.
    """
    check_regular(path)
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        # torch.save answers an error of the file with a RuntimeError of its own
        cause = error.__context__ if isinstance(error, RuntimeError) else error
        if isinstance(cause, OSError):
            raise _naming(path, cause) from error
        raise


def link_or_copy(source: Path, path: Path) -> None:
    """Gives a file that never changes a second name; on another disk, or one without links, copies it.

    Raises:
        OSError: it cannot be written; names ``path``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(source)
    except OSError:
        with source.open("rb") as file:
            write_atomically(path, lambda to: shutil.copyfileobj(file, to))


def open_to_read(path: Path) -> BinaryIO:
    """Opens a file; never waits, as opening a pipe would.

    Raises:
        FileNotFoundError: there is nothing.
        UserError: it is not a regular file, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{path} cannot be read: it is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_lines(path: Path, last: int | None) -> list[str]:
    """A file's lines, each with its end if it has one; none if there is no file.

    Args:
        path: the file.
        last: only so many, which is quick however long the file is; None: all.

    Raises:
        UserError: see :func:`open_to_read`.
    """
    try:
        with open_to_read(path) as file:
            block, size = 1 << 14, file.seek(0, os.SEEK_END)
            begin = 0 if last is None else max(size - block, 0)
            while True:
                file.seek(begin)
                content = file.read(size - begin)
                if begin == 0 or last is None or content.count(b"\n") > last:
                    break
                begin = max(begin - block, 0)
                block *= 2
    except FileNotFoundError:
        return []
    *whole, rest = content.decode(errors="replace").split("\n")
    lines = [f"{line}\n" for line in whole] + ([rest] if rest else [])
    return lines if last is None else lines[max(len(lines) - last, 0) :]


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; runs nothing that stands in it.

    Raises:
        FileNotFoundError: there is nothing.
        UserError: it is not YAML; or see :func:`open_to_read`.
    """
    import yaml  # takes a while

    try:
        with open_to_read(path) as file:
            return yaml.load(file.read().decode(), Loader=_yaml_loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
        raise UserError(f"{path} cannot be read: {said}") from error


@cache
def _yaml_loader() -> Any:
    """YAML 1.2's floats: 1e-3 is one, as it is to Hydra, which the config was composed by."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    number = r"[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d+(?:[eE][-+]?\d+)?)$"
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(number), list("-+0123456789."))
    return Loader


def append_line(path: Path, line: str) -> None:
    """Appends a line, whole or not at all.

    Raises:
        OSError: it cannot be written; names ``path``.
    """
    content = line.encode() + b"\n"
    try:
        check_regular(path)
        with path.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                while content:
                    content = content[file.write(content) :]
            except BaseException:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise
    except OSError as error:
        raise _naming(path, error) from error


def _naming(path: Path, error: OSError) -> OSError:
    return OSError(error.errno, error.strerror or str(error), str(path))


def write_json(path: Path, value: Any) -> None:
    """Replaces ``path`` by ``value`` as JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
