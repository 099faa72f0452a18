"""Checkpoints that always hold a finished iteration, whatever stops the run."""

import contextlib
import io
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

import lightning
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers.logger import Logger

from pokerlab.selfplay.data import SelfPlayData, of_all_ranks
from pokerlab.selfplay.ranks import RankLostError
from pokerlab.selfplay.replay_on_disk import chunk_files
from pokerlab.store.checkpoints import FORMAT
from pokerlab.store.files import write_atomically
from pokerlab.store.folder import LAST, RunFolder

OtherReplays: TypeAlias = Callable[[int], list[tuple[dict[str, Any], list[str]]]]
"""What the other ranks' replays were like after so many iterations, and their files that are in use now."""


def no_others(iteration: int) -> list[tuple[dict[str, Any], list[str]]]:
    """Where there is one rank."""
    return []


class RunCheckpointIO(CheckpointIO):
    """Writes a checkpoint and the replay that belongs to it, each file whole or not at all.

    The replay of iteration i is ``replay-<i>.pt``, written before the checkpoint that names it and
    removed when no checkpoint does; so are the chunks of a replay on disk. Checkpoints are handed over
    when an iteration ends and held in memory, as bytes, until :meth:`release`: its metrics come first.
    ``last.ckpt`` waits until :meth:`flush`: it is handed over after every iteration, so that an
    interrupted run can save the last finished one.

    Args:
        run: the run's folder.
        data: has the replay.
        game: its name.
        others: gives the replays of the other ranks.
    """

    def __init__(
        self,
        run: RunFolder,
        data: SelfPlayData,
        game: str,
        others: OtherReplays = no_others,
    ) -> None:
        self.run, self.data, self.game, self._others = run, data, game, others
        self._needed: set[str] = set()  # by the other ranks
        self._handed: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self._last: tuple[bytes, dict[str, Any]] | None = None
        self._replays: set[str] = set()  # that this process wrote; others may be of a run that went on

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Takes ``checkpoint``, to be written later."""
        position = checkpoint[type(self.data).__qualname__]
        checkpoint["pokerlab"] = {
            "format": FORMAT,
            "game": self.game,
            "iteration": position["iteration"],
            "replay": f"replay-{position['iteration']:06d}.pt",
        }
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self._handed[Path(path).name] = buffer.getvalue(), position

    def release(self) -> None:
        """Writes what was handed over, but ``last.ckpt`` only on :meth:`flush`."""
        handed, self._handed = self._handed, {}
        last = handed.pop(LAST, self._last)
        for name, content in handed.items():
            self._write(self.run.checkpoints / name, *content)
        self._last = last  # not before: a run that goes on from there would never write the others

    def flush(self) -> None:
        """Writes the ``last.ckpt`` that was released last, if it is not written yet."""
        if self._last is not None:
            self._write(self.run.checkpoints / LAST, *self._last)
            self._last = None

    def _write(self, path: Path, content: bytes, position: dict[str, Any]) -> None:
        replay = path.parent / f"replay-{position['iteration']:06d}.pt"
        chunks = list(self.run.replay.glob("*.pt"))  # before others go on to write more
        if replay.name not in self._replays:
            others = self._others(position["iteration"])
            self._needed = {name for _, needed in others for name in needed}
            contents = of_all_ranks([self.data.replay_contents(position), *(each for each, _ in others)])
            write_atomically(replay, lambda file: torch.save(contents, file))
            self._replays.add(replay.name)
        write_atomically(path, content)
        if path.name == LAST:
            self.run.remove_replays(replay.name)
            self._replays = {name for name in self._replays if (path.parent / name).exists()}
            self._remove_chunks(chunks)

    def _remove_chunks(self, chunks: list[Path]) -> None:
        """Removes the chunks of the replay that neither a checkpoint nor the present window needs."""
        if not chunks:
            return
        needed = self._needed | {*chunk_files(self.data.replay_contents(self.data.state_dict()))}
        for replay in self.run.checkpoints.glob("replay-*.pt"):
            try:
                needed |= chunk_files(torch.load(replay, map_location="cpu", weights_only=True)).keys()
            except OSError:
                raise
            except Exception:  # what torch.load raises depends on what the file is
                continue  # nothing can go on from there
        for chunk in chunks:
            if chunk.name not in needed:
                chunk.unlink()

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        """Reads a checkpoint, and the replay that belongs to it."""
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        replay = Path(path).parent / checkpoint["pokerlab"]["replay"]
        self.data.restore_replay(torch.load(replay, map_location="cpu", weights_only=True))
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Removes one."""
        Path(path).unlink(missing_ok=True)


class RunCheckpoint(ModelCheckpoint):
    """``iteration=000100.ckpt`` every ``checkpoint_every`` iterations, ``last.ckpt`` far more often.

    Args:
        run: the run's folder.
        checkpoint_every: iterations between checkpoints that are kept.
        commit_every: iterations between writes of ``last.ckpt``; it is also written at the end and
            whenever the run is interrupted or fails.
        commit_minutes: the most minutes between them, if iterations do not take longer.
        saved: called after each write of ``last.ckpt``.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        checkpoint_every: int,
        commit_every: int,
        commit_minutes: float = inf,
        saved: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            dirpath=run.checkpoints,
            save_top_k=-1,
            every_n_epochs=checkpoint_every,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.run, self.checkpoint_every, self.commit_every = run, checkpoint_every, commit_every
        self.commit_minutes, self.saved = commit_minutes, saved
        self._written = time.monotonic()
        self._handed = self._due = False

    @property
    def state_key(self) -> str:
        """The same whatever the settings, which may change when a run goes on."""
        return type(self).__name__

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where checkpoints lie follows from the run's folder."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to take over."""

    def format_checkpoint_name(self, metrics: Any, *_: Any, **__: Any) -> str:
        """By the number of iterations that are done."""
        return str(self.run.checkpoint(int(metrics["epoch"]) + 1))

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Comes after all loggers: Lightning has no later hook in an iteration."""
        super().setup(trainer, pl_module, stage)
        trainer.loggers = [*trainer.loggers, _AfterLogging(lambda: self._write(trainer))]

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """An iteration is finished."""
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self.run.checkpoints / LAST)
        finished = trainer.current_epoch + 1
        due = finished % self.checkpoint_every == 0 or finished % self.commit_every == 0
        due |= time.monotonic() - self._written >= 60 * self.commit_minutes
        self._due = due or finished == trainer.max_epochs or trainer.should_stop
        self._handed = True

    def _write(self, trainer: lightning.Trainer) -> None:
        """The finished iteration's numbers are logged."""
        if self._handed:
            self._handed = False
            _writer(trainer).release()
            if self._due:
                self._flush(trainer)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """The run ends early: saves the last finished iteration; a disk that fails now must not hide why."""
        with contextlib.suppress(OSError, RankLostError):
            self._flush(trainer)

    def _flush(self, trainer: lightning.Trainer) -> None:
        _writer(trainer).flush()
        self._written = time.monotonic()
        if self.saved is not None:
            self.saved()


def _writer(trainer: lightning.Trainer) -> RunCheckpointIO:
    writer = trainer.strategy.checkpoint_io
    assert isinstance(writer, RunCheckpointIO)
    return writer


class _AfterLogging(Logger):
    """The last of the loggers: what is logged is with all others by now."""

    name = version = None

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def log_metrics(self, *_: Any, **__: Any) -> None:
        """Keeps nothing."""

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Keeps nothing."""

    def finalize(self, status: str) -> None:
        """Does not save: of an iteration that failed, not all is logged."""

    def save(self) -> None:
        """Lightning calls this after it has logged."""
        self._then()
