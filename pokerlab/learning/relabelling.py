"""Learning from examples under other names of the suits."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from pokerlab.games.parts import Relabellings
from pokerlab.selfplay.examples import SomeExamples


class Relabelling(nn.Module):
    """Examples of public belief states under names drawn at random.

    Args:
        relabellings: of the game.
    """

    features: Tensor
    hands: Tensor

    def __init__(self, relabellings: Relabellings) -> None:
        super().__init__()
        for name in ("features", "hands"):
            index = torch.as_tensor(getattr(relabellings, name))
            self.register_buffer(name, index, persistent=False)

    def forward(self, examples: SomeExamples, draws: torch.Generator) -> SomeExamples:
        """Each under names of its own: what ends in hands ``[n, ..., H]`` is exchanged, and features."""
        chosen = torch.randint(len(self.hands), (len(examples),), generator=draws).to(self.hands.device)
        features, hands = self.features[chosen], self.hands[chosen]
        changed = {}
        for name, values in examples.columns().items():
            if name == "features":
                changed[name] = values.gather(1, features)
            elif name not in ("legal", "weight"):
                index = hands.view(len(hands), *[1] * (values.dim() - 2), -1).expand_as(values)
                changed[name] = values.gather(-1, index)
        return replace(examples, **changed)
