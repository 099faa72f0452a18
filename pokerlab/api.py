"""The public functions that stand above all rooms: ``pokerlab.NAME``, see the package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console, ConsoleOptions, RenderResult
from rich.jupyter import JupyterMixin
from torch import Tensor

from pokerlab.agents.base import Agent, read_line
from pokerlab.algorithms.base import units_of
from pokerlab.evaluation import calibration as calibrations
from pokerlab.evaluation import range_grids, strategy_tables
from pokerlab.evaluation.contest import Contest, ContestSettings, hold_contest
from pokerlab.evaluation.deal_by_deal import DealByDeal, SoFar, policy_of
from pokerlab.evaluation.exact import whole_game_strategy
from pokerlab.evaluation.lineup import Entrant, difference_of_rules
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.match_matrix import plot_matrix
from pokerlab.evaluation.plots import draw_run
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.report import contest_tables, read_evaluation
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.spot import Spot
from pokerlab.training.stored_agents import agent_by_name
from pokerlab.training.trained import TrainedRun, load_run

LOCAL_BEST_RESPONSE = "lbr"
NAMES = ("first", "second")
"""Of two agents, unless others are given."""


class Run:
    """A trained run, as :func:`load` finds it."""

    def __init__(self, trained: TrainedRun) -> None:
        self._trained, self.game, self.name = trained, trained.game, trained.name
        self.iteration = trained.iteration
        """Iterations of training that the checkpoint has behind it."""

    def __repr__(self) -> str:
        return f"{self.name}: {self.game.name}, {self.iteration} iterations of training"

    def agent(self, way: str = "search_gadget", *, iterations: int | None = None) -> Agent:
        """What the run has learned, as an agent.

        Args:
            way: to play: ``policy_net``, ``search_iteration``, ``search_average`` or ``search_gadget``;
                Deep CFR plays ``snapshots`` or ``policy_net``.
            iterations: of CFR a subgame; None: as the run itself was measured.

        Raises:
            ValueError: there is no such way to play, or ``iterations`` is not a number of them.
        """
        if iterations is not None and (type(iterations) is not int or iterations < 1):
            raise ValueError(f"iterations must be an integer of at least 1, got {iterations!r}")
        trained = self._trained
        return replace(trained, search_iterations=iterations or trained.search_iterations).agent(way)

    @property
    def value_network(self) -> LeafEvaluator:
        """What it has learned of the values of public states: ``leaf`` of :func:`pokerlab.solve`.

        Raises:
            ValueError: the run's algorithm learns none.
        """
        return self._trained.leaf_evaluator

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """A line an iteration, as training_metrics.jsonl has them."""
        return self._trained.folder.read_metrics()

    @property
    def evaluation(self) -> dict[str, Any]:
        """What ``pokerlab evaluate`` found, empty if it was not run: evaluation.json."""
        return read_evaluation(self._trained.folder.evaluation)

    def figures(self) -> dict[str, Figure]:
        """``losses`` and, if it was measured while training, ``exploitability``, over iterations and time."""
        return dict(draw_run(self.metrics, self.game.name, units_of(self._trained.algorithm)))

    def calibration(self, *, trajectories: int = 1000, seed: int = 1) -> Figure:
        """Draws what the value network says that hands are worth, against what search finds.

        Args:
            trajectories: of self-play, which give the belief states.
            seed: of them.

        Raises:
            ValueError: the run's algorithm learns no values of public belief states.
        """
        trained, algorithm = self._trained, self._trained.rebel()
        found = calibrations.calibration(
            self.game,
            trained.solver,
            trained.networks,
            search_iterations=algorithm.search_iterations,
            trajectories=trajectories,
            generator=torch.Generator().manual_seed(seed),
            like=next(trained.networks.parameters()).detach().flatten()[:0],
        )
        return calibrations.plot_calibration(found)


def load(name: str, *, device: str = "cpu", rules: Mapping[str, Any] | None = None) -> Run:
    """Opens a trained run.

    Args:
        name: a run's name, its folder, one of its checkpoints, or a run that the package ships.
        device: where its networks are asked.
        rules: arguments of its game that differ from its own, as ``match.rules`` takes them.

    Raises:
        UserError: there is none, it cannot be read, or its networks are not for a game of such rules.
    """
    return Run(load_run(name, torch.device(device), rules=rules))


def make_agent(name: str, game: Game, against: Agent | None = None) -> Agent:
    """An agent that needs no training.

    Args:
        name: see :func:`pokerlab.agents`; ``module:Class`` is one of your own; ``lbr`` is the local best
            response to ``against``.
        game: the rules.
        against: of a local best response, who is responded to.

    Raises:
        ValueError: there is no such agent, or none of this game.
    """
    if name != LOCAL_BEST_RESPONSE:
        return agent_by_name(name, game)
    if against is None:
        raise ValueError("a local best response needs the agent that it responds to: against=")
    return LocalBestResponse(game, against)


@dataclass(frozen=True, slots=True)
class Strength:
    """What an agent loses at most, exactly."""

    exploitability: float
    """NashConv / 2, in chips: what a best response wins of it, in the mean of both seats."""
    nash_conv: float
    """Chips."""
    game_value: float
    """Chips that player 0 wins when the agent plays itself."""


def exploitability(
    game: Game,
    agent: Agent,
    *,
    play_throughs: int = 1000,
    seed: int = 1,
    isomorphism: bool = True,
    watch: Callable[[SoFar], None] | None = None,
) -> Strength:
    """Measures an agent against best responses, exactly.

    Args:
        game: small enough to be enumerated, or to be measured deal by deal, such as flop hold'em.
        agent: any agent of the game.
        play_throughs: of one that draws iterations to go on from (``search_iteration``): how many draws are
            averaged in the first subgame; as many as it has iterations: all of them, exactly.
        seed: of the draws.
        isomorphism: deal by deal, whether of deals that differ in suits only one is measured: right of agents
            to which suits are alike.
        watch: told after each deal, where they are measured one by one.

    Raises:
        ValueError: the game is too large or not the agent's, what the agent draws cannot be averaged, what it
            answers are no strategies, or suits are not alike to it.
    """
    _check_same_rules("agent", agent.game, game)
    if game.enumerable:
        whole = WholeGame(game)
        strategy = whole_game_strategy(whole, agent, play_throughs=play_throughs, seed=seed)
        found = whole.exploitability(strategy)
    else:
        try:
            parts = DealByDeal(game, isomorphism=isomorphism)
        except ValueError as error:
            raise ValueError(
                f"{game.name} is too large to be enumerated: make_agent('lbr') gives a lower bound"
            ) from error
        for sofar in parts.measure(policy_of(agent, play_throughs=play_throughs, seed=seed)):
            if watch:
                watch(sofar)
        found = sofar.exploitability()
    return Strength(found.exploitability.item(), found.nash_conv.item(), found.value.item())


class Matches(JupyterMixin):
    """Matches between all pairs of two agents or more: duplicate deals, with 95 % intervals."""

    def __init__(self, game: Game, contest: Contest) -> None:
        self.game, self.results, self.ranking = game, contest.matches, contest.ranking()
        self._league = contest.league

    @property
    def mean(self) -> float:
        """Chips a hand that the first agent of the first match won."""
        return float(self.results[0]["chips"])

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean, 95 %."""
        half = self.results[0]["half_width"]
        return self.mean - half, self.mean + half

    def matrix(self) -> Figure:
        """Draws who won what of whom, in thousandths of a big blind a hand."""
        league, milli = self._league, 1000 / self.game.big_blind
        return plot_matrix(league.names, league.mean * milli, league.half_width * milli, "mbb/hand")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from contest_tables(self.game, self.results, self.ranking)


