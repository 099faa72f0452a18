"""One pass over the data set is one iteration: play, then learn from the replay."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.algorithms.rebel import ReBeL
from pokerlab.games.kuhn import Kuhn
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.actors.here import Here
from pokerlab.selfplay.data import Batch, SelfPlayData
from pokerlab.selfplay.place import Place

GAME = Kuhn(depth_limit=1)
UPDATES, BATCH = 3, 16


class Data(SelfPlayData):
    """Plays with one network, without a trainer."""

    def __init__(
        self, *, seed: int = 0, capacity: int = 150, folder: Path | None = None, device_bytes: float = 0
    ) -> None:
        self.algorithm = ReBeL(
            GAME,
            solver=Solver(),
            value_network=partial(ValueNetwork, hidden=8, layers=1),
            policy_network=partial(PolicyNetwork, hidden=8, layers=1),
            iterations=1,
            seed=seed,
            search_iterations=8,
            value_capacity=capacity,
            policy_capacity=2 * capacity,
        )
        super().__init__(
            self.algorithm.streams(),
            Here(self.algorithm.actor()),
            trajectories=40,
            updates=UPDATES,
            batch_size=BATCH,
            newest=0.5,
            seed=seed,
            replay_folder=folder,
            device_bytes=device_bytes,
        )
        torch.manual_seed(0)
        self.plays = ValueNetwork(GAME, 8, 1)

    def _networks(self) -> ValueNetwork:
        return self.plays

    def iterate(self) -> list[Batch]:
        return list(self.dataset)


def flat(batches: list[Batch]) -> torch.Tensor:
    rows = [torch.cat([b["values"].values.flatten(), b["policies"].strategy.flatten()]) for b in batches]
    return torch.stack(rows)


def same_columns(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(
        first[kind]["added"] == second[kind]["added"]
        and all(torch.equal(column, second[kind]["columns"][name]) for name, column in columns.items())
        for kind, columns in ((kind, first[kind]["columns"]) for kind in ("values", "policies"))
    )


def test_an_iteration_plays_and_then_yields_its_batches() -> None:
    data = Data()
    batches = data.iterate()
    assert (
        len(batches) == data.dataset.updates == len(data.dataset) == len(data.train_dataloader()) == UPDATES
    )
    assert all(len(batch["values"]) == len(batch["policies"]) == BATCH for batch in batches)
    assert data.dataset.iteration == 1
    assert data.dataset.new_examples == sum(r.added for r in data.replays.values())
    # every subgame has one decision
    assert data.replays["policies"].added == data.replays["values"].added > 10
    before = data.replays["values"].added
    data.iterate()
    assert data.dataset.iteration == 2
    assert data.replays["values"].added > before


def test_a_seed_fixes_every_batch_and_iterations_differ() -> None:
    first, again, other = Data(seed=1), Data(seed=1), Data(seed=2)
    batches = [flat(data.iterate()) for data in (first, again, other)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    assert len(batches[0].unique(dim=0)) == UPDATES
    assert not torch.equal(flat(first.iterate()), batches[0])


def test_batches_are_drawn_from_a_stream_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one for each seed and iteration, and none that a worker plays with."""
    streams: dict[tuple[int, int], set[int]] = {}
    for seed in (1, 2):
        data = Data(seed=seed)
        for replay in data.replays.values():
            draw = replay.draw

            def spy(size: int, generator: torch.Generator, draw: Any = draw) -> Any:
                streams.setdefault((seed, data.dataset.iteration), set()).add(generator.initial_seed())  # noqa: B023
                return draw(size, generator)

            monkeypatch.setattr(replay, "draw", spy)
        for _ in range(3):
            data.iterate()
    assert streams.keys() == {(seed, iteration) for seed in (1, 2) for iteration in (1, 2, 3)}
    assert all(len(seeds) == 1 for seeds in streams.values())
    played = {
        Place(seed, i, worker=worker).generator().initial_seed()
        for seed in (1, 2)
        for i in range(3)
        for worker in range(9)
    }
    assert len(set.union(*streams.values()) - played) == 6


@pytest.mark.parametrize("finished", [1, 2, 6])
def test_an_iteration_that_is_interrupted_is_played_again_with_the_same_batches(finished: int) -> None:
    straight, interrupted, resumed = Data(), Data(), Data()
    for _ in range(finished):
        straight.iterate()
        interrupted.iterate()
    position = interrupted.state_dict()
    as_it_was = interrupted.replay_contents(position)
    next(iter(interrupted.dataset))  # in the middle of the next one
    assert interrupted.state_dict() != position
    saved = interrupted.replay_contents(position)
    assert same_columns(saved, as_it_was)
    resumed.load_state_dict(position)
    resumed.restore_replay(saved)
    for _ in range(2):
        assert torch.equal(flat(resumed.iterate()), flat(straight.iterate()))
    assert resumed.state_dict() == straight.state_dict()


def test_moving_a_batch_moves_every_column_but_features() -> None:
    batch = Data().iterate()[0]
    for examples in (batch["values"], batch["policies"]):
        there = examples.to(torch.device("meta"))
        assert there.columns().keys() == examples.columns().keys()
        for name, column in there.columns().items():
            assert column.device.type == ("cpu" if name == "features" else "meta")


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("iterations", [0, 2, 5])
def test_batches_on_a_gpu_are_those_of_the_cpu_wherever_the_replay_is(
    iterations: int, on_disk: bool, tmp_path: Path
) -> None:
    """In its memory, as long as there is room for it: for so many iterations."""
    device_bytes = {0: 0, 2: 1700 if on_disk else 3000, 5: 1e9}[iterations]
    here = Data(folder=tmp_path / "here" if on_disk else None)
    there = Data(folder=tmp_path / "there" if on_disk else None, device_bytes=device_bytes)
    there.dataset.device = CUDA
    with pretended_cuda() as cuda:
        launches = []
        for _ in range(5):
            expected = here.iterate()
            batches = iter(there.dataset)
            first = next(batches)
            cuda.restart()
            found = [first, *batches]
            launches.append(cuda.operations)
            assert not cuda.synchronisations, cuda.waited_for
            for ours, theirs in zip(found, expected, strict=True):
                for kind, examples in theirs.items():
                    columns = ours[kind].columns()
                    on_host = {name for name, column in columns.items() if column.device != CUDA}
                    assert on_host == {*examples.on_host} == {"features"}
                    for name, column in examples.columns().items():
                        assert torch.equal(columns[name].cpu(), column), (kind, name)
        position = there.state_dict()
        saved, contents = here.replay_contents(position), there.replay_contents(position)
        assert saved == contents if on_disk else same_columns(saved, contents)
    # every column but features is copied from the host; or two indices are, and each of them is gathered
    unpacked = 6 if on_disk else 0
    each = [10 + unpacked] * iterations + [8 + unpacked] * (5 - iterations)
    assert launches == [(UPDATES - 1) * number for number in each]
