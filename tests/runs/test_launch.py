"""Submitting a run: here it goes on alone, on Modal it needs credentials."""

import json
import os
import re
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import modal
import pytest

from pokerlab.config.command import compose
from pokerlab.config.machine import count_ranks
from pokerlab.errors import UserError
from pokerlab.jobs import command as jobs
from pokerlab.jobs import modal_client
from pokerlab.jobs.code_version import code_version
from pokerlab.store.folder import RunFolder
from pokerlab.training.cost import idle_gpu, price_per_hour
from runs.fake_modal import FakeModal
from runs.harness import KUHN, ROOT, Alone, Ended, command, contents, refusal

ON_MODAL = (*KUHN, "launcher=modal")


def launch(*arguments: str, cwd: Path, output: Path) -> Ended:
    return Alone(str(ROOT / "launch_modal.py"), *arguments, cwd=cwd, output=output).end()


def test_a_run_launched_here_goes_on_alone_and_finishes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    output = tmp_path_factory.mktemp("printed")
    launched = launch(*KUHN, "updates=100", "launcher=local", "run_name=run", cwd=tmp_path, output=output)
    run = RunFolder(tmp_path / "outputs/run")
    job = run.read_job()
    pid = job["pid"]
    assert os.getsid(pid) == os.getpgid(pid) == pid  # a terminal that closes does not take it along
    assert job["state"] in ("submitted", "running")
    assert (job["experiment"], job["launcher"], job["call_id"]) == ("kuhn", "local", None)
    assert job["host"] == os.uname().nodename
    assert (launched.code, launched.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in launched.out.splitlines()]
    assert [word for word, _ in lines] == ["run", "follow", "status", "stop", "resume", "results"]
    told = dict(lines)
    assert told["run"] == f"run (process {pid})"
    assert told["follow"] == "python -m pokerlab.jobs logs run --follow"
    assert told["results"] == "outputs/run"
    until = time.monotonic() + 100
    while run.read_job()["state"] != "finished" or not (run.plots / "exploitability_seconds.png").exists():
        assert time.monotonic() < until, run.output.read_text()
        time.sleep(0.05)
    assert run.read_job() == job | {"state": "finished", "reason": None}
    assert json.loads(run.summary.read_text())["latest_iteration"] == 5
    assert "iteration 6" in run.output.read_text()


def test_without_credentials_both_remedies_are_named(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modal.toml").touch()
    for name in [each for each in os.environ if each.startswith("MODAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "modal.toml"))
    before = contents(tmp_path)
    refused = launch(*ON_MODAL, cwd=tmp_path, output=tmp_path_factory.mktemp("printed"))
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: no Modal credentials here: sign in with `modal token new`, "
        "or run on this machine with launcher=local\n"
    )
    assert contents(tmp_path) == before


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeModal:
    return FakeModal(monkeypatch, tmp_path / "volume")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_phase1_is_deployed_and_spawned(server: FakeModal, here: Path) -> None:
    ended = command("launch", "experiment=phase1", "run_name=big", cwd=here)
    assert (ended.code, ended.err) == (0, "")
    assert contents(here) == {}
    retries = server.options.pop("retries")
    assert (retries.max_retries, retries.initial_delay) == (10, timedelta(0))
    assert server.options == {"gpu": "H100:1", "cpu": 8.0, "memory": 32768, "timeout": 86400, "secrets": []}
    [(config, job)] = server.spawned
    assert json.loads(json.dumps(config)) == config  # plain values only
    assert (config["run_name"], config["trainer"]["accelerator"]) == ("big", "cuda")
    expected = {"experiment": "phase1", "launcher": "modal", "state": "submitted"}
    assert {key: job[key] for key in expected} == expected
    record = RunFolder(server.runs / "big").read_job()
    assert record == job | {"call_id": "fc-1"}
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert [word for word, _ in lines] == ["run", "follow", "status", "stop", "resume", "fetch"]
    assert price_per_hour(compose("train", ["experiment=phase1"]).launcher) == pytest.approx(4.58, abs=0.01)
    assert dict(lines)["run"] == "big (call fc-1, about 4.58 USD an hour, 100.00 at most)"
    assert dict(lines)["fetch"] == "python -m pokerlab.jobs pull big"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            ["trainer=gpu", "workers=2"],
            "workers=2 have nothing to play: beside a GPU, which plays the rest, they play what starts "
            "on the last street (selfplay.starts)",
        ),
        (["workers=0"], "trainer.accelerator=cpu leaves the A10 idle that is paid for: add trainer=gpu"),
    ],
)
def test_a_gpu_that_would_wait_is_told_of(
    server: FakeModal, here: Path, overrides: list[str], says: str
) -> None:
    ended = command("launch", *ON_MODAL, *overrides, "launcher.max_hours=2", cwd=here)
    note, run, *_ = ended.out.splitlines()
    assert note == f"note     {says}"
    assert run.endswith("about 1.73 USD an hour, 3.47 at most)")


