"""The networks of a policy gradient."""

import copy

import torch
from torch import nn

from pokerlab.games.base import Ints
from pokerlab.learning.infostates import InfostateNetwork, Infostates, log_policy
from pokerlab.learning.networks import follow
from pokerlab.selfplay.hands import Answers
from pokerlab.selfplay.public_states import PublicStates


class ActorCritic(nn.Module):
    """The policy, what it expects, the magnet, and the average of the policies.

    Args:
        policy: gives logits of actions.
        critic: what is still to be won, in big blinds.
    """

    def __init__(self, policy: InfostateNetwork, critic: InfostateNetwork) -> None:
        super().__init__()
        self.policy, self.critic = policy, critic
        self.magnet, self.average = (copy.deepcopy(policy).requires_grad_(False) for _ in range(2))

    @torch.no_grad()
    def ask(self, states: PublicStates, at: Ints, hand: Ints) -> Answers:
        """Probabilities of actions, and what is expected in chips; see :mod:`pokerlab.selfplay.hands`."""
        infostates = Infostates.at(states, at, hand, next(self.parameters()).device)
        chances, expected = log_policy(self.policy, infostates).exp(), self.critic(infostates)[:, 0]
        return chances.numpy(force=True), expected.double().numpy(force=True) * states.game.big_blind

    def follow(self, magnet: float, average: float) -> None:
        """Moves the weights of magnet and average towards the policy's, by these shares of the way."""
        follow(self.magnet, self.policy, magnet)
        follow(self.average, self.policy, average)
