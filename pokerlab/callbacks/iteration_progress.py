"""How far an iteration is that takes longer than a few seconds."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import lightning

from pokerlab.selfplay.data import SelfPlayDataset
from pokerlab.store.files import now, write_json
from pokerlab.store.folder import RunFolder

log = logging.getLogger("pokerlab")


class IterationProgress(lightning.Callback):
    """Says how much of an iteration is done: below the bar, in the log, and in the run's ``progress.json``.

    It looks from a thread of its own every few seconds; what takes less has nothing to say.

    Args:
        run: the run's folder.
        show: puts a line below the bar.
        seconds_between_looks: the first comes so long after the iteration's start.
        seconds_between_lines: of the log.
    """

    def __init__(
        self,
        run: RunFolder,
        show: Callable[[str], None],
        *,
        seconds_between_looks: float = 10.0,
        seconds_between_lines: float = 30.0,
    ) -> None:
        self.run, self.show = run, show
        self.seconds_between_looks, self.seconds_between_lines = seconds_between_looks, seconds_between_lines
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._evaluates = False

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begins to look."""
        self.close()
        self._over, self._evaluates = threading.Event(), False
        data: SelfPlayDataset = trainer.datamodule.dataset  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._look,
            args=(data, trainer.current_epoch, trainer.max_epochs or 0, self._over),
            daemon=True,
        )
        self._thread.start()

    def on_train_epoch_end(self, *_: Any) -> None:
        """What comes now is evaluation."""
        self._evaluates = True

    def close(self) -> None:
        """Looks no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()  # so that nothing is written any more
            self._thread = None

    def on_exception(self, *_: Any) -> None:
        """The run ends early."""
        self.close()

    def on_train_end(self, *_: Any) -> None:
        """The run ends."""
        self.close()

    def _look(self, data: SelfPlayDataset, iteration: int, iterations: int, over: threading.Event) -> None:
        began = said = time.monotonic()
        while not over.wait(self.seconds_between_looks):
            here = time.monotonic()
            found = self._progress(data, here - began, iterations - iteration)
            line = f"iteration {iteration + 1}: {found['text']}"
            self.show(line)
            if here - said >= self.seconds_between_lines:
                said = here
                log.info(line)
            with contextlib.suppress(OSError):
                write_json(self.run.progress, {"iteration": iteration, **found, "timestamp": now()})

    def _progress(self, data: SelfPlayDataset, seconds: float, iterations: int) -> dict[str, Any]:
        """What is done, with ``iterations`` to go after so many seconds of the present one."""
        if self._evaluates:
            return {"phase": "evaluation", "share": None, "rate": None, "text": "evaluation"}
        if data.batches:
            share, rate = data.batches / (data.updates or 1), data.batches / max(seconds - data.seconds, 1e-3)
            text = f"learning, {share:.0%} of {data.updates:,} batches, {rate:,.1f}/s"
            return {"phase": "learning", "share": share, "rate": rate, "text": text}
        rate = data.played * data.trajectories / seconds
        text = f"self-play, {data.played:.0%} of {data.trajectories:,} trajectories, {rate:,.2f}/s"
        if rate and (hours := iterations * data.trajectories / rate / 3600) >= 1:
            text += f"; self-play of all {iterations:,} iterations to go takes about {hours:,.0f} hours"
        return {"phase": "self-play", "share": data.played, "rate": rate, "text": text}
