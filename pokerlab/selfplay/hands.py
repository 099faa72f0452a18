"""Plays many hands at once, a move of all of them at a time, and says what each decision brought.

No search and no beliefs: a player is asked about *information states*, a public state with the own hand. Of
those that several hands come to together, each is asked about once. What is told of them afterwards is
likewise one row for each: how often every action was taken and what came of it on average.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from pokerlab.games.base import CHANCE, TERMINAL, Bools, Floats, Ints
from pokerlab.selfplay.public_states import MOST_DEALS, PublicStates

Answers: TypeAlias = tuple[Floats, Floats]
"""``[m, A]`` probabilities of actions, and ``[m]`` what is expected in chips."""
Ask: TypeAlias = Callable[[PublicStates, Ints, Ints], Answers]
"""Asks a player about ``[m]`` public states with ``[m]`` hands."""
MOST_MARKS = 2**24
"""Information states of a game that are told apart by marking them."""


@dataclass(frozen=True, slots=True)
class Played:
    """Decisions of those who learn, by information state, ``n`` of them."""

    at: Ints
    """``[n]`` public states."""
    hand: Ints
    """``[n]`` of the player to act."""
    counts: Floats
    """``[n, A]`` how often each action was taken."""
    advantages: Floats
    """``[n, A]`` what it brought more than was expected there, the mean; 0 where it was not taken. Chips."""
    returns: Floats
    """``[n]`` what was to be expected there, as it turned out; the mean. Chips."""
    won: Floats
    """``[hands]`` chips that player 0 won."""


@dataclass(slots=True)
class _Decisions:
    """Of one level: who decided what, row by row."""

    row: Ints
    player: Ints
    at: Ints
    hand: Ints
    action: Ints
    expected: Floats
    ratio: Floats
    """Of the action's probability under the policy to that with exploration; 1 at most."""


def play_hands(
    states: PublicStates,
    seats: Sequence[tuple[Ask, Bools]],
    number: int,
    generator: torch.Generator,
    *,
    trace: float = 1.0,
    exploration: float = 0.0,
) -> Played:
    """Plays hands to their ends.

    Args:
        states: of the game.
        seats: who plays, and ``[number, 2]`` in which hands and seats; the first one learns.
        number: of hands.
        generator: source of all randomness.
        trace: λ of generalised advantage estimation (Schulman et al. 2016): 1 compares with what was paid
            at the end, 0 with what was expected at the own next decision.
        exploration: probability that the first player takes any legal action. What is told of a decision is
            what the policy would have brought after it, by truncated ratios (V-trace; Espeholt et al. 2018).
    """
    hands = states.draw_hands(_draw(generator, number))
    cards = _draw(generator, number, MOST_DEALS)
    at, deals = np.zeros(number, np.int64), np.zeros(number, np.int64)
    levels: list[_Decisions] = []
    while (going := (states.kind[at] != TERMINAL).nonzero()[0]).size:
        kind, luck = states.kind[at[going]], _draw(generator, len(going))
        rows = going[kind == CHANCE]
        if rows.size:
            dealt = states.deal(at[rows], hands[rows], cards[rows, deals[rows]])
            deals[rows] += 1
        acting = kind < CHANCE
        before, actors = going[acting], kind[acting]
        actions = np.zeros(len(before), np.int64)
        for seat, (ask, where) in enumerate(seats):
            chosen = where[before, actors].nonzero()[0]
            if not chosen.size:
                continue
            of, player = before[chosen], actors[chosen]
            held = hands[of, player]
            chances, expected = _ask_once(ask, states, at[of], held)
            played = chances
            if seat == 0 and exploration:
                legal = states.legal[at[of]]
                played = (1 - exploration) * chances + exploration * legal / legal.sum(1, keepdims=True)
            actions[chosen] = taken = _choose(played, luck[acting][chosen])
            if seat == 0:
                each = np.arange(len(of))
                ratio = np.minimum(chances[each, taken] / played[each, taken], 1)
                levels.append(_Decisions(of, player, at[of], held, taken, expected, ratio))
        after = states.act(at[before], actions) if before.size else before
        at[before] = after
        if rows.size:
            at[rows] = dealt
    won = states.pay(at, hands, cards)
    return _summarise(states, levels, won, trace)


def _draw(generator: torch.Generator, *shape: int) -> Floats:
    drawn: Floats = torch.rand(*shape, dtype=torch.float64, generator=generator).numpy()
    return drawn


def _ask_once(ask: Ask, states: PublicStates, at: Ints, hand: Ints) -> Answers:
    """Asks about each information state once."""
    keys, which = _distinct(at * states.game.num_hands + hand, len(states.kind) * states.game.num_hands)
    chances, expected = ask(states, *np.divmod(keys, states.game.num_hands))
    return chances[which], expected[which]


def _distinct(keys: Ints, most: int) -> tuple[Ints, Ints]:
    """The different ones of keys below ``most``, ascending, and which of them each is."""
    if most > MOST_MARKS:
        different, which = np.unique(keys, return_inverse=True)
        return different, which
    marks = np.zeros(most, np.bool_)
    marks[keys] = True
    different = marks.nonzero()[0]
    place = np.empty(most, np.int64)
    place[different] = np.arange(len(different))
    return different, place[keys]


def _choose(chances: Floats, fractions: Floats) -> Ints:
    """``[m]`` actions drawn from ``[m, A]`` probabilities; never one of probability 0."""
    cumulative = chances.cumsum(1)
    return (cumulative <= fractions[:, None] * cumulative[:, -1:]).sum(1)


def _summarise(states: PublicStates, levels: Sequence[_Decisions], won: Floats, trace: float) -> Played:
    number_of_actions, hands = states.game.num_actions, states.game.num_hands
    later = np.stack([won, -won], 1)  # [hands, 2] what is expected at the player's next decision, or paid
    gained = np.zeros_like(later)
    advantages: list[Floats] = []
    returned: list[Floats] = []
    for level in reversed(levels):
        where = level.row, level.player
        found = later[where] - level.expected + trace * gained[where]
        later[where], gained[where] = level.expected, level.ratio * found
        advantages.append(found)
        returned.append(level.expected + level.ratio * found)
    if not levels:
        empty = np.zeros(0, np.int64)
        nothing = np.zeros((0, number_of_actions))
        return Played(empty, empty, nothing, nothing, np.zeros(0), won)
    key = np.concatenate([level.at * hands + level.hand for level in levels])
    action = np.concatenate([level.action for level in levels])
    keys, which = _distinct(key, len(states.kind) * hands)
    cell, shape = which * number_of_actions + action, (len(keys), number_of_actions)
    counts = np.bincount(cell, minlength=len(keys) * number_of_actions).reshape(shape).astype(float)
    total = np.bincount(cell, np.concatenate(advantages[::-1]), len(keys) * number_of_actions).reshape(shape)
    returns = np.bincount(which, np.concatenate(returned[::-1]), len(keys)) / counts.sum(1)
    return Played(*np.divmod(keys, hands), counts, total / np.maximum(counts, 1), returns, won)
