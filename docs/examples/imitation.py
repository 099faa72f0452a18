"""Imitation: a policy network learns to play the equilibrium that CFR finds of a small game."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial

import torch
from torch import Tensor

from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.games.base import Game
from pokerlab.learning.module import Learner
from pokerlab.learning.networks import PolicyNetwork
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.data import Batch, Stream
from pokerlab.selfplay.examples import PolicyExamples
from pokerlab.selfplay.place import Place


class Imitation:
    """The algorithm: what it learns from, what makes that, what learns, and how it plays then.

    Args:
        game: small enough for tabular CFR.
        policy_network: makes the network of a game.
        iterations: of the run; seed: of the run. Both are given to every algorithm that takes them.
        cfr_iterations: of the equilibrium.
        capacity: how many examples are kept.
        learning_rate: at the start.
    """

    def __init__(
        self,
        game: Game,
        *,
        policy_network: Callable[[Game], PolicyNetwork],
        iterations: int,
        seed: int,
        cfr_iterations: int = 500,
        capacity: int = 10_000,
        learning_rate: float = 1e-2,
    ) -> None:
        self.game, self.cfr_iterations, self.capacity = game, cfr_iterations, capacity
        self.module = lambda: Student(
            policy_network(game), iterations=iterations, seed=seed, learning_rate=learning_rate
        )
        self.agents = {"policy_net": partial(PolicyNetworkAgent, game)}

    def streams(self) -> Mapping[str, Stream]:
        """Decisions of the equilibrium."""
        return {"decisions": Stream(PolicyExamples.none(self.game), self.capacity)}

    def actor(self) -> "Teacher":
        """Shows them."""
        return Teacher(self.game, self.cfr_iterations)


class Teacher:
    """The actor: shows decision nodes of the whole game, drawn at random, with what the equilibrium does."""

    def __init__(self, game: Game, iterations: int) -> None:
        self.game, self.iterations = game, iterations

    @cached_property
    def decisions(self) -> PolicyExamples:
        """Of every decision node once."""
        forest = Forest(
            self.game, [build_tree(self.game, self.game.root(), depth_limited=False)], dtype=torch.float64
        )
        belief = torch.as_tensor(self.game.initial_beliefs)[:, None]
        strategy = Solver("dcfr").start(forest, belief).run(self.iterations).average_strategy()
        nodes, reach = forest.decisions, forest.reach(strategy, belief=belief)
        return PolicyExamples(
            features=nodes.features.float(),
            beliefs=forest.beliefs_at(nodes, reach, belief).transpose(0, 1).float(),
            possible=nodes.possible.bool(),
            legal=forest.by_action(forest.legal)[:, :, 0],
            strategy=forest.by_action(strategy).float(),
            weight=torch.ones(len(nodes), dtype=torch.int32),  # each is drawn as often as any other
        )

    def generate(self, networks: PolicyNetwork, n: int, place: Place) -> dict[str, PolicyExamples]:
        """Shows ``n`` of them."""
        drawn = torch.randint(len(self.decisions), (n,), generator=place.generator())
        columns = {name: column[drawn] for name, column in self.decisions.columns().items()}
        return {"decisions": PolicyExamples(**columns)}


class Student(Learner):
    """The module: learns to play as it is shown."""

    def __init__(self, policy_network: PolicyNetwork, *, iterations: int, seed: int, learning_rate: float):
        super().__init__(iterations=iterations, seed=seed, learning_rate=learning_rate)
        self.policy_network = policy_network

    @property
    def networks(self) -> PolicyNetwork:
        """What the teacher is given, and the agent."""
        return self.policy_network

    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The cross-entropy with what the equilibrium does."""
        shown: PolicyExamples = batch["decisions"]
        log_policy = self.policy_network(shown.features, shown.beliefs, shown.legal)
        entropy = -(shown.strategy * log_policy).sum(1)
        return {"policy_loss": (entropy * shown.possible).sum() / shown.possible.sum()}
