"""Measures of strength in a run whose game cannot be enumerated."""

from pathlib import Path

import pytest

from pokerlab.jobs.show import status_table
from pokerlab.store.status import read_status
from runs.harness import metrics, refusal, trained

LEDUC = (
    "experiment=leduc", "profile=tiny", "workers=0", "launcher=local", "evaluation.every=null",
    "evaluation.matches.every=2", "evaluation.matches.deals=20", "iterations=3",
)  # fmt: skip
TURN = (
    "experiment=turn", "profile=tiny", "workers=0", "launcher=local", "evaluation.held_out.every=2",
    "game.ranges=[AA,KK]",
)  # fmt: skip


def test_matches_with_a_local_best_response_and_an_earlier_checkpoint(tmp_path: Path) -> None:
    run = trained(*LEDUC, "run", cwd=tmp_path, plots=True)
    first, second, third = metrics(run)
    assert "lbr_mbb" not in first
    assert second["earlier_iteration"] == 1
    assert third["earlier_iteration"] == 2
    for line in (second, third):
        assert line["lbr_mbb_half_width"] > 0
        assert line["earlier_mbb_half_width"] >= 0
    assert (run.plots / "matches.png").exists()
    status = read_status(run, None, name="run")
    assert (status.lbr_mbb, status.earlier_mbb) == (third["lbr_mbb"], third["earlier_mbb"])
    shown = list(status_table(status).columns[1].cells)
    assert f"{third['lbr_mbb']:,.0f}  (wins, mbb a hand)" in shown


def test_measuring_changes_nothing_that_is_learned(tmp_path: Path) -> None:
    measured = trained(*LEDUC, "measured", cwd=tmp_path)
    plain = trained(*LEDUC, "evaluation.matches.every=null", "plain", cwd=tmp_path)
    losses = [[line["value_loss"], line["policy_loss"]] for line in metrics(measured)]
    assert losses == [[line["value_loss"], line["policy_loss"]] for line in metrics(plain)]


def test_value_errors_at_held_out_belief_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POKERLAB_CACHE", str(tmp_path / "cache"))
    run = trained(*TURN, "run", cwd=tmp_path, plots=True)
    first, second = metrics(run)
    assert "value_error_river" not in first
    assert 0 < second["value_error_river"] < 5
    assert any(name.startswith("value_error_river_spr_") for name in second)
    assert (run.plots / "value_errors.png").exists()
    assert len(list((tmp_path / "cache" / "held_out").iterdir())) == 1
    status = read_status(run, None, name="run")
    assert status.value_errors == {"river": second["value_error_river"]}
    shown = list(status_table(status).columns[1].cells)
    assert f"river {second['value_error_river']:.3g}  (mean absolute, in pots)" in shown


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["game=liars_dice_1x4f", "evaluation.matches.every=1"],
            "evaluation.matches.every=1: liars_dice_1x4f has no calling",
        ),
        (
            ["evaluation.held_out.every=1"],
            "evaluation.held_out.states must be numbers for streets from the last back, which are none in "
            "kuhn, got [64, 4]",
        ),
        (
            ["evaluation.held_out.states=[0]"],
            "evaluation.held_out.states must be an integer of at least 1, got 0",
        ),
        (["evaluation.matches.deals=0"], "evaluation.matches.deals must be an integer of at least 1, got 0"),
        (["draws_per_example=0"], "draws_per_example must be a number above 0, got 0"),
        (["selfplay.starts={root:0.5}"], "selfplay.starts must be shares that add up to 1, got root 0.5"),
        (["selfplay.starts={flop:1}"], "selfplay.starts must be shares of root in kuhn, got 'flop'"),
        (["selfplay.stored=2"], "selfplay.stored must lie between 0 and 1, got 2"),
    ],
)
def test_mistakes_are_one_line(overrides: list[str], message: str, tmp_path: Path) -> None:
    assert refusal("train", "experiment=kuhn", *overrides, cwd=tmp_path) == message
