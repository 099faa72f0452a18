"""What a run logs to W&B, offline; and the dashboard, which shows nothing that is not logged."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest
import wandb
from omegaconf import OmegaConf
from wandb.util import get_core_path

from pokerlab.callbacks.metrics import FIELDS as METRICS
from pokerlab.callbacks.wandb_run import best_checkpoint
from pokerlab.config.command import compose
from pokerlab.jobs import dashboard
from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, ROOT, Moment, command, copy, interrupted, read, refusal, trained

# of wandb and its workspaces themselves
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
OFFLINE = (*KUHN, "logger=wandb_offline")


@pytest.fixture(scope="module", autouse=True)
def _nowhere_else(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """W&B keeps its files below a temporary folder, finds no key, and asks no server."""
    home = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as environment:
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "HOME"):
            environment.setenv(name, str(home))
        environment.delenv("WANDB_API_KEY", raising=False)
        for name in ("exit", "excepthook"):  # which W&B replaces for good
            environment.setattr(sys, name, getattr(sys, name))
        wandb.setup()  # reads the environment once for all: not in a test that has a key
        yield


def records(run: RunFolder) -> list[list[dict[str, Any]]]:
    """Of each of the run's W&B files, what is in it."""
    found = []
    for path in sorted((run.path / "wandb").glob("offline-run-*/*.wandb")):
        # what `wandb leet inspect --json` starts, which takes seconds to import
        reader = [get_core_path(), "leet", "inspect", "--no-observability", "--json"]
        done = subprocess.run([*reader, "--run-file", str(path)], capture_output=True, text=True, check=True)
        found.append([json.loads(line) for line in done.stdout.splitlines()])
    return found


def of_type(kind: str, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record[kind] for record in content if record["type"] == kind]


