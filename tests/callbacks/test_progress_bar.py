"""What a run shows: a bar on a terminal, lines elsewhere."""

import io
import logging
import re
from pathlib import Path
from typing import Any

import lightning
import pytest
from fitting import fit, rebel
from rich.console import Console

from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.callbacks.progress import ProgressBar
from pokerlab.console import rate
from pokerlab.games.kuhn import Kuhn

LOSSES = r"value loss \d\.\d\de[+-]\d\d  policy loss \d\.\d\de[+-]\d\d  [\d,]+ examples/s"
EXPLOITABILITY = r"exploitability \d\.\d{4} \(5 search iterations\), policy net \d\.\d{4}"

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("pokerlab"), "propagate", True)
    caplog.set_level(logging.INFO, "pokerlab")
    return caplog


def evaluation(every: int) -> ExploitabilityEvery:
    algorithm = rebel(Kuhn(depth_limit=2))
    return ExploitabilityEvery(algorithm, every=every, search_iterations=5, play_throughs=1, seed=1)


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, force_terminal=terminal, width=120, color_system=None), shown


class Stop(lightning.Callback):
    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 2:
            raise RuntimeError("stop")


def messages(logged: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in logged.records if record.name == "pokerlab"]


def test_a_terminal_sees_a_bar_over_iterations(tmp_path: Path) -> None:
    where, shown = console(terminal=True)
    fit(tmp_path, evaluation(2), ProgressBar(where), iterations=3)
    *_, end = shown.getvalue().split("3/3")
    assert re.search(LOSSES, end)
    assert re.search(EXPLOITABILITY, end)


def test_without_a_terminal_nothing_is_drawn(tmp_path: Path) -> None:
    where, shown = console(terminal=False)
    fit(tmp_path, evaluation(2), ProgressBar(where), iterations=3)
    assert shown.getvalue() == ""


def test_each_evaluation_is_logged(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    fit(tmp_path, evaluation(2), ProgressBar(console(terminal=False)[0]), iterations=3)
    for finished, message in zip((2, 3), messages(logged), strict=True):
        assert re.fullmatch(f"iteration {finished}/3  {LOSSES}  {EXPLOITABILITY}", message)


def test_without_a_terminal_lines_come_every_few_seconds(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    fit(tmp_path, ProgressBar(console(terminal=False)[0], seconds_between_lines=0), iterations=3)
    assert [message.split("  ")[0] for message in messages(logged)] == [
        "iteration 1/3", "iteration 2/3", "iteration 3/3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("examples", "seconds", "shown"),
    [(3, 100, "0.03"), (1, 2, "0.5"), (50, 8, "6.2"), (99_999, 10, "10,000")],
)
def test_few_examples_a_second_are_not_none(examples: int, seconds: int, shown: str) -> None:
    assert rate(examples / seconds) == shown


def test_a_run_that_fails_gives_the_terminal_back(tmp_path: Path) -> None:
    where, shown = console(terminal=True)
    with pytest.raises(RuntimeError, match="stop"):
        fit(tmp_path, ProgressBar(where), Stop())
    assert shown.getvalue().count(HIDE_CURSOR) == shown.getvalue().count(SHOW_CURSOR) == 1
