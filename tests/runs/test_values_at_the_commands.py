"""Values as YAML reads them, of the wrong type or far too large: one line, or what was meant."""

import json
import resource
import time
from pathlib import Path

import pytest

from pokerlab.errors import out_of_memory
from runs.harness import KUHN, command, refusal, trained

SPOT = ("game=river", "iterations=2")
RIVER = ("experiment=river", "profile=tiny", "workers=0")
DICE = ("game=liars_dice_1x4f", "iterations=1")
BETS = "game.bets must be lists of fractions of the pot above 0, such as [[0.5, 1], [1]], got []"
CHIPS = "must be a number of chips from 0 to 1e+12, got 1e+308"
PAYOFFS = "too many hands and bids: expected no more than 1e+08 payoffs"
ENUMERABLE = "needs: expected a river, a turn, or a game of few cards"
OF_SPOTS = {
    "game.board=5": "game.board must be cards such as Td9d6h, got 5",
    "game.bets=[]": BETS,
    "game.blinds=[100]": "game.blinds must be a small and a big one, got [100]",
    "game.most_raises=x": "game.most_raises must be null or an integer, got 'x'",
    "game.most_raises=1.5": "game.most_raises must be null or an integer, got 1.5",
    "game.most_raises=-1": "game.most_raises must be null or an integer of at least 0, got -1",
    "game.stack=inf": "game.stack must be a number, got inf",
    "game.stack=1e308": f"game.stack {CHIPS}",
    "game.stack=true": "game.stack must be a number, got True",
    "game.pot=inf": "game.pot must be a number, got inf",
    "game.pot=1e308": f"game.pot {CHIPS}",
    "game.name=null": "game.name must be text, got None",
    "solver.memory_gb=inf": "solver.memory_gb must be a number, got inf",
    "game.ranges=[TT,TT] game.board=Td9d6h2c3s":
        "game.ranges must have hands that can meet: none of 'TT' and 'TT' do",
}  # fmt: skip
OF_DICE = {
    "game.faces=1000": f"game.faces 1000 and dice 1 make {PAYOFFS}",
    "game.faces=true": "game.faces must be an integer, got True",
    "game.dice=null": "game.dice must be an integer, got None",
    "game.dice=40 game.faces=2": "liars_dice_40x2f is too large to be enumerated, which {} " + ENUMERABLE,
}  # fmt: skip
OF_RUNS = {
    "run_dir=''": "run_dir must not be empty",
    "run_name=": "run_name must not be empty",
    "model.value_network.hidden=null": "model.value_network.hidden must be an integer, got None",
    "model.value_network.hidden=100000000": "model.value_network.hidden may be at most 65536, got 100000000",
    "model.policy_network.hidden=65536": "model.policy_network may have at most 1.1e+09 weights: "
        "2 layers of 65536 make 8.6e+09",
    "batch_size=100000000000": "batch_size may be at most 16777216, got 100000000000",
    "trainer.threads=100000": "trainer.threads may be at most 1024, got 100000",
    "trajectories=100000000000": "trajectories may be at most 10000000, got 100000000000",
    "selfplay.targets=100000000": "selfplay.targets may be at most 10000000, got 100000000",
    "selfplay.search_iterations=20000000": "selfplay.search_iterations may be at most 10000000, got 20000000",
    "evaluation.play_throughs=100000000": "evaluation.play_throughs may be at most 10000000, got 100000000",
    "workers=1000": "workers may be at most 64 here, with 8 cores, got 1000",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _within_little_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)


def quick_refusal(name: str, *arguments: str, cwd: Path) -> str:
    """A refusal that takes neither time nor memory to speak of."""
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refusal(name, *arguments, cwd=cwd)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "KiB"
    return message


@pytest.mark.parametrize("override", OF_SPOTS)
@pytest.mark.parametrize(("name", "usual"), [("solve", SPOT), ("train", RIVER)])
def test_a_spot_that_cannot_be_is_refused(
    name: str, usual: tuple[str, ...], override: str, tmp_path: Path
) -> None:
    assert quick_refusal(name, *usual, *override.split(" "), cwd=tmp_path) == OF_SPOTS[override]


