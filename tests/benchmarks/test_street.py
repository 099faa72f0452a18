"""The synthetic street: payoffs against sums over pairs of hands, betting rules, a game that CFR solves."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.street import FOLD_KERNEL, SHOWDOWN_KERNEL, Street, StreetState
from pokerlab.games.base import TERMINAL
from pokerlab.games.betting import CALL, FOLD
from pokerlab.games.unfolding import UnfoldedSubgame, walk
from pokerlab.search.best_response import exploitability
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.tree import PublicTree, build_tree

HANDS = 7
LIKE = torch.empty(0, dtype=torch.float64)
GAMES = [
    Street(HANDS),
    Street(HANDS, bets=(), most_raises=1),
    Street(HANDS, pot=4, stack=9, bets=(0.25, 0.5, 1, 2), most_raises=4),
]


ROOTS = [*((game, game.root()) for game in GAMES), (GAMES[0], StreetState(pot=7, stack=40, board=2))]
EVERY_ROOT = pytest.mark.parametrize(("game", "root"), ROOTS)


def tree_of(game: Street, root: StreetState | None = None) -> PublicTree[StreetState]:
    return build_tree(game, root or game.root(), depth_limited=False)


def winnings(game: Street, state: StreetState, own: int, other: int, player: int) -> float:
    """What ``player`` takes out of the pot less what they put in, by the rules of poker."""
    half, put_in = state.pot / 2, state.committed
    pot = state.pot + sum(put_in)
    last_to_act = (len(state.actions) - 1) % 2
    wins = last_to_act != player if state.actions[-1] == FOLD else own > other
    return (pot if wins else 0) - half - put_in[player]


@EVERY_ROOT
def test_every_terminal_pays_what_each_pair_of_hands_wins(game: Street, root: StreetState) -> None:
    states = tree_of(game, root).terminals.states
    ends = [game.terminal(state) for state in states]
    operator = game.payoff_operator([end.payoff_kernel for end in ends], LIKE)
    reach = torch.rand(
        2, len(ends), 3, HANDS, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    outcome = operator(reach)
    for m, (state, end) in enumerate(zip(states, ends, strict=True)):
        for player in (0, 1):
            table = np.zeros((HANDS, HANDS))
            for own in set(range(HANDS)) - {root.board}:
                for other in set(range(HANDS)) - {own, root.board}:
                    table[own, other] = winnings(game, state, own, other, player) / (HANDS * (HANDS - 1))
            expected = reach[player, m].numpy() @ table.T
            np.testing.assert_allclose(end.chips[player] * outcome[player, m].numpy(), expected, atol=1e-12)


def test_both_players_together_win_nothing() -> None:
    game = GAMES[0]
    reach = torch.rand(2, HANDS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for state in tree_of(game).terminals.states:
        end = game.terminal(state)
        outcome = game.payoff_operator([end.payoff_kernel], LIKE)(reach.flip(0)[:, None, None])[:, 0, 0]
        won = (reach * outcome).sum(-1) * torch.tensor(end.chips, dtype=torch.float64)
        assert won.abs().max() > 1e-6
        assert won.sum().item() == pytest.approx(0, abs=1e-13)


def test_mass_is_the_sum_of_the_deal_over_the_opponents_hands() -> None:
    reach = torch.rand(2, 3, HANDS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = reach.numpy() @ GAMES[0].deal
    np.testing.assert_allclose(GAMES[0].mass_operator(LIKE)(reach).numpy(), expected, atol=1e-15)


@EVERY_ROOT
def test_chips_only_go_in_and_never_beyond_the_stack(game: Street, root: StreetState) -> None:
    tree = tree_of(game, root)
    for d, state in enumerate(tree.decisions.states):
        for action in tree.edge_action[tree.first_edge[d] : tree.first_edge[d + 1]].tolist():
            after = game.next_state(state, action)
            player = len(state.actions) % 2
            assert after.committed[1 - player] == state.committed[1 - player]
            assert state.committed[player] <= after.committed[player] <= state.stack
            assert sum(a > CALL for a in after.actions) <= game.most_raises
            if action > CALL:
                assert after.committed[player] > after.committed[1 - player]
    for state in tree.terminals.states:
        assert game.actor(state) == TERMINAL
        assert (state.committed[0] == state.committed[1]) == (state.actions[-1] == CALL)


def test_the_bets_are_fractions_of_the_pot() -> None:
    game = Street(HANDS, pot=10, stack=100, bets=(0.5, 1), most_raises=3)
    bet = game.next_state(game.root(), 2)
    assert bet.committed == (5, 0)
    assert game.actions(bet) == (FOLD, CALL, 2, 3, 4)
    raised = game.next_state(bet, 3)
    assert raised.committed == (5, 25)  # calls 5, then raises the pot of 20
    assert game.actions(game.next_state(raised, 4)) == (FOLD, CALL)
    assert game.actions(game.root()) == (CALL, 2, 3, 4)


def test_cfr_finds_the_known_equilibrium_of_all_in_or_check() -> None:
    """Pot 2, stack 1, one bet, three hands: Kuhn poker, worth -1/18 to the first player."""
    game = Street(3, pot=2, stack=1, bets=(), most_raises=1)
    forest = Forest(game, [tree_of(game)], dtype=torch.float64)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    cfr = Solver("cfr_plus").start(forest, belief).run(2000)
    found = exploitability(forest, cfr.average_strategy(), belief)
    assert found.nash_conv.item() < 1e-3
    assert found.value.item() == pytest.approx(-1 / 18, abs=1e-3)


chips = st.floats(0.5, 500)
sizes = st.lists(st.floats(0.1, 3), max_size=3, unique=True).map(sorted)
boards = st.none() | st.integers(0, HANDS - 1)


@settings(max_examples=100)
@given(sizes, st.integers(1, 4), chips, chips, boards, st.lists(st.integers(0, 9), max_size=4))
def test_compiled_unfolding_is_the_plain_walk(
    bets: list[float], most_raises: int, pot: float, stack: float, board: int | None, moves: list[int]
) -> None:
    """From any root, also in the middle of the street: to the last bit, and in the same order."""
    game, root = Street(HANDS, bets=bets, most_raises=most_raises), StreetState(pot, stack, board)
    for move in moves:
        actions = game.actions(root)
        after = game.next_state(root, actions[move % len(actions)])
        root = root if game.actor(after) == TERMINAL else after
    ours, walked = game.unfold(root, depth_limited=True), walk(game, root, depth_limited=True)
    assert list(ours.states) == list(walked.states)
    for field in fields(UnfoldedSubgame):
        if field.name != "states":
            fast, plain = getattr(ours, field.name), getattr(walked, field.name)
            assert fast.dtype == plain.dtype
            assert fast.tolist() == plain.tolist(), field.name


def test_nobody_holds_the_board() -> None:
    game, root = ROOTS[-1]
    forest = Forest(game, [tree_of(game), tree_of(game, root)], dtype=torch.float64)
    of_root = [1.0] * HANDS, [float(hand != root.board) for hand in range(HANDS)]
    assert forest.root_possible.tolist() == list(of_root)
    for nodes in (forest.decisions, forest.terminals):
        assert nodes.possible.tolist() == [of_root[subgame] for subgame in nodes.subgame.tolist()]


def test_a_kernel_is_the_same_alone_and_among_others() -> None:
    game = GAMES[0]
    reach = torch.rand(2, 3, 4, HANDS, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    on_board = 2 * (4 + 1)
    kernels = [SHOWDOWN_KERNEL, on_board + FOLD_KERNEL, on_board + SHOWDOWN_KERNEL]
    together = game.payoff_operator(kernels, LIKE)(reach)
    for m, kernel in enumerate(kernels):
        alone = game.payoff_operator([kernel], LIKE)(reach[:, m : m + 1])
        torch.testing.assert_close(together[:, m : m + 1], alone, rtol=0, atol=0)
