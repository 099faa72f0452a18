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
acts as it did: exactly the average, without a network's error.

Where the public states can be *listed*, one pass of the networks gives every strategy. Examples of the same
information state are added up then, which leaves the gradients of the losses as they are, and so is what
SD-CFR plays. In larger games, cards are dealt, networks are asked where traversals come, and memories are
reservoirs (:mod:`pokerlab.selfplay.reservoir`). SD-CFR plays some of the strategies of all iterations, drawn
in proportion to their weights: snapshots of the networks.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import NamedTuple, TypeAlias, cast

import torch
from psutil import virtual_memory
from torch import Tensor, nn

from pokerlab.agents.base import Agent, Line
from pokerlab.agents.line_network import LineNetworkAgent, look
from pokerlab.agents.registry import POLICY_NET, SNAPSHOTS
from pokerlab.agents.snapshots import SnapshotAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.algorithms.base import UNITS, MakeAgent
from pokerlab.games.base import MOST_HANDS, Game, is_small
from pokerlab.games.parts import HandInputs, network_features
from pokerlab.learning.deep_cfr_networks import DeepCFRNetworks, match_regrets
from pokerlab.learning.line_networks import LineNetwork, line_inputs
from pokerlab.learning.module import Learner, MakeOptimizer, log_number
from pokerlab.learning.networks import ILLEGAL_LOGIT, bytes_of, of_kind
from pokerlab.learning.snapshots import Snapshots
from pokerlab.selfplay.data import Batch, Stream
from pokerlab.selfplay.dealt_sampling import DealtSampling
from pokerlab.selfplay.infostate_examples import InfostateExamples, InfostateSums, Traversals
from pokerlab.selfplay.public_chance_sampling import PublicChanceSampling, check_deals_are_small
from pokerlab.selfplay.public_game import PublicGame, list_game
from pokerlab.selfplay.ranks import gather
from pokerlab.selfplay.traversing import ADVANTAGES, STRATEGIES, TRAVERSALS, DealtActor, ListedActor

MakeNetwork: TypeAlias = Callable[[Game], LineNetwork]


