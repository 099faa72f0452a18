"""From a command line to configs, and near matches for what is not there."""

import pytest

from pokerlab.config.command import check_overrides, compose
from pokerlab.errors import UserError, near


def test_compose_applies_overrides() -> None:
    config = compose("train", ["experiment=kuhn", "seed=5", "solver=cfr_plus"])
    assert (config.seed, config.solver["rule"], config.game["_target_"]) == (
        5, "cfr_plus", "pokerlab.games.kuhn.Kuhn",
    )  # fmt: skip


def test_composing_again_forgets_the_last_time() -> None:
    compose("train", ["seed=5"])
    assert compose("train", []).seed == 1
    assert not hasattr(compose("solve", []), "seed")


def test_what_must_be_given_is_asked_for() -> None:
    with pytest.raises(UserError, match="Missing mandatory value: run: give it on the command line"):
        compose("evaluate", [])


def test_an_interpolation_of_nothing_is_a_mistake() -> None:
    with pytest.raises(UserError, match="Interpolation key 'nothing' not found"):
        compose("train", ["seed=${nothing}"])


@pytest.mark.parametrize("sweep", ["-m", "--multirun"])
def test_every_job_of_a_sweep_is_checked(sweep: str) -> None:
    check_overrides("train", [sweep, "seed=1,2", "solver=cfr,dcfr"])
    with pytest.raises(UserError, match="unknown solver 'cfrx'"):
        check_overrides("train", [sweep, "seed=1,2", "solver=cfr,cfrx"])


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("ledoc", ["kuhn", "leduc"], ": did you mean leduc?"),
        ("x", ["kuhn", "leduc"], ": expected one of kuhn, leduc"),
        ("threads", ["seed", "trainer.threads"], ": did you mean trainer.threads?"),
        ("trainer.seed", ["seed", "trainer.threads"], ": did you mean trainer.threads or seed?"),
        ("x", [f"choice {n}" for n in range(17)], ""),
    ],
)
def test_near_says_what_is_close_or_all_if_that_is_little(word: str, known: list[str], said: str) -> None:
    assert near(word, known) == said
