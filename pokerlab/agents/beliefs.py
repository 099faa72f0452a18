"""Updates beliefs after public moves."""

import torch
from torch import Tensor

from pokerlab.search.forest import normalise_beliefs


def after_actions(beliefs: Tensor, actors: Tensor, chances: Tensor) -> Tensor:
    """Beliefs after one action in each of ``n`` places.

    After an action that no hand with any belief takes, beliefs stay as they were: Bayes' rule says nothing,
    and what was known before still holds.

    Args:
        beliefs: ``[n, 2, H]`` before.
        actors: ``[n]`` who acted.
        chances: ``[n, H]`` the probability that each hand takes the action.
    """
    here = torch.arange(len(beliefs), device=beliefs.device)
    own = beliefs[here, actors] * chances
    total = own.sum(-1, keepdim=True)
    after = beliefs.clone()
    after[here, actors] = torch.where(
        total > 0, own / torch.where(total > 0, total, 1), beliefs[here, actors]
    )
    return after


def after_deals(beliefs: Tensor, possible: Tensor) -> Tensor:
    """Beliefs ``[n, 2, H]`` after cards that leave the hands ``[n, H]`` possible.

    Where they block every hand with any belief, all possible hands are believed equally.
    """
    return normalise_beliefs(beliefs * possible[:, None], possible[:, None])
