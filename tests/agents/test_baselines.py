"""Agents that know little, and a player of one hand: exact strategies, equities by brute force, refusals."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
import torch
from phevaluator.evaluator import evaluate_cards  # type: ignore[import-untyped]
from torch import Tensor

from pokerlab.agents.base import Agent, Player
from pokerlab.agents.baselines import AlwaysCall, AlwaysFold, EquityPlayer, Uniform
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.kuhn import BET, PASS, Kuhn, KuhnState
from pokerlab.games.leduc import CALL, CARDS, FOLD, RAISE, SUITS, Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice

KUHN, LEDUC = Kuhn(), Leduc()
BOTH_GAMES = pytest.mark.parametrize("game", [KUHN, LEDUC], ids=["kuhn", "leduc"])
TURN = Holdem("turn", board="Td9d6hQc", pot=200, stack=900, bets=[[0.5, 1.0]])
RIVER = Holdem("river", board="Td9d6hQc2s", pot=200, stack=900, bets=[[0.5, 1.0]])


def plays(agent: Agent[Any], state: Any) -> Tensor:
    """``[actions of the game, H]``."""
    assert isinstance(agent, Uniform | AlwaysCall | AlwaysFold | EquityPlayer)
    return agent.strategy_at(state)


def always(game: Game, action: int) -> Tensor:
    chances = torch.zeros(game.num_actions, game.num_hands, dtype=torch.float64)
    chances[action] = 1
    return chances


@BOTH_GAMES
def test_uniform_takes_every_legal_action_equally_often(game: Game) -> None:
    whole = WholeGame(game)
    assert (whole.policy(Uniform(game)) == whole.forest.uniform).all()
    for state in whole.states:
        chances, legal = plays(Uniform(game), state), list(game.actions(state))
        assert (chances[legal] == 1 / len(legal)).all()
        assert chances.sum().item() == pytest.approx(game.num_hands)


@pytest.mark.parametrize(
    ("line", "called", "folded"), [((), PASS, PASS), ((PASS,), PASS, PASS), ((BET,), BET, PASS),
                                   ((PASS, BET), BET, PASS)]
)  # fmt: skip
def test_in_kuhn_poker_one_calls_with_a_bet_and_folds_with_a_pass(
    line: tuple[int, ...], called: int, folded: int
) -> None:
    assert (plays(AlwaysCall(KUHN), KuhnState(line)) == always(KUHN, called)).all()
    assert (plays(AlwaysFold(KUHN), KuhnState(line)) == always(KUHN, folded)).all()


def test_in_leduc_only_a_bet_is_folded_to() -> None:
    facing = 0
    for state in WholeGame(LEDUC).states:
        is_facing = state.committed[0] != state.committed[1]
        facing += is_facing
        assert (plays(AlwaysCall(LEDUC), state) == always(LEDUC, CALL)).all()
        assert (plays(AlwaysFold(LEDUC), state) == always(LEDUC, FOLD if is_facing else CALL)).all()
    assert facing > 100


@pytest.mark.parametrize("agent", [AlwaysCall, AlwaysFold, EquityPlayer])
def test_without_calling_and_folding_there_is_no_such_baseline(agent: type[AlwaysCall[Any]]) -> None:
    game = LiarsDice(1, 3)
    with pytest.raises(ValueError, match=r"liars_dice_1x3f has no (calling|folding)"):
        agent(game)


def test_in_liars_dice_there_is_still_the_uniform_one() -> None:
    game = LiarsDice(1, 3)
    assert (plays(Uniform(game), game.root())[:-1] == 1 / 6).all()


# Equity


def leduc_equity(hand: int, board: int | None) -> float:
    """Over the other's cards and, before the deal, boards."""

    def strength(card: int, on: int) -> int:
        return card // SUITS + CARDS * (card // SUITS == on // SUITS)

    shares = []
    for other in set(range(CARDS)) - {hand, board}:
        for on in set(range(CARDS)) - {hand, other} if board is None else {board}:
            own, theirs = strength(hand, on), strength(other, on)
            shares.append((own > theirs) + (own == theirs) / 2)
    return sum(shares) / len(shares)


