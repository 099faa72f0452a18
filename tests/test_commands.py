"""solve and evaluate: what they print and write, against OpenSpiel; a sweep of train."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pyspiel
import pytest
from open_spiel.python.policy import TabularPolicy
from runs.harness import KUHN, LEDUC, Alone, command, contents, refusal, trained

from pokerlab.spot import Spot, open_spot
from pokerlab.store.folder import RunFolder

RULES = ["cfr", "cfr_plus", "linear_cfr", "dcfr", "pcfr_plus"]
OPENSPIEL = {"kuhn": "kuhn_poker", "leduc": "leduc_poker"}
FIELDS = {
    "game": str,
    "iterations": int,
    "seconds": float,
    "iterations_per_second": float,
    "game_value": float,
    "nash_conv": float,
    "exploitability": float,
}
SEARCHED = ("search_iterations=20", "play_throughs=2")


def openspiel_nash_conv(game: str, export: Path) -> float:
    """NashConv of an exported policy, by OpenSpiel alone."""
    table = json.loads(export.read_text())
    policy = pyspiel.TabularPolicy(
        {state: [(int(action), chance) for action, chance in row.items()] for state, row in table.items()}
    )
    found: float = pyspiel.nash_conv(pyspiel.load_game(OPENSPIEL[game]), policy)
    return found


def assert_results(results: dict[str, Any], game: str, iterations: int | None) -> None:
    assert {name: type(results[name]) for name in FIELDS} == FIELDS | (
        {"iterations": type(None), "iterations_per_second": type(None)} if iterations is None else {}
    )
    assert (results["game"], results["iterations"]) == (game, iterations)
    assert results["exploitability"] == results["nash_conv"] / 2
    assert results["nash_conv"] > 0
    if iterations is not None:
        assert results["iterations_per_second"] == iterations / results["seconds"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("game", ["kuhn", "leduc"])
def test_solve_writes_what_openspiel_finds(game: str, rule: str, tmp_path: Path) -> None:
    ended = command(
        "solve",
        f"game={game}",
        f"solver={rule}",
        "iterations=12",
        "json=r.json",
        "export=p.json",
        cwd=tmp_path,
    )
    assert (ended.code, ended.err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json", "r.json"]
    results = json.loads((tmp_path / "r.json").read_text())
    assert list(results) == [
        *FIELDS, "percent_of_pot", "pot", "expected_values", "memory_mb", "tables",
    ]  # fmt: skip
    assert_results(results, game, 12)
    assert results["nash_conv"] == pytest.approx(openspiel_nash_conv(game, tmp_path / "p.json"), abs=1e-9)
    assert f"NashConv {results['nash_conv']:.6g} chips" in ended.out
    assert f"exploitability (NashConv/2) {results['exploitability']:.6g} chips" in ended.out
    assert f"game value for the first player {results['game_value']:.7f} chips" in ended.out
    assert [line.split()[1] for line in ended.out.splitlines() if line.startswith("│")] == ["1", "10", "12"]


@pytest.mark.parametrize(("game", "value"), [("kuhn", -1 / 18), ("leduc", -0.0856064)])
def test_solve_finds_the_value_of_the_game(game: str, value: float, tmp_path: Path) -> None:
    command("solve", f"game={game}", "solver=pcfr_plus", "iterations=300", "json=r.json", cwd=tmp_path)
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["nash_conv"] < 0.01
    assert abs(results["game_value"] - value) < results["nash_conv"]


def test_solve_takes_three_players(tmp_path: Path) -> None:
    settings = ("game=kuhn3", "solver=cfr_plus", "iterations=1000", "json=r.json", "export=p.json")
    ended = command("solve", *settings, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "With more than two players CFR need not find an equilibrium" in " ".join(ended.out.split())
    results = json.loads((tmp_path / "r.json").read_text())
    game, policy = pyspiel.load_game("kuhn_poker(players=3)"), json.loads((tmp_path / "p.json").read_text())
    chances = {state: [(int(a), p) for a, p in of.items()] for state, of in policy.items()}
    found = pyspiel.nash_conv(game, pyspiel.TabularPolicy(chances))
    assert results["nash_conv"] == pytest.approx(found, abs=1e-12) == pytest.approx(3.2e-5, rel=0.01)
    assert results["exploitability"] == results["nash_conv"] / 3
    assert [point["iterations"] for point in results["curve"]] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@pytest.mark.parametrize("setting", ["target=1", "save=s", "solver.alternating=false", "dtype=float32"])
def test_solve_of_three_players_refuses(setting: str, tmp_path: Path) -> None:
    key = setting.partition("=")[0]
    expected = f"{key} is for games of two players: leave it out with game=kuhn3"
    assert refusal("solve", "game=kuhn3", setting, cwd=tmp_path) == expected


@pytest.mark.parametrize("dtype", ["null", "float64"])
def test_solve_finds_a_rivers_equilibrium(dtype: str, tmp_path: Path) -> None:
    settings = ("game=river_reference", "iterations=300", f"dtype={dtype}", "json=r.json")
    ended = command("solve", *settings, cwd=tmp_path)
    results = json.loads((tmp_path / "r.json").read_text())
    assert "river_reference: 57 public states, 1,081 hands" in ended.out
    assert results["percent_of_pot"] == pytest.approx(100 * results["exploitability"] / 200)
    assert 0 < results["percent_of_pot"] < 0.1
    assert results["game_value"] == pytest.approx(-6.18, abs=0.2)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dtype=half", "dtype must be null or one of float32, float64, got 'half'"),
        ("game.board=Td9d", "game.board must have 0, 3, 4, 5 cards, got 2"),
        ("game.board=Td9d6hQcTd", "Td is twice in 'Td9d6hQcTd'"),
        (
            "game.ranges=[uniform,QQs]",
            "'QQs' is no range: expected such as QQ+, AKs, ATo+, A5s-A2s, KQo-JTo, AhKd, uniform",
        ),
        ("game.ranges=[TdTh,uniform]", "game.ranges must have hands: the board leaves none of 'TdTh'"),
        (
            "game.board=Td9d6h2c3s game.ranges=[TT,TT]",
            "game.ranges must have hands that can meet: none of 'TT' and 'TT' do",
        ),
        (
            "game.pot=110 game.stack=1950 game.bets=[[0.33],[1]]",
            "game.bets of 0.33 pot are never offered as a bet: that is 36.3 chips, and the least bet is 100, "
            "the big blind",
        ),
        ("game.bets=[[50,100]]", "game.bets must be fractions of the pot, at most 10, got 50: 50 % is 0.5"),
        ("export=p.json", "export=p.json: river is not in OpenSpiel"),
    ],
)
def test_solve_refuses_an_endgame(override: str, expected: str, tmp_path: Path) -> None:
    assert refusal("solve", "game=river", *override.split(" "), cwd=tmp_path) == expected


def test_an_export_holds_every_information_state_with_probabilities(tmp_path: Path) -> None:
    command("solve", "game=leduc", "iterations=2", "export=p.json", cwd=tmp_path)
    table = json.loads((tmp_path / "p.json").read_text())
    expected = TabularPolicy(pyspiel.load_game("leduc_poker"))
    assert table.keys() == expected.state_lookup.keys()
    for state, row in table.items():
        legal = expected.legal_actions_mask[expected.state_lookup[state]].nonzero()[0]
        assert [int(action) for action in row] == legal.tolist()
    for row in table.values():
        assert math.fsum(row.values()) == pytest.approx(1, abs=1e-12)
        assert min(row.values()) >= 0


def test_solve_writes_what_every_hand_does_and_is_worth(tmp_path: Path) -> None:
    spot = ("game=river", 'game.ranges=["QQ+,AK","JJ+,AQ:0.5"]', "target=0.5", "json=r.json", "save=spot")
    ended = command("solve", *spot, 'lines=["","check bet 0.5"]', cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["percent_of_pot"] <= 0.5
    assert results["iterations"] < 1000
    assert "river: 57 public states, 31 hands against 33" in ended.out
    first, second = results["expected_values"]
    assert first == pytest.approx(100 + results["game_value"])
    assert first + second == results["pot"] == 200
    assert f"first player {first:.7g}, second {second:.7g}" in ended.out
    solved: Spot = open_spot(tmp_path / "spot")
    expected = [solved.table(line, player) for line in ("", "check bet 0.5") for player in (0, 1)]
    assert results["tables"] == [table.as_dict() for table in expected]
    assert [(table["player"], table["pot"], len(table["hands"])) for table in results["tables"]] == [
        (0, 200, 31), (1, 200, 33), (0, 300, 31), (1, 300, 33),
    ]  # fmt: skip
    facing = results["tables"][2]["hands"][0]
    assert facing["probabilities"].keys() == {"fold", "call", "raise 1", "all-in"}


def test_solve_says_that_a_target_was_not_reached(tmp_path: Path) -> None:
    ended = command("solve", "game=kuhn", "iterations=3", "target=0.01", cwd=tmp_path)
    assert ended.code == 0
    assert "0.01 % of the pot was not reached: give it more iterations" in ended.out


def test_solve_leaves_nothing_that_was_not_asked_for(tmp_path: Path) -> None:
    assert command("solve", "game=kuhn", "iterations=1", cwd=tmp_path).code == 0
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("json=none/r.json", "json=none/r.json: the folder none does not exist"),
        ("export=none/p.json", "export=none/p.json: the folder none does not exist"),
        ("json=.", "json=. is a folder: expected a file"),
        ("iterations=0", "iterations must be an integer of at least 1, got 0"),
        ("target=0", "target must be null or a number above 0, got 0"),
        (
            "lines=[check bat]",
            "line 'check bat': at 'bat' player 1 acts: expected one of check, bet",
        ),
        ("threads=0", "threads must be null or an integer of at least 1, got 0"),
        ("game=kuhm", "unknown game 'kuhm': did you mean kuhn or kuhn3?"),
        ("solver=fcr", "unknown solver 'fcr': did you mean cfr?"),
        ("solver.warm_start=1", "solver.warm_start needs a policy network: tabular solving has none"),
        ("thread=1", "unknown key 'thread': did you mean threads?"),
        (
            "device=abacus",
            "device='abacus' is not available here: expected cpu, or cuda where there is a GPU",
        ),
    ],
)
def test_solve_refuses(override: str, expected: str, tmp_path: Path) -> None:
    assert refusal("solve", override, cwd=tmp_path) == expected


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each game."""
    place = tmp_path_factory.mktemp("place")
    trained(*KUHN, "checkpoint_every=3", "kuhn", cwd=place)
    trained(*LEDUC, "iterations=2", "leduc", cwd=place)
    return place


