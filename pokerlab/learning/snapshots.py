"""Weights that a network had in some iterations of many."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

SomeNetwork = TypeVar("SomeNetwork", bound=nn.Module)


class Snapshots(nn.Module, Generic[SomeNetwork]):
    """At most so many: of more, each is kept by a probability in proportion to its weight (Chao 1982).

    So that the mean over those that are kept stands for the weighted mean over all. Their weights are in a
    checkpoint.

    Args:
        network: whose.
        most: how many are kept.
    """

    kept: torch.Tensor
    """``[most, parameters]``."""
    count: torch.Tensor
    """How many are kept."""
    total: torch.Tensor
    """Sum of the weights of all that were added."""

    def __init__(self, network: SomeNetwork, most: int) -> None:
        super().__init__()
        size = sum(parameter.numel() for parameter in network.parameters())
        self.register_buffer("kept", torch.zeros(most, size))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("total", torch.tensor(0.0, dtype=torch.float64))

    def add(self, network: SomeNetwork, weight: float, generator: torch.Generator) -> None:
        """Adds the network as it is now.

        Args:
            network: the network.
            weight: positive.
            generator: draws whether it is kept, and in place of which.
        """
        self.total += weight
        draw = torch.rand((), generator=generator).item()
        most, slot = len(self.kept), int(self.count)
        if slot == most:
            if draw >= most * weight / self.total.item():
                return
            slot = int(torch.randint(most, (), generator=generator))
        else:
            self.count += 1
        self.kept[slot] = parameters_to_vector(network.parameters()).detach()

    def networks(self, network: SomeNetwork) -> list[SomeNetwork]:
        """Copies of the network as it was."""
        copies = [copy.deepcopy(network) for _ in range(int(self.count))]
        for each, weights in zip(copies, self.kept, strict=False):
            vector_to_parameters(weights, each.parameters())
        return copies
