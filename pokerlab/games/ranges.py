"""Ranges drawn at random: stronger hands tend to be held more often than weaker ones, or less."""

from math import ceil, log2

import numpy as np

from pokerlab.games.base import Bools, Floats


def draw_range(strength: Floats, possible: Bools, generator: np.random.Generator) -> Floats:
    """``[H]`` a belief that hands of about the same strength share.

    DeepStack's (Moravčík et al. 2017, supplement, "Pseudo-random ranges"): of hands in order of strength, the
    stronger half gets a share of the mass that is uniform in (0, 1), and so on in each half. They are steeper
    than ranges in play: they are raised to a power that is uniform in (0, 1).

    Args:
        strength: ``[H]`` higher is better; what ties is in the order of hands.
        possible: ``[H]`` true for hands that may be held, at least one.
        generator: of what is random.
    """
    hands = np.flatnonzero(possible)
    order = hands[strength[hands].argsort(kind="stable")]
    weights = np.ones(1)
    for _ in range(ceil(log2(len(order)))):
        stronger = generator.random(len(weights))
        weights = np.stack([weights * (1 - stronger), weights * stronger], 1).ravel()
    weights = weights[np.arange(len(order)) * len(weights) // len(order)] ** generator.random()
    belief = np.zeros(len(strength))
    belief[order] = weights / weights.sum()
    return belief
