"""Self-play in the process that trains."""

from collections.abc import Mapping

from torch import nn

from pokerlab.selfplay.actors.base import Actor
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.place import Place


class Here:
    """Plays in this process, on the networks' device.

    Args:
        actor: the algorithm's.
    """

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def generate(self, networks: nn.Module, n: int, place: Place) -> Mapping[str, Examples]:
        """Plays ``n`` trajectories."""
        return self.actor.generate(networks, n, place)

    def close(self) -> None:
        """Nothing was started."""
