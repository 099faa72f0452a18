"""Who plays, and where: an algorithm's actor plays; actors are the places where it does."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.place import Place

Report = Callable[[float], None]
"""Is told which share of the work is done, as often as one likes."""


@runtime_checkable
class Actor(Protocol):
    """Plays, for an algorithm; is sent to other processes by pickle."""

    def generate(self, networks: Any, n: int, place: Place) -> Mapping[str, Examples]:
        """The examples of ``n`` trajectories, for each of the algorithm's streams.

        Args:
            networks: the module's, with the newest weights; on the device to play on.
            n: how many trajectories.
            place: all randomness comes from its generator.

        An algorithm whose streams have examples that self-play gets back
        (:class:`~pokerlab.selfplay.data.Stream`) has an actor that takes a fourth argument: of each of those
        streams, examples that earlier iterations added.
        """
        ...


@runtime_checkable
class Divisible(Protocol):
    """An actor some of whose trajectories hardly need networks, so that any core plays them as well."""

    def count_without_networks(self, n: int, iteration: int) -> int:
        """How many of the ``n`` trajectories of an iteration hardly need networks."""
        ...

    def without_networks(self) -> Actor:
        """Plays only such ones."""
        ...

    def with_networks(self) -> Actor:
        """Plays only others."""
        ...


@runtime_checkable
class Reporter(Protocol):
    """An actor, or actors, that tell how far they are."""

    report: Report | None
    """Is told; None: nobody is."""


@runtime_checkable
class Lagging(Protocol):
    """Actors elsewhere, which may play the next iteration while this process learns."""

    staleness: int
    """How many iterations old the weights are that they play with: 0, or 1."""


def check_staleness(staleness: int, workers: int) -> int:
    """Raises a ValueError if actors cannot play ahead."""
    if staleness not in (0, 1):
        raise ValueError(
            f"staleness must be 0 or 1, got {staleness}: actors are busy with one iteration at a time"
        )
    if staleness and not workers:
        raise ValueError("staleness needs workers, for the process that trains has no time to play")
    return staleness


@runtime_checkable
class Actors(Protocol):
    """Has an actor play: ``Actors(actor, **options)``, in this process or elsewhere.

    For one place and one number of workers every engine gives the same examples.
    """

    def generate(self, networks: Any, n: int, place: Place) -> Mapping[str, Examples]:
        """The examples of ``n`` trajectories that all workers play together, see :class:`Actor`; takes a
        fourth argument as that does, to be divided among the workers."""
        ...

    def close(self) -> None:
        """Ends what was started; nothing, if there is nothing."""
        ...
