"""Meta-solvers: how to mix members, as pure functions of what they win of each other.

A meta-game has ``n`` players, of whom each picks a member. ``payoffs`` ``[n, m_0, …, m_{n−1}]`` are what
each player wins when they pick members so. Players pick on their own (``weights``: a list of ``[m_p]``), or
by one draw for all (``joint`` ``[m_0, …, m_{n−1}]``). An equilibrium of the first kind is hard to find for
more than two players, and guarantees nothing; one of the second kind is a convex programme. All is float64,
and no entry may be missing.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from scipy.optimize import linprog, minimize
from scipy.special import logsumexp, softmax

from pokerlab.games.base import Bools, Floats

Solve = Callable[[Floats], list[Floats]]
"""From payoffs to weights."""
SMALL = 1e-9
"""Of the largest payoff: what linear programmes leave undecided."""


# Weights and joint distributions


def product(weights: Sequence[Floats]) -> Floats:
    """The joint distribution of players who pick on their own."""
    return reduce(np.multiply.outer, weights)


def marginals(joint: Floats) -> list[Floats]:
    """How often each player picks each member."""
    axes = range(joint.ndim)
    return [joint.sum(tuple(other for other in axes if other != player)) for player in axes]


def deviations(payoffs: Floats, weights: Sequence[Floats]) -> list[Floats]:
    """What each player's members win against the others' weights: ``[m_p]`` a player."""
    found = []
    for player, own in enumerate(payoffs):
        values = np.moveaxis(own, player, 0)
        for other in reversed([w for p, w in enumerate(weights) if p != player]):
            values = values @ other
        found.append(values)
    return found


def check_complete(payoffs: Floats, names: Sequence[str]) -> None:
    """Raises a ValueError if an entry is missing, which is NaN; says of which members."""
    if (gaps := np.argwhere(np.isnan(payoffs))).size:
        missing = " against ".join(names[member] for member in gaps[0][1:])
        raise ValueError(f"the matrix has gaps: there is no result of {missing}")


def _check_two_players(payoffs: Floats) -> None:
    if len(payoffs) != 2:
        raise ValueError(
            f"a Nash equilibrium is found for two players, got {len(payoffs)}: expected a correlated one "
            "(ce, cce), or regret_matching, projected_replicator, alpha_rank"
        )


# Matchmaking


def prioritised(won: Floats, power: float = 2.0) -> Floats:
    """How often whom is to be met: prioritised fictitious self-play (Vinyals et al. 2019, ``f_hard``).

    Args:
        won: ``[m]`` chips a hand that who learns wins of each.
        power: the larger, the more those are met of whom it wins least; 0: all as often.

    Returns:
        ``[m]`` weights, in proportion to ``(1 - p)**power``, where what is won, as a share of the most that
        is won or lost, stands for the probability ``p`` of winning: 1/2 where it is nothing.
    """
    most = np.abs(won).max()
    chance = (1 + won / most) / 2 if most > 0 else np.full(len(won), 0.5)
    weights = (1 - chance) ** power
    return weights / weights.sum() if weights.any() else np.full(len(won), 1 / len(won))


def best_of(matrix: Floats, number: int) -> list[int]:
    """The members who win most on average of those best themselves: the K best, ascending.

    Who wins least of those that are left, itself among them, is left out, until so many are left; of equal
    ones the oldest.

    Args:
        matrix: ``[m, m]`` what the row's member wins of the column's.
        number: K.
    """
    left = list(range(len(matrix)))
    while len(left) > number:
        left.remove(min(left, key=lambda member: (matrix[member, left].mean(), member)))
    return left


# Nash equilibria of two players


def nash(payoffs: Floats) -> list[Floats]:
    """A Nash equilibrium of a zero-sum game of two players, by one linear programme and its dual.

    Raises:
        ValueError: there are more players, or the programme cannot be solved.
    """
    _check_two_players(payoffs)
    matrix = payoffs[0] / (np.abs(payoffs[0]).max() or 1.0)
    rows, columns = matrix.shape
    found = linprog(  # the most v that every column leaves to the row player
        np.append(np.zeros(rows), -1.0),
        A_ub=np.hstack([-matrix.T, np.ones((columns, 1))]),
        b_ub=np.zeros(columns),
        A_eq=np.append(np.ones(rows), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * rows + [(None, None)],
    )
    if found.x is None:
        raise ValueError(f"the linear programme of the equilibrium was not solved: {found.message}")
    return [_normalise(found.x[:-1]), _normalise(-found.ineqlin.marginals)]


def _normalise(weights: Floats) -> Floats:
    kept = np.clip(weights, 0, None)
    return kept / kept.sum()


def largest_entropy_nash(payoffs: Floats) -> list[Floats]:
    """The Nash equilibrium of largest entropy: copies of a member share its weight.

    Zero-sum, two players; accurate to about 1e-6 (Ortiz, Schapire and Kakade 2007).

    Raises:
        ValueError: there are more players.
    """
    first, _ = nash(payoffs)
    matrix = payoffs[0] / (np.abs(payoffs[0]).max() or 1.0)
    value = (first @ matrix).min()
    return [_largest_entropy(value - SMALL - matrix.T), _largest_entropy(matrix - value - SMALL)]


def _largest_entropy(losses: Floats) -> Floats:
    """The distribution p of largest entropy with ``losses @ p ≤ 0``."""
    picked = _support(losses)

    # The dual: where probabilities are exp(−multipliers · losses), the gradient is what is lost
    def dual(multipliers: Floats) -> tuple[float, Floats]:
        logits = -multipliers @ losses[:, picked]
        return logsumexp(logits), -losses[:, picked] @ softmax(logits)

    multipliers = _minimise(dual, len(losses))
    weights = np.zeros(losses.shape[1])
    weights[picked] = softmax(-multipliers @ losses[:, picked])
    return weights


def _minimise(dual: Callable[[Floats], tuple[float, Floats]], size: int) -> Floats:
    """The multipliers ≥ 0 at which a convex function, given with its gradient, is least."""
    if not size:
        return np.zeros(0)
    options = {"ftol": 1e-16, "gtol": 1e-10, "maxiter": 5000, "maxfun": 20_000}
    bounds = [(0, None)] * size
    found = minimize(dual, np.zeros(size), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    multipliers: Floats = found.x
    return multipliers


def _support(losses: Floats) -> Bools:
    """Which entries some p ≥ 0 with ``losses @ p ≤ 0`` has: some multiple is at least 1 for all of them."""
    rows, columns = losses.shape
    found = linprog(
        np.repeat([0.0, -1.0], columns),  # p and min(p, 1), whose sum is made large
        A_ub=np.block([[losses, np.zeros((rows, columns))], [-np.eye(columns), np.eye(columns)]]),
        b_ub=np.zeros(rows + columns),
        bounds=[(0, None)] * columns + [(0, 1)] * columns,
    )
    picked: Bools = found.x[columns:] > 0.5
    return picked


# Any number of players, each on its own


def uniform(payoffs: Floats) -> list[Floats]:
    """Every member as often: fictitious play."""
    return [np.full(number, 1 / number) for number in payoffs.shape[1:]]


def regret_matching(payoffs: Floats, *, iterations: int = 2000, exploration: float = 1e-6) -> list[Floats]:
    """The average play of regret matching (Hart and Mas-Colell 2000).

    Of two players in a zero-sum game it comes close to a Nash equilibrium; of more, the average of what is
    played jointly, not of these weights, comes close to a coarse correlated one.
    """
    regrets = [np.full(number, 1e-6) for number in payoffs.shape[1:]]  # OpenSpiel's beginning

    def step(weights: list[Floats], values: list[Floats]) -> list[Floats]:
        played = []
        for own, value, regret in zip(weights, values, regrets, strict=True):
            regret += value - own @ value
            positive = np.maximum(regret, 0)
            even = np.full(len(own), 1 / len(own))
            total = positive.sum()
            played.append(exploration * even + (1 - exploration) * positive / total if total > 0 else even)
        return played

    return _average_of_play(payoffs, step, iterations)


def projected_replicator(
    payoffs: Floats, *, iterations: int = 20_000, step_size: float = 1e-2, least: float = 1e-6
) -> list[Floats]:
    """The average of projected replicator dynamics (Lanctot et al. 2017, arXiv 1711.00832).

    Args:
        payoffs: of the meta-game.
        iterations: how many.
        step_size: of each.
        least: the probability that every member keeps.
    """

    def step(weights: list[Floats], values: list[Floats]) -> list[Floats]:
        return [
            project(own + step_size * own * (value - own @ value), least)
            for own, value in zip(weights, values, strict=True)
        ]

    return _average_of_play(payoffs, step, iterations)


def _average_of_play(
    payoffs: Floats, step: Callable[[list[Floats], list[Floats]], list[Floats]], iterations: int
) -> list[Floats]:
    weights = uniform(payoffs)
    total = [own.copy() for own in weights]
    for _ in range(iterations):
        weights = step(weights, deviations(payoffs, weights))
        for summed, own in zip(total, weights, strict=True):
            summed += own
    return [summed / (iterations + 1) for summed in total]


def project(vector: Floats, least: float = 0.0) -> Floats:
    """The nearest distribution with at least ``least`` everywhere."""
    number = np.arange(1, len(vector) + 1)
    descending = np.sort(vector)[::-1]
    shift = (1 - np.cumsum(descending) - (len(vector) - number) * least) / number
    above = np.flatnonzero(descending + shift > least)  # none: where all must be 1 / number
    return np.maximum(vector + shift[above[-1] if len(above) else -1], least)


# Any number of players, jointly


def alpha_rank(payoffs: Floats, *, alpha: float = 100.0, population: int = 50) -> Floats:
    """How long evolution stays at each joint pick: α-rank (Omidshafiei et al. 2019, arXiv 1903.01373).

    Args:
        payoffs: of the meta-game.
        alpha: intensity of selection.
        population: of each player's, in which a mutant spreads or dies out.

    Returns:
        The joint distribution.
    """
    picks = payoffs.shape[1:]
    size = int(np.prod(picks))
    if size == 1:
        return np.ones(picks)
    chances = np.zeros((size, size))
    place = np.arange(size).reshape(picks)
    rate = 1 / (sum(picks) - len(picks))
    for player, own in enumerate(payoffs):
        values, where = (np.moveaxis(each, player, 0) for each in (own, place))
        for now in range(picks[player]):
            for mutant in range(picks[player]):
                if mutant != now:
                    gain = alpha * (values[mutant] - values[now])
                    chances[where[now].ravel(), where[mutant].ravel()] = (
                        rate * _fixation(gain, population).ravel()
                    )
    return _stationary(chances).reshape(picks)


NEVER = 1e-150
"""A chance so small keeps the chain in one piece."""


def _fixation(gain: Floats, population: int) -> Floats:
    """How likely one mutant takes over the population."""
    size = np.maximum(np.abs(gain), 1e-14)
    spread = np.exp(np.minimum(gain, 0) * (population - 1)) * np.expm1(-size) / np.expm1(-population * size)
    return np.maximum(spread, NEVER)


def _stationary(chances: Floats) -> Floats:
    """The stationary distribution of a Markov chain, by state reduction, which subtracts nothing.

    Grassmann, Taksar and Heyman 1985; the diagonal is not read.
    """
    rates = chances.copy()
    np.fill_diagonal(rates, 0)
    for last in range(len(rates) - 1, 0, -1):
        rates[:last, last] /= rates[last, :last].sum()
        rates[:last, :last] += np.outer(rates[:last, last], rates[last, :last])
    found = np.ones(1)
    for state in range(1, len(rates)):
        found = np.append(found, found @ rates[:state, state])
        found /= found.max()
    return found / found.sum()


def coarse_correlated(payoffs: Floats) -> Floats:
    """The coarse correlated equilibrium that is spread most evenly (largest Gini impurity).

    Nobody gains by picking one member always, before the draw is known (Marris et al. 2021, arXiv
    2106.09435: ``mgcce``).

    Returns:
        The joint distribution.
    """
    gains = []
    for player, own in enumerate(payoffs):
        for member in range(own.shape[player]):
            instead = np.take(own, [member], player)
            gains.append((instead - own).ravel())
    return _most_even(np.array(gains), payoffs)


def correlated(payoffs: Floats) -> Floats:
    """The correlated equilibrium that is spread most evenly: nobody gains by picking otherwise than drawn.

    Marris et al. 2021, arXiv 2106.09435: ``mgce``.

    Returns:
        The joint distribution.
    """
    gains = []
    for player, own in enumerate(payoffs):
        values = np.moveaxis(own, player, 0)
        for drawn in range(len(values)):
            for member in range(len(values)):
                if member != drawn:
                    gain = np.zeros_like(values)
                    gain[drawn] = values[member] - values[drawn]
                    gains.append(np.moveaxis(gain, 0, player).ravel())
    return _most_even(np.array(gains).reshape(len(gains), payoffs[0].size), payoffs)


def _most_even(gains: Floats, payoffs: Floats) -> Floats:
    """The distribution σ of least Σσ² with ``gains @ σ ≤ 0``, from the dual of that programme."""
    picks = payoffs.shape[1:]
    gains = gains / (np.abs(payoffs).max() or 1.0)

    def dual(multipliers: Floats) -> tuple[float, Floats]:
        joint = project(-multipliers @ gains)
        gain = gains @ joint
        return -float(joint @ joint / 2 + multipliers @ gain), -gain

    return project(-_minimise(dual, len(gains)) @ gains).reshape(picks)
