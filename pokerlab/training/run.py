"""Training a run that has a folder, to its last iteration."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import lightning
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from pokerlab.agents.registry import POLICY_NET
from pokerlab.algorithms.base import units_of
from pokerlab.callbacks.checkpoint import RunCheckpoint, RunCheckpointIO
from pokerlab.callbacks.cost import CostGuard
from pokerlab.callbacks.guarded_logger import GuardedLogger
from pokerlab.callbacks.iteration_progress import IterationProgress
from pokerlab.callbacks.metrics import IterationNumbers, MetricsFile, RunState
from pokerlab.callbacks.progress import ProgressBar
from pokerlab.config.machine import count_ranks
from pokerlab.config.schema import LocalLauncher
from pokerlab.console import console as output
from pokerlab.errors import DiskError, UserError, out_of_memory
from pokerlab.evaluation.plots import plot_run
from pokerlab.interrupts import listening
from pokerlab.learning.module import NonFiniteLossError
from pokerlab.selfplay.actors.processes import WorkerDiedError
from pokerlab.selfplay.ranks import RankLostError
from pokerlab.store.disk import LogFile, StandardOutput, writing
from pokerlab.store.folder import RunFolder
from pokerlab.store.process import process_record
from pokerlab.store.records import GOING_ON
from pokerlab.training.assemble import RunParts
from pokerlab.training.cost import idle_gpu, price_per_hour
from pokerlab.training.loggers import callbacks, open_loggers
from pokerlab.training.ranks import Ranks, together
from pokerlab.training.start import Start
from pokerlab.training.trainer import fit, make_trainer
from pokerlab.training.world import AgreeToStop

log = logging.getLogger("pokerlab")

STOPPED = 130
"""Exit code of a run that a signal stopped."""


class RunFailedError(Exception):
    """A run ended early, for a reason that its log states."""


def train(
    began: Start,
    saved: Callable[[], None] | None = None,
    since: float | None = None,
    *,
    quiet: bool = False,
) -> float | None:
    """Runs until the last iteration, or a limit of time or cost.

    Args:
        began: where from.
        saved: called after every write of ``last.ckpt``.
        since: from when on what runs it has to be paid for, seconds since 1970; None: from now on.
        quiet: whether only its files are to tell of it: nothing is printed, no plots are drawn.

    Returns:
        The last exploitability with search, NashConv/2 in chips.

    Raises:
        RunFailedError: a loss, a worker or a rank failed; the log says how.
        DiskError: the run's files cannot be written.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP came; ``last.ckpt`` holds the last finished iteration.
    """
    try:
        with writing(began.run):
            return _train(began, saved, time.time() if since is None else since, quiet=quiet)
    except DiskError as error:
        log.error("failed: %s", error, extra={"shown": False})
        with contextlib.suppress(OSError):
            if began.run.read_job().get("state") != "finished":  # else only plots are missing
                began.run.update_job(state="failed")
        raise
    except RankLostError as error:
        log.error("failed: %s", error)
        with contextlib.suppress(OSError):
            began.run.update_job(state="failed", reason=str(error))
        raise RunFailedError from error
    except BaseException as error:
        record_end(began.run, "stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    finally:
        began.lock.release()
        if quiet:
            _close_log()


def record_end(run: RunFolder, state: str) -> None:
    """Says in job.json how a run ended before it trained; later, what watches it has said so."""
    with contextlib.suppress(OSError, UserError):
        if run.read_job().get("state") in GOING_ON:
            run.update_job(state=state)


def _train(began: Start, saved: Callable[[], None] | None, since: float, *, quiet: bool) -> float | None:
    run, config = began.run, began.config
    console = Console(quiet=True) if quiet else output()
    _log_to(run, console)
    parts = began.parts
    parts.run = run
    cost = _cost_guard(began, since)
    metrics = MetricsFile(run, checkpoint_every=config.checkpoint_every, cost=cost, total=config.iterations)
    run.remove_leftovers()
    log.info("%s: %s, %d iterations, seed %d", run.path, parts.game.name, config.iterations, config.seed)
    for note in [*began.notes, *idle_gpu(config)]:
        log.warning(note)
    if began.checkpoint is not None:
        log.info("continues from %s", began.checkpoint)
    if began.iteration == config.iterations:
        log.info("all %d iterations were done before", config.iterations)
        run.update_job(state="finished", reason=None)
        if run.read_summary().get("state") != "finished":  # a fork, or killed before it could say so
            metrics.write_summary("finished")
        run.remove_replays(f"replay-{began.iteration:06d}.pt")
        return _report(run, parts, cost, console, [])
    with open_loggers(run, config) as loggers:
        checkpoints = RunCheckpoint(
            run,
            checkpoint_every=config.checkpoint_every,
            commit_every=config.commit_every,
            commit_minutes=config.commit_minutes,
            saved=saved,
        )
        parts.matches.run = run
        measuring = [IterationNumbers(), parts.evaluation, parts.value_errors, parts.matches, cost]
        bar = ProgressBar(console)
        within = IterationProgress(run, bar.show)
        watching = [within, *measuring, bar, *callbacks(config), RunState(metrics), checkpoints]
        run.update_job(state="running", reason=None, **process_record(os.getpid()))
        if config.trainer.compile:
            parts.module.compile_losses()
        with _with_others(began) as ranks:
            if ranks is None:
                trainer = make_trainer(config, run, parts, watching, [metrics, *loggers])
            else:
                watching.insert(-1, AgreeToStop())
                trainer = make_trainer(
                    config, run, parts, watching, [metrics, *loggers], ranks.world, ranks.replays
                )
            _fit(trainer, parts, began, cost, ranks)
        if cost.reason is not None:
            log.info("stopped at launcher.%s; a larger one and resume_from=%s go on", cost.reason, run.path)
        return _report(run, parts, cost, console, loggers)


@contextlib.contextmanager
def _with_others(began: Start) -> Iterator[Ranks | None]:
    """The other ranks; None: the run has none."""
    trainer, ranks = began.config.trainer, count_ranks(began.config)
    if ranks == 1 and trainer.strategy == "auto":
        yield None
        return
    log.info("%d ranks", ranks)
    with together(began.run, began.checkpoint, ranks, on_gpus=trainer.accelerator == "cuda") as found:
        yield found


def _cost_guard(began: Start, since: float) -> CostGuard:
    launcher, summary = began.config.launcher, began.run.read_summary()
    paid = launcher.name in ("local", began.run.read_job().get("launcher"))  # Modal's prices are not ours
    return CostGuard(
        price_per_hour=price_per_hour(launcher) if paid else None,
        max_cost_usd=launcher.max_cost_usd,
        max_hours=launcher.max_hours,
        time_limit=None if isinstance(launcher, LocalLauncher) or not paid else launcher.time_limit,
        seconds_before=summary.get("seconds") or 0.0,
        cost_before=summary.get("cost_usd") or 0.0,
        since=since,
    )


def _fit(
    trainer: lightning.Trainer, parts: RunParts, began: Start, cost: CostGuard, ranks: Ranks | None
) -> None:
    checkpoints = trainer.strategy.checkpoint_io
    assert isinstance(checkpoints, RunCheckpointIO)

    def is_to_end() -> bool:
        if ranks is None:
            return True
        ranks.raise_if_lost()
        return ranks.lost is None

    try:
        with listening(is_to_end), contextlib.nullcontext() if ranks is None else ranks.fitting():
            fit(trainer, parts, began.checkpoint)
    except SystemExit:
        if not trainer.interrupted:
            raise
        checkpoints.flush()  # is the last finished iteration saved?
        if cost.reason is not None:
            return
        log.info("stopped; continue with resume_from=%s", began.run.path)
        raise KeyboardInterrupt from None
    except KeyboardInterrupt:  # came when training was over
        if cost.reason is None:
            raise
    except (OSError, RankLostError):
        raise  # it is told where the command ends
    except Exception as error:
        reason = out_of_memory(error)
        log.error("failed: %s", reason or f"{type(error).__name__}: {error}")
        if reason or isinstance(error, (NonFiniteLossError, WorkerDiedError)):
            raise RunFailedError from error
        raise


def _log_to(run: RunFolder, console: Console) -> None:
    """Sends the log to the console and to training.log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    _close_log()
    log.addHandler(LogFile(run.log))
    log.setLevel(logging.INFO)
    log.propagate = False
    if console.quiet:
        return
    if console.is_terminal:
        shown: logging.Handler = RichHandler(
            console=console, show_path=False, show_level=False, log_time_format="%H:%M:%S"
        )
    else:
        shown = StandardOutput()
    shown.addFilter(lambda record: getattr(record, "shown", True))
    log.addHandler(shown)


