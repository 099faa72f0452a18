"""Networks that know cards, asked in kernels for a GPU, which numba's simulator runs here."""

import pytest
import torch
from test_kernel_network import GAME, features, possible, random_beliefs
from torch import Tensor

from benchmarks.gpu_forests import random_beliefs as random_roots
from benchmarks.gpu_forests import state_on
from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.games.holdem import Holdem
from pokerlab.learning.fused_query import FusedQuery
from pokerlab.learning.kernel_layer import KernelLayer
from pokerlab.learning.kernel_network import KernelValueNetwork
from pokerlab.learning.kernel_products import ProductQuery
from pokerlab.learning.kernel_query import ReachQueryOfKinds
from pokerlab.search.cfr import CFR
from pokerlab.search.leaves import BOTH
from pokerlab.search.rules import RULES
from pokerlab.search.subgames import Subgames

SMALL = Holdem("s", ranks=4, suits=3, deals=(0, 2, 1), pot=0, stack=1000, bets=[[1]], most_raises=1)
BOARDS: list[tuple[int, ...]] = [(0, 4), (3, 7), (0, 4), (1, 5)]
FIRST, SECOND = slice(0, 1), slice(1, 2)


def queries(dtype: torch.dtype, potentials: int) -> tuple[ProductQuery, FusedQuery]:
    torch.manual_seed(0)
    layer = KernelLayer(torch.as_tensor(GAME.deck.hands), 5, potentials, rank=4, hidden=16).to(dtype)
    here = possible(BOARDS).to(dtype).to(CUDA)
    inputs = GAME.prepare_hand_inputs(features(boards=BOARDS).to(CUDA), here, again=True)
    stacks = torch.linspace(0.1, 5, len(BOARDS)).to(dtype).to(CUDA)
    layer = layer.to(CUDA)
    return ProductQuery(layer, inputs, stacks), FusedQuery(layer, inputs, stacks)


def beliefs(seed: int, dtype: torch.dtype) -> Tensor:
    return random_beliefs(seed, len(BOARDS)).to(dtype).transpose(0, 1).contiguous()


@pytest.mark.parametrize("potentials", [1, 3])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-13), (torch.float32, 3e-6)])
def test_kernels_find_what_products_find(potentials: int, dtype: torch.dtype, most: float) -> None:
    with pretended_cuda(kernels=True):
        products, kernels = queries(dtype, potentials)
        for seed, players in enumerate((FIRST, SECOND, BOTH)):
            given = beliefs(seed, dtype)
            if seed == 1:  # in nothing that is possible
                given[0, 1] = 1 - possible(BOARDS)[1].to(dtype)
            expected, found = (query.of_players(given.to(CUDA), players) for query in (products, kernels))
            torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=0, atol=most)


def test_reach_gives_counterfactual_values() -> None:
    """Of one player's changed reach, too; where nobody comes, what was believed stays."""
    own, pots = beliefs(0, torch.float64) * 3, torch.tensor([1.0, 20, 300, 4]).double()
    mass = GAME.mass_operator(own)
    with pretended_cuda(kernels=True):
        products, kernels = queries(torch.float64, 3)
        here = possible(BOARDS).double()
        believed = own * here
        kernels.hold(believed.to(CUDA))
        for number, (changed, players) in enumerate(
            [(BOTH, FIRST), (FIRST, SECOND), (SECOND, FIRST), (BOTH, BOTH)], 1
        ):
            own[changed] = beliefs(number, torch.float64)[changed] * here
            if number == 2:
                own[0, 2] = 0
            believed = torch.where(own.sum(2, keepdim=True) > 0, own, believed)
            values = products.of_players(believed.to(CUDA), players).cpu()
            expected = values * mass(own.flip(0))[players] * pots[:, None]
            given = torch.full_like(own, float("nan"))
            given[changed] = own[changed]  # the rest is not read
            found = kernels.of_reach(given.flip(0).to(CUDA), players, changed, pots.to(CUDA))
            torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("alternating", [True, False])
def test_a_search_finds_the_same_by_kernels(alternating: bool) -> None:
    """On two streets at once, whose leaves are of two kinds; with captured iterations."""
    torch.manual_seed(0)
    network = KernelValueNetwork(SMALL, 16, bins=8, early_bins=5, potentials=3, rank=4)
    found = []
    for kernels in (False, True):
        with pretended_cuda(kernels=kernels), torch.no_grad():
            states = [state_on(SMALL, street, 3, 1) for street in (0, 1)]
            forest = Subgames(SMALL).forest(states, torch.empty(0, device=CUDA))
            start = torch.rand(forest.edge_shape, generator=torch.Generator().manual_seed(0))
            start *= forest.legal.cpu()
            cfr = CFR(
                forest,
                random_roots(forest, 1),
                RULES["dcfr"],
                alternating=alternating,
                leaf_evaluator=network.to(CUDA),
            )
            assert isinstance(cfr._evaluate_leaves, ReachQueryOfKinds) == kernels
            cfr.warm_start((start / start.sum(0)).to(CUDA), pots=1)  # else rounding decides
            cfr.run(2)
            found.append((cfr.root_values().cpu(), cfr.average_strategy().cpu()))
        network = network.cpu()
    for of_kernels, of_tensors in zip(*found, strict=True):
        torch.testing.assert_close(of_kernels, of_tensors, rtol=0, atol=1e-4)
