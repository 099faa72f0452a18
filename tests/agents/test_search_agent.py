"""Continual re-solving line by line: against the search policy and iterations taken by hand; gadgets."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.exact import ExactLeaves
from pokerlab.agents.base import DEALT, Line
from pokerlab.agents.beliefs import after_actions, after_deals
from pokerlab.agents.search import SearchAgent
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import TERMINAL, Game
from pokerlab.games.betting import CALL
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import BET, PASS, Kuhn, KuhnState
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.search.resolving import WAYS_TO_SEARCH
from pokerlab.search.rules import RULES
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree

DOUBLE = torch.empty(0, dtype=torch.float64)
GAMES: list[Game] = [Kuhn(depth_limit=2), Leduc("after_deal"), Leduc("before_deal"), LiarsDice(1, 3)]
EACH_GAME = pytest.mark.parametrize("game", GAMES, ids=["kuhn", "leduc_after", "leduc_before", "liars_dice"])
BOTH_WAYS = pytest.mark.parametrize("alternating", [True, False], ids=["alternating", "simultaneous"])
EITHER_PLAYER = pytest.mark.parametrize("resolver", [0, 1])
ITERATIONS = 4
ROOT = KuhnState()
LEAF = KuhnState((PASS, BET))
"""Of Kuhn poker two moves deep: the one place where play goes on."""
FIRST_SUBGAME = {0: [Line((ROOT,))], 1: [Line((ROOT, KuhnState((move,))), (move,)) for move in (PASS, BET)]}
"""The lines of each player's decisions in it."""
SECOND_SUBGAME = Line((ROOT, KuhnState((PASS,)), LEAF), (PASS, BET))


def value_network(game: Game) -> ValueNetwork:
    torch.manual_seed(1)
    return ValueNetwork(game, hidden=8, layers=2).double()


def search_agent(game: Game, way: str, solver: Solver | None = None) -> SearchAgent[Any]:
    return SearchAgent(
        game,
        solver or Solver("linear_cfr"),
        value_network(game),
        iterations=ITERATIONS,
        way=way,
        like=DOUBLE,
    )


def as_hand(line: Line[Any], hand: int) -> Line[Any]:
    return Line(line.states, line.actions, hand)


@BOTH_WAYS
@EACH_GAME
def test_from_averages_it_plays_the_search_policy_without_play_throughs(
    game: Game, alternating: bool
) -> None:
    # with simultaneous updates, Leduc's suits tie in all but rounding
    alternating = alternating or isinstance(game, Leduc)
    whole, solver = WholeGame(game), Solver("linear_cfr", alternating=alternating)
    expected = search_policy(
        whole,
        solver,
        value_network(game),
        iterations=ITERATIONS,
        play_throughs=0,
        generator=torch.Generator(),
        like=DOUBLE,
    )
    found = whole.policy(search_agent(game, "search_average", solver))
    reached = whole.forest.edge_rows(whole.forest.reach(expected)).sum(0) > 0
    torch.testing.assert_close(found[:, reached], expected[:, reached], rtol=0, atol=1e-9)
    assert (found - whole.forest.uniform).abs().amax() > 0.1


def test_what_to_go_on_from_is_one_of_three() -> None:
    message = "way must be one of search_iteration, search_average, search_gadget, got 'beliefs'"
    with pytest.raises(ValueError, match=message):
        search_agent(Kuhn(), "beliefs")


def test_only_going_on_from_iterations_draws() -> None:
    drawing = {way: search_agent(Kuhn(), way).draws for way in WAYS_TO_SEARCH}
    assert drawing == {"search_iteration": True, "search_average": False, "search_gadget": False}
    with pytest.raises(ValueError, match="it has no one policy"):
        WholeGame(Kuhn()).policy(search_agent(Kuhn(), "search_iteration"))


