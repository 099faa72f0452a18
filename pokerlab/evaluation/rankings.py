"""Ranks the agents of a round robin: Elo ratings, and the Nash average.

Elo gives each agent one number and is blind to cycles: the more opponents of a kind that an agent beats, the
higher it is rated. The Nash average weighs opponents by an equilibrium of the game in which each side picks
an agent, so that copies of an agent change nothing.
"""

import numpy as np
from scipy.optimize import linprog, minimize, root
from scipy.special import expit, logsumexp, softmax

from pokerlab.games.base import Bools, Floats

MEAN = 1500.0
POINTS = 400 / np.log(10)
"""Elo points in one unit of log odds: 400 more are odds of ten to one."""


def elo(wins: Floats) -> Floats:
    """Elo ratings: the maximum likelihood of Bradley and Terry's model.

    One drawn deal is added to each pair. It keeps the ratings of agents that win or lose everything finite,
    and matters little where there are many deals.

    Args:
        wins: ``[n, n]``; ``wins[i, j]`` is the number of deals that i won against j. A draw is half a win
            for both. The diagonal is not read.

    Returns:
        ``[n]`` ratings, their mean 1500.
    """
    won = (wins + 0.5) * (1 - np.eye(len(wins)))
    won /= won.sum() or 1.0
    deals = won + won.T

    def excess(ratings: Floats) -> tuple[Floats, Floats]:
        """Expected minus actual wins, and derivatives; adding the ratings fixes their mean at 0."""
        expected = expit(ratings[:, None] - ratings)
        slopes = deals * expected * (1 - expected)
        return (deals * expected - won).sum(1) + ratings.sum(), np.diag(slopes.sum(1)) - slopes + 1

    ratings: Floats = root(excess, np.zeros(len(wins)), jac=True, tol=1e-14).x
    return MEAN + POINTS * ratings


def nash_average(payoffs: Floats) -> tuple[Floats, Floats]:
    """The equilibrium of largest entropy in picking agents, and each agent's payoff against it.

    Balduzzi et al. 2018, "Re-evaluating Evaluation" (arXiv 1806.02643).

    Args:
        payoffs: ``[n, n]`` antisymmetric: what agent i wins from agent j.

    Returns:
        ``[n]`` the probability of each agent, 0 for agents that no equilibrium picks; and ``[n]`` each
        agent's payoff against that mixture: 0 for agents that it picks, at most 0 for all. Both are accurate
        to about 1e-8 of the largest payoff.
    """
    scaled = payoffs / (np.abs(payoffs).max() or 1.0)
    support = _support(scaled)
    of_support = scaled[:, support]

    # The dual: where probabilities are exp(−multipliers · payoffs), the gradient is what agents lose
    def dual(multipliers: Floats) -> tuple[float, Floats]:
        logits = -multipliers @ of_support
        return logsumexp(logits), -of_support @ softmax(logits)

    bounds = [(None, None) if picked else (0, None) for picked in support]
    start, options = np.zeros(len(scaled)), {"ftol": 1e-16, "maxiter": 10_000}
    found = minimize(dual, start, jac=True, method="SLSQP", bounds=bounds, options=options)
    equilibrium = np.zeros(len(scaled))
    equilibrium[support] = softmax(-found.x @ of_support)
    return equilibrium, payoffs @ equilibrium


def _support(payoffs: Floats) -> Bools:
    """``[n]`` whether some equilibrium picks the agent; then that of largest entropy does too.

    The multiples of equilibria form the cone p ≥ 0, payoffs · p ≤ 0. Some p in it is at least 1 for every
    agent that is picked.
    """
    none, each = np.zeros_like(payoffs), np.eye(len(payoffs))
    found = linprog(
        np.repeat([0.0, -1.0], len(payoffs)),  # p and min(p, 1), whose sum is made large
        A_ub=np.block([[payoffs, none], [-each, each]]),
        b_ub=np.zeros(2 * len(payoffs)),
        bounds=[(0, None)] * len(payoffs) + [(0, 1)] * len(payoffs),
    )
    picked: Bools = found.x[len(payoffs) :] > 0.5
    return picked
