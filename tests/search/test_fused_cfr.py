"""CFR in kernels for a GPU, held against tensor operations and compiled loops."""

from typing import Any

import numpy as np
import pytest
import torch
from belief_states import LinearLeaves
from solvers import with_loops, with_tensors
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.games import dense_payoffs
from pokerlab.games.base import Game
from pokerlab.games.betting import CALL
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.search.backends.fused import FusedBackend
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import RULES
from pokerlab.search.tree import build_tree

HOLDEM = Holdem(
    "holdem", ranks=4, suits=2, stack=9, blinds=(1, 2), bets=[[1]], deals=(0, 1, 1, 1), most_raises=1
)
LEDUC = Leduc()
GAMES: dict[str, tuple[Game, tuple[int, ...], bool]] = {
    "preflop": (HOLDEM, (0, 0), True),
    "flop and turn": (HOLDEM, (1, 2, 1), True),
    "river": (HOLDEM, (3, 3), False),
    "all streets": (HOLDEM, (0, 3, 2, 1), True),
    "all-in": (HOLDEM, (4,), False),
    "leduc": (LEDUC, (1, 1), False),
    "leduc before the deal": (Leduc("before_deal"), (0, 0), True),
    "liars dice": (LiarsDice(1, 2), (0,), False),
}


EXACT = 1e-4
"""In float32; sums of reach go to 14."""


def state_on(game: Game, street: int, which: int) -> Any:
    """After calls only; ``which`` chooses what is dealt. The fifth: a river where one player is all-in."""
    if street == 4:
        state = state_on(game, 3, which)
        return game.next_state(state, max(game.actions(state)))
    state = game.root()
    for _ in range(street):
        for _ in range(2):
            state = game.next_state(state, CALL)
        outcomes = game.chance_outcomes(state)
        state = outcomes[which % len(outcomes)]
    return state


def solve(
    name: str,
    search: Any,
    rule: str,
    dtype: torch.dtype,
    *,
    device: torch.device | str = "cpu",
    iterations: tuple[int, ...] = (1, 2),
    resolver: int | None = None,
    watch: bool = False,
    warm: bool = True,
    **options: Any,
) -> tuple[CFR, list[Tensor]]:
    """The solver, and everything that is asked of it.

    Warm, so that no strategy is pure: rounding would decide what hands do that then meet nobody.
    """
    game, streets, depth_limited = GAMES[name]
    states = [state_on(game, street, 2 * i) for i, street in enumerate(streets)]
    trees = [build_tree(game, state, depth_limited=depth_limited) for state in states]
    forest = Forest(game, trees, device=device, dtype=dtype)
    belief = torch.rand(2, len(states), game.num_hands, generator=torch.Generator().manual_seed(1))
    belief = (belief + 0.1).to(device, dtype) * forest.root_possible
    belief /= belief.sum(-1, keepdim=True)
    gadget = None
    if resolver is not None:
        paid = np.random.default_rng(5).uniform(-3, 1, belief.shape[1:])
        gadget = Gadget(resolver, torch.as_tensor(paid, dtype=dtype).to(device))
    cfr = search(forest, belief, RULES[rule], leaf_evaluator=LinearLeaves(game), gadget=gadget, **options)
    if watch:
        cfr.watch_leaves()
    if warm:
        cfr.warm_start(cfr.strategy * 1, 1)
    for number in iterations:
        cfr.run(number)
    backend = cfr._backend
    found = [
        cfr.average_strategy(),
        cfr.strategy,
        cfr.root_values(),
        cfr.root_beliefs(),
    ]
    if watch:
        found.append(cfr.leaf_infostate_values())
    if not isinstance(backend, FusedBackend):
        found = [each * 1 for each in found]
    return cfr, [each.cpu() for each in found]