@pytest.mark.parametrize("way", ["search_average", "search_gadget"])
def test_seats_that_answer_alike_solve_once_and_what_they_know_goes_with_them(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved: list[CFR] = []
    run = CFR.run

    def count(cfr: CFR, *arguments: Any) -> None:
        solved.append(cfr)
        run(cfr, *arguments)

    monkeypatch.setattr(CFR, "run", count)
    agent = search_agent(Kuhn(depth_limit=2), way)
    seat = agent.sit_down(1, 1)
    expected = seat.strategies([SECOND_SUBGAME])
    assert len(solved) == 2
    torch.testing.assert_close(agent.sit_down(1, 2).strategies([SECOND_SUBGAME]), expected, rtol=0, atol=0)
    assert len(solved) == 2
    agent.sit_down(0, 1).strategies([SECOND_SUBGAME])
    assert len(solved) == (2 if way == "search_average" else 3)  # a gadget is the other's
    del seat
    assert not agent._memories
    agent.sit_down(1, 1).strategies([SECOND_SUBGAME])
    assert len(solved) == (3 if way == "search_average" else 4)  # the opening is known still


# From iterations


@EACH_GAME
def test_a_hand_is_played_the_same_whatever_is_asked_with_it(game: Game) -> None:
    agent, generator = search_agent(game, "search_iteration"), np.random.default_rng(0)
    chosen = [line for line in WholeGame(game).lines if generator.random() < 0.15]
    lines = [as_hand(line, hand) for hand in (0, 7, 8) for line in chosen]
    together = agent.sit_down(1, 5).strategies(lines)
    seat, order = agent.sit_down(1, 5), generator.permutation(len(lines))[:40]
    for number in order:
        alone = seat.strategies([lines[number]])[0]
        torch.testing.assert_close(alone, together[number], rtol=0, atol=1e-9)


@pytest.mark.parametrize("player", [0, 1])
def test_hands_seats_and_seeds_draw_anew(player: int) -> None:
    agent = search_agent(Kuhn(depth_limit=2), "search_iteration")

    def of_hands(player: int, seed: int) -> Tensor:
        lines = [as_hand(SECOND_SUBGAME, hand) for hand in range(50)]
        return agent.sit_down(player, seed).strategies(lines)

    found = of_hands(player, 0)
    assert 3 <= len(found.unique(dim=0)) <= ITERATIONS**2
    assert (found == of_hands(player, 0)).all()
    for others in (of_hands(player, 1), of_hands(1 - player, 0)):
        assert (found != others).flatten(1).any(1).sum() > 10


def by_hand(game: Game, solver: Solver, root: Any, beliefs: Tensor) -> tuple[Forest[Any], list[Tensor]]:
    """The strategies ``[A, D, H]`` of a subgame's iterations, from the first."""
    forest = Subgames(game).forest([root], DOUBLE)
    cfr = solver.start(forest, beliefs[:, None], value_network(game))
    strategies = []
    for _ in range(ITERATIONS):
        strategies.append(cfr.strategy.clone())
        cfr.step()
    return forest, strategies


def by_state(forest: Forest[Any], strategy: Tensor) -> dict[Any, Tensor]:
    states = forest.trees[0].decisions.states
    nodes = forest.decisions.node.tolist()
    return {states[node]: of_node for node, of_node in zip(nodes, forest.by_action(strategy), strict=True)}


@pytest.mark.parametrize("solver", [Solver("linear_cfr"), Solver("dcfr"), Solver("dcfr", leaf_rule="cfr")])
def test_what_a_hand_plays_is_one_iteration_of_each_solve(solver: Solver) -> None:
    """The same one in all of the first subgame; another in the second, which starts from its beliefs."""
    game = Kuhn(depth_limit=2)
    forest, strategies = by_hand(game, solver, ROOT, torch.as_tensor(game.initial_beliefs))
    first = [by_state(forest, strategy) for strategy in strategies]
    second = []
    for played in first:
        beliefs = torch.stack([played[ROOT][PASS], played[KuhnState((PASS,))][BET]])
        below, of_below = by_hand(game, solver, LEAF, beliefs / beliefs.sum(1, keepdim=True))
        second.append([by_state(below, strategy)[LEAF] for strategy in of_below])

    seats = [search_agent(game, "search_iteration", solver).sit_down(player, 3) for player in (0, 1)]
    drawn = []
    for hand in range(200):
        asked = [as_hand(line, hand) for line in (*FIRST_SUBGAME[0], SECOND_SUBGAME)]
        opening, later = seats[0].strategies(asked)
        drawn.append(the_one(opening, [played[ROOT] for played in first]))
        assert any((later - choice).abs().amax() < 1e-9 for choice in second[drawn[-1]])
        answers = seats[1].strategies([as_hand(line, hand) for line in FIRST_SUBGAME[1]])
        the_one(answers, [torch.stack([played[line.state] for line in FIRST_SUBGAME[1]]) for played in first])
    # as often as they weigh in averages
    weights = np.array([solver.leaf_rule.weight(t) for t in range(1, ITERATIONS + 1)])
    shares = weights / weights.sum()
    found = np.bincount(drawn, minlength=ITERATIONS) / len(drawn)
    assert (np.abs(found - shares) < 5 * np.sqrt(shares * (1 - shares) / len(drawn))).all()


def test_each_solve_starts_from_the_beliefs_of_the_iteration_above() -> None:
    """Move by move, over three subgames."""
    game, solver = Kuhn(depth_limit=1), Solver("linear_cfr")
    seat, moves = search_agent(game, "search_iteration", solver).sit_down(0, 0), (PASS, BET)
    for hand in range(20):
        line, beliefs = Line((ROOT,), (), hand), torch.as_tensor(game.initial_beliefs).clone()
        for move in (*moves, None):
            forest, strategies = by_hand(game, solver, line.state, beliefs)
            answer = seat.strategies([line])[0]
            played = [by_state(forest, strategy)[line.state] for strategy in strategies]
            assert any((answer - choice).abs().amax() < 1e-9 for choice in played)
            if move is not None:
                after = after_actions(beliefs[None], torch.tensor([len(line.actions)]), answer[None, move])
                beliefs, line = after[0], line.after(move, game.next_state(line.state, move))


def the_one(found: Tensor, choices: list[Tensor]) -> int:
    """Which of the choices was found."""
    same = [number for number, choice in enumerate(choices) if (found - choice).abs().amax() < 1e-9]
    assert len(same) == 1
    return same[0]


@BOTH_WAYS
def test_over_many_hands_it_plays_the_search_policy(alternating: bool) -> None:
    """A mean of n hands, weighed by own reach: its variance is at most 1 / 4 over the sum of weights."""
    game, hands = Kuhn(depth_limit=2), 1500
    whole, solver = WholeGame(game), Solver("linear_cfr", alternating=alternating)
    agent = search_agent(game, "search_iteration", solver)
    forest = whole.forest
    drawn = torch.zeros(hands, *forest.edge_shape, dtype=torch.float64)
    for player in (0, 1):
        nodes = torch.arange(forest.num_decisions)[forest.player_nodes[player]]
        lines = [as_hand(whole.lines[node], hand) for hand in range(hands) for node in nodes.tolist()]
        answers = agent.sit_down(player, 0).strategies(lines)
        answers = answers.view(hands, len(nodes), game.num_actions, game.num_hands)
        drawn[:, :, nodes] = answers.transpose(1, 2)  # in Kuhn poker, positions are actions
    own = torch.stack([forest.edge_rows(forest.reach(strategy)) for strategy in drawn])
    played, weights = own.sum(0), own.sum((0, 1))
    expected = search_policy(
        whole,
        solver,
        value_network(game),
        iterations=ITERATIONS,
        play_throughs=ITERATIONS,
        generator=torch.Generator(),
        like=DOUBLE,
    )
    far = (played / weights - expected).abs() * (4 * weights).sqrt()
    assert far[:, weights > 0].amax() < 5
    uniform = (forest.uniform - expected).abs() * (4 * weights).sqrt()
    assert uniform.amax() > 20  # a test that can tell


# With gadgets


def test_with_a_gadget_it_is_far_less_exploitable() -> None:
    """Exact leaves: what is lost is lost by going on from one belief state."""
    game = Kuhn(depth_limit=1)
    whole, leaves = WholeGame(game), ExactLeaves(game, 50)
    lost = {}
    for choice in ("search_average", "search_gadget"):
        agent = SearchAgent(game, Solver("dcfr"), leaves, iterations=60, way=choice, like=DOUBLE)
        lost[choice] = whole.exploitability(whole.policy(agent)).exploitability.item()
    assert lost["search_average"] > 0.1
    assert lost["search_gadget"] < 0.025


@EACH_GAME
def test_with_a_gadget_it_answers_at_every_line(game: Game) -> None:
    """Kuhn poker's and Liar's Dice's subgames follow at once, Leduc's after a deal."""
    whole = WholeGame(game)
    policy = whole.policy(search_agent(game, "search_gadget"))
    assert (policy >= 0).all()
    torch.testing.assert_close(policy.sum(0), torch.ones_like(policy[0]))


def random_beliefs(forest: Forest[Any], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, forest.num_subgames, forest.game.num_hands)
    beliefs = torch.rand(shape, generator=generator, dtype=torch.float64) * forest.root_possible
    return beliefs / beliefs.sum(-1, keepdim=True)


def some_forest(game: Game) -> Forest[Any]:
    """A few subgames below the root, or the root where there is none."""
    tree = Subgames(game).tree(game.root())
    states = [state for state in tree.leaves.states if game.actor(state) < 2][:4]
    return Subgames(game).forest(states or [game.root()], DOUBLE)


def gadget(
    forest: Forest[Any], belief: Tensor, resolver: int, paid: float | Tensor, alternating: bool, rule: str
) -> CFR:
    alternative = Gadget(resolver, torch.zeros_like(belief[0]) + paid)
    solver = Solver(rule, alternating=alternating)
    return solver.start(forest, belief, value_network(forest.game), alternative)


@BOTH_WAYS
@EITHER_PLAYER
@EACH_GAME
def test_an_opponent_who_is_paid_too_little_always_plays(
    game: Game, resolver: int, alternating: bool
) -> None:
    """Then it is a subgame as any other, from a uniform belief about the opponent."""
    forest = some_forest(game)
    belief = random_beliefs(forest, 0)
    cfr = gadget(forest, belief, resolver, -1e6, alternating, "dcfr")
    cfr.run(6)
    uniform = belief.clone()
    uniform[1 - resolver] = forest.root_possible / forest.root_possible.sum(-1, keepdim=True)
    plain = CFR(
        forest, uniform, RULES["dcfr"], alternating=alternating, leaf_evaluator=value_network(game)
    ).run(6)
    torch.testing.assert_close(cfr.average_strategy(), plain.average_strategy(), rtol=0, atol=1e-12)
    torch.testing.assert_close(cfr.root_beliefs(), uniform, rtol=0, atol=1e-12)
    torch.testing.assert_close(cfr.root_values(), plain.root_values(), rtol=0, atol=1e-12)


@BOTH_WAYS
@EITHER_PLAYER
@EACH_GAME
def test_an_opponent_who_is_paid_too_much_still_has_a_range(
    game: Game, resolver: int, alternating: bool
) -> None:
    forest = some_forest(game)
    belief = random_beliefs(forest, 0)
    for paid in (1e6, torch.where(belief[0] > belief[0].mean(), 1e6, -1e6)):  # of all hands, of some
        cfr = gadget(forest, belief, resolver, paid, alternating, "dcfr")
        cfr.watch_leaves().run(30)
        found = cfr.root_beliefs()
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum(-1), torch.ones_like(found[..., 0]))
        assert (found[resolver] == belief[resolver]).all()
        assert not found[:, forest.root_possible == 0].any()
        assert cfr.average_strategy().isfinite().all()
        assert cfr.leaf_infostate_values().isfinite().all()
    few = torch.where((paid > 0) & (forest.root_possible > 0), found[1 - resolver], 0)
    assert few.amax() < 1e-3  # those that gain by leaving come in the first iteration alone


