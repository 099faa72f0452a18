"""The parts of :mod:`benchmarks.gpu` about runs: an iteration as a timeline, and a run that is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.gpu_forests import Setting
from benchmarks.gpu_solves import Row
from benchmarks.kills import Attempt
from benchmarks.selfplay import Clock
from pokerlab.config.command import check_overrides
from pokerlab.games import showdown
from pokerlab.games.holdem import Holdem
from pokerlab.learning.module import SelfPlayModule
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.sampling import TrajectorySampler
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.selfplay.workers import random_stream
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import Assembled

PRICE = 3.95
"""USD an hour of an H100 (conf/launcher/modal.yaml)."""
BELIEF_STATES = 60e6
PHASES: dict[str, list[tuple[Any, str]]] = {
    "varied states": [(Holdem, "varied")],
    "trees": [(Subgames, "tree")],
    "forests": [(Forest, "__init__"), (Solver, "start")],
    "payoff indices": [(showdown.CardPayoffs, "__init__")],
    "run-out matrices": [(showdown, "run_out_matrix")],
    "search": [(CFR, "run")],
    "sampling": [(TrajectorySampler, "__init__"), (TrajectorySampler, "leave")],
    "examples": [(SelfPlay, "value_examples"), (SelfPlay, "_policy_examples")],
}
"""What self-play spends its time on; a phase within another takes its time from that."""


class DeviceClock(Clock):
    """A clock that waits for the device where a phase begins and ends."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting

    def _book(self) -> None:
        self._setting.synchronise()
        super()._book()


class Utilisation:
    """How much of the time the driver saw the GPU work, sampled every 50 ms in a thread of its own."""

    def __init__(self, setting: Setting) -> None:
        self._ends, self._samples = threading.Event(), list[int]()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._watches = setting.device.type == "cuda"

    def __enter__(self) -> "Utilisation":
        if self._watches:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        if self._watches:
            self._thread.join()

    @property
    def percent(self) -> float | None:
        """None where nothing was sampled."""
        return sum(self._samples) / len(self._samples) if self._samples else None

    def _watch(self) -> None:
        try:
            while not self._ends.wait(0.05):
                self._samples.append(torch.cuda.utilization())
        except Exception:  # without pynvml, or a driver that does not say
            return


def timeline(setting: Setting, trajectories: int, search_iterations: int, updates: int) -> Iterator[Row]:
    """An iteration of phase 1 with its own networks, and what 60 million belief states would take."""
    sizes = () if setting.small else ("selfplay.value_capacity=20000", "selfplay.policy_capacity=20000")
    config = setting.config_with(*sizes, f"selfplay.search_iterations={search_iterations}")
    (whole,) = check_overrides("train", ["experiment=phase1"])
    parts = Assembled(config)
    module, data = parts.module.to(setting.device), parts.data
    like = torch.empty(0, device=setting.device)
    play = data.dataset.pool.selfplay
    play.generate(module.networks, 2, random_stream(setting.seed, 0), like)  # compiles and loads
    clock = DeviceClock(setting)
    with ExitStack() as stack, Utilisation(setting) as worked:
        for phase, functions in PHASES.items():
            for owner, name in functions:
                stack.enter_context(patch.object(owner, name, clock.timed(phase, getattr(owner, name))))
        generate = clock.timed("the rest", play.generate)
        values, policies = generate(module.networks, trajectories, random_stream(setting.seed, 1), like)
    generating = sum(clock.seconds.values())
    for phase, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        yield {"phase": f"self-play: {phase}", "seconds": seconds, "percent": 100 * seconds / generating}
    yield {"phase": "self-play", "seconds": generating, "gpu_percent": worked.percent}
    data.values.add(values)
    data.policies.add(policies)
    clock = DeviceClock(setting)
    with Utilisation(setting) as worked:
        learn(setting, module, data, updates, clock)
    learning = sum(clock.seconds.values())
    for phase, seconds in clock.seconds.items():
        yield {"phase": f"learning: {phase}", "seconds": seconds, "percent": 100 * seconds / learning}
    yield {"phase": "learning", "seconds": learning, "gpu_percent": worked.percent}
    more = whole.trajectories / trajectories
    seconds = generating * more + learning * whole.updates / updates
    hours = BELIEF_STATES / (len(values) * more) * seconds / 3600
    yield {
        "phase": "together", "trajectories": trajectories, "updates": updates,
        "search_iterations": search_iterations, "value_examples": len(values),
        "policy_examples": len(policies), "value_examples_per_s": len(values) / generating,
        "ms_a_trajectory": 1000 * generating / trajectories, "ms_an_update": 1000 * learning / updates,
        "hours_for_60M": hours, "usd_for_60M": hours * PRICE,
    }  # fmt: skip


def learn(setting: Setting, module: SelfPlayModule, data: Any, updates: int, clock: Clock) -> None:
    """Optimiser steps as Lightning takes them; the first two are not measured."""
    optimiser, draws, size = module.configure_optimizers(), random_stream(2), data.dataset.batch_size
    mixed = torch.autocast(setting.device.type, torch.bfloat16)

    def step(batch: Batch) -> None:
        with mixed:
            loss = module.training_step(batch, 0)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()

    for number in range(-2, updates):
        if number == 0:
            clock.seconds.clear()
        replay = clock.timed("batches", lambda of: of.sample(size, draws))
        batch = Batch(replay(data.values), replay(data.policies))
        clock.timed("steps", step)(clock.timed("copies", batch.to)(setting.device))


def resume(setting: Setting, seconds: float) -> Iterator[Row]:
    """A tiny run in a process of its own: killed after its first iteration, then resumed to its end."""
    overrides = [*setting.overrides, "profile=tiny", "workers=0", "iterations=4"]
    overrides += ["game=river"] if setting.small else []  # no run-outs before the flop
    with tempfile.TemporaryDirectory() as temporary:
        run, until = RunFolder(Path(temporary) / "run"), time.perf_counter() + seconds
        began = time.perf_counter()
        attempt = Attempt(
            ["pokerlab.train", *overrides, f"run_dir={run.path}"], run, Path(temporary) / "first"
        )
        attempt.until(lambda: (run.checkpoints / "last.ckpt").exists(), limit=seconds)
        killed = not attempt.over
        if killed:
            os.killpg(attempt.process.pid, signal.SIGKILL)
        attempt.process.wait()
        row: Row = {
            "killed": killed, "seconds_until_killed": time.perf_counter() - began,
            "iterations_when_killed": len(run.read_metrics()),
        }  # fmt: skip
        began = time.perf_counter()
        resumed = subprocess.run(
            [sys.executable, "-m", "pokerlab.train", f"resume_from={run.path}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=max(until - began, 1), check=False,
        )  # fmt: skip
        row["exit_code"], row["seconds_resumed"] = resumed.returncode, time.perf_counter() - began
        row["iterations"] = [line["iteration"] for line in run.read_metrics()]
        row["losses"] = [line["value_loss"] for line in run.read_metrics()]
        row["state"] = run.read_summary().get("state")
        row["right"] = bool(row["iterations"] == list(range(4)) and row["state"] == "finished")
        if not row["right"]:
            row["output"] = (attempt.output.read_text() + resumed.stdout + resumed.stderr)[-3000:]
        yield row