@pytest.mark.parametrize("game", ["kuhn", "leduc"])
def test_evaluate_measures_every_policy_as_openspiel_does(game: str, place: Path, tmp_path: Path) -> None:
    run = RunFolder(place / "outputs" / game)
    policies = ("search_iteration", "search_average", "search_gadget", "policy_net")
    for policy in policies:
        json_path, export = tmp_path / f"{policy}.json", tmp_path / f"{policy}-policy.json"
        outputs = (f"json={json_path}", f"export={export}", f"export_policy={policy}")
        ended = command("evaluate", f"run={game}", *SEARCHED, *outputs, cwd=place)
        assert (ended.code, ended.err) == (0, "")
        results = json.loads(json_path.read_text())
        assert json.loads(run.evaluation.read_text()) == results
        assert (results["game"], results["run"], results["checkpoint"]) == (game, game, "last.ckpt")
        assert_results(results["search_iteration"], game, 20)
        assert_results(results["policy_net"], game, None)
        assert_results(results["search_average"], game, 20)
        assert_results(results["search_gadget"], game, 20)
        assert [results[name]["play_throughs"] for name in policies] == [2, 0, None, None]
        found = results[policy]["nash_conv"]
        assert found == pytest.approx(openspiel_nash_conv(game, export), abs=1e-9)
        assert f"{results[policy]['exploitability']:.5f}" in ended.out
    exports = [json.loads((tmp_path / f"{name}-policy.json").read_text()) for name in policies]
    assert all(exported.keys() == exports[0].keys() for exported in exports)
    assert all(one != other for one, other in itertools.pairwise(exports))


