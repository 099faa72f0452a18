"""The parts of :mod:`benchmarks.gpu` about runs: an iteration as a timeline, and a run that is killed."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu_forests import Setting, launches, repeat
from benchmarks.gpu_solves import Row
from benchmarks.kills import Attempt
from benchmarks.selfplay import Clock
from pokerlab.algorithms.rebel import POLICIES, VALUES
from pokerlab.config.command import check_overrides
from pokerlab.games import dense_payoffs, showdown
from pokerlab.games.holdem import Holdem
from pokerlab.learning.module import Learner
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.selfplay.data import Batch, count_updates
from pokerlab.selfplay.examples import PolicyExamples, SomeExamples, ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.sampling import TrajectorySampler
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts

PRICE = 3.95
"""USD an hour of an H100 (conf/launcher/modal.yaml)."""
BELIEF_STATES = 60e6
PHASES: dict[str, list[tuple[Any, str]]] = {
    "varied states": [(Holdem, "vary")],
    "trees": [(Subgames, "tree")],
    "forests": [(Forest, "__init__"), (Solver, "start")],
    "payoff indices": [(showdown.CardPayoffs, "__init__"), (dense_payoffs.DensePayoffs, "__init__")],
    "run-out matrices": [(showdown, "set_shares"), (dense_payoffs, "run_out_wins")],
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


def timeline(
    setting: Setting, trajectories: int, search_iterations: int, updates: int
) -> Iterator[list[Row]]:
    """An iteration of phase 1 with its own networks, and what 60 million belief states would take.

    Args:
        setting: where.
        trajectories: games.
        search_iterations: of a subgame.
        updates: optimiser steps.

    Yields:
        The rows of self-play, then those of learning and of both together.
    """
    sizes = ["selfplay.value_capacity=20000", "selfplay.policy_capacity=20000", "solver.memory_gb=30"]
    config = setting.config_with(
        *([] if setting.small else sizes),
        f"selfplay.search_iterations={search_iterations}",
    )
    (whole,) = check_overrides("train", ["experiment=phase1"])
    parts, on_gpu = RunParts(config), setting.device.type == "cuda"
    module, data = parts.module.to(setting.device), parts.data
    examples, playing, rows = play(setting, parts, module, trajectories)
    values, policies = examples
    about: Row = {
        "phase": "self-play", "seconds": playing,
        "trajectories": trajectories, "search_iterations": search_iterations,
        "value_examples": len(values), "policy_examples": len(policies),
        "value_examples_per_s": len(values) / playing, "ms_a_trajectory": 1000 * playing / trajectories,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
    }  # fmt: skip
    yield [*rows[:-1], rows[-1] | about]
    for name, made in (("values", values), ("policies", policies)):
        data.replays[name].add(made)
    clock = DeviceClock(setting)
    with Utilisation(setting) as worked:
        learn(setting, module, data, updates, clock)
    learnt = sum(clock.seconds.values())
    more = whole.trajectories / trajectories
    steps = count_updates(whole.updates, whole.draws_per_example, len(values) * more, whole.batch_size)
    seconds = playing * more + learnt * steps / updates
    hours = BELIEF_STATES / (len(values) * more) * seconds / 3600
    yield [
        *shares("learning", clock, worked),
        {
            "phase": "together", "updates": updates, "ms_an_update": 1000 * learnt / updates,
            "hours_of_learning": hours * learnt * steps / updates / seconds,
            "hours_for_60M": hours, "usd_for_60M": hours * PRICE,
        },
    ]  # fmt: skip


def play(
    setting: Setting, parts: RunParts, module: Learner, trajectories: int
) -> tuple[tuple[ValueExamples, PolicyExamples], float, list[Row]]:
    """The examples of so many games, the seconds that they took, and where those went."""
    like = torch.empty(0, device=setting.device)
    actors: Any = parts.data.dataset.actors
    selfplay = actors.actor.selfplay
    selfplay.generate(module.networks, 2, random_stream(setting.seed, 0), like)  # compiles and loads
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    clock = DeviceClock(setting)
    with ExitStack() as stack, Utilisation(setting) as worked:
        for phase, functions in PHASES.items():
            for owner, name in functions:
                stack.enter_context(patch.object(owner, name, clock.time_calls(phase, getattr(owner, name))))
        generate = clock.time_calls("the rest", selfplay.generate)
        examples = generate(module.networks, trajectories, random_stream(setting.seed, 1), like)
    return examples, sum(clock.seconds.values()), shares("self-play", clock, worked)


def shares(name: str, clock: Clock, worked: Utilisation) -> list[Row]:
    """The phases, the longest first, then all together."""
    total = sum(clock.seconds.values())
    rows: list[Row] = [
        {"phase": f"{name}: {phase}", "seconds": seconds, "percent": 100 * seconds / total}
        for phase, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1])
    ]
    return [*rows, {"phase": name, "seconds": total, "gpu_percent": worked.percent}]


def take_step(setting: Setting, module: Learner, optimiser: torch.optim.Optimizer, batch: Batch) -> None:
    """An optimiser step as Lightning takes it with mixed precision."""
    with torch.autocast(setting.device.type, torch.bfloat16):
        loss = module.training_step(batch, 0)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
    optimiser.step()


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The examples of every stream there."""
    return {name: examples.to(device) for name, examples in batch.items()}


