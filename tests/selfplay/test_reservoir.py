"""Reservoirs keep a uniform sample, and can be had as of an iteration ago."""

from dataclasses import dataclass

import pytest
import torch
from runs.harness import identical
from torch import Tensor

from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.reservoir import ReservoirReplay

pytestmark = pytest.mark.quick


@dataclass(frozen=True, slots=True)
class Numbered(Examples):
    number: Tensor
    weight: Tensor


def numbered(first: int, end: int) -> Numbered:
    return Numbered(torch.arange(first, end), torch.full((end - first,), 2, dtype=torch.int32))


def filled(seed: int, capacity: int, *sizes: int) -> ReservoirReplay[Numbered]:
    replay, first = ReservoirReplay(numbered(0, 0), capacity=capacity, seed=seed), 0
    for size in sizes:
        replay.add(numbered(first, first + size))
        first += size
    return replay


def test_each_example_is_kept_with_the_same_probability() -> None:
    counts, runs = torch.zeros(50), 1500
    for seed in range(runs):
        kept = filled(seed, 10, 7, 20, 23).contents(50)["columns"]["number"]
        assert len(kept.unique()) == 10
        counts[kept] += 1
    error = (0.2 * 0.8 / runs) ** 0.5
    assert (counts / runs - 0.2).abs().max() < 4.5 * error


def test_below_its_capacity_it_keeps_all_and_samples_them_all() -> None:
    replay = filled(1, 100, 30, 30)
    sample = replay.sample(2000, torch.Generator().manual_seed(1))
    assert sample.number.unique().tolist() == list(range(60))


@pytest.mark.parametrize("sizes", [(5, 5), (8, 8), (30, 40)])
def test_contents_are_those_of_the_latest_iteration_or_the_one_before(sizes: tuple[int, int]) -> None:
    both, first = filled(3, 10, *sizes), filled(3, 10, sizes[0])
    assert identical(both.contents(sizes[0]), first.contents(sizes[0]))
    again = ReservoirReplay(numbered(0, 0), capacity=10, seed=3)
    again.restore(first.contents(sizes[0]))
    again.add(numbered(sizes[0], sum(sizes)))
    assert identical(again.contents(sum(sizes)), both.contents(sum(sizes)))
    draws = [replay.sample(64, torch.Generator().manual_seed(2)) for replay in (both, again)]
    assert torch.equal(draws[0].number, draws[1].number)


def test_ranks_of_another_number_divide_what_is_kept() -> None:
    full, rest = filled(3, 10, 40), filled(4, 10, 6)
    contents = [full.contents(40), rest.contents(6)]
    halves = [ReservoirReplay(numbered(0, 0), capacity=8, seed=3, rank=rank) for rank in (0, 1)]
    for rank, half in enumerate(halves):
        half.restore(half.divide(contents, rank, 2))
    kept = [half.contents(half.added)["columns"]["number"] for half in halves]
    assert torch.cat(kept).sort().values.tolist() == sorted(
        [*contents[0]["columns"]["number"].tolist(), *range(6)]
    )
    one = ReservoirReplay(numbered(0, 0), capacity=20, seed=3)
    one.restore(one.divide(contents, 0, 1))  # it counts 46 as added, and so on 20 as kept
    assert len(one.sample(100, torch.Generator().manual_seed(1)).number.unique()) == 14
