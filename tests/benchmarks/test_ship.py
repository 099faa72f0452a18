"""A trained run becomes one that comes with the package."""

from pathlib import Path

import pytest
import yaml
from runs.harness import KUHN, command, trained

import pokerlab
from benchmarks import ship
from pokerlab.errors import UserError


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("most", [8, 0.005])
def test_a_run_is_shipped_and_found_by_name(
    most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(*KUHN, "model.ema_decay=0.9", "a", cwd=tmp_path)
    config = tmp_path / "outputs" / "a" / "config.yaml"
    config.write_text(config.read_text().replace("resume_from: null", "resume_from: a"))
    monkeypatch.chdir(tmp_path)
    for module in ("benchmarks.ship", "pokerlab.store.folder"):
        monkeypatch.setattr(f"{module}.shipped_path", tmp_path.joinpath)
    monkeypatch.setattr("benchmarks.ship.MOST_MB", most)
    monkeypatch.setattr("sys.argv", ["ship", "a", "best-kuhn"])
    ship.main()
    folder = tmp_path / "trained" / "best-kuhn"
    before = files(folder)
    assert set(before) == {
        "checkpoints/last.ckpt", "config.yaml", "summary.json", "training_metrics.jsonl"
    }  # fmt: skip
    stored = yaml.safe_load(before["config.yaml"])
    assert (stored["run_name"], stored["run_dir"], stored["resume_from"]) == (
        "best-kuhn", "outputs/best-kuhn", None
    )  # fmt: skip
    run, original = pokerlab.load("best-kuhn"), pokerlab.load("a")
    assert (run.name, run.iteration, run.metrics) == ("best-kuhn", original.iteration, original.metrics)
    for hands, same in zip(
        run.agent("policy_net").strategy().values(),
        original.agent("policy_net").strategy().values(),
        strict=True,
    ):
        assert hands == pytest.approx(same, abs=0 if most == 8 else 2e-3)  # in half precision, to be small
    again = ("run=best-kuhn", "search_iterations=5", "json=found.json")
    ended = command("evaluate", *again, cwd=tmp_path)
    assert (ended.code, "search_average" in ended.out) == (0, True)
    assert (tmp_path / "found.json").exists()
    assert files(folder) == before


def test_what_cannot_be_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no run 'lduc' here: did you mean leduc"):
        ship.ship("lduc", "x")
    trained(*KUHN, "a", cwd=tmp_path)
    monkeypatch.setattr("benchmarks.ship.MOST_MB", 1e-6)
    with pytest.raises(UserError, match=r"^a has .* MB of weights, and a shipped run 1e-06 at most$"):
        ship.ship("a", "x")
