"""Populations: members, what they win of each other, and rounds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.errors import UserError
from pokerlab.games.base import Floats, Game, Ints
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.league.folder import LeagueFolder, Member, best_round
from pokerlab.league.opponents import StoredOpponent
from pokerlab.league.payoffs import Payoffs
from pokerlab.store.files import now
from pokerlab.store.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What a population plays together; each player picks members of its own accord, or by one draw."""

    weights: list[Floats] | None
    """How often each player picks each member, ``[M]`` a player; None: not members, but actions are mixed."""
    joint: Floats | None = None
    """``[M] * n`` the draw, where there is one; weights are its marginals."""


class Population(ABC):
    """The members of a league, as its folder has them.

    Args:
        folder: of the league.
        rules: of the game that they play.

    Raises:
        UserError: the folder's files are damaged, or of another game.
    """

    def __init__(self, folder: LeagueFolder, rules: Game | ManyPlayerGame) -> None:
        self.folder, self.rules = folder, rules
        manifest = folder.read_manifest()
        if manifest["game"] != rules.name:
            raise UserError(f"{folder.path} is a league of {manifest['game']}, not of {rules.name}")
        self._agents: dict[int, Agent] = {}
        self.rounds = folder.read_rounds()
        self.members = folder.read_members(len(self.rounds))
        if self.rounds and len(self.members) < (told := self.rounds[-1]["members"]):
            raise UserError(f"{folder.members} is damaged: it has {len(self.members)} of {told} members")
        self._known = Payoffs(self.num_players, len(self.members))
        for line in folder.read_results(len(self.members)):
            self._known.note(**line)

    @property
    def num_players(self) -> int:
        """Who pick members."""
        return self.rules.num_players if isinstance(self.rules, ManyPlayerGame) else 2

    def take_over(self) -> None:
        """Drops what a killed driver has left of a round that does not count; only the driver may."""
        self.folder.rewrite(self.members, self.folder.read_results(len(self.members)), self.rounds)

    def active(self, number: int) -> list[int]:
        """Who can be picked in a round: whom the one before kept, and who came since then."""
        over = number < len(self.rounds)
        members = self.rounds[number]["members"] if over else len(self.members)
        if not number:
            return list(range(members))
        before = self.rounds[number - 1]
        return [*before["kept"], *range(before["members"], members)]

    def newest(self, origin: str | None) -> int | None:
        """The newest member of an origin; None: there is none."""
        found = (number for number, member in enumerate(self.members) if member.origin == origin)
        return max(found, default=None)

    def add(self, member: Member, policy: Any) -> None:
        """Takes in a member with what it plays, here and on disk.

        Raises:
            UserError: there is one of that name.
        """
        if any(member.name == other.name for other in self.members):
            raise UserError(f"there is a member {member.name} already: give another name")
        self._keep(member, policy)
        self.folder.append(self.folder.members, asdict(member))
        self.members.append(member)
        self._known.add_member()

    @abstractmethod
    def _keep(self, member: Member, policy: Any) -> None:
        """Writes what a member plays, the newest one from now on."""

    # Results

    def payoffs(self, members: Sequence[int]) -> Floats:
        """``[n, m, …, m]`` what each player wins when players pick from ``members``; NaN where unknown."""
        players = range(self.num_players)
        found: Floats = self._known.payoffs[np.ix_(players, *[members for _ in players])]
        return found

    def missing(self, members: Sequence[int]) -> Ints:
        """``[k, n]`` the picks of which nothing is known."""
        gaps = np.argwhere(np.isnan(self.payoffs(members)[0]))
        found: Ints = np.array(members, dtype=np.int64)[gaps]
        return found

    def record(self, picks: Ints, payoffs: Floats, **how: Any) -> None:
        """Adds results, here and on disk.

        Args:
            picks: ``[k, n]`` whom each player picks.
            payoffs: ``[k, n]`` what each player wins, in chips.
            how: of matches, ``half_width`` ``[k]`` of the 95 % intervals, ``deals``, and ``seats`` that were
                played ``together``; else they are exact.
        """
        line = {"picks": picks.tolist(), "payoffs": payoffs.tolist(), **how}
        self.folder.append(self.folder.results, line)
        self._known.note(**line)

    def deals(self, picks: Sequence[int]) -> float:
        """How many deals were played by members so picked; infinity: what they win is known exactly."""
        return float(self._known.deals[tuple(picks)])

    def half_width(self, picks: Sequence[int]) -> float:
        """Of the 95 % interval of what they win, in chips; NaN: nothing is known."""
        return float(self._known.half_width[tuple(picks)])

    def payoff(self, picks: Sequence[int]) -> float:
        """What the first player wins when players pick so, in chips; NaN: nothing is known."""
        return float(self._known.payoffs[(0, *picks)])

    def head_to_head(self) -> tuple[Floats, Floats]:
        """Who wins what of whom, see :meth:`pokerlab.league.payoffs.Payoffs.head_to_head`."""
        return self._known.head_to_head()

    # Agents

    def check_members(self) -> None:  # noqa: B027 (most are read at once)
        """Reads what a league that goes on needs of its members.

        Raises:
            UserError: one is gone, damaged or of another game.
        """

    def agent(self, member: int) -> Agent:
        """A member of a game of two players, at a table."""
        if member not in self._agents:
            self._agents[member] = self._find_agent(member)
        return self._agents[member]

    @abstractmethod
    def _find_agent(self, member: int) -> Agent: ...

    @abstractmethod
    def agent_of(self, mixture: Any) -> Agent:
        """A mixture at a table; of two players."""

    @abstractmethod
    def best_agent(self) -> Agent:
        """The best mixture so far, likewise; there must be a round."""

    # Mixtures

    @abstractmethod
    def mix(self, members: Sequence[int], weights: list[Floats], joint: Floats | None = None) -> Mixture:
        """Mixes whole policies, given ``[m]`` weights a player: own reach weighs what each plays."""

    @abstractmethod
    def keep_best(self, mixture: Any) -> None:
        """Writes a mixture as the best so far."""

    @abstractmethod
    def strength(self, mixture: Any) -> dict[str, Any]:
        """What a round's line says of a mixture's strength, exactly: ``nash_conv`` and what goes with it.

        Raises:
            ValueError: the game is too large.
        """

    @abstractmethod
    def responses(self, mixture: Any, proposed: Sequence[int]) -> dict[str, Any]:
        """What a round's line says of how well new members do against the last mixture, if there is one."""

    @abstractmethod
    def learned(self, agent: InfostateAgent) -> Any:
        """What a member plays for whom a network was trained, as :meth:`add` takes it."""

    @abstractmethod
    def responder(self, mixture: Any, from_street: int) -> Any:
        """The local best response to a mixture, which checks and calls before some street, likewise."""

    @abstractmethod
    def trained(self, run: RunFolder, way: str, *, greedy: bool) -> Any:
        """What a member plays that is a training run, likewise.

        Args:
            run: its folder, which is the member's.
            way: of playing.
            greedy: whether it always takes the likeliest action, where that can be said of it.

        Raises:
            UserError: its last checkpoint is gone or damaged.
        """

    @abstractmethod
    def opponent(self, mixture: Any) -> StoredOpponent:
        """A mixture as training runs take it."""

    def exploitability(self, policy: Any) -> float | None:
        """NashConv / players, in chips, of what a member plays; None: it is not known."""
        return None

    @abstractmethod
    def first(self, name: str) -> Any:
        """What the first member plays that has this name.

        Raises:
            ValueError: there is no such policy.
        """

    def _spread(
        self, members: Sequence[int], weights: list[Floats], joint: Floats | None
    ) -> tuple[list[Floats], Floats | None]:
        """``[M]`` a player, and ``[M] * n``."""
        spread = [np.zeros(len(self.members)) for _ in weights]
        for whole, own in zip(spread, weights, strict=True):
            whole[list(members)] = own
        if joint is None:
            return spread, None
        together = np.zeros([len(self.members)] * len(weights))
        together[np.ix_(*[members for _ in weights])] = joint
        return spread, together

    # Rounds

    def commit(self, **line: Any) -> dict[str, Any]:
        """Writes a round's line: it counts from now on."""
        whole = {"round": len(self.rounds), "timestamp": now(), "members": len(self.members), **line}
        self.folder.append(self.folder.rounds, whole)
        self.rounds.append(whole)
        return whole

    @property
    def best(self) -> dict[str, Any] | None:
        """The round whose mixture is least exploitable."""
        return best_round(self.rounds)


def named_weights(population: Population, mixture: Mixture) -> dict[str, list[float]]:
    """Each player's weight of each member that is picked, by the member's name."""
    if mixture.weights is None:
        return {}
    weights = np.array(mixture.weights)
    return {population.members[i].name: weights[:, i].tolist() for i in np.flatnonzero(weights.any(0))}
