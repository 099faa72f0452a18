"""Grids of hold'em hands show the means of what they are given."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps, image
from matplotlib.figure import Figure

from pokerlab.evaluation.cells import FAINT, readable_on
from pokerlab.evaluation.plots import save
from pokerlab.evaluation.range_grids import cell_means, class_names, hand_classes, range_grid, strategy_grid
from pokerlab.games.base import Floats
from pokerlab.games.cards import RANKS, Deck
from pokerlab.games.holdem import Holdem

BOARD = "Td9d6hQc2s"
RIVER = Holdem("river", board=BOARD, pot=100, stack=400, blinds=(5, 10), bets=((0.5,),))


def class_of(name: str) -> str:
    """Of a hand such as ``AhKd``."""
    ranks = name[0] + name[2]
    return ranks if ranks[0] == ranks[1] else ranks + ("s" if name[1] == name[3] else "o")


def drawn(figure: Figure, panel: int = 0) -> Floats:
    """The numbers that colours stand for; NaN where grey."""
    values = figure.axes[panel].images[0].get_array()
    assert values is not None
    return np.ma.filled(values.astype(float), np.nan)


def test_cells_have_their_hands() -> None:
    deck = Deck()
    cells = hand_classes(deck)
    for name, row, column in [
        ("AhKh", 0, 1),
        ("AhKd", 1, 0),
        ("AsAc", 0, 0),
        ("7s7c", 7, 7),
        ("3c2c", 11, 12),
    ]:
        assert cells[deck.hand_of[deck.read_cards(name)]] == 13 * row + column
    names = class_names(deck)
    assert [names[i] for i in (0, 1, 13, 7 * 14, 5 * 13 + 4)] == ["AA", "AKs", "AKo", "77", "T9o"]
    assert [names[cell] for cell in cells] == [class_of(deck.hand_name(hand)) for hand in range(1326)]


@pytest.mark.parametrize(
    ("ranks", "suits", "counts"), [(13, 4, (6, 4, 12)), (5, 3, (3, 3, 6)), (4, 1, (0, 1, 0))]
)
def test_cells_have_so_many_hands(ranks: int, suits: int, counts: tuple[int, int, int]) -> None:
    deck = Deck(ranks, suits)
    number = np.bincount(hand_classes(deck), minlength=ranks**2).reshape(ranks, ranks)
    above = np.triu(np.ones((ranks, ranks), dtype=bool), 1)
    assert (number.diagonal() == counts[0]).all()
    assert (number[above] == counts[1]).all()
    assert (number.T[above] == counts[2]).all()
    assert class_names(deck)[0] == 2 * RANKS[ranks - 1]


def test_means_are_those_of_a_sum_over_hands() -> None:
    deck, draws = Deck(6, 3), np.random.default_rng(0)
    values, weight = draws.normal(size=(2, deck.num_hands)), draws.random(deck.num_hands)
    weight[draws.random(deck.num_hands) < 0.5] = 0
    found = cell_means(deck, values, weight).reshape(2, -1)
    for cell, name in enumerate(class_names(deck)):
        hands = [
            hand for hand in range(deck.num_hands) if class_of(deck.hand_name(hand)) == name and weight[hand]
        ]
        total = sum(weight[hand] for hand in hands)
        expected = sum(weight[hand] * values[:, hand] for hand in hands) / total if hands else np.nan
        np.testing.assert_allclose(found[:, cell], expected)
    assert np.isnan(found).any()


def test_a_range_is_drawn() -> None:
    deck = RIVER.deck
    belief = torch.as_tensor(deck.read_range("AA,TT:0.25,AKs:0.5,QhJh"))
    figure = range_grid(RIVER, belief / belief.sum(), deck.read_cards(BOARD))
    grid = drawn(figure)
    assert (grid[0, 0], grid[4, 4], grid[0, 1]) == pytest.approx((100, 25, 50))
    assert grid[2, 3] == pytest.approx(100 / 3)  # QcJc is not possible: one of three
    assert np.isnan(grid).sum() == 169 - 4
    texts = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert {"AA\n100", "TT\n25", "AKs\n50", "QJs\n33"} == {text for text in texts if "\n" in text}
    assert texts["KK"] == FAINT
    weight = 6 + 3 * 0.25 + 4 * 0.5 + 1
    assert figure.axes[0].get_title() == f"{BOARD}, {weight:.0f} of {1081:,} hands"


def test_a_strategy_is_drawn() -> None:
    deck, draws = RIVER.deck, np.random.default_rng(1)
    state = RIVER.next_state(RIVER.root(), 2)
    actions = RIVER.actions(state)
    belief = draws.random(1326) * (draws.random(1326) < 0.3)
    belief[deck.hand_of[deck.read_cards("AhKh")]] = 1e-5  # a trace is no belief, though it is counted
    belief[[deck.hand_of[pair] for suit in "cds" for pair in [deck.read_cards(f"A{suit}K{suit}")]]] = 0
    strategy = draws.random((len(actions), 1326))
    strategy /= strategy.sum(0)
    figure = strategy_grid(RIVER, state, torch.as_tensor(strategy), torch.as_tensor(belief))

    believed = belief * deck.possible(deck.read_cards(BOARD))
    assert figure.get_suptitle() == f"{BOARD}, pot 150, player 1 acts after 0.5 pot"
    titles = [axes.get_title() for axes in figure.axes[: len(actions)]]
    for panel, action in enumerate(actions):
        overall = 100 * sum(strategy[panel] * believed) / sum(believed)
        assert titles[panel] == f"{RIVER.action_labels[action]}: {overall:.1f} %"
        grid = drawn(figure, panel)
        assert np.isnan(grid[0, 1])
        for row, column in combinations(range(13), 2):
            of_cell = (hand_classes(deck) == 13 * column + row) & (believed > 1e-3)
            if of_cell.any():
                mean = np.average(strategy[panel, of_cell], weights=believed[of_cell])
                assert grid[column, row] == pytest.approx(100 * mean)
    assert titles[0].startswith("fold")
    assert sum(drawn(figure, panel)[0, 0] for panel in range(len(actions))) == pytest.approx(100)


def test_a_strategy_is_drawn_beside_another() -> None:
    state, draws = RIVER.root(), np.random.default_rng(1)
    number = len(RIVER.actions(state))
    belief = torch.as_tensor(draws.random(1326))
    one, other = (torch.as_tensor(draws.dirichlet(np.ones(number), 1326).T) for _ in (0, 1))
    figure = strategy_grid(RIVER, state, one, belief, other, ("ours", "theirs"))
    for panel, (strategy, name) in enumerate([(one, "ours"), (other, "theirs")]):
        alone = strategy_grid(RIVER, state, strategy, belief)
        for action in range(number):
            np.testing.assert_allclose(drawn(figure, 2 * action + panel), drawn(alone, action), rtol=1e-12)
            title = figure.axes[2 * action + panel].get_title()
            assert title == f"{name}, {alone.axes[action].get_title()}"
    assert len(figure.axes) == 2 * number + 1  # a colour bar


def test_texts_contrast_with_their_cells() -> None:
    """WCAG 2.1 asks for 4.5."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for colour_map in ("cividis", "PuOr"):
        for colour in colormaps[colour_map](np.linspace(0, 1, 50))[:, :3]:
            ink = 0.0 if readable_on(colour) == "black" else 1.0
            low, high = sorted((luminance(colour), ink))
            assert (high + 0.05) / (low + 0.05) > 4.5


def test_a_figure_is_saved(tmp_path: Path) -> None:
    small = Holdem("small", ranks=5, suits=3, deals=(0, 1), stack=100, blinds=(1, 2))
    path = tmp_path / "deep" / "range.png"
    assert save(range_grid(small, torch.ones(small.num_hands), ()), path) == path
    assert list(path.parent.iterdir()) == [path]
    picture = image.imread(path)
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture)) > 50