@pytest.mark.parametrize("player", [0, 1])
def test_a_gadget_pays_what_the_leaf_evaluator_says_of_the_subgame_above(player: int) -> None:
    """Street by street in hold'em: after a deal, what it says of the cards that came."""
    game = Holdem("small", stack=12, blinds=(1, 2), bets=((1,),), ranks=3, suits=3, deals=(0, 1, 1))
    network, solver = value_network(game), Solver("linear_cfr")
    agent = SearchAgent(game, solver, network, iterations=ITERATIONS, way="search_gadget", like=DOUBLE)
    seat, subgames = agent.sit_down(player, 0), Subgames(game)
    line, beliefs = Line((game.root(),)), torch.as_tensor(game.initial_beliefs)[:, None]
    paid: Tensor | None = None
    for street in range(3):
        forest = subgames.forest([line.state], DOUBLE)
        cfr = solver.start(forest, beliefs, network, None if paid is None else Gadget(player, paid))
        policy = by_state(forest, cfr.run(ITERATIONS).average_strategy())
        beliefs = cfr.root_beliefs()
        for _ in range(2):
            torch.testing.assert_close(seat.strategies([line])[0], policy[line.state], rtol=0, atol=1e-9)
            actors = torch.tensor([game.actor(line.state)])
            chances = policy[line.state][None, CALL]
            beliefs = after_actions(beliefs.transpose(0, 1), actors, chances).transpose(0, 1)
            line = line.after(CALL, game.next_state(line.state, CALL))
        if street < 2:
            line = line.after(DEALT, game.chance_outcomes(line.state)[3])
            possible = torch.as_tensor(game.possible_hands(line.state))[None].double()
            beliefs = after_deals(beliefs.transpose(0, 1), possible).transpose(0, 1)
            features = torch.tensor([game.features(line.state)], dtype=torch.float64)
            paid = network.at(features, possible)(beliefs)[1 - player] * game.pot(line.state)


