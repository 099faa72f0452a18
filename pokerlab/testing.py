"""Conformance of a game to what :class:`pokerlab.games.base.Game` promises, for authors of games.

from pokerlab.testing import check_game

def test_my_game() -> None:
    check_game(MyGame())
"""

from collections.abc import Sequence

import numpy as np
import torch

from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, State
from pokerlab.games.names import Move, action_name, hand_name, read_line, write_line
from pokerlab.games.parts import NetworkFeatures
from pokerlab.games.unfolding import unfold, walk

LIKE = torch.empty(0, dtype=torch.float64)
CLOSE = 1e-9
FEW_HANDS = 64
"""Up to so many, every pair of hands is looked at."""
MOST_OUTCOMES = 200
"""Of one chance move that are looked at one by one."""
MOST_STATES = 5000
"""Of a whole game that is walked."""


def check_game(game: Game[State], *, lines: int = 30, seed: int = 0) -> None:
    """Plays random lines and checks everything that trees, search and learning rely on.

    Args:
        game: the rules.
        lines: how many lines to play from the root to an end.
        seed: of the draws.

    Raises:
        AssertionError: the game breaks a promise; names the promise, the state, and the line to it.
    """
    generator = np.random.default_rng(seed)
    _check_deal(game)
    met: dict[State, Sequence[Move[State]]] = {}
    for _ in range(lines):
        moves: list[Move[State]] = []
        state = game.root()
        while True:
            _check_history(game, state, moves, met)
            if (actor := game.actor(state)) == TERMINAL:
                break
            _check_going_on(game, state, moves)
            if actor == CHANCE:
                outcomes = _check_chance(game, state, moves)
                move = Move(None, outcomes[int(generator.integers(len(outcomes)))])
            else:
                action = int(generator.choice(game.actions(state)))
                move = Move(action, game.next_state(state, action))
            moves, state = [*moves, move], move.state
        _check_end(game, state, moves, generator)
        _check_line(game, moves)
    _check_operators(game, [state for state in met if game.actor(state) == TERMINAL], generator)
    _check_trees(game, met)


def _describe(game: Game[State], moves: Sequence[Move[State]], state: State) -> str:
    return f"{game.name}, after {write_line(game, moves) or 'nothing'}: {state}"


def _check_deal(game: Game) -> None:
    hands, deal = game.num_hands, game.deal
    assert deal.shape == (hands, hands), f"{game.name}: deal must be [{hands}, {hands}], got {deal.shape}"
    assert (deal >= 0).all(), f"{game.name}: deal has probabilities below 0"
    assert abs(deal.sum() - 1) < CLOSE, f"{game.name}: deal must add up to 1, got {deal.sum()}"
    uneven = np.argwhere(np.abs(deal - deal.T) > CLOSE)
    assert not len(uneven), (
        f"{game.name}: deal must be symmetric, but hands {uneven[0].tolist()} are dealt to players 0 and 1 "
        "with another probability than the other way round"
    )
    beliefs = game.initial_beliefs
    assert beliefs.shape == (2, hands), (
        f"{game.name}: initial_beliefs must be [2, {hands}], got {beliefs.shape}"
    )
    assert np.allclose(beliefs.sum(1), 1), f"{game.name}: initial_beliefs must add up to 1 for each player"
    assert beliefs[0] @ deal @ beliefs[1] > 0, f"{game.name}: no two hands of the initial beliefs can meet"
    names = [hand_name(game, hand) for hand in range(hands)]
    assert len(set(names)) == hands, f"{game.name}: two hands have the same name"


