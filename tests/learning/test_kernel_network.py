"""Networks that know cards: what they are by construction, whatever their weights."""

from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.parts import features_of
from pokerlab.learning import hats
from pokerlab.learning.hats import Columns, Hats
from pokerlab.learning.kernel_layer import KernelLayer, hold, inputs_of_bins, stack_numbers
from pokerlab.learning.kernel_network import KernelPolicyNetwork, KernelValueNetwork, by_kind
from pokerlab.learning.kernel_products import ProductQuery
from pokerlab.learning.kernel_query import CompiledQuery, TensorQuery
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import multiply_in
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree

GAME = Holdem("small", ranks=5, suits=3, deals=(0, 2, 1), pot=0, stack=1000)
BOARDS = [(0, 4), (3, 7, 11), (12, 13), (2, 8, 13)]


def features(stack: float = 300.0, boards: list[tuple[int, ...]] = BOARDS) -> Tensor:
    states = [HoldemState(board, 200.0, stack, (0.0, 0.0), ((),)) for board in boards]
    return torch.as_tensor(features_of(GAME, states))


def random_beliefs(seed: int, number: int = len(BOARDS)) -> Tensor:
    draws = torch.rand(number, 2, GAME.num_hands, generator=torch.Generator().manual_seed(seed)).double() ** 4
    return draws / draws.sum(2, keepdim=True)


def value_network(seed: int = 0, later_bins: int = 0) -> KernelValueNetwork:
    torch.manual_seed(seed)
    sizes = {"bins": 8, "early_bins": 5, "potentials": 3, "rank": 4, "later_bins": later_bins}
    return KernelValueNetwork(GAME, 16, **sizes).double()


def possible(boards: list[tuple[int, ...]] = BOARDS) -> Tensor:
    return torch.as_tensor(np.array([GAME.deck.possible(board) for board in boards]))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from((0, 5)))
