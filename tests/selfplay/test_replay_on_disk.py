"""The replay on disk against the one in memory; what its files are, and which of them stay."""

import ctypes
import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.errors import UserError
from pokerlab.games.kuhn import Kuhn
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples
from pokerlab.selfplay.replay import MemoryReplay
from pokerlab.selfplay.replay_on_disk import DiskReplay, chunk_files, open_chunk, pack, unpack

NONE = ValueExamples.none(Kuhn())
COLUMNS = ("features", "beliefs", "possible", "values")
SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=10)
NEWEST = st.sampled_from([1.0, 0.9, 0.5, 1 / 3, 0.01])


def random_examples(first: int, size: int) -> ValueExamples:
    """The same for the same ``first``."""
    draw = torch.Generator().manual_seed(first)
    return ValueExamples(
        features=torch.randint(-5, 6, (size, 5), generator=draw) / 4,
        beliefs=torch.rand(size, 2, 3, generator=draw),
        possible=torch.rand(size, 3, generator=draw) < 0.5,
        values=torch.randn(size, 2, 3, generator=draw),
    )


def add(replay: DiskReplay[ValueExamples] | MemoryReplay[ValueExamples], size: int) -> None:
    replay.add(random_examples(replay.added, size))


def on_disk(folder: Path | str, capacity: int, newest: float = 1.0) -> DiskReplay[ValueExamples]:
    return DiskReplay(NONE, Path(folder), "values", capacity=capacity, newest=newest)


def sampled(replay: Any, size: int = 40) -> ValueExamples:
    sample = replay.sample(size, torch.Generator().manual_seed(7))
    assert isinstance(sample, ValueExamples)
    return sample


def assert_close(sample: ValueExamples, expected: ValueExamples) -> None:
    """Equal up to half precision, in float32."""
    for name in COLUMNS:
        ours, theirs = getattr(sample, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=2**-11, atol=1e-7)


def same(first: ValueExamples, second: ValueExamples) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in COLUMNS)


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, capacity=st.integers(1, 25), newest=NEWEST)
def test_it_samples_what_the_replay_in_memory_does(sizes: list[int], capacity: int, newest: float) -> None:
    with TemporaryDirectory() as folder:
        disk, memory = (
            on_disk(folder, capacity, newest),
            MemoryReplay(NONE, capacity=capacity, newest=newest),
        )
        for size in sizes:
            for replay in (disk, memory):
                add(replay, size)
            assert (disk.added, disk.window(disk.added)) == (memory.added, memory.window(memory.added))
            if disk.added:
                assert_close(sampled(disk), sampled(memory))


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, more=SIZES, capacity=st.integers(1, 25), newest=NEWEST, unfinished=st.booleans())
def test_a_restored_replay_goes_on_like_the_original_and_like_the_one_in_memory(
    sizes: list[int], more: list[int], capacity: int, newest: float, unfinished: bool
) -> None:
    with TemporaryDirectory() as folder:
        disk, memory = (
            on_disk(folder, capacity, newest),
            MemoryReplay(NONE, capacity=capacity, newest=newest),
        )
        for size in sizes:
            for replay in (disk, memory):
                add(replay, size)
        saved, before = disk.added, memory.contents(memory.added)
        if unfinished:  # saved as of the add before, and what was added lies there
            add(disk, more[0])
        contents = disk.contents(saved)
        for path in set(Path(folder).iterdir()):
            if path.name not in chunk_files({"values": contents}):
                path.unlink()  # the manifest names all that is needed
        for kept in (None, capacity + 5):  # and into another size
            restored = on_disk(folder, kept or capacity, newest)
            again = MemoryReplay(NONE, capacity=kept or capacity, newest=newest)
            restored.restore(contents)
            add(restored, 3)
            restored.restore(contents)  # what it held is forgotten
            again.restore(before)
            for size in [0, *more]:
                add(restored, size)
                add(again, size)
                assert restored.window(restored.added) == again.window(again.added)
                if again.window(again.added):
                    assert_close(sampled(restored), sampled(again))


@settings(max_examples=40, deadline=None)
@given(
    sizes=SIZES,
    capacity=st.integers(1, 25),
    newest=NEWEST,
    on_device=st.lists(st.booleans(), min_size=10, max_size=10),
    resumed=st.integers(0, 10),
)
def test_it_samples_the_same_from_a_devices_memory(
    sizes: list[int], capacity: int, newest: float, on_device: list[bool], resumed: int
) -> None:
    """Which it can get and lose at any time; it is gone after a resume."""
    with TemporaryDirectory() as folder:
        disk, device = (on_disk(Path(folder) / name, capacity, newest) for name in ("a", "b"))
        for number, (size, there) in enumerate(zip(sizes, on_device, strict=False)):
            if number == resumed:
                device.restore(device.contents(device.added))
            for replay in (disk, device):
                add(replay, size)
            device.keep_on(torch.device("cpu") if there else None)
            if disk.added:
                assert same(sampled(disk), sampled(device))
                assert device.bytes_to_sample >= disk.window(disk.added) * (2 * (5 + 6 + 6) + 3)