@BOTH_WAYS
@EITHER_PLAYER
@EACH_GAME
@pytest.mark.parametrize("rule", ["linear_cfr", "dcfr"])
def test_both_backends_agree_with_a_gadget(game: Game, rule: str, resolver: int, alternating: bool) -> None:
    forest = some_forest(game)
    alternative = Gadget(resolver, torch.full_like(random_beliefs(forest, 0)[0], 0.1))
    fast, plain = (
        Solver(rule, alternating=alternating, backend=backend)
        .start(forest, random_beliefs(forest, 0), value_network(game), alternative)
        .watch_leaves()
        .run(7)
        for backend in ("compiled", "tensors")
    )
    for found in ("average_strategy", "root_values", "root_beliefs", "leaf_infostate_values"):
        ours, theirs = (getattr(cfr, found)() for cfr in (fast, plain))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@EACH_GAME
def test_the_opponents_range_is_how_often_each_hand_has_played(game: Game) -> None:
    """In the mean of iterations, weighted as averages are."""
    forest = some_forest(game)
    cfr = gadget(forest, random_beliefs(forest, 0), 0, 0.1, False, "dcfr")
    played = torch.zeros_like(forest.root_possible)
    for t in range(1, 20):
        played += RULES["dcfr"].weight(t) * cfr._backend.plays[0]
        cfr.step()
    played *= forest.root_possible
    torch.testing.assert_close(
        cfr.root_beliefs()[1], played / played.sum(-1, keepdim=True), rtol=0, atol=1e-12
    )


