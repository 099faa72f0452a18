"""Local best responses: no more than best responses, and decision by decision what the paper's recipe says.

Lisý and Bowling 2017, "Equilibrium Approximation Quality of Current No-Limit Poker Bots", algorithm 1.
"""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line
from pokerlab.agents.baselines import AlwaysCall, AlwaysFold, EquityPlayer, Uniform
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import CALL, CARDS, FOLD, RAISE, SUITS, Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import table_play
from pokerlab.learning.networks import PolicyNetwork
from pokerlab.search.solver import Solver

SMALL = Holdem("small", stack=4, blinds=(1, 2), bets=((1,),), ranks=3, suits=2, deals=(0, 1))
GAMES: dict[str, Game] = {"kuhn": Kuhn(), "leduc": Leduc(), "holdem": SMALL}
WHOLE: dict[str, WholeGame] = {name: WholeGame(game) for name, game in GAMES.items()}
EACH_GAME = pytest.mark.parametrize("name", GAMES)
OPPONENTS = ["uniform", "call", "fold", "equity", "network", "early CFR"]


def opponent(name: str, whole: WholeGame) -> Agent[Any]:
    game = whole.game
    if name == "network":
        torch.manual_seed(0)
        network = PolicyNetwork(game, hidden=16, layers=2)
        with torch.no_grad():
            network.mlp.rest[-1].weight.mul_(10)  # type: ignore[operator]
        return PolicyNetworkAgent(game, network)
    if name == "early CFR":
        cfr = Solver("dcfr").start(whole.forest, whole.belief).run(10)
        return TabularAgent.of(whole.forest, cfr.average_strategy())
    baselines: dict[str, Agent[Any]] = {
        "uniform": Uniform(game),
        "call": AlwaysCall(game),
        "fold": AlwaysFold(game),
        "equity": EquityPlayer(game),
    }
    return baselines[name]


