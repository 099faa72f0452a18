"""Sessions with an agent: who wins, what is told of it, and that no chip or hand is lost."""

import numpy as np
import pytest
from pokerkit import HandHistory

from pokerlab.agents.registry import make_agent
from pokerlab.evaluation.hand_histories import phh
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.play import Hand, Table


def play(table: Table, hands: int, seed: int) -> None:
    """Somebody who does anything."""
    draws = np.random.default_rng(seed)
    for _ in range(hands):
        hand = table.deal()
        while not hand.over:
            hand.act(str(draws.choice(hand.legal)))
        table.review(hand)


@pytest.mark.parametrize(("game", "hands"), [(Kuhn(), 200), (Leduc(), 80)], ids=["kuhn", "leduc"])
def test_against_an_equilibrium_one_wins_what_ones_decisions_lose(game: Game, hands: int) -> None:
    """In the mean of both seats: whatever else is won is luck."""
    table = Table(game, make_agent("equilibrium", game), seed=1)
    play(table, hands, seed=2)
    lost = np.array([sum(decision.lost for decision in review.decisions) for review in table.reviews])
    won = np.array([review.without_luck for review in table.reviews])
    difference = (won + lost).reshape(-1, 2).mean(1)  # of both seats
    assert abs(difference.mean()) < 4 * difference.std() / len(difference) ** 0.5 + 1e-3
    estimate, raw = table.won(), table.won(luck=True)
    assert estimate is not None
    assert raw is not None
    assert estimate.half_width < raw.half_width / 2
    assert raw.mean == pytest.approx(np.mean([hand.won for hand in table.hands]))
    assert all(review.left_out == 0 for review in table.reviews)
    for hand, review in zip(table.hands, table.reviews, strict=True):
        assert review.range.sum() == pytest.approx(1)
        assert review.range[hand.hands[1 - hand.player]] > 0
        for decision in review.decisions:
            assert decision.lost >= 0
            assert sum(decision.frequencies.values()) == pytest.approx(1)


def test_seats_change_and_the_same_seed_deals_the_same() -> None:
    tables = [Table(Leduc(), make_agent("call", Leduc()), seed=3) for _ in range(2)]
    for table in tables:
        play(table, 6, seed=4)
    first, second = (
        [(hand.player, hand.hands, hand.line.actions, hand.won) for hand in table.hands] for table in tables
    )
    assert first == second
    assert [player for player, *_ in first] == [0, 1] * 3


def river() -> Holdem:
    ranges = ("AKs,QQ,T9s,66", "KQ,JJ,98s,AJ")
    return Holdem("river", board="Td9d6hQc2s", pot=100, stack=200, bets=[[1]], ranges=ranges)


def test_a_street_of_hold_em_is_solved_to_review_it() -> None:
    """A hand that folds the nuts loses what calling with them is worth."""
    game = river()
    table = Table(game, make_agent("uniform", game), seed=1)
    for _ in range(20):
        hand = table.deal()
        while not hand.over:
            hand.act("fold" if "fold" in hand.legal else "check")
        table.review(hand)
    decisions = [decision for review in table.reviews for decision in review.decisions]
    folds = [decision for decision in decisions if decision.action == "fold"]
    assert all(decision.worth["fold"] == pytest.approx(0, abs=1e-6) for decision in folds)
    assert any(decision.lost > 10 for decision in folds)
    assert all(decision.lost >= 0 for decision in decisions)


def test_what_cannot_be_valued_is_left_out() -> None:
    """A turn has a river to come, and nothing here says what it is worth."""
    game = Holdem("turn", board="Td9d6hQc", pot=100, stack=200, bets=[[1]])
    table = Table(game, make_agent("call", game), seed=1)
    hand = table.deal()
    hand.act("check")
    while not hand.over:
        hand.act("check")
    review = table.review(hand)
    assert review.left_out == 1
    assert len(review.decisions) == 1  # on the river
    assert review.without_luck is not None


def test_hands_keep_every_chip_and_are_replayed_by_pokerkit() -> None:
    game = Holdem("hunl", stack=1000, bets=((0.5, 1), (1,)), most_raises=3)
    table, draws = Table(game, make_agent("uniform", game), seed=7), np.random.default_rng(8)
    hands: list[Hand] = []
    for _ in range(150):
        hand = table.deal()
        while not hand.over:
            hand.act(str(draws.choice(hand.legal)))
        hands.append(hand)
    assert [hand.number for hand in hands] == list(range(150))
    assert all(-1000 <= hand.won <= 1000 for hand in hands)
    for hand in hands[:25]:
        *_, end = HandHistory.loads(phh(game, hand.played("agent", "person"), hand.number))
        chips = [float(chips) for chips in end.payoffs]
        assert chips[hand.player] == pytest.approx(hand.won, abs=1e-6)
        assert sum(chips) == pytest.approx(0, abs=1e-6)


def test_what_is_not_legal_is_refused() -> None:
    table = Table(Kuhn(), make_agent("call", Kuhn()), seed=1)
    hand = table.deal()
    with pytest.raises(ValueError, match="'raise' is not legal: expected one of pass, bet"):
        hand.act("raise")
    with pytest.raises(ValueError, match="the hand is not over"):
        table.review(hand)
    while not hand.over:
        hand.act("pass")
    with pytest.raises(ValueError, match="'pass': the hand is over"):
        hand.act("pass")
