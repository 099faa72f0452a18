"""Trajectories that start on later streets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_rebel import tiny_rebel

from pokerlab.algorithms.rebel import ReBeL
from pokerlab.games.base import CHANCE
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.learning.networks import Networks, ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.actors.here import Here
from pokerlab.selfplay.actors.processes import Processes
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.selfplay.place import Place, random_stream
from pokerlab.selfplay.starts import Starts
from pokerlab.selfplay.trajectories import Played, SelfPlay

GAME = Holdem(
    "small", ranks=4, suits=3, stack=30, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1), jitter=0.2, most_deals=12
)
EVERYWHERE = {"root": 0.25, "flop": 0.25, "turn": 0.5}
STREET = slice(3 + 4, 3 + 4 + 3)
"""Features that tell streets apart; of a deal, that of the street before it."""
LIKE = torch.empty(0)


def network() -> ValueNetwork:
    torch.manual_seed(1)
    return ValueNetwork(GAME, 16, 2)


def play(
    shares: dict[str, float] | None, trajectories: int = 20, stored: Played | None = None, share: float = 1.0
) -> Played:
    selfplay = SelfPlay(
        GAME, Solver(), search_iterations=4, policy_examples=2, starts=Starts(GAME, shares, share)
    )
    earlier = None if stored is None else stored.starts
    return selfplay.play(network(), trajectories, random_stream(3), LIKE, earlier)


def deals_by_street(played: Played) -> list[int]:
    """How many different deals before the flop and before the turn there are value examples of."""
    deals = played.values.features[played.values.features[:, 2] == 1]
    return deals[:, STREET].sum(0).int().tolist()[:2]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"root": 0.5}, r"starts must be shares that add up to 1, got root 0\.5"),
        ({"root": 1.5, "flop": -0.5}, r"starts must be shares that add up to 1, got root 1\.5, flop -0\.5"),
        ({}, "starts must be shares that add up to 1, got none"),
        ({"root": 0.5, "river": 0.5}, "starts must be shares of root, flop, turn in small, got 'river'"),
    ],
)
def test_shares_that_make_no_whole_are_refused(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Starts(GAME, shares, 0.5)
    with pytest.raises(ValueError, match=r"^stored must lie between 0 and 1, got 2"):
        Starts(GAME, None, 2)
    with pytest.raises(
        ValueError, match=r"^bottom_up must be iterations of root, flop, turn in small, got 'a'$"
    ):
        Starts(GAME, None, 0.5, {"a": 3})
    with pytest.raises(ValueError, match=r"^bottom_up must not be negative, got turn -1$"):
        Starts(GAME, None, 0.5, {"flop": 3, "turn": -1})


def test_a_game_without_streets_starts_at_its_root() -> None:
    with pytest.raises(ValueError, match=r"^starts must be shares of root in kuhn, got 'flop'$"):
        Starts(Kuhn(), {"flop": 1}, 0.5)
    assert Starts(Kuhn(), {"root": 1.0}, 0.5).names == {}


@pytest.mark.parametrize(("trajectories", "most"), [(20, 0), (1000, 0), (7, 1), (1, 1)])
def test_streets_have_their_shares(trajectories: int, most: int) -> None:
    starts = Starts(GAME, EVERYWHERE, 0.0)
    drawn = starts.draw(trajectories, random_stream(1), {}, LIKE)
    number = {start.street: len(start.subgame_of) for start in drawn}
    assert sum(number.values()) == trajectories
    for street, share in enumerate(EVERYWHERE.values()):
        assert abs(number.get(street, 0) - trajectories * share) <= most
    for start in drawn:
        assert start.states.beliefs.shape == (2, len(start.states), GAME.num_hands)
        if start.street:
            assert len(start.states) == len(start.subgame_of)
            assert all(GAME.actor(state) == CHANCE for state in start.states.states)
            assert {GAME.street(state) for state in start.states.states} == {start.street}


def test_streets_are_learned_bottom_up() -> None:
    starts = Starts(GAME, {"root": 1.0}, 0.5, {"turn": 2, "flop": 1})
    assert starts.names == {1: "flop_starts", 2: "turn_starts"}
    assert [starts.largest_share(street) for street in (0, 1, 2)] == [1, 1, 1]
    drawn = [starts.draw(5, random_stream(1), {}, LIKE, iteration) for iteration in range(5)]
    assert [[start.street for start in each] for each in drawn] == [[2], [2], [1], [0], [0]]
    assert [len(each[0].subgame_of) for each in drawn] == [5] * 5
    # in the first half after the deal, whose value is a mean of what is not learned yet
    begin_at_deal = [
        {GAME.actor(state) == CHANCE for state in start.states.states} for (start, *_) in drawn[:3]
    ]
    assert begin_at_deal == [{False}, {True}, {True}]


def test_all_at_the_root_is_as_without_starts() -> None:
    plain = SelfPlay(GAME, Solver(), search_iterations=4, policy_examples=2)
    values, _ = plain.generate(network(), 20, random_stream(3), LIKE)
    for shares in (None, {"root": 1.0}):
        assert torch.equal(play(shares).values.values, values.values)


def test_trajectories_that_start_on_a_street_are_solved_there() -> None:
    assert deals_by_street(play({"flop": 1.0}))[0] == 20
    assert deals_by_street(play({"turn": 1.0})) == [0, 20]
    flop, turn = deals_by_street(play({"flop": 0.5, "turn": 0.5}))
    assert flop == 10
    assert turn > 10  # some of those that started before it came to it
    assert not play({"turn": 1.0}).values.features[:, STREET][:, 0].any()


def test_what_trajectories_come_to_is_stored() -> None:
    played = play(EVERYWHERE, 40)
    assert set(played.starts) == {"flop_starts", "turn_starts"}
    seen = {tuple(row.tolist()) for row in played.values.beliefs.flatten(1)}
    for name, starts in played.starts.items():
        assert len(starts) > 0
        for code, beliefs in zip(starts.state.numpy(), starts.beliefs, strict=True):
            state = GAME.decode(code)
            assert GAME.streets[GAME.street(state)] == name.removesuffix("_starts")
            assert tuple(beliefs.flatten().tolist()) in seen  # each was solved


def test_a_deal_that_subgames_look_through_is_no_subgame() -> None:
    """Trajectories that start on its street start after it, and what is stored of others was dealt."""
    game = Holdem(**{**GAME.arguments, "name": "through", "leaves": "after_deal"})
    selfplay = SelfPlay(game, Solver(), search_iterations=4, starts=Starts(game, EVERYWHERE, 1.0))
    played = selfplay.play(network(), 40, random_stream(3), LIKE)
    assert deals_by_street(played)[0] > 0
    assert deals_by_street(played)[1] == 0
    streets = played.values.features[:, STREET].argmax(1).bincount(minlength=3).tolist()
    assert streets[2] >= 20
    turns = played.starts["turn_starts"]
    seen = {tuple(row.tolist()) for row in played.values.beliefs.flatten(1)}
    for code, beliefs in zip(turns.state.numpy(), turns.beliefs, strict=True):
        state = game.decode(code)
        assert game.actor(state) == 0
        assert len(state.board) == 3
        assert tuple(beliefs.flatten().tolist()) in seen  # each was solved
    flops = [game.decode(code) for code in played.starts["flop_starts"].state.numpy()]
    assert {game.actor(state) for state in flops} == {CHANCE}
    again = selfplay.play(network(), 40, random_stream(4), LIKE, played.starts)
    assert deals_by_street(again)[1] == 0


def test_stored_belief_states_are_started_from() -> None:
    stored = play(EVERYWHERE, 200)
    known = stored.starts["turn_starts"]
    played = play({"turn": 1.0}, 10, stored)
    deals = played.values.features[:, 2] == 1
    for beliefs in played.values.beliefs[deals]:
        assert (known.beliefs - beliefs).abs().flatten(1).amax(1).min() < 1e-6
    some = play({"turn": 1.0}, 200, stored, share=0.25)
    deals = some.values.features[:, 2] == 1
    again = [(known.beliefs - beliefs).abs().max() < 1e-6 for beliefs in some.values.beliefs[deals]]
    found = sum(
        bool(((known.beliefs - beliefs).abs().flatten(1).amax(1) < 1e-6).any())
        for beliefs in some.values.beliefs[deals]
    )
    assert len(again) == 200
    assert 25 < found < 75


def rebel(seed: int = 0) -> ReBeL:
    return tiny_rebel(
        GAME,
        seed=seed,
        search_iterations=4,
        policy_examples=2,
        starts=EVERYWHERE,
        value_capacity=500,
        policy_capacity=500,
        start_capacity=50,
    )


class Data(SelfPlayData):
    """Plays with one pair of networks, without a trainer."""

    def __init__(self, folder: Path | None = None) -> None:
        algorithm = rebel()
        super().__init__(
            algorithm.streams(), Here(algorithm.actor()), trajectories=16, updates=None, draws_per_example=4,
            batch_size=8, newest=1.0, seed=0, replay_folder=folder,
        )  # fmt: skip
        torch.manual_seed(0)
        self.plays = algorithm.module().networks

    def _networks(self) -> Networks:
        return self.plays


def batches_of(data: Data) -> list[torch.Tensor]:
    return [
        torch.cat([batch["values"].values.flatten(), batch["policies"].strategy.flatten()])
        for batch in data.dataset
    ]


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_stored_survives_a_resume_to_the_bit(on_disk: bool, tmp_path: Path) -> None:
    straight, interrupted, resumed = (
        Data(tmp_path / name if on_disk else None) for name in ("straight", "other", "other")
    )
    for _ in range(2):
        batches_of(straight)
        batches_of(interrupted)
    position = interrupted.state_dict()
    next(iter(interrupted.dataset))  # in the middle of the next one
    resumed.load_state_dict(position)
    resumed.restore_replay(interrupted.replay_contents(position))
    for _ in range(2):
        expected, found = batches_of(straight), batches_of(resumed)
        assert len(expected) == len(found) > 1
        assert all(map(torch.equal, expected, found))
    assert resumed.state_dict() == straight.state_dict()
    assert straight.replays["flop_starts"].added > 0


def test_nothing_is_learned_from_what_is_stored() -> None:
    data = Data()
    (batch, *_) = list(data.dataset)
    assert set(batch) == {"values", "policies"}
    learned = data.replays["values"].added + data.replays["policies"].added
    assert data.dataset.new_examples == learned
    assert data.dataset.draws_per_example == pytest.approx(4, rel=0.1)
    assert data.dataset.updates == -(-4 * data.replays["values"].added // 8)


@pytest.mark.usefixtures("_forked")
def test_processes_share_what_is_stored(tmp_path: Path) -> None:
    """The same as their shares played one by one here."""
    actor = rebel().actor()
    torch.manual_seed(0)
    networks = rebel().module().networks
    stored = play(EVERYWHERE, 60).starts
    pool = Processes(actor, 2)
    told: list[float] = []
    pool.report = told.append
    try:
        together = pool.generate(networks, 9, Place(1, 0), stored)
    finally:
        pool.close()
    alone = [
        actor.generate(
            networks, share, Place(1, 0, worker=worker),
            {name: each.select(slice(worker, None, 2)) for name, each in stored.items()},
        )
        for worker, share in enumerate((5, 4))
    ]  # fmt: skip
    for name, examples in together.items():
        expected = torch.cat([next(iter(each[name].columns().values())) for each in alone])
        assert torch.equal(next(iter(examples.columns().values())), expected)
    assert told[-1] == 1
    assert np.all(np.diff(told) >= 0)