@BOTH_WAYS
@pytest.mark.parametrize(("root", "resolver"), [(KuhnState((BET,)), 1), (LEAF, 0)], ids=["bet", "pass bet"])
def test_no_hand_of_the_opponent_gains_by_a_subgame_that_is_solved_anew(
    root: KuhnState, resolver: int, alternating: bool
) -> None:
    """Paid what an equilibrium gives them; by a plain solve, the hand that is not believed does."""
    game = Kuhn()
    whole, rule = WholeGame(game), RULES["cfr_plus"]
    equilibrium = by_state(
        whole.forest, Solver("dcfr").start(whole.forest, whole.belief).run(1000).average_strategy()
    )
    belief, state = torch.as_tensor(game.initial_beliefs).clone(), game.root()
    for action in root.actions:
        belief[game.actor(state)] *= equilibrium[state][action]
        state = game.next_state(state, action)
    belief /= belief.sum(1, keepdim=True)
    paid = best_values(game, root, equilibrium, belief, 1 - resolver)
    forest = Subgames(game).forest([root], DOUBLE)
    plain = CFR(forest, belief[:, None], rule, alternating=alternating)
    gained = []
    for cfr in (gadget(forest, belief[:, None], resolver, paid, alternating, "cfr_plus"), plain):
        policy = by_state(forest, cfr.run(300).average_strategy())
        gained.append((best_values(game, root, policy, belief, 1 - resolver) - paid).amax())
    assert gained[0] < 0.03
    assert gained[1] > 0.2