def play_match(
    game: Game,
    agent: Agent,
    other: Agent,
    *,
    deals: int = 10_000,
    seed: int = 1,
    aivat: bool = True,
    names: tuple[str, str] = NAMES,
) -> Matches:
    """Plays two agents against each other, each deal twice with seats swapped.

    Args:
        game: the rules.
        agent: the first one, whose winnings are told.
        other: the second one.
        deals: how many.
        seed: of deals and of what agents draw.
        aivat: whether to take out luck (docs/matches.md).
        names: of the agents, different.

    Returns:
        Mean, interval, and ``results[0]`` with all there is: by street and by seat.

    Raises:
        ValueError: AIVAT cannot be used with this game, an agent plays another, or an argument has a wrong
            value.
    """
    return round_robin(
        game, dict(zip(names, (agent, other), strict=True)), deals=deals, seed=seed, aivat=aivat
    )


def round_robin(
    game: Game, agents: Mapping[str, Agent], *, deals: int = 1000, seed: int = 1, aivat: bool = True
) -> Matches:
    """Plays everybody against everybody; see :func:`play_match`, ``deals`` is of each match."""
    if deals < 1:
        raise ValueError(f"deals must be at least 1, got {deals}")
    if len(agents) < 2:
        raise ValueError(f"two agents with different names are needed, got {', '.join(agents) or 'none'}")
    for name, agent in agents.items():
        _check_same_rules(name, agent.game, game)
    entrants = [Entrant(name, agent) for name, agent in agents.items()]
    settings = ContestSettings(deals=deals, seed=seed, aivat="both" if aivat else "none")
    return Matches(game, hold_contest(game, entrants, settings))


