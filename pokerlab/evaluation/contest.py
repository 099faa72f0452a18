"""Everybody against everybody, as results that JSON can hold."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from pokerlab.agents.base import Agent
from pokerlab.evaluation.aivat import CheckDown, TreeValues, ValueFunction
from pokerlab.evaluation.exact import exact_value, tabulate
from pokerlab.evaluation.leagues import League
from pokerlab.evaluation.lineup import Entrant
from pokerlab.evaluation.matches import Estimate, Match, PlayedHand, play_match
from pokerlab.evaluation.street_play import StreetPlay
from pokerlab.games.base import Game
from pokerlab.games.parts import table_play


@dataclass(frozen=True, slots=True)
class ContestSettings:
    """How matches are played and measured."""

    deals: int = 10_000
    """A match; each is played twice, seats swapped."""
    seed: int = 1
    aivat: Literal["both", "own", "none"] = "both"
    """Whose strategies AIVAT uses: both agents', the first one's alone, or it is not used."""
    value_function: Literal["self_play", "street_play", "check_down"] | None = None
    """What positions are worth to AIVAT; None: the first of these that can be had."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What came of it."""

    league: League
    matches: list[dict[str, Any]]
    """In chips and thousandths of a big blind a hand."""

    def ranking(self) -> list[dict[str, Any]] | None:
        """The agents from the best on, of three or more."""
        if len(self.league.names) < 3:
            return None
        part, payoff = self.league.nash
        ranking = [
            {"agent": name, "elo": elo, "nash": nash, "chips_against_nash": chips}
            for name, elo, nash, chips in zip(
                self.league.names, self.league.elo.tolist(), part.tolist(), payoff.tolist(), strict=True
            )
        ]
        return sorted(ranking, key=lambda row: (-row["chips_against_nash"], -row["elo"]))


def hold_contest(
    game: Game,
    entrants: Sequence[Entrant],
    settings: ContestSettings,
    *,
    keep: Callable[[PlayedHand], None] | None = None,
    watch: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> Contest:
    """Plays a match between each two agents.

    Args:
        game: the rules.
        entrants: at least two.
        settings: of all matches.
        keep: called with every hand, see :func:`play_match`.
        watch: shows which match is under way.

    Raises:
        ValueError: AIVAT has nothing to value positions by.
    """
    values = None
    if settings.aivat != "none":
        agents = [entrant.agent for entrant in entrants]
        values = value_function(settings.value_function, game, *agents, known=settings.aivat == "both")
    matches: dict[tuple[int, int], Match] = {}
    found = []
    for one, other in combinations(range(len(entrants)), 2):
        first, second = entrants[one], entrants[other]
        started = time.perf_counter()
        with watch(f"{first.name} against {second.name}"):
            matches[one, other] = play_match(
                game,
                (first.agent, second.agent),
                settings.deals,
                settings.seed,
                values=values,
                known=(True, settings.aivat == "both"),
                names=(first.name, second.name),
                keep=keep,
            )
        seconds = time.perf_counter() - started
        found.append(_describe(game, (first, second), settings, matches[one, other], seconds))
    return Contest(League([entrant.name for entrant in entrants], matches), found)


def value_function(name: str | None, game: Game, *agents: Agent, known: bool = True) -> ValueFunction:
    """What positions are worth to AIVAT.

    Args:
        name: ``self_play``, ``street_play``, ``check_down``, or None: the first of these that can be had.
        game: the rules.
        agents: self-play is that of the first that does not draw.
        known: whether both strategies are, as ``street_play`` needs.

    Raises:
        ValueError: that cannot be had.
    """
    if name == "street_play" and not known:
        raise ValueError("value_function=street_play needs both strategies: expected aivat=both")
    tables = () if name in ("street_play", "check_down") else (tabulate(game, agent) for agent in agents)
    table = next((table for table in tables if table is not None), None)
    if table is not None:
        return TreeValues(game, table.table)
    if name == "self_play":
        raise ValueError(
            "value_function=self_play needs a game of few hands, and an agent that does not draw: expected "
            "check_down, or aivat=none"
        )
    try:
        table_play(game)
    except ValueError as error:
        raise ValueError(f"aivat has nothing to value positions by, for {error}: expected none") from error
    return StreetPlay(game) if known and name != "check_down" else CheckDown(game)


def _describe(
    game: Game, pair: tuple[Entrant, Entrant], settings: ContestSettings, match: Match, seconds: float
) -> dict[str, Any]:
    return {
        "game": game.name,
        "agents": [entrant.name for entrant in pair],
        "deals": len(match.won),
        "hands": match.won.size,
        "seed": settings.seed,
        "seconds": seconds,
        "aivat": settings.aivat,
        "luck_cut": dict(zip(("hand", "deal"), cut, strict=True)) if (cut := match.luck_cut()) else None,
        **_in_units(game, match.result()),
        "raw": _in_units(game, match.raw()),
        "exact": exact_value(game, pair[0].agent, pair[1].agent),
        "positions": [_in_units(game, match.position(player)) for player in (0, 1)],
        "streets": [
            {"street": street, "hands": hands, **_in_units(game, part)}
            for street, (hands, part) in enumerate(match.streets())
        ],
    }


def _in_units(game: Game, estimate: Estimate) -> dict[str, float | None]:
    """Chips, and thousandths of a big blind."""
    unit = 1000 / game.big_blind
    known = estimate.half_width == estimate.half_width
    return {
        "chips": estimate.mean,
        "half_width": estimate.half_width if known else None,
        "deviation": estimate.deviation if known else None,
        "mbb": estimate.mean * unit,
        "mbb_half_width": estimate.half_width * unit if known else None,
    }
