"""Loggers whose trouble costs no iteration."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers.logger import Logger

log = logging.getLogger("pokerlab")


class GuardedLogger(Logger):
    """Passes everything on to a logger, until that fails; then says so once, and training goes on without.

    Args:
        make: makes the logger; if that fails, there is none.
        title: what to call it.
    """

    def __init__(self, make: Callable[[], Logger], title: str) -> None:
        super().__init__()
        self._title = title
        self._inner: Logger | None = None
        self._made: Logger | None = None
        self._made = self._inner = self._try(make)

    def _try(self, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return action(*arguments, **options)
        except Exception as error:  # whatever it is: a server, a disk, a home that cannot be written
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("%s failed, and logs nothing more: %s", self._title, reason)
            self._inner = None
            return None

    def __getattr__(self, name: str) -> Any:
        """What a logger can do besides what all can, such as ``log_table``."""
        found = getattr(self.__dict__.get("_inner"), name)
        return (lambda *a, **o: self._try(found, *a, **o)) if callable(found) else found

    @property
    def name(self) -> str | None:
        return None if self._inner is None else self._inner.name

    @property
    def version(self) -> int | str | None:
        return None if self._inner is None else self._inner.version

    @property
    def save_dir(self) -> str | None:
        return None if self._inner is None else self._inner.save_dir

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self._inner is not None:
            self._try(self._inner.log_metrics, metrics, step)

    def log_hyperparams(self, params: Any, *arguments: Any, **options: Any) -> None:
        if self._inner is not None:
            self._try(self._inner.log_hyperparams, params, *arguments, **options)

    def save(self) -> None:
        if self._inner is not None:
            self._try(self._inner.save)

    def finalize(self, status: str) -> None:
        if self._inner is not None:
            self._try(self._inner.finalize, status)

    def close(self, error: BaseException | None) -> None:
        """Ends the logger, if it has to be ended after the run's last pictures."""
        if hasattr(self._made, "close"):  # one that has failed, too
            self._try(self._made.close, error)  # type: ignore[union-attr]
