"""Public trees and their layout in forests: every node once, every sequence in its place."""

from typing import Any

import numpy as np
import pytest
import torch
from belief_states import belief_states, leduc_state, random_beliefs
from oracles import Policy, continuation_values, decision_states, pairs, strategy_tensor

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import network_features
from pokerlab.games.unfolding import LazyStates, unfold
from pokerlab.search.forest import Forest, ForestNodes
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import NO_EDGE, PublicTree, build_tree

DOUBLE = torch.empty(0, dtype=torch.float64)
GAMES: dict[str, Game] = {
    "kuhn": Kuhn(),
    "kuhn_depth_1": Kuhn(depth_limit=1),
    "kuhn_depth_2": Kuhn(depth_limit=2),
    "leduc_before_deal": Leduc(leaves="before_deal"),
    "leduc_after_deal": Leduc(),
    "liars_dice_1x3f": LiarsDice(1, 3),
}
EVERY_GAME = pytest.mark.parametrize("name", GAMES)


def random_policy(game: Game, states: list[Any], seed: int) -> Policy:
    generator = np.random.default_rng(seed)
    return {s: generator.dirichlet(np.ones(len(game.actions(s))), game.num_hands).T for s in states}


@EVERY_GAME
@pytest.mark.parametrize("depth_limited", [False, True])
def test_an_unfolded_state_is_followed_by_what_its_moves_lead_to(name: str, depth_limited: bool) -> None:
    game = GAMES[name]
    unfolded = unfold(game, game.root(), depth_limited=depth_limited)
    assert (unfolded.states[0], unfolded.above[0], unfolded.action[0]) == (game.root(), -1, -1)
    ends = 0
    for here, state in enumerate(unfolded.states):
        below = (unfolded.above == here).nonzero()[0]
        actions, states = unfolded.action[below].tolist(), [unfolded.states[i] for i in below]
        assert (below > here).all()
        if unfolded.kind[here] in (TERMINAL, LEAF):
            assert not len(below)
        elif unfolded.kind[here] == CHANCE:
            assert (actions, tuple(states)) == ([-1] * len(below), game.chance_outcomes(state))
        else:
            assert tuple(actions) == game.actions(state)
            assert states == [game.next_state(state, action) for action in actions]
        if unfolded.kind[here] == TERMINAL:
            end = game.terminal(state)
            assert (unfolded.payoff_kernel[ends], *unfolded.chips[:, ends]) == (end.payoff_kernel, *end.chips)
            ends += 1
    assert unfolded.chips.shape == (2, ends)


def test_lazy_states_are_like_a_tuple() -> None:
    states = LazyStates("abcdef".__getitem__, np.array([4, 2, 2, 0]))
    assert tuple(states) == ("e", "c", "c", "a")
    assert (len(states), states[-1], states[1]) == (4, "a", "c")
    assert tuple(states[1:-1]) == ("c", "c")
    with pytest.raises(IndexError):
        states[4]


def states_of(forest: Forest, kind: str) -> list[tuple[int, Any]]:
    """(subgame, public state) of each node of a kind, in the forest's order."""
    nodes: ForestNodes = getattr(forest, kind)
    trees = [getattr(tree, kind).states for tree in forest.trees]
    return [(b, trees[t][n]) for b, t, n in zip(nodes.subgame.tolist(), nodes.tree, nodes.node, strict=True)]


@pytest.mark.parametrize(
    ("name", "decisions", "terminals", "leaves"),
    [
        ("kuhn", 4, 5, 0),
        ("kuhn_depth_1", 1, 0, 2),
        ("kuhn_depth_2", 3, 3, 1),
        ("leduc_before_deal", 6, 4, 5),
        ("leduc_after_deal", 6, 4, 30),
        ("liars_dice_1x3f", 7, 6, 15),
    ],
)
def test_depth_limited_roots_have_the_nodes_they_should(
    name: str, decisions: int, terminals: int, leaves: int
) -> None:
    tree = build_tree(GAMES[name], GAMES[name].root(), depth_limited=True)
    assert (len(tree.decisions), len(tree.terminals), len(tree.leaves)) == (decisions, terminals, leaves)


