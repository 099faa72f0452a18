"""Each benchmark at its smallest: what it prints and writes, never how fast it was."""

import json
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pytest
import torch
from runs.harness import ForkedRank, command, trained

from benchmarks import (
    capacity,
    endgame,
    flops,
    holdem,
    labels,
    launches,
    machines,
    profile,
    scaling,
    selfplay,
    serial,
    solver,
)
from benchmarks.measure import median_rates
from benchmarks.selfplay import Clock
from pokerlab.config.stored import read_config
from pokerlab.games.holdem import Holdem
from pokerlab.search.forest import Forest
from pokerlab.search.payoffs import hand_probabilities
from pokerlab.search.tree import build_tree
from pokerlab.training import ranks
from pokerlab.training.restore import find_checkpoint, restore

COMMANDS = {
    "solver": solver.main,
    "selfplay": selfplay.main,
    "serial": serial.main,
    "scaling": scaling.main,
    "profile": profile.main,
    "holdem": holdem.main,
    "endgame": endgame.main,
    "flops": flops.main,
    "labels": labels.main,
    "capacity": capacity.main,
}
QUICK = ["--repeats", "1", "--seconds", "0.001"]
KUHN = [
    "experiment=kuhn", "trajectories=20", "updates=3", "batch_size=16", "selfplay.search_iterations=10",
    "model.value_network.hidden=16", "model.policy_network.hidden=16",
]  # fmt: skip


