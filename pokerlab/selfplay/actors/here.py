"""Self-play in the process that trains."""

from collections.abc import Mapping

from torch import nn

from pokerlab.selfplay.actors.base import Actor, Report, Reporter
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.place import Place


class Here:
    """Plays in this process, on the networks' device.

    Args:
        actor: the algorithm's.
    """

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.report: Report | None = None

    def generate(
        self, networks: nn.Module, n: int, place: Place, *stored: Mapping[str, Examples]
    ) -> Mapping[str, Examples]:
        """Plays ``n`` trajectories."""
        if isinstance(self.actor, Reporter):
            self.actor.report = self.report
        return self.actor.generate(networks, n, place, *stored)

    def close(self) -> None:
        """Nothing was started."""
