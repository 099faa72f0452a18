"""AIVAT is unbiased whatever its value function says: exact expectations over every hand of play."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Line
from pokerlab.agents.tabular import TabularAgent
from pokerlab.evaluation.aivat import Aivat, CheckDown, TreeValues, ValueFunction
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.street_play import StreetAivat, StreetPlay
from pokerlab.games.base import CHANCE, TERMINAL, Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import table_play
from pokerlab.search.payoffs import realised_payoffs

Table = Mapping[Any, Tensor]
TINY = Holdem(
    "tiny",
    stack=4,
    blinds=(1, 2),
    bets=((1,),),
    ranks=3,
    suits=2,
    deals=(0, 1),
    ranges=("uniform", "uniform"),
)
GAMES: list[Game] = [Kuhn(), Leduc(), LiarsDice(1, 3)]


def random_table(game: Game, seed: int) -> Table:
    whole = WholeGame(game)
    weights = torch.rand(whole.forest.edge_shape, generator=torch.Generator().manual_seed(seed)).double()
    weights = weights.pow(4) * whole.forest.legal
    return TabularAgent.of(whole.forest, weights / weights.sum(0)).table


@dataclass(frozen=True)
class Everything:
    """Every hand of play that can happen, ``n`` of them, with its probability."""

    lines: list[Line[Any]]
    hands: np.ndarray
    probability: Tensor


def everything(game: Game, tables: tuple[Table, Table]) -> Everything:
    lines, hands, chances = [], [], []
    joint = game.deal * np.outer(*game.initial_beliefs)
    joint = joint / joint.sum()

    def play(line: Line[Any], pair: tuple[int, int], chance: float) -> None:
        if chance == 0:
            return
        actor = game.actor(line.state)
        if actor == TERMINAL:
            lines.append(line)
            hands.append(pair)
            chances.append(chance)
        elif actor == CHANCE:
            for outcome in game.chance_outcomes(line.state):
                if game.possible_hands(outcome)[list(pair)].all():
                    play(line.after(DEALT, outcome), pair, chance * game.chance_probability(line.state))
        else:
            for action in game.actions(line.state):
                likely = tables[actor][line.state][action, pair[actor]].item()
                play(line.after(action, game.next_state(line.state, action)), pair, chance * likely)

    for first, second in zip(*joint.nonzero(), strict=True):
        play(Line((game.root(),)), (int(first), int(second)), joint[first, second])
    return Everything(lines, np.array(hands), torch.tensor(chances, dtype=torch.float64))


def estimates(
    game: Game, played: Everything, tables: tuple[Table, Table], values: ValueFunction, known: Sequence[bool]
) -> Tensor:
    """AIVAT's, of every hand."""
    everybody = torch.tensor(known).expand(len(played.lines), 2)
    aivat = Aivat(game, values, everybody, played.hands)
    for move in range(max(len(line.actions) for line in played.lines)):
        going_on = [row for row, line in enumerate(played.lines) if len(line.actions) > move]
        for actor in (0, 1, CHANCE):
            rows = [row for row in going_on if game.actor(played.lines[row].states[move]) == actor]
            if not rows:
                continue
            before = [played.lines[row].states[move] for row in rows]
            if actor == CHANCE:
                aivat.observe_deal(
                    torch.tensor(rows), before, [played.lines[row].states[move + 1] for row in rows]
                )
                continue
            strategies = torch.stack([tables[actor][state] for state in before])
            actions = torch.tensor([played.lines[row].actions[move] for row in rows])
            aivat.observe_action(torch.tensor(rows), before, actor, strategies, actions)
    return aivat.estimate([line.state for line in played.lines])


def mean(played: Everything, of: Tensor) -> float:
    return (played.probability * of).sum().item()


def deviation(played: Everything, of: Tensor) -> float:
    return max(mean(played, of.square()) - mean(played, of) ** 2, 0) ** 0.5