def best_values(game: Game, root: Any, policy: dict[Any, Tensor], belief: Tensor, player: int) -> Tensor:
    """``[1, H]`` what each hand of ``player`` can win against a policy, in chips; without public chance."""

    def value(state: Any, hand: int, weight: Tensor) -> float:
        actor = game.actor(state)
        if actor == TERMINAL:
            end = game.terminal(state)
            won = game.payoff_operator([end.payoff_kernel], DOUBLE)(weight[None, None])[0, 0, hand]
            return end.chips[player] * won.item()
        plays = [weight if actor == player else weight * policy[state][a] for a in game.actions(state)]
        below = [
            value(game.next_state(state, action), hand, after)
            for action, after in zip(game.actions(state), plays, strict=True)
        ]
        return max(below) if actor == player else sum(below)

    mass = torch.as_tensor(game.deal) @ belief[1 - player]
    values = [value(root, hand, belief[1 - player]) / mass[hand].item() for hand in range(game.num_hands)]
    return torch.tensor([values], dtype=torch.float64)


# What leaves are worth


class Recorded:
    """A leaf evaluator that keeps what it said."""

    def __init__(self, leaf_evaluator: LeafEvaluator) -> None:
        self._leaf_evaluator = leaf_evaluator
        self.floats_per_leaf = leaf_evaluator.floats_per_leaf
        self.said: list[Tensor] = []

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        evaluate = self._leaf_evaluator.at(features, possible)

        def values(beliefs: Tensor) -> Tensor:
            self.said.append(evaluate(beliefs).clone())
            return self.said[-1].clone()

        return values


@BOTH_WAYS
@pytest.mark.parametrize("backend", ["compiled", "tensors"])
@EACH_GAME
def test_watched_leaves_are_worth_the_mean_of_what_was_said_of_them(
    game: Game, backend: str, alternating: bool
) -> None:
    """Weighed by iterations' weights and by the opponent's mass at the time."""
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief, leaves, said = random_beliefs(forest, 1), forest.leaves, Recorded(value_network(game))
    rule = RULES["dcfr"]
    cfr = CFR(forest, belief, rule, alternating=alternating, backend=backend, leaf_evaluator=said)
    cfr.watch_leaves()
    values, masses = torch.zeros(2, 2, len(leaves), game.num_hands, dtype=torch.float64)
    strategies = [cfr.strategy.clone()]
    for t in range(1, 5):
        cfr.step()
        strategies.append(cfr.strategy.clone())
        reach = [forest.reach(strategy)[leaves.row] for strategy in strategies[-2:]]
        for player in (0, 1):
            query = 2 * t - 2 + player if alternating else t - 1
            # player 1 meets what player 0 has just come to
            met = reach[1 if alternating and player == 1 else 0][1 - player]
            mass = forest.mass(met * leaves.possible * belief[1 - player, leaves.subgame])
            masses[player] += rule.weight(t) * mass
            values[player] += rule.weight(t) * mass * said.said[query][player] * leaves.pot[:, None]
    expected = torch.where(masses > 0, values / masses, 0)
    torch.testing.assert_close(cfr.leaf_infostate_values(), expected, rtol=0, atol=1e-9)
    assert expected.std() > 1e-3


