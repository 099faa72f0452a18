"""Networks that know cards, asked in kernels for a GPU, which numba's simulator runs here."""

import numpy as np
import pytest
import torch
from test_kernel_network import GAME, features, possible, random_beliefs
from torch import Tensor

from benchmarks.gpu_forests import random_beliefs as random_roots
from benchmarks.gpu_forests import state_on
from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.games.holdem import Holdem
from pokerlab.learning import query_kernels
from pokerlab.learning.fused_query import FusedHistogramQuery, FusedQuery
from pokerlab.learning.kernel_layer import HistogramLayer, KernelLayer
from pokerlab.learning.kernel_network import KernelValueNetwork
from pokerlab.learning.kernel_products import ProductQuery, Query
from pokerlab.learning.kernel_query import HistogramQuery, ReachQueryOfKinds, prepare_query
from pokerlab.learning.query_kernels import Sizes, fit
from pokerlab.loops import warn_once
from pokerlab.search.cfr import CFR
from pokerlab.search.leaves import BOTH
from pokerlab.search.rules import RULES
from pokerlab.search.subgames import Subgames

SMALL = Holdem("s", ranks=4, suits=3, deals=(0, 2, 1), pot=0, stack=1000, bets=[[1]], most_raises=1)
BOARDS: list[tuple[int, ...]] = [(0, 4), (3, 7), (0, 4), (1, 5)]
FIRST, SECOND = slice(0, 1), slice(1, 2)


def queries(dtype: torch.dtype, potentials: int, later: int = 0) -> tuple[Query, FusedQuery]:
    """By tensor operations, and in kernels."""
    torch.manual_seed(0)
    hands, here = torch.as_tensor(GAME.deck.hands), possible(BOARDS).to(dtype).to(CUDA)
    inputs = GAME.prepare_hand_inputs(features(boards=BOARDS).to(CUDA), here, again=True)
    stacks = torch.linspace(0.1, 5, len(BOARDS)).to(dtype).to(CUDA)
    if not later:
        layer = KernelLayer(hands, 5, potentials, rank=4, hidden=16).to(dtype).to(CUDA)
        return ProductQuery(layer, inputs, stacks), FusedQuery(layer, inputs, stacks)
    told = HistogramLayer(hands, 5, potentials, 6, 16, later).to(dtype).to(CUDA)  # not a multiple of AT_ONCE
    shares = GAME.spread_on_complete_boards(features(boards=BOARDS), here, later)
    by_board = shares[inputs.rows[:, 0]]
    return (
        HistogramQuery(told, inputs, stacks, lambda _, here: shares[here]),
        FusedHistogramQuery(told, inputs, stacks, by_board),
    )


def beliefs(seed: int, dtype: torch.dtype) -> Tensor:
    return random_beliefs(seed, len(BOARDS)).to(dtype).transpose(0, 1).contiguous()


@pytest.mark.parametrize("later", [0, 5])
@pytest.mark.parametrize("potentials", [1, 3])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-13), (torch.float32, 3e-6)])
def test_kernels_find_what_products_find(
    later: int, potentials: int, dtype: torch.dtype, most: float
) -> None:
    with pretended_cuda(kernels=True):
        products, kernels = queries(dtype, potentials, later)
        for seed, players in enumerate((FIRST, SECOND, BOTH)):
            given = beliefs(seed, dtype)
            if seed == 1:  # in nothing that is possible
                given[0, 1] = 1 - possible(BOARDS)[1].to(dtype)
            expected, found = (query.of_players(given.to(CUDA), players) for query in (products, kernels))
            torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=0, atol=most)


@pytest.mark.parametrize("later", [0, 5])
def test_reach_gives_counterfactual_values(later: int) -> None:
    """Of one player's changed reach, too; where nobody comes, what was believed stays."""
    own, pots = beliefs(0, torch.float64) * 3, torch.tensor([1.0, 20, 300, 4]).double()
    mass = GAME.mass_operator(own)
    with pretended_cuda(kernels=True):
        products, kernels = queries(torch.float64, 3, later)
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


