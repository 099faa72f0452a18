"""evaluate match.against=…: what it prints, writes and refuses."""

import json
import math
import shutil
from pathlib import Path

import pytest
import yaml
from pokerkit import HandHistory
from runs.harness import KUHN, LEDUC, TINY, command, copy, refusal, trained

from pokerlab.agents.registry import POLICY_NET
from pokerlab.evaluation.report import read_evaluation
from pokerlab.search.resolving import WAYS_TO_SEARCH
from pokerlab.store.folder import RunFolder

RIVER = ("experiment=river", *TINY, "iterations=1", "trajectories=2", "evaluation.every=null")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each kind of game."""
    place = tmp_path_factory.mktemp("place")
    trained(*KUHN, "iterations=1", "kuhn", cwd=place)
    copy(trained(*LEDUC, "iterations=1", "leduc", cwd=place), place, "other")
    trained(*RIVER, "river", cwd=place)
    trained("experiment=liars_dice_1x4f", *TINY, "iterations=1", "evaluation.every=null", "dice", cwd=place)
    return place


def results(place: Path, *arguments: str) -> dict:
    json_path = place / "results.json"
    ended = command("evaluate", *arguments, f"json={json_path}", cwd=place, plots=False)
    assert (ended.code, ended.err) == (0, ""), ended
    return json.loads(json_path.read_text()) | {"out": ended.out}


def test_a_match_is_told_with_its_interval_by_position_and_by_street(place: Path) -> None:
    found = results(place, "run=leduc", "match.against=call", "match.hands=200")
    match = found["matches"][-1]
    assert match["agents"] == ["leduc:policy_net", "call"]
    assert (match["deals"], match["hands"], match["seed"]) == (200, 400, 1)
    assert abs(match["chips"] - match["exact"]) < 2.5 * match["half_width"]
    assert abs(match["raw"]["chips"] - match["exact"]) < 2.5 * match["raw"]["half_width"]
    assert match["mbb"] == pytest.approx(1000 * match["chips"])
    assert sum(part["hands"] for part in match["streets"]) == 400
    assert sum(part["chips"] for part in match["streets"]) == pytest.approx(match["chips"])
    assert math.fsum(part["chips"] for part in match["positions"]) / 2 == pytest.approx(match["chips"])
    assert f"{match['chips']:.4f} ± {match['half_width']:.4f}" in found["out"]
    assert f"{match['exact']:.4f}" in found["out"]


def test_matches_stand_beside_what_was_said_of_the_same_checkpoint(place: Path) -> None:
    run = RunFolder(place / "outputs/kuhn")
    command("evaluate", "run=kuhn", "play_throughs=1", cwd=place, plots=False)
    before = json.loads(run.evaluation.read_text())
    command("evaluate", "run=kuhn", "match.against=fold", "match.hands=5", cwd=place, plots=False)
    after = json.loads(run.evaluation.read_text())
    assert before.items() <= after.items()
    assert len(after["matches"]) == 1
    run.evaluation.write_text(json.dumps({**before, "iteration": 77}))
    command("evaluate", "run=kuhn", "match.against=fold", "match.hands=5", cwd=place, plots=False)
    assert "search_iteration" not in json.loads(run.evaluation.read_text())


@pytest.mark.parametrize("play", ["policy_net", "search_iteration", "search_average", "search_gadget"])
def test_a_run_plays_in_every_way(play: str, place: Path) -> None:
    settings = ("match.hands=3", "match.value_function=check_down", f"match.play={play}")
    search = () if play == "policy_net" else ("search_iterations=4",)
    found = results(place, "run=leduc", "match.against=other:policy_net", *settings, *search)
    assert found["matches"][-1]["agents"] == [f"leduc:{play}", "other:policy_net"]
    assert (found["matches"][-1]["exact"] is None) == (play == "search_iteration")


def test_a_round_robin_is_ranked_and_drawn(place: Path) -> None:
    others = "match.against=[call,equity,equilibrium]"
    found = results(place, "run=leduc", others, "match.hands=20", "match.aivat=own")
    assert len([match for match in found["matches"] if match["aivat"] == "own"]) == 6
    names = {row["agent"] for row in found["ranking"]}
    assert names == {"leduc:policy_net", "call", "equity", "equilibrium"}
    assert sum(row["nash"] for row in found["ranking"]) == pytest.approx(1)
    assert sum(row["elo"] for row in found["ranking"]) == pytest.approx(4 * 1500)
    assert "matches.png" in found["out"]


def test_local_best_response_bounds_exploitability_from_below(place: Path) -> None:
    match = results(place, "run=leduc", "match.against=lbr", "match.hands=20")["matches"][-1]
    exact = results(place, "run=leduc", "search_iterations=2", "play_throughs=1")["policy_net"]
    assert -match["exact"] <= exact["exploitability"] + 1e-9


def test_hold_em_hands_are_saved_as_pokerkit_reads_them(place: Path, tmp_path: Path) -> None:
    path = tmp_path / "hands.phhs"
    settings = ("match.hands=3", "match.aivat=none", f"match.histories={path}")
    found = results(place, "run=river", "match.against=uniform", *settings)
    with path.open("rb") as file:
        hands = list(HandHistory.load_all(file))
    assert len(hands) == 6
    won = 0.0
    for hand in hands:
        *_, end = hand
        assert hand.players is not None
        won += float(end.payoffs[hand.players.index("river:policy_net")])
    assert won / 6 == pytest.approx(found["matches"][-1]["chips"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["match.against=fold", "search_iterations=5"],
            "search_iterations is of search, and nobody searches with match.play=policy_net: leave it out",
        ),
        (
            ["match.against=fold", "play_throughs=5"],
            "play_throughs is of exploitability: leave it out of a match",
        ),
        (
            ["match.against=cal"],
            "match.against=cal: no run 'cal' here: expected one of dice, kuhn, leduc, other, river, fhp, "
            "hunl-20bb, hunl-laptop; agents that are no runs: uniform, call, fold, equity, equilibrium, lbr",
        ),
        (["match.against=kuhn"], "match.against=kuhn: a run of another game: kuhn, not leduc"),
        (["match.against=[lbr,call]"], "match.against: lbr responds to one agent, it cannot meet several"),
        (["match.against=[call,call]"], "match.against names an agent twice, or the run's own"),
        (["match.against=true"], "match.against must be null or text or a list, got True"),
        (
            ["match.against=call", "export=p.json"],
            "export= writes what exploitability is measured of: leave out match.against",
        ),
        (
            ["match.against=lbr", "match.lbr.actions=raise"],
            "match.lbr.actions must be null or a list, got 'raise'",
        ),
        (["match.hands=0"], "match.hands must be an integer of at least 1, got 0"),
        (["match.lbr.from_street=-1"], "match.lbr.from_street must be an integer of at least 0, got -1"),
        (
            ["match.play=net"],
            "match.play must be one of policy_net, snapshots, search_iteration, search_average, "
            "search_gadget, got 'net'",
        ),
        (
            ["match.value_function=x"],
            "match.value_function must be null or one of self_play, street_play, check_down, got 'x'",
        ),
        (
            ["match.against=call", "match.value_function=street_play", "match.aivat=own"],
            "match.value_function=street_play needs both strategies: expected aivat=both",
        ),
        (["match.against=call", "match.histories=h.phhs"], "hand histories are of hold'em only, got leduc"),
        (
            ["match.against=lbr", "match.lbr.actions=[pot]"],
            "match.against=lbr: leduc has no action 'pot': expected one of fold, call, raise",
        ),
        (
            ["match.against=lbr", "match.play=search_iteration"],
            "match.against=lbr: a local best response must know a strategy, and the agent draws what it "
            "plays",
        ),
        (
            ["match.against=call", "match.play=search_gadget", "solver=dcfr", "solver.warm_start=1"],
            "match.play=search_gadget: search_gadget solves without warm start, leaves under current beliefs",
        ),
    ],
)
def test_a_match_refuses(arguments: list[str], expected: str, place: Path) -> None:
    assert refusal("evaluate", "run=leduc", *arguments, cwd=place) == expected


def test_two_checkpoints_of_a_run_meet(place: Path) -> None:
    run = RunFolder(place / "outputs/leduc")
    earlier = run.checkpoints / "iteration=000001.ckpt"
    earlier.write_bytes((run.checkpoints / "last.ckpt").read_bytes())
    found = results(place, "run=leduc", f"match.against={earlier}", "match.hands=2")
    assert found["matches"][-1]["agents"] == ["leduc:policy_net", "leduc/iteration=000001:policy_net"]
    assert found["matches"][-1]["exact"] == pytest.approx(0, abs=1e-9)
    earlier.unlink()


def test_a_run_meets_others_by_other_rules_than_it_learned(place: Path) -> None:
    deals, rules = "match.hands=2", "match.rules={stack: 500}"
    found = results(place, "run=river", "match.against=call", deals, rules)
    assert "river_reference, stack=500, 2 deals" in " ".join(found["out"].split())
    results(place, "run=river", "match.against=call", deals)
    bets = ("match.rules={bets: [[0.25, 0.5, 1], [1]]}", "match.play=search_average", "search_iterations=2")
    found = results(place, "run=river", "match.against=lbr", deals, *bets)
    told = [(match["agents"], match["rules"]) for match in found["matches"]]
    assert told[-3:] == [
        (["river:policy_net", "call"], {"stack": 500}),
        (["river:policy_net", "call"], None),
        (["river:search_average", "lbr"], {"bets": [[0.25, 0.5, 1], [1]]}),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["match.rules={stack: 500}"], "match.rules are of matches: give match.against"),
        (["match.against=call", "match.rules=500"], "match.rules must be null or a group of keys, got 500"),
        (
            ["match.against=call", "match.rules={smallblind: 0}"],
            "unknown key 'match.rules.smallblind': did you mean match.rules.small_blind or "
            "match.rules.blinds or match.rules.add_all_in?",
        ),
        (
            ["match.against=call", "match.rules={stack: -5}"],
            "match.rules.stack must be a number of chips from 0 to 1e+12, got -5",
        ),
        (
            ["match.against=call", "match.rules={suits: 3, board: Td9d6hQc2c}"],
            "networks know other cards: deck: 39 cards, not 52 cards",
        ),
        (
            ["match.against=call", "match.rules={bets: [[2], [1]]}"],
            "match.play=policy_net: policy_net learned to choose from fold, call, 0.5 pot, 1 pot, all-in: "
            "search",
        ),
    ],
)
def test_other_rules_are_refused(arguments: list[str], expected: str, place: Path) -> None:
    assert refusal("evaluate", "run=river", *arguments, cwd=place) == expected


def test_a_ranking_is_of_the_last_matches_and_others_are_kept(place: Path) -> None:
    results(place, "run=other", "match.against=[call,uniform]", "match.hands=2")
    found = results(place, "run=other", "match.against=fold", "match.hands=2")
    assert found["ranking"] is None
    assert ["other:policy_net", "call"] in [match["agents"] for match in found["matches"]]
    assert len(found["matches"]) == 4


def test_dice_play_against_agents_that_draw(place: Path) -> None:
    settings = ("match.play=search_iteration", "search_iterations=2", "match.hands=2")
    found = results(place, "run=dice", "match.against=[uniform,dice:policy_net]", *settings)
    assert len(found["matches"]) == 3


@pytest.mark.parametrize("against", ["call", "lbr", "equity"])
def test_games_without_calling_have_no_such_opponents(against: str, place: Path) -> None:
    message = refusal("evaluate", "run=dice", f"match.against={against}", cwd=place)
    assert message == f"match.against={against}: liars_dice_1x4f has no calling"


CAUTIOUS = """
from pokerlab.agents.baselines import AlwaysCall, AlwaysFold
from pokerlab.games.base import Game


