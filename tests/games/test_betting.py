"""Compiled betting against a recursion that plays poker one action at a time."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET, Betting, BettingTree, Sizes, enumerate_betting


@dataclass(frozen=True)
class Hand:
    """A heads-up hand in the middle of a street, as a dealer sees it."""

    pot: float
    committed: tuple[float, float]
    behind: tuple[float, float]
    to_act: int
    line: tuple[int, ...] = ()
    acted_before: bool = False
    raises: int = 0
    big_blind: float = 0
    last_raise: float = 0

    def put_in(self, chips: float) -> "Hand":
        """The player to act puts in so many more."""
        first, second = (chips, 0.0) if self.to_act == 0 else (0.0, chips)
        return replace(
            self,
            committed=(self.committed[0] + first, self.committed[1] + second),
            behind=(self.behind[0] - first, self.behind[1] - second),
        )


def options(hand: Hand, bets: list[float], most_raises: int) -> dict[int, Hand]:
    """What the player to act can do, ascending, and the hand after that."""
    me, you = hand.to_act, 1 - hand.to_act
    owed = hand.committed[you] - hand.committed[me]
    called = hand.put_in(owed)
    found = {FOLD: hand} if owed > 0 else {}
    found[CALL] = called
    effective = min(called.behind[me], hand.behind[you])
    if hand.raises < most_raises and effective > 0:
        pot = hand.pot + sum(called.committed)
        for index, bet in enumerate(bets):
            by = bet * pot
            if max(hand.last_raise, hand.big_blind) <= by < effective:
                raised = replace(called.put_in(by), raises=hand.raises + 1, last_raise=by)
                found[SMALLEST_BET + index] = raised
        found[SMALLEST_BET + len(bets)] = replace(called.put_in(effective), raises=hand.raises + 1)
    return {action: replace(after, to_act=you, line=(*hand.line, action)) for action, after in found.items()}


def is_over(hand: Hand) -> bool:
    """Whether one has folded, or one has called and both have acted or nobody can any more."""
    both_acted = len(hand.line) + hand.acted_before >= 2
    final = both_acted or min(hand.behind) <= 0
    return hand.line[-1:] == (FOLD,) or (final and hand.line[-1:] == (CALL,))


def every_hand(hand: Hand, bets: list[float], most_raises: int) -> list[Hand]:
    """``hand`` and all that can follow, depth first."""
    found = [hand]
    if not is_over(hand):
        for after in options(hand, bets, most_raises).values():
            found += every_hand(after, bets, most_raises)
    return found


def start_of(hand: Hand) -> Betting:
    return Betting(
        pot=hand.pot,
        committed=hand.committed,
        limit=min(c + b for c, b in zip(hand.committed, hand.behind, strict=True)),
        player=hand.to_act,
        acted=hand.acted_before,
        raises=hand.raises,
        big_blind=hand.big_blind,
    )


def line_of(tree: BettingTree, node: int) -> tuple[int, ...]:
    above = int(tree.above[node])
    return () if above < 0 else (*line_of(tree, above), int(tree.action[node]))


# whole chips and binary fractions: sums are exact in any order
chips = st.integers(0, 300).map(float)
sizes = st.lists(st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.5, 2.0]), max_size=3, unique=True).map(sorted)


@st.composite
def hands(draw: st.DrawFn) -> Hand:
    """Starts of later streets, blinds before the flop, and a bet that waits for an answer."""
    behind, big_blind = (draw(chips), draw(chips)), float(draw(st.integers(1, 10)))
    player = draw(st.integers(0, 1))
    hand = Hand(draw(chips), (0, 0), behind, player, big_blind=big_blind)
    kind = draw(st.sampled_from(["later", "blinds", "bet"]))
    if kind == "later" or min(behind) < big_blind:
        return hand
    other = replace(hand, to_act=1 - player)
    if kind == "blinds":
        after = replace(other.put_in(big_blind), to_act=player, pot=0.0)
        return after.put_in(big_blind / 2)
    bet = float(draw(st.integers(int(big_blind), int(min(behind)))))
    return replace(other.put_in(bet), to_act=player, raises=1, last_raise=bet, acted_before=True)


@given(hand=hands(), bets=sizes, most_raises=st.integers(1, 4))
def test_the_tree_is_that_of_playing_every_line(hand: Hand, bets: list[float], most_raises: int) -> None:
    tree = enumerate_betting(start_of(hand), Sizes.all_the_time(bets, most_raises))
    played = every_hand(hand, bets, most_raises)
    assert [line_of(tree, node) for node in range(len(tree.above))] == [h.line for h in played]
    assert tree.committed.T.tolist() == [list(h.committed) for h in played]
    assert tree.raises.tolist() == [h.raises for h in played]
    assert tree.player.tolist() == [-1 if is_over(h) else h.to_act for h in played]


@given(hand=hands(), bets=sizes, most_raises=st.integers(1, 4))
def test_chips_are_conserved_and_raises_large_enough(hand: Hand, bets: list[float], most_raises: int) -> None:
    """By the dealer's rules alone, whatever the sizes."""
    start = start_of(hand)
    tree = enumerate_betting(start, Sizes.all_the_time(bets, most_raises))
    least = {0: max(hand.last_raise, hand.big_blind)}
    for node in range(1, len(tree.above)):
        above, action = int(tree.above[node]), int(tree.action[node])
        me, (before, after) = int(tree.player[above]), tree.committed.T[[above, node]]
        assert after[1 - me] == before[1 - me]
        assert before[me] <= after[me] <= hand.committed[me] + hand.behind[me]
        by, least[node] = after[me] - before[1 - me], least[above]
        if action == FOLD:
            assert after[me] == before[me] < before[1 - me]
        elif action == CALL:
            assert by == 0
        else:
            assert before[1 - me] < start.limit
            assert by >= least[above] or after[me] == start.limit
            least[node] = max(by, least[above])
    moves = list(zip(tree.above.tolist(), tree.action.tolist(), strict=True))
    raised_to = [
        (above, float(tree.committed[int(tree.player[above]), node]))
        for node, (above, action) in enumerate(moves)
        if action >= SMALLEST_BET
    ]
    assert len(set(raised_to)) == len(raised_to)
    assert (tree.raises <= most_raises).all()


