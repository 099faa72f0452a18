"""ReBeL: recursive belief-based learning (Brown, Bakhtin, Lerer, Gong 2020, arXiv 2007.13544).

Algorithm 1 of the paper. From a public belief state (PBS), starting at the root of the game:

1. *Construct a subgame* of the PBS, as deep as the game says, with the value network at its leaves.
2. *Solve* it with ``search_iterations`` iterations of CFR (optionally warm-started by the policy network).
3. *Sample a leaf* PBS: an iteration is drawn, both players play its strategy, one of them explores with
   probability ``exploration`` an action; the PBS that they come to is the next to be solved.
4. *Add* (PBS, value at the root) to the value data, and the average strategy at every PBS of the subgame to
   the policy data.
5. *Train* the value network by MSE (or Huber) and the policy network by cross-entropy, here as the KL
   divergence, which differs from it by a constant.

Steps 1 to 4 stand in :mod:`pokerlab.selfplay.trajectories`, for many trajectories at once. At a table the
same search is run at every PBS that the game comes to (section 6), or the policy network plays alone.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.search import SearchAgent
from pokerlab.algorithms.base import UNITS, MakeAgent
from pokerlab.cuda import send
from pokerlab.games.base import Game
from pokerlab.games.parts import HandInputs, SuitRelabelling, network_features
from pokerlab.learning.module import Learner, MakeOptimizer
from pokerlab.learning.networks import LeafNetwork, Networks, StrategyNetwork, follow, of_kind
from pokerlab.learning.relabelling import Relabelling
from pokerlab.search.resolving import WAYS_TO_SEARCH
from pokerlab.search.solver import Solver
from pokerlab.selfplay.actors.base import Report
from pokerlab.selfplay.data import Batch, Stream
from pokerlab.selfplay.examples import Examples, PolicyExamples, ValueExamples
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.starts import StartExamples, Starts
from pokerlab.selfplay.trajectories import SelfPlay

VALUES, POLICIES = "values", "policies"
"""The streams."""
SHALLOWEST = 0.05
"""Stack in pots below which errors count no more for that."""
VALUE_LOSSES = ("mse", "huber")


class ReBeL:
    """The algorithm.

    Args:
        game: the rules.
        solver: the CFR variant that solves subgames.
        value_network: makes the value network of a game.
        policy_network: makes the policy network of a game.
        iterations: of the run.
        seed: of the run.
        search_iterations: CFR iterations a subgame, ``T``.
        exploration: probability ε that the exploring player acts at random at a step.
        targets: value examples of one solve, see :class:`~pokerlab.selfplay.trajectories.SelfPlay`.
        starts: share of trajectories that start on each street; None: all start at the root.
        stored: share of those after the root that start from belief states which earlier self-play came to.
        bottom_up: iterations at the beginning in which all start on one street, by street; None: none.
        start_capacity: how many such belief states are kept of each street.
        policy_examples: decision nodes of a subgame drawn for each trajectory; None: all.
        value_capacity: how many value examples are kept to learn from.
        policy_capacity: how many policy examples are.
        value_loss: ``mse`` or ``huber``.
        huber_delta: where Huber turns linear, in pots.
        policy_weight: weight of the policy loss beside the value loss.
        learning_rate: at the start.
        final_learning_rate: at the end.
        optimizer: makes the optimiser.
        relabel: whether to learn from each example under names of the suits drawn at random.
        hand_inputs: whether what networks are told of hands is computed once for each example, and kept with
            it; otherwise a network that needs it computes it at every step.
        belief_weight: share of the losses in which hands count as often as they are held; in the rest they
            count alike. Of the policy loss only in games with :class:`~pokerlab.games.parts.HandInputs`.
        ema_decay: what plays is a moving average of the weights, of which each step keeps this share; 0:
            the newest weights.
        shallow_weight: exponent x: errors of values are multiplied by (1 + 1/s)ˣ, where s is the stack in
            pots: little can still be won in a large pot, and it is many chips. 0: errors are in pots.
    """

    def __init__(
        self,
        game: Game,
        *,
        solver: Solver,
        value_network: Callable[[Game], LeafNetwork],
        policy_network: Callable[[Game], StrategyNetwork],
        iterations: int,
        seed: int,
        search_iterations: int,
        exploration: float = 0.25,
        targets: int = 1,
        policy_examples: int | None = None,
        starts: Mapping[str, float] | None = None,
        stored: float = 0.5,
        bottom_up: Mapping[str, int] | None = None,
        start_capacity: int = 10_000,
        value_capacity: int,
        policy_capacity: int,
        value_loss: str = "mse",
        huber_delta: float = 1.0,
        policy_weight: float = 1.0,
        learning_rate: float = 1e-3,
        final_learning_rate: float = 1e-5,
        optimizer: MakeOptimizer = torch.optim.Adam,
        relabel: bool = True,
        hand_inputs: bool = False,
        belief_weight: float = 0.0,
        ema_decay: float = 0.0,
        shallow_weight: float = 0.0,
    ) -> None:
        network_features(game)  # whatever lacks them cannot be learned
        self.game, self.solver, self.search_iterations = game, solver, search_iterations
        self._hand_inputs = hand_inputs
        self._value_capacity, self._policy_capacity = value_capacity, policy_capacity
        self._starts, self._start_capacity = Starts(game, starts, stored, bottom_up), start_capacity
        self._selfplay = SelfPlay(
            game,
            solver,
            search_iterations=search_iterations,
            exploration=exploration,
            targets=targets,
            policy_examples=policy_examples,
            starts=self._starts,
            hand_inputs=hand_inputs,
        )
        self._module: Callable[[], ReBeLModule] = lambda: ReBeLModule(
            value_network(game),
            policy_network(game),
            relabelling=Relabelling(game.relabellings())
            if relabel and isinstance(game, SuitRelabelling)
            else None,
            value_loss=value_loss,
            huber_delta=huber_delta,
            belief_weight=belief_weight,
            ema_decay=ema_decay,
            value_scale=ValueScale(game, shallow_weight) if shallow_weight else None,
            acting=game.acting if belief_weight and isinstance(game, HandInputs) else None,
            policy_weight=policy_weight,
            iterations=iterations,
            seed=seed,
            optimizer=optimizer,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
        )

    units = UNITS

    def streams(self) -> Mapping[str, Stream]:
        """The value data, the policy data, and belief states to start from."""
        starts, inputs = self._starts, self._hand_inputs
        return {
            VALUES: Stream(ValueExamples.none(self.game, hand_inputs=inputs), self._value_capacity),
            POLICIES: Stream(PolicyExamples.none(self.game, hand_inputs=inputs), self._policy_capacity),
            **{
                name: Stream(
                    starts.none(), self._start_capacity, starts.largest_share(street) * starts.stored
                )
                for street, name in starts.names.items()
            },
        }

    def actor(self) -> "ReBeLActor":
        """Makes both by self-play."""
        return ReBeLActor(self._selfplay)

    def module(self) -> "ReBeLModule":
        """Learns both."""
        return self._module()

    @property
    def agents(self) -> Mapping[str, MakeAgent]:
        """Search that goes on from a drawn iteration, as the paper's; from average strategies; with a gadget;
        and the policy network alone."""
        search = {way: partial(self._search, way) for way in WAYS_TO_SEARCH}
        return {**search, "policy_net": self._policy_net}

    def _search(
        self,
        way: str,
        networks: Networks,
        *,
        iterations: int | None = None,
        solver: Solver | None = None,
    ) -> SearchAgent:
        return SearchAgent(
            self.game,
            solver or self.solver,
            networks,
            iterations=iterations or self.search_iterations,
            way=way,
            like=next(networks.parameters()).detach().flatten()[:0],
        )

    def _policy_net(self, networks: Networks) -> PolicyNetworkAgent:
        return PolicyNetworkAgent(self.game, networks.policy)


@dataclass(slots=True)
class ReBeLActor:
    """Self-play with the newest networks."""

    selfplay: SelfPlay
    report: Report | None = None

    def generate(
        self, networks: Networks, n: int, place: Place, stored: Mapping[str, StartExamples] | None = None
    ) -> dict[str, Examples]:
        """Plays ``n`` trajectories to the end of the game, some of them from what is stored."""
        like = next(networks.parameters()).detach()[:0]
        played = self.selfplay.play(
            networks, n, place.generator(), like, stored, self.report, place.iteration
        )
        return {VALUES: played.values, POLICIES: played.policies, **played.starts}

    def count_without_networks(self, n: int, iteration: int) -> int:
        """Those that start on the last street, where networks are asked once, about the deal."""
        return self.selfplay.starts.count_on_last(n, iteration)

    def without_networks(self) -> "ReBeLActor":
        """Plays those."""
        return self._only(on_last=True)

    def with_networks(self) -> "ReBeLActor":
        """Plays the others."""
        return self._only(on_last=False)

    def _only(self, *, on_last: bool) -> "ReBeLActor":
        selfplay = copy.copy(self.selfplay)
        selfplay.starts = selfplay.starts.only(on_last=on_last)
        return ReBeLActor(selfplay)


class ValueScale:
    """What errors of values are multiplied by: (1 + 1/s)ˣ, where s is the stack in pots.

    Args:
        game: hold'em.
        exponent: x.

    Raises:
        ValueError: the game has no stacks, or the exponent is not between 0 and 1.
    """

    def __init__(self, game: Game, exponent: float) -> None:
        if not isinstance(game, HandInputs):
            raise ValueError(f"shallow_weight must be 0 in {game.name}, got {exponent}")
        if not 0 <= exponent <= 1:
            raise ValueError(f"shallow_weight must lie between 0 and 1, got {exponent}")
        self.game, self.exponent = game, exponent

    def __call__(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n]``."""
        return (1 + 1 / self.game.stacks_to_pots(features).clamp_min(SHALLOWEST)).pow(self.exponent)