def test_search_is_exported_unless_the_policy_network_is_asked_for(place: Path, tmp_path: Path) -> None:
    for name, more in (("default", []), ("named", ["export_policy=search_iteration"])):
        command("evaluate", "run=kuhn", *SEARCHED, f"export={tmp_path / name}", *more, cwd=place)
    assert (tmp_path / "default").read_bytes() == (tmp_path / "named").read_bytes()


def test_evaluate_agrees_with_what_training_measured(place: Path) -> None:
    run = RunFolder(place / "outputs/kuhn")
    last = run.read_metrics()[-1]
    command("evaluate", "run=kuhn", cwd=place)  # as the run's own config says
    results = json.loads(run.evaluation.read_text())
    assert results["iteration"] == 6
    assert [results["search_iteration"][key] for key in ("iterations", "play_throughs")] == [10, 2]
    assert results["search_iteration"]["exploitability"] == last["exploitability"]
    assert results["policy_net"]["exploitability"] == last["exploitability_policy_net"]


@pytest.mark.parametrize(
    ("named", "checkpoint", "iteration"),
    [
        ("outputs/kuhn", "last.ckpt", 6),
        ("outputs/kuhn/checkpoints/last.ckpt", "last.ckpt", 6),
        ("'outputs/kuhn/checkpoints/iteration=000003.ckpt'", "iteration=000003.ckpt", 3),
    ],
)
def test_a_run_is_named_by_its_folder_or_a_checkpoint(
    named: str, checkpoint: str, iteration: int, place: Path
) -> None:
    run = RunFolder(place / "outputs/kuhn")
    assert command("evaluate", f"run={named}", *SEARCHED, cwd=place, plots=False).code == 0
    results = json.loads(run.evaluation.read_text())
    assert [results[name] for name in ("run", "checkpoint", "iteration")] == ["kuhn", checkpoint, iteration]