def test_beliefs_do_not_depend_on_how_many_come() -> None:
    """One's own counterfactual values at leaves that oneself hardly comes to, either."""
    reach, pots = (beliefs(0, torch.float32) * possible(BOARDS).float()).flip(0), torch.ones(len(BOARDS))
    with pretended_cuda(kernels=True):
        _, kernels = queries(torch.float32, 3)
        scales, found = (1, 1e-25, 1e-34, 1e-37), []
        for scale in scales:
            few = torch.stack([reach[0], reach[1] * scale])  # of player 0's hands
            found.append(kernels.of_reach(few.to(CUDA), BOTH, BOTH, pots.to(CUDA)).cpu())
    for scale, values in zip(scales, found, strict=True):
        torch.testing.assert_close(values[0], found[0][0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(values[1] / scale, found[0][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("alternating", "later_bins"), [(True, 0), (False, 0), (True, 4)])
def test_a_search_finds_the_same_by_kernels(alternating: bool, later_bins: int) -> None:
    """On two streets at once, whose leaves are of two kinds; with captured iterations."""
    torch.manual_seed(0)
    network = KernelValueNetwork(SMALL, 16, bins=8, early_bins=5, potentials=3, rank=4, later_bins=later_bins)
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


@pytest.mark.parametrize("kernels", [False, True])
def test_a_graph_of_iterations_reads_no_memory_of_the_host(
    kernels: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What is sent is gone when a graph is replayed; leaves after a deal send their boards."""
    warn_once.cache_clear()
    game = Holdem(
        "s", ranks=4, suits=2, deals=(0, 2, 1, 1), pot=0, stack=1000, bets=[[1]], most_raises=1,
        leaves="after_deal" if kernels else "before_deal",
    )  # fmt: skip
    network = KernelValueNetwork(game, 16, bins=4, early_bins=3, potentials=2, rank=1, later_bins=2)
    graphs = []
    with pretended_cuda(kernels=kernels), torch.no_grad():
        for street in (0, 1):  # the deal after the first is one of two cards
            forest = Subgames(game).forest([state_on(game, street, 1, 1)], torch.empty(0, device=CUDA))
            roots, leaves = random_roots(forest, 1), network.to(CUDA)
            cfr = CFR(forest, roots, RULES["dcfr"], alternating=False, leaf_evaluator=leaves).run(2)
            graphs.append(cfr._backend._graph is not None)  # type: ignore[attr-defined]
    assert graphs == [True, not kernels]
    assert ("take longer: values are sent to the GPU at every query" in caplog.text) == kernels


def test_shared_memory_holds_sizes_that_are_usual() -> None:
    """48 KB a block; with 32 x 4 bins of two cards each, sums by card alone take 27."""
    shapes = {(16, 4, 8): True, (32, 1, 8): True, (32, 4, 8): False, (16, 8, 8): False, (16, 4, 32): False}
    for (bins, potentials, rank), fits in shapes.items():
        assert fit(Sizes(np.float32, 1326, 52, bins, potentials, rank)) == fits
    assert not fit(Sizes(np.float64, 1326, 52, 16, 4, 8))


def test_networks_too_large_for_kernels_are_asked_by_products(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    network, here = KernelValueNetwork(GAME, 16, bins=8, early_bins=5, potentials=3), possible(BOARDS)
    kinds, floats = list[type](), list[int]()
    with pretended_cuda(kernels=True):
        network = network.to(CUDA)
        layer = network.layers[1]
        assert isinstance(layer, KernelLayer)
        inputs = GAME.prepare_hand_inputs(features(boards=BOARDS).to(CUDA), here.float().to(CUDA), again=True)
        for most in (query_kernels.MOST_SHARED, 1000):
            monkeypatch.setattr(query_kernels, "MOST_SHARED", most)
            kinds.append(type(prepare_query(layer, inputs, torch.ones(len(BOARDS)).to(CUDA))))
            assert bool(caplog.records) == bool(floats), "the second time it says so"
            floats.append(network.floats_per_leaf)
    assert kinds == [FusedQuery, ProductQuery]
    assert floats[0] < floats[1]