def test_a_spot_without_a_board_is_too_large(tmp_path: Path) -> None:
    assert quick_refusal("solve", *SPOT, "game.board=null", cwd=tmp_path) == (
        f"river is too large to be enumerated, which solving {ENUMERABLE}"
    )


@pytest.mark.parametrize("override", OF_DICE)
@pytest.mark.parametrize(
    ("name", "wanted"), [("solve", "solving"), ("train", "evaluation.every=25")], ids=["solve", "train"]
)
def test_dice_that_cannot_be_are_refused(name: str, wanted: str, override: str, tmp_path: Path) -> None:
    message = quick_refusal(name, *DICE, *override.split(" "), cwd=tmp_path)
    assert message == OF_DICE[override].format(wanted)


@pytest.mark.parametrize("override", OF_RUNS)
def test_a_run_that_cannot_be_is_refused(override: str, tmp_path: Path) -> None:
    assert quick_refusal("train", *KUHN, override, cwd=tmp_path) == OF_RUNS[override]


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("game.ranges=[22,33]", 'game.ranges=["22","33"]'),
        ("game.board=[Ts,3h,2h,5c,9s]", "game.board=Ts3h2h5c9s"),
        ("solver.memory_gb=1e-12", "solver.memory_gb=4"),
    ],
)
def test_what_can_be_meant_is_understood(override: str, same: str, tmp_path: Path) -> None:
    found = []
    for path, each in (("a", override), ("b", same)):
        assert command("solve", *SPOT, each, f"json={path}", cwd=tmp_path).code == 0
        found.append(json.loads((tmp_path / path).read_text()))
    assert all(found[0][key] == found[1][key] for key in ("game_value", "nash_conv", "pot"))


NUMPY = "Unable to allocate 744. GiB for an array with shape (99802867607,) and data type int64"
CPU = "DefaultCPUAllocator: can't allocate memory: tried to allocate 80 bytes."
GPU = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.18 GiB"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(NUMPY), "out of memory: 744. GiB more are needed"),
        (RuntimeError(CPU), "out of memory: 80 bytes more are needed"),
        (RuntimeError(GPU), "out of memory: 2.50 GiB more are needed"),
        (MemoryError(), "out of memory"),
        (RuntimeError("shapes differ"), None),
        (RuntimeError("worker 0 died: killed by SIGKILL, out of memory perhaps"), None),
        (ValueError(CPU), None),
    ],
)
def test_what_means_that_memory_does_not_suffice(error: Exception, said: str | None) -> None:
    assert out_of_memory(error) == said


def test_memory_that_does_not_suffice_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise RuntimeError(CPU)

    with monkeypatch.context() as while_solving:
        while_solving.setattr("pokerlab.solve.solve_spot", lacking)
        ended = command("solve", *SPOT, cwd=tmp_path)
    assert (ended.code, ended.err) == (1, "error: out of memory: 80 bytes more are needed\n")
    monkeypatch.setattr("pokerlab.selfplay.trajectories.SelfPlay.play", lacking)
    ended = command("train", *KUHN, "run_name=run", cwd=tmp_path)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines()[-1].endswith("failed: out of memory: 80 bytes more are needed")
    job = json.loads((tmp_path / "outputs/run/job.json").read_text())
    assert job["state"] == "failed"


def test_a_tree_that_does_not_fit_in_memory_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(*KUHN, "iterations=1", "run", cwd=tmp_path)

    def too_large(*_: object) -> None:
        raise ValueError("kuhn has 1e+12 public states")

    monkeypatch.setattr("pokerlab.evaluation.policies.check_memory", too_large)
    monkeypatch.setattr("pokerlab.training.assemble.check_memory", too_large)
    assert refusal("evaluate", "run=run", cwd=tmp_path) == "kuhn has 1e+12 public states"
    message = refusal("train", *KUHN, cwd=tmp_path)
    assert message == "evaluation.every=2: kuhn has 1e+12 public states"