def test_evaluate_again_finds_the_same(place: Path, tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        command("evaluate", "run=leduc", *SEARCHED, f"json={tmp_path / name}", cwd=place, plots=False)
        results = json.loads((tmp_path / name).read_text())
        found.append([results[policy]["nash_conv"] for policy in ("search_iteration", "policy_net")])
    assert found[0] == found[1]


def test_evaluate_leaves_the_training_alone(place: Path) -> None:
    run = RunFolder(place / "outputs/kuhn")
    kept = [run.config, run.job, run.metrics, run.summary, run.log, *sorted(run.checkpoints.iterdir())]
    before = [path.read_bytes() for path in kept]
    command("evaluate", "run=kuhn", *SEARCHED, cwd=place, plots=False)
    assert [path.read_bytes() for path in kept] == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run=kuhm"], "no run 'kuhm' here: did you mean kuhn?"),
        (["run=here.ckpt"], "run=here.ckpt: no such file"),
        ([], "Missing mandatory value: run: give it on the command line"),
        (
            ["run=kuhn", "export_policy=net"],
            "export_policy must be one of policy_net, snapshots, search_iteration, search_average, "
            "search_gadget, got 'net'",
        ),
        (
            ["run=kuhn", "export_policy=search_deterministic"],
            "export_policy: 'search_deterministic' is now called search_average",
        ),
        (
            ["run=kuhn", "export_policy=search"],
            "export_policy: 'search' is now called search_iteration",
        ),
        (
            ["run=kuhn", "search_iterations=0"],
            "search_iterations must be null or an integer of at least 1, got 0",
        ),
        (["run=kuhn", "play_throughs=-1"], "play_throughs must be null or an integer of at least 0, got -1"),
        (["run=kuhn", "seed=-1"], "seed must be an integer of at least 0, got -1"),
        (["run=kuhn", "json=none/r"], "json=none/r: the folder none does not exist"),
        (["run=kuhn", "export=outputs"], "export=outputs is a folder: expected a file"),
        (
            ["run=kuhn", "solver=nofr"],
            "unknown solver 'nofr': expected one of cfr, cfr_plus, dcfr, linear_cfr, pcfr_plus",
        ),
        (["rum=kuhn"], "unknown key 'rum': did you mean run?"),
    ],
)
def test_evaluate_refuses(arguments: list[str], expected: str, place: Path) -> None:
    assert refusal("evaluate", *arguments, cwd=place) == expected


def test_evaluate_needs_a_checkpoint_that_can_be_read(place: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "outputs/run")
    run.claim()
    run.update_job(state="submitted")
    assert refusal("evaluate", "run=run", cwd=tmp_path) == "run=run: outputs/run has no checkpoint yet"
    run.config.write_bytes((place / "outputs/kuhn/config.yaml").read_bytes())
    last = run.checkpoints / "last.ckpt"
    last.write_bytes((place / "outputs/kuhn/checkpoints/last.ckpt").read_bytes()[:1000])
    message = refusal("evaluate", "run=run", cwd=tmp_path)
    assert message.startswith("outputs/run/checkpoints/last.ckpt is damaged, or not a checkpoint")
    last.write_bytes((place / "outputs/leduc/checkpoints/last.ckpt").read_bytes())
    message = refusal("evaluate", "run=run", cwd=tmp_path)
    assert message == "outputs/run/checkpoints/last.ckpt is a checkpoint of leduc, not of kuhn"
    (tmp_path / "other.ckpt").write_bytes(last.read_bytes())
    message = refusal("evaluate", "run=other.ckpt", cwd=tmp_path)
    assert message.startswith("run=other.ckpt: expected it in a run's folder, but ")


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [("solve", "game=go", "unknown game 'go': "), ("evaluate", "run=nothing", "no run 'nothing' here")],
)
def test_a_mistake_is_the_only_line_of_a_process(
    name: str, argument: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    ended = Alone("-m", f"pokerlab.{name}", argument, cwd=tmp_path / "here", output=tmp_path).end()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {expected}")
    assert ended.err.count("\n") == 1
    assert contents(tmp_path / "here") == {}


def test_a_sweep_makes_one_run_each(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    sweep = ("-m", "pokerlab.train", "-m", *KUHN, "iterations=2", "seed=1,2")
    ended = Alone(*sweep, cwd=tmp_path, output=tmp_path_factory.mktemp("printed")).end()
    assert (ended.code, ended.err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    runs = [RunFolder(path) for path in sorted((tmp_path / "outputs").glob("kuhn-*"))]
    assert len(runs) == 2
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {run.path.name for run in runs} | {
        "sweeps"
    }
    first, second = (json.loads(run.metrics.read_text().splitlines()[-1]) for run in runs)
    assert first["iteration"] == second["iteration"] == 1
    assert first["value_loss"] != second["value_loss"]
    left = [path for path in (tmp_path / "outputs/sweeps").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["multirun.yaml"]
