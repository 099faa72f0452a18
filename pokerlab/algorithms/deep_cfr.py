"""Deep CFR (Brown et al. 2019, arXiv 1811.00164) and SD-CFR (Steinberger 2019, arXiv 1901.07621).

Counterfactual regret minimisation without a table: a network for each player predicts *advantages*, what each
action of an information state would have won more than the strategy did, on average over the iterations.
The players take turns. In iteration t, of player p:

1. *Match regrets*: the strategy is in proportion to the positive advantages that the networks predict; where
   none is positive, the action with the highest.
2. *Traverse* the game by external sampling: player p tries all actions, those of the other are sampled from
   its strategy (:mod:`pokerlab.selfplay.external_sampling`).
3. *Add* the advantages that this found to the memory of player p, and the strategies of the other where it
   acted to the strategy memory, all with weight t: linear CFR.
4. *Train* the network of player p on its memory (value loss), by default from where it was; and the average
   network on the strategy memory (policy loss).

What converges to an equilibrium is the average strategy. Deep CFR plays what the average network learned of
it. SD-CFR plays the strategies of all iterations, each weighted by t and by how likely it is that the player
acts as it did: exactly the average, without a network's error. Where information states can be listed, one
pass of the networks gives them all, so that this average is a sum that is kept.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from pokerlab.agents.infostate_net import InfostateAgent
from pokerlab.agents.registry import POLICY_NET, SNAPSHOTS
from pokerlab.agents.tabular import TabularAgent
from pokerlab.algorithms.base import MakeAgent
from pokerlab.games.base import Game
from pokerlab.games.parts import network_features
from pokerlab.learning.infostate_network import InfostateNetwork, line_inputs
from pokerlab.learning.module import Learner, MakeOptimizer, log_number
from pokerlab.learning.networks import ILLEGAL_LOGIT
from pokerlab.selfplay.data import Batch, Stream
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.external_sampling import ExternalSampling
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.public_game import PublicGame, list_game

ADVANTAGES, STRATEGIES, TRAVERSALS = ("advantages_0", "advantages_1"), "strategies", "traversals"
"""The streams."""


@dataclass(frozen=True, slots=True)
class AdvantageSums(Examples):
    """What traversals found of information states, added up: of ``n`` decisions."""

    key: Tensor
    """``[n]`` int64, which decision."""
    advantages: Tensor
    """``[n, A, H]`` in pots at the root, times their weights."""
    squares: Tensor
    """``[n]`` of these, over actions and hands, times their weights."""
    weights: Tensor
    """``[n, H]``."""


@dataclass(frozen=True, slots=True)
class StrategySums(Examples):
    """What was played, added up: of ``n`` decisions."""

    key: Tensor
    """``[n]`` int64, which decision."""
    strategy: Tensor
    """``[n, A, H]`` times its weights."""


@dataclass(frozen=True, slots=True)
class Traversals(Examples):
    """What was traversed."""

    key: Tensor
    """``[n]`` int64, 0."""
    nodes: Tensor
    """``[n]`` histories touched."""


class DeepCFR:
    """The algorithm.

    Args:
        game: the rules; small enough for its public states to be listed.
        advantage_network: makes a network of a game, for each player.
        strategy_network: makes the average network.
        iterations: of the run.
        seed: of the run.
        strategy_every: the average network takes a step at every so many batches.
        from_scratch: whether an advantage network forgets what it learned before it is trained.
        learning_rate: at the start.
        final_learning_rate: at the end.
        optimizer: makes the optimiser.

    Raises:
        ValueError: it cannot be played on this game, or a number is wrong.
    """

    def __init__(
        self,
        game: Game,
        *,
        advantage_network: Callable[[Game], InfostateNetwork],
        strategy_network: Callable[[Game], InfostateNetwork],
        iterations: int,
        seed: int,
        strategy_every: int = 4,
        from_scratch: bool = False,
        learning_rate: float = 3e-3,
        final_learning_rate: float = 1e-3,
        optimizer: MakeOptimizer = torch.optim.Adam,
    ) -> None:
        network_features(game)
        if not game.enumerable:
            raise ValueError(f"{game.name} is too large to be enumerated, which Deep CFR needs here")
        if strategy_every < 1:
            raise ValueError(f"strategy_every must be at least 1, got {strategy_every}")
        self.game = game
        self._module: Callable[[], DeepCFRModule] = lambda: DeepCFRModule(
            DeepCFRNetworks(self.listed, [advantage_network(game) for _ in range(2)], strategy_network(game)),
            self.listed,
            strategy_every=strategy_every,
            from_scratch=from_scratch,
            iterations=iterations,
            seed=seed,
            optimizer=optimizer,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
        )

    @cached_property
    def listed(self) -> PublicGame:
        """The game's public states."""
        return list_game(self.game)

    def streams(self) -> Mapping[str, Stream]:
        """The advantages of each player, and the strategies, added up by information state."""
        decisions, actions, hands = self.listed.num_decisions, self.game.num_actions, self.game.num_hands
        key, of_actions = torch.empty(0, dtype=torch.int64), torch.empty(0, actions, hands)
        advantages = AdvantageSums(key, of_actions, torch.empty(0), torch.empty(0, hands))
        return {
            **{name: Stream(advantages, decisions, kept="summed") for name in ADVANTAGES},
            STRATEGIES: Stream(StrategySums(key, of_actions), decisions, kept="summed"),
            TRAVERSALS: Stream(Traversals(key, torch.empty(0)), 1, kept="summed"),
        }

    def actor(self) -> "DeepCFRActor":
        """Traverses the game."""
        return DeepCFRActor(self.game)

    def module(self) -> "DeepCFRModule":
        """Learns what traversals found."""
        return self._module()

    @property
    def agents(self) -> Mapping[str, MakeAgent]:
        """The average of all iterations' strategies, as SD-CFR plays it; and the average network."""
        return {SNAPSHOTS: self._snapshots, POLICY_NET: self._policy_net}

    def _snapshots(self, networks: "DeepCFRNetworks") -> TabularAgent:
        forest = self.listed.forest
        return TabularAgent.of(forest, forest.average(networks.played.cpu()))

    def _policy_net(self, networks: "DeepCFRNetworks") -> InfostateAgent:
        return InfostateAgent(self.game, networks.average)


