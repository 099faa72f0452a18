"""Sweeps: grids and searches, each with a folder, a table and a picture of its own."""

import json
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from runs.harness import KUHN, TINY, command, refusal

from pokerlab.config.build import build
from pokerlab.config.command import check_overrides, compose
from pokerlab.config.compose import CONF
from pokerlab.config.schema import plain
from pokerlab.jobs import command as jobs
from pokerlab.store.folder import RunFolder

LEDUC = ("experiment=leduc", *TINY, "iterations=2", "trajectories=4", "selfplay.search_iterations=3",
         "evaluation.search_iterations=3", "evaluation.play_throughs=0")  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweeps(here: Path) -> list[Path]:
    return sorted((here / "outputs/sweeps").iterdir())


def runs(here: Path) -> list[RunFolder]:
    return [RunFolder(path) for path in sorted((here / "outputs").iterdir()) if path.name != "sweeps"]


def test_a_sweep_is_one_table_and_one_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = command("train", "-m", *KUHN, "iterations=2", "seed=1,2", "model.learning_rate=0.001,1e30,0.01",
                    cwd=here, plots=False)  # fmt: skip
    assert ended.code == 0, ended.err
    [folder] = sweeps(here)
    assert f"python -m pokerlab.jobs list --sweep {folder.name}" in ended.out
    capsys.readouterr()
    assert jobs.main(["list", "--sweep", folder.name, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [status["state"] for status in listed] == ["finished"] * 4 + ["failed"] * 2
    found = [status["exploitability"] for status in listed[:4]]
    assert found == sorted(found)
    assert jobs.main(["list", "--sweep", folder.name, "--plot"]) == 0
    told = capsys.readouterr()
    assert "seed" in told.out
    assert "learning_rate" in told.out
    assert "trajectories" not in told.out, "the same in all"
    picture = folder / "sweep.png"
    assert told.err == f"plot: {picture.relative_to(here)}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_sweeps_of_the_same_second_have_folders_of_their_own(here: Path) -> None:
    for _ in range(3):
        tiny = ("iterations=1", "evaluation.every=1")
        assert command("train", "-m", *KUHN, *tiny, "seed=1,2", cwd=here, plots=False).code == 0
    assert len(sweeps(here)) == len({run.read_job()["sweep"] for run in runs(here)}) == 3


def test_the_grid_of_the_config_is_run(here: Path) -> None:
    few = ("model.value_network.hidden=16", "selfplay.search_iterations=2,3")
    assert command("train", *LEDUC, "sweep=leduc_grid", *few, cwd=here, plots=False).code == 0
    tried = [set(run.read_job()["overrides"]) for run in runs(here)]
    assert len(tried) == 4, "two learning rates and what the command line says"
    assert {"model.learning_rate=0.002", "selfplay.search_iterations=3"} <= set.union(*tried)


@pytest.mark.parametrize("sweep", sorted(path.stem for path in (CONF / "sweep").glob("dice_*.yaml")))
def test_an_ablation_changes_one_key(sweep: str) -> None:
    configs = check_overrides("train", ["experiment=liars_dice_1x4f", f"sweep={sweep}"])
    assert 2 <= len(configs) <= 4
    assert {config.iterations for config in configs} == {15}
    grid = yaml.safe_load((CONF / "sweep" / f"{sweep}.yaml").read_text())["hydra"]["sweeper"]["params"]
    [(key, values)] = grid.items()
    found = [OmegaConf.select(OmegaConf.create(plain(config)), key) for config in configs]
    assert found == yaml.safe_load(f"[{values}]")
    usual = OmegaConf.create(plain(compose("train", ["experiment=liars_dice_1x4f"])))
    assert OmegaConf.select(usual, key) in found


def test_one_command_trains_on_all_four_games_of_liars_dice() -> None:
    names = ["liars_dice_1x4f", "liars_dice_1x5f", "liars_dice_1x6f", "liars_dice_2x3f"]
    configs = check_overrides("train", ["-m", f"experiment={','.join(names)}"])
    assert [build(config.game, key="game").name for config in configs] == names
    settings = [plain(config) for config in configs]
    for each in settings:
        del each["game"], each["evaluation"]  # whose cost grows with the game
    assert settings == [settings[0]] * 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of optuna and what it uses
@pytest.mark.filterwarnings("ignore:.*experimental")
def test_a_search_minimises_exploitability(here: Path) -> None:
    search = ("sweep=leduc_optuna", "hydra.sweeper.n_trials=3", "model.learning_rate=choice(0.001,1e30)")
    ended = command("train", *LEDUC, *search, cwd=here, plots=False)
    assert ended.code == 0, ended.err
    [folder] = sweeps(here)
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    found = [run.read_summary()["latest_exploitability"] for run in runs(here)]
    assert best["best_value"] == min(x for x in found if x is not None)
    assert len(found) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*experimental")
def test_a_search_cannot_be_submitted(here: Path) -> None:
    ended = command("launch", *LEDUC, "sweep=leduc_optuna", cwd=here)
    assert ended.code == 2
    assert "error: a search needs each run's result before the next" in ended.err
    assert not runs(here)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=leduc_grit"], "unknown sweep 'leduc_grit': did you mean leduc_grid or"),
        (["sweep=leduc_grid", "model.learning_rat=1,2"], "unknown key 'model.learning_rat': did you mean"),
        (["sweep=leduc_grid", "seed=x"], "seed must be an integer of at least 0, got 'x'"),
        (["seed=1,2"], "seed=1,2 asks for several values: add -m to run them all"),
    ],
)
def test_mistakes_are_found_before_the_first_run(arguments: list[str], message: str, here: Path) -> None:
    assert refusal("train", *LEDUC, *arguments, cwd=here).startswith(message)
