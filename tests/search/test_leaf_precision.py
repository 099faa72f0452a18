"""The leaf network's matrix products in less than float32: only there, only if asked for."""

import re

import pytest
import torch
from belief_states import random_beliefs
from solvers import EITHER_SOLVER, Start
from torch import Tensor

from pokerlab.games.leduc import Leduc
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import multiply_in
from pokerlab.search.rules import RULES
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree

GAME = Leduc("before_deal")


def value_network(dtype: torch.dtype = torch.float32) -> ValueNetwork:
    torch.manual_seed(3)
    return ValueNetwork(GAME, hidden=64, layers=3).to(dtype)


def root_values(search: Start, precision: str, dtype: torch.dtype) -> Tensor:
    forest = Forest(GAME, [build_tree(GAME, GAME.root(), depth_limited=True)], dtype=dtype)
    belief = torch.as_tensor(random_beliefs(GAME, GAME.root(), seed=1))[:, None].to(dtype)
    network = value_network(dtype)
    cfr = search(
        forest, belief, RULES["dcfr"], alternating=True, leaf_evaluator=network, leaf_precision=precision
    )
    return cfr.run(3).root_values()


@EITHER_SOLVER
def test_values_are_off_by_bfloat16_and_by_nothing_in_float32(search: Start) -> None:
    exact = root_values(search, "float32", torch.float64)
    single, tf32, rounded = (
        root_values(search, precision, torch.float32) for precision in ("float32", "tf32", "bfloat16")
    )
    assert (single - exact).abs().max() < 1e-5
    torch.testing.assert_close(tf32, single, rtol=0, atol=0)  # there is none on a CPU
    assert 1e-4 < (rounded - exact).abs().max() < 0.1
    torch.testing.assert_close(root_values(search, "bfloat16", torch.float64), exact, rtol=0, atol=0)


def test_sums_over_hands_keep_all_digits() -> None:
    """The shift to zero-sum values, after products in bfloat16."""
    ask = value_network().at(torch.rand(4, GAME.num_features), torch.ones(4, GAME.num_hands))
    beliefs = torch.rand(2, 4, GAME.num_hands)
    beliefs /= beliefs.sum(-1, keepdim=True)
    with multiply_in("bfloat16", beliefs.device):
        values = ask(beliefs)
    assert values.dtype == torch.float32
    assert values.abs().mean() > 0.01
    joint = beliefs * GAME.mass_operator(beliefs)(beliefs.flip(0))
    assert (joint * values).sum((0, 2)).abs().max() < 1e-7


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize(("precision", "name"), [("tf32", "high"), ("float32", "highest")])
def test_on_a_gpu_the_precision_is_set_and_put_back(precision: str, name: str) -> None:
    for outside in ("high", "highest"):
        torch.set_float32_matmul_precision(outside)
        try:
            with multiply_in(precision, torch.device("cuda")):
                assert torch.get_float32_matmul_precision() == name
            assert torch.get_float32_matmul_precision() == outside
        finally:
            torch.set_float32_matmul_precision("highest")


def test_other_precisions_are_refused() -> None:
    message = "leaf_precision must be one of float32, tf32, bfloat16, got 'half'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Solver(leaf_precision="half")
    with pytest.raises(ValueError, match=r"^cuda_graph must be true or false, got 1$"):
        Solver(cuda_graph=1)  # type: ignore[arg-type]
