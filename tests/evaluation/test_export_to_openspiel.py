"""Exported policies have OpenSpiel's NashConv."""

import pyspiel
import pytest
import torch
from torch import Tensor

from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import openspiel_names
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver

GAMES: list[Game] = [
    Kuhn(), Kuhn(depth_limit=1), Kuhn(depth_limit=2), Leduc(), Leduc("before_deal"),
    LiarsDice(1, 4), LiarsDice(2, 2),
]  # fmt: skip
LIKE = torch.empty(0)


def learned(whole: WholeGame, kind: str, *, play_throughs: int = 3) -> Tensor:
    torch.manual_seed(0)
    if kind == "policy_net":
        return PolicyNetwork(whole.game, 16, 2).strategy(whole.forest, whole.belief)
    return search_policy(
        whole,
        Solver(),
        ValueNetwork(whole.game, 16, 2),
        iterations=8,
        play_throughs=play_throughs,
        generator=torch.Generator().manual_seed(0),
        like=LIKE,
    )


@pytest.mark.parametrize("kind", ["tabular", "policy_net", "search"])
@pytest.mark.parametrize("game", GAMES, ids=lambda game: f"{game.name}-{vars(game).get('depth_limit', '')}")
def test_an_exported_policy_has_openspiels_nash_conv(game: Game, kind: str) -> None:
    whole = WholeGame(game)
    if kind == "tabular":
        strategy = Solver().start(whole.forest, whole.belief).run(50).average_strategy()
    else:
        strategy = learned(whole, kind)
    exported = {state: list(chances.items()) for state, chances in whole.export(strategy).items()}
    theirs = pyspiel.nash_conv(
        pyspiel.load_game(openspiel_names(game).openspiel_name), pyspiel.TabularPolicy(exported), True
    )
    assert whole.exploitability(strategy).nash_conv.item() == pytest.approx(theirs, abs=1e-9)
    assert theirs > 1e-5  # not by chance


@pytest.mark.parametrize("play_throughs", [0, 1, 5, 8, 100])
@pytest.mark.parametrize("game", GAMES, ids=lambda game: f"{game.name}-{vars(game).get('depth_limit', '')}")
def test_a_search_policy_is_a_policy(game: Game, play_throughs: int) -> None:
    whole = WholeGame(game)
    strategy = learned(whole, "search", play_throughs=play_throughs)
    assert (strategy >= 0).all()
    torch.testing.assert_close(strategy.sum(0), torch.ones_like(strategy[0]))
    assert (strategy.masked_select(~whole.forest.legal) == 0).all()
    again = learned(whole, "search", play_throughs=play_throughs)
    assert torch.equal(strategy, again)


def test_search_to_the_end_of_the_game_is_tabular_solving() -> None:
    whole = WholeGame(Kuhn())
    searched = search_policy(
        whole,
        Solver(),
        ValueNetwork(whole.game, 16, 2),
        iterations=200,
        play_throughs=3,
        generator=torch.Generator(),
        like=whole.belief,
    )
    tabular = Solver().start(whole.forest, whole.belief).run(200).average_strategy()
    torch.testing.assert_close(searched, tabular)
