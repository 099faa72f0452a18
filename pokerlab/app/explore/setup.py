"""What a page says of a spot, as a game of hold'em."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pokerlab.app.explore.networks import check_network
from pokerlab.games import names
from pokerlab.games.base import CHANCE, Floats
from pokerlab.games.bets import is_number
from pokerlab.games.holdem import Holdem
from pokerlab.games.holdem.arguments import MOST_CHIPS
from pokerlab.games.tree_size import ARRAYS, too_large
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.spot import Spot, can_be_solved

STREETS = {3: "flop", 4: "turn", 5: "river"}
KEYS = {
    "board", "pot", "stack", "least_bet", "ranges", "bets", "ip_bets", "donk_bets", "most_raises", "target",
    "locks", "leaf", "iterations", "force_all_in", "add_all_in",
}  # fmt: skip
MOST_TARGET = 100.0
MOST_KINDS, DIGITS = 12, 6
"""Different strategies of a node's lock that the page tells of; decimals of their probabilities."""
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
        stack=_effective(setup.get("stack", 0)),
        blinds=(least, least),
        ranges=setup.get("ranges", ("uniform", "uniform")),
        bets=setup.get("bets") or ((0.5, 1),),
        ip_bets=setup.get("ip_bets"),
        donk_bets=setup.get("donk_bets"),
        most_raises=setup.get("most_raises"),
        force_all_in=setup.get("force_all_in", 0),
        add_all_in=setup.get("add_all_in"),
    )


def _effective(stack: Any) -> Any:
    """The smaller of two stacks: what the other has beyond it is never in play."""
    if not isinstance(stack, list):
        return stack
    if len(stack) != 2 or not all(is_number(chips) and 0 < chips <= MOST_CHIPS for chips in stack):
        raise ValueError(f"stack must be one number of chips, or one of each player, got {stack!r}")
    return min(stack)


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
        if lock.get("file"):
            raise ValueError(
                f"lock at {line!r}: only the file has it, hand by hand: take it away to solve again"
            )
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
        "locks": [lock for line, given in spot.locks.items() for lock in _describe_lock(game, line, given)],
    }
    kept = ("bets", "ip_bets", "donk_bets", "most_raises", "force_all_in", "add_all_in")
    return shown | {key: arguments[key] for key in kept if arguments.get(key) is not None}


def _describe_lock(game: Holdem, line: str, given: Mapping[str, float | Floats]) -> list[dict[str, Any]]:
    """A lock as :func:`read_locks` takes it: hands that do the same together.

    If those are many, it is one that only the file has.
    """
    state = [game.root(), *(move.state for move in names.read_line(game, line))][-1]
    legal = [names.action_name(game, state, action) for action in game.actions(state)]
    held = (game.initial_beliefs[game.actor(state)] > 0) & game.possible_hands(state)
    strategy = np.array([np.broadcast_to(given.get(name, 0.0), held.shape) for name in legal]).round(DIGITS)
    locked = held & ~np.isnan(strategy).any(0)
    kinds = np.unique(strategy[:, locked], axis=1).T
    if len(kinds) > MOST_KINDS:
        return [{"line": line, "file": True}]
    found = []
    for kind in kinds:
        hands = locked & (strategy == kind[:, None]).all(0)
        text = "" if (hands == held).all() else game.deck.write_range(hands.astype(float))
        found.append({"line": line, "hands": text, "strategy": dict(zip(legal, kind.tolist(), strict=True))})
    return found