class Cautious(AlwaysFold):
    def __init__(self, game: Game, bold: bool = False) -> None:
        super().__init__(game)
        self.bold = bold

    def strategy_at(self, state):
        return AlwaysCall.strategy_at(self, state) if self.bold else super().strategy_at(state)


number = 7
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an agent of the user's, and a name for it when it is bold."""
    (tmp_path / "cautious_agents.py").write_text(CAUTIOUS)
    (tmp_path / "conf/agent").mkdir(parents=True)
    text = "_target_: cautious_agents.Cautious\nbold: true\n"
    (tmp_path / "conf/agent/bold.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "conf"


def test_ones_own_agent_is_met_by_its_class_or_by_a_name_in_ones_own_folder(place: Path, own: Path) -> None:
    against = "match.against=['cautious_agents:Cautious',bold,call,fold]"
    found = results(place, f"--config-dir={own}", "run=leduc", against, "match.hands=20")
    chips = {
        match["agents"][1]: match["chips"]
        for match in found["matches"]
        if match["agents"][0] == "leduc:policy_net"
    }
    assert chips["cautious_agents:Cautious"] == chips["fold"]
    assert chips["bold"] == chips["call"]
    assert chips["call"] != chips["fold"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_such_module:X", "no agent no_such_module:X: No module named 'no_such_module'"),
        ("cautious_agents:Bold", "no agent cautious_agents:Bold: module 'cautious_agents' has no attribute "
         "'Bold'"),
        ("cautious_agents:number", "cautious_agents:number is not a class of agents "
         "(pokerlab.agents.base.Agent)"),
        ("leduc:search_deterministic", "way: 'search_deterministic' is now called search_average"),
    ],
)  # fmt: skip
def test_an_agent_that_cannot_be_had_is_one_line(name: str, expected: str, place: Path, own: Path) -> None:
    message = refusal("evaluate", "run=leduc", f"match.against='{name}'", cwd=place)
    assert message == f"match.against={name}: {expected}"