class ReBeLModule(Learner):
    """Learns the values and strategies that search found.

    Args:
        value_network: predicts infostate values in pots.
        policy_network: predicts average strategies.
        relabelling: each example is learned from under one of these names, drawn at random; None: as it is.
        value_loss: ``mse`` or ``huber``.
        huber_delta: where Huber turns linear, in pots.
        belief_weight: see :class:`ReBeL`.
        ema_decay: see :class:`ReBeL`.
        value_scale: ``[n, F]`` features → ``[n]`` what errors of values are multiplied by; None: 1.
        acting: ``[n, F]`` features → ``[n, 2]`` 1 for the player to act; None: the policy loss has no
            ``belief_weight``.
        policy_weight: weight of the policy loss beside the value loss.
        learning: see :class:`~pokerlab.learning.module.Learner`.
    """

    def __init__(
        self,
        value_network: LeafNetwork,
        policy_network: StrategyNetwork,
        *,
        relabelling: Relabelling | None = None,
        value_loss: str = "mse",
        huber_delta: float = 1.0,
        belief_weight: float = 0.0,
        ema_decay: float = 0.0,
        value_scale: Callable[[Tensor], Tensor] | None = None,
        acting: Callable[[Tensor], Tensor] | None = None,
        policy_weight: float = 1.0,
        **learning: object,
    ) -> None:
        super().__init__(weights={"policy_loss": policy_weight}, **learning)  # type: ignore[arg-type]
        if value_loss not in VALUE_LOSSES:
            raise ValueError(f"value_loss must be one of {', '.join(VALUE_LOSSES)}, got {value_loss!r}")
        if not huber_delta > 0:
            raise ValueError(f"huber_delta must be positive, got {huber_delta}")
        if not policy_weight >= 0:
            raise ValueError(f"policy_weight must not be negative, got {policy_weight}")
        if not 0 <= belief_weight <= 1:
            raise ValueError(f"belief_weight must lie between 0 and 1, got {belief_weight}")
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be at least 0 and less than 1, got {ema_decay}")
        self.belief_weight, self.ema_decay = belief_weight, ema_decay
        self.value_scale, self.acting = value_scale, acting
        of_kind(LeafNetwork, value_network=value_network)
        of_kind(StrategyNetwork, policy_network=policy_network)
        self.value_network, self.policy_network = value_network, policy_network
        if ema_decay:
            both = {"value_network": value_network, "policy_network": policy_network}
            self.learned = copy.deepcopy(nn.ModuleDict(both))
            for network in both.values():
                network.requires_grad_(False)
        self.value_loss, self.huber_delta, self.relabelling = value_loss, huber_delta, relabelling

    @property
    def networks(self) -> Networks:
        """Both, as search takes them."""
        return Networks(self.value_network, self.policy_network)

    def compile_losses(self) -> None:
        """Has torch compile the losses; not the networks, which go to other processes."""
        self.value_error = torch.compile(self.value_error)  # type: ignore[method-assign]
        self.policy_error = torch.compile(self.policy_error)  # type: ignore[method-assign]

    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Of the value network and of the policy network."""
        values, policies = batch[VALUES], batch[POLICIES]
        if self.relabelling is not None:
            draws = self.place.generator(batch_idx)
            values, policies = self.relabelling(values, draws), self.relabelling(policies, draws)
        if not self.value_network.features_on_host:
            values = replace(values, features=send(values.features, self.device))
        if not self.policy_network.features_on_host:
            policies = replace(policies, features=send(policies.features, self.device))
        return {"value_loss": self.value_error(values), "policy_loss": self.policy_error(policies)}

    def value_error(self, examples: ValueExamples) -> Tensor:
        """The value loss: mean over hands, possible ones alike and by belief, in pots (squared)."""
        predicted = self._learns("value_network")(examples.features, examples.beliefs, examples.hand_inputs)
        errors = predicted - examples.values
        if self.value_scale is not None:
            errors = errors * send(self.value_scale(examples.features), errors.device)[:, None, None]
        if self.value_loss == "mse":
            errors = errors.square()
        else:
            nothing = torch.zeros_like(errors)
            errors = functional.huber_loss(errors, nothing, reduction="none", delta=self.huber_delta)
        possible = examples.possible[:, None].expand_as(errors)
        return self._mean(errors, possible, examples.beliefs)

    def policy_error(self, examples: PolicyExamples) -> Tensor:
        """The policy loss: KL(target ‖ prediction) in nats, mean over hands, possible ones alike and by what
        is believed of the player to act."""
        log_policy = self._learns("policy_network")(
            examples.features, examples.beliefs, examples.legal, examples.hand_inputs
        )
        target = examples.strategy
        divergence = (torch.xlogy(target, target) - target * log_policy).sum(1)
        if self.acting is None:
            return self._mean(divergence, examples.possible)
        acting = send(self.acting(examples.features).to(divergence.dtype), divergence.device)
        belief = torch.einsum("np,nph->nh", acting, examples.beliefs)
        return self._mean(divergence, examples.possible, belief)

    def _mean(self, errors: Tensor, possible: Tensor, belief: Tensor | None = None) -> Tensor:
        """``[..., H]`` errors → their mean over possible hands, alike and, where it is given, by belief."""
        if belief is None or not self.belief_weight:
            return (errors * possible).sum() / possible.sum()
        by_belief = belief * (self.belief_weight / belief.shape[:-1].numel())
        return (errors * possible * (by_belief + (1 - self.belief_weight) / possible.sum())).sum()

    def _learns(self, name: str) -> nn.Module:
        """The network that steps change."""
        of: nn.Module = self.learned if self.ema_decay else self
        return of.get_submodule(name)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Averages weights; see :class:`Learner`."""
        if self.ema_decay:
            steps = self.trainer.global_step  # at first, what they began with must not linger
            share = max(1 - self.ema_decay, 9 / (steps + 9))
            for name, network in self.learned.items():
                follow(self.get_submodule(name), network, share)
        super().on_train_batch_end(outputs, batch, batch_idx)
