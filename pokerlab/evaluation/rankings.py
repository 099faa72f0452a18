"""Who is best in a round robin of agents: Elo ratings, and averages over a Nash equilibrium among them.

Elo is one number an agent, and blind to cycles: more opponents of a kind that one beats make one better.
Nash averaging lets an equilibrium of the game in which each side picks an agent say how much each opponent
matters, so that copies of an agent change nothing.
"""

import numpy as np
from scipy.optimize import linprog, minimize, root
from scipy.special import expit, logsumexp, softmax

from pokerlab.games.base import Bools, Floats

MEAN = 1500.0
POINTS = 400 / np.log(10)
"""Of Elo in one of log odds: 400 points more are odds of ten to one."""


def elo(wins: Floats) -> Floats:
    """Elo ratings, of maximum likelihood in Bradley and Terry's model.

    Beside the deals that were played, each pair is taken to have drawn one more: that keeps the ratings of
    who wins or loses everything finite, and means little where there are many deals.

    Args:
        wins: ``[n, n]`` ``wins[i, j]`` of how many deals i won against j; a draw is half a win for both.
            The diagonal does not count.

    Returns:
        ``[n]`` ratings, their mean 1500.
    """
    won = (wins + 0.5) * (1 - np.eye(len(wins)))
    won /= won.sum() or 1.0
    deals = won + won.T

    def excess(ratings: Floats) -> tuple[Floats, Floats]:
        """Expected less actual wins, and their derivatives; the sum of ratings holds them at mean 0."""
        expected = expit(ratings[:, None] - ratings)
        slopes = deals * expected * (1 - expected)
        return (deals * expected - won).sum(1) + ratings.sum(), np.diag(slopes.sum(1)) - slopes + 1

    ratings: Floats = root(excess, np.zeros(len(wins)), jac=True, tol=1e-14).x
    return MEAN + POINTS * ratings


def nash_average(payoffs: Floats) -> tuple[Floats, Floats]:
    """The equilibrium of largest entropy in picking agents, and how agents fare against it.

    Balduzzi et al. 2018, "Re-evaluating Evaluation" (arXiv 1806.02643).

    Args:
        payoffs: ``[n, n]`` antisymmetric: what agent i wins of agent j.

    Returns:
        ``[n]`` probability of each agent, 0 of those that no equilibrium picks, and ``[n]`` each agent's
        payoff against it: 0 for those that it picks, at most 0 for all. Both to about 1e-8 of the largest
        payoff.
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
    """``[n]`` who is picked by some equilibrium, and so by that of largest entropy.

    Multiples of equilibria are a cone, p ≥ 0 and payoffs · p ≤ 0, in which one has p ≥ 1 on all of them.
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
