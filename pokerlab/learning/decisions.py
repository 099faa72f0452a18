"""What a learner without search learns from: decisions, with what came of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.parts import network_features
from pokerlab.learning.infostates import Infostates, width_of_worth
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.hands import Played


@dataclass(frozen=True, slots=True)
class DecisionExamples(Examples):
    """Information states with what came of the actions that were taken there, ``n`` of them."""

    features: Tensor
    """See :class:`~pokerlab.learning.infostates.Infostates`; so are the next four."""
    moves: Tensor
    hand: Tensor
    legal: Tensor
    worth: Tensor
    counts: Tensor
    """``[n, A]`` how often each action was taken."""
    advantages: Tensor
    """``[n, A]`` what it brought more than was expected, the mean, in big blinds."""
    returns: Tensor
    """``[n]`` what there was to expect, the mean, in big blinds."""
    log_policy: Tensor
    """``[n, A]`` log-probabilities of the policy that played."""
    log_magnet: Tensor
    """``[n, A]`` of the magnet."""

    @staticmethod
    def none(game: Game, moves: int) -> "DecisionExamples":
        """No examples; says what one looks like."""
        actions = torch.empty(0, game.num_actions)
        return DecisionExamples(
            features=torch.empty(0, network_features(game).num_features),
            moves=torch.empty(0, moves, dtype=torch.int16),
            hand=torch.empty(0, dtype=torch.int32),
            legal=actions.bool(),
            worth=torch.empty(0, width_of_worth(game)),
            counts=actions,
            advantages=actions,
            returns=torch.empty(0),
            log_policy=actions,
            log_magnet=actions,
        )

    @staticmethod
    def of(
        played: Played, infostates: Infostates, log_policy: Tensor, log_magnet: Tensor, unit: float
    ) -> "DecisionExamples":
        """From decisions that were played, in the same order, and ``unit`` chips a big blind; on the CPU."""
        counts, advantages, returns = (
            torch.as_tensor(column, dtype=torch.float32)
            for column in (played.counts, played.advantages / unit, played.returns / unit)
        )
        return DecisionExamples(
            features=infostates.features.cpu(),
            moves=infostates.moves.cpu(),
            hand=infostates.hand.cpu(),
            legal=infostates.legal.cpu(),
            worth=infostates.worth.cpu(),
            counts=counts,
            advantages=advantages,
            returns=returns,
            log_policy=log_policy.cpu(),
            log_magnet=log_magnet.cpu(),
        )

    @property
    def infostates(self) -> Infostates:
        """What networks see of them."""
        return Infostates(self.features, self.moves, self.hand, self.legal, self.worth)


@dataclass(frozen=True, slots=True)
class ResultExamples(Examples):
    """How hands ended: one row of each place where some were played, ``n`` of them."""

    won: Tensor
    """``[n]`` float64, chips a hand that the learner won; where it plays itself, player 0."""
    hands: Tensor
    """``[n]`` int64, how many there were."""

    @staticmethod
    def none() -> "ResultExamples":
        """No examples; says what one looks like."""
        return ResultExamples(torch.empty(0, dtype=torch.float64), torch.empty(0, dtype=torch.int64))

    @property
    def mean(self) -> float:
        """Chips a hand, of all hands together."""
        return ((self.won * self.hands).sum() / self.hands.sum()).item()
