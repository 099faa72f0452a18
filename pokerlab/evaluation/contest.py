"""Matches of a run's agent against others, for the ``evaluate`` command."""

import time
from functools import lru_cache
from itertools import combinations
from typing import Any

from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.table import Table

from pokerlab.agents.base import Agent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.config.build import check_integer, check_output_path, check_positive
from pokerlab.errors import UserError
from pokerlab.evaluation.aivat import MOST_HANDS, CheckDown, TreeValues, ValueFunction
from pokerlab.evaluation.hand_histories import check_histories, write_histories
from pokerlab.evaluation.leagues import League
from pokerlab.evaluation.lineup import LBR, PLAYS, Lineup, Named
from pokerlab.evaluation.match_matrix import plot_matrix
from pokerlab.evaluation.matches import Estimate, Match, PlayedHand, play_match
from pokerlab.evaluation.plots import save
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.store.folder import RunFolder

MOST_TABLES = 16
"""Policies of agents that are remembered: a search agent's takes a while."""
AIVAT = ("both", "own", "none")
"""Whose strategies AIVAT uses: both agents', the first one's alone, or it is not used."""
VALUES = ("self_play", "check_down")
"""What positions are worth to AIVAT."""


def check_match(config: DictConfig) -> None:
    """Raises a UserError unless the ``match`` group can be used."""
    check_positive(config, "match.hands")
    check_integer(config, "match.lbr.from_street", least=0)
    match = config.match
    for key, choices in (("play", PLAYS), ("aivat", AIVAT), ("value_function", (None, *VALUES))):
        if match[key] not in choices:
            known = ", ".join("null" if choice is None else choice for choice in choices)
            raise UserError(f"match.{key} must be one of {known}, got {match[key]!r}")
    check_output_path(config.match, "histories", "match.")


def against(config: DictConfig) -> list[str]:
    """The names in ``match.against``."""
    value = config.match.against
    given = list(value) if isinstance(value, ListConfig) else [value]
    names = [str(name) for name in given if isinstance(name, str | int) and not isinstance(name, bool)]
    if not names or len(names) < len(given):
        raise UserError(f"match.against must name one agent, or several in a list, got {value!r}")
    if LBR in names and len(names) > 1:
        raise UserError(f"match.against: {LBR} responds to one agent, it cannot meet several")
    return names


def play(config: DictConfig, run: RunFolder, entrant: Named, lineup: Lineup) -> dict[str, Any]:
    """Plays everybody against everybody, prints what came of it, and draws the matrix.

    Args:
        config: of the command, with a ``match``.
        run: gets the picture.
        entrant: its agent.
        lineup: makes the others.

    Returns:
        ``matches`` and, of three agents or more, ``ranking``; chips and thousandths of a big blind a hand.
    """
    names, game = against(config), lineup.game
    others = [lineup.local_best_response(entrant) if name == LBR else lineup.named(name) for name in names]
    agents, console = [entrant, *others], Console()
    if len({agent.name for agent in agents}) < len(agents):
        raise UserError("match.against names an agent twice, or the run's own")
    histories = check_output_path(config.match, "histories", "match.")
    if histories:
        check_histories(histories, game)
    values = None
    if config.match.aivat != "none":
        values = value_function(config.match.value_function, game, *(agent.agent for agent in agents))
    history: list[PlayedHand] = []
    matches: dict[tuple[int, int], Match] = {}
    found: list[dict[str, Any]] = []
    for first, second in combinations(range(len(agents)), 2):
        pair = agents[first], agents[second]
        started = time.perf_counter()
        with console.status(f"{pair[0].name} against {pair[1].name}"):
            match = play_match(
                game,
                (pair[0].agent, pair[1].agent),
                config.match.hands,
                config.seed,
                values=values,
                known=(True, config.match.aivat == "both"),
                names=(pair[0].name, pair[1].name),
                keep=history.append if histories else None,
            )
        matches[first, second] = match
        found.append(_measured(config, game, pair, match, time.perf_counter() - started))
    if len(found) == 1:
        _show(console, game, found[0])
    if histories:
        write_histories(histories, game, history)
        console.print("histories:", str(histories), highlight=False, soft_wrap=True)
    results: dict[str, Any] = {"matches": found, "ranking": None}
    if len(agents) > 2:
        league = League([agent.name for agent in agents], matches)
        _show_all(console, game, found)
        results["ranking"] = _ranking(console, game, league)
        unit = 1000 / game.big_blind
        figure = plot_matrix(league.names, league.mean * unit, league.half_width * unit, "mbb/hand")
        path = save(figure, run.plots / "matches.png")
        console.print("plots:", str(path), highlight=False, soft_wrap=True)
    return results


def value_function(name: str | None, game: Game, *agents: Agent) -> ValueFunction:
    """What positions are worth to AIVAT.

    Args:
        name: ``self_play``, ``check_down``, or null: the first of the two that can be had.
        game: the rules.
        agents: self-play is that of the first that does not draw.

    Raises:
        UserError: that cannot be had.
    """
    tables = () if name == "check_down" else (_table(game, agent) for agent in agents)
    table = next((table for table in tables if table is not None), None)
    if table is not None:
        return TreeValues(game, table.table)
    if name == "self_play":
        raise UserError(
            "match.value_function=self_play needs a game of few hands, and an agent that does not draw: "
            "expected check_down, or match.aivat=none"
        )
    try:
        game.check_or_call(game.root())
    except NotImplementedError as error:
        raise UserError(
            f"AIVAT has nothing to value positions by, for {error}: use match.aivat=none"
        ) from error
    return CheckDown(game)