class DeepCFR:
    """The algorithm.

    Args:
        game: the rules: small enough to be listed, or hold'em.
        advantage_network: makes a network of a game, for each player.
        strategy_network: makes the average network.
        iterations: of the run.
        seed: of the run.
        advantage_capacity: examples in the reservoir of each player, if the game is not listed.
        strategy_capacity: examples in the reservoir of strategies.
        deal_traversals: traversals that share a deal, if the game is not listed.
        hands: of each decision of a deal, of how many hands an example is, drawn at random.
        sampling: ``external``, or ``public_chance`` for few public states a deal, if the game is not listed.
        snapshots: of each player's network, how many are kept, if the game is not listed.
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
        advantage_network: MakeNetwork,
        strategy_network: MakeNetwork,
        iterations: int,
        seed: int,
        advantage_capacity: int = 500_000,
        strategy_capacity: int = 500_000,
        deal_traversals: int = 50,
        hands: int = 32,
        sampling: str = "external",
        snapshots: int = 16,
        strategy_every: int = 4,
        from_scratch: bool = False,
        learning_rate: float = 3e-3,
        final_learning_rate: float = 1e-3,
        optimizer: MakeOptimizer = torch.optim.Adam,
    ) -> None:
        network_features(game)
        counts = {
            "advantage_capacity": advantage_capacity, "strategy_capacity": strategy_capacity,
            "deal_traversals": deal_traversals, "hands": hands, "snapshots": snapshots,
            "strategy_every": strategy_every,
        }  # fmt: skip
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        self.game, self.seed, self.is_listed = game, seed, is_small(game)
        if not self.is_listed and not isinstance(game, HandInputs):
            raise ValueError(
                f"{game.name} is too large for Deep CFR: expected hold'em, or a game of at most {MOST_HANDS} "
                "hands that can be enumerated"
            )
        if sampling not in ("external", "public_chance"):
            raise ValueError(f"sampling must be external or public_chance, got {sampling!r}")
        self._sampling = DealtSampling if sampling == "external" else PublicChanceSampling
        if sampling == "public_chance" and not self.is_listed:
            check_deals_are_small(game)
        self._advantage_capacity, self._strategy_capacity = advantage_capacity, strategy_capacity
        self._deal_traversals, self._hands = deal_traversals, min(hands, game.num_hands)
        self._snapshots, self._make_networks = snapshots, (advantage_network, strategy_network)
        self._module = partial(
            DeepCFRModule,
            strategy_every=strategy_every,
            from_scratch=from_scratch,
            iterations=iterations,
            seed=seed,
            optimizer=optimizer,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
        )

    units = UNITS
    takes_turns = True
    """What is played is of the strategies that it averages: it cannot be played ahead."""

    @cached_property
    def listed(self) -> PublicGame | None:
        """The game's public states, if they can be listed."""
        return list_game(self.game) if self.is_listed else None

    def streams(self) -> Mapping[str, Stream]:
        """The advantages of each player, the strategies, and how much was traversed."""
        memories: dict[str, Stream]
        if self.listed is not None:
            sums = Stream(InfostateSums.none(self.game), self.listed.num_decisions, kept="summed")
            memories = dict.fromkeys((*ADVANTAGES, STRATEGIES), sums)
        else:
            none = InfostateExamples.none(self.game, line_inputs(self.game).width, self._hands)
            advantages = Stream(none, self._advantage_capacity, kept="reservoir", seed=self.seed)
            strategies = Stream(none, self._strategy_capacity, kept="reservoir", seed=self.seed)
            memories = {**dict.fromkeys(ADVANTAGES, advantages), STRATEGIES: strategies}
        return {**memories, TRAVERSALS: Stream(Traversals.none(), 1, kept="summed")}

    def actor(self) -> "ListedActor | DealtActor":
        """Traverses the game."""
        if self.is_listed:
            return ListedActor(self.game)
        inputs = line_inputs(self.game)
        return DealtActor(self.game, self._deal_traversals, self._hands, inputs, self._sampling)

    def module(self) -> "DeepCFRModule":
        """Learns what traversals found.

        Raises:
            ValueError: a network is of another kind, or the memories do not fit in this machine's.
        """
        advantage, strategy = self._make_networks
        advantages, average = [advantage(self.game) for _ in range(2)], strategy(self.game)
        of_kind(LineNetwork, advantage_network=advantages[0], strategy_network=average)
        needed = sum(each.capacity * each.none.bytes_each for each in self.streams().values())
        if not self.is_listed:
            needed += sum(self._snapshots * bytes_of(each) for each in advantages)
        if needed > (there := virtual_memory().total):
            raise ValueError(
                f"advantage_capacity {self._advantage_capacity:,} and {self._strategy_capacity:,} of "
                f"strategies take {needed / 1e9:.3g} GB with {self._snapshots:,} snapshots, and the machine "
                f"has {there / 1e9:.3g} GB"
            )
        networks = DeepCFRNetworks(advantages, average, listed=self.listed, snapshots=self._snapshots)
        return self._module(networks, self.listed)

    @property
    def agents(self) -> Mapping[str, MakeAgent]:
        """What SD-CFR plays, exact where the game is listed, and the average network; the quick one first."""
        ways: dict[str, MakeAgent] = {SNAPSHOTS: self._snapshot_agent, POLICY_NET: self._policy_net}
        return ways if self.is_listed else dict(reversed(ways.items()))

    def _snapshot_agent(self, networks: DeepCFRNetworks) -> Agent:
        if self.listed is not None:
            return TabularAgent.of(self.listed.forest, self.listed.forest.average(networks.played.cpu()))
        kept = [
            snapshots.networks(network) or [network]  # type: ignore[operator]  # which had no turn yet
            for snapshots, network in zip(networks.snapshots, networks.advantages, strict=True)
        ]

        @torch.no_grad()
        def strategies(player: int, lines: Sequence[Line]) -> Tensor:
            seen, legal, hands = look(self.game, lines, next(networks.parameters()))
            found = [match_regrets(each.of_all_hands(seen, hands), legal) for each in kept[player]]
            return torch.stack(found, 1)

        return SnapshotAgent(self.game, strategies)

    def _policy_net(self, networks: DeepCFRNetworks) -> LineNetworkAgent:
        return LineNetworkAgent(self.game, networks.average)