def history(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record["item"] for record in of_type("history", content)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    place = tmp_path_factory.mktemp("logged")
    return trained(
        *OFFLINE, "logger.upload_checkpoint=true", "checkpoint_every=2", "run", cwd=place, plots=True
    )


@pytest.fixture(scope="module")
def content(run: RunFolder) -> list[dict[str, Any]]:
    [content] = records(run)
    return content


def test_every_line_of_the_metrics_is_logged(run: RunFolder, content: list[dict[str, Any]]) -> None:
    logged = history(content)
    for line, item in zip(run.read_metrics(), logged, strict=False):
        known = {key: value for key, value in line.items() if value is not None}
        assert {key: item[key] for key in known} == known
        seconds = line["seconds_selfplay"] + line["seconds_training"]
        assert item["examples_per_second"] == pytest.approx(line["examples"] / seconds)
    assert [item["iteration"] for item in logged[:6]] == list(range(6))


def test_iteration_is_the_step(content: list[dict[str, Any]]) -> None:
    [every] = [metric for metric in of_type("metric", content) if "glob_name" in metric]
    assert (every["glob_name"], every["step_metric"]) == ("*", "iteration")


def test_the_run_has_its_name_group_and_config(run: RunFolder, content: list[dict[str, Any]]) -> None:
    [told] = of_type("run", content)
    assert (told["display_name"], told["run_group"], told["project"]) == ("run", "kuhn", "pokerlab")
    assert told["run_id"] == run.read_job()["wandb_id"]
    assert told["config"]["update"]["trajectories"] == 20
    assert told["config"]["update"]["model"]["value_network"]["hidden"] == 16


def test_strategies_are_a_table(run: RunFolder, content: list[dict[str, Any]]) -> None:
    evaluated = [item for item in history(content) if "strategies._type" in item]
    assert [item["iteration"] for item in evaluated] == [1, 3, 5]
    path = run.path / "wandb/latest-run/files" / evaluated[-1]["strategies.path"]
    table = json.loads(path.read_text())
    assert table["columns"] == ["information state", "action", "search_iteration", "policy_net"]
    assert len(table["data"]) == 12 * 2  # Kuhn has 12 information states of two actions
    for first, second in zip(table["data"][::2], table["data"][1::2], strict=True):
        assert first[0] == second[0]
        assert first[2] + second[2] == pytest.approx(1)
        assert first[3] + second[3] == pytest.approx(1)


def test_plots_and_checkpoint_are_there(run: RunFolder, content: list[dict[str, Any]]) -> None:
    last = history(content)[-1]
    for name in ("losses", "exploitability", "exploitability_seconds"):
        assert last[f"plots/{name}._type"] == "image-file"
    [artifact] = [each for each in of_type("artifact", content) if each["type"] == "checkpoint"]
    assert {each["path"] for each in artifact["manifest"]["contents"]} == {"last.ckpt", "replay-000006.pt"}
    assert sorted(artifact["aliases"]) == ["best", "latest"]  # W&B gives them in any order
    assert best_checkpoint(run) == run.checkpoints / "last.ckpt"
    assert read(run.checkpoints / "last.ckpt")["pokerlab"]["replay"] == "replay-000006.pt"


def test_the_best_checkpoint_is_the_kept_one_of_the_lowest_exploitability(
    run: RunFolder, tmp_path: Path
) -> None:
    again = copy(run, tmp_path)
    lines = again.read_metrics()
    for line in lines:
        line["exploitability"] = {1: 0.5, 2: 0.001, 3: 0.25, 5: 0.5}.get(line["iteration"])
    again.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert best_checkpoint(again) == again.checkpoint(4)  # none was kept of the third iteration
    for line in lines:
        line["exploitability"] = None
    again.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert best_checkpoint(again) == again.checkpoints / "last.ckpt"


def test_the_code_is_kept(content: list[dict[str, Any]]) -> None:
    [artifact] = [each for each in of_type("artifact", content) if each["type"] == "code"]
    assert "algorithms/rebel.py" in {each["path"] for each in artifact["manifest"]["contents"]}


def test_a_run_that_fails_sends_an_alert(tmp_path: Path) -> None:
    huge = ("model.learning_rate=1e30", "trainer.gradient_clip=0", "run_name=run")
    assert command("train", *OFFLINE, *huge, cwd=tmp_path, plots=False).code == 1
    [content] = records(RunFolder(tmp_path / "outputs/run"))
    [alert] = of_type("alert", content)
    assert alert["title"] == "run failed"
    assert alert["text"].startswith("NonFiniteLossError: non-finite ")
    assert alert["level"] == "ERROR"


def test_an_agent_of_a_sweep_gives_the_run_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep: Any = OmegaConf.to_container(
        OmegaConf.load(ROOT / "docs/examples/wandb_sweep.yaml"), resolve=False
    )
    assert sweep["metric"]["name"] in METRICS
    fixed = [argument for argument in sweep["command"] if "=" in argument]
    chosen = [
        f"{key}={values['values'][0] if 'values' in values else values['min']}"
        for key, values in sweep["parameters"].items()
    ]
    compose("train", [*fixed, *chosen])  # every key and group is there
    monkeypatch.setenv("WANDB_RUN_ID", "sweptrun")
    assert command("train", *OFFLINE, "iterations=1", "run_name=run", cwd=tmp_path, plots=False).code == 0
    run = RunFolder(tmp_path / "outputs/run")
    assert run.read_job()["wandb_id"] == "sweptrun"
    assert of_type("run", records(run)[0])[0]["run_id"] == "sweptrun"


def test_the_end_is_told(run: RunFolder, content: list[dict[str, Any]]) -> None:
    assert of_type("exit", content)[0]["exit_code"] == 0
    updates: dict[str, Any] = {}
    for record in of_type("summary", content):
        updates |= record.get("update", {})
    assert updates["state"] == "finished"
    assert updates["best_exploitability"] == run.read_summary()["best_exploitability"]


def test_a_stopped_run_goes_on_under_its_id(tmp_path: Path) -> None:
    at = Moment("pokerlab.selfplay.trajectories:SelfPlay.play", 4)
    assert interrupted(at, SIGTERM, *OFFLINE, "run_name=run", cwd=tmp_path) == 130
    assert command("train", "resume_from=run", cwd=tmp_path).code == 0
    first, second = records(RunFolder(tmp_path / "outputs/run"))
    assert of_type("run", first)[0]["run_id"] == of_type("run", second)[0]["run_id"]
    iterations = [
        [item["iteration"] for item in history(each) if "value_loss" in item] for each in (first, second)
    ]
    assert iterations == [[0, 1, 2], [3, 4, 5]]
    assert of_type("exit", first)[0]["exit_code"] == 0


def test_a_sweep_is_one_group_of_runs(tmp_path: Path) -> None:
    few = ("iterations=1", "evaluation.every=1")
    learning = "model.learning_rate=0.01,1e30"
    assert command("train", "-m", *OFFLINE, *few, learning, cwd=tmp_path).code == 0
    runs = [RunFolder(path) for path in (tmp_path / "outputs").glob("kuhn-*")]
    contents = [records(run)[0] for run in runs]
    told = [of_type("run", content)[0] for content in contents]
    assert {each["run_group"] for each in told} == {"kuhn"}
    assert len({each["run_id"] for each in told}) == 2
    assert {each["tags"][0] for each in told} == {runs[0].read_job()["sweep"]}
    assert sorted(of_type("exit", content)[0].get("exit_code", 0) for content in contents) == [0, 1]


def test_a_fork_has_an_id_of_its_own(run: RunFolder, tmp_path: Path) -> None:
    fork = ("run_name=fork", "iterations=7", "logger=none")
    assert command("train", f"resume_from={run.path}", *fork, cwd=tmp_path).code == 0
    forked = RunFolder(tmp_path / "outputs/fork")
    assert "wandb_id" not in forked.read_job()
    assert not (forked.path / "wandb").exists()


def test_what_cannot_be_reached_is_logged_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = wandb.init

    def refuse(*arguments: Any, mode: str, **keywords: Any) -> Any:
        if mode == "online":
            raise wandb.errors.CommError("no\nroute")
        return init(*arguments, mode=mode, **keywords)  # type: ignore[arg-type, misc]

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr("wandb.init", refuse)
    ended = command("train", *KUHN, "iterations=1", "logger=wandb", "run_name=run", cwd=tmp_path)
    assert ended.code == 0
    assert "W&B cannot be reached (no route): logs offline" in ended.out
    assert len(records(RunFolder(tmp_path / "outputs/run"))) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["logger=wandb"],
            "no W&B credentials here: sign in with `wandb login`, or use logger=wandb_offline",
        ),
        (["logger=wandbb"], "unknown logger 'wandbb': did you mean wandb"),
        (["logger=wandb", "logger.mode=on"], "logger.mode must be one of online, offline, got 'on'"),
        (["logger=wandb", "logger.project=3"], "logger.project must be text, got 3"),
        (
            ["logger=wandb", "logger.upload_checkpoint=1"],
            "logger.upload_checkpoint must be true or false, got 1",
        ),
    ],
)  # fmt: skip
def test_mistakes_end_before_anything_is_written(overrides: list[str], message: str, tmp_path: Path) -> None:
    assert refusal("train", *KUHN, *overrides, cwd=tmp_path).startswith(message)