@lru_cache(MOST_TABLES)
def _table(game: Game, agent: Agent) -> TabularAgent | None:
    """The agent's policy on the whole game, if it can be had."""
    if agent.draws or not game.enumerable or game.num_hands > MOST_HANDS:
        return None
    whole = WholeGame(game)
    return TabularAgent.of(whole.forest, whole.policy(agent))


def exact_value(game: Game, first: Agent, second: Agent) -> float | None:
    """Chips a hand that the first agent wins of the second in the mean of both seats, if it can be had."""
    tables = [table.table for agent in (first, second) if (table := _table(game, agent)) is not None]
    if len(tables) < 2:
        return None
    values = []
    for pair in (tables, tables[::-1]):
        seats = {state: pair[game.actor(state)][state] for state in pair[0]}
        values.append(TreeValues(game, seats).value)
    return (values[0] - values[1]) / 2


def _measured(
    config: DictConfig, game: Game, pair: tuple[Named, Named], match: Match, seconds: float
) -> dict[str, Any]:
    exact = exact_value(game, pair[0].agent, pair[1].agent)
    return {
        "game": game.name,
        "agents": [agent.name for agent in pair],
        "deals": len(match.won),
        "hands": match.won.size,
        "seed": config.seed,
        "seconds": seconds,
        "aivat": config.match.aivat,
        "luck_cut": dict(zip(("hand", "deal"), cut, strict=True)) if (cut := match.luck_cut()) else None,
        **_told(game, match.result()),
        "raw": _told(game, match.raw()),
        "exact": exact,
        "positions": [_told(game, match.position(player)) for player in (0, 1)],
        "streets": [
            {"street": street, "hands": hands, **_told(game, part)}
            for street, (hands, part) in enumerate(match.streets())
        ],
    }


def _told(game: Game, estimate: Estimate) -> dict[str, float | None]:
    """Chips, and thousandths of a big blind."""
    unit = 1000 / game.big_blind
    some = estimate.half_width == estimate.half_width
    return {
        "chips": estimate.mean,
        "half_width": estimate.half_width if some else None,
        "deviation": estimate.deviation if some else None,
        "mbb": estimate.mean * unit,
        "mbb_half_width": estimate.half_width * unit if some else None,
    }


def _show(console: Console, game: Game, found: dict[str, Any]) -> None:
    first, second = found["agents"]
    title = f"{first} against {second}: {game.name}, {found['deals']:,} deals, each in both seats"
    table = Table("", "hands", "chips a hand", "mbb a hand", title=title, title_justify="left")

    def add(label: str, hands: int, told: dict[str, Any]) -> None:
        if told["half_width"] is None:
            table.add_row(label, f"{hands:,}", f"{told['chips']:.4f}", f"{told['mbb']:.1f}")
            return
        chips = f"{told['chips']:.4f} ± {told['half_width']:.4f}"
        table.add_row(label, f"{hands:,}", chips, f"{told['mbb']:.1f} ± {told['mbb_half_width']:.1f}")

    used = {"both": "AIVAT, both strategies known", "own": f"AIVAT, {first} known", "none": "won"}
    add(used[found["aivat"]], found["hands"], found)
    if found["aivat"] != "none":
        add("won", found["hands"], found["raw"])
    if found["exact"] is not None:
        mbb = found["exact"] * 1000 / game.big_blind
        table.add_row("exact", "", f"{found['exact']:.4f}", f"{mbb:.1f}")
    for player, told in enumerate(found["positions"]):
        add(f"as player {player}", found["deals"], told)
    for told in found["streets"]:
        add(f"ended on street {told['street'] + 1}", told["hands"], told)
    console.print(table)
    notes = f"± is 95 %; {found['seconds']:.1f} s"
    if cut := found["luck_cut"]:
        notes += f"; AIVAT cut the standard deviation of a hand {cut['hand']:.1f} times, of a deal played"
        notes += f" twice {cut['deal']:.1f} times"
    console.print(notes, highlight=False)


def _show_all(console: Console, game: Game, matches: list[dict[str, Any]]) -> None:
    deals = f"{matches[0]['deals']:,} deals a match, each in both seats; ± is 95 %"
    table = Table("first", "second", "mbb a hand", "exact", title=f"{game.name}: {deals}")
    for found in matches:
        exact = "" if found["exact"] is None else f"{found['exact'] * 1000 / game.big_blind:.1f}"
        half = "" if found["mbb_half_width"] is None else f" ± {found['mbb_half_width']:.1f}"
        table.add_row(*found["agents"], f"{found['mbb']:.1f}{half}", exact)
    console.print(table)


def _ranking(console: Console, game: Game, league: League) -> list[dict[str, Any]]:
    part, payoff = league.nash
    ranking = [
        {"agent": name, "elo": elo, "nash": nash, "chips_against_nash": chips}
        for name, elo, nash, chips in zip(
            league.names, league.elo.tolist(), part.tolist(), payoff.tolist(), strict=True
        )
    ]
    ranking.sort(key=lambda row: (-row["chips_against_nash"], -row["elo"]))
    table = Table("agent", "Elo", "Nash average", "chips a hand against it", title=f"{game.name}: ranking")
    for row in ranking:
        table.add_row(
            row["agent"], f"{row['elo']:.0f}", f"{row['nash']:.3f}", f"{row['chips_against_nash']:.4f}"
        )
    console.print(table)
    return ranking
