"""Random hands, action by action, against pokerkit."""

import contextlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import comb
from random import Random

import pytest
import torch
from pokerkit import Automation, Card, NoLimitTexasHoldem, StandardHighHand, State

from pokerlab.games.base import CHANCE, TERMINAL, Terminal
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET
from pokerlab.games.holdem import Holdem, HoldemState

HANDS = 5_000
PARTS = 10
RULES = 10
"""Blinds, stacks and sizes of bets in each part."""
SCALE = 2**50
"""pokerkit's chips in one of ours, so that they are whole: sizes are binary fractions of pots."""
FRACTIONS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4]
BLINDS = [(50, 100), (50, 100), (1, 2), (5, 10), (1, 3), (0, 2)]
AUTOMATIONS = tuple(automation for automation in Automation if automation != Automation.HOLE_DEALING)
ANY_GAME = Holdem("any")
"""Its operators are those of all."""


@dataclass(frozen=True)
class Rules:
    """What a game's betting was configured with."""

    blinds: tuple[int, int]
    stack: int
    bets: list[list[list[float]]]
    """On each street, sizes for the first bet, for the first raise, …"""
    most_raises: int | None

    def game(self) -> Holdem:
        return Holdem(
            "random", stack=self.stack, blinds=self.blinds, bets=self.bets, most_raises=self.most_raises
        )

    def start(self) -> State:
        small, big = (blind * SCALE for blind in self.blinds)
        stack = self.stack * SCALE
        return NoLimitTexasHoldem.create_state(AUTOMATIONS, True, 0, (small, big), big, stack, 2)

    def raises_to(self, state: HoldemState, player: int) -> dict[str, float]:
        """What each size that is configured for this bet or raise comes to, whether or not it is allowed."""
        of_street = self.bets[min(len(state.actions), len(self.bets)) - 1]
        sizes = of_street[min(raises(state), len(of_street) - 1)]
        called = state.committed[1 - player]
        return {f"{size:g} pot": called + size * (state.pot + 2 * called) for size in sizes}

    def is_capped(self, state: HoldemState) -> bool:
        return self.most_raises is not None and raises(state) >= self.most_raises


def random_rules(rng: Random) -> Rules:
    """Such as the game takes: each size is large enough somewhere."""
    while True:
        rules = any_rules(rng)
        with contextlib.suppress(ValueError):
            rules.game()
            return rules


def any_rules(rng: Random) -> Rules:
    blinds = rng.choice(BLINDS)
    depth = rng.choice([1, 2, 5, 20, 60, 200])
    stack = rng.randint(blinds[1] * depth + 1, 2 * blinds[1] * depth)
    bets = [
        [sorted(rng.sample(FRACTIONS, rng.randint(1, 4))) for _ in range(rng.randint(1, 3))]
        for _ in range(rng.randint(1, 4))
    ]
    return Rules(blinds, stack, bets, rng.choice([None, None, 1, 2, 3]))


def raises(state: HoldemState) -> int:
    """Bets and raises on the street."""
    return sum(action >= SMALLEST_BET for action in state.actions[-1])


@pytest.fixture(autouse=True)
def _hands_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not sixteen times at each showdown, of which pokerkit's time consists."""
    evaluate = cache(StandardHighHand.from_game)

    def remembered(hole_cards: Sequence[Card], board_cards: Sequence[Card]) -> object:
        return evaluate(tuple(hole_cards), tuple(board_cards))

    monkeypatch.setattr(StandardHighHand, "from_game", remembered)


def deal(theirs: State, names: Sequence[str]) -> None:
    """Two cards each and the board; what is burnt comes from the rest."""
    hands, (*flop, turn, river), (*burnt, last) = names[:4], names[4:9], names[9:13]
    deck = [burnt[0], *flop, burnt[1], turn, burnt[2], river, last, *names[13:]]
    theirs.deck_cards = deque(Card.parse("".join([*hands, *deck])))
    theirs.deal_hole("".join(hands[:2]), 0)
    theirs.deal_hole("".join(hands[2:]), 1)


def check_state(game: Holdem, rules: Rules, ours: HoldemState, theirs: State) -> None:
    """Whose turn it is, chips, and what may be done: a size is left out only if pokerkit forbids it."""
    player, offered = game.actor(ours), game.actions(ours)
    behind = [ours.stack - committed for committed in ours.committed]
    assert player == theirs.actor_index
    assert len(ours.board) == len(list(theirs.get_board_cards(0)))
    assert game.pot(ours) * SCALE == theirs.total_pot_amount
    assert [chips * SCALE for chips in ours.committed] == theirs.bets
    assert [chips * SCALE for chips in behind] == theirs.stacks
    assert game.pot(ours) + sum(behind) == 2 * rules.stack

    assert (FOLD in offered) == theirs.can_fold()
    assert (CALL in offered) == theirs.can_check_or_call()
    least = theirs.min_completion_betting_or_raising_to_amount
    most = theirs.max_completion_betting_or_raising_to_amount
    allowed: dict[str, float] = {}
    if least is not None and most is not None and not rules.is_capped(ours):
        sizes = rules.raises_to(ours, player)
        allowed = {name: chips for name, chips in sizes.items() if least <= chips * SCALE < most}
        allowed["all-in"] = most / SCALE
    raised = [action for action in offered if action >= SMALLEST_BET]
    found = {game.action_labels[action]: game.next_state(ours, action).committed[player] for action in raised}
    assert found == allowed
    assert all(theirs.can_complete_bet_or_raise_to(int(chips * SCALE)) for chips in found.values())