def test_on_modal_the_key_is_a_secret(tmp_path: Path) -> None:
    message = refusal("launch", *KUHN, "launcher=modal", "logger=wandb", cwd=tmp_path)
    assert message.startswith("logger=wandb on Modal needs launcher.wandb_secret")


# The dashboard


def test_the_dashboard_shows_what_is_logged(run: RunFolder, content: list[dict[str, Any]]) -> None:
    logged = {key for item in history(content) for key in item} | run.read_metrics()[0].keys()
    view = dashboard.workspace("me", "pokerlab")
    panels = [panel for section in view.sections for panel in section.panels]
    assert {panel.x for panel in panels} == {"iteration"}
    shown = [name for panel in panels for name in panel.y]
    assert set(shown) <= logged
    assert {"exploitability", "value_loss", "policy_loss", "examples_per_second"} <= set(shown)


def test_a_dry_run_prints_the_panels(capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboard.main(["--dry-run"]) == 0
    assert "Learning: value loss (pot²; of PPO, big blinds²): value_loss\n" in capsys.readouterr().out


def test_without_a_key_nothing_is_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboard.main([]) == 2
    assert capsys.readouterr().err == "error: no W&B credentials here: sign in with `wandb login`\n"


def test_without_the_package_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(Exception, match=r"pip install 'pokerlab\[dashboard\]'"):
        dashboard.workspace("me", "pokerlab")


def test_what_evaluate_finds_stands_in_the_summary_too(run: RunFolder) -> None:
    place, before = run.path.parents[1], len(records(run))
    command("evaluate", "run=run", "search_iterations=5", "play_throughs=1", cwd=place, plots=False)
    command("evaluate", "run=run", "match.against=call", "match.hands=5", cwd=place, plots=False)
    logged = records(run)
    assert len(logged) == before + 2
    expected = json.loads(run.evaluation.read_text())
    summary: dict[str, Any] = {}
    for content in logged[before:]:
        [identity] = {record["run_id"] for record in of_type("run", content)}
        assert identity == run.read_job()["wandb_id"]
        for record in of_type("summary", content):
            summary |= record["update"]
    for policy in ("search_iteration", "search_average", "policy_net"):
        assert summary[f"evaluation/{policy}/exploitability"] == expected[policy]["exploitability"]
    assert summary["evaluation/matches/0/chips"] == expected["matches"][0]["chips"]
    assert summary["evaluation/matches/0/agents/1"] == "call"


def test_a_league_logs_its_rounds_and_pictures(tmp_path: Path) -> None:
    options = ("game=kuhn", "rounds=3", "run_dir=L", "logger=wandb_offline", "logger.save_code=false")
    ended = command("league", *options, cwd=tmp_path, plots=True)
    assert (ended.code, ended.err) == (0, "")
    [content] = records(league := RunFolder(tmp_path / "L"))
    [told] = of_type("run", content)
    assert (told["display_name"], told["run_group"], told["run_id"]) == (
        "L", "L", league.read_job()["wandb_id"],
    )  # fmt: skip
    rounds = [json.loads(line) for line in (league.path / "rounds.jsonl").read_text().splitlines()]
    *logged, last = history(content)
    assert [(item["round"], item["exploitability"]) for item in logged] == [
        (line["round"], line["exploitability"]) for line in rounds
    ]
    assert {key.split(".")[0] for key in last if key.startswith("plots")} == {
        f"plots/{name}" for name in ("exploitability", "weights", "lineage", "matrix")
    }
