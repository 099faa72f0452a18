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

    hands: Tensor

    def __init__(self, relabellings: Relabellings) -> None:
        super().__init__()
        self._features = torch.as_tensor(relabellings.features)  # as examples', in the host's memory
        self.register_buffer("hands", torch.as_tensor(relabellings.hands), persistent=False)

    def forward(self, examples: SomeExamples, draws: torch.Generator) -> SomeExamples:
        """Each under names of its own: what ends in hands ``[n, ..., H]`` is exchanged, and features."""
        chosen = torch.randint(len(self.hands), (len(examples),), generator=draws)
        hands = self.hands[chosen.to(self.hands.device)]
        changed = {}
        for name, values in examples.columns().items():
            if name == "features":
                changed[name] = values.gather(1, self._features[chosen].to(values.device))
            elif name not in ("legal", "weight"):
                index = hands.view(len(hands), *[1] * (values.dim() - 2), -1).expand_as(values)
                changed[name] = values.gather(-1, index)
        return replace(examples, **changed)
