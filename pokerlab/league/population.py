"""A population of a game of few hands: members whose policies are tables, and what they win of each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pokerlab.agents.stored_policy import FILE, agent_of, read_policy, write_policy
from pokerlab.agents.tabular import TabularAgent
from pokerlab.errors import UserError
from pokerlab.games.base import Floats, Ints
from pokerlab.league.folder import LeagueFolder, Member
from pokerlab.search.sequence_game import SequenceGame
from pokerlab.store.files import now


@dataclass(frozen=True)
class Mixture:
    """What a population plays together; each player picks members of its own accord, or by one draw."""

    strategy: Floats
    """``[E, H]`` as one behaviour policy."""
    weights: list[Floats] | None
    """How often each player picks each member, ``[M]`` a player; None: not members, but actions are mixed."""
    joint: Floats | None = None
    """``[M] * n`` the draw, where there is one; weights are its marginals."""


class Population:
    """The members of a league, as its folder has them.

    Args:
        folder: of the league.
        game: what they play.

    Raises:
        UserError: a member is gone, damaged or of another game, or the folder's files are damaged.
    """

    def __init__(self, folder: LeagueFolder, game: SequenceGame) -> None:
        self.folder, self.game = folder, game
        manifest = folder.read_manifest()
        if manifest["game"] != game.game.name:
            raise UserError(f"{folder.path} is a league of {manifest['game']}, not of {game.game.name}")
        self._agents: dict[int, TabularAgent] = {}
        self.rounds = folder.read_rounds()
        self.members = folder.read_members(len(self.rounds))
        self._row_actor = np.concatenate([np.arange(game.num_players), game.edge_actor])
        self._room = np.empty((16, len(self._row_actor), game.num_hands))
        self.plans = self._room[:0]
        """``[M, R, H]`` each member's realization plans, for all players."""
        self._payoffs = np.empty((game.num_players, *[0] * game.num_players))
        self._half_width, self._deals = (np.empty([0] * game.num_players) for _ in range(2))
        for member in self.members:
            self._keep(read_policy(folder.member(member.name) / FILE, game))
        for line in folder.read_results(len(self.members)):
            self._note(**line)

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

    def add(self, member: Member, strategy: Floats) -> None:
        """Takes in a member with its strategy ``[E, H]``, here and on disk.

        Raises:
            UserError: there is one of that name.
        """
        if any(member.name == other.name for other in self.members):
            raise UserError(f"there is a member {member.name} already: give another name")
        write_policy(self.folder.member(member.name) / FILE, self.game, strategy)
        self.folder.append(self.folder.members, asdict(member))
        self.members.append(member)
        self._keep(strategy)

    def _keep(self, strategy: Floats) -> None:
        number, plan = len(self.plans), self.game.reach(strategy)
        if number == len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[number] = plan
        self.plans = self._room[: number + 1]
        wider = [(0, 1)] * self.game.num_players
        self._payoffs = np.pad(self._payoffs, [(0, 0), *wider], constant_values=np.nan)
        self._half_width = np.pad(self._half_width, wider, constant_values=np.nan)
        self._deals = np.pad(self._deals, wider)

    # Results

    def payoffs(self, members: Sequence[int]) -> Floats:
        """``[n, m, …, m]`` what each player wins when players pick from ``members``; NaN where unknown."""
        players = range(self.game.num_players)
        found: Floats = self._payoffs[np.ix_(players, *[members for _ in players])]
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
            how: of matches, ``half_width`` ``[k]`` of the 95 % intervals, and ``deals``; else they are exact.
        """
        line = {"picks": picks.tolist(), "payoffs": payoffs.tolist(), **how}
        self.folder.append(self.folder.results, line)
        self._note(**line)

    def _note(
        self, picks: Any, payoffs: Any, half_width: Sequence[float] = (), deals: float = np.inf
    ) -> None:
        """Takes in results: exact ones replace what was played, matches add up."""
        at, new = tuple(np.array(picks).T), np.array(payoffs).T
        everyone = (slice(None), *at)
        if deals < np.inf:
            before = self._deals[at]
            share = deals / (before + deals)  # 0 where it is known exactly
            widths = np.where(before > 0, self._half_width[at] * (1 - share), 0)
            new = np.where(before > 0, self._payoffs[everyone] * (1 - share), 0) + share * new
            self._half_width[at] = np.hypot(widths, share * np.array(half_width))
            self._deals[at] = before + deals
        else:
            self._half_width[at], self._deals[at] = 0.0, np.inf
        self._payoffs[everyone] = new

    def deals(self, picks: Sequence[int]) -> float:
        """How many deals were played by members so picked; infinity: what they win is known exactly."""
        return float(self._deals[tuple(picks)])

    def half_width(self, picks: Sequence[int]) -> float:
        """Of the 95 % interval of what they win, in chips; NaN: nothing is known."""
        return float(self._half_width[tuple(picks)])

    def head_to_head(self) -> tuple[Floats, Floats]:
        """``[M, M]`` what the row's member wins against the column's in all other seats: the mean of seats.

        And half the width of the 95 % intervals, seats taken as independent; 0 where it is known exactly. NaN
        where nothing is known.
        """
        number, players = len(self.members), self.game.num_players
        own, other = np.indices((number, number))
        seats = [tuple(own if p == player else other for p in range(players)) for player in range(players)]
        won = sum((self._payoffs[(player, *seat)] for player, seat in enumerate(seats)), np.zeros(own.shape))
        squares = sum((self._half_width[seat] ** 2 for seat in seats), np.zeros(own.shape))
        return won / players, np.sqrt(squares) / players

    # Mixtures

    def agent(self, member: int) -> TabularAgent:
        """A member of a game of two players, at a table."""
        if member not in self._agents:
            self._agents[member] = agent_of(self.game, self.strategy(member))
        return self._agents[member]

    def strategy(self, member: int) -> Floats:
        """``[E, H]`` what a member plays."""
        return read_policy(self.folder.member(self.members[member].name) / FILE, self.game)

    def policy(self) -> Floats:
        """``[E, H]`` the best mixture so far; there must be a round."""
        return read_policy(self.folder.policy, self.game)

    def mix(self, members: Sequence[int], weights: list[Floats], joint: Floats | None = None) -> Mixture:
        """Mixes whole policies: own reach weighs what each plays."""
        spread = [np.zeros(len(self.members)) for _ in weights]
        for whole, own in zip(spread, weights, strict=True):
            whole[list(members)] = own
        reach = np.empty(self.plans.shape[1:])
        for player, own in enumerate(spread):
            picked = np.flatnonzero(own)
            rows = self._row_actor == player
            reach[rows] = np.tensordot(own[picked], self.plans[picked][:, rows], 1)
        if joint is not None:
            whole = np.zeros([len(self.members)] * len(weights))
            whole[np.ix_(*[members for _ in weights])] = joint
            joint = whole
        return Mixture(self.game.strategy_of(reach), spread, joint)

    def end_values(self, player: int, mixture: Mixture) -> Floats:
        """``[R, H]`` what a player's sequences win against a mixture.

        Where the others pick by one draw, they are met together.
        """
        if mixture.joint is None or self.game.num_players == 2:
            return self.game.end_values(player, self.game.reach(mixture.strategy))
        others = mixture.joint.sum(player)
        values = np.zeros(self.plans.shape[1:])
        for picks in np.argwhere(others > 0):
            together = self.together(player, picks)
            values += others[tuple(picks)] * self.game.end_values(player, together)
        return values

    def together(self, player: int, picks: Ints) -> Floats:
        """The plans of all players but one, each picking a member; the one's are not to be read."""
        plans = self.plans[0].copy()
        for other, pick in zip([p for p in range(self.game.num_players) if p != player], picks, strict=True):
            rows = self._row_actor == other
            plans[rows] = self.plans[pick][rows]
        return plans

    def correlated_gain(self, mixture: Mixture) -> float | None:
        """What players would gain by not following the draw, in sum: 0 in a coarse correlated equilibrium."""
        if mixture.joint is None:
            return None
        met = mixture.joint > 0
        own = (mixture.joint[met] * self._payoffs[:, met]).sum(1)
        best = [
            self.game.best_response(player, self.end_values(player, mixture))[0]
            for player in range(self.game.num_players)
        ]
        return float(sum(best) - own.sum())

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
        return min(self.rounds, key=lambda line: line["nash_conv"], default=None)


def named_weights(population: Population, mixture: Mixture) -> dict[str, list[float]]:
    """Each player's weight of each member that is picked, by the member's name."""
    if mixture.weights is None:
        return {}
    weights = np.array(mixture.weights)
    return {population.members[i].name: weights[:, i].tolist() for i in np.flatnonzero(weights.any(0))}
