"""Tables of strategies show what is played, whatever the suits."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pokerlab.evaluation.cells import FAINT
from pokerlab.evaluation.plots import save
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.strategy_tables import (
    Row,
    equilibrium,
    merge_rows,
    probabilities,
    public_lines,
    rows,
    strategy_table,
)
from pokerlab.games.base import CHANCE, TERMINAL, Floats
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import BET, Kuhn, KuhnState
from pokerlab.games.leduc import CALL, RAISE, Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice, LiarsDiceState
from pokerlab.search.forest import uniform_strategy

KUHN, LEDUC = WholeGame(Kuhn()), WholeGame(Leduc())


def random_strategy(whole: WholeGame) -> Tensor:
    draws = torch.rand(whole.forest.edge_shape, generator=torch.Generator().manual_seed(0)).double()
    return draws * whole.forest.legal / (draws * whole.forest.legal).sum(0)


def drawn(figure: Figure, panel: int) -> Floats:
    """The numbers that colours stand for; NaN where grey."""
    values = figure.axes[panel].images[0].get_array()
    assert values is not None
    return np.ma.filled(values.astype(float), np.nan)


def labels(figure: Figure, panel: int) -> list[str]:
    return [label.get_text() for label in figure.axes[panel].get_yticklabels()]


def test_public_states_are_told_in_words() -> None:
    kuhn = public_lines(KUHN.game)
    assert kuhn == {
        KuhnState(()): "start", KuhnState((0,)): "pass", KuhnState((1,)): "bet", KuhnState((0, 1)): "pass bet"
    }  # fmt: skip
    leduc = public_lines(LEDUC.game)
    assert leduc.keys() == LEDUC.index.keys()
    assert leduc[LEDUC.game.root()] == "start"
    for board in (2, 3):
        state = LeducState(((RAISE, CALL), ()), (3, 3), board)
        assert leduc[state] == "raise call | Q on board"
        assert leduc[LEDUC.game.next_state(state, RAISE)] == "raise call | Q on board | raise"


def test_other_games_are_told_by_their_actions() -> None:
    dice = LiarsDice(1, 2)
    found = public_lines(dice)
    assert found[LiarsDiceState()] == "start"
    assert found[LiarsDiceState((0, 2))] == "1-1 2-1"
    holdem = Holdem("small", ranks=5, suits=1, deals=(0, 1), stack=3, blinds=(1, 1), bets=((1,),))
    boards = {line for state, line in public_lines(holdem).items() if state.board and not state.actions[1]}
    assert boards == {f"call call | {card}" for card in ("2c", "3c", "4c", "5c", "6c")}


def test_rows_are_information_states_but_for_suits() -> None:
    assert [(row.actor, row.line, row.card) for row in rows(KUHN)] == [
        (player, line, card)
        for player, line in ((0, "start"), (0, "pass bet"), (1, "pass"), (1, "bet"))
        for card in "JQK"
    ]
    table = rows(LEDUC)
    assert len(table) == len({(row.actor, row.line, row.card) for row in table}) == 288
    assert sum(len(row.nodes) for row in table) == 936  # OpenSpiel's number
    pair = next(row for row in table if (row.line, row.card) == ("raise call | Q on board", "Q"))
    boards = [LEDUC.states[node].board for node in pair.nodes]
    assert sorted(zip(boards, pair.hands, strict=True)) == [(2, 3), (3, 2)]


@pytest.mark.parametrize("whole", [KUHN, LEDUC], ids=["kuhn", "leduc"])
def test_numbers_are_those_of_a_recursion(whole: WholeGame) -> None:
    game, strategy = whole.game, random_strategy(whole)
    lines = public_lines(game)
    played: dict[tuple[int, str, str], Floats] = defaultdict(lambda: np.zeros(game.num_actions))
    weight: dict[tuple[int, str, str], float] = defaultdict(float)
    likely: dict[tuple[int, str, str], float] = defaultdict(float)
    suits = game.num_hands // 3

    def walk(state: object, reach: Floats, chance: float) -> None:
        actor = game.actor(state)
        if actor == TERMINAL:
            return
        if actor == CHANCE:
            for outcome in game.chance_outcomes(state):
                walk(outcome, reach, chance * game.chance_probability(state))
            return
        reach = reach * game.possible_hands(state)
        chances = strategy[:, whole.index[state]].numpy()
        for hand in game.possible_hands(state).nonzero()[0]:
            key = (actor, lines[state], "JQK"[hand // suits])
            own = reach[actor, hand] * chance
            weight[key] += own
            likely[key] += own * (game.deal[hand] @ reach[1 - actor])
            for position, action in enumerate(game.actions(state)):
                played[key][action] += own * chances[position, hand]
        for position, action in enumerate(game.actions(state)):
            below = reach.copy()
            below[actor] *= chances[position]
            walk(game.next_state(state, action), below, chance)

    walk(game.root(), np.ones((2, game.num_hands)), 1.0)
    table = rows(whole)
    keys = [(row.actor, row.line, row.card) for row in table]
    assert set(keys) == weight.keys()
    np.testing.assert_allclose(probabilities(whole, table, strategy), [likely[key] for key in keys])
    found, _ = merge_rows(whole, table, strategy)
    np.testing.assert_allclose(np.nan_to_num(found), [played[key] / weight[key] for key in keys])
    assert (np.isnan(found).sum(1) == [game.num_actions - len(legal(whole, row)) for row in table]).all()


def legal(whole: WholeGame, row: Row) -> tuple[int, ...]:
    return whole.game.actions(whole.states[row.nodes[0]])


def test_suits_are_averaged() -> None:
    strategy = uniform_strategy(LEDUC.forest)
    root = LEDUC.index[LEDUC.game.root()]
    strategy[:2, root, 4], strategy[:2, root, 5] = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    figure = strategy_table(LEDUC, {"agent": strategy}, most_rows=12)
    assert labels(figure, 0)[:3] == ["start   J", "Q", "K"]
    np.testing.assert_array_equal(drawn(figure, 0)[:3], [[np.nan, 50, 50]] * 2 + [[np.nan, 62.5, 37.5]])


def test_an_agent_stands_beside_the_equilibrium() -> None:
    """Kuhn's second player has one equilibrium strategy (Kuhn 1950)."""
    solved = equilibrium(KUHN)
    assert KUHN.exploitability(solved).exploitability.item() < 1e-3
    figure = strategy_table(KUHN, {"uniform": uniform_strategy(KUHN.forest), "equilibrium": solved})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["uniform", "equilibrium"]
    assert labels(figure, 2) == ["pass   J", "Q", "K", "bet   J", "Q", "K"]
    np.testing.assert_allclose(drawn(figure, 2), 50)
    bets = np.array([1 / 3, 0, 1, 0, 1 / 3, 1])
    np.testing.assert_allclose(drawn(figure, 3), 100 * np.stack([1 - bets, bets], 1), atol=2)
    assert "left out" not in figure.get_supxlabel()