def test_values_are_zero_sum(seed: int, later_bins: int) -> None:
    beliefs = random_beliefs(seed) * possible()[:, None]
    values = value_network(seed, later_bins)(features(), beliefs)
    joint = beliefs * GAME.mass_operator(beliefs)(beliefs.flip(1))
    total = (joint * values).sum((1, 2)) / joint.sum((1, 2))
    torch.testing.assert_close(total, torch.zeros(len(BOARDS)).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("later_bins", [0, 5])
def test_without_a_stack_values_are_those_of_checking_down(later_bins: int) -> None:
    beliefs = random_beliefs(0)
    inputs = GAME.prepare_hand_inputs(features(0.0), beliefs)(beliefs)
    torch.testing.assert_close(
        value_network(later_bins=later_bins)(features(0.0), beliefs), inputs[:, :2] / 2
    )


@pytest.mark.parametrize("later_bins", [0, 5])
def test_a_search_asks_for_the_same_values(later_bins: int) -> None:
    network, beliefs = value_network(later_bins=later_bins), random_beliefs(1)
    expected = network(features(), beliefs).detach()
    asked = network.at(features(), possible().double())(beliefs.transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(asked, expected, rtol=0, atol=1e-13)
    one = network.at(features(boards=BOARDS[:1]), possible()[:1].double())(beliefs[:1].transpose(0, 1))
    torch.testing.assert_close(one[:, 0], expected[0], rtol=0, atol=1e-13)


def test_loops_and_tensors_value_leaves_alike_whoever_is_asked_about() -> None:
    boards = [BOARDS[i] for i in (1, 1, 0, 3, 1, 2)]
    for dtype, most in ((torch.float64, 1e-13), (torch.float32, 3e-6)):
        network, here = value_network().to(dtype), possible(boards).to(dtype)
        for layer, kind in enumerate(network.layers):
            inputs = GAME.prepare_hand_inputs(features(boards=boards), here)
            stacks = torch.linspace(0.1, 5, len(boards)).to(dtype)
            one = cast(KernelLayer, kind)
            queries = [query(one, inputs, stacks) for query in (TensorQuery, CompiledQuery, ProductQuery)]
            beliefs = random_beliefs(layer, len(boards)).to(dtype).transpose(0, 1).contiguous()
            for player in (0, 1, 0, 1):
                beliefs[1 - player] = random_beliefs(9 * layer + player, len(boards))[:, player].to(dtype)
                for players in (slice(player, player + 1), slice(0, 2)):
                    expected, *others = (query.of_players(beliefs, players) for query in queries)
                    for found in others:
                        torch.testing.assert_close(found, expected, rtol=0, atol=most)


def test_a_search_on_a_gpu_asks_for_the_same_values() -> None:
    network, beliefs = value_network(later_bins=5), random_beliefs(1)
    expected = network(features(), beliefs).detach()
    with pretended_cuda():
        query = network.to(CUDA).at(features().to(CUDA), possible().double().to(CUDA))
        asked = query(beliefs.transpose(0, 1).to(CUDA)).transpose(0, 1).cpu()
    torch.testing.assert_close(asked, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("later_bins", [0, 5])
def test_beliefs_in_nothing_that_is_possible_are_valued_alike(later_bins: int) -> None:
    network, here = value_network(later_bins=later_bins), possible().double()
    beliefs = random_beliefs(0).transpose(0, 1)
    beliefs[0, 1] = 1 - here[1]
    expected = network(features(), beliefs.transpose(0, 1)).detach()
    torch.testing.assert_close(network.at(features(), here)(beliefs).transpose(0, 1), expected)


def test_only_what_is_learned_is_rounded_in_a_search() -> None:
    network, beliefs = value_network().float(), random_beliefs(6).float().transpose(0, 1)
    for stack in (0.0, 300.0):
        ask = network.at(features(stack).float(), possible().float())
        exact = ask(beliefs)
        with multiply_in("bfloat16", torch.device("cpu")):
            rounded = ask(beliefs)
        assert torch.equal(rounded, exact) == (stack == 0)
        torch.testing.assert_close(rounded, exact, rtol=0, atol=0.005)


@pytest.mark.parametrize("later_bins", [0, 5])
def test_inputs_that_were_kept_give_the_same_values(later_bins: int) -> None:
    network, beliefs = value_network(later_bins=later_bins), random_beliefs(2)
    inputs = GAME.prepare_hand_inputs(features(), beliefs)(beliefs)
    torch.testing.assert_close(network(features(), beliefs, inputs), network(features(), beliefs))


@pytest.mark.parametrize("later_bins", [0, 5])
def test_other_names_of_suits_exchange_values_and_strategies(later_bins: int) -> None:
    network, beliefs, exchange = (
        value_network(later_bins=later_bins),
        random_beliefs(3),
        GAME.deck.suit_permutations[3],
    )
    policy = KernelPolicyNetwork(GAME, 16, bins=8, early_bins=5, potentials=3).double()
    hands = torch.as_tensor(GAME.deck.permute_hands(exchange))
    renamed = features(boards=[tuple(sorted(exchange[list(board)].tolist())) for board in BOARDS])
    other, legal = torch.empty_like(beliefs), torch.ones(len(BOARDS), GAME.num_actions, dtype=torch.bool)
    other[:, :, hands] = beliefs
    torch.testing.assert_close(network(renamed, other)[:, :, hands], network(features(), beliefs))
    torch.testing.assert_close(policy(renamed, other, legal)[:, :, hands], policy(features(), beliefs, legal))


def test_a_rest_is_what_a_hand_wins_by_the_kernel_from_hands_that_share_no_card() -> None:
    torch.manual_seed(0)
    board, beliefs = BOARDS[1], random_beliefs(4, 1)
    layer = KernelLayer(torch.as_tensor(GAME.deck.hands), 8, 1, rank=4, hidden=16).double()
    inputs = GAME.prepare_hand_inputs(features(boards=[board]), beliefs)(beliefs)
    ours = Hats(inputs[:, 2:], 8, 1)
    held = hold(beliefs, ours.possible)
    sums = ours.collect(torch.cat([held, held * inputs[:, :2]], 1))
    one = stack_numbers(torch.ones(1).double())
    kernel = (layer.kernel(layer.factors(inputs_of_bins(sums, one))) * layer.scale(torch.ones(1).double()))[0]
    weights = ours.collect(torch.eye(GAME.num_hands)[None].double())[0]  # [H, B]
    between = weights @ kernel @ weights.T
    # for a hand and itself the kernel is interpolated once, not twice
    itself = weights @ kernel.diagonal() - between.diagonal()
    meets = torch.as_tensor(GAME.deck.disjoint).double()
    values = layer(torch.ones(1).double(), beliefs, inputs)[0]
    for player, gain in ((0, between), (1, -between.T)):
        theirs = held[0, 1 - player]
        won = (gain * meets) @ theirs + theirs * itself * (1 if player == 0 else -1)
        expected = inputs[0, player] / 2 + won / (meets @ theirs)
        here = possible([board])[0]
        torch.testing.assert_close(values[player][here], expected[here], rtol=0, atol=1e-12)


def test_strategies_are_distributions_over_legal_actions() -> None:
    torch.manual_seed(0)
    network = KernelPolicyNetwork(GAME, 16, bins=8, early_bins=5, potentials=3).double()
    legal = torch.ones(len(BOARDS), GAME.num_actions, dtype=torch.bool)
    legal[1, 0] = legal[2, 1] = False
    strategy = network(features(), random_beliefs(5), legal).exp()
    torch.testing.assert_close(strategy.sum(1), torch.ones(len(BOARDS), GAME.num_hands).double())
    assert strategy[1, 0].max() == strategy[2, 1].max() == 0


def test_sizes_and_games_that_will_not_do() -> None:
    with pytest.raises(ValueError, match="bins must be at least 2, got 1"):
        KernelValueNetwork(GAME, bins=1)
    with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
        KernelValueNetwork(GAME, rank=0)
    with pytest.raises(ValueError, match="potentials must be at least 1, got 0"):
        KernelPolicyNetwork(GAME, potentials=0)
    for network in (KernelValueNetwork, KernelPolicyNetwork):
        with pytest.raises(ValueError, match="kuhn computes no inputs"):
            network(Kuhn())


def test_kinds_are_told_apart_while_the_host_waits_once() -> None:
    with pretended_cuda() as cuda:
        kinds = torch.tensor([3, 0, 3, 1], device=CUDA)
        cuda.restart()
        found = by_kind(kinds)
        assert cuda.synchronisations == 1, cuda.waited_for
        assert {place.device for _, place in found} == {CUDA}
        assert [(kind, place.tolist()) for kind, place in found] == [(0, [1]), (1, [3]), (3, [0, 2])]


def mixed(seed: int, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Belief states of all kinds, in any order, with and without chips to play for; and legal actions."""
    draws = np.random.default_rng(seed)
    boards = [sorted(draws.choice(len(GAME.deck.cards), size, replace=False)) for size in (0, 2, 3) * number]
    states = [
        HoldemState(tuple(map(int, board)), 200.0, float(draws.integers(500)), (0.0, 0.0), ((),))
        for board in (boards[i] for i in draws.permutation(len(boards)))
    ]
    told = torch.as_tensor(features_of(GAME, states))
    told[:, 2] = torch.as_tensor(draws.random(len(states)) < 0.4)  # a deal comes next
    beliefs = random_beliefs(seed, len(states))
    inputs = GAME.prepare_hand_inputs(told, beliefs)(beliefs)
    return told, beliefs, inputs, torch.ones(len(states), GAME.num_actions, dtype=torch.bool)


def learn(networks: nn.ModuleList, *given: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What both networks say, and the gradients of sums of squares of it."""
    told, beliefs, inputs, legal = given
    values, policy = networks[0](told, beliefs, inputs), networks[1](told, beliefs, legal, inputs)
    loss = values.square().sum() + policy.square().sum()
    gradients = torch.autograd.grad(loss, [*networks.parameters()], allow_unused=True)
    parameters = networks.parameters()
    return [values, policy], [
        torch.zeros_like(weight) if gradient is None else gradient
        for gradient, weight in zip(gradients, parameters, strict=True)
    ]


@pytest.mark.parametrize("later_bins", [0, 5])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_what_is_learned_together_is_what_is_learned_one_by_one(on_gpu: bool, later_bins: int) -> None:
    policy = KernelPolicyNetwork(GAME, 16, bins=8, early_bins=5, potentials=3).double()
    networks, given = nn.ModuleList([value_network(later_bins=later_bins), policy]), mixed(1, 6)
    assert len(by_kind(GAME.layer_of(given[0]))) == len(GAME.layers)
    alone = [learn(networks, *(each[i : i + 1] for each in given)) for i in range(len(given[0]))]
    expected = [torch.cat(parts) for parts in zip(*(said for said, _ in alone), strict=True)]
    expected += [sum(parts, torch.zeros(())) for parts in zip(*(found for _, found in alone), strict=True)]
    if not on_gpu:
        said, gradients = learn(networks, *given)
        torch.testing.assert_close(said + gradients, expected, rtol=0, atol=1e-10)
        return
    with pretended_cuda(kernels=True) as cuda:
        told, *rest = given
        there, moved = networks.to(CUDA), [each.to(CUDA) for each in rest]
        learn(there, told, *moved)  # tables are put there at the first time
        cuda.restart()
        said, gradients = learn(there, told, *moved)
        assert cuda.synchronisations == 0, cuda.waited_for
        found = [each.cpu() for each in said + gradients]
    # kernels sum mass in units of 2**-30
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 if later_bins else 1e-10)


def test_bins_of_hands_are_the_same_in_loops_and_by_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = torch.Generator().manual_seed(0)
    places = torch.rand(3, 2, GAME.num_hands, generator=draws).double()
    places[0, 0, :4], places[1, :, 5] = -1, 1  # impossible; the highest of all
    columns = Columns(
        torch.as_tensor(GAME.deck.hands), torch.tensor([1.0, -2.0]).double(), len(GAME.deck.cards)
    )
    for potentials in (1, 3):
        values = torch.rand(3, 2, GAME.num_hands, generator=draws).double()
        in_bins = torch.rand(3, 2, 5 * potentials, columns.number, generator=draws).double().requires_grad_()
        found = []
        for loops in (True, False):
            monkeypatch.setattr(hats, "NUMBA", loops)
            ours = Hats(places, 5, potentials)
            (gradient,) = torch.autograd.grad(ours.spread(in_bins, columns).square().sum(), in_bins)
            sums = ours.collect(values), ours.collect(values, columns)
            found.append([*sums, ours.spread(sums[0]), ours.spread(sums[1], columns), gradient])
        torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_search_asks_what_a_deal_is_worth_or_about_every_card() -> None:
    """If nobody bets after it, both are the same: the check-down value of a deal is the mean over cards."""
    found = []
    for leaves, number in (("before_deal", 1), ("after_deal", 13)):
        game = Holdem(
            "small", ranks=5, suits=3, deals=(0, 2, 1), board="2c4d", pot=20, stack=30, blinds=(1, 2),
            leaves=leaves,
        )  # fmt: skip
        network = KernelValueNetwork(game, 16, bins=8, early_bins=5, potentials=3, rank=4).double()
        for layer in network.layers:
            for parameter in cast(KernelLayer, layer).factors.shared[-1].parameters():
                nn.init.zeros_(parameter)
        belief = random_beliefs(2, 1)[0, :, None] * torch.as_tensor(game.possible_hands(game.root()))
        forest = Forest(game, [build_tree(game, game.root(), depth_limited=True)], dtype=torch.float64)
        lines = {state.actions[0] for state in forest.trees[0].leaves.states}
        assert len(forest.leaves) == number * len(lines) > number
        cfr = Solver("dcfr").start(forest, belief, network).run(20)
        found.append((cfr.root_infostate_values(), cfr.average_strategy()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-10)