def _check_history(
    game: Game[State], state: State, moves: Sequence[Move[State]], met: dict[State, Sequence[Move[State]]]
) -> None:
    """Equal states must have come about in the same way."""
    said = _describe(game, moves, state)
    before = met.setdefault(state, tuple(moves))
    assert list(before) == list(moves), (
        f"{said}: equal states must have the same public history, but so ends "
        f"{write_line(game, before) or 'the empty line'}"
    )
    if moves:
        above = moves[-2].state if len(moves) > 1 else game.root()
        grown = game.possible_hands(state) & ~game.possible_hands(above)
        assert not grown.any(), (
            f"{said}: hand {hand_name(game, int(grown.argmax()))} was blocked, and is no more"
        )
    possible = game.possible_hands(state)
    assert possible.shape == (game.num_hands,), f"{said}: possible_hands must be [{game.num_hands}]"
    assert possible.dtype == bool, f"{said}: possible_hands must be bool, got {possible.dtype}"
    if isinstance(game, NetworkFeatures):
        features = game.features(state)
        assert len(features) == game.num_features, (
            f"{said}: expected {game.num_features} features, got {len(features)}"
        )
        assert np.isfinite(features).all(), f"{said}: features must be finite, got {features}"
        most = np.abs(features).max(initial=0)
        assert most <= 10, f"{said}: features must be about -1 to 1, got {features}"
    pot = game.pot(state)
    assert pot > 0, f"{said}: the pot must be above 0, it is the unit of values; got {pot}"
    if moves and moves[-1].action is not None:
        above = moves[-2].state if len(moves) > 1 else game.root()
        assert pot >= game.pot(above) - CLOSE, f"{said}: the pot became smaller, {game.pot(above)} to {pot}"
    committed = game.committed(state)
    assert min(committed) >= 0, f"{said}: committed chips must not be below 0, got {committed}"
    if any(committed):
        assert abs(sum(committed) - pot) < CLOSE * max(pot, 1), (
            f"{said}: {committed} do not make the pot of {pot}"
        )


def _check_going_on(game: Game[State], state: State, moves: Sequence[Move[State]]) -> None:
    said, actor = _describe(game, moves, state), game.actor(state)
    assert actor in (0, 1, CHANCE), f"{said}: the actor must be 0, 1, CHANCE or TERMINAL, got {actor!r}"
    assert game.possible_hands(state).any(), f"{said}: no hand is possible"
    if moves:
        leaf = game.is_leaf(game.root(), state, len(moves))
        assert leaf in (True, False), f"{said}: is_leaf must be true or false, got {leaf!r}"
    if actor == CHANCE:
        return
    actions = game.actions(state)
    assert actions, f"{said}: player {actor} has no legal action"
    assert list(actions) == sorted(set(actions)), f"{said}: actions must be ascending, got {actions}"
    assert set(actions) <= set(range(game.num_actions)), (
        f"{said}: actions must be from 0 to {game.num_actions - 1}, got {actions}"
    )
    names = [action_name(game, state, action) for action in actions]
    assert len(set(names)) == len(names), f"{said}: two actions have the same name: {', '.join(names)}"
    below = [game.next_state(state, action) for action in actions]
    assert len(set(below)) == len(below), f"{said}: two actions lead to the same state"
    assert below[0] == game.next_state(state, actions[0]), f"{said}: the same action led to two states"
    for action, after in zip(actions, below, strict=True):
        same = (game.possible_hands(after) == game.possible_hands(state)).all()
        assert same, f"{said}: action {action} blocks hands, only chance may"