def test_a_sweep_is_deployed_once_and_each_run_is_spawned(server: FakeModal, here: Path) -> None:
    assert command("launch", "-m", *ON_MODAL, "seed=1,2", cwd=here).code == 0
    assert [config["seed"] for config, _ in server.spawned] == [1, 2]
    jobs = [job for _, job in server.spawned]
    assert len({job["submission"] for job in jobs}) == 2
    assert len({job["sweep"] for job in jobs}) == 1
    assert [job["overrides"][-1] for job in jobs] == ["seed=1", "seed=2"]
    assert server.called == 2 * server.apps


def test_the_secret_of_wandb_goes_along(server: FakeModal, here: Path) -> None:
    assert command("launch", *ON_MODAL, "launcher.wandb_secret=my-key", cwd=here).code == 0
    [secret] = server.options["secrets"]
    assert isinstance(secret, modal.Secret)


def test_a_name_that_is_on_the_volume_is_refused(server: FakeModal, here: Path) -> None:
    assert command("launch", *ON_MODAL, "run_name=run", cwd=here).code == 0
    assert refusal("launch", *ON_MODAL, "run_name=run", cwd=here) == (
        "a run 'run' is on the Volume already: give another run_name, or continue it with resume_from=run"
    )
    assert len(server.spawned) == 1