def _check_same_rules(name: str, its: Game, game: Game) -> None:
    if difference := difference_of_rules(its, game):
        raise ValueError(f"{name} plays another game: {difference}")


def strategy_table(game: Game, agents: Mapping[str, Agent], *, rows: int = 30) -> Figure:
    """Draws what agents do at the information states that the first of them comes to most often.

    Args:
        game: small enough to be enumerated.
        agents: by name; none that draws.
        rows: information states.
    """
    whole = WholeGame(game)
    strategies = {name: whole_game_strategy(whole, agent) for name, agent in agents.items()}
    return strategy_tables.strategy_table(whole, strategies, most_rows=rows)


def range_grid(of: Spot | Agent, player: int, line: str = "") -> Figure:
    """Draws a player's range where a line ends: a grid with a cell for every pair of ranks.

    Args:
        of: a spot, or an agent, of hold'em.
        player: 0 or 1.
        line: public moves from the root, such as ``check bet 0.5 | 2s``.

    Raises:
        ValueError: the line is not one of its game, the game is not hold'em, or there is no such player.
    """
    game, state = _holdem(of.game), read_line(of.game, line).state
    if player not in (0, 1):
        raise ValueError(f"player must be 0 or 1, got {player}")
    return range_grids.range_grid(game, torch.as_tensor(of.weights(line)[player]), state.board)


def strategy_grid(
    of: Spot | Agent,
    line: str = "",
    *,
    beside: Spot | Agent | None = None,
    names: tuple[str, str] = NAMES,
) -> Figure:
    """Draws how often each hand takes each action where a line ends, a grid an action.

    Args:
        of: a spot, or an agent, of hold'em.
        line: public moves from the root, such as ``check bet 0.5``.
        beside: another of the same game, whose grids stand to the right; of hands as often as the first has
            them.
        names: of the two, different.

    Raises:
        ValueError: the line is not one of its game, nobody acts there, or the game is not hold'em or not that
            of the other.
    """
    game, state = _holdem(of.game), read_line(of.game, line).state
    if len({*names}) != len(NAMES):
        raise ValueError(f"names must be two different ones, got {names!r}")
    if beside is not None:
        _check_same_rules(names[1], beside.game, game)
    strategy, other = _strategy(of, line), None if beside is None else _strategy(beside, line)
    weights = torch.as_tensor(of.weights(line)[game.actor(state)])
    return range_grids.strategy_grid(game, state, strategy, weights, other, names)


def _strategy(of: Spot | Agent, line: str) -> Tensor:
    """``[A, H]`` of the legal actions where a line ends."""
    if isinstance(of, Run):
        raise ValueError(f"{of.name} is a run: expected an agent, such as run.agent()")
    return torch.as_tensor(np.stack(list(of.strategy(line).values())))


def _holdem(game: Game) -> Holdem:
    if not isinstance(game, Holdem):
        raise ValueError(f"{game.name} has no grid of hands: expected a game of hold'em")
    return game
