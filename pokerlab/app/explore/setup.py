"""What a page says of a spot, as a game of hold'em."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pokerlab.app.explore.networks import check_network
from pokerlab.games import names
from pokerlab.games.base import CHANCE, Floats
from pokerlab.games.holdem import Holdem
from pokerlab.games.tree_size import ARRAYS, too_large
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.spot import Spot, can_be_solved

STREETS = {3: "flop", 4: "turn", 5: "river"}
KEYS = {
    "board", "pot", "stack", "least_bet", "ranges", "bets", "ip_bets", "donk_bets", "most_raises", "target",
    "locks", "leaf", "iterations",
}  # fmt: skip
MOST_TARGET = 100.0
ITERATIONS, MOST_ITERATIONS = 200, 100_000
"""With a network's values."""
DTYPE = torch.float32
"""What games of many hands are solved in."""


def read_game(setup: Mapping[str, Any]) -> Holdem:
    """The game that a setup describes.

    Raises:
        ValueError: it is wrong; says what.
    """
    unknown = sorted(set(setup) - KEYS)
    if unknown:
        raise ValueError(f"unknown {unknown[0]!r}: expected {', '.join(sorted(KEYS))}")
    board = setup.get("board", "")
    cards = (
        len(board.replace(" ", "").replace(",", "").replace("10", "T")) // 2 if isinstance(board, str) else 0
    )
    if cards < min(STREETS):
        raise ValueError(f"choose a board of three to five cards: {cards} so far")
    least = setup.get("least_bet", 1)
    return Holdem(
        STREETS.get(cards, "board"),
        board=board,
        pot=setup.get("pot", 0),
        stack=setup.get("stack", 0),
        blinds=(least, least),
        ranges=setup.get("ranges", ("uniform", "uniform")),
        bets=setup.get("bets") or ((0.5, 1),),
        ip_bets=setup.get("ip_bets"),
        donk_bets=setup.get("donk_bets"),
        most_raises=setup.get("most_raises"),
    )


def read_target(setup: Mapping[str, Any]) -> float:
    """Percent of the pot."""
    target = setup.get("target", 0.5)
    if isinstance(target, bool) or not isinstance(target, int | float) or not 0 < target <= MOST_TARGET:
        raise ValueError(f"target must be a number above 0, in % of the pot, got {target!r}")
    return float(target)


def read_leaf(game: Holdem, setup: Mapping[str, Any]) -> tuple[str, int] | None:
    """The run whose network values what comes after the street, and iterations; None: all is played.

    Raises:
        ValueError: it learned something else, or nothing comes after the street.
    """
    name, iterations = setup.get("leaf"), setup.get("iterations", ITERATIONS)
    if name is None:
        return None
    if type(iterations) is not int or not 1 <= iterations <= MOST_ITERATIONS:
        raise ValueError(
            f"iterations must be a whole number from 1 to {MOST_ITERATIONS:,}, got {iterations!r}"
        )
    check_network(name)
    if setup.get("locks"):
        raise ValueError("locks are of games that are played to the end: leave out leaf, or the locks")
    if len(game.root().board) == max(STREETS):
        raise ValueError("leaf: nothing comes after a river: leave it out")
    return str(name), iterations


def read_locks(game: Holdem, setup: Mapping[str, Any]) -> dict[str, dict[str, Floats]]:
    """``{line: {action: [H] probability}}``, NaN for hands that are free.

    A setup's ``locks`` are lines, hands as a range (all, if there is none) and ``{action: probability}``; of
    those for one line, later ones hold.
    """
    found: dict[str, dict[str, Floats]] = {}
    given = setup.get("locks") or []
    if not isinstance(given, Sequence) or not all(isinstance(lock, Mapping) for lock in given):
        raise ValueError("locks must be a list of lines, hands and strategies")
    for lock in given:
        line, strategy = str(lock.get("line", "")), lock.get("strategy")
        if not isinstance(strategy, Mapping) or not strategy:
            raise ValueError(f"lock at {line!r}: expected how often each action is played")
        hands = game.deck.read_range(str(lock.get("hands") or "uniform")) > 0
        state = [game.root(), *(move.state for move in names.read_line(game, line))][-1]
        if game.actor(state) >= CHANCE:
            raise ValueError(f"lock at {line!r}: nobody acts there")
        legal = [names.action_name(game, state, action) for action in game.actions(state)]
        node = found.setdefault(line, {name: np.full(game.num_hands, np.nan) for name in legal})
        for name, chance in strategy.items():
            if name not in node:
                raise ValueError(
                    f"lock at {line!r}: {name!r} is no action there: expected {', '.join(legal)}"
                )
            if isinstance(chance, bool) or not isinstance(chance, int | float):
                raise ValueError(f"lock at {line!r}: expected numbers from 0 to 1, got {chance!r}")
        for name in legal:
            node[name][hands] = strategy.get(name, 0)
    return found


def measure(setup: Mapping[str, Any]) -> dict[str, Any]:
    """How large a spot is: public states, hands, bytes; and why it cannot be solved here, if it cannot."""
    game = read_game(setup)
    read_target(setup)
    locks = read_locks(game, setup)
    if read_leaf(game, setup):
        return _measure_street(game)
    states = game.count_states(isomorphism=not locks)
    solver = Solver(storage="full" if locks else "auto")
    a_state = solver.bytes_a_state(game, DTYPE, torch.device("cpu"))
    refused = too_large(states, game.num_hands, bytes_a_state=a_state, free=True)
    if refused is None and not can_be_solved(game, isomorphism=not locks):
        refused = f"about {states:,.4g} public states: more than can be built here"
    return _told(game, states, states * a_state, refused)


def _measure_street(game: Holdem) -> dict[str, Any]:
    """The same for the street alone."""
    states = build_tree(game, game.root(), depth_limited=True).num_states
    needed = states * game.num_hands * ARRAYS * DTYPE.itemsize
    return _told(game, states, needed, too_large(states, game.num_hands, free=True))


def _told(game: Holdem, states: float, needed: float, refused: str | None) -> dict[str, Any]:
    held = (game.initial_beliefs > 0) & game.possible_hands(game.root())
    return {
        "states": states, "bytes": needed, "hands": held.sum(1).tolist(), "refused": refused,
        "street": game.name,
    }  # fmt: skip


def describe(spot: Spot) -> dict[str, Any]:
    """The setup that a solved spot had, as far as the page can show it.

    Raises:
        ValueError: the spot is none of hold'em with a board.
    """
    game = spot.game
    if not isinstance(game, Holdem) or len(game.root().board) < min(STREETS) or len(game.deck.cards) != 52:
        raise ValueError(f"this file has a spot of {game.name}: the page shows hold'em from the flop on")
    arguments = game.arguments
    shown = {
        "board": game.deck.board_name(game.root().board),
        "pot": game.root().pot,
        "stack": game.root().stack,
        "least_bet": game.big_blind,
        "ranges": [str(text) for text in arguments.get("ranges", ("uniform", "uniform"))],
        "locks": [{"line": line, "file": True} for line in spot.locks],
    }
    kept = ("bets", "ip_bets", "donk_bets", "most_raises")
    return shown | {key: arguments[key] for key in kept if arguments.get(key) is not None}