def test_chunks_never_change_and_are_the_same_when_written_again(tmp_path: Path) -> None:
    first, again = on_disk(tmp_path / "first", 50), on_disk(tmp_path / "again", 50)
    for replay in (first, again):
        for size in (5, 0, 7):
            add(replay, size)
    names = ["values-000000000000.pt", "values-000000000005.pt"]
    assert sorted(path.name for path in first.folder.iterdir()) == names
    for name in names:
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()
    before, contents = sampled(first), first.contents(12)
    assert contents == {"added": 12, "window": 12, "chunks": dict(zip(names, (5, 7), strict=True))}
    again.restore(contents)
    add(first, 3)
    assert same(sampled(again), before)


def test_a_replay_reads_on_when_another_process_removed_or_replaced_its_files(tmp_path: Path) -> None:
    replay = on_disk(tmp_path, 50)
    add(replay, 5)
    add(replay, 6)
    before = sampled(replay)
    (tmp_path / "values-000000000000.pt").unlink()
    on_disk(tmp_path, 50).add(random_examples(99, 4))
    assert same(sampled(replay), before)


def test_a_chunk_holds_its_examples_only_whatever_they_are_views_of(tmp_path: Path) -> None:
    whole, replay = random_examples(1, 5000), on_disk(tmp_path, 50)
    replay.add(ValueExamples(*(getattr(whole, name)[10:12] for name in COLUMNS)))
    assert (tmp_path / "values-000000000000.pt").stat().st_size < 5000


def test_nothing_is_made_before_something_is_added(tmp_path: Path) -> None:
    replay = on_disk(tmp_path / "replay", 5)
    replay.add(random_examples(0, 0))
    assert replay.contents(0) == {"added": 0, "window": 0, "chunks": {}}
    replay.restore(replay.contents(0))
    with pytest.raises(ValueError, match="the replay is empty"):
        sampled(replay)
    assert list(tmp_path.iterdir()) == []


def test_small_beliefs_of_many_hands_keep_their_bits() -> None:
    beliefs = torch.full((1, 2, 1326), 1 / 1326)
    beliefs[0, 1] = torch.logspace(-7.5, -2, 1326)
    examples = PolicyExamples(
        features=torch.tensor([[1.0, 0.125]]),
        beliefs=beliefs,
        possible=torch.ones(1, 1326, dtype=torch.bool),
        legal=torch.tensor([[True, False]]),
        strategy=torch.rand(1, 2, 1326),
        weight=torch.tensor([70_001], dtype=torch.int32),
    )
    halves = pack(examples)
    assert {column.dtype for column in halves.values()} == {torch.float16, torch.bool, torch.int32}
    assert torch.equal(halves["weight"], examples.weight)
    back = unpack(halves, examples.distributions)
    assert torch.equal(back["beliefs"][0, 0], beliefs[0, 0])  # a uniform one is exact
    torch.testing.assert_close(back["beliefs"], beliefs, rtol=2**-10, atol=0)
    torch.testing.assert_close(back["strategy"], examples.strategy, rtol=2**-11, atol=1e-7)


def anonymous_bytes() -> int:
    ctypes.CDLL(None).malloc_trim(0)  # what is free already does not count
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs Linux and glibc")
def test_examples_stay_out_of_anonymous_memory(tmp_path: Path) -> None:
    size, hands = 500, 4000
    examples = ValueExamples(
        features=torch.ones(size, 5),
        beliefs=torch.rand(size, 2, hands),
        possible=torch.ones(size, hands, dtype=torch.bool),
        values=torch.rand(size, 2, hands),
    )
    replay = on_disk(tmp_path, 10**6)
    replay.add(examples)
    sampled(replay, 10)
    before = anonymous_bytes()
    for _ in range(9):
        replay.add(examples)
    for _ in range(30):
        sampled(replay, 100)
    stored = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert stored > 160e6
    assert anonymous_bytes() - before < stored / 10


@pytest.mark.parametrize("share", [None, 0, 0.5, 0.99])
def test_a_chunk_that_is_missing_or_truncated_is_named(share: float | None, tmp_path: Path) -> None:
    replay = on_disk(tmp_path, 50)
    add(replay, 5)
    add(replay, 6)
    path = tmp_path / "values-000000000005.pt"
    if share is None:
        path.unlink()
    else:
        content = path.read_bytes()
        path.unlink()  # a file that is mapped must not be cut
        path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError) as raised:
        on_disk(tmp_path, 50).restore(replay.contents(11))
    assert str(raised.value) == f"{path}, a part of the replay, is missing or damaged"


@pytest.mark.parametrize("content", [{"features": torch.ones(4)}, {"a": 1}, [], "text"])
def test_a_file_that_is_not_the_chunk_is_named(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "chunk.pt")
    with pytest.raises(UserError, match=r"chunk\.pt, a part of the replay, (is missing|has 4 examples inst)"):
        open_chunk(tmp_path / "chunk.pt", 5)


def test_a_full_disk_is_told_with_the_file_and_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = on_disk(tmp_path, 50)
    add(replay, 5)
    before = sampled(replay)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*values-000000000005\.pt"):
        add(replay, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["values-000000000000.pt"]
    assert replay.added == 5
    assert same(sampled(replay), before)


def test_a_memory_replay_lies_in_no_chunk() -> None:
    assert chunk_files({"values": MemoryReplay(NONE, capacity=3).contents(0)}) == {}