def results_of(command: str, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    path = tmp_path / "results.json"
    COMMANDS[command]([*arguments, "--json", str(path)])
    results: dict[str, Any] = json.loads(path.read_text())
    assert {"cpu", "cores", "torch"} <= results["machine"].keys()
    assert {"threads", "dtype", "seed"} <= results.keys()
    assert results["command"].startswith(f"python -m benchmarks.{command} ")
    return results


def test_solver_compares_single_solves_and_forests_with_openspiel(tmp_path: Path) -> None:
    games = ["leduc", "liars_dice_1x6f", "leduc_second_round"]
    found = results_of("solver", tmp_path, *QUICK, "--games", *games, "--batches", "2", "--threads", "1")
    shapes = [(row["game"], row["rule"], row["dtype"], row["batch"]) for row in found["rows"]]
    assert shapes == [
        ("leduc", "cfr_plus", "float64", 1),
        ("leduc", "dcfr", "float64", 1),
        ("leduc", "dcfr", "float32", 2),
        ("liars_dice_1x6f", "cfr_plus", "float64", 1),
        ("liars_dice_1x6f", "dcfr", "float64", 1),
        ("liars_dice_1x6f", "dcfr", "float32", 2),
        ("leduc_second_round", "dcfr", "float32", 2),
    ]
    for row in found["rows"]:
        ours, theirs = row["subgame_iterations_per_second"], row["openspiel_subgame_iterations_per_second"]
        assert ours == row["iterations_per_second"] * row["batch"] > 0
        assert row["ratio"] == pytest.approx(ours / theirs)


def test_the_profile_accounts_for_the_whole_iteration(tmp_path: Path) -> None:
    found = results_of("profile", tmp_path, *QUICK, "--forests", "1 Leduc game", "1 street, 332 hands")
    assert [row["solver"] for row in found["rows"]] == ["tensors", "compiled"] * 2
    for row in found["rows"]:
        shares = [value for key, value in row.items() if key.startswith("percent_")]
        assert sum(shares) == pytest.approx(100)
        assert min(shares) >= 0
    tensors, compiled = (row["operations"] for row in found["rows"][:2])
    assert tensors > 100 > compiled


def test_selfplay_accounts_for_the_whole_iteration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = results_of("selfplay", tmp_path, "--repeats", "2", *KUHN)
    assert found["seconds"].keys() == {"search", "network", "sampling", "replay", "optimiser"}
    assert min(found["seconds"].values()) > 0
    assert sum(found["share"].values()) == pytest.approx(1)
    assert found["examples_per_second_generation"] > found["examples_per_second"] > 0
    assert 0 < found["value_examples"] < found["examples"]
    share = found["value_examples_per_second_generation"] / found["examples_per_second_generation"]
    assert share == pytest.approx(found["value_examples"] / found["examples"], rel=0.2)
    assert os.listdir(tmp_path) == ["results.json"]  # noqa: PTH208


def test_scaling_measures_every_part_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "costs.png"
    sizes = ["--batches", "1", "2", "--hands", "2", "3", "--workers", "0", "--overrides", *KUHN]
    with patch.object(scaling, "TREES", scaling.TREES[:3]), patch.object(scaling, "ROOTS", 2):
        parts = results_of("scaling", tmp_path, *QUICK, *sizes, "--plot", str(picture))["parts"]
    assert [row["batch"] for row in parts["batch"]] == [1, 2, 1, 2]
    assert [row["hands"] for row in parts["hands"]] == [2, 3]
    assert [row["nodes"] for row in parts["nodes"]] == [4, 10, 44]
    assert [row["workers"] for row in parts["workers"]] == [0]
    assert [row["nodes"] for row in parts["trees"][:3]] == [4, 10, 44]
    assert 400 < parts["trees"][3]["nodes"] < 600
    for row in parts["trees"]:
        assert 0 < row["milliseconds"] < row["milliseconds_with_forest"]
        assert row["ratio"] == pytest.approx(row["milliseconds_walked"] / row["milliseconds"])
    for row in [*parts["batch"], *parts["hands"], *parts["nodes"]]:
        assert row["microseconds"] == pytest.approx(1e6 / row["iterations_per_second"] / row["batch"])
    assert picture.read_bytes().startswith(b"\x89PNG")


SMALL = [
    "model.value_network.hidden=8", "model.policy_network.hidden=8", "launcher=local", "trainer=cpu",
]  # fmt: skip


def test_holdem_measures_the_references_and_a_forest(tmp_path: Path) -> None:
    found = results_of("holdem", tmp_path, *QUICK, "--threads", "1", "--boards", "2", "--target", "60")[
        "rows"
    ]
    assert [(row["what"], row["states"]) for row in found[:4]] == [
        ("river_reference", 57),
        ("river_reference, 2 boards", 114),
        ("turn_reference", 10857),
        ("turn_reference in 6 iterations", 10857),
    ]
    assert min(row["rate"] for row in found) > 0


def test_serial_costs_are_measured_for_every_kind_of_subgame(tmp_path: Path) -> None:
    sizes = [
        "experiment=phase1", "game=turn", "selfplay.starts=null", "evaluation.held_out.every=null",
        "workers=0", "batch_size=4",
        *SMALL,
    ]  # fmt: skip
    found = results_of("serial", tmp_path, *sizes, "--subgames", "1", "--repeats", "1")
    assert [row["subgame"] for row in found["subgames"]] == ["river: deal", "river: betting"]
    for row in found["subgames"]:
        assert row["together"] == pytest.approx(sum(row[cost] for cost in serial.COSTS))
    assert len(found["learning"]) == 2 * 3 + 3
    assert min(row["milliseconds"] for row in found["learning"]) > 0


def test_capacity_follows_one_game_to_the_last_street(tmp_path: Path) -> None:
    sizes = [
        "experiment=phase1",
        "model=large",
        "game=flop",
        "selfplay.starts=null",
        "workers=0",
        "batch_size=4",
        "selfplay.search_iterations=3",
        *SMALL,
    ]
    found = results_of("capacity", tmp_path, *sizes, "--measured", "1", "--trajectories", "2")
    names = [row["root"] for row in found["subgames"]]
    assert names[::2] == [f"betting, {cards} cards" for cards in (3, 4, 5)]
    assert names[1::2] == ["deal, 3 cards", "deal, 4 cards"]
    totals = found["totals"]
    assert totals["examples_a_trajectory"] == 5
    assert totals["seconds_a_trajectory"] == pytest.approx(sum(row["seconds"] for row in found["subgames"]))
    assert min(totals.values()) > 0
    assert sum(row["share"] for row in found["subgames"]) == pytest.approx(100)
    row, inputs = found["subgames"][0], Holdem("hunl").num_features + 2 * (1326 + 238)
    weights = 8 * (inputs + 5 * 8 + 2 * (1326 + 238))
    assert row["network_gflop"] == pytest.approx(3 * 2 * row["leaves"] * 2 * weights / 1e9)


def test_an_endgame_is_measured_beside_zero_leaves_and_full_game_cfr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = trained("experiment=leduc", "profile=tiny", "game.leaves=before_deal", "run", cwd=tmp_path)
    picture = tmp_path / "endgame.png"
    sizes = ["--search-iterations", "20", "--play-throughs", "0", "2", "--states", "4"]
    found = results_of("endgame", tmp_path, str(run.path), *sizes, "--png", str(picture))
    assert [(row["leaves"], row["play_throughs"]) for row in found["agents"]] == [
        ("network", 0), ("network", 2), ("zero", 0), ("zero", 2),
    ]  # fmt: skip
    best = min(row["exploitability"] for row in found["agents"])
    full_game = [row["exploitability"] for row in found["full_game"]]
    assert full_game[-1] <= best
    assert all(worse > best for worse in full_game[:-1])
    assert [row["iteration"] for row in found["errors"]] == [0, 1, 2]
    assert found["errors"][0]["minutes"] == 0 < found["errors"][1]["minutes"] < found["errors"][2]["minutes"]
    assert min(row["error"] for row in found["errors"]) > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_labels_are_held_against_more_iterations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["experiment=mini_holdem", "--states", "3", "2", "--truth", "400", "--iterations", "400", "20"]
    found = results_of("labels", tmp_path, *given, "--rules", "dcfr:gamma=4", "cfr")
    assert len(found["solves"]) == 5 * 4
    assert [(row["rule"], row["iterations"]) for row in found["rows"]] == [
        ("dcfr:gamma=4", 20), ("dcfr:gamma=4", 400), ("cfr", 20), ("cfr", 400)
    ]  # fmt: skip
    for few, same, cfr_few, cfr in zip(*(found["solves"][first::4] for first in range(4)), strict=True):
        assert same["error"] == 0 < few["error"]
        assert cfr["error"] < cfr_few["error"]
        assert same["exploited"] < cfr["exploited"] < cfr_few["exploited"]
    depth = found["solves"][0]["depth"]
    some = [row["error"] for row in found["solves"][::4] if row["depth"] == depth]
    assert found["rows"][0][f"error_{depth}"] == pytest.approx(sum(some) / len(some))

    asked = ["experiment=hunl_20bb", "game.solve_to_end=null", "--network", "hunl-20bb", "--states", "0", "1"]
    short = ["--truth", "3", "--iterations", "2", "3", "--rules", "linear_cfr", "dcfr:alpha=1,beta=1,gamma=5"]
    linear, _, _, same = results_of("labels", tmp_path, *asked, *short)["solves"]
    assert linear["exploited"] is None  # the network's part in it is not known
    assert same["error"] == 0 < linear["error"]

    for wrong, why in {
        "dcfr:alpha": "could not convert string to float: ''",
        "cfr:gamma=5": "gamma given for cfr: only dcfr has them",
        "dcfr:rule=2": "expected averaging, alpha, beta, gamma, got 'rule'",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            labels.main(["--rules", wrong])
        assert capsys.readouterr().err.endswith(f"error: argument --rules: {wrong!r} is no rule: {why}\n")
    for arguments, why in {
        ("experiment=kuhn",): "which are none in kuhn",
        ("--network", "leduc"): "networks know other cards: deck",
        ("--network", "hunl-20bb", "--states", "1"): "search on the river asks no network",
        ("--truth", "100"): "--truth 100 is less than the 240 iterations held against it",
        ("--states", "0", "0"): "no belief state was solved",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            labels.main(arguments)
        assert why in capsys.readouterr().err

    solves = labels.solves

    def one_and_stop(*given: Any) -> Iterator[list[dict[str, Any]]]:
        yield next(solves(*given))
        raise KeyboardInterrupt

    monkeypatch.setattr(labels, "solves", one_and_stop)
    assert len(results_of("labels", tmp_path, *given, "--rules", "cfr")["solves"]) == 2


def test_flops_are_held_against_deeper_solves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained("experiment=mini_holdem", "profile=tiny", "workers=0", "run", cwd=tmp_path)
    sizes = [str(run.path), "--states", "2", "--iterations", "20"]
    found = results_of("flops", tmp_path, *sizes)
    (to_end, other), (mean,) = found["flops"], found["means"]
    for row in (to_end, other):
        assert row["how"] == "end of the game"
        assert row["search"] == 0 < row["network"]  # this run's flops are solved to the end as well
    assert mean["network"] == pytest.approx((to_end["network"] + other["network"]) / 2)
    asked = results_of("flops", tmp_path, *sizes, "--most", "1")["flops"]
    for row, exact in zip(asked, found["flops"], strict=True):
        assert row["how"] == "every turn card"
        assert row["spr"] == exact["spr"]
        assert row["search"] > 0
        assert row["network"] != exact["network"]
    with pytest.raises(SystemExit, match="2"):
        flops.main([*sizes, "--deals", "1"])
    assert capsys.readouterr().err == (
        f"error: {run.path}: search asks about every flop, never what their deal is worth\n"
    )


def test_flops_that_are_stopped_show_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"spr": 1.0, "how": "end of the game", "network": 0.1, "search": 0.0, "seconds": 2.0}

    def one_and_stop(deeper: flops.Deeper, states: int, seed: int) -> Iterator[dict[str, Any]]:
        yield row
        raise KeyboardInterrupt

    monkeypatch.setattr(flops, "flop_rows", one_and_stop)
    assert results_of("flops", tmp_path, "hunl-20bb")["flops"] == [row]


@torch.no_grad()
def test_deals_are_held_against_deeper_solves_of_flops(tmp_path: Path) -> None:
    before_deal = ["game.leaves=before_deal", "game.solve_to_end=null"]
    trained_run = trained(
        "experiment=mini_holdem", "profile=tiny", "workers=0", *before_deal, "run", cwd=tmp_path
    )
    sizes = [str(trained_run.path), "--deals", "2", "--iterations", "5"]
    rows = results_of("flops", tmp_path, *sizes, "--searched", "60", "--flops", "20")["deals"]
    assert len(rows) == 2
    for row in rows:
        assert row["network"] <= row["deal"] + row["flops"]
        assert 0 < row["noise"] < row["flops"] / 4  # there are few flops, so that all of them are known
    config = trained_run.config.read_text()
    trained_run.config.write_text(config.replace("isomorphism: true", "isomorphism: false"))
    (one, _) = results_of("flops", tmp_path, *sizes, "--searched", "2", "--flops", "2")["deals"]
    assert one["deal"] == pytest.approx(rows[0]["deal"], rel=1e-4)  # all flops, instead of one of each kind
    trained_run.config.write_text(config)
    (few, _) = results_of("flops", tmp_path, *sizes, "--searched", "2", "--flops", "2")["deals"]
    assert few["deal"] == rows[0]["deal"]
    assert few["noise"] > 4 * rows[0]["noise"]

    # self-play's own label of a deal is the mean of what the network says of flops, too
    run, path = find_checkpoint(str(trained_run.path))
    parts, _ = restore(read_config(run), path)
    game = cast(Holdem, parts.game)
    parts.module.eval()
    deeper = flops.Deeper(parts, game, iterations=5, most=200_000)
    states, believed, often = deeper.before()
    leaf = int(often.argmax())
    belief = believed[:, leaf : leaf + 1]
    deal = Forest(game, [build_tree(game, states[leaf], depth_limited=True)], dtype=torch.float32)
    label = parts.solver.start(deal, belief, parts.module.networks).run(1).root_infostate_values()
    error = deeper.said([states[leaf]], belief) - label / game.pot(states[leaf])
    weight = hand_probabilities(game, belief.transpose(0, 1).double())[0] / 2
    assert float((weight * error[:, 0].abs()).sum()) == pytest.approx(rows[0]["deal"], rel=1e-4)


def test_launches_counts_every_street(tmp_path: Path) -> None:
    path = tmp_path / "launches.json"
    launches.main(["--small", "--subgames", "2", "--json", str(path)])
    rows = json.loads(path.read_text())["rows"]
    assert [row["street"] for row in rows] == ["preflop", "flop", "turn", "river"]
    assert all(row["waits"] == 0 < row["megabytes"] for row in rows)
    assert [row["network_launches"] > 0 for row in rows] == [True, True, True, False]
    assert all(row["launches"] > row["network_launches"] for row in rows)


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("endgame", ["nothing"], "no run 'nothing' here"),
        ("flops", ["fhp", "--deals", "1", "--flops", "3"], "expected an even integer, got '3'"),
        ("flops", ["fhp", "--deals", "1", "--flops", "34"], "--flops 34: only 32 are searched"),
        ("flops", ["leduc"], "leduc plays leduc, in which no flop comes before a turn"),
        ("capacity", ["experiment=phase3"], "did you mean phase2 or phase1 or phase2_kuhn3?"),
        ("holdem", ["--target", "0"], "expected percent above 0 and up to 100, got '0'"),
        ("holdem", ["--boards", "0"], "expected an integer of at least 1, got '0'"),
        ("solver", ["--games", "chess"], "'chess'"),
        ("solver", ["--batches", "0"], "expected an integer of at least 1, got '0'"),
        ("solver", ["--seconds", "nan"], "got 'nan'"),
        ("solver", ["--json", "nowhere/r.json"], "the folder nowhere does not exist"),
        ("selfplay", ["experiment=kuhm"], "did you mean kuhn?"),
        ("selfplay", ["batch_size=0"], "batch_size must be an integer of at least 1, got 0"),
        ("selfplay", ["--repeats", "many"], "got 'many'"),
        ("scaling", ["--workers", "-1"], "--workers"),
        ("scaling", ["--parts", "workers", "--overrides", "seeds=1"], "unknown key 'seeds'"),
        ("scaling", ["--parts", "workers", "--plot", "c.png"], "--plot draws batch, hands, nodes"),
    ],
)
def test_mistakes_end_in_one_line(
    command: str, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        COMMANDS[command](arguments)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert expected in told


def test_without_openspiel_one_line_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    with patch.dict(sys.modules, {"pyspiel": None}), pytest.raises(SystemExit) as ended:
        solver.main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: OpenSpiel is not installed")


def test_the_commands_run_as_modules(capsys: pytest.CaptureFixture[str]) -> None:
    for name, module in (("solver", solver), ("selfplay", selfplay), ("scaling", scaling)):
        with patch.object(sys, "argv", ["benchmark", "--help"]), pytest.raises(SystemExit):
            runpy.run_path(str(module.__file__), run_name="__main__")
        assert f"usage: python -m benchmarks.{name}" in capsys.readouterr().out


class FakeTime:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def test_rates_are_medians_of_repeats_that_take_turns() -> None:
    time, calls = FakeTime(), list[tuple[str, int]]()

    def run(name: str, cost: float, iterations: int) -> None:
        calls.append((name, iterations))
        hiccup = 100 if len([c for c in calls if c == (name, 8)]) == 1 else 0  # in the first repeat
        time.pass_by(cost * iterations + hiccup)

    with patch("benchmarks.measure.time", time):
        rates = median_rates(
            [lambda n: run("fast", 0.125, n), lambda n: run("slow", 0.5, n)], seconds=1.0, repeats=3
        )
    assert rates == [8, 2]
    assert calls[-6:] == [("fast", 8), ("slow", 2)] * 3


def test_a_phase_within_another_takes_its_time_from_that() -> None:
    time, clock = FakeTime(), Clock()
    with patch("benchmarks.selfplay.time", time):
        clock.enter("outer")
        time.pass_by(1)
        clock.time_calls("inner", time.pass_by)(2)
        time.pass_by(4)
        clock.leave()
        time.pass_by(8)
        clock.time_calls("inner", time.pass_by)(16)
    assert clock.seconds == {"outer": 5, "inner": 18}


def test_ranks_are_measured_beside_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([1.0, 4.0, 1.0, 10.0])

    def train_here(arguments: Sequence[str], folder: Path) -> float:
        ended = command("train", *arguments, f"run_dir={folder}", cwd=tmp_path, plots=False)
        assert (ended.code, ended.err) == (0, "")
        return next(spent)

    monkeypatch.setattr(machines, "train", train_here)
    monkeypatch.setattr(ranks, "start_process", ForkedRank)
    path = tmp_path / "results.json"
    given = ["--parts", "ddp", "--ranks", "0", "2", "--json", str(path), "--overrides", *KUHN]
    scaling.main(given)
    alone, two = json.loads(path.read_text())["parts"]["ddp"]
    assert (alone["ranks"], two["ranks"]) == (0, 2)
    assert (alone["processor_seconds"], two["processor_seconds"]) == (1, 1.5)
    assert (alone["overhead"], two["overhead"]) == (0, 0.5)
    assert alone["updates"] == two["updates"] == 3
    assert two["examples"] > alone["examples"]
