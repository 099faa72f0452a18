"""Search with exact leaf values."""

import json
from pathlib import Path

import pytest
import torch
from runs.harness import TINY, trained

from benchmarks import exact
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.selfplay.examples import ValueExamples

DICE = ("experiment=liars_dice_1x4f", *TINY, "trajectories=60", "iterations=2")


@pytest.mark.parametrize("game", [Leduc(), LiarsDice(1, 3), Kuhn(depth_limit=1)], ids=lambda game: game.name)
def test_with_exact_leaves_a_subgame_is_worth_what_the_whole_game_is(game: Game) -> None:
    like = torch.empty(0, dtype=torch.float64)
    forest = Subgames(game).forest([game.root()], like)
    assert len(forest.leaves)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    solved = Solver("dcfr").start(forest, belief, exact.ExactLeaves(game, 100)).run(400)
    joint = (belief * forest.mass(belief.flip(0)))[:, 0]
    found = (joint * solved.root_infostate_values()[:, 0]).sum(1) / joint.sum(1)
    whole = WholeGame(game)
    solution = Solver("dcfr").start(whole.forest, whole.belief).run(1000).average_strategy()
    value = whole.exploitability(solution).value.item()
    assert found.tolist() == pytest.approx([value, -value], abs=0.01)


def test_errors_are_root_mean_squares_of_what_is_believed() -> None:
    game = Leduc()
    beliefs = torch.rand(5, 2, 6)
    beliefs = beliefs / beliefs.sum(2, keepdim=True)
    examples = ValueExamples(torch.zeros(5, 1), beliefs, torch.ones(5, 6) > 0, torch.zeros(5, 2, 6))
    wrong = torch.full((5, 2, 6), -0.25)
    assert exact.errors(game, examples, wrong) == pytest.approx({"player_error": 0.25, "hand_error": 0.25})
    noisy = wrong * torch.randn(5, 2, 6)
    found = exact.errors(game, examples, noisy)
    assert found["player_error"] < found["hand_error"]


def test_both_forms_print_and_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a", 1), ("b", 2)):
        trained(*DICE, f"seed={seed}", name, cwd=tmp_path)
    exact.main(["game=kuhn", "--iterations", "40", "--play-throughs", "0", "5", "--json", "s.json"])
    rows = json.loads((tmp_path / "s.json").read_text())["search"]
    assert [row["play_throughs"] for row in rows] == [0, 5]
    assert all(0 < row["exploitability"] < 0.5 for row in rows)
    short = ["--leaf-iterations", "5", "--json", "n.json"]
    exact.main([*DICE, "--runs", "a", "outputs/b", *short])
    rows = json.loads((tmp_path / "n.json").read_text())["networks"]
    assert [row["values"] for row in rows] == ["a", "outputs/b", "targets"]
    assert all(0 < row["player_error"] < row["hand_error"] < 1 for row in rows)
    assert "root mean square errors, pots" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        exact.main(["game=kuhn", "--runs", "a"])
    assert capsys.readouterr().err == "error: a is a run of liars_dice_1x4f, not of kuhn\n"