def test_the_likeliest_rows_are_kept_in_their_order() -> None:
    solved = equilibrium(LEDUC, 50)
    every, likely = rows(LEDUC), probabilities(LEDUC, rows(LEDUC), solved)
    figure = strategy_table(LEDUC, {"agent": solved}, most_rows=30)
    assert "the 30 likeliest information states; 258 are left out" in figure.get_supxlabel()
    least = np.sort(likely)[-30]
    shown = [row.card for row, of in zip(every, likely, strict=True) if of >= least]
    assert [label.split()[-1] for panel in (0, 1) for label in labels(figure, panel)] == shown


def test_what_a_player_excludes_is_grey() -> None:
    always_bets = torch.zeros(KUHN.forest.edge_shape, dtype=torch.float64)
    always_bets[BET] = 1
    figure = strategy_table(KUHN, {"maniac": always_bets})
    np.testing.assert_array_equal(drawn(figure, 0), [[0, 100]] * 3 + [[np.nan] * 2] * 3)
    inks = [text.get_color() == FAINT for text in figure.axes[0].texts]
    assert inks == [False] * 6 + [True] * 6
    np.testing.assert_array_equal(drawn(figure, 1), [[0, 100]] * 6)  # whoever did not pass cannot know


def test_a_figure_is_saved_with_all_its_texts(tmp_path: Path) -> None:
    strategies = dict.fromkeys(
        ["search, 1,000 iterations", "policy network", "equilibrium"], random_strategy(LEDUC)
    )
    figure = strategy_table(LEDUC, strategies, most_rows=15)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert (np.array([box.x1, box.y1]) <= figure.get_size_inches()).all()
    assert save(figure, tmp_path / "leduc.png").stat().st_size > 10_000
