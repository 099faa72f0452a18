"""A run's, or a league's, numbers and pictures on Weights & Biases (docs/wandb.md)."""

import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers.logger import Logger

from pokerlab.store.checkpoints import read_checkpoint
from pokerlab.store.folder import LAST, RunFolder

log = logging.getLogger("pokerlab")

MODES = ("online", "offline")
FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")


class WandbRun(Logger):
    """Logs what stands in ``training_metrics.jsonl``, which must be logged before it; or a league's rounds.

    Args:
        run: the run's folder, or a league's; its job.json keeps the W&B id, so that it goes on under that.
        config: of the run, plain values.
        mode: ``online`` or ``offline``.
        project: W&B project.
        entity: W&B user or team; None: the default one.
        upload_checkpoint: whether the last and the best checkpoint, with their replays but without chunks
            on disk, become artifacts at the end.
        save_code: whether the package's source becomes one.
    """

    def __init__(
        self,
        run: RunFolder,
        config: Mapping[str, Any],
        *,
        mode: str,
        project: str,
        entity: str | None,
        upload_checkpoint: bool,
        save_code: bool = True,
    ) -> None:
        super().__init__()
        self.run, self._upload_checkpoint = run, upload_checkpoint
        self._waiting: dict[str, Any] = {}
        job = run.read_job()
        if "wandb_id" not in job:
            # an agent of a W&B sweep has given the run its id
            run.update_job(wandb_id=os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:12])
        self._staged = ExitStack()
        self._staged.enter_context(_stage_in(run))
        self._board = _open(run, mode, project=project, entity=entity, config=dict(config))
        self._step = "round" if run.holds_a_league else "iteration"
        self._board.define_metric(self._step)
        self._board.define_metric("*", step_metric=self._step)
        if save_code:
            self._board.log_code(str(Path(__file__).parents[1]))

    @property
    def name(self) -> str:
        """Of the run."""
        return self.run.path.name

    @property
    def version(self) -> str:
        """The W&B id."""
        return self._board.id

    @property
    def experiment(self) -> wandb.Run:
        """The W&B run."""
        return self._board

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: W&B has the config."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs an iteration: its line, and what else was logged. Of a league, what is told of a round."""
        if self._step not in metrics or self.run.holds_a_league:
            self._waiting |= metrics
            if self._step in metrics:
                self._log()
            return
        [line] = self.run.read_metrics(last=1)
        known = {key: value for key, value in line.items() if value is not None}
        seconds = line["seconds_selfplay"] + line["seconds_training"]
        self._waiting |= known | {"examples_per_second": line["examples"] / seconds}
        self._log()

    def _log(self) -> None:
        if self._waiting:
            self._board.log(self._waiting)
        self._waiting = {}

    def log_table(self, key: str, columns: list[str], data: list[list[Any]]) -> None:
        """Logs a table with the iteration."""
        self._waiting[key] = wandb.Table(columns=[*columns], data=data)

    def log_image(self, key: str, images: Sequence[str]) -> None:
        """Logs pictures, by their paths, with what comes next or at the end."""
        pictures = [wandb.Image(path) for path in images]
        self._waiting[key] = pictures if len(pictures) > 1 else pictures[0]

    def close(self, error: BaseException | None) -> None:
        """Ends the W&B run; it has failed, and says so by an alert, if training did."""
        with self._staged:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._log()
        if not self.run.holds_a_league:
            summary = self.run.read_summary()
            self._board.summary["best_exploitability"] = summary.get("best_exploitability")
            self._board.summary["state"] = summary.get("state")
        if self._upload_checkpoint:
            self._upload()
        if isinstance(error, Exception):
            reason = error.__cause__ or error
            text = f"{type(reason).__name__}: {reason}"
            self._board.alert(title=f"{self.name} failed", text=text, level="ERROR")
        self._board.finish(exit_code=int(isinstance(error, Exception)))

    def _upload(self) -> None:
        """Uploads the best checkpoint and, as the newest version, the last one."""
        last = self.run.checkpoints / LAST
        if not last.exists():
            return
        best = best_checkpoint(self.run)
        uploads = {last: ["latest", "best"]} if best == last else {best: ["best"], last: ["latest"]}
        for path, aliases in uploads.items():
            artifact = wandb.Artifact(f"checkpoint-{self._board.id}", type="checkpoint")
            artifact.add_file(str(path))
            artifact.add_file(str(path.with_name(read_checkpoint(path)["pokerlab"]["replay"])))
            self._board.log_artifact(artifact, aliases=aliases)


def best_checkpoint(run: RunFolder) -> Path:
    """The kept checkpoint of the lowest exploitability; if none was evaluated, the last.

    Args:
        run: has a ``last.ckpt``.
    """
    last = run.checkpoints / LAST
    paths = {read_checkpoint(last)["pokerlab"]["iteration"]: last} if last.exists() else {}
    paths = run.numbered_checkpoints() | paths
    found = {
        line["iteration"] + 1: line["exploitability"]
        for line in run.read_metrics()
        if line["iteration"] + 1 in paths and line["exploitability"] is not None
    }
    return paths[min(found, key=lambda iteration: (found[iteration], -iteration))] if found else last


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
    with _stage_in(run):
        board = _open(run, mode, project=project, entity=entity)
        board.summary.update(dict(_flat(results, "evaluation")))
        board.finish()


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict | list):
        yield name, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(inner, f"{name}/{key}")


@contextmanager
def _stage_in(run: RunFolder) -> Iterator[None]:
    """Keeps in the run's folder what waits to be uploaded: a home may be full, or not to be written."""
    folders = {name: str(run.path.resolve() / "wandb") for name in FOLDERS if name not in os.environ}
    os.environ.update(folders)
    try:
        yield
    finally:
        for name in folders:
            os.environ.pop(name, None)


def _open(run: RunFolder, mode: str, **options: Any) -> wandb.Run:
    """The W&B run of a run; offline if it cannot be reached."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    job = run.read_job()
    options |= {
        "name": run.path.name,
        "group": run.path.name if run.holds_a_league else job.get("experiment"),
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