def _check_chance(game: Game[State], state: State, moves: Sequence[Move[State]]) -> Sequence[State]:
    """For every pair of hands the outcomes' probabilities add up to 1."""
    said = _describe(game, moves, state)
    outcomes, probability = game.chance_outcomes(state), game.chance_probability(state)
    assert outcomes, f"{said}: chance has no outcome"
    assert len(set(outcomes)) == len(outcomes), f"{said}: two outcomes of chance are equal"
    assert 0 < probability <= 1, f"{said}: chance_probability must be from 0 to 1, got {probability}"
    possible = np.array([game.possible_hands(outcome) for outcome in outcomes])
    hands = np.flatnonzero(game.possible_hands(state))
    some = hands[:: max(len(hands) // FEW_HANDS, 1)]
    total = probability * (possible[:, some].T.astype(np.float32) @ possible)  # [some, H]
    can_meet = (game.deal[some] > 0) & game.possible_hands(state)
    wrong = np.argwhere(can_meet & (np.abs(total - 1) > 1e-5))
    if len(wrong):
        row, second = wrong[0].tolist()
        pair = f"{hand_name(game, int(some[row]))} and {hand_name(game, second)}"
        raise AssertionError(
            f"{said}: chance's probabilities must add up to 1 for each pair of hands, but for {pair} they "
            f"make {total[row, second]:g}"
        )
    return outcomes


def _check_end(
    game: Game[State], state: State, moves: Sequence[Move[State]], generator: np.random.Generator
) -> None:
    """What one player wins the other loses, whatever they hold, and no more than is in the pot."""
    said, end = _describe(game, moves, state), game.terminal(state)
    table = _payoff_table(game, end.payoff_kernel, generator)
    first, second = end.chips[0] * table, end.chips[1] * table
    possible = game.possible_hands(state)
    reach = generator.random((2, game.num_hands)) * possible
    if table.shape[0] == game.num_hands:
        lost = np.abs(first + second.T).max(initial=0)
        assert lost < CLOSE, (
            f"{said}: what one player wins the other must lose; {lost} of deal x chips is missing"
        )
        blocked = np.abs(table[~possible]).max(initial=0) + np.abs(table[:, ~possible]).max(initial=0)
        assert blocked == 0, f"{said}: hands that the public cards block must be paid nothing"
        most = np.abs(first).max(initial=0)
        assert (np.abs(first) <= abs(end.chips[0]) * game.deal + CLOSE).all(), (
            f"{said}: the kernel must be from -1 to 1 times the deal, got up to {most}"
        )
    operator = game.payoff_operator([end.payoff_kernel], LIKE)
    values = operator(torch.as_tensor(reach)[:, None, None].flip(0))[:, 0, 0].numpy()
    sums = [end.chips[player] * (reach[player] @ values[player]) for player in (0, 1)]
    assert abs(sum(sums)) < CLOSE * max(1, abs(sums[0])), (
        f"{said}: what one player wins the other must lose, but they win {sums}"
    )


def _payoff_table(game: Game, kernel: int, generator: np.random.Generator) -> Floats:
    """``[n, H]`` rows of what hands win from each other hand; all rows, if they are few."""
    hands = np.arange(game.num_hands)
    if len(hands) > FEW_HANDS:
        hands = generator.choice(hands, 8, replace=False)
    one = torch.eye(game.num_hands, dtype=torch.float64)[hands]
    columns = game.payoff_operator([kernel], LIKE)(one[:, None, None])[:, 0, 0]  # [n, H] own hands last
    return columns.numpy() if len(hands) < game.num_hands else columns.T.numpy()


def _check_operators(game: Game[State], ends: Sequence[State], generator: np.random.Generator) -> None:
    """Operators are linear, work kernel by kernel, and the mass operator is the deal's."""
    kernels = sorted({game.terminal(state).payoff_kernel for state in ends})[:8]
    together = game.payoff_operator(kernels, LIKE)
    one, other = torch.as_tensor(generator.random((2, len(kernels), 2, game.num_hands)))
    found = together(one)
    assert found.shape == one.shape, f"{game.name}: payoff_operator must give {one.shape}, got {found.shape}"
    apart = together(2 * one - 3 * other)
    error = (apart - (2 * found - 3 * together(other))).abs().max().item()
    assert error < CLOSE, (
        f"{game.name}: payoff_operator must be linear in the opponent's reach; off by {error}"
    )
    for row, kernel in enumerate(kernels):
        alone = game.payoff_operator([kernel], LIKE)(one[row : row + 1])
        assert torch.allclose(alone, found[row : row + 1], rtol=0, atol=CLOSE), (
            f"{game.name}: kernel {kernel} pays something else among others than alone"
        )
    mass = game.mass_operator(LIKE)(one).numpy()
    assert np.allclose(mass, one.numpy() @ game.deal.T, rtol=0, atol=CLOSE), (
        f"{game.name}: mass_operator must be the sum of deal x reach over the opponent's hands"
    )


def _check_line(game: Game[State], moves: Sequence[Move[State]]) -> None:
    """What is written can be read."""
    text = write_line(game, moves)
    assert read_line(game, text) == list(moves), f"{game.name}: the line {text!r} is read as another one"


def _check_trees(game: Game[State], met: dict[State, Sequence[Move[State]]]) -> None:
    """A faster ``unfold`` gives what ``walk`` does: of some subgames, of the whole game if it is small."""
    starts = [state for state in met if game.actor(state) < CHANCE]
    roots = [(state, True) for state in starts[:: max(len(starts) // 5, 1)]]
    if game.enumerable and (game.count_states() or 0) <= MOST_STATES:
        roots.append((game.root(), False))
    for root, depth_limited in roots:
        if game.actor(root) == CHANCE and len(game.chance_outcomes(root)) > MOST_OUTCOMES:
            continue
        said = _describe(game, met[root], root)
        fast = unfold(game, root, depth_limited=depth_limited)
        plain = walk(game, root, depth_limited=depth_limited)
        assert list(fast.states) == list(plain.states), f"{said}: unfold gives other states than walk"
        for name in (
            "kind",
            "above",
            "action",
            "chance",
            "boards",
            "board",
            "features",
            "pot",
            "payoff_kernel",
            "chips",
        ):
            one, other = getattr(fast, name), getattr(plain, name)
            same = one.shape == other.shape and np.allclose(one, other, rtol=1e-9, atol=1e-9)
            assert same, f"{said}: unfold gives another {name} than walk"
        assert len(plain.states) > 1, f"{said}: the subgame ends where it starts"
