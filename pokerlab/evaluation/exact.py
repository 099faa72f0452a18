"""What agents play on a whole game, and what they win of each other, exactly."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pokerlab.agents.base import Agent
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.search import SearchAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.evaluation.aivat import TreeValues
from pokerlab.evaluation.deal_by_deal import SoFar
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import Game, is_small
from pokerlab.search.best_response import Exploitability
from pokerlab.search.resolving import SEARCH_GADGET

MOST_TABLES = 16
"""Policies of agents that are remembered: a search agent's takes a while."""


def whole_game_strategy(whole: WholeGame, agent: Agent, *, play_throughs: int = 0, seed: int = 0) -> Tensor:
    """``[A, D, H]`` an agent's strategy; of one that draws, the mean over what it draws.

    Args:
        whole: the game.
        agent: of that game.
        play_throughs: of an agent that goes on from iterations that it draws: see
            :func:`~pokerlab.evaluation.policies.search_policy`.
        seed: of those draws.

    Raises:
        ValueError: the agent draws otherwise.
    """
    if isinstance(agent, PolicyNetworkAgent):
        return agent.network.strategy(whole.forest, whole.belief)
    if isinstance(agent, SearchAgent) and agent.way != SEARCH_GADGET:
        search = agent.resolving
        return search_policy(
            whole,
            search.solver,
            search.leaf_evaluator,
            iterations=search.iterations,
            play_throughs=play_throughs if agent.draws else 0,
            generator=torch.Generator().manual_seed(seed),
            like=search.like,
        )
    return whole.policy(agent)


def measure(
    whole: WholeGame, strategy: Tensor, seconds: float, *, iterations: int | None, play_throughs: int | None
) -> dict[str, Any]:
    """Exploitability and value of ``[A, D, H]``, as evaluation.json has them.

    Args:
        whole: the game.
        strategy: of both players.
        seconds: that it took to compute it.
        iterations: of CFR a subgame; None: without search.
        play_throughs: see :func:`whole_game_strategy`; None: of no consequence.
    """
    found = whole.exploitability(strategy)
    return _as_results(whole.game, found, seconds, iterations=iterations, play_throughs=play_throughs)


def measure_deals(sofar: SoFar, seconds: float, **how: int | None) -> dict[str, Any]:
    """What is known after some deals, or after all, in the same form.

    Args:
        sofar: of a policy.
        seconds: that it took.
        how: ``iterations`` and ``play_throughs``, as above.
    """
    found = _as_results(sofar.game, sofar.exploitability(), seconds, **how)
    found |= {"deals": len(sofar), "deals_done": sofar.done, "complete": sofar.complete}
    if not sofar.complete and sofar.done > 1:
        found["at_least_about"] = max(sofar.lower_estimate().exploitability.item(), 0.0)
    return found


def _as_results(
    game: Game,
    found: Exploitability,
    seconds: float,
    *,
    iterations: int | None = None,
    play_throughs: int | None = None,
) -> dict[str, Any]:
    return {
        "game": game.name,
        "iterations": iterations,
        "play_throughs": play_throughs,
        "seconds": seconds,
        "iterations_per_second": None if iterations is None else iterations / seconds,
        "game_value": found.value.item(),
        "nash_conv": found.nash_conv.item(),
        "exploitability": found.exploitability.item(),
        "mbb": 1000 * found.exploitability.item() / game.big_blind,
    }


@lru_cache(MOST_TABLES)
def tabulate(game: Game, agent: Agent) -> TabularAgent | None:
    """The agent's policy on the whole game, if it can be had."""
    if agent.draws or not is_small(game):
        return None
    whole = WholeGame(game)
    return TabularAgent.of(whole.forest, whole.policy(agent))


def exact_value(game: Game, first: Agent, second: Agent) -> float | None:
    """Chips a hand that the first agent wins of the second in the mean of both seats, if it can be had."""
    tables = [table.table for agent in (first, second) if (table := tabulate(game, agent)) is not None]
    if len(tables) < 2:
        return None
    values = []
    for pair in (tables, tables[::-1]):
        seats = {state: pair[game.actor(state)][state] for state in pair[0]}
        values.append(TreeValues(game, seats).value)
    return (values[0] - values[1]) / 2
