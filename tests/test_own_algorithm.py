"""The example of docs/examples: an algorithm of one's own trains, resumes, is evaluated and plays a match."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
from runs.harness import ROOT, command, metrics, refusal

from pokerlab.store.folder import RunFolder

EXAMPLES = ROOT / "docs" / "examples"
OWN = f"--config-dir={EXAMPLES}"
TINY = (
    OWN, "experiment=kuhn", "algorithm=imitation", "trajectories=50", "updates=20",
    "batch_size=64", "evaluation.every=2", "commit_every=1", "model.policy_network.hidden=32",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    sys.modules.pop("imitation", None)


def test_it_trains_resumes_to_the_same_numbers_is_evaluated_and_plays(tmp_path: Path) -> None:
    for name in ("straight", "resumed"):
        early = ["checkpoint_every=3"] if name == "resumed" else []
        ended = command("train", *TINY, *early, "iterations=6", f"run_name={name}", cwd=tmp_path)
        assert (ended.code, ended.err) == (0, ""), ended
    straight, resumed = (RunFolder(tmp_path / "outputs" / name) for name in ("straight", "resumed"))
    assert command("train", OWN, "resume_from=3", "run_name=resumed", cwd=tmp_path, plots=False).code == 0
    first, second = metrics(straight), metrics(resumed)
    assert [line["iteration"] for line in second] == list(range(6))
    for name in ("policy_loss", "exploitability", "learning_rate", "examples"):
        assert [line[name] for line in second] == [line[name] for line in first]
    assert first[-1]["exploitability"] < 0.02 < first[0]["policy_loss"]
    assert first[-1]["exploitability"] == first[-1]["exploitability_policy_net"]
    assert {line["value_loss"] for line in first} == {line["search_iterations"] for line in first} == {None}

    ended = command("evaluate", OWN, "run=straight", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(straight.evaluation.read_text())
    assert found["policy_net"]["exploitability"] == pytest.approx(first[-1]["exploitability"], rel=1e-6)
    match = ("match.against=equilibrium", "match.hands=50")
    assert command("evaluate", OWN, "run=straight", *match, cwd=tmp_path, plots=False).code == 0
    assert abs(json.loads(straight.evaluation.read_text())["matches"][0]["exact"]) < 0.01
    message = refusal("evaluate", OWN, "run=straight", *match, "match.play=search_average", cwd=tmp_path)
    assert message == "match.play=search_average: Imitation plays policy_net, not search_average"


LACKING = {
    **{name: ([f"def {name}(", f"self.{name} = "], "algorithm Imitation lacks") for name in (
        "actor", "module", "streams", "agents")},
    "generate": (["def generate("], "actor Teacher lacks"),
    "networks": (["def networks("], "module Student lacks"),
}  # fmt: skip


@pytest.mark.parametrize("lacking", LACKING)
def test_one_that_lacks_a_method_is_refused_by_its_name(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, said = LACKING[lacking]
    text = (EXAMPLES / "imitation.py").read_text()
    for before in places:
        text = text.replace(before, before.replace(lacking, f"no_{lacking}"))
    (tmp_path / "half" / "algorithm").mkdir(parents=True)
    (tmp_path / "half" / "half.py").write_text(text)
    shown = (EXAMPLES / "algorithm" / "imitation.yaml").read_text().replace("imitation.", "half.")
    (tmp_path / "half" / "algorithm" / "half.yaml").write_text(shown)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    options = (f"--config-dir={tmp_path / 'half'}", "experiment=kuhn", "algorithm=half")
    try:
        message = refusal("train", *options, cwd=tmp_path)
    finally:
        sys.modules.pop("half", None)
    assert message == f"{said} {lacking} (docs/new-algorithm.md)"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "NoneType is not a LightningModule"),
        (
            lightning.LightningModule(),
            "LightningModule lacks training_step, configure_optimizers, networks",
        ),
    ],
)
def test_what_learns_is_a_lightning_module_with_networks(
    made: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import imitation

    monkeypatch.setattr(imitation, "Student", lambda *_, **__: made)
    assert refusal("train", *TINY, cwd=tmp_path) == f"module {said} (docs/new-algorithm.md)"
