"""Rules, state by state, against OpenSpiel."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from dealing import dealt
from hypothesis import given
from hypothesis import strategies as st

from pokerlab.games.base import CHANCE, TERMINAL, Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import CALL, FOLD, RAISE, Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import network_features, openspiel_names

CARD_GAMES: list[Game] = [Kuhn(), Leduc()]
GAMES: list[Game] = [*CARD_GAMES, LiarsDice(1, 4), LiarsDice(2, 2)]
LARGE_GAMES: list[Game] = [LiarsDice(1, 6), LiarsDice(2, 3)]
HISTORIES = {
    "kuhn": 58 - (1 + 3),  # OpenSpiel counts the deals themselves as well: here, 1 + 3 of them
    "leduc": 9457 - (1 + 6),
    # each set of bids, and each but the empty one once more when it has been challenged
    "liars_dice_1x4f": 4**2 * (2 * 2**8 - 1),
    "liars_dice_2x2f": 3**2 * (2 * 2**8 - 1),
}


def paired_states(game: Game, hands: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """Every (our public state, OpenSpiel's state) below the root for one deal."""

    def walk(ours: Any, theirs: Any) -> Iterator[tuple[Any, Any]]:
        yield ours, theirs
        actor = game.actor(ours)
        if actor == TERMINAL:
            return
        if actor == CHANCE:
            boards = enumerate(game.chance_outcomes(ours))
            moves = {action: state for action, state in boards if action not in hands}.items()
        else:
            moves = {action: game.next_state(ours, action) for action in game.actions(ours)}.items()
        for action, below in moves:
            yield from walk(below, theirs.child(action))

    yield from walk(game.root(), dealt(game, hands))


def deals(game: Game) -> list[tuple[int, int]]:
    """Every pair of hands that can be dealt."""
    return [(first, second) for first, second in zip(*game.deal.nonzero(), strict=True)]


def check_state(game: Game, hands: tuple[int, int], ours: Any, theirs: Any) -> None:
    """Who acts, what may be done, what the player knows and what is paid are the same."""
    actor = game.actor(ours)
    assert (actor == TERMINAL) == theirs.is_terminal()
    assert (actor == CHANCE) == theirs.is_chance_node()
    if actor == TERMINAL:
        check_payoffs(game, hands, ours, theirs)
    elif actor == CHANCE:
        for action, probability in theirs.chance_outcomes():
            assert probability == pytest.approx(game.chance_probability(ours), abs=1e-15)
            possible = game.possible_hands(game.chance_outcomes(ours)[action])
            assert possible[list(hands)].all()
        assert {a for a, _ in theirs.chance_outcomes()} == set(range(game.num_hands)) - set(hands)
    else:
        assert actor == theirs.current_player()
        assert list(game.actions(ours)) == theirs.legal_actions()
        assert (
            openspiel_names(game).information_state(ours, hands[actor]) == theirs.information_state_string()
        )


def check_payoffs(game: Game, hands: tuple[int, int], ours: Any, theirs: Any) -> None:
    """Both players' returns, weighted by the deal, are the payoff operator's."""
    end = game.terminal(ours)
    operator = game.payoff_operator([end.payoff_kernel], torch.empty(0, dtype=torch.float64))
    for player in (0, 1):
        opponent = torch.zeros(1, 1, game.num_hands, dtype=torch.float64)
        opponent[..., hands[1 - player]] = 1
        value = operator(opponent)[0, 0, hands[player]].item() * end.chips[player]
        expected = theirs.returns()[player] * game.deal[hands]
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_every_state_of_every_deal_agrees(game: Game) -> None:
    histories = 0
    for hands in deals(game):
        for ours, theirs in paired_states(game, hands):
            histories += 1
            check_state(game, hands, ours, theirs)
    assert histories == HISTORIES[game.name]


@pytest.mark.parametrize("game", LARGE_GAMES, ids=lambda game: game.name)
@given(st.data())
def test_every_state_of_random_lines_agrees(game: Game, data: st.DataObject) -> None:
    hands = data.draw(st.sampled_from(deals(game)))
    ours, theirs = game.root(), dealt(game, hands)
    check_state(game, hands, ours, theirs)
    while game.actor(ours) != TERMINAL:
        action = data.draw(st.sampled_from(game.actions(ours)))
        ours, theirs = game.next_state(ours, action), theirs.child(action)
        check_state(game, hands, ours, theirs)


@pytest.mark.parametrize("game", CARD_GAMES, ids=lambda game: game.name)
def test_the_deal_is_a_distribution_without_equal_cards(game: Game) -> None:
    assert game.deal.sum() == pytest.approx(1, abs=1e-12)
    assert (game.deal.diagonal() == 0).all()


def test_named_lines_of_leduc_pay_what_the_rules_say() -> None:
    game = Leduc()

    def play(*actions: int, board: int | None = None) -> LeducState:
        state = game.root()
        for action in actions:
            if game.actor(state) == CHANCE:
                assert board is not None
                state = game.chance_outcomes(state)[board]
            state = game.next_state(state, action)
        return state

    assert game.terminal(play(RAISE, FOLD)).chips == (1, -1)
    assert game.terminal(play(RAISE, RAISE, FOLD)).chips == (-3, 3)
    assert game.terminal(play(CALL, CALL, CALL, CALL, board=0)).chips == (1, 1)
    assert game.terminal(play(RAISE, RAISE, CALL, RAISE, RAISE, CALL, board=0)).chips == (13, 13)
    assert game.pot(play(RAISE, RAISE, CALL)) == 10


def test_features_tell_the_decision_states_of_a_subgame_apart() -> None:
    from pokerlab.search.tree import build_tree

    for game in GAMES:
        root = game.root()
        trees = [build_tree(game, root, depth_limited=True)]
        trees += [build_tree(game, leaf, depth_limited=True) for leaf in trees[0].leaves.states]
        for tree in trees:
            rows = [tuple(network_features(game).features(state)) for state in tree.decisions.states]
            assert len(set(rows)) == len(rows)
            assert all(
                len(row) == network_features(game).num_features and max(map(abs, row)) <= 1 for row in rows
            )


@pytest.mark.parametrize(
    ("game", "decisions", "infosets"),
    [(Kuhn(), 4, 12), (Leduc(), 186, 936), (LiarsDice(1, 6), 4096, 24576), (LiarsDice(2, 3), 4096, 24576)],
    ids=lambda value: getattr(value, "name", None),
)
def test_numbers_of_public_decisions_and_infosets(game: Game, decisions: int, infosets: int) -> None:
    from pokerlab.search.tree import build_tree

    tree = build_tree(game, game.root(), depth_limited=False)
    assert len(tree.decisions) == decisions
    assert tree.boards[tree.decisions.board].sum() == infosets


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Kuhn(depth_limit=0), "depth_limit must be null or an integer of at least 1, got 0"),
        (lambda: Leduc(leaves="here"), "leaves must be before_deal or after_deal, got 'here'"),
        (lambda: LiarsDice(0, 4), "dice must be an integer of at least 1, got 0"),
        (lambda: LiarsDice(True, 4), "dice must be an integer of at least 1, got True"),
        (lambda: LiarsDice(1, 1), "faces must be an integer of at least 2, got 1"),
        (lambda: LiarsDice(1, 4, 0), "depth_limit must be null or an integer of at least 1, got 0"),
        (
            lambda: LiarsDice(1, 4, True),
            "depth_limit must be null or an integer of at least 1, got True",
        ),
    ],
)
def test_wrong_arguments_are_named(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