@pytest.mark.parametrize(
    ("line", "before_deal", "after_deal"),
    [("rc", (0, 0, 6), (0, 0, 6)), ("rc/", (6, 9, 0), (6, 9, 0)), ("rr", (1, 1, 1), (1, 1, 6))],
)
def test_later_subgames_of_leduc_have_the_nodes_they_should(
    line: str, before_deal: tuple[int, ...], after_deal: tuple[int, ...]
) -> None:
    for leaves, sizes in (("before_deal", before_deal), ("after_deal", after_deal)):
        game = Leduc(leaves=leaves)
        tree = build_tree(game, leduc_state(game, line), depth_limited=True)
        assert (len(tree.decisions), len(tree.terminals), len(tree.leaves)) == sizes


def path(tree: PublicTree, last: tuple[int, int], player: int) -> list[tuple[Any, int]]:
    """The (state, action) pairs of ``player`` that end with edge ``last``."""
    if last == NO_EDGE:
        return []
    node, position = last
    above = tuple(tree.decisions.last_edge[player, node].tolist())
    own = (tree.decisions.states[node], int(tree.edge_action[tree.first_edge[node] + position]))
    return [*path(tree, above, player), own]


def own_paths(game: Game) -> dict[Any, tuple[list[tuple[Any, int]], list[tuple[Any, int]]]]:
    """Every public state of the game, with both players' (state, action) pairs on the way."""
    paths: dict[Any, tuple[list[tuple[Any, int]], list[tuple[Any, int]]]] = {game.root(): ([], [])}
    frontier = [game.root()]
    for state in frontier:  # grows while it is walked
        first, second = paths[state]
        actor, below = game.actor(state), {}
        if actor == CHANCE:
            below = dict.fromkeys(game.chance_outcomes(state), (first, second))
        elif actor != TERMINAL:
            for action in game.actions(state):
                step = [(state, action)]
                below[game.next_state(state, action)] = (
                    (first + step, second) if actor == 0 else (first, second + step)
                )
        paths |= below
        frontier += below
    return paths


@EVERY_GAME
def test_last_edges_lead_through_a_players_own_actions_in_order(name: str) -> None:
    game = GAMES[name]
    paths = own_paths(game)
    for depth_limited in (True, False):
        tree = build_tree(game, game.root(), depth_limited=depth_limited)
        seen: list[Any] = []
        for nodes in (tree.decisions, tree.terminals, tree.leaves):
            seen += nodes.states
            for index, state in enumerate(nodes.states):
                for player in (0, 1):
                    last = tuple(nodes.last_edge[player, index].tolist())
                    assert path(tree, last, player) == paths[state][player]
        for index, state in enumerate(tree.decisions.states):
            first, second = paths[state]
            assert tree.actor[index] == game.actor(state)
            assert tree.own_depth[index] == len((first, second)[game.actor(state)])
            deals = int(getattr(state, "board", None) is not None)
            assert tree.depth[index] == len(first) + len(second) + deals
        assert len(seen) == len(set(seen))
        if not depth_limited:
            assert set(seen) == {state for state in paths if game.actor(state) != CHANCE}


@EVERY_GAME
def test_every_pair_of_hands_ends_somewhere_with_probability_one(name: str) -> None:
    """Reach of both players times chance, over terminals and leaves, for any strategy."""
    game = GAMES[name]
    roots = belief_states(game)
    forest = Subgames(game).forest([*roots, roots[0]], DOUBLE)
    policies = [
        random_policy(game, [s for b, s in decision_states(forest) if b == subgame], subgame)
        for subgame in range(forest.num_subgames)
    ]
    reach = forest.reach(strategy_tensor(forest, policies))
    total = torch.zeros(forest.num_subgames, game.num_hands, game.num_hands, dtype=torch.float64)
    for nodes in (forest.terminals, forest.leaves):
        own = reach[nodes.row] * nodes.possible
        total.index_add_(0, nodes.subgame, torch.einsum("nh,ng,n->nhg", own[0], own[1], nodes.chance))
    for b, root in enumerate([*roots, roots[0]]):
        for hands in pairs(game, root):
            assert total[b][hands].item() == pytest.approx(1, abs=1e-12)