def act(theirs: State, action: int, chips: float) -> None:
    """``chips``: what the player has then put in on the street."""
    if action == FOLD:
        theirs.fold()
    elif action == CALL:
        theirs.check_or_call()
    else:
        assert (chips * SCALE).is_integer()
        theirs.complete_bet_or_raise_to(int(chips * SCALE))


@dataclass(frozen=True)
class Played:
    """How a hand ended."""

    end: Terminal
    """On a complete board, whenever the betting ended."""
    hands: tuple[int, int]
    payoffs: tuple[float, float]
    """pokerkit's."""
    how: str


def play(game: Holdem, rules: Rules, rng: Random) -> Played:
    cards = rng.sample(range(len(game.deck.cards)), len(game.deck.cards))
    board = cards[4:9]
    ours, theirs = game.root(), rules.start()
    deal(theirs, [game.deck.cards[card] for card in cards])
    # of fold, call, bet, all-in: some hands are calm, so that every street is reached
    likely = rng.choice([(1, 4, 2, 0.2), (0.2, 6, 1, 0.01), (1, 1, 1, 1)])
    while (player := game.actor(ours)) != TERMINAL:
        if player == CHANCE:
            ours = ours.deal(tuple(board[len(ours.board) : game.boards[len(ours.actions)]]))
            continue
        check_state(game, rules, ours, theirs)
        actions = game.actions(ours)
        kinds = [3 if action == game.all_in else min(action, SMALLEST_BET) for action in actions]
        (action,) = rng.choices(actions, [likely[kind] for kind in kinds])
        ours = game.next_state(ours, action)
        act(theirs, action, ours.committed[player])

    assert not theirs.status
    first, second = (chips / SCALE for chips in theirs.payoffs)
    assert first + second == 0
    assert sum(theirs.stacks) == 2 * rules.stack * SCALE
    bets, hand_of = [street for street in ours.actions if street], game.deck.hand_of
    return Played(
        end=game.terminal(replace(ours, board=tuple(board))),
        hands=(int(hand_of[cards[0], cards[1]]), int(hand_of[cards[2], cards[3]])),
        payoffs=(first, second),
        how=f"{'fold' if bets[-1][-1] == FOLD else 'call'} on {len(bets)}",
    )


def paid(played: Sequence[Played], player: int) -> torch.Tensor:
    """``[n]`` what the payoff operators say that each hand pays."""
    game, number = ANY_GAME, torch.arange(len(played))
    reach = torch.zeros(len(played), 1, game.num_hands, dtype=torch.float64)
    reach[number, 0, torch.tensor([hand.hands[1 - player] for hand in played])] = 1
    outcome = game.payoff_operator([hand.end.payoff_kernel for hand in played], reach)(reach)
    own = torch.tensor([hand.hands[player] for hand in played])
    chips = torch.tensor([hand.end.chips[player] for hand in played], dtype=torch.float64)
    weight = 1 / (game.num_hands * comb(len(game.deck.cards) - 2, 2))
    return outcome[number, 0, own] * chips / weight


@pytest.mark.parametrize("part", range(PARTS))
def test_random_hands_are_played_and_paid_as_in_pokerkit(part: int) -> None:
    rng = Random(part)
    played: list[Played] = []
    for _ in range(RULES):
        rules = random_rules(rng)
        game = rules.game()
        played += [play(game, rules, rng) for _ in range(HANDS // PARTS // RULES)]
    for player in (0, 1):
        theirs = torch.tensor([hand.payoffs[player] for hand in played], dtype=torch.float64)
        torch.testing.assert_close(paid(played, player), theirs, rtol=1e-12, atol=1e-12)
    ways = Counter(hand.how for hand in played)
    assert {f"{how} on {street}" for how in ("fold", "call") for street in (1, 2, 3, 4)} <= ways.keys()


def test_cards_are_dealt_as_in_these_hands() -> None:
    for root in (ANY_GAME.root(), Holdem("turn", board="Td9d6hQc", pot=4, stack=8, blinds=(1, 1)).root()):
        called = root
        while ANY_GAME.actor(called) != CHANCE:
            called = ANY_GAME.next_state(called, CALL)
        dealt = ANY_GAME.chance_outcomes(called)
        assert list(dealt) == [called.deal(state.board[len(root.board) :]) for state in dealt]
        assert len(dealt) == comb(52 - len(root.board), 1 if root.board else 3)
