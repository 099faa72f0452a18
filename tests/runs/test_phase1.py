"""The cloud run, at a size that a test has time for: the full game, nothing switched off."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pokerlab.config.command import compose
from pokerlab.store.folder import RunFolder
from runs.harness import assert_same_run, command, copy, metrics, refusal, trained

PHASE1 = ("experiment=phase1", "trainer=cpu", "launcher=local", "profile=tiny", "workers=0")


def test_the_profile_changes_sizes_alone() -> None:
    whole, tiny = (compose("train", ["experiment=phase1", *more]) for more in ([], ["profile=tiny"]))
    assert tiny.game == whole.game
    assert tiny.solver == whole.solver
    assert tiny.selfplay.replay == whole.selfplay.replay == "disk"
    assert [whole.game[key] for key in ("name", "stack", "blinds")] == ["hunl", 20000, [50, 100]]
    network = whole.model.value_network
    assert network["_target_"] == "pokerlab.learning.kernel_network.KernelValueNetwork"
    assert network["hidden"] == 512
    assert whole.trainer.precision == "bf16-mixed"


@pytest.mark.timeout(600)  # run-outs before the flop take a while on a busy machine
def test_it_trains_and_resumes_to_the_same_run(tmp_path: Path) -> None:
    place = tmp_path / "straight"
    place.mkdir()
    first = command("train", *PHASE1, "run_name=run", cwd=place, plots=False)
    *_, iteration, plots, where = first.out.splitlines()
    assert "iteration 2/2" in iteration  # however quick it was
    assert plots.startswith("plots: ")
    assert where == "run:   outputs/run"
    straight = RunFolder(place / "outputs" / "run")
    last = metrics(straight)[-1]
    assert last["value_error_river"] > 0
    assert last["lbr_mbb_half_width"] >= 0  # 0: no deal mattered, for all ended alike before the flop
    kinds = {path.name.partition("-")[0] for path in straight.replay.iterdir()}
    assert {"values", "policies", "river_starts"} <= kinds
    assert kinds <= {"values", "policies", "flop_starts", "turn_starts", "river_starts"}
    run = copy(straight, tmp_path)
    for path in (run.checkpoint(2), run.checkpoints / "last.ckpt"):
        path.unlink()
    ended = command("train", "resume_from=1", "run_name=run", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    assert_same_run(run, straight)


@pytest.mark.parametrize(
    ("command_name", "arguments", "expected"),
    [
        ("train", ["experiment=phase1", "trainer=cpu", "evaluation.every=5"], "hunl is too large to be enum"),
        ("solve", ["game=hunl"], "hunl is too large to be enumerated, which solving needs: expected a river"),
        ("solve", ["game=flop", "game.stack=20000"], "flop is too large to be enumerated"),
        (
            "train",
            ["experiment=kuhn", "trainer.precision=16"],
            "trainer.precision must be one of 32-true",
        ),
        ("train", ["experiment=kuhn", "trainer.compile=1"], "trainer.compile must be true or false, got 1"),
        ("train", ["experiment=kuhn", "model.relabel=yes"], "model.relabel must be true or false, got 'yes'"),
        (
            "train",
            ["experiment=kuhn", "selfplay.policy_examples=0"],
            "selfplay.policy_examples must be null",
        ),
        ("train", ["experiment=turn", "game.jitter=2"], "game.jitter must be a fraction of the pot from 0"),
        ("solve", ["game=river", "game.board=Td9d"], "game.board must have 0, 3, 4, 5 cards, got 2"),
        ("solve", ["game=river", "game.board=Td9d6hQcTd"], "Td is twice in 'Td9d6hQcTd'"),
        ("solve", ["game=river", "game.ranges=[QQ+]"], "game.ranges must be two, one for each player, got 1"),
        ("solve", ["game=river", "game.ranges=[QQ+,AZs]"], "'AZs' is no range: expected such as QQ+, AKs"),
    ],
)
def test_mistakes(command_name: str, arguments: list[str], expected: str, tmp_path: Path) -> None:
    assert refusal(command_name, *arguments, cwd=tmp_path).startswith(expected)


SMALL = ("experiment=leduc", "profile=tiny", "launcher=local", "workers=0")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*SMALL, "plain", cwd=tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("setting", ["trainer.precision=bf16-mixed", "trainer.compile=true"])
def test_settings_for_a_gpu_learn_here_too(
    setting: str, plain: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def eager(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", eager)  # a compiler takes half a minute, and is not everywhere
    run = trained(*SMALL, setting, "run", cwd=tmp_path)
    assert len(compiled) == (2 if "compile" in setting else 0)
    first, as_plain = (metrics(each)[0]["value_loss"] for each in (run, plain))
    assert first == pytest.approx(as_plain, rel=0.05)