@EVERY_GAME
def test_reach_is_the_product_of_own_probabilities(name: str) -> None:
    game = GAMES[name]
    forest = Subgames(game).forest([game.root(), *belief_states(game)[:2]], DOUBLE)
    policy = random_policy(game, [state for _, state in decision_states(forest)], 1)
    reach = forest.reach(strategy_tensor(forest, [policy] * forest.num_subgames))
    for kind in ("decisions", "terminals", "leaves"):
        nodes: ForestNodes = getattr(forest, kind)
        for index in range(len(nodes)):
            tree = forest.trees[nodes.tree[index]]
            edges = getattr(tree, kind).last_edge[:, nodes.node[index]]
            for player in (0, 1):
                expected = np.ones(game.num_hands)
                last = tuple(edges[player].tolist())
                for state, action in path(tree, last, player):
                    expected *= policy[state][game.actions(state).index(action)]
                np.testing.assert_allclose(reach[nodes.row[player, index]], expected, rtol=1e-14)


@EVERY_GAME
def test_decisions_are_sorted_by_actor_and_own_depth_and_found_again(name: str) -> None:
    game = GAMES[name]
    roots = belief_states(game)
    forest = Subgames(game).forest([roots[2], *roots, roots[0]], DOUBLE)
    assert sorted(states_of(forest, "decisions"), key=repr) == sorted(
        (
            (b, state)
            for b, root in enumerate([roots[2], *roots, roots[0]])
            for state in build_tree(game, root, depth_limited=True).decisions.states
        ),
        key=repr,
    )
    nodes = forest.decisions
    assert forest.decision_index(nodes.subgame.numpy(), nodes.node).tolist() == list(range(len(nodes)))
    own_depth = [forest.trees[t].own_depth[n] for t, n in zip(nodes.tree, nodes.node, strict=True)]
    covered: list[int] = []
    for player in (0, 1):
        for depth, step in enumerate(forest.steps[player]):
            covered += range(step.start, step.stop)
            assert (forest.actor[step] == player).all()
            assert own_depth[step] == [depth] * (step.stop - step.start)
    assert covered == list(range(forest.num_decisions))


@EVERY_GAME
def test_edges_by_action_stand_in_the_games_columns(name: str) -> None:
    game = GAMES[name]
    forest = Subgames(game).forest(belief_states(game), DOUBLE)
    edges = torch.rand(forest.edge_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    columns = forest.by_action(edges)
    assert columns.shape == (forest.num_decisions, game.num_actions, game.num_hands)
    for d, (_, state) in enumerate(decision_states(forest)):
        actions = game.actions(state)
        for action in range(game.num_actions):
            expected = edges[actions.index(action), d] if action in actions else torch.zeros(game.num_hands)
            assert columns[d, action].tolist() == expected.tolist()


def test_beliefs_at_a_node_are_bayes_rule_on_hands_the_board_leaves() -> None:
    game = Leduc()
    root = game.root()
    forest = Subgames(game).forest([root], DOUBLE)
    policy = random_policy(game, [state for _, state in decision_states(forest)], 3)
    belief = random_beliefs(game, root, 4)
    reach = forest.reach(strategy_tensor(forest, [policy]), belief=torch.as_tensor(belief)[:, None])
    beliefs = forest.beliefs_at(forest.leaves, reach, torch.as_tensor(belief)[:, None])
    for index, (_, state) in enumerate(states_of(forest, "leaves")):
        line, likelihood, before = state.rounds[0], np.ones((2, 6)), root
        for turn, action in enumerate(line):
            likelihood[turn % 2] *= policy[before][game.actions(before).index(action)]
            before = game.next_state(before, action)
        expected = belief * likelihood * (np.arange(6) != state.board)
        expected /= expected.sum(1, keepdims=True)
        np.testing.assert_allclose(beliefs[:, index], expected, rtol=0, atol=1e-14)


def test_an_action_that_no_believed_hand_takes_leaves_the_belief_as_it_was() -> None:
    game = Kuhn(depth_limit=1)
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief = torch.tensor([[[0.25, 0.75, 0.0]], [[0.2, 0.3, 0.5]]], dtype=torch.float64)
    passes = torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]], dtype=torch.float64)  # only hand 2 bets
    beliefs = forest.beliefs_at(forest.leaves, forest.reach(passes, belief=belief), belief)
    assert [state.actions for _, state in states_of(forest, "leaves")] == [(0,), (1,)]
    assert beliefs[0].tolist() == [[0.25, 0.75, 0.0], [0.25, 0.75, 0.0]]
    assert beliefs[1].tolist() == [[0.2, 0.3, 0.5]] * 2