@BOTH_WAYS
@pytest.mark.parametrize("average_leaves", [False, True], ids=["current", "average"])
@EACH_GAME
def test_both_solvers_say_the_same_of_watched_leaves(
    game: Game, average_leaves: bool, alternating: bool
) -> None:
    forest = Subgames(game).forest([game.root()] * 2, DOUBLE)
    found = []
    for backend in ("compiled", "tensors"):
        cfr = CFR(
            forest,
            random_beliefs(forest, 2),
            RULES["linear_cfr"],
            alternating=alternating,
            backend=backend,
            leaf_evaluator=value_network(game),
            average_leaves=average_leaves,
        )
        cfr.watch_leaves().run(5)
        found.append(cfr.leaf_infostate_values())
    torch.testing.assert_close(*found, rtol=0, atol=1e-9)


def test_only_watched_leaves_have_values() -> None:
    game = Kuhn(depth_limit=2)
    forest = Subgames(game).forest([game.root()], DOUBLE)
    cfr = Solver().start(forest, random_beliefs(forest, 0), value_network(game)).run(2)
    with pytest.raises(ValueError, match=r"leaves are not watched: call watch_leaves\(\) before the first"):
        cfr.leaf_infostate_values()


def test_a_gadgets_opponent_holds_nothing_outside_its_range() -> None:
    ranges = ("uniform", "66,55")
    game = Holdem("small", board="2c3d4h", pot=4, stack=4, blinds=(1, 2), ranks=5, suits=3, ranges=ranges)
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=True)], dtype=torch.float64)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    paid = torch.zeros(1, game.num_hands, dtype=torch.float64)
    cfr = Solver().start(forest, belief, Worthless(), Gadget(0, paid)).run(5)
    found = cfr.root_beliefs()[1, 0]
    assert found.sum().item() == pytest.approx(1)
    assert not found[belief[1, 0] == 0].any()


class Worthless:
    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        return torch.zeros_like


@pytest.mark.parametrize("way", ["search_average", "search_gadget"])
def test_a_small_subgame_is_solved_to_the_end_and_played_from_that(way: str) -> None:
    """From the flop on, whatever the network says; before it there is too much below."""
    game = Holdem(
        "small", ranks=5, suits=3, stack=8, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1), solve_to_end=700
    )
    root = game.root()
    called = game.next_state(root, CALL)
    deal = game.next_state(called, CALL)
    flop = game.chance_outcomes(deal)[5]
    bet = game.next_state(flop, game.actions(flop)[1])
    turn_deal = game.next_state(bet, CALL)
    turn = game.chance_outcomes(turn_deal)[3]
    assert game.is_leaf(root, deal, 2)
    assert not game.is_leaf(flop, turn, 3)
    whole = build_tree(game, flop, depth_limited=True)
    assert not len(whole.leaves)
    assert whole.num_states == game.count_below(flop) <= 700 < game.count_below(root)

    agent = SearchAgent(game, Solver(), value_network(game), iterations=ITERATIONS, way=way, like=DOUBLE)
    seat = agent.sit_down(0, 1)
    opening = seat.strategies([Line((root, called), (CALL,))])[0, CALL]
    moves = CALL, CALL, DEALT, game.actions(flop)[1], CALL, DEALT
    found = seat.strategies([Line((root, called, deal, flop, bet, turn_deal, turn), moves)])[0]
    torch.testing.assert_close(found.sum(0), torch.ones(game.num_hands).double())
    if way == "search_gadget":
        return
    small = Holdem(**{**game.arguments, "solve_to_end": 100_000})  # even its root is solved to the end, once
    other = SearchAgent(small, Solver(), value_network(small), iterations=1, way=way, like=DOUBLE)
    other.sit_down(1, 1).strategies([Line((small.root(),))])
    assert len(other.opening) == 1
    first = agent.sit_down(1, 1).strategies([Line((root,))])[0, CALL]
    possible = torch.as_tensor(game.possible_hands(flop)).double()
    beliefs = after_deals((torch.stack([opening, first]) / game.num_hands)[None], possible[None])[0, :, None]
    cfr = Solver().start(Forest(game, [whole], dtype=torch.float64), beliefs).run(ITERATIONS)
    node = [*whole.decisions.states].index(turn)
    edges = slice(*whole.first_edge[node : node + 2].tolist())
    expected = torch.as_tensor(np.asarray(cfr.average_edges())[edges])
    torch.testing.assert_close(found[whole.edge_action[edges]], expected)
