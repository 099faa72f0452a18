"""What runs on a GPU copies nothing to or from it within an iteration: else it waits for the host.

Told on the CPU from the operations that are called: none makes a tensor of an array or of a number, or a
number of a tensor.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from belief_states import LinearLeaves, random_beliefs
from solvers import with_tensors
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.street import Street
from pokerlab.games import showdown
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

COPIES = ("_local_scalar_dense", "lift_fresh", "nonzero", "scalar_tensor")
MAKERS = ("as_tensor", "tensor", "from_numpy")


class NoCopies(TorchDispatchMode):
    """Refuses operations that a GPU would wait for."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = str(func).removeprefix("aten.").partition(".")[0]
        assert name not in COPIES, name
        assert name != "_to_copy" or "device" not in (kwargs or {}), name
        if name == "where":  # a number beside tensors is copied to their device
            assert all(given.dim() for given in tree_leaves(args) if isinstance(given, Tensor)), name
        return func(*args, **(kwargs or {}))


@contextmanager
def no_copies() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Tensor:
        raise AssertionError("a tensor is made of an array")

    with ExitStack() as stack:
        for name in MAKERS:
            stack.enter_context(patch.object(torch, name, refuse))
        stack.enter_context(NoCopies())  # type: ignore[no-untyped-call]
        yield


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
def test_nothing_is_copied_within_an_iteration(
    name: str, alternating: bool, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showdown, "NUMBA", False)
    game, depth_limited = GAMES[name]
    symmetry = None if depth_limited else symmetry_of(game)
    tree = build_tree(game, game.root(), depth_limited=depth_limited, symmetry=symmetry)
    forest = Forest(game, [tree], dtype=torch.float64)
    assert (forest.isomorphic_hands is not None) == (name == "alike_suits")
    belief = torch.as_tensor(random_beliefs(game, game.root(), seed=0))[:, None]
    leaves = LinearLeaves(game)
    cfr = with_tensors(forest, belief, RULES[rule], alternating=alternating, leaf_evaluator=leaves)
    cfr.run(1)  # what is made once is made
    with no_copies():
        cfr.run(2)


def test_nothing_is_copied_to_pay_what_terminals_pay() -> None:
    deck = Deck(6, 3)
    boards = {FOLDED: "7c2d3h", SHOWDOWN: "7c2d3h3c4d", RUN_OUT: "7c2d3h"}
    kernels = [(kind, deck.read_cards(board)) for kind, board in boards.items()]
    operator = DensePayoffs(deck, kernels, complete=5, weight=0.5, like=torch.empty(0))
    reach = torch.rand(2, len(kernels), 3, deck.num_hands)
    with no_copies():
        operator(reach)