def test_a_board_that_blocks_every_believed_hand_leaves_all_others() -> None:
    game = Leduc()
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief = torch.zeros(2, 1, 6, dtype=torch.float64)
    belief[0, 0, 2] = belief[1, 0, 3] = 1
    beliefs = forest.beliefs_at(forest.leaves, forest.reach(forest.uniform, belief=belief), belief)
    for index, (_, state) in enumerate(states_of(forest, "leaves")):
        own = [0.0] * 6
        own[2] = 1.0
        blocked = [0.0 if hand == 2 else 0.2 for hand in range(6)]
        assert beliefs[0, index].tolist() == (blocked if state.board == 2 else own)


def test_selected_nodes_are_those_nodes() -> None:
    game = Leduc()
    forest = Subgames(game).forest(belief_states(game), DOUBLE)
    index = torch.tensor([7, 0, 7, 40])
    chosen, leaves = forest.leaves.select(index), forest.leaves
    assert len(chosen) == 4
    for field in ("subgame", "chance", "possible", "features", "pot"):
        assert torch.equal(getattr(chosen, field), getattr(leaves, field)[index])
    assert torch.equal(chosen.row, leaves.row[:, index])
    assert chosen.tree.tolist() == leaves.tree[index.numpy()].tolist()
    assert chosen.node.tolist() == leaves.node[index.numpy()].tolist()


@EVERY_GAME
def test_nodes_carry_what_the_game_says_of_their_states(name: str) -> None:
    game = GAMES[name]
    forest = Subgames(game).forest(belief_states(game), DOUBLE)
    for kind in ("decisions", "terminals", "leaves"):
        nodes: ForestNodes = getattr(forest, kind)
        for index, (b, state) in enumerate(states_of(forest, kind)):
            dealt = getattr(state, "board", None) != getattr(belief_states(game)[b], "board", None)
            assert nodes.chance[index] == (0.25 if dealt else 1)
            assert nodes.pot[index] == game.pot(state)
            assert nodes.features[index].tolist() == network_features(game).features(state)
            assert nodes.possible[index].tolist() == game.possible_hands(state).astype(float).tolist()


def test_root_values_of_fixed_play_need_no_forest() -> None:
    """The oracle itself: a pair of jacks that calls down against queens and kings."""
    game = Leduc()
    calls = {
        state: np.array([[float(action == 1)] * 6 for action in game.actions(state)])
        for state in build_tree(game, game.root(), depth_limited=False).decisions.states
    }
    beliefs = np.array([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]], dtype=float)
    values = continuation_values(game, leduc_state(game, "rc"), beliefs, calls) * 6
    assert values[0, 0] == pytest.approx(3 * (1 / 4 - 3 / 4))  # beats a king only with a jack on the board
    assert values[1, 4] == pytest.approx(-values[0, 0])