def test_of_two_that_submit_a_name_at_once_one_gets_it(
    server: FakeModal, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = server.spawn

    def spawn_late(*arguments: Any) -> Any:
        RunFolder(server.runs / "run").claim()
        return spawn(*arguments)

    monkeypatch.setattr(server, "spawn", spawn_late)
    refused = refusal("launch", *ON_MODAL, "run_name=run", cwd=here)
    assert refused.startswith("a run 'run' was just submitted by somebody else")
    assert server.cancelled == [("fc-1", True)]


def test_a_run_on_modal_goes_on_with_its_own_config(server: FakeModal, here: Path) -> None:
    gpu = ("launcher.gpu=H100", "launcher.gpu_count=2")
    assert command("launch", *ON_MODAL, *gpu, "run_name=run", "iterations=2", cwd=here).code == 0
    again = ("resume_from=run", "launcher=modal", "iterations=6")
    assert refusal("launch", *again, cwd=here) == "run is running as call fc-1: stop that first"
    server.run()
    assert refusal("launch", *again, "seed=2", cwd=here).startswith("seed=2 would change the run ")
    assert refusal("launch", *again, "experiment=leduc", cwd=here).endswith(
        "is a run of experiment=kuhn, not leduc"
    )
    assert refusal("launch", *again, "resume_from=walk", cwd=here).startswith("no run 'walk'")
    for iterations in ("1", "2"):
        assert refusal("launch", *again, f"iterations={iterations}", cwd=here) == (
            "run has done 2 iterations: give more, as in iterations=4"
        )
    assert command("launch", *again, cwd=here).code == 0
    assert server.options["gpu"] == "H100:2"
    config, job = server.spawned[-1]
    assert (config["iterations"], config["trajectories"]) == (6, 20)
    assert job["overrides"][-1] == "iterations=2"
    assert server.run() == "finished"
    run = RunFolder(server.runs / "run")
    assert [line["iteration"] for line in run.read_metrics()] == list(range(6))
    assert run.read_job()["attempts"] == 1


def test_a_run_that_cannot_be_noted_is_cancelled(
    server: FakeModal, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UserError("no room")

    monkeypatch.setattr("pokerlab.jobs.modal_client.ModalRuns.write", fail)
    assert refusal("launch", *ON_MODAL, cwd=here) == (
        "the run could not be noted, and call fc-1 is cancelled: no room"
    )
    assert server.cancelled == [("fc-1", True)]


def test_other_code_is_another_app_and_a_run_says_which_it_runs(
    server: FakeModal, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("launch", *ON_MODAL, "run_name=run", "iterations=2", cwd=here).code == 0
    server.run()
    monkeypatch.setattr("pokerlab.jobs.code_version.code_version", lambda: "0.2.0+other")
    monkeypatch.setattr("pokerlab.jobs.modal_client.code_version", lambda: "0.2.0+other")
    modal_client.deploy.cache_clear()  # another process
    ended = command("launch", "resume_from=run", "launcher=modal", "iterations=6", cwd=here)
    first = code_version()
    note = f"note     run goes on with other code, 0.2.0+other: it was trained by {first}"
    assert ended.out.splitlines()[0] == note
    assert server.called == [f"pokerlab-{first.partition('+')[2]}", "pokerlab-other"]
    assert [job["code"] for _, job in server.spawned] == [first, "0.2.0+other"]
    assert jobs.main(["status", "run"]) == 0
    assert re.search(r"^code +0\.2\.0\+other", capsys.readouterr().out, re.MULTILINE)


def test_the_version_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pokerlab/jobs", "conf/game"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "constraints.txt").write_text("torch==2\n")
    (tmp_path / "conf/game/kuhn.yaml").write_text("a: 1\n")
    (tmp_path / "pokerlab/jobs/show.py").write_text("1\n")
    monkeypatch.setattr("pokerlab.jobs.code_version.shipped_path", lambda name: tmp_path / name)
    seen = [code_version.__wrapped__()]
    (tmp_path / "pokerlab/jobs/notes.txt").touch()
    assert code_version.__wrapped__() == seen[0]  # is not sent
    for name, content in (
        ("constraints.txt", "torch==3\n"), ("conf/game/kuhn.yaml", "a: 2\n"), ("pokerlab/show.py", "1\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(content)
        seen.append(code_version.__wrapped__())
    assert len(set(seen)) == 4
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{10}", each) for each in seen)


def test_modals_own_prices_count_where_they_can_be_understood(server: FakeModal, here: Path) -> None:
    limit = "launcher.max_hours=2"
    server.rates = {
        "gpu_a10": "1.25",  # an hour
        "cpu_core": "0.00001",  # a second
        "memory": "7",  # of nothing that we know
        "gpu_h100": "0.001",
    }
    price = 1.25 + 8 * 0.036 + 32 * 0.008
    ended = command("launch", *ON_MODAL, limit, cwd=here)
    assert f"about {price:.2f} USD an hour, {2 * price:.2f} at most" in ended.out
    config, _ = server.spawned[-1]
    assert config["launcher"]["prices"]["gpu"]["H100!"] == pytest.approx(3.6)
    assert config["launcher"]["prices"]["gpu"]["T4"] == 0.59
    ended = command("launch", *ON_MODAL, limit, "launcher.prices.gpu.A10=2", "run_name=own", cwd=here)
    assert f"about {2 + 8 * 0.0472 + 32 * 0.008:.2f} USD an hour" in ended.out


def test_a_rejected_token_is_not_a_missing_one(
    server: FakeModal, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.error = modal.exception.AuthError("Token ID not found")
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-1")
    assert refusal("launch", *ON_MODAL, cwd=here) == (
        "Modal rejects this token: make another with `modal token new` (Token ID not found)"
    )


def test_a_server_that_does_not_answer_is_said_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-1")
    monkeypatch.setattr(modal_client, "getproxies", dict)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))  # and nobody listens
        port = listening.getsockname()[1]
        monkeypatch.setenv("MODAL_SERVER_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(UserError, match=r"^Modal cannot be reached: 127\.0\.0\.1: Connection refused$"):
            modal_client.ModalRuns()
        assert modal_client.is_pending("fc-1") is None
        listening.listen()
        modal_client.check_reachable()


@pytest.mark.parametrize(
    "error", [modal.exception.ConnectionError("no\nroute"), modal.exception.InvalidError("no\nroute")]
)
def test_what_modal_says_is_one_line(error: Exception, server: FakeModal, here: Path) -> None:
    server.error = error
    assert refusal("launch", *ON_MODAL, cwd=here).endswith(": no route")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("launcher.time_limit=86401", "launcher.time_limit may be at most 86400, got 86401"),
        ("launcher.retries=11", "launcher.retries may be at most 10, got 11"),
        ("launcher.retries=-1", "launcher.retries must be an integer of at least 0, got -1"),
        ("launcher.time_limit=day", "launcher.time_limit must be an integer of at least 1, got 'day'"),
        ("run_dir=there",
         "run_dir does not apply on Modal, where a run's folder is /runs/<run_name>: leave it out"),
        ("launcher.gpu=V100", "launcher.gpu 'V100' is not on Modal: expected one of A10, A10G, T4, L4, L40S, "
         "A100, A100-40GB, A100-80GB, RTX-PRO-6000, H100, H100!, H200, B200, B200+"),
        ("launcher.gpu_count=5", "launcher.gpu_count may be at most 4, got 5"),
        ("launcher.gpu_count=0", "launcher.gpu_count must be an integer of at least 1, got 0"),
        ("launcher.max_hours=-1", "launcher.max_hours must be null or a number above 0, got -1"),
        ("launcher.max_cost_usd=much", "launcher.max_cost_usd must be null or a number above 0, got 'much'"),
        ("launcher.prices.gpu.A10=free",
         "launcher.prices.gpu.A10 must be a number of at least 0, got 'free'"),
        ("iterations=0", "iterations must be an integer of at least 1, got 0"),
        ("launcher.name=aws", "launcher.name must be one of local, modal, slurm, got 'aws'"),
    ],
)  # fmt: skip
def test_what_modal_would_not_take_is_not_sent(
    override: str, expected: str, server: FakeModal, here: Path
) -> None:
    assert refusal("launch", *ON_MODAL, override, cwd=here) == expected
    assert server.spawned == []


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("resume_from=nothing", "no run 'nothing' here"),
        ("launcher.max_cost_usd=1", "launcher.max_cost_usd needs a price: set launcher.price_per_hour"),
        ("run_dir=/dev/null/run", "cannot write run_dir /dev/null/run: Not a directory"),
        ("trainer.accelerator=abacus", "trainer.accelerator='abacus' is not available here: "),
    ],
)
def test_what_cannot_run_here_is_not_launched(override: str, expected: str, tmp_path: Path) -> None:
    assert refusal("launch", *KUHN, "launcher=local", override, cwd=tmp_path).startswith(expected)


@pytest.mark.parametrize(
    ("given", "ranks"),
    [
        (["launcher=modal", "launcher.gpu_count=2"], 2),
        (["launcher=modal", "launcher.gpu_count=4", "trainer.devices=2"], 2),
        (["launcher=slurm", "launcher.gpus=4"], 4),
        (["launcher=slurm", "launcher.gpus=4", "trainer=cpu"], 1),
        (["launcher=slurm", "launcher.gpus=4", "trainer.devices=2"], 2),
        (["launcher=local"], 1),
    ],
)
def test_all_gpus_that_are_paid_for_are_ranks(given: list[str], ranks: int) -> None:
    config = compose("train", ["experiment=kuhn", "trainer=gpu", *given])
    assert count_ranks(config) == ranks
    idle = [note for note in idle_gpu(config) if "GPUs idle" in note]
    some = "trainer.devices=2 leaves 2 of 4 GPUs idle that are paid for"
    assert idle == ([some] if "devices" in given[-1] else [])


def test_more_ranks_than_gpus_are_refused(here: Path) -> None:
    given = ("trainer=gpu", "trainer.devices=2", "batch_size=16")
    assert refusal("launch", *ON_MODAL, *given, cwd=here) == "trainer.devices=2, but launcher.gpu_count=1"
