"""A run's numbers, strategies and pictures on Weights & Biases (docs/wandb.md)."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import lightning
import wandb

from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.callbacks.metrics import Metrics
from pokerlab.store.checkpoints import read_checkpoint
from pokerlab.store.folder import LAST, RunFolder

log = logging.getLogger("pokerlab")

MOST_ROWS = 500
"""Of a table of strategies."""


class WandbRun(lightning.Callback):
    """Logs what :class:`Metrics` wrote, which must come before it; a context in which the W&B run is open.

    Args:
        run: the run's folder; its job.json keeps the W&B id, so that a resumed run goes on under it.
        config: plain values.
        metrics: has the newest line.
        evaluation: has the newest strategies.
        mode: ``online`` or ``offline``.
        project: W&B project.
        entity: W&B user or team; None: the default one.
        upload_checkpoint: whether ``last.ckpt`` and its replay, without chunks on disk, become an artifact at
            the end.
    """

    def __init__(
        self,
        run: RunFolder,
        config: dict[str, Any],
        metrics: Metrics,
        evaluation: ExploitabilityEvery,
        *,
        mode: str,
        project: str,
        entity: str | None,
        upload_checkpoint: bool,
    ) -> None:
        self.run, self.metrics, self.evaluation = run, metrics, evaluation
        self._upload_checkpoint = upload_checkpoint
        job = run.read_job()
        if "wandb_id" not in job:
            job["wandb_id"] = uuid.uuid4().hex[:12]
            run.update_job(wandb_id=job["wandb_id"])
        self._board = _open(run, mode, project=project, entity=entity, config=config)
        self._board.define_metric("iteration")
        self._board.define_metric("*", step_metric="iteration")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Logs the iteration's line, and strategies if they were evaluated."""
        line = self.metrics.newest
        seconds = line["seconds_selfplay"] + line["seconds_training"]
        logged = {key: value for key, value in line.items() if value is not None}
        logged["examples_per_second"] = line["examples"] / seconds
        if line["exploitability"] is not None:
            logged["strategies"] = self._strategies()
        self._board.log(logged)

    def _strategies(self) -> wandb.Table:
        """What search and policy network play, information state by information state from the root."""
        whole, policies = self.evaluation.whole, self.evaluation.policies
        each = {name: dict(islice(whole.information_states(s), MOST_ROWS)) for name, s in policies.items()}
        rows = [
            [state, action, *(each[name][state][action] for name in each)]
            for state, chances in next(iter(each.values())).items()
            for action in chances
        ]
        return wandb.Table(columns=["information state", "action", *each], data=rows[:MOST_ROWS])

    def log_pictures(self, paths: Sequence[Path]) -> None:
        """Logs the run's plots."""
        self._board.log({f"plots/{path.stem}": wandb.Image(str(path)) for path in paths})

    def __enter__(self) -> "WandbRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the W&B run; it has failed if training did."""
        summary = self.run.read_summary()
        self._board.summary["best_exploitability"] = summary.get("best_exploitability")
        self._board.summary["state"] = summary.get("state")
        last = self.run.checkpoints / LAST
        if self._upload_checkpoint and last.exists():
            artifact = wandb.Artifact(f"checkpoint-{self._board.id}", type="checkpoint")
            artifact.add_file(str(last))
            artifact.add_file(str(last.with_name(read_checkpoint(last)["pokerlab"]["replay"])))
            self._board.log_artifact(artifact)
        self._board.finish(exit_code=int(kind is not None and issubclass(kind, Exception)))


def summarise(
    run: RunFolder, results: dict[str, Any], *, mode: str, project: str, entity: str | None
) -> None:
    """Puts results into the summary of a run that was logged, under ``evaluation/``.

    Args:
        run: the run's folder; its job.json has the W&B id.
        results: nested dictionaries and lists: their keys and numbers are joined by ``/``.
        mode: see :class:`WandbRun`; so are ``project`` and ``entity``.
        project: as above.
        entity: as above.
    """
    board = _open(run, mode, project=project, entity=entity)
    board.summary.update(dict(_flat(results, "evaluation")))
    board.finish()


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict | list):
        yield name, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(inner, f"{name}/{key}")


def _open(run: RunFolder, mode: str, **options: Any) -> wandb.Run:
    """The W&B run of a run; offline if it cannot be reached."""
    job = run.read_job()
    options |= {
        "name": run.path.name,
        "group": job.get("experiment"),
        "tags": [job["sweep"]] if job.get("sweep") else None,
        "id": job["wandb_id"],
        "resume": "allow",
        "dir": run.path.resolve(),
        "settings": wandb.Settings(silent=True, console="off", init_timeout=60),
    }
    try:
        return wandb.init(mode=mode, **options)  # type: ignore[arg-type]
    except wandb.Error as error:
        log.warning("W&B cannot be reached (%s): logs offline", " ".join(str(error).split()))
        return wandb.init(mode="offline", **options)
