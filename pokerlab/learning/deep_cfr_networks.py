"""Deep CFR's networks, and the strategies that follow from them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pokerlab.learning.line_networks import HandsAt, LineNetwork, line_inputs
from pokerlab.learning.snapshots import Snapshots
from pokerlab.selfplay.public_game import PublicGame


def match_regrets(advantages: Tensor, legal: Tensor) -> Tensor:
    """``[n, A, H]`` the strategy: in proportion to positive advantages; if there are none, the highest.

    Args:
        advantages: ``[n, A, H]``.
        legal: ``[n, A]``.
    """
    advantages = advantages.masked_fill(~legal[:, :, None], -torch.inf)
    positive = advantages.clamp_min(0)
    highest = (advantages == advantages.amax(1, keepdim=True)).to(advantages)  # several, where all are 0
    chosen = torch.where(positive.sum(1, keepdim=True) > 0, positive, highest)
    return chosen / chosen.sum(1, keepdim=True)


class DeepCFRNetworks(nn.Module):
    """The networks, and of a game that is listed the sum of what they ever played.

    Args:
        advantages: the advantage network of each player.
        average: the average network.
        listed: the game; None: it is not listed.
        snapshots: how many are kept of each advantage network, if it is not.
    """

    lines: Tensor
    """``[D, width]`` what networks see of the decisions."""
    legal: Tensor
    """``[D, A]``."""
    actor: Tensor
    """``[D]``."""
    played: Tensor
    """``[width, D, H]`` on the game's forest: own reach of each action, in iteration t times t."""

    def __init__(
        self,
        advantages: Sequence[LineNetwork],
        average: LineNetwork,
        *,
        listed: PublicGame | None,
        snapshots: int,
    ) -> None:
        super().__init__()
        self.advantages, self.average = nn.ModuleList(advantages), average
        if listed is None:
            self.snapshots = nn.ModuleList([Snapshots(network, snapshots) for network in advantages])
        else:
            legal = torch.as_tensor(listed.nodes.legal(listed.game.num_actions))
            self.register_buffer("lines", line_inputs(listed.game).encode(*listed.lines), persistent=False)
            self.register_buffer("legal", legal, persistent=False)
            self.register_buffer("actor", torch.as_tensor(listed.nodes.actor), persistent=False)
            self.register_buffer("played", torch.zeros(listed.forest.edge_shape, dtype=torch.float64))

    @torch.no_grad()
    def strategy(self, lines: Tensor, legal: Tensor, actor: Tensor, hands: HandsAt | None = None) -> Tensor:
        """``[n, A, H]`` what is played now at lines ``[n, width]``, by whoever acts."""
        first, second = (each.of_all_hands(lines, hands) for each in self.advantages)  # type: ignore[operator]
        return match_regrets(torch.where(actor[:, None, None] == 0, first, second), legal)

    def listed_strategy(self) -> Tensor:
        """The same at all decisions of a game that is listed."""
        return self.strategy(self.lines, self.legal, self.actor)

    def remember(self, listed: PublicGame, iteration: int) -> None:
        """Adds what is played now, in an iteration that counts from 1."""
        self.played += iteration * listed.own_reach(self.listed_strategy().cpu()).to(self.played)
