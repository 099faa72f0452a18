"""The replay against a plain list of everything that was ever added."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.games.kuhn import Kuhn
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples
from pokerlab.selfplay.replay import IterationReplay, MemoryReplay, Replay
from pokerlab.selfplay.replay_on_disk import DiskReplay

NONE = ValueExamples.none(Kuhn())
SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=12)
NEWEST = st.sampled_from([1.0, 0.99, 0.9, 0.5, 1 / 3, 0.25, 0.01]) | st.floats(0.001, 1)


def numbered(first: int, until: int) -> ValueExamples:
    """Examples that carry their number in every column."""
    number = torch.arange(first, until, dtype=torch.float32)
    return ValueExamples(
        features=number[:, None].repeat(1, 5),
        beliefs=-number[:, None, None].repeat(1, 2, 3),
        possible=(number % 2 == 0)[:, None].repeat(1, 3),
        values=2 * number[:, None, None].repeat(1, 2, 3),
    )


def same(first: ValueExamples, second: ValueExamples) -> bool:
    names = ("features", "beliefs", "possible", "values")
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in names)


def saved(replay: MemoryReplay[ValueExamples], added: int) -> ValueExamples:
    contents = replay.contents(added)
    assert contents["added"] == added
    return ValueExamples(**contents["columns"])


def filled(*sizes: int, capacity: int, newest: float = 1.0) -> MemoryReplay[ValueExamples]:
    replay = MemoryReplay(NONE, capacity=capacity, newest=newest)
    for size in sizes:
        replay.add(numbered(replay.added, replay.added + size))
    return replay


@pytest.mark.parametrize(
    ("capacity", "newest", "added", "window"),
    [
        (10, 1.0, 0, 0),
        (10, 1.0, 7, 7),
        (10, 1.0, 10, 10),
        (10, 1.0, 11, 10),
        (10, 0.5, 1, 1),  # never nothing, where there is something
        (10, 0.5, 8, 4),
        (10, 0.25, 11, 3),  # 2.75
        (10, 0.5, 20, 10),
        (10, 0.5, 1000, 10),
        (10**6, 0.01, 3, 1),
        (10**6, 0.01, 1000, 10),
        (1, 1.0, 5, 1),
    ],
)
def test_the_window_is_the_newest_share_up_to_the_capacity(
    capacity: int, newest: float, added: int, window: int
) -> None:
    replay = MemoryReplay(NONE, capacity=capacity, newest=newest)
    assert replay.window(added) == window
    replay.add(numbered(0, added))
    assert same(saved(replay, added), numbered(added - window, added))


@settings(max_examples=200)
@given(sizes=SIZES, capacity=st.integers(1, 25), newest=NEWEST)
def test_the_window_of_the_add_before_stays_whole(sizes: list[int], capacity: int, newest: float) -> None:
    replay = MemoryReplay(NONE, capacity=capacity, newest=newest)
    oldest, before = 0, 0
    for size in sizes:
        replay.add(numbered(before, before + size))
        assert replay.added == before + size
        for added in (before, replay.added):
            window = replay.window(added)
            assert window <= min(added, capacity)
            assert same(saved(replay, added), numbered(added - window, added))
        assert replay.added - replay.window(replay.added) >= oldest  # nothing comes back
        oldest, before = replay.added - replay.window(replay.added), replay.added


@settings(max_examples=100)
@given(sizes=SIZES, capacity=st.integers(1, 25), newest=NEWEST, cut=st.integers(0, 11))
def test_a_restored_replay_goes_on_like_the_original(
    sizes: list[int], capacity: int, newest: float, cut: int
) -> None:
    original = filled(*sizes[:cut], capacity=capacity, newest=newest)
    restored = MemoryReplay(NONE, capacity=capacity, newest=newest)
    restored.add(numbered(50, 53))  # what it held is forgotten
    restored.restore(original.contents(original.added))
    for size in [0, *sizes[cut:], 1]:
        for replay in (original, restored):
            replay.add(numbered(replay.added, replay.added + size))
        assert restored.added == original.added
        assert same(saved(restored, restored.added), saved(original, original.added))
        if original.added:
            draws = [r.sample(9, torch.Generator().manual_seed(3)) for r in (original, restored)]
            assert same(*draws)


@settings(max_examples=50)
@given(sizes=SIZES, more=st.integers(0, 30), capacity=st.integers(1, 25), newest=NEWEST)
def test_an_interrupted_iteration_can_be_saved_as_of_the_one_before(
    sizes: list[int], more: int, capacity: int, newest: float
) -> None:
    finished = filled(*sizes, capacity=capacity, newest=newest)
    interrupted = filled(*sizes, more, capacity=capacity, newest=newest)
    restored = MemoryReplay(NONE, capacity=capacity, newest=newest)
    restored.restore(interrupted.contents(finished.added))
    for replay in (finished, restored):
        replay.add(numbered(replay.added, replay.added + 5))
    assert same(saved(restored, restored.added), saved(finished, finished.added))


@settings(max_examples=100)
@given(
    sizes=SIZES,
    cut=st.integers(0, 11),
    capacities=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    shares=st.tuples(NEWEST, NEWEST),
)
def test_a_replay_restored_into_another_size_never_counts_what_was_not_saved(
    sizes: list[int], cut: int, capacities: tuple[int, int], shares: tuple[float, float]
) -> None:
    original = filled(*sizes[:cut], capacity=capacities[0], newest=shares[0])
    restored = MemoryReplay(NONE, capacity=capacities[1], newest=shares[1])
    restored.restore(original.contents(original.added))
    oldest = original.added - original.window(original.added)
    for size in [0, *sizes[cut:]]:
        restored.add(numbered(restored.added, restored.added + size))
        wanted = filled(restored.added, capacity=capacities[1], newest=shares[1]).window(restored.added)
        first = max(oldest, restored.added - wanted)
        assert same(saved(restored, restored.added), numbered(first, restored.added))


def test_what_was_saved_does_not_change_with_the_replay() -> None:
    replay = filled(6, capacity=4)
    contents = replay.contents(6)
    restored = MemoryReplay(NONE, capacity=4)
    restored.restore(contents)
    for one in (replay, restored):
        for first in range(6, 30, 3):
            one.add(numbered(first, first + 3))
    assert same(ValueExamples(**contents["columns"]), numbered(2, 6))


def test_an_empty_replay_can_be_saved_and_restored() -> None:
    restored = MemoryReplay(NONE, capacity=4)
    restored.restore(filled(capacity=4).contents(0))
    restored.add(numbered(0, 0))
    with pytest.raises(ValueError, match="the replay is empty"):
        restored.sample(1, torch.Generator())
    restored.add(numbered(0, 2))
    assert same(saved(restored, 2), numbered(0, 2))


@pytest.mark.parametrize("sizes", [(), (0,), (0, 0)])
def test_nothing_can_be_sampled_from_nothing(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the replay is empty: self-play produced no examples"):
        filled(*sizes, capacity=4).sample(1, torch.Generator())


def test_an_empty_add_changes_nothing() -> None:
    replay = filled(7, 0, capacity=5)
    assert replay.added == 7
    assert same(saved(replay, 7), numbered(2, 7))


def test_one_add_can_be_larger_than_the_capacity() -> None:
    replay = filled(3, 100, capacity=5)
    assert same(saved(replay, 103), numbered(98, 103))
    assert same(saved(replay, 3), numbered(0, 3))


def counts_of(replay: MemoryReplay[ValueExamples], size: int) -> Tensor:
    sample = replay.sample(size, torch.Generator().manual_seed(0))
    number = sample.features[:, 0].long()
    assert same(sample, ValueExamples(*(column[number] for column in columns_of(numbered(0, replay.added)))))
    return torch.bincount(number, minlength=replay.added)


def columns_of(examples: ValueExamples) -> tuple[Tensor, ...]:
    return examples.features, examples.beliefs, examples.possible, examples.values


@pytest.mark.parametrize(("capacity", "newest", "first"), [(100, 1.0, 0), (8, 1.0, 32), (100, 0.25, 30)])
def test_sampling_is_uniform_over_the_window_and_only_there(capacity: int, newest: float, first: int) -> None:
    counts = counts_of(filled(*[4] * 10, capacity=capacity, newest=newest), 40_000)
    expected = 40_000 / (40 - first)
    assert not counts[:first].any()
    assert (counts[first:] - expected).abs().max() < 4.5 * np.sqrt(expected)


def test_the_same_generator_gives_the_same_sample_and_another_one_another() -> None:
    replay = filled(50, capacity=40)
    samples = [replay.sample(20, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert same(samples[0], samples[1])
    assert not same(samples[0], samples[2])


@pytest.mark.parametrize("capacity", [0, -3])
def test_a_capacity_below_one_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"replay capacity must be at least 1, got {capacity}"):
        MemoryReplay(NONE, capacity=capacity)


@pytest.mark.parametrize("newest", [0.0, -0.5, 1.001, float("nan")])
def test_a_share_that_is_none_is_refused(newest: float) -> None:
    with pytest.raises(ValueError, match="newest must lie above 0 and up to 1, got"):
        MemoryReplay(NONE, capacity=1, newest=newest)


WEIGHTS = torch.tensor([1, 0, 6, 3], dtype=torch.int32)


def weighted(first: int) -> PolicyExamples:
    """One for each of ``WEIGHTS``, told apart by their feature."""
    number = len(WEIGHTS)
    return PolicyExamples(
        features=torch.arange(first, first + number)[:, None].float(),
        beliefs=torch.full((number, 2, 3), 1 / 3),
        possible=torch.ones(number, 3, dtype=torch.bool),
        legal=torch.ones(number, 2, dtype=torch.bool),
        strategy=torch.full((number, 2, 3), 1 / 2),
        weight=WEIGHTS,
    )


def empty_replay(folder: Path | None, capacity: int) -> Replay[PolicyExamples]:
    none = PolicyExamples(**{name: column[:0] for name, column in weighted(0).columns().items()})
    if folder is None:
        return MemoryReplay(none, capacity=capacity)
    return DiskReplay(none, folder, "policies", capacity=capacity)


@pytest.mark.parametrize("on_disk", [False, True])
def test_examples_are_drawn_as_often_as_their_weights_say(on_disk: bool, tmp_path: Path) -> None:
    replay = empty_replay(tmp_path if on_disk else None, capacity=8)
    for iteration in range(3):  # the first four fall out of the window
        replay.add(weighted(4 * iteration))
    drawn = replay.sample(20_000, torch.Generator().manual_seed(1))
    found = torch.bincount(drawn.features[:, 0].long(), minlength=12)
    expected = torch.cat([torch.zeros(4), WEIGHTS, WEIGHTS]) / 20
    assert not found[:4].any()
    assert not found[[5, 9]].any()
    assert (
        (found / 20_000 - expected).abs() < 4.5 * (expected * (1 - expected) / 20_000).sqrt() + 1e-9
    ).all()
    # so it is after a resume
    again = empty_replay(tmp_path if on_disk else None, capacity=8)
    again.restore(replay.contents(12))
    same = again.sample(20_000, torch.Generator().manual_seed(1))
    assert torch.equal(same.features, drawn.features)


@pytest.mark.parametrize("on_disk", [False, True])
def test_stored_examples_without_weights_are_drawn_alike(on_disk: bool, tmp_path: Path) -> None:
    """What versions wrote that repeated an example for every trajectory."""
    replay = empty_replay(tmp_path if on_disk else None, capacity=8)
    replay.add(weighted(0))
    contents = replay.contents(4)
    if on_disk:
        (chunk,) = tmp_path.iterdir()
        columns = torch.load(chunk, weights_only=True)
        del columns["weight"]
        torch.save(columns, chunk)
    else:
        del contents["columns"]["weight"]
    again = empty_replay(tmp_path if on_disk else None, capacity=8)
    again.restore(contents)
    drawn = again.sample(4000, torch.Generator().manual_seed(1))
    assert torch.equal(drawn.weight, torch.ones(4000, dtype=torch.int32))
    assert (torch.bincount(drawn.features[:, 0].long()) > 850).all()


@pytest.mark.quick
def test_a_replay_of_one_iteration_gives_each_of_its_examples_before_any_again() -> None:
    replay, generator = IterationReplay(NONE), torch.Generator().manual_seed(1)
    with pytest.raises(ValueError, match="produced no examples"):
        replay.draw(1, generator)
    for size in (7, 12):
        first = replay.added
        replay.add(numbered(first, first + size))
        assert (replay.window(replay.added), replay.window(first)) == (size, 0)
        assert same(replay.sample(100, generator), numbered(first, first + size))
        drawn = [replay.sample(4, generator).features[:, 0] for _ in range(size // 4)]
        assert len(set(torch.cat(drawn).tolist())) == 4 * (size // 4)
        assert set(torch.cat(drawn).tolist()) <= set(range(first, first + size))
    saved_now = replay.contents(replay.added)
    again = IterationReplay(NONE)
    again.restore(saved_now)
    assert (again.added, again.window(19), len(saved_now["columns"]["values"])) == (19, 0, 0)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (3, 2)])
def test_other_ranks_have_together_what_ranks_had_oldest_first(before: int, after: int) -> None:
    each = [filled(7, 5 + rank, capacity=100) for rank in range(before)]
    contents = [replay.contents(replay.added) for replay in each]
    shares = [MemoryReplay(NONE, capacity=100) for _ in range(after)]
    found = []
    for rank, replay in enumerate(shares):
        replay.restore(replay.divide(contents, rank, after))
        rows = saved(replay, replay.added).features[:, 0]
        assert before > 1 or torch.equal(rows, rows.sort().values)
        found.append(rows)
    all_rows = torch.cat([torch.arange(12.0 + rank) for rank in range(before)])
    assert torch.equal(torch.cat(found).sort().values, all_rows.sort().values)
    assert sum(replay.added for replay in shares) == sum(replay.added for replay in each)
