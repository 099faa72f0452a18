"""Self-play of a small hold'em: two layers of values, varied trees, policy examples that are drawn."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pokerlab.algorithms.rebel import ReBeLModule
from pokerlab.games.holdem import Holdem
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.learning.relabelling import Relabelling
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples
from pokerlab.selfplay.place import BATCHES, LEARNING, Place, random_stream
from pokerlab.selfplay.trajectories import SelfPlay

GAME = Holdem(
    "small", ranks=4, suits=3, stack=30, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1), jitter=0.2, most_deals=12
)


def play(memory_gb: float = 4.0, policy_examples: int | None = 2) -> tuple[ValueExamples, PolicyExamples]:
    torch.manual_seed(1)
    network = ValueNetwork(GAME, 16, 2).double()
    solver = Solver("dcfr", memory_gb=memory_gb, alternating=False)
    selfplay = SelfPlay(GAME, solver, search_iterations=5, policy_examples=policy_examples)
    return selfplay.generate(network, 30, random_stream(1), torch.empty(0, dtype=torch.float64))


def test_examples_are_belief_states_and_strategies() -> None:
    values, policies = play()
    for examples in (values, policies):
        torch.testing.assert_close(examples.beliefs.sum(-1), torch.ones(len(examples), 2))
        assert not (examples.beliefs * ~examples.possible[:, None]).any()
    torch.testing.assert_close(policies.strategy.sum(1), torch.ones(len(policies), GAME.num_hands))
    assert not (policies.strategy * ~policies.legal[:, :, None]).any()
    deals = values.features[:, 2] == 1
    assert 0 < deals.sum() < len(values)  # before deals and after
    joint = values.beliefs * GAME.mass_operator(values.beliefs)(values.beliefs.flip(1))
    total = (joint * values.values).sum((1, 2)) / joint.sum((1, 2))
    complete = values.features[:, 3 + 4 + 2] == 1  # the last street: solved to the end
    assert complete.any()
    assert total[complete].abs().max() < 1e-5


def test_the_result_does_not_depend_on_how_a_forest_is_split() -> None:
    (whole, _), (split, _) = play(), play(memory_gb=1e-6)
    torch.testing.assert_close(whole.beliefs, split.beliefs)
    # what hands that meet nobody play is up to rounding, and is met by hands that nobody believes in
    believed = whole.beliefs > 0
    torch.testing.assert_close(whole.values[believed], split.values[believed])


def test_policy_examples_are_so_many_a_subgame_and_trajectory_each_once() -> None:
    (_, drawn), (_, every) = play(), play(policy_examples=None)
    rows, known = (
        [
            tuple(row)
            for row in torch.cat([each.features, each.strategy.flatten(1)], 1).numpy().round(4).tolist()
        ]
        for each in (drawn, every)
    )
    root = every.features[:, 3 + 4] == 1  # the first street: one subgame, 60 draws of its decisions
    assert len(set(rows)) == len(rows) < len(known) == len(set(known))
    assert int(root.sum()) - 1 <= int((drawn.features[:, 3 + 4] == 1).sum()) <= int(root.sum())
    first = int(root.sum())
    assert set(rows) & set(known[:first]) == {row for row in rows if row[3 + 4] == 1}


def module(*, relabel: bool) -> ReBeLModule:
    torch.manual_seed(1)
    return ReBeLModule(
        ValueNetwork(GAME, 16, 2),
        PolicyNetwork(GAME, 16, 2),
        iterations=1,
        relabelling=Relabelling(GAME.relabellings()) if relabel else None,
    )


def test_learning_sees_examples_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    values, policies = play()
    batch = {"values": values, "policies": policies}
    learner, seen = module(relabel=True), list[ValueExamples | PolicyExamples]()

    def note(examples: ValueExamples | PolicyExamples) -> Tensor:
        seen.append(examples)
        return torch.zeros(())

    monkeypatch.setattr(learner, "value_error", note)
    monkeypatch.setattr(learner, "policy_error", note)
    monkeypatch.setattr(type(learner), "current_epoch", 0)
    learner.training_step(batch, 0)
    learner.training_step(batch, 1)
    learner.training_step(batch, 0)
    names, rows = GAME.relabellings(), np.arange(len(values))
    matched = np.zeros((len(names.hands), len(values)), dtype=bool)
    for number, (features, hands) in enumerate(zip(names.features, names.hands, strict=True)):
        changed = seen[0]
        assert isinstance(changed, ValueExamples)
        matched[number] = (
            (changed.features == values.features[:, features]).all(1)
            & (changed.beliefs == values.beliefs[..., hands]).all(2).all(1)
            & (changed.values == values.values[..., hands]).all(2).all(1)
            & (changed.possible == values.possible[:, hands]).all(1)
        ).numpy()
    assert matched.any(0).all()
    assert matched[:, rows].argmax(0).max() > 0  # not all under the first
    assert torch.equal(seen[0].beliefs, seen[4].beliefs)
    assert not torch.equal(seen[0].beliefs, seen[2].beliefs)
    assert isinstance(seen[1], PolicyExamples)
    torch.testing.assert_close(seen[1].strategy.sum(1), torch.ones(len(policies), GAME.num_hands))
    assert torch.equal(seen[1].legal, policies.legal)


def test_deals_too_are_valued_for_the_beliefs_of_other_iterations() -> None:
    """Where cards are dealt nothing ends, so that there are no payoffs at all."""
    torch.manual_seed(1)
    network = ValueNetwork(GAME, 16, 2).double()
    solver = Solver(alternating=False)
    selfplay = SelfPlay(GAME, solver, search_iterations=5, targets=3, policy_examples=1)
    values, _ = selfplay.generate(network, 30, random_stream(1), torch.empty(0, dtype=torch.float64))
    deals = values.features[:, 2] == 1
    assert deals.any()
    assert int(deals.sum()) % 3 == 0
    joint = values.beliefs * GAME.mass_operator(values.beliefs)(values.beliefs.flip(1))
    total = (joint * values.values).sum((1, 2)) / joint.sum((1, 2))
    complete = values.features[:, 3 + 4 + 2] == 1
    assert complete.any()
    assert total[complete].abs().max() < 1e-5


def test_suits_are_drawn_from_a_stream_of_the_runs_seed_that_nobody_plays_with() -> None:
    learning = {
        Place(seed, iteration, worker=LEARNING).generator(batch).initial_seed()
        for seed in range(3)
        for iteration in range(3)
        for batch in range(4)
    }
    playing = {
        Place(seed, iteration, rank, worker).generator().initial_seed()
        for seed in range(3)
        for iteration in range(3)
        for rank in range(2)
        for worker in (*range(5), BATCHES)
    }
    assert (len(learning), len(playing)) == (36, 3 * 3 * 2 * 6)
    assert not learning & playing
    other = module(relabel=True)
    other.seed = 1
    assert module(relabel=True).place.generator(0).initial_seed() != other.place.generator(0).initial_seed()


@pytest.mark.parametrize("worker", [0, 3])
def test_the_place_of_rank_0_has_the_stream_that_runs_always_had(worker: int) -> None:
    assert Place(7, 2, worker=worker).generator().initial_seed() == random_stream(7, 2, worker).initial_seed()
