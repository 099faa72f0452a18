"""How hands, actions and public lines are written and read, for any game.

A *line* is the public course of play from the game's root, in words::

    check bet 0.5 call | 2s | check bet 1        hold'em
    bet call | Qs | bet                          Leduc
    pass bet                                     Kuhn

At a decision comes the name of an action (bets are fractions of the pot, a raise's after calling), where
chance acts the cards that are dealt. Bars, commas and the case of letters mean nothing; the empty line is the
root.

A game that has the parts :class:`Names` and :class:`DealNames` has words of its own; others have
``action_labels`` and numbers.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from pokerlab.games.base import CHANCE, TERMINAL, Game, State

_State = TypeVar("_State", contravariant=True)


@runtime_checkable
class Names(Protocol[_State]):
    """What a game calls its hands, actions and deals: an optional part of a :class:`Game`."""

    def hand_name(self, hand: int) -> str:
        """A private hand, such as ``AhKd``."""

    def action_names(self, state: _State, action: int) -> Sequence[str]:
        """A legal action, such as ``bet 0.5``, then other words for it that are understood."""


@runtime_checkable
class DealNames(Protocol[_State]):
    """What a game calls chance's outcomes: an optional part of a :class:`Game`."""

    def outcome_names(self, outcome: _State) -> Sequence[str]:
        """What chance has just done to come to ``outcome``, such as ``2s``, then other words for it."""


@runtime_checkable
class RankNames(Protocol[_State]):
    """What a game calls hands and deals where suits do not matter: an optional part of a :class:`Game`."""

    def hand_rank(self, hand: int) -> str:
        """A private hand without its suit, such as ``Q``."""

    def outcome_rank(self, outcome: _State) -> str:
        """What chance has just done to come to ``outcome``, without the suit, such as ``Q on board``."""


class Move(NamedTuple, Generic[State]):
    """A step of a line."""

    action: int | None
    """None where chance acted."""
    state: State
    """What it led to."""


def hand_name(game: Game, hand: int) -> str:
    """What the game calls a hand; its number if it does not say."""
    return game.hand_name(hand) if isinstance(game, Names) else str(hand)


def action_name(game: Game[State], state: State, action: int) -> str:
    """What the game calls an action that is legal at ``state``."""
    return next(_action_names(game, state, action))


def outcome_name(game: Game[State], state: State, outcome: State) -> str:
    """What the game calls the step from ``state``, where chance acts, to ``outcome``."""
    if isinstance(game, DealNames):
        return str(game.outcome_names(outcome)[0])
    return f"deal-{game.chance_outcomes(state).index(outcome) + 1}"


def rank_of_hand(game: Game, hand: int) -> str:
    """What the game calls a hand where suits do not matter."""
    return game.hand_rank(hand) if isinstance(game, RankNames) else hand_name(game, hand)


def rank_of_outcome(game: Game[State], state: State, outcome: State) -> str:
    """What the game calls the step from a chance state to ``outcome``, where suits do not matter."""
    return game.outcome_rank(outcome) if isinstance(game, RankNames) else outcome_name(game, state, outcome)


def read_line(game: Game[State], text: str) -> list[Move[State]]:
    """The moves of a line, see the module.

    Raises:
        ValueError: a word is no legal action, or no card that can come; says which are.
    """
    words = [word for word in re.split(r"[\s|,]+", text) if word]
    state, moves = game.root(), list[Move[State]]()
    while words:
        actor = game.actor(state)
        if actor == TERMINAL:
            raise ValueError(f"line {text!r}: the game is over before {' '.join(words)!r}")
        options = _outcomes(game, state) if actor == CHANCE else _actions(game, state)
        move, length = _longest_match(options, words)
        if move is None:
            expected = _list_expected(game, state)
            raise ValueError(f"line {text!r}: at {words[0]!r} {expected}")
        moves.append(move)
        state, words = move.state, words[length:]
    return moves


def write_line(game: Game[State], moves: Sequence[Move[State]]) -> str:
    """The line in words; :func:`read_line` reads it."""
    state, words = game.root(), list[str]()
    for move in moves:
        if move.action is None:
            words.append(f"| {outcome_name(game, state, move.state)} |")
        else:
            words.append(action_name(game, state, move.action))
        state = move.state
    return " ".join(words).strip("| ").replace("| |", "|")


def _action_names(game: Game[State], state: State, action: int) -> Iterator[str]:
    if isinstance(game, Names):
        yield from game.action_names(state, action)
    yield game.action_labels[action]


def _actions(game: Game[State], state: State) -> Iterator[tuple[str, Move[State]]]:
    for action in game.actions(state):
        move = Move(action, game.next_state(state, action))
        for name in _action_names(game, state, action):
            yield name, move


def _outcomes(game: Game[State], state: State) -> Iterator[tuple[str, Move[State]]]:
    for number, outcome in enumerate(game.chance_outcomes(state), start=1):
        names = game.outcome_names(outcome) if isinstance(game, DealNames) else [f"deal-{number}"]
        for name in names:
            yield name, Move(None, outcome)


def _longest_match(
    options: Iterator[tuple[str, Move[State]]], words: Sequence[str]
) -> tuple[Move[State] | None, int]:
    """The move whose name is the longest that ``words`` begin with, and how many words that is."""
    best, length = None, 0
    for name, move in options:
        wanted = name.lower().split()
        if len(wanted) > length and [word.lower() for word in words[: len(wanted)]] == wanted:
            best, length = move, len(wanted)
    return best, length


def _list_expected(game: Game[State], state: State) -> str:
    if (actor := game.actor(state)) == CHANCE:
        first = next(_outcomes(game, state))[0]
        return f"cards are dealt: expected what can come, such as {first}"
    names = ", ".join(action_name(game, state, action) for action in game.actions(state))
    return f"player {actor} acts: expected one of {names}"