class DeepCFRModule(Learner):
    """Learns advantages of the player whose turn it is, and the average strategy.

    Args:
        networks: the networks.
        listed: the game; None: it is not listed.
        strategy_every: see :class:`DeepCFR`.
        from_scratch: see :class:`DeepCFR`.
        learning: see :class:`~pokerlab.learning.module.Learner`.
    """

    def __init__(
        self,
        networks: DeepCFRNetworks,
        listed: PublicGame | None,
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
        """Adds what is played in this iteration to what was ever played, if the game is listed; or keeps the
        network from which actions are sampled."""
        super().on_train_epoch_start()
        iteration, other = self.current_epoch + 1, 1 - self.current_epoch % 2
        if self.listed is not None:
            self.networks.remember(self.listed, iteration)
        else:
            snapshots = cast(Snapshots, self.networks.snapshots[other])
            draws = replace(self.place, rank=0).generator()  # all ranks keep the same ones
            snapshots.add(self.networks.advantages[other], iteration, draws)

    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Of the player's advantage network; and of the average network, as of its latest step.

        None of what no traversal of the iteration came to."""
        player, losses = self.current_epoch % 2, dict[str, Tensor]()
        if not batch_idx:
            log_number(self, "nodes_touched", sum(gather(batch[TRAVERSALS].nodes.item())))
            if self.from_scratch:
                self._forget(player)
        if (found := batch.get(ADVANTAGES[player])) is not None:
            losses["value_loss"] = self.advantage_error(player, found)
        if (found := batch.get(STRATEGIES)) is not None:
            if batch_idx % self.strategy_every == 0:
                self._policy_loss = self.strategy_error(found)
            losses["policy_loss"] = self._policy_loss
            self._policy_loss = self._policy_loss.detach()
        return losses

    def _forget(self, player: int) -> None:
        """Has a player's advantage network begin anew."""
        network, mine = self.networks.advantages[player], f"{player}."
        fresh = {name.removeprefix(mine): each for name, each in self._fresh.items() if name.startswith(mine)}
        network.load_state_dict(fresh)
        for parameter in network.parameters():
            self.trainer.optimizers[0].state.pop(parameter, None)

    def advantage_error(self, player: int, examples: InfostateSums | InfostateExamples) -> Tensor:
        """The value loss: mean square over legal actions, in pots."""
        predicted, found = self._ask(self.networks.advantages[player], examples, player)
        squares = (predicted - found.targets).square() * found.legal[:, :, None]
        each = found.legal.sum(1, keepdim=True) * found.weights  # how many squares count as one
        return ((squares * found.weights[:, None]).sum() + found.noise) / each.sum().clamp_min(1e-30)

    def strategy_error(self, examples: InfostateSums | InfostateExamples) -> Tensor:
        """The policy loss: KL(what was played ‖ prediction) in nats, mean over what was played."""
        logits, found = self._ask(self.networks.average, examples)
        log_policy = logits.masked_fill(~found.legal[:, :, None], ILLEGAL_LOGIT).log_softmax(1)
        divergence = (torch.xlogy(found.targets, found.targets) - found.targets * log_policy).sum(1)
        return (divergence * found.weights).sum() / found.weights.sum().clamp_min(1e-30)

    def _ask(
        self, network: nn.Module, examples: InfostateSums | InfostateExamples, player: int | None = None
    ) -> tuple[Tensor, "Found"]:
        """What a network says where something was found, by one player if the game is listed; and that."""
        if isinstance(examples, InfostateExamples):
            targets, weights = examples.targets, examples.hand_weights
            return network(examples.lines, examples.hands), Found(examples.legal, targets, weights)
        networks = self.networks
        rows = slice(None) if player is None else networks.actor == player
        weights = examples.hand_weights[rows]
        targets = examples.targets[rows] / weights.clamp_min(1e-30)[:, None]
        noise = examples.squares.sum() - (weights[:, None] * targets.square()).sum()
        total = weights.sum().clamp_min(1e-30)  # of single precision, the sums use all digits
        weights, noise = (weights / total).float(), (noise / total).float()
        return network(networks.lines[rows]), Found(networks.legal[rows], targets.float(), weights, noise)


class Found(NamedTuple):
    """What was found at information states."""

    legal: Tensor
    """``[n, A]``."""
    targets: Tensor
    """``[n, A, k]`` the mean."""
    weights: Tensor
    """``[n, k]``."""
    noise: Tensor | float = 0.0
    """The sum of squares around the mean, times weights."""
