"""What a run has learned to play, from one of its checkpoints."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import POLICY_NET, check_way
from pokerlab.algorithms.base import Algorithm, make_agent
from pokerlab.algorithms.rebel import ReBeL
from pokerlab.config.build import check_cards
from pokerlab.config.schema import RunConfig
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.games.base import Game
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.solver import Solver
from pokerlab.store.folder import LAST, RunFolder, shipped_runs
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import find_checkpoint, restore


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run's game and networks, and how it searches."""

    folder: RunFolder
    checkpoint: Path
    iteration: int
    """Those that the checkpoint took."""
    config: RunConfig
    """The run's."""
    algorithm: Algorithm
    networks: Any
    """Of its module, as its agents take them."""
    solver: Solver
    search_iterations: int
    """CFR iterations a subgame."""
    learned: Game
    """What it learned to play; :attr:`game` may have other bets, stacks or blinds."""

    @property
    def name(self) -> str:
        """What its agents are called: of another checkpoint than the last, with that."""
        run, checkpoint = self.folder.path.name, self.checkpoint
        return run if checkpoint.name == LAST else f"{run}/{checkpoint.stem}"

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with the package: nothing is written to its folder."""
        return self.folder.path in [run.path for run in shipped_runs().values()]

    @property
    def game(self) -> Game:
        """The rules at the table."""
        return self.algorithm.game

    @property
    def leaf_evaluator(self) -> LeafEvaluator:
        """Values public belief states of its game, and of games with the same cards.

        Raises:
            ValueError: the algorithm learns no such values.
        """
        self.rebel()
        evaluator: LeafEvaluator = self.networks
        return evaluator

    def rebel(self) -> ReBeL:
        """The algorithm, if it is the one that learns values of public belief states.

        Raises:
            ValueError: it is another.
        """
        if not isinstance(self.algorithm, ReBeL):
            raise ValueError(f"{type(self.algorithm).__name__} learns no values of public belief states")
        return self.algorithm

    def agent(self, way: str) -> Agent:
        """Plays in one of the ways to play.

        Raises:
            ValueError: there is no such way, not with this solver, or not by these rules.
        """
        ways = self.algorithm.agents
        if way not in ways:
            check_way(way)
            raise ValueError(f"{type(self.algorithm).__name__} plays {' or '.join(ways)}, not {way}")
        if way == POLICY_NET and self.game.action_labels != self.learned.action_labels:
            raise ValueError(f"{way} learned to choose from {', '.join(self.learned.action_labels)}: search")
        return make_agent(ways[way], self.networks, iterations=self.search_iterations, solver=self.solver)


def load_run(
    wanted: str,
    device: torch.device,
    *,
    solver: Solver | None = None,
    search_iterations: int | None = None,
    rules: Mapping[str, Any] | None = None,
) -> TrainedRun:
    """Loads a run's name, its folder, or a checkpoint.

    Args:
        wanted: as ``run=`` takes it.
        device: where networks are asked.
        solver: the CFR variant; None: the run's own.
        search_iterations: CFR iterations a subgame; None: as the run itself was measured.
        rules: arguments of the run's game that differ from its own.

    Raises:
        UserError: there is none, it cannot be read, or its networks are not for a game of such rules.
    """
    folder, checkpoint = find_checkpoint(wanted)
    config = read_config(folder)
    parts, iteration = restore(config, checkpoint)
    algorithm, learned = parts.algorithm, parts.algorithm.game
    if rules:
        try:
            algorithm = RunParts(replace(config, game={**config.game, **rules})).algorithm
        except UserError as error:  # the run's own rules are right
            raise UserError(re.sub(r"(?<![\w.])game\.", "match.rules.", str(error))) from error
        check_cards(learned, algorithm.game)
    return TrainedRun(
        folder,
        checkpoint,
        iteration,
        config,
        algorithm,
        parts.module.to(device).eval().networks,
        solver or parts.solver,
        search_iterations or config.evaluation.search_iterations,
        learned,
    )