def _close_log() -> None:
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


def _report(
    run: RunFolder, parts: RunParts, cost: CostGuard, console: Console, loggers: list[GuardedLogger]
) -> float | None:
    """Draws the plots and prints the last exploitability, and the cost, unless nobody looks."""
    metrics = run.read_metrics()
    if not metrics:
        return None
    units = units_of(parts.algorithm)
    plots = [] if console.quiet else plot_run(metrics, parts.game.name, units, run.plots)
    for logger, path in product(loggers, plots):
        if hasattr(logger, "log_image"):  # and has not failed
            logger.log_image(f"plots/{path.stem}", [str(path)])
    if cost.cost is not None:
        log.info("cost: %.2f USD in %.2f hours", cost.cost, cost.seconds / 3600)
    evaluated = [line for line in metrics if line["exploitability"] is not None]
    if evaluated:
        console.print(_strength(parts.game.name, next(iter(parts.algorithm.agents)), evaluated[-1]))
    console.print("plots:", *(str(path) for path in plots), highlight=False, soft_wrap=True)
    console.print(f"run:   {run.path}", highlight=False, soft_wrap=True)
    return evaluated[-1]["exploitability"] if evaluated else None


def _strength(game: str, way: str, last: dict[str, Any]) -> Table:
    """The last exploitability that was measured, of the first way to play and of the policy network."""
    table = Table(
        "policy",
        "exploitability (NashConv/2)",
        "NashConv",
        title=f"{game}, iteration {last['iteration'] + 1}, chips",
    )
    rows = {"policy network alone": last["exploitability_policy_net"]}
    if last["search_iterations"] is not None:
        way = f"search, {last['search_iterations']:,} iterations"
    if way != POLICY_NET:
        rows = {way: last["exploitability"]} | rows
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, f"{value:.5f}", f"{2 * value:.5f}")
    return table