def learn(setting: Setting, module: Learner, data: Any, updates: int, clock: Clock) -> None:
    """Optimiser steps; the first two are not measured."""
    optimiser = module.configure_optimizers()["optimizer"]
    draws, size = random_stream(2), data.dataset.batch_size
    for number in range(-2, updates):
        if number == 0:
            clock.seconds.clear()
        replay = clock.time_calls("batches", lambda of: of.sample(size, draws))
        batch = {name: replay(data.replays[name]) for name in (VALUES, POLICIES)}
        batch = clock.time_calls("copies", to_device)(batch, setting.device)
        clock.time_calls("steps", take_step)(setting, module, optimiser, batch)


def learning(setting: Setting, kept: int) -> Iterator[Row]:
    """An optimiser step, with the replay in memory or on the device, and Adam as several kernels or one."""
    module = RunParts(setting.config).module.to(setting.device)
    size, game = setting.config.batch_size, setting.game
    examples = random_examples(game, kept)
    in_memory: Batch = dict(zip(("values", "policies"), examples, strict=True))
    on_device = to_device(in_memory, setting.device)
    separate, fused = (torch.optim.Adam(module.parameters(), lr=1e-4, fused=fused) for fused in (False, True))
    draws = random_stream(setting.seed)

    def pick(examples: SomeExamples, index: Tensor) -> SomeExamples:
        return type(examples)(**{name: column[index] for name, column in examples.columns().items()})

    def draw(batch: Batch, device: torch.device) -> Batch:
        index = torch.randint(kept, (size,), generator=draws).to(device)
        return {name: pick(examples, index) for name, examples in batch.items()}

    def copy() -> Batch:
        return to_device(draw(in_memory, torch.device("cpu")), setting.device)

    sources: dict[str, Callable[[], Batch]] = {
        "memory": copy,
        "device": lambda: draw(on_device, setting.device),
    }
    for replay, optimiser in (("memory", separate), ("device", separate), ("device", fused)):
        batch = sources[replay]()

        def update() -> None:
            take_step(setting, module, optimiser, sources[replay]())  # noqa: B023

        row: Row = {
            "replay": replay, "adam": "fused" if optimiser is fused else "separate",
            "batch_ms": setting.milliseconds(repeat(sources[replay])),
            "step_ms": setting.milliseconds(
                repeat(lambda: take_step(setting, module, optimiser, batch))  # noqa: B023
            ),
            "milliseconds": setting.milliseconds(repeat(update)),
        }  # fmt: skip
        if setting.device.type == "cuda":
            row["launches"], row["copies"], row["kernel_ms"] = launches(update)
        yield row


def random_examples(game: Holdem, number: int) -> tuple[ValueExamples, PolicyExamples]:
    """As many of each kind, of all layers, on 16 deals of a board."""
    hands, actions = game.num_hands, game.num_actions
    features, beliefs = torch.rand(number, game.num_features), torch.rand(number, 2, hands)
    layers, first = len(game.layers), game.num_betting_features
    kind, deal = torch.arange(number) % layers, torch.arange(number) // layers % 16
    boards = torch.rand(16, len(game.deck.cards)).argsort(1).argsort(1)[deal]  # places of cards in it
    features[:, 2] = kind % 2  # a deal comes next
    features[:, 7 : 7 + len(game.boards)] = torch.eye(len(game.boards))[kind // 2]
    dealt = (boards < torch.tensor(game.boards)[kind // 2, None]).float()
    features[:, first : first + dealt.shape[1]] = dealt
    beliefs /= beliefs.sum(-1, keepdim=True)
    possible, legal = (torch.ones(number, n, dtype=torch.bool) for n in (hands, actions))
    strategy = torch.full((number, actions, hands), 1 / actions)
    inputs = torch.rand(number, len(game.hand_inputs), hands)
    return (
        ValueExamples(features, beliefs, possible, beliefs, inputs),
        PolicyExamples(
            features, beliefs, possible, legal, strategy, torch.ones(number, dtype=torch.int32), inputs
        ),
    )


def resume(setting: Setting, seconds: float) -> Iterator[Row]:
    """A tiny run in a process of its own: killed after its first iteration, then resumed to its end."""
    overrides = [*setting.overrides, "profile=tiny", "workers=0", "iterations=4"]
    # no run-outs before the flop
    if setting.small:
        endgame = ["game=river", "selfplay.starts=null"]
        overrides += [*endgame, "evaluation.held_out.every=null", "evaluation.matches.every=null"]
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
        resumed = Attempt(["pokerlab.train", f"resume_from={run.path}"], run, Path(temporary) / "second")
        resumed.until(lambda: False, limit=max(until - began, 1))
        resumed.process.kill()
        row["exit_code"], row["seconds_resumed"] = resumed.end(), time.perf_counter() - began
        row["iterations"] = [line["iteration"] for line in run.read_metrics()]
        row["losses"] = [line["value_loss"] for line in run.read_metrics()]
        row["state"] = run.read_summary().get("state")
        row["right"] = bool(row["iterations"] == list(range(4)) and row["state"] == "finished")
        if not row["right"]:
            row["output"] = (attempt.output.read_text() + resumed.output.read_text())[-3000:]
        yield row