def lines_below(tree: BettingTree, *line: int) -> dict[int, tuple[float, float]]:
    """Actions after a line, and what is committed then."""
    lines = [line_of(tree, node) for node in range(len(tree.above))]
    return {
        found[-1]: (float(tree.committed[0, node]), float(tree.committed[1, node]))
        for node, found in enumerate(lines)
        if found and found[:-1] == line
    }


def test_before_the_flop_the_big_blind_has_an_option_and_raises_by_two_at_least() -> None:
    """Blinds 1 and 2 with 20 behind the small blind: a pot is 4 after calling, half a pot too little."""
    blinds = Betting(0, (1, 2), 20, 0, acted=False, raises=0, big_blind=2)
    tree = enumerate_betting(blinds, Sizes.all_the_time([0.25, 1.0], 3))
    assert lines_below(tree) == {FOLD: (1, 2), CALL: (2, 2), 3: (6, 2), 4: (20, 2)}
    assert lines_below(tree, CALL) == {CALL: (2, 2), 3: (2, 6), 4: (2, 20)}
    assert lines_below(tree, CALL, CALL) == {}
    # a pot of 12 after calling: 3 more are fewer than the last raise of 4
    assert lines_below(tree, 3) == {FOLD: (6, 2), CALL: (6, 6), 3: (6, 18), 4: (6, 20)}
    # with 36 in the pot only all-in is left
    assert lines_below(tree, 3, 3) == {FOLD: (6, 18), CALL: (18, 18), 4: (20, 18)}
    assert lines_below(tree, 3, 3, 4) == {FOLD: (20, 18), CALL: (20, 20)}


@pytest.mark.parametrize("limit", [0, 3])
def test_who_is_all_in_cannot_be_raised(limit: float) -> None:
    tree = enumerate_betting(Betting(8, (limit, 0), limit, 1, True, 1, 2), Sizes.all_the_time([0.5], 3))
    assert lines_below(tree) == {CALL: (limit, limit)} | ({FOLD: (limit, 0)} if limit else {})


def test_a_size_that_reaches_the_stack_is_all_in_once() -> None:
    tree = enumerate_betting(Betting(10, (0, 0), 10, 0, False, 0, 1), Sizes.all_the_time([0.5, 1, 2], 1))
    assert lines_below(tree) == {CALL: (0, 0), SMALLEST_BET: (5, 0), SMALLEST_BET + 3: (10, 0)}


@given(st.floats(0.1, 1000), st.floats(0, 1000))
def test_rounding_decides_nothing(pot: float, committed: float) -> None:
    """A quarter of the pot after a bet of half the pot is as large as that bet; half can be all-in."""
    even, half = (committed, committed), (pot + 2 * committed) / 2
    deep = Betting(pot, even, 1e6, 0, False, 0, 0)
    assert 2 in lines_below(enumerate_betting(deep, Sizes.all_the_time([0.25, 0.5], 2)), 3)
    shallow = deep._replace(limit=committed + half)
    for limit in (shallow.limit, shallow.limit * (1 + 1e-13)):
        tree = enumerate_betting(shallow._replace(limit=limit), Sizes.all_the_time([0.5], 2))
        assert lines_below(tree).keys() == {CALL, 3}


def test_a_small_blind_that_calls_a_big_blind_all_in_ends_the_betting() -> None:
    start = Betting(0, (0.5, 1), limit=1, player=0, acted=False, raises=0, big_blind=1)
    tree = enumerate_betting(start, Sizes.all_the_time([1.0], 3))
    assert tree.action.tolist() == [-1, FOLD, CALL]
    assert tree.player.tolist() == [0, -1, -1]