def match_regrets(advantages: Tensor, legal: Tensor) -> Tensor:
    """``[n, A, H]`` the strategy: in proportion to positive advantages; if there are none, the highest.

    Args:
        advantages: ``[n, A, H]``.
        legal: ``[n, A]``.
    """
    advantages = advantages.masked_fill(~legal[:, :, None], -torch.inf)
    positive = advantages.clamp_min(0)
    highest = (advantages == advantages.amax(1, keepdim=True)).to(advantages)  # several, where all are 0
    chosen = torch.where(positive.sum(1, keepdim=True) > 0, positive, highest)
    return chosen / chosen.sum(1, keepdim=True)


class DeepCFRNetworks(nn.Module):
    """The networks, and the sum of what they ever played.

    Args:
        listed: the game.
        advantages: the advantage network of each player.
        average: the average network.
    """

    lines: Tensor
    """``[D, width]`` what networks see of the decisions."""
    legal: Tensor
    """``[D, A]``."""
    actor: Tensor
    """``[D]``."""
    played: Tensor
    """``[width, D, H]`` on the game's forest: own reach of each action, in iteration t times t."""

    def __init__(
        self, listed: PublicGame, advantages: Sequence[InfostateNetwork], average: InfostateNetwork
    ) -> None:
        super().__init__()
        self.advantages, self.average = nn.ModuleList(advantages), average
        lines = line_inputs(listed.game).encode(*listed.lines)
        known = {
            "lines": lines,
            "legal": torch.as_tensor(listed.legal),
            "actor": torch.as_tensor(listed.actor),
        }
        for name, tensor in known.items():
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("played", torch.zeros(listed.forest.edge_shape, dtype=torch.float64))

    @torch.no_grad()
    def strategy(self) -> Tensor:
        """``[D, A, H]`` what both players play now."""
        first, second = (network(self.lines) for network in self.advantages)
        return match_regrets(torch.where(self.actor[:, None, None] == 0, first, second), self.legal)

    def remember(self, listed: PublicGame, iteration: int) -> None:
        """Adds what is played now, in an iteration that counts from 1."""
        self.played += iteration * listed.own_reach(self.strategy().cpu()).to(self.played)


