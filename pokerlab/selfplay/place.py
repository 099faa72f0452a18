"""Where in a run something random happens: what is drawn there depends on nothing else."""

from dataclasses import dataclass

import numpy as np
import torch

BATCHES, LEARNING, _RANK = 2**32 - 1, 2**32 - 2, 2**32 - 3
"""Stand where a worker's number would: drawing batches from the replay, and learning from them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a run. The state of a run's randomness is just (seed, iteration)."""

    seed: int
    """Of the run."""
    iteration: int
    rank: int = 0
    """Of the process that trains, where several do."""
    worker: int = 0
    """Which of the rank's workers plays; or :data:`BATCHES` or :data:`LEARNING`."""

    def generator(self, *within: int) -> torch.Generator:
        """A generator of this place's own; ``within`` tells several apart, each below 2**32 - 3."""
        rank = (_RANK, self.rank) if self.rank else ()
        return random_stream(self.seed, self.iteration, self.worker, *within, *rank)


def random_stream(seed: int, *place: int) -> torch.Generator:
    """A generator for each seed and sequence of numbers.

    Seeds below 2**128 and places of numbers below 2**32 stay apart up to the 32 bits that are all that
    torch's CPU generator starts from: two given places get the same stream by a chance of 1 in 2**32.
    """
    state = np.random.SeedSequence(seed, spawn_key=place).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))