def test_leduc_equities_are_shares_of_all_cards_to_come() -> None:
    agent = EquityPlayer(LEDUC)
    for state in WholeGame(LEDUC).states:
        equity = agent._equity(state)
        for hand in LEDUC.possible_hands(state).nonzero()[0].tolist():
            assert equity[hand].item() == pytest.approx(leduc_equity(hand, state.board), abs=1e-12)


@pytest.mark.parametrize("hand", [0, 1, 2])
def test_kuhn_equities_are_shares_of_lower_cards(hand: int) -> None:
    assert EquityPlayer(KUHN)._equity(KUHN.root())[hand].item() == pytest.approx(hand / 2, abs=1e-12)


def holdem_equity(hand: Sequence[int], board: Sequence[int]) -> float:
    """phevaluator's ranks, 1 the best, over the other's hands and what may be dealt."""
    total = share = 0.0
    rest = [card for card in range(52) if card not in (*hand, *board)]
    for more in combinations(rest, 5 - len(board)):
        full = [*board, *more]
        own = evaluate_cards(*full, *hand)
        for other in combinations([card for card in rest if card not in more], 2):
            theirs = evaluate_cards(*full, *other)
            total += 1
            share += (own < theirs) + (own == theirs) / 2
    return share / total


@pytest.mark.parametrize(
    ("game", "names"),
    [(RIVER, ["KdJd", "AsAh", "3c2c", "8s7s", "Qd9s", "5c3h"]), (TURN, ["KdJd", "3c2c"])],
    ids=["river", "turn"],
)
def test_hold_em_equities_are_shares_of_all_hands_and_boards(game: Holdem, names: list[str]) -> None:
    state = game.root()
    equity = EquityPlayer(game)._equity(state)
    for name in names:
        cards = game.deck.read_cards(name)
        hand = int(game.deck.hand_of[cards[0], cards[1]])
        assert equity[hand].item() == pytest.approx(holdem_equity(cards, state.board), abs=1e-12)


def after(game: Holdem, *actions: int) -> HoldemState:
    state = game.root()
    for action in actions:
        state = game.next_state(state, action)
    return state


HALF, POT, ALL_IN = 2, 3, 4


@pytest.mark.parametrize(
    ("actions", "price", "strong"),
    [
        ((), None, POT),
        ((HALF,), 100 / 400, POT),
        ((POT,), 200 / 600, POT),
        ((POT, HALF), 300 / 1200, ALL_IN),  # a pot would be 1,100 of 900 chips
        ((ALL_IN,), 900 / 2000, None),
    ],
    ids=["first to act", "half a pot", "a pot", "a raise", "all-in"],
)
def test_it_folds_below_the_pot_odds_and_raises_above_its_threshold(
    actions: tuple[int, ...], price: float | None, strong: int | None
) -> None:
    state, agent = after(RIVER, *actions), EquityPlayer(RIVER, raises_from=0.7)
    chances, equity = plays(agent, state), agent._equity(state)
    for hand in RIVER.possible_hands(state).nonzero()[0].tolist():
        if price is not None and equity[hand] < price:
            expected = 0
        elif strong is not None and equity[hand] >= 0.7:
            expected = strong
        else:
            expected = 1
        assert chances[:, hand].tolist() == [float(action == expected) for action in range(5)]
    assert (equity < (price or 0.3)).any()
    assert (equity > 0.7).any()


def test_it_goes_all_in_if_nothing_else_is_left() -> None:
    game = Holdem("short", board="Td9d6hQc2s", pot=200, stack=90, bets=[[0.5, 1.0]])
    state, agent = game.root(), EquityPlayer(game, raises_from=0.7)
    assert game.actions(state) == (1, ALL_IN)
    strong = agent._equity(state) >= 0.7
    assert (plays(agent, state)[ALL_IN] == strong.double()).all()


