"""A search that plays what it is told, and what must follow from that, history by history in OpenSpiel."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pyspiel
import torch
from numpy.typing import NDArray
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Game
from pokerlab.games.parts import network_features, openspiel_names
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.search.locks import Locks
from pokerlab.search.resolving import Part
from pokerlab.search.rules import RULES
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.trajectories import SelfPlay

Floats: TypeAlias = NDArray[np.float64]
Play: TypeAlias = Callable[[Any], Floats]
"""Public state → ``[legal actions, H]`` probabilities."""
Script: TypeAlias = Callable[[Any, int], Floats]
"""(public state, iteration) → ``[legal actions, H]`` probabilities."""
Examples: TypeAlias = tuple[ValueExamples, PolicyExamples]

DOUBLE = torch.empty(0, dtype=torch.float64)


def random_script(game: Game, seed: int, *, pure: bool = False) -> Script:
    """Another random strategy for every state and iteration."""

    def script(state: Any, t: int) -> Floats:
        generator = np.random.default_rng([seed, t, zlib.crc32(repr(state).encode())])
        width = len(game.actions(state))
        chances = generator.dirichlet(np.ones(width), game.num_hands).T
        return np.eye(width)[chances.argmax(0)].T if pure else chances

    return script


class ScriptedCFR(CFR):
    """Iteration t's strategy is the script's; no values."""

    def __init__(self, forest: Forest, belief: Tensor, script: Script) -> None:
        super().__init__(
            forest, belief, RULES["cfr"], alternating=False, backend="tensors", leaf_evaluator=NoValues()
        )
        self.script = script
        self._read_script()

    def _read_script(self) -> None:
        nodes = self.forest.decisions
        for d, (tree, node) in enumerate(zip(nodes.tree, nodes.node, strict=True)):
            chances = self.script(self.forest.trees[tree].decisions.states[node], self.iteration + 1)
            self.strategy[: len(chances), d] = torch.as_tensor(chances).to(self.strategy)

    def run(self, iterations: int, samples: SampledStrategies | None = None) -> CFR:
        for _ in range(iterations):
            if samples is not None:
                samples.record(self.iteration + 1, self.strategy)
            self.iteration += 1
            self._read_script()
        return self

    def root_infostate_values(self) -> Tensor:
        return torch.zeros_like(self.belief)


class ScriptedSolver(Solver):
    """Starts :class:`ScriptedCFR`."""

    def __init__(self, script: Script) -> None:
        super().__init__("cfr")
        self.script = script

    def start(
        self,
        forest: Forest,
        belief: Tensor,
        leaf_evaluator: LeafEvaluator | None = None,
        gadget: Gadget | None = None,
        locks: Locks | None = None,
    ) -> CFR:
        return ScriptedCFR(forest, belief, self.script)


class NoValues:
    """Every leaf is worth nothing."""

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        return torch.zeros_like


class RepeatingSelfPlay(SelfPlay):
    """Repeats a node's policy example for every trajectory that came through, so that they can be counted."""

    def _policy_examples(self, part: Part, subgame_of: Tensor, draws: Tensor) -> PolicyExamples:
        once = super()._policy_examples(part, subgame_of, draws)
        return PolicyExamples(
            **{name: column.repeat_interleave(once.weight, 0) for name, column in once.columns().items()}
        )


def scripted_play(
    game: Game, script: Script, trajectories: int, *, iterations: int = 1, exploration: float = 0.0
) -> Examples:
    """Trajectories whose every strategy is known, in float64; each has its policy examples."""
    selfplay = RepeatingSelfPlay(
        game, ScriptedSolver(script), search_iterations=iterations, exploration=exploration
    )
    return selfplay.generate(NoValues(), trajectories, random_stream(0), DOUBLE)


def joints(game: Game, play: Play, explored: Play | None = None) -> dict[Any, Floats]:
    """Public state → ``[H, H]`` probability that the game comes there and the players hold these hands.

    Cards, legal actions and their consequences are OpenSpiel's.
    """
    found: dict[Any, Floats] = {}

    def walk(spiel: Any, public: Any, hands: tuple[int, ...], probability: float) -> None:
        if len(hands) == 2:
            found.setdefault(public, np.zeros((game.num_hands, game.num_hands)))[hands] += probability
        if spiel.is_terminal():
            assert game.actor(public) == TERMINAL
            return
        for place, action in enumerate(spiel.legal_actions()):
            if spiel.is_chance_node():
                chance = dict(spiel.chance_outcomes())[action]
                if len(hands) < 2:
                    walk(spiel.child(action), public, (*hands, action), probability * chance)
                else:
                    dealt = game.chance_outcomes(public)[action]
                    walk(spiel.child(action), dealt, hands, probability * chance)
            else:
                chance = play(public)[place, hands[spiel.current_player()]]
                walk(spiel.child(action), game.next_state(public, action), hands, probability * chance)

    walk(
        pyspiel.load_game(str(openspiel_names(game).openspiel_name)).new_initial_state(), game.root(), (), 1.0
    )
    return found


def exploring(game: Game, play: Play, player: int, rate: float) -> Play:
    """``play``, but ``player`` acts at random with probability ``rate``."""

    def explored(state: Any) -> Floats:
        chances = play(state)
        return (1 - rate) * chances + rate / len(chances) if game.actor(state) == player else chances

    return explored


def subgame_roots(game: Game) -> Iterator[Any]:
    """Where subgames start, apart from the root of the game."""

    def walk(root: Any, state: Any, depth: int) -> Iterator[Any]:
        if game.actor(state) == TERMINAL:
            return
        if depth and game.is_leaf(root, state, depth):
            yield state
            yield from walk(state, state, 0)
            return
        if game.actor(state) == CHANCE:
            below = list(game.chance_outcomes(state))
        else:
            below = [game.next_state(state, action) for action in game.actions(state)]
        for child in below:
            yield from walk(root, child, depth + 1)

    return walk(game.root(), game.root(), 0)


def with_features(examples: ValueExamples | PolicyExamples, game: Game, state: Any) -> Tensor:
    """``[n]`` which examples look like ``state``."""
    return (examples.features == torch.tensor(network_features(game).features(state))).all(1)


def joint_beliefs(game: Game, beliefs: Tensor) -> Tensor:
    """``[n, 2, H]`` → ``[n, H, H]`` what two beliefs say about a pair of hands; sums to 1."""
    joint = beliefs[:, 0, :, None] * beliefs[:, 1, None, :] * torch.as_tensor(game.deal)
    return joint / joint.sum((1, 2), keepdim=True)


def count(game: Game, policies: PolicyExamples, state: Any, joint: Floats) -> int:
    """How many trajectories started a subgame at ``state`` with these beliefs."""
    alike = with_features(policies, game, state)
    wanted = torch.as_tensor(joint / joint.sum())
    close = (joint_beliefs(game, policies.beliefs[alike].double()) - wanted).abs().amax((1, 2)) < 1e-5
    return int(close.sum())