class DeepCFRActor:
    """Traverses the game for the player whose turn it is.

    Args:
        game: the rules.
    """

    def __init__(self, game: Game) -> None:
        self.game = game

    @cached_property
    def sampling(self) -> ExternalSampling:
        """Traverses."""
        return ExternalSampling(list_game(self.game))

    def generate(self, networks: DeepCFRNetworks, n: int, place: Place) -> dict[str, Examples]:
        """Adds up what ``n`` traversals find."""
        player, weight = place.iteration % 2, place.iteration + 1
        strategy, pot = networks.strategy().cpu(), self.game.pot(self.game.root())
        found = self.sampling.sample(strategy.numpy(), player, n, place.generator())
        key = torch.arange(len(strategy))
        advantages = AdvantageSums(
            key,
            torch.as_tensor(found.advantages) * (weight / pot),
            torch.as_tensor(found.squares) * (weight / pot**2),
            torch.as_tensor(found.weights) * weight,
        )
        played = torch.as_tensor(found.met)[:, None] * strategy * weight
        return {
            ADVANTAGES[player]: advantages,
            ADVANTAGES[1 - player]: advantages.select(slice(0)),
            STRATEGIES: StrategySums(key, played),
            TRAVERSALS: Traversals(key[:1], torch.tensor([found.nodes])),
        }


class DeepCFRModule(Learner):
    """Learns advantages of the player whose turn it is, and the average strategy.

    Args:
        networks: the networks.
        listed: the game.
        strategy_every: see :class:`DeepCFR`.
        from_scratch: see :class:`DeepCFR`.
        learning: see :class:`~pokerlab.learning.module.Learner`.
    """

    def __init__(
        self,
        networks: DeepCFRNetworks,
        listed: PublicGame,
        *,
        strategy_every: int,
        from_scratch: bool,
        **learning: object,
    ) -> None:
        super().__init__(**learning)  # type: ignore[arg-type]
        self.all_networks, self.listed = networks, listed
        self.strategy_every, self.from_scratch = strategy_every, from_scratch
        self._fresh = copy.deepcopy(networks.advantages.state_dict())

    @property
    def networks(self) -> DeepCFRNetworks:
        """What traversals and agents ask."""
        return self.all_networks

    def on_train_epoch_start(self) -> None:
        """Adds what is played in this iteration to what was ever played."""
        super().on_train_epoch_start()
        self.networks.remember(self.listed, self.current_epoch + 1)

    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Of the player's advantage network, and of the average network when it takes a step."""
        player = self.current_epoch % 2
        if not batch_idx:
            self._begin(player, batch)
        if batch_idx % self.strategy_every == 0:
            self._policy_loss = self.strategy_error(batch[STRATEGIES])
        losses = {
            "value_loss": self.advantage_error(player, batch[ADVANTAGES[player]]),
            "policy_loss": self._policy_loss,
        }
        self._policy_loss = self._policy_loss.detach()
        return losses

    def _begin(self, player: int, batch: Batch) -> None:
        log_number(self, "nodes_touched", batch[TRAVERSALS].nodes.item())
        if self.from_scratch:
            network = self.networks.advantages[player]
            network.load_state_dict(
                {
                    name.partition(".")[2]: weight
                    for name, weight in self._fresh.items()
                    if name.startswith(f"{player}.")
                }
            )
            for parameter in network.parameters():
                self.trainer.optimizers[0].state.pop(parameter, None)

    def advantage_error(self, player: int, sums: AdvantageSums) -> Tensor:
        """The value loss: mean square over legal actions of all that was found, in pots."""
        networks = self.networks
        own = networks.actor == player
        predicted = networks.advantages[player](networks.lines[own])
        weights, legal = sums.weights[own][:, None], networks.legal[own][:, :, None]
        mean = sums.advantages[own] / weights.clamp_min(1e-30)
        weights = weights * legal
        noise = sums.squares.sum() - (weights * mean.square()).sum()  # of samples around their mean
        error = ((predicted - mean.float()).square() * weights).sum() + noise
        return (error / weights.sum()).float()

    def strategy_error(self, sums: StrategySums) -> Tensor:
        """The policy loss: KL(what was played ‖ prediction) in nats, mean over what was played."""
        networks = self.networks
        logits = networks.average(networks.lines).masked_fill(~networks.legal[:, :, None], ILLEGAL_LOGIT)
        played = sums.strategy.float()
        target = played / played.sum(1, keepdim=True).clamp_min(1e-30)
        divergence = torch.xlogy(played, target) - played * logits.log_softmax(1)
        return divergence.sum() / played.sum()
