"""Self-play, a search agent, an evaluation and learning on a pretended GPU: as on the CPU, and counted."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.agents.base import DEALT, Line
from pokerlab.agents.search import SearchAgent
from pokerlab.algorithms.rebel import ReBeLModule
from pokerlab.evaluation.held_out import HeldOutSettings, solve_held_out, value_errors
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games import showdown
from pokerlab.games.betting import CALL
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search import backends
from pokerlab.search.resolving import WAYS_TO_SEARCH
from pokerlab.search.solver import Solver
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.starts import Starts
from pokerlab.selfplay.trajectories import SelfPlay

GAME = Holdem(
    "holdem", ranks=3, suits=3, stack=30, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1, 1), jitter=0.2,
    most_deals=6,
)  # fmt: skip
"""Four streets."""
DOUBLE = torch.empty(0, dtype=torch.float64)
SOLVER = Solver("dcfr", backend="tensors")
IN_PARTS = Solver("dcfr", backend="tensors", memory_gb=1e-4)


@pytest.fixture(autouse=True)
def _products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU, too, pays by products with matrices: hands tie, and rounding would decide."""
    monkeypatch.setattr(showdown, "NUMBA", False)
    monkeypatch.setattr(backends, "NUMBA", False)


def on_both(run: Callable[[Tensor], Any]) -> Any:
    """What ``run`` finds where the given tensor is: on the CPU, and as it says on the pretended GPU."""
    expected = run(DOUBLE)
    with pretended_cuda() as cuda:
        found = run(DOUBLE.to(CUDA))
    assert cuda.operations > 0
    return found, expected


def network(like: Tensor, game: Any = GAME) -> ValueNetwork:
    torch.manual_seed(1)
    return ValueNetwork(game, 16, 2).to(like.device, torch.float64)


def play(like: Tensor, solver: Solver = SOLVER) -> dict[str, Any]:
    """Self-play from all streets."""
    starts = Starts(GAME, {"root": 0.4, "flop": 0.2, "turn": 0.2, "river": 0.2}, 0.5)
    selfplay = SelfPlay(GAME, solver, search_iterations=4, targets=2, policy_examples=2, starts=starts)
    played = selfplay.play(network(like), 20, random_stream(1), like)
    return {"values": played.values, "policies": played.policies, **played.starts}


@pytest.mark.parametrize("solver", [SOLVER, IN_PARTS])
def test_self_play_leaves_the_same_examples(solver: Solver) -> None:
    """Whether a frontier is solved at once or in parts."""
    found, expected = on_both(partial(play, solver=solver))
    assert len(expected["values"]) > 20
    assert len(expected["policies"]) > 20
    assert any(len(expected[name]) for name in expected if name.endswith("starts"))
    for name, examples in expected.items():
        for column, values in examples.columns().items():
            ours = found[name].columns()[column]
            assert ours.device.type == "cpu"
            torch.testing.assert_close(ours, values, rtol=0, atol=1e-5, msg=f"{name} {column}")


def line_to(street: int) -> Line[Any]:
    """Checks and calls to a street."""
    line: Line[Any] = Line((GAME.root(),))
    for _ in range(street):
        for _ in range(2):
            line = line.after(CALL, GAME.next_state(line.state, CALL))
        line = line.after(DEALT, GAME.chance_outcomes(line.state)[0])
    return line


@pytest.mark.parametrize("way", WAYS_TO_SEARCH)
def test_a_search_agent_decides_the_same_on_every_street(way: str) -> None:
    def decide(like: Tensor) -> Tensor:
        agent = SearchAgent(GAME, SOLVER, network(like), iterations=4, way=way, like=like)
        actors = [(line, GAME.actor(line.state)) for line in map(line_to, range(4))]
        return torch.cat([agent.sit_down(player, 1).strategies([line]).cpu() for line, player in actors])

    found, expected = on_both(decide)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert (expected.amax(1) - 0.5).abs().amax() > 0.1


def test_evaluations_find_the_same() -> None:
    leduc = Leduc("before_deal")

    def evaluate(like: Tensor) -> list[Tensor]:
        whole, draws = WholeGame(leduc), torch.Generator().manual_seed(1)
        values = network(like, leduc)
        options: dict[str, Any] = {"iterations": 3, "play_throughs": 2, "generator": draws, "like": like}
        policy = search_policy(whole, SOLVER, values, **options)
        held = solve_held_out(GAME, HeldOutSettings((2, 2), 8), like)
        errors = value_errors(GAME, network(like), held, like)
        return [
            whole.exploitability(policy).exploitability,
            held.examples.values,
            *map(Tensor, [[*errors.values()]]),
        ]

    found, expected = on_both(evaluate)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_training_step_goes_the_same_way() -> None:
    batch = {name: of for name, of in play(DOUBLE).items() if name in ("values", "policies")}

    def learn(like: Tensor) -> list[Tensor]:
        torch.manual_seed(1)
        module = ReBeLModule(ValueNetwork(GAME, 16, 2), PolicyNetwork(GAME, 16, 2), iterations=1).to(
            like.device
        )
        given: Batch = {name: examples.to(like.device) for name, examples in batch.items()}
        optimizer = module.configure_optimizers()["optimizer"]
        module.training_step(given, 0).backward()
        optimizer.step()
        return [parameter.detach().cpu() for parameter in module.parameters()]

    found, expected = on_both(learn)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