def random_table(whole: WholeGame, seed: int, power: float) -> TabularAgent[Any]:
    """The higher the power, the purer."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(whole.forest.edge_shape, generator=generator, dtype=torch.float64)
    weights = (weights + 1e-3).pow(power) * whole.forest.legal
    return TabularAgent.of(whole.forest, weights / weights.sum(0))


def values(whole: WholeGame, response: Agent[Any], against: Agent[Any]) -> tuple[list[float], list[float]]:
    """What a response and the best one win in each seat, in chips."""
    responding, played = whole.policy(response), whole.policy(against)
    is_first = (whole.forest.actor == 0)[None, :, None]
    as_first = whole.exploitability(torch.where(is_first, responding, played)).value.item()
    as_second = -whole.exploitability(torch.where(is_first, played, responding)).value.item()
    return [as_first, as_second], whole.exploitability(played).best_response[:, 0].tolist()


@EACH_GAME
@pytest.mark.parametrize("against", OPPONENTS)
def test_it_never_wins_more_than_a_best_response(name: str, against: str) -> None:
    whole = WHOLE[name]
    agent = opponent(against, whole)
    found, best = values(whole, LocalBestResponse(whole.game, agent), agent)
    for seat in (0, 1):
        assert found[seat] <= best[seat] + 1e-9
        if against == "call" and name != "holdem":  # where what one bets now cannot be bet later
            assert found[seat] == pytest.approx(best[seat], abs=1e-9)
    assert sum(found) > 0.1 or against == "early CFR"  # these are bad players


@EACH_GAME
@settings(max_examples=3)
@given(seed=st.integers(0, 2**32), power=st.sampled_from([0.5, 2, 20]))
def test_nor_against_a_random_strategy(name: str, seed: int, power: float) -> None:
    whole = WHOLE[name]
    agent = random_table(whole, seed, power)
    found, best = values(whole, LocalBestResponse(whole.game, agent), agent)
    assert all(ours <= theirs + 1e-9 for ours, theirs in zip(found, best, strict=True))


@EACH_GAME
def test_it_takes_one_action_with_each_hand(name: str) -> None:
    whole = WHOLE[name]
    policy = whole.policy(LocalBestResponse(whole.game, Uniform(whole.game)))
    assert ((policy == 0) | (policy == 1)).all()


@pytest.mark.parametrize("against", ["uniform", "network"])
def test_before_the_street_where_it_begins_it_checks_and_calls(against: str) -> None:
    whole = WHOLE["leduc"]
    agent = opponent(against, whole)
    late = LocalBestResponse(whole.game, agent, from_street=1)
    found, best = values(whole, late, agent)
    assert all(ours <= theirs + 1e-9 for ours, theirs in zip(found, best, strict=True))
    from_the_start, policy = (whole.policy(LocalBestResponse(whole.game, agent)), whole.policy(late))
    first = torch.tensor([state.board is None for state in whole.states])
    facing = torch.tensor([whole.game.actions(state)[0] == FOLD for state in whole.states])
    calls = torch.zeros_like(policy).index_fill(0, torch.tensor([0]), 1)
    calls[:, facing] = calls[:, facing].roll(1, 0)  # after fold
    assert (policy[:, first] == calls[:, first]).all()
    assert (policy[:, ~first] == from_the_start[:, ~first]).all()


@EACH_GAME
@pytest.mark.parametrize("against", ["fold", "network"])
def test_it_can_be_kept_from_betting(name: str, against: str) -> None:
    whole = WHOLE[name]
    game, agent = whole.game, opponent(against, whole)
    passive = LocalBestResponse(game, agent, actions=[])
    for line in whole.lines[::5]:
        allowed = {table_play(game).check_or_call(line.state), table_play(game).check_or_fold(line.state)}
        chances = passive.sit_down(game.actor(line.state), 0).strategies([line])[0]
        assert {action for action in range(game.num_actions) if chances[action].any()} <= allowed
    found, best = values(whole, passive, agent)
    assert all(ours <= theirs + 1e-9 for ours, theirs in zip(found, best, strict=True))


def test_it_may_have_some_sizes_of_bets() -> None:
    game = Holdem("river", board="Td9d6hQc2s", pot=200, stack=900, bets=[[0.5, 1.0]], most_raises=1)
    half, pot, all_in = 2, 3, 4
    line = Line((game.root(),))
    for actions in ([half], [pot, all_in]):
        response = LocalBestResponse(game, AlwaysFold(game), actions=actions)
        chances = response.sit_down(0, 0).strategies([line])[0]
        possible = torch.as_tensor(game.possible_hands(game.root()))
        assert (chances[actions].sum(0)[possible] == 1).all()  # any bet wins the pot


def test_at_the_others_decisions_it_says_what_the_other_does() -> None:
    whole = WHOLE["leduc"]
    agent = opponent("early CFR", whole)
    for player in (0, 1):
        seat = LocalBestResponse(whole.game, agent).sit_down(player, 0)
        for line in whole.lines[::7]:
            if whole.game.actor(line.state) != player:
                assert (seat.strategies([line]) == agent.sit_down(1 - player, 0).strategies([line])).all()


class Drawing(Uniform[Any]):
    draws = True


def test_it_must_know_a_strategy() -> None:
    with pytest.raises(ValueError, match="the agent draws what it plays"):
        LocalBestResponse(Kuhn(), Drawing(Kuhn()))


def test_there_is_none_without_calling() -> None:
    game = LiarsDice(1, 3)
    with pytest.raises(ValueError, match="has no calling"):
        LocalBestResponse(game, Uniform(game)).sit_down(0, 0).strategies([Line((game.root(),))])


# The paper's recipe, hand by hand

Table = Mapping[Any, Tensor]


def share(own: int, other: int, board: int | None) -> float:
    """Of the pot that ``own`` wins of ``other`` if there is no more betting."""

    def strength(card: int, on: int) -> int:
        return card // SUITS + CARDS * (card // SUITS == on // SUITS)

    boards = [card for card in range(CARDS) if card not in (own, other)] if board is None else [board]
    compared = [strength(own, on) - strength(other, on) for on in boards]
    return sum((of > 0) + (of == 0) / 2 for of in compared) / len(boards)


def win_probability(own: int, board: int | None, weights: dict[int, float]) -> float:
    total = sum(weights.values())
    return sum(weight * share(own, other, board) for other, weight in weights.items()) / total if total else 0


def utilities(game: Leduc, line: Line[LeducState], table: Table, own: int) -> dict[int, float] | None:
    """Of each action, in chips from here on; null: the other does not come here."""
    state, player = line.state, game.actor(line.state)
    weights = {other: 1.0 for other in range(CARDS) if other not in (own, state.board)}
    for before, action in zip(line.states, line.actions, strict=False):
        if action != DEALT and game.actor(before) != player:
            weights = {other: w * table[before][action, other].item() for other, w in weights.items()}
    if not any(weights.values()):
        return None
    pot, asset = sum(state.committed), state.committed[1 - player] - state.committed[player]
    wins = win_probability(own, state.board, weights)
    found = {CALL: wins * pot - (1 - wins) * asset}
    if asset:
        found[FOLD] = 0
    if RAISE in game.actions(state):
        after = game.next_state(state, RAISE)
        folds = {other: w * table[after][FOLD, other].item() for other, w in weights.items()}
        stays = {other: w - folds[other] for other, w in weights.items()}
        fold_probability = sum(folds.values()) / sum(weights.values())
        wins = win_probability(own, state.board, stays)
        price = after.committed[player] - state.committed[player]
        more = after.committed[player] - state.committed[1 - player]
        called = wins * (pot + more) - (1 - wins) * price
        found[RAISE] = fold_probability * pot + (1 - fold_probability) * called
    return found


@settings(max_examples=2)
@given(seed=st.integers(0, 2**32), power=st.sampled_from([0.5, 2, 20]))
def test_in_leduc_each_decision_is_the_papers(seed: int, power: float) -> None:
    check_decisions(random_table(WHOLE["leduc"], seed, power))


@pytest.mark.parametrize("against", ["fold", "equity", "early CFR"])
def test_against_what_is_no_random_strategy_too(against: str) -> None:
    whole = WHOLE["leduc"]
    policy = whole.policy(opponent(against, whole))
    check_decisions(TabularAgent.of(whole.forest, policy))


def check_decisions(agent: TabularAgent[LeducState]) -> None:
    game, compared = Leduc(), set()
    seats = [LocalBestResponse(game, agent).sit_down(player, 0) for player in (0, 1)]
    for line in WHOLE["leduc"].lines:
        chosen = seats[game.actor(line.state)].strategies([line])[0].argmax(0).tolist()
        for own in game.possible_hands(line.state).nonzero()[0].tolist():
            expected = utilities(game, line, agent.table, own)
            if expected is None:
                continue
            assert expected.keys() == set(game.actions(line.state))
            assert expected[chosen[own]] >= max(expected.values()) - 1e-9  # one of the best
            compared.add(chosen[own])
    assert {CALL, RAISE} <= compared <= {FOLD, CALL, RAISE}
