"""Solvers' text commands, as Pio's scripts send them."""

import io
from pathlib import Path

import numpy as np
import pytest

from pokerlab import cli
from pokerlab.games.holdem import Holdem
from pokerlab.protocols.upi import Engine
from pokerlab.spot import solve

RANGES = ("AKs,QQ,T9s,66", "KQ,JJ+,98s,A5s")
SET_UP = (
    "set_board Td9d6hQc2s", f"set_range OOP {RANGES[0]}", f"set_range IP {RANGES[1]}", "set_pot 0 0 100",
    "set_eff_stack 200", "set_bets [[1]]", "build_tree",
)  # fmt: skip


def ask(*commands: str) -> list[str]:
    """The answers, the first of which is to ``set_end_string``."""
    written: list[str] = []
    Engine(written.append).run(io.StringIO("\n".join(["set_end_string END", "# a comment", "", *commands])))
    return [text.removesuffix("\nEND\n") for text in written[1:]]


def numbers(text: str) -> list[np.ndarray]:
    return [np.array(line.split(), dtype=float) for line in text.split("\n")]


def test_a_spot_is_solved_and_asked_about(tmp_path: Path) -> None:
    *_, go, started, stopped, waited, results, strategy, ev, met, saved = ask(
        *SET_UP, "go 200 steps", "wait_for_solver", "calc_results", "show_strategy r:0:b100",
        "calc_ev IP r:0:b100",
        "calc_global_freq r:0:c", f'dump_tree "{tmp_path / "a spot"}"',
    )  # fmt: skip
    assert (go, waited, saved) == ("go ok!", "wait_for_solver ok!", "dump_tree ok!")
    assert (started, stopped) == ("SOLVER: started\n", "SOLVER: stopped (reached steps)\n")
    game = Holdem("river", board="Td9d6hQc2s", pot=100, stack=200, bets=[[1]], ranges=RANGES, blinds=(0, 1))
    spot = solve(game, iterations=200)
    node = spot.node("bet 1")
    assert np.allclose(numbers(strategy), node.strategy, atol=1e-3)
    assert np.allclose(numbers(ev)[0], node.ev[1], atol=1e-2, equal_nan=True)
    assert f"EV OOP: {spot.expected_values[0]:.3f}\n" in results
    assert float(met) == pytest.approx(spot.node().frequencies()["check"], abs=1e-3)
    loaded, order = ask(f'load_tree "{tmp_path / "a spot"}"', "show_children r:0")
    assert loaded == "load_tree ok!"
    assert (
        order.split("\n\n")[1] == "child 1:\nr:0:b100\nIP_DEC\nTd 9d 6h Qc 2s\n100 0 100\n3 children\nflags:"
    )


def test_stop_keeps_what_was_found() -> None:
    *_, stopped, said, results = ask(*SET_UP, "go", "stop", "calc_results")
    assert (stopped, said) == ("SOLVER: stopped (requested)\n", "stop ok!")
    assert "Exploitable for: " in results


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("jump", "ERROR: unknown command jump"),
        ("set_board Td9d", "ERROR: expected a board of 3, 4 or 5 cards, got 2"),
        ("set_range UTG AA", "ERROR: expected OOP or IP, got UTG"),
        ("set_range OOP A", "ERROR: 'A' is no range"),
        ("set_pot 1 2 3", "ERROR: expected set_pot OOP IP START"),
        ("set_eff_stack x", "ERROR: stack must be a number of at least 0, got 'x'"),
        ("set_bets [[", "ERROR: "),
        ("set_threads 1.5", "ERROR: threads must be a whole number from 0 to 1024, got 1.5"),
        ("go 3 apples", "ERROR: expected go N seconds or go N steps, got apples"),
        ("show_node q", "ERROR: no node q: ids begin with r:0"),
        ("show_node r:0:b51", "ERROR: no node r:0:b51: b51 cannot come, expected one of c, b100, b200"),
        ("show_strategy r:0", "ERROR: nothing is solved: go or load_tree comes first"),
        ("load_tree /nowhere", "ERROR: /nowhere: No such file or directory"),
        ("load_tree", "ERROR: "),
    ],
)
def test_mistakes_are_one_line(command: str, expected: str) -> None:
    *_, answer = ask(*SET_UP, command)
    assert answer.startswith(expected)
    assert "\n" not in answer


def test_a_tree_comes_before_its_nodes() -> None:
    assert ask("show_node r:0", "is_tree_present") == [
        "ERROR: there is no tree: build_tree or load_tree comes first", "false",
    ]  # fmt: skip


def test_the_command_answers_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("is_ready\nexit\nis_ready\n"))
    assert cli.main(["upi"]) == 0
    assert capsys.readouterr().out == "is_ready ok!\n"
    assert cli.main(["upi", "x"]) == 2
    assert capsys.readouterr().err == "error: upi takes no arguments, got x\n"
