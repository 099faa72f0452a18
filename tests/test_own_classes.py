"""The examples of docs/examples: a game and an agent of one's own."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from lightning.pytorch.loggers.logger import Logger
from runs.harness import ROOT, command, contents, refusal

import pokerlab
from pokerlab.agents.baselines import AlwaysFold
from pokerlab.evaluation.exact import exact_value
from pokerlab.evaluation.policies import WholeGame
from pokerlab.search.forest import uniform_strategy
from pokerlab.testing import check_game

EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("von_neumann", "maniac"):
        sys.modules.pop(name, None)


def test_von_neumanns_poker_keeps_a_games_promises() -> None:
    from von_neumann import VonNeumann

    check_game(VonNeumann(cards=10))


@pytest.mark.parametrize(("bet", "value"), [(2.0, 1 / 9), (1.0, 1 / 10)])
def test_von_neumanns_poker_is_worth_b_over_b_plus_1_times_b_plus_4(bet: float, value: float) -> None:
    """von Neumann and Morgenstern 1944, section 19, with antes of 1: the value of a continuum of hands."""
    from von_neumann import VonNeumann

    spot = pokerlab.solve(VonNeumann(cards=200, bet=bet), iterations=1000, dtype=torch.float64)
    assert spot.exploitability < 1e-5
    assert spot.value == pytest.approx(value, abs=1e-3)


def test_states_that_openspiel_does_not_name_are_told_by_hand_and_line() -> None:
    from von_neumann import VonNeumann

    whole = WholeGame(VonNeumann(cards=3))
    uniform = uniform_strategy(whole.forest)
    assert dict(whole.information_states(uniform)) == {
        f"{hand}{line}": {0: 0.5, 1: 0.5} for hand in range(3) for line in ("", " bet")
    }
    with pytest.raises(ValueError, match=r"^von_neumann is not in OpenSpiel$"):
        whole.export(uniform)


def test_such_a_game_is_trained_on_and_what_cannot_be_exported_is_one_line(tmp_path: Path) -> None:
    class Tables(Logger):
        name, version, found = "tables", 0, list[list[Any]]()

        def log_table(self, key: str, columns: list[str], data: list[list[Any]]) -> None:
            self.found.append([columns, *data[:2]])

        log_metrics = log_hyperparams = lambda *_, **__: None  # type: ignore[assignment]

    with patch("pokerlab.training.run.open_loggers", lambda *_: nullcontext([Tables()])):
        own = f"--config-dir={EXAMPLES}"
        run = ("experiment=von_neumann", "game.cards=10", "profile=tiny", "run_name=own")
        ended = command("train", own, *run, cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    columns, *rows = Tables.found[-1]
    assert columns[:2] == ["information state", "action"]
    assert [row[:2] for row in rows] == [["0", 0], ["0", 1]]
    before = contents(tmp_path)
    for name, arguments in (("solve", ["game=von_neumann", "iterations=1"]), ("evaluate", ["run=own"])):
        message = refusal(name, own, *arguments, "export=p.json", cwd=tmp_path)
        assert message == "export=p.json: von_neumann is not in OpenSpiel"
    assert contents(tmp_path) == before


def test_a_maniac_wins_the_ante_of_who_always_folds() -> None:
    """Betting first it always wins it; after a check there is a showdown, worth 0."""
    from maniac import Maniac
    from von_neumann import VonNeumann

    game = VonNeumann(cards=10)
    assert exact_value(game, Maniac(game), AlwaysFold(game)) == pytest.approx(0.5)
