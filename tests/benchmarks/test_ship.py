"""A trained run becomes one that comes with the package."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from runs.harness import KUHN, command, trained

import pokerlab
from benchmarks import ship
from pokerlab.errors import UserError
from pokerlab.store.checkpoints import FORMAT, _unpack, load_weights, pack, read_checkpoint


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights_in(folder: Path) -> dict[str, Any]:
    """As they are stored."""
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {
        name: "packed" if isinstance(each, dict) else each for name, each in content["state_dict"].items()
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_packed_matrices_are_off_by_half_a_unit_at_most(rows: int, columns: int, seed: int) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    weight[0] *= seed % 2  # or all 0
    packed = pack(weight)
    assert packed["bytes"].dtype == torch.int8
    off = (_unpack(packed) - weight).abs()
    assert (off <= 0.501 * weight.abs().amax(1, keepdim=True) / 127).all()


@pytest.mark.parametrize(
    "damage", [
        {"units": torch.ones(3)}, {"bytes": "x"}, {"more": torch.ones(1)}, {"bytes": torch.ones(2, 4)},
        {"units": torch.ones(2, 1).to_sparse()}, {"bytes": torch.ones(2, 4, dtype=torch.int8, device="meta")},
    ],
)  # fmt: skip
def test_a_damaged_packed_matrix_is_named(damage: dict[str, Any], tmp_path: Path) -> None:
    module = torch.nn.Linear(4, 2)
    content: dict[str, Any] = {
        "state_dict": {"weight": pack(module.weight.detach()) | damage, "bias": module.bias.detach()},
        "pokerlab": {"format": FORMAT, "game": "kuhn", "iteration": 1, "replay": "x.pt"},
    }
    path = tmp_path / "last.ckpt"
    torch.save(content, path)
    with pytest.raises(UserError, match="weight is not a tensor"):
        load_weights(module, read_checkpoint(path)["state_dict"], path)


@pytest.mark.parametrize(("most", "off"), [(8, 0), (0.005, 2e-3), (0.003, 0.05)])  # whole, half, bytes
def test_a_run_is_shipped_and_found_by_name(
    most: float, off: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    kinds = {each if isinstance(each, str) else each.dtype for each in weights_in(folder).values()}
    assert kinds == {8: {torch.float32}, 0.005: {torch.float16}, 0.003: {"packed", torch.float16}}[most]
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
        assert hands == pytest.approx(same, abs=off)
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
