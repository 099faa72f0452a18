"""What runs on a GPU copies nothing to or from it within an iteration: else it waits for the host.

Counted on a pretended GPU, launches and bytes too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from belief_states import LinearLeaves, random_beliefs
from solvers import with_tensors

from benchmarks.gpu_forests import STREETS, Setting
from benchmarks.launches import count_iteration, count_step
from benchmarks.pretended_cuda import CUDA, PretendedCuda, pretended_cuda
from benchmarks.street import Street
from pokerlab.games.base import Game
from pokerlab.games.cards import Deck
from pokerlab.games.dense_payoffs import DensePayoffs
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.games.parts import symmetry_of
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.tree import build_tree


def endgame(board: str, **options: Any) -> Holdem:
    bets: list[list[float]] = [[0.5, 1], [1]]
    return Holdem("endgame", board=board, pot=20, stack=15, blinds=(1, 2), bets=bets, ranks=3, **options)


GAMES: dict[str, tuple[Game, bool]] = {
    "leduc": (Leduc(), False),
    "leduc_first_round": (Leduc(leaves="before_deal"), True),
    "street": (Street(9), False),
    "alike_suits": (endgame("2c3c4c"), False),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", GAMES)
def test_nothing_is_copied_within_an_iteration(name: str, alternating: bool, rule: str) -> None:
    game, depth_limited = GAMES[name]
    symmetry = None if depth_limited else symmetry_of(game)
    tree = build_tree(game, game.root(), depth_limited=depth_limited, symmetry=symmetry)
    with pretended_cuda() as cuda:
        forest = Forest(game, [tree], dtype=torch.float64, device=CUDA)
        assert (forest.isomorphic_hands is not None) == (name == "alike_suits")
        belief = torch.as_tensor(random_beliefs(game, game.root(), seed=0), device=CUDA)[:, None]
        leaves = LinearLeaves(game)
        cfr = with_tensors(
            forest, belief, RULES[rule], alternating=alternating, leaf_evaluator=leaves, cuda_graph=False
        )
        cfr.run(1)  # what is made once is made
        expect_no_waiting(cuda, lambda: cfr.run(2))


def expect_no_waiting(cuda: PretendedCuda, run: Callable[[], object]) -> None:
    cuda.restart()
    run()
    assert cuda.operations > 0
    assert cuda.waited_for == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["in float16", "float64"])
def test_nothing_is_copied_to_pay_what_terminals_pay(dtype: torch.dtype) -> None:
    deck = Deck(6, 3)
    boards = {FOLDED: "7c2d3h", SHOWDOWN: "7c2d3h3c4d", RUN_OUT: "7c2d3h"}
    kernels = [(kind, deck.read_cards(board)) for kind, board in boards.items()]
    reach = torch.rand(2, len(kernels), 3, deck.num_hands, dtype=dtype)
    expected = DensePayoffs(deck, kernels, complete=5, weight=0.5, like=reach)(reach)
    with pretended_cuda() as cuda:
        there = reach.to(CUDA)
        operator = DensePayoffs(deck, kernels, complete=5, weight=0.5, like=there)
        expect_no_waiting(cuda, lambda: operator(there))
        torch.testing.assert_close(operator(there).cpu(), expected, rtol=0, atol=1e-5)


def test_of_no_terminals_nothing_is_paid() -> None:
    """Of a deal that no line ends before: self-play came to it on a GPU alone, where loops do not pay."""
    nothing = torch.empty(2, 0, 1, Deck(6, 3).num_hands)
    operator = DensePayoffs(Deck(6, 3), [], complete=5, weight=0.5, like=nothing)
    assert operator(nothing).shape == nothing.shape


class Most(NamedTuple):
    """What an iteration of one of phase 1's subgames takes, and may not exceed."""

    launches: int
    of_network: int
    """Launches of the leaf network's two queries among them."""
    megabytes: float
    """Without the leaf network."""


CEILINGS = {"flop": Most(187, 66, 74.3), "turn": Most(187, 66, 74.3), "river": Most(89, 0, 62.5)}


@pytest.mark.parametrize("street", CEILINGS)
def test_an_iteration_launches_and_moves_no_more_than_it_did(street: str) -> None:
    setting = Setting(torch.device("cpu"), small=False, seed=1)
    counted = count_iteration(setting, STREETS.index(street), 1, "large", "tensors", hidden=64)
    most = CEILINGS[street]
    assert counted["waits"] == 0
    assert counted["launches"] <= most.launches
    assert counted["network_launches"] <= most.of_network
    assert counted["megabytes"] <= most.megabytes


@pytest.mark.parametrize(
    ("street", "launches", "megabytes"), [("preflop", 285, 140), ("turn", 313, 180), ("river", 89, 0)]
)
def test_networks_that_know_cards_launch_and_move_no_more_than_they_did(
    street: str, launches: int, megabytes: float
) -> None:
    """Those that are not told how hands will rank: by tensor operations the others are not for use."""
    setting = Setting(torch.device("cpu"), small=False, seed=1)
    counted = count_iteration(
        setting, STREETS.index(street), 4, backend="tensors", early_bins=16, potentials=4, later_bins=0
    )
    assert counted["waits"] == 0
    assert counted["launches"] <= launches
    assert counted["network_megabytes"] <= megabytes
    # memory that forests are fitted into
    assert 0.78 <= counted["peak_megabytes"] / counted["counted_megabytes"] <= 1


@pytest.mark.parametrize(
    ("street", "launches", "megabytes"), [("preflop", 81, 64.4), ("turn", 81, 72.1), ("river", 7, 22.8)]
)
def test_kernels_are_few_and_move_little(street: str, launches: int, megabytes: float) -> None:
    """With the leaf network that phase 1 has."""
    setting = Setting(torch.device("cpu"), small=False, seed=1)
    counted = count_iteration(setting, STREETS.index(street), 4)
    assert counted["waits"] == 0
    assert counted["launches"] <= launches
    assert counted["megabytes"] + counted["network_megabytes"] <= megabytes
    # memory that forests are fitted into, and 0.7 MB of tables for all of them
    assert 0.9 <= counted["peak_megabytes"] / counted["counted_megabytes"] <= 1.02


def test_an_optimiser_step_stays_below_its_ceiling_and_waits_for_nothing() -> None:
    """Of networks that know cards, in which all kinds of belief states occur."""
    counted = count_step(Setting(torch.device("cpu"), small=True, seed=1))
    assert counted["forward"] + counted["backward"] <= 656
    assert counted["waits"] == 0