def test_ones_own_agent_has_a_name_of_its_own(place: Path, own: Path) -> None:
    (own / "agent/bold.yaml").rename(own / "agent/call.yaml")
    message = refusal("evaluate", f"--config-dir={own}", "run=leduc", "match.against=call", cwd=place)
    assert message == "pokerlab itself has an agent call: give yours another name"


@pytest.mark.parametrize(
    ("setting", "difference"),
    [
        ("game.blinds=[0.5,2]", "big blind: 2.0, not 1.0"),
        ("game.most_raises=2", "bets and raises a street: 2, not any number"),
        ("game.ranges=['QQ+,AK','uniform']", "it has other ranges"),
    ],
)
def test_runs_of_other_rules_do_not_meet(setting: str, difference: str, place: Path) -> None:
    config = place / "outputs/river/config.yaml"
    other = copy(RunFolder(place / "outputs/river"), place, "other_river")
    key, value = setting.removeprefix("game.").split("=", 1)
    changed = yaml.safe_load(config.read_text())
    changed["game"][key] = yaml.safe_load(value)
    other.config.write_text(yaml.safe_dump(changed))
    for way in ("policy_net", "search_average"):
        against = f"match.against='other_river:{way}'"
        message = refusal("evaluate", "run=river", against, cwd=place)
        assert message == f"match.against=other_river:{way}: a run of another game: {difference}"
    shutil.rmtree(other.path)


def test_results_of_an_earlier_version_are_read_under_the_present_names(place: Path) -> None:
    run = RunFolder(place / "outputs/kuhn")
    command("evaluate", "run=kuhn", "play_throughs=1", cwd=place, plots=False)
    now = run.evaluation.read_text()
    before = now.replace("search_iteration", "search").replace("search_average", "search_deterministic")
    run.evaluation.write_text(before)
    assert read_evaluation(run.evaluation) == json.loads(now)
    command("evaluate", "run=kuhn", "match.against=fold", "match.hands=5", cwd=place, plots=False)
    after = json.loads(run.evaluation.read_text())
    assert all(after[way] == json.loads(now)[way] for way in (POLICY_NET, *WAYS_TO_SEARCH))
    assert not after.keys() & {"search", "search_deterministic"}
