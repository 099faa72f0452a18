"""The ways in which a run's agent can play, as policies of the whole game."""

from collections.abc import Callable

import torch
from torch import Tensor

from pokerlab.agents.search import SearchAgent
from pokerlab.evaluation.aivat import MOST_HANDS
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.learning.networks import Networks
from pokerlab.search.solver import Solver

SEARCH, AVERAGE, GADGET, ALONE = "search", "search_deterministic", "search_gadget", "policy_net"
WAYS = (SEARCH, AVERAGE, GADGET, ALONE)
"""Search that goes on from drawn iterations, from average strategies, with a gadget; the policy network."""


def ways_to_play(
    whole: WholeGame,
    networks: Networks,
    solver: Solver,
    *,
    search_iterations: int,
    play_throughs: int,
    seed: int,
    like: Tensor,
) -> dict[str, Callable[[], Tensor]]:
    """What computes the policy ``[A, D, H]`` of each of :data:`WAYS`.

    Without the gadget in games of many hands, where it takes long, and for solvers that it does not know.

    Args:
        whole: the game.
        networks: a run's.
        solver: the CFR variant.
        search_iterations: CFR iterations a subgame.
        play_throughs: see :func:`search_policy`; of the first way.
        seed: of their draws.
        like: a tensor with the device and dtype to search in.
    """

    def search(play_throughs: int) -> Tensor:
        draws = torch.Generator().manual_seed(seed)
        return search_policy(
            whole, solver, networks, iterations=search_iterations, play_throughs=play_throughs,
            generator=draws, like=like,
        )  # fmt: skip

    def with_gadget() -> Tensor:
        agent = SearchAgent(
            whole.game, solver, networks, iterations=search_iterations, way="search_gadget", like=like
        )
        return whole.policy(agent)

    ways = {SEARCH: lambda: search(play_throughs), AVERAGE: lambda: search(0)}
    if whole.game.num_hands <= MOST_HANDS and not (solver.average_leaves or solver.warm_start):
        ways[GADGET] = with_gadget
    return ways | {ALONE: lambda: networks.strategy(whole.forest, whole.belief)}
