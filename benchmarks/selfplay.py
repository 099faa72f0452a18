"""Measures self-play end to end: examples per second, and where the time goes.

    python -m benchmarks.selfplay [experiment=leduc] [workers=2]

Trains as ``pokerlab.train`` does, without evaluation and checkpoints, and leaves nothing behind. One
iteration warms up; medians are over the others. The phases, in seconds per iteration:

* search: CFR, without the leaves' values.
* network: the value network's answers to the leaf queries of search.
* sampling: the rest of playing: forests, sampled leaves, examples.
* replay: examples into the replay, and batches out of it.
* optimiser: the rest of the iteration: losses, gradients, Adam, Lightning.

The first three are generation. With ``workers`` above 0 it happens in other processes, and is one phase.
"""

import logging
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import lightning

from benchmarks.measure import Arguments, Report
from pokerlab.config.command import check_overrides
from pokerlab.config.machine import torch_device
from pokerlab.config.schema import RunConfig
from pokerlab.errors import UserError
from pokerlab.search.cfr import CFR
from pokerlab.search.leaves import LeafValues
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts

IN_THIS_PROCESS = ("search", "network", "sampling")
IN_WORKERS = ("workers",)
EXPERIMENT = "experiment=leduc"


class Clock:
    """Seconds by phase; a phase within another does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since = 0.0

    def enter(self, phase: str) -> None:
        """Begins a phase."""
        self._book()
        self._stack.append(phase)

    def leave(self) -> None:
        """Ends the phase that began last."""
        self._book()
        self._stack.pop()

    def _book(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def time_calls(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps ``function`` so that each call is a phase."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.enter(phase)
            try:
                return function(*arguments, **named)
            finally:
                self.leave()

        return call


def watch(parts: RunParts, clock: Clock) -> None:
    """Wraps the parts of a run so that ``clock`` sees its phases."""
    actors: Any = parts.data.dataset.actors
    for replay in parts.data.replays.values():
        for name in ("add", "draw", "gather", "unpack"):
            setattr(replay, name, clock.time_calls("replay", getattr(replay, name)))
    actors.generate = clock.time_calls("workers" if actors.workers else "sampling", actors.generate)
    if actors.workers:
        return
    solver: Any = parts.algorithm.solver  # type: ignore[attr-defined]  # ReBeL's
    network, start = parts.module.value_network, solver.start

    def at(*arguments: Any) -> LeafValues:
        return clock.time_calls("network", plain_at(*arguments))

    def start_timed(*arguments: Any) -> CFR:
        cfr = clock.time_calls("search", start)(*arguments)
        for name in ("step", "run"):
            setattr(cfr, name, clock.time_calls("search", getattr(cfr, name)))
        return cfr

    plain_at, network.at = network.at, clock.time_calls("network", at)
    solver.start = start_timed


class Stopwatch(lightning.Callback):
    """Reads the clock after every iteration but the first.

    Args:
        clock: the clock.
        data: counts the examples.
    """

    def __init__(self, clock: Clock, data: SelfPlayData) -> None:
        self.clock, self.data = clock, data
        self.iterations: list[dict[str, float]] = []
        """For each: seconds by phase, ``examples`` of both kinds, and ``value_examples``."""
        self._values_before = 0

    def on_train_epoch_start(self, *_: Any) -> None:
        """The iteration begins."""
        self.clock.seconds.clear()
        self._values_before = self.data.replays["values"].added
        self.clock.enter("optimiser")

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """The iteration is over."""
        self.clock.leave()
        if trainer.current_epoch:
            made = {
                "examples": self.data.dataset.new_examples,
                "value_examples": self.data.replays["values"].added - self._values_before,
            }
            self.iterations.append({**self.clock.seconds, **made})


def iterations_of(config: RunConfig, repeats: int) -> list[dict[str, float]]:
    """The seconds of each of ``repeats`` iterations, by phase, and the examples that it made."""
    with tempfile.TemporaryDirectory() as folder:
        parts, clock = RunParts(config, RunFolder(Path(folder))), Clock()
        watch(parts, clock)
        stopwatch = Stopwatch(clock, parts.data)
        fit(parts, config, stopwatch, repeats + 1, folder)
    return stopwatch.iterations


def fit(
    parts: RunParts, config: RunConfig, callback: lightning.Callback, iterations: int, folder: str
) -> None:
    """Trains so many iterations as a run does, but for its files."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in ("does not have many workers", "has `__len__` defined", "LeafSpec.* is deprecated"):
            warnings.filterwarnings("ignore", f".*{message}.*")
        trainer = lightning.Trainer(
            max_epochs=iterations,
            limit_train_batches=config.updates,
            accelerator=config.trainer.accelerator,
            devices=1,
            gradient_clip_val=config.trainer.gradient_clip,
            callbacks=[callback],
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(parts.module, datamodule=parts.data)


def summary_of(iterations: list[dict[str, float]], generation: Sequence[str]) -> dict[str, Any]:
    """Medians over iterations: seconds, shares and examples per second."""
    phases = (*generation, "replay", "optimiser")
    totals = [sum(iteration[phase] for phase in phases) for iteration in iterations]
    generating = [sum(iteration[phase] for phase in generation) for iteration in iterations]
    examples, value_examples = (
        [iteration[kind] for iteration in iterations] for kind in ("examples", "value_examples")
    )

    def rate(made: list[float], spent: list[float]) -> float:
        return median(map(float.__truediv__, map(float, made), spent))

    seconds = {phase: median(iteration[phase] for iteration in iterations) for phase in phases}
    return {
        "examples": median(examples),
        "value_examples": median(value_examples),
        "examples_per_second_generation": rate(examples, generating),
        "value_examples_per_second_generation": rate(value_examples, generating),
        "examples_per_second": rate(examples, totals),
        "seconds": seconds,
        "share": {phase: spent / sum(seconds.values()) for phase, spent in seconds.items()},
    }


def config_of(overrides: Sequence[str], seed: int, experiment: str = EXPERIMENT) -> RunConfig:
    """The run that the command line asks for; ``experiment`` where it names none.

    Raises:
        UserError: something in it is wrong.
    """
    if not any(override.startswith("experiment=") for override in overrides):
        overrides = [experiment, *overrides]
    (config,) = check_overrides("train", [f"seed={seed}", *overrides])
    torch_device(config.trainer.accelerator, "trainer.accelerator")
    return config


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.selfplay", __doc__, repeats=4)
    parser.add_argument("overrides", nargs="*", help="of the run's config, as for pokerlab.train")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_intermixed_args(given)
    try:
        config = config_of(options.overrides, options.seed)
        report = Report(
            parser,
            given,
            threads=config.trainer.threads,
            dtype="float32",
            repeats=options.repeats,
            seed=config.seed,
        )
        iterations = iterations_of(config, options.repeats)
    except UserError as error:
        parser.error(str(error))
    results = summary_of(iterations, IN_WORKERS if config.workers else IN_THIS_PROCESS)
    report.table(
        "an iteration's seconds",
        {"phase": "phase", "seconds": "seconds", "percent": "%"},
        [
            {"phase": phase, "seconds": seconds, "percent": 100 * results["share"][phase]}
            for phase, seconds in results["seconds"].items()
        ],
    )
    draws = f"updates that draw each new one {config.draws_per_example:g} times"
    updates = draws if config.updates is None else f"{config.updates:,} updates"
    report.console.print(
        f"{config.trajectories:,} trajectories and {updates} of {config.batch_size:,} "
        f"examples an iteration\n{results['examples']:,.0f} new examples: "
        f"{results['examples_per_second_generation']:,.0f} a second of generation, "
        f"{results['examples_per_second']:,.0f} a second end to end\n"
        f"{results['value_examples']:,.0f} of them are value examples, of both players each: "
        f"{results['value_examples_per_second_generation']:,.0f} a second of generation",
        highlight=False,
    )
    sizes = {key: getattr(config, key) for key in ("trajectories", "updates", "batch_size", "workers")}
    report.results |= {**sizes, **results}
    report.finish(options.json)


if __name__ == "__main__":
    main()
