"""Update rules of the CFR family.

A rule chooses how old regrets are discounted, whether they are cut at zero, whether the last instantaneous
regret serves as a prediction, and how iterations are weighted in the average.
"""

from dataclasses import dataclass
from math import inf

AVERAGING = {"uniform": 0.0, "linear": 1.0, "quadratic": 2.0}


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """One rule; ``t`` counts iterations from 1.

    Before iteration t's regrets are added, positive sums are multiplied by ``s^α/(s^α+1)`` and negative
    ones by ``s^β/(s^β+1)`` with ``s = t−1`` (DCFR, Brown and Sandholm 2019); infinity means no discount.
    Iteration t weighs ``t^γ`` in the average strategy and in the mean of root values.
    """

    name: str
    alpha: float = inf
    beta: float = inf
    gamma: float = 0.0
    floor: bool = False
    """Cut regret sums at zero (CFR+, Tammelin 2014)."""
    predictive: bool = False
    """Choose the strategy as if the last regret came again (PCFR+, Farina et al. 2021)."""

    def discounts(self, t: int) -> tuple[float, float]:
        """The factors of (positive, negative) regret sums before iteration ``t`` is added."""
        return _discount(t - 1, self.alpha), _discount(t - 1, self.beta)

    def weight(self, t: int) -> float:
        """What iteration ``t`` weighs in averages."""
        return float(t) ** self.gamma


def _discount(s: int, exponent: float) -> float:
    if s == 0 or exponent == inf:
        return 1.0
    power = float(s) ** exponent
    return power / (power + 1)


MOST_EXPONENT = 5
"""Larger exponents overflow single precision within a million iterations."""

RULES = {
    "cfr": UpdateRule("cfr"),
    "cfr_plus": UpdateRule("cfr_plus", gamma=1.0, floor=True),
    "linear_cfr": UpdateRule("linear_cfr", alpha=1.0, beta=1.0, gamma=1.0),
    "dcfr": UpdateRule("dcfr", alpha=1.5, beta=0.0, gamma=2.0),
    "pcfr_plus": UpdateRule("pcfr_plus", gamma=2.0, floor=True, predictive=True),
}


def update_rule(
    name: str,
    averaging: str | None = None,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
) -> UpdateRule:
    """A rule by name, with its published settings unless others are given.

    Args:
        name: one of ``RULES``.
        averaging: ``uniform``, ``linear`` or ``quadratic``; None: the rule's own.
        alpha: DCFR's exponent for positive regrets.
        beta: DCFR's exponent for negative regrets.
        gamma: DCFR's exponent of the average.

    Raises:
        ValueError: a name is unknown, or an exponent is given that the rule does not have.
    """
    if name not in RULES:
        raise ValueError(f"unknown update rule {name!r}: expected one of {', '.join(RULES)}")
    exponents = {"alpha": alpha, "beta": beta, "gamma": gamma}
    given = {key: value for key, value in exponents.items() if value is not None}
    if given and name != "dcfr":
        raise ValueError(f"{', '.join(given)} given for {name}: only dcfr has them")
    for key, value in given.items():
        if not -MOST_EXPONENT <= value <= MOST_EXPONENT:
            raise ValueError(f"{key} must lie between {-MOST_EXPONENT} and {MOST_EXPONENT}, got {value}")
    if averaging is not None and "gamma" in given and given["gamma"] != RULES[name].gamma:
        raise ValueError(
            f"averaging={averaging} and gamma={given['gamma']} both choose the weights: leave one out"
        )
    if averaging is not None and averaging not in AVERAGING:
        raise ValueError(f"unknown averaging {averaging!r}: expected one of {', '.join(AVERAGING)}")
    rule = RULES[name]
    return UpdateRule(
        name,
        alpha=given.get("alpha", rule.alpha),
        beta=given.get("beta", rule.beta),
        gamma=given.get("gamma", rule.gamma) if averaging is None else AVERAGING[averaging],
        floor=rule.floor,
        predictive=rule.predictive,
    )