def fused(*args: Any, **options: Any) -> CFR:
    """Kernels in the simulator, on tensors of the CPU."""
    cfr = CFR(*args, backend="tensors", **options)
    gadget = options.get("gadget")
    cfr._backend = FusedBackend(cfr.forest, cfr.belief, cfr.rule, alternating=cfr.alternating, gadget=gadget)
    return cfr


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", GAMES)
def test_kernels_find_what_tensor_operations_and_loops_find(name: str, alternating: bool) -> None:
    options: dict[str, Any] = {"alternating": alternating, "rule": "dcfr", "dtype": torch.float64}
    _, found = solve(name, fused, **options)
    for search in (with_tensors, with_loops):
        torch.testing.assert_close(found, solve(name, search, **options)[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule(rule: str) -> None:
    options: dict[str, Any] = {"alternating": True, "dtype": torch.float64, "iterations": (5,), "warm": False}
    found, expected = (solve("leduc", search, rule, **options)[1] for search in (fused, with_tensors))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("resolver", [0, 1])
@pytest.mark.parametrize("name", ["flop and turn", "river"])
def test_with_a_gadget(name: str, resolver: int) -> None:
    options: dict[str, Any] = {"alternating": True, "rule": "dcfr", "dtype": torch.float64}
    options |= {"resolver": resolver, "iterations": (3,)}
    found, expected = (solve(name, search, **options)[1] for search in (fused, with_tensors))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", [{"average_leaves": True}, {"watch": True}])
@pytest.mark.parametrize("alternating", [True, False])
def test_average_and_watched_leaves(options: dict[str, Any], alternating: bool) -> None:
    options = options | {"alternating": alternating, "rule": "dcfr", "dtype": torch.float64}
    found, expected = (solve("flop and turn", search, **options)[1] for search in (fused, with_tensors))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("dtype", "exact"), [(torch.float32, EXACT), (torch.float64, 1e-10)])
@pytest.mark.parametrize("alternating", [True, False])
def test_a_gpu_replays_kernels(alternating: bool, dtype: torch.dtype, exact: float) -> None:
    """In float32 with payoff matrices in float16."""
    options: dict[str, Any] = {"alternating": alternating, "rule": "dcfr", "iterations": (1, 2)}
    _, expected = solve("all streets", with_tensors, dtype=torch.float64, **options)
    with pretended_cuda(kernels=True) as counted:
        cfr, found = solve("all streets", CFR, dtype=dtype, device=CUDA, **options)
        assert isinstance(cfr._backend, FusedBackend)
        counted.restart()
        cfr.run(1)
        assert counted.waited_for == []
        graph: Any = cfr._backend._graph
        assert graph.replays == 2
    torch.testing.assert_close([each.double() for each in found], expected, rtol=0, atol=exact)


def test_matrices_in_float16_and_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where more run-outs are left than float16 counts exactly."""
    monkeypatch.setattr(dense_payoffs, "EXACT", 2)
    options: dict[str, Any] = {"alternating": False, "rule": "dcfr", "iterations": (2,)}
    _, expected = solve("all streets", with_tensors, dtype=torch.float64, **options)
    with pretended_cuda(kernels=True):
        _, found = solve("all streets", CFR, dtype=torch.float32, device=CUDA, **options)
    torch.testing.assert_close([each.double() for each in found], expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("players", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_beliefs_at_leaves_and_whom_hands_meet_there(players: slice) -> None:
    """Rounding meets nobody, and beliefs that no hand comes with stay."""
    options: dict[str, Any] = {"alternating": True, "rule": "dcfr", "dtype": torch.float32, "iterations": ()}
    ours, theirs = (solve("preflop", search, **options)[0] for search in (fused, with_tensors))
    leaves, deck = len(ours.forest.leaves), HOLDEM.deck
    reach = torch.rand(2, leaves, deck.num_hands, generator=torch.Generator().manual_seed(1))
    holders = torch.as_tensor((deck.hands == 3).any(1))
    reach[:, 0] *= holders
    reach[0, 1] = 0
    belief = torch.full_like(reach, 0.25)
    expected = belief.clone()
    found = ours._backend.set_beliefs(reach, belief, players)
    mass = theirs._backend.set_beliefs(reach, expected, players)
    torch.testing.assert_close(belief, expected)
    torch.testing.assert_close(found, mass, rtol=1e-5, atol=1e-7)
    assert (belief[1, 1] == 0.25).all()
    assert torch.equal(found[:, 0] == 0, mass[:, 0] == 0)
    assert (found[:, 0, holders] == 0).all()


def test_where_nobody_decides() -> None:
    """No kernels."""
    state = state_on(HOLDEM, 4, 0)
    tree = build_tree(HOLDEM, HOLDEM.next_state(state, CALL), depth_limited=False)
    with pretended_cuda(kernels=True):
        forest = Forest(HOLDEM, [tree], device=CUDA)
        belief = forest.root_possible.expand(2, -1, -1).contiguous()
        cfr = CFR(forest, belief, RULES["dcfr"], alternating=True).run(2)
        assert not isinstance(cfr._backend, FusedBackend)
        assert cfr.root_values().cpu().abs().sum() > 0
