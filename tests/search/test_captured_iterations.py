"""Iterations as a CUDA graph: a replay is right at every number, however runs are cut."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from belief_states import DenseStreet, LinearLeaves, random_beliefs
from solvers import Start, with_loops, with_tensors
from torch import Tensor

from benchmarks.pretended_cuda import pretended_graphs
from pokerlab.games.base import Game
from pokerlab.games.leduc import Leduc
from pokerlab.loops import warn_once
from pokerlab.search.backends import device
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import RULES
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.tree import build_tree

GAMES: dict[str, tuple[Game, bool]] = {
    "leduc": (Leduc(), False),
    "leduc before the deal": (Leduc(leaves="before_deal"), True),
    "street": (DenseStreet(9), False),
}
EACH_GAME = pytest.mark.parametrize("name", GAMES)
EACH_RULE = pytest.mark.parametrize("rule", RULES)
IN_TURN_OR_AT_ONCE = pytest.mark.parametrize("alternating", [True, False])
SAMPLED = np.array([1, 2, 3, 9, 20])


@pytest.fixture(autouse=True)
def _graphs() -> Iterator[None]:
    with pretended_graphs():
        yield


def capturing(monkeypatch: pytest.MonkeyPatch, cfr: CFR) -> CFR:
    """Has a solver on the CPU capture and replay its iterations; returns it."""
    monkeypatch.setattr(cfr._backend, "_captures", True)
    return cfr


def start(search: Start, name: str, rule: str, **options: Any) -> CFR:
    game, depth_limited = GAMES[name]
    tree = build_tree(game, game.root(), depth_limited=depth_limited)
    forest = Forest(game, [tree], np.array([0, 0]), dtype=torch.float64)
    beliefs = [random_beliefs(game, game.root(), seed) for seed in (1, 2)]
    belief = torch.as_tensor(np.stack(beliefs, 1))
    return search(forest, belief, RULES[rule], leaf_evaluator=LinearLeaves(game), **options)


def gadget(resolver: int, name: str) -> Gadget:
    hands = GAMES[name][0].num_hands
    paid = np.random.default_rng(5).uniform(-3, 1, (2, hands))
    return Gadget(resolver, torch.as_tensor(paid))


def found(cfr: CFR, runs: tuple[int, ...]) -> list[Tensor]:
    """What is asked of a solver after ``runs``; of strategies, with what probability hands are played on."""
    if leaves := len(cfr.forest.leaves):
        cfr.watch_leaves()
    samples = SampledStrategies(cfr.forest, np.zeros_like(SAMPLED), SAMPLED)
    for iterations in runs:
        cfr.run(iterations, samples)
    reach = [
        cfr.forest.reach(cfr.average_strategy()),
        samples.copies.reach(samples.strategy),
    ]
    results = [*reach, cfr.root_values(), cfr.root_beliefs()]
    return [*results, cfr.leaf_infostate_values()] if leaves else results


@pytest.mark.parametrize(
    "options",
    [{}, {"average_leaves": True}, {"gadget": 0}, {"gadget": 1, "average_leaves": True}],
    ids=["plain", "average leaves", "gadget", "gadget, average leaves"],
)
@EACH_RULE
@IN_TURN_OR_AT_ONCE
@EACH_GAME
def test_a_replay_is_right_at_every_iteration(
    name: str, alternating: bool, rule: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, discounts, beliefs and averages are those of the loops; the table grows on the way."""
    monkeypatch.setattr(device, "FIRST_TABLE", 4)
    options = options | {"alternating": alternating}
    if "gadget" in options:
        options["gadget"] = gadget(options["gadget"], name)
    replayed = capturing(monkeypatch, start(with_tensors, name, rule, **options))
    again, plain, loops = (
        found(cfr, runs)
        for cfr, runs in (
            (replayed, (1, 12, 7)),
            (start(with_tensors, name, rule, **options), (20,)),
            (start(with_loops, name, rule, **options), (20,)),
        )
    )
    torch.testing.assert_close(again, plain, rtol=0, atol=1e-12)
    if "gadget" not in options or name != "street":  # there hands tie, and rounding decides
        torch.testing.assert_close(plain, loops, rtol=0, atol=1e-9)
    graph: Any = replayed._backend._graph  # type: ignore[attr-defined]
    assert graph.replays == 18, "iterations 2 to 20, the first of them as it is captured"


def test_what_cannot_be_captured_is_launched_step_by_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors")

    warn_once.cache_clear()
    expected = found(start(with_tensors, "leduc", "dcfr", alternating=True), (20,))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            cfr = capturing(monkeypatch, start(with_tensors, "leduc", "dcfr", alternating=True))
            monkeypatch.setattr(torch.cuda, "graph", refuse)
            for ours, theirs in zip(found(cfr, (1, 12, 7)), expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    (record,) = caplog.records
    assert record.message == (
        "iterations cannot be a CUDA graph and take longer: operation not permitted when stream is capturing"
    )


class ReachLeaves:
    """Is told whose reach changed; what fails as it is captured was not asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[slice, slice]] = []

    def hold(self, beliefs: Tensor) -> None: ...

    def of_reach(self, reach: Tensor, players: slice, changed: slice, pots: Tensor) -> Tensor:
        self.asked.append((players, changed))
        if len(self.asked) == 3:
            raise RuntimeError("out of memory")
        return torch.zeros_like(reach[players])


def test_leaves_are_told_who_updated_since_they_were_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, both = slice(0, 1), slice(1, 2), slice(0, 2)
    leaves = ReachLeaves()
    cfr = capturing(monkeypatch, start(with_tensors, "leduc before the deal", "dcfr", alternating=True))
    monkeypatch.setattr(cfr, "_evaluate_leaves", leaves)
    cfr.run(1)
    cfr.run(2)
    in_capture, turn = (first, second), [(first, second), (second, first)]
    assert leaves.asked == [(first, both), (second, first), in_capture, *turn, *turn]


def test_leaves_are_watched_from_the_first_iteration_on() -> None:
    cfr = start(with_tensors, "leduc before the deal", "dcfr", alternating=True).run(1)
    with pytest.raises(ValueError, match=r"^leaves are watched from the first iteration on$"):
        cfr.watch_leaves()
