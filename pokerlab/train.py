"""Trains an agent by self-play and search.

    python -m pokerlab.train experiment=leduc

One iteration plays ``trajectories`` games with the newest networks, then takes ``updates`` optimiser
steps. Everything the run leaves stands in its folder (docs/run-folder.md).
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from pokerlab.callbacks.checkpoint import RunCheckpoint, RunCheckpointIO
from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.callbacks.metrics import Metrics
from pokerlab.callbacks.progress import ProgressBar
from pokerlab.errors import UserError
from pokerlab.evaluation.plots import plot_run
from pokerlab.evaluation.policies import WholeGame
from pokerlab.learning.module import NonFiniteLossError, SelfPlayModule
from pokerlab.runs.build import build, check_integer, check_positive, torch_device
from pokerlab.runs.command import run_command
from pokerlab.runs.folder import RunFolder, now
from pokerlab.runs.start import Start, start
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.selfplay.workers import WorkerDiedError, WorkerPool

log = logging.getLogger("pokerlab")
STOPPED = 130


def main(config: DictConfig) -> float | None:
    """The command: checks the config, finds or makes the folder, trains.

    Returns:
        The last exploitability with search, for sweeps.
    """
    assemble(config)  # a mistake shows here, before anything is written
    torch_device(config.trainer.accelerator)
    hydra_config = HydraConfig.get()
    began = start(config, hydra_config.runtime.choices.get("experiment"), hydra_config.overrides.task)
    began.run.update_job(launcher="foreground", submitted=now(), call_id=None)
    try:
        return train(began)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except RunFailedError:
        sys.exit(1)


class RunFailedError(Exception):
    """A run ended early, for a reason that its log states."""


class Assembled:
    """The objects of a run."""

    def __init__(self, config: DictConfig) -> None:
        check_positive(config, "iterations", "trajectories", "updates", "batch_size")
        check_positive(config, "checkpoint_every", "commit_every", "trainer.threads")
        check_positive(config, "selfplay.value_capacity", "selfplay.policy_capacity")
        check_integer(config, "workers", least=0)
        check_integer(config, "seed", least=0)
        torch.set_num_threads(config.trainer.threads)
        torch.manual_seed(config.seed)  # the networks' first weights; nothing later draws from it

        self.game = build(config.game)
        self.solver = build(config.solver)
        play = config.selfplay
        learning = OmegaConf.to_container(config.model, resolve=True)
        assert isinstance(learning, dict)
        del learning["value_network"], learning["policy_network"]
        try:
            selfplay = SelfPlay(
                self.game,
                self.solver,
                search_iterations=play.search_iterations,
                exploration=play.exploration,
            )
            self.module = SelfPlayModule(
                build(config.model.value_network, game=self.game),
                build(config.model.policy_network, game=self.game),
                iterations=config.iterations,
                **learning,  # type: ignore[arg-type]
            )
            self.data = SelfPlayData(
                self.game,
                WorkerPool(selfplay, config.workers),
                trajectories=config.trajectories,
                updates=config.updates,
                batch_size=config.batch_size,
                value_capacity=play.value_capacity,
                policy_capacity=play.policy_capacity,
                newest=play.newest,
                seed=config.seed,
            )
            self.evaluation = ExploitabilityEvery(
                WholeGame(self.game), self.solver, seed=config.seed, **config.evaluation
            )
        except (ValueError, TypeError) as error:
            raise UserError(str(error)) from error


def assemble(config: DictConfig) -> Assembled:
    """Builds a run's objects from its config.

    Raises:
        UserError: a value is wrong.
    """
    return Assembled(config)


def train(began: Start, saved: Callable[[], None] | None = None) -> float | None:
    """Runs until the last iteration.

    Args:
        began: where from.
        saved: called after every write of ``last.ckpt``.

    Returns:
        The last exploitability with search, NashConv/2 in chips.

    Raises:
        RunFailedError: a loss, a worker or the disk failed; the log says how.
        KeyboardInterrupt: SIGINT or SIGTERM came; ``last.ckpt`` holds the last finished iteration.
    """
    run, config = began.run, began.config
    console = Console()
    _log_to(run, console)
    parts = assemble(config)
    trainer = lightning.Trainer(
        max_epochs=config.iterations,
        limit_train_batches=config.updates,
        accelerator=config.trainer.accelerator,
        devices=1,
        gradient_clip_val=config.trainer.gradient_clip,
        callbacks=[
            parts.evaluation,
            Metrics(run, checkpoint_every=config.checkpoint_every),
            ProgressBar(console),
            RunCheckpoint(
                run,
                checkpoint_every=config.checkpoint_every,
                commit_every=config.commit_every,
                saved=saved,
            ),
        ],
        plugins=[RunCheckpointIO(run, parts.data)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    run.update_job(state="running", pid=os.getpid(), host=os.uname().nodename)
    log.info("%s: %s, %d iterations, seed %d", run.path, parts.game.name, config.iterations, config.seed)
    if began.checkpoint is not None:
        log.info("continues from %s", began.checkpoint)
    if began.iteration < config.iterations:
        _fit(trainer, parts, began)
    else:
        log.info("all %d iterations were done before", config.iterations)
        run.update_job(state="finished")
    return _report(run, parts.game.name, console)


def _fit(trainer: lightning.Trainer, parts: Assembled, began: Start) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with warnings.catch_warnings():
            # one process loads batches on purpose: the data set itself is what works in parallel
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*`IterableDataset` has `__len__` defined.*")
            warnings.filterwarnings("ignore", ".*exists and is not empty.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")  # Lightning's own use
            trainer.fit(parts.module, datamodule=parts.data, ckpt_path=began.checkpoint, weights_only=True)
    except SystemExit:
        if not trainer.interrupted:
            raise
        log.info("stopped; continue with resume_from=%s", began.run.path)
        raise KeyboardInterrupt from None
    except Exception as error:
        log.error("failed: %s: %s", type(error).__name__, error)
        if isinstance(error, (NonFiniteLossError, WorkerDiedError, OSError)):
            raise RunFailedError from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_to(run: RunFolder, console: Console) -> None:
    """Sends the log to the console and to training.log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    file = logging.FileHandler(run.log)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(file)
    log.addHandler(
        RichHandler(console=console, show_path=False, show_level=False, log_time_format="%H:%M:%S")
    )
    log.setLevel(logging.INFO)
    log.propagate = False


def _report(run: RunFolder, game: str, console: Console) -> float | None:
    """Draws the plots and prints the last exploitability."""
    metrics = run.read_metrics()
    drawn = plot_run(metrics, game, run.plots)
    last = metrics[-1]
    table = Table("policy", "exploitability (NashConv/2)", "NashConv", title=f"{game}, chips")
    rows = (
        (f"search, {last['search_iterations']:,} iterations", last["exploitability"]),
        ("policy network alone", last["exploitability_policy_net"]),
    )
    for name, value in rows:
        table.add_row(name, f"{value:.5f}", f"{2 * value:.5f}")
    console.print(table)
    console.print("plots:", *(str(path) for path in drawn), highlight=False, soft_wrap=True)
    console.print(f"run:   {run.path}", highlight=False, soft_wrap=True)
    return last["exploitability"]


if __name__ == "__main__":
    run_command("train", main)