@pytest.mark.parametrize("line", [(), (PASS,), (BET,), (PASS, BET)])
def test_in_kuhn_poker_its_king_bets_and_calls_and_its_jack_folds(line: tuple[int, ...]) -> None:
    chances = plays(EquityPlayer(KUHN), KuhnState(line))
    assert chances[:, 2].tolist() == [0, 1]
    assert chances[:, 0].tolist() == [1, 0]
    assert chances[:, 1].tolist() == ([0, 1] if BET in line else [1, 0])  # 1/2 is more than 1/4


def test_what_an_equity_player_remembers_goes_with_its_seat() -> None:
    agent, whole = EquityPlayer(LEDUC, raises_from=0.4), WholeGame(LEDUC)
    found = agent.sit_down(0, 0).strategies(whole.lines)
    assert (found == torch.stack([plays(EquityPlayer(LEDUC, 0.4), state) for state in whole.states])).all()
    assert not agent._known


# One hand


def test_a_player_plays_a_whole_hand_of_leduc() -> None:
    player = Player(LEDUC, EquityPlayer(LEDUC), player=1, hand=4)
    assert player.state == LeducState()
    player.observe(CALL)
    assert player.distribution() == {CALL: 0, RAISE: 1}  # a king
    player.observe(RAISE)
    player.observe(CALL)
    player.observe(LEDUC.chance_outcomes(player.state)[5])
    player.observe(RAISE)
    assert player.distribution() == {FOLD: 0, CALL: 0, RAISE: 1}  # a pair of them
    player.observe(RAISE)
    player.observe(CALL)
    assert player.state == LeducState(((CALL, RAISE, CALL), (RAISE, RAISE, CALL)), (11, 11), board=5)
    assert LEDUC.terminal(player.state).chips == (11, 11)
    with pytest.raises(ValueError, match="1 cannot come: the hand is over at LeducState"):
        player.observe(CALL)
    with pytest.raises(ValueError, match="player 1 is not to act"):
        player.distribution()


@pytest.mark.parametrize(
    "agent",
    [Uniform(LEDUC), AlwaysCall(LEDUC), AlwaysFold(LEDUC), EquityPlayer(LEDUC)],
    ids=lambda a: type(a).__name__,
)
def test_a_players_distribution_is_over_the_legal_actions(agent: Agent[LeducState]) -> None:
    for line in WholeGame(LEDUC).lines[::5]:
        for hand in LEDUC.possible_hands(line.state).nonzero()[0].tolist():
            player = Player(LEDUC, agent, LEDUC.actor(line.state), hand)
            for state, action in zip(line.states[1:], line.actions, strict=True):
                player.observe(state if action < 0 else action)
            found = player.distribution()
            assert tuple(found) == LEDUC.actions(line.state)
            assert sum(found.values()) == pytest.approx(1)


def test_what_cannot_happen_is_refused() -> None:
    player = Player(LEDUC, Uniform(LEDUC), player=0, hand=0)
    with pytest.raises(ValueError, match="action 0 is not legal: expected one of 1, 2"):
        player.observe(FOLD)
    player.observe(CALL)
    with pytest.raises(ValueError, match=r"player 0 is not to act at LeducState\(rounds=\(\(1,\),\)"):
        player.distribution()
    player.observe(CALL)
    with pytest.raises(ValueError, match="1 is not a deal that can come after LeducState"):
        player.observe(CALL)
    with pytest.raises(ValueError, match="is not a deal that can come after LeducState"):
        player.observe(LeducState(((CALL, CALL), ()), (3, 3), board=2))
    with pytest.raises(ValueError, match="player 0 is not to act"):
        player.distribution()
    player.observe(LeducState(((CALL, CALL), ()), (1, 1), board=2))
    assert player.distribution() == {CALL: 0.5, RAISE: 0.5}
