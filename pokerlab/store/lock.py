"""One process at a time writes a run's folder. The kernel keeps count, so a lock dies with its process."""

import contextlib
import fcntl
import os
from pathlib import Path


class RunLock:
    """The lock of a folder. It is on the folder itself: there is no file to be left over.

    A process that is started with :attr:`descriptor` among its ``pass_fds`` holds the lock as well, and
    keeps it when this one lets go. On a file system without locks it holds nothing. As a context manager it
    lets go at the end.

    Args:
        folder: exists.
        descriptor: of a lock that this process was started with.

    Raises:
        BlockingIOError: another process holds it.
        OSError: there is no such folder.
    """

    def __init__(self, folder: Path, descriptor: int | None = None) -> None:
        self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY) if descriptor is None else descriptor
        os.set_inheritable(self.descriptor, False)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise
        except OSError:
            return  # this file system has no locks
        if not self._is_of(folder):  # it was removed, and made anew
            self.release()
            raise BlockingIOError

    def _is_of(self, folder: Path) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self.descriptor), folder.stat())
        return False

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Lets go; a process that it was passed on to still has it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            self.release()