@pytest.mark.parametrize("known", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_its_expectation_is_the_exact_value(game: Game, known: tuple[bool, bool]) -> None:
    tables = random_table(game, 1), random_table(game, 2)
    played = everything(game, tables)
    assert played.probability.sum().item() == pytest.approx(1, abs=1e-12)
    won = realised_payoffs(game, [line.state for line in played.lines], played.hands)
    exact = TreeValues(game, pair(game, tables)).value
    assert mean(played, won) == pytest.approx(exact, abs=1e-9)
    functions: list[ValueFunction] = [TreeValues(game, random_table(game, 3)), TreeValues(game, tables[0])]
    if not isinstance(game, LiarsDice):
        functions.append(CheckDown(game))
    for values in functions:
        found = estimates(game, played, tables, values, known)
        assert mean(played, found) == pytest.approx(exact, abs=1e-9)
        assert found.std() > 1e-3  # not because it knew


def test_its_expectation_is_the_exact_value_in_hold_em() -> None:
    tables = random_table(TINY, 1), random_table(TINY, 2)
    played = everything(TINY, tables)
    exact = TreeValues(TINY, pair(TINY, tables)).value
    for known in ((True, True), (False, True)):
        found = estimates(TINY, played, tables, CheckDown(TINY), known)
        assert mean(played, found) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("game", [Kuhn(), Leduc(), TINY], ids=lambda game: game.name)
def test_street_by_street_its_expectation_is_the_exact_value_and_little_luck_is_left(game: Game) -> None:
    tables = random_table(game, 1), random_table(game, 2)
    played = everything(game, tables)
    found = street_by_street(game, played, tables)
    exact = TreeValues(game, pair(game, tables)).value
    assert mean(played, found) == pytest.approx(exact, abs=1e-9)
    if isinstance(game, Kuhn):  # all is played on one street
        torch.testing.assert_close(found, torch.full_like(found, exact), rtol=0, atol=1e-9)
    else:
        by_action = estimates(game, played, tables, CheckDown(game), (True, True))
        assert 0 < deviation(played, found) < deviation(played, by_action) / 2


def street_by_street(game: Game, played: Everything, tables: tuple[Table, Table]) -> Tensor:
    seats = TabularAgent(game, tables[0]), TabularAgent(game, tables[1])
    aivat = StreetAivat(game, StreetPlay(game), played.hands)

    def begin(rows: list[int], place: int) -> None:
        lines = [
            Line(played.lines[row].states[: place + 1], played.lines[row].actions[:place]) for row in rows
        ]
        aivat.begin_street(torch.tensor(rows), lines, [seats] * len(rows))

    begin(list(range(len(played.lines))), 0)
    for move in range(max(len(line.actions) for line in played.lines)):
        going_on = [row for row, line in enumerate(played.lines) if len(line.actions) > move]
        for actor in (0, 1, CHANCE):
            rows = [row for row in going_on if game.actor(played.lines[row].states[move]) == actor]
            before = [played.lines[row].states[move] for row in rows]
            if not rows:
                continue
            if actor == CHANCE:
                after = [played.lines[row].states[move + 1] for row in rows]
                aivat.observe_deal(torch.tensor(rows), before, after)
                begin(rows, move + 1)
            else:
                strategies = torch.stack([tables[actor][state] for state in before])
                actions = torch.tensor([played.lines[row].actions[move] for row in rows])
                aivat.observe_action(torch.tensor(rows), before, actor, strategies, actions)
    return aivat.estimate([line.state for line in played.lines])


def pair(game: Game, tables: tuple[Table, Table]) -> Table:
    return {state: tables[game.actor(state)][state] for state in tables[0]}


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_with_both_players_known_and_exact_values_no_luck_is_left(game: Game) -> None:
    tables = random_table(game, 1), random_table(game, 2)
    played, values = everything(game, tables), TreeValues(game, pair(game, tables))
    found = estimates(game, played, tables, values, (True, True))
    torch.testing.assert_close(found, torch.full_like(found, values.value), rtol=0, atol=1e-9)


@pytest.mark.parametrize("game", [Kuhn(), Leduc()], ids=lambda game: game.name)
def test_with_one_player_known_and_exact_values_only_the_others_actions_are_luck(game: Game) -> None:
    """An opponent that never mixes leaves none."""
    first, always = random_table(game, 1), random_table(game, 2)
    second = {state: (chances == chances.amax(0)).double() for state, chances in always.items()}
    played = everything(game, (first, second))
    values = TreeValues(game, pair(game, (first, second)))
    found = estimates(game, played, (first, second), values, (True, False))
    torch.testing.assert_close(found, torch.full_like(found, values.value), rtol=0, atol=1e-9)


def test_checking_down_is_worth_what_the_tree_says_if_both_always_check_and_call() -> None:
    games: list[Game] = [Kuhn(), Leduc(), TINY]
    for game in games:
        whole, generator = WholeGame(game), torch.Generator().manual_seed(0)
        table = {}
        for state in whole.states:
            table[state] = torch.zeros(game.num_actions, game.num_hands, dtype=torch.float64)
            table[state][table_play(game).check_or_call(state)] = 1
        tree, down = TreeValues(game, table), CheckDown(game)
        for player in (0, 1):
            states = [
                [game.next_state(state, action) for action in game.actions(state)] for state in whole.states
            ]
            which = np.repeat(np.arange(len(states)), 2)
            opponent = torch.rand(len(which), game.num_hands, generator=generator, dtype=torch.float64)
            torch.testing.assert_close(
                down.counterfactual_values(states, which, player, opponent),
                tree.counterfactual_values(states, which, player, opponent),
                rtol=0,
                atol=1e-12,
            )


def test_better_values_leave_less_luck() -> None:
    """The values of the one's self-play, the other being close to it."""
    game = Leduc()
    first, other = random_table(game, 1), random_table(game, 2)
    second = {state: 0.8 * first[state] + 0.2 * other[state] for state in first}
    played = everything(game, (first, second))
    won = realised_payoffs(game, [line.state for line in played.lines], played.hands)
    values = TreeValues(game, first)
    both, one = (
        estimates(game, played, (first, second), values, known) for known in [(True, True), (True, False)]
    )
    assert deviation(played, both) < deviation(played, won) / 10
    assert deviation(played, both) < deviation(played, one) < deviation(played, won)
