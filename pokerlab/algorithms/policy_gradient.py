"""PPO with a magnet: a policy gradient on information states, in self-play or against a fixed opponent.

Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with what makes it converge where both
players learn: magnetic mirror descent (MMD; Sokota et al. 2023, arXiv 2206.05825) adds the entropy and the
divergence from a *magnet*, a policy that follows slowly. Large studies of learners without a model find it
hard to beat (Rudolph et al. 2025, arXiv 2502.08938).

An iteration:

1. *Play* thousands of hands at once with the newest policy (:mod:`pokerlab.selfplay.hands`).
2. *Estimate* what each action brought more than the critic expected (GAE; Schulman et al. 2016).
3. *Learn* in a few passes over these decisions: raise the probability of what brought more, as long as it is
   near what it was; times temperatures, raise the entropy, and lower the divergence from the magnet.
4. *Move* the magnet towards the policy.

Against a fixed opponent in the other seat the same is an approximate best response.
"""

import copy
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.opponents import Opponent, Responses
from pokerlab.agents.tabular import is_small
from pokerlab.algorithms.base import MakeAgent
from pokerlab.games.base import Game, Ints
from pokerlab.games.parts import network_features
from pokerlab.learning.decisions import DecisionExamples, ResultExamples
from pokerlab.learning.infostates import InfostateNetwork, Infostates, log_policy
from pokerlab.learning.module import Learner, MakeOptimizer, log_number
from pokerlab.selfplay.data import Batch, Stream
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.hands import Answers, play_hands
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.public_states import FoundStates, ListedStates, PublicStates, list_states

DECISIONS, RESULTS = "decisions", "results"
"""The streams."""
NOTHING = 1e-3
"""What a best response wins, in big blinds, of an opponent of whom there is nothing to be won."""


class ActorCritic(nn.Module):
    """The policy, what it expects, and the magnet.

    Args:
        policy: gives logits of actions.
        critic: what is still to be won, in big blinds.
    """

    def __init__(self, policy: InfostateNetwork, critic: InfostateNetwork) -> None:
        super().__init__()
        self.policy, self.critic = policy, critic
        self.magnet = copy.deepcopy(policy).requires_grad_(False)

    @torch.no_grad()
    def ask(self, states: PublicStates, at: Ints, hand: Ints) -> Answers:
        """Probabilities of actions, and what is expected in chips; see :mod:`pokerlab.selfplay.hands`."""
        infostates = Infostates.at(states, at, hand, next(self.parameters()).device)
        chances, expected = log_policy(self.policy, infostates).exp(), self.critic(infostates)[:, 0]
        return chances.numpy(force=True), expected.double().numpy(force=True) * states.game.big_blind

    @torch.no_grad()
    def move_magnet(self, rate: float) -> None:
        """Moves the magnet's weights towards the policy's."""
        for slow, fast in zip(self.magnet.parameters(), self.policy.parameters(), strict=True):
            slow.lerp_(fast, rate)


class PPO:
    """The algorithm.

    Args:
        game: the rules.
        network: makes a network of a game, a number of outputs and of moves: the policy, and the critic.
        iterations: of the run.
        seed: of the run.
        opponent: makes whom it is to win from, of the game; None: it plays itself.
        moves: how many moves from the root on networks are told of.
        trace: λ of generalised advantage estimation.
        clip: how far the ratio of new to old probabilities may go from 1.
        entropy: temperature of the entropy at the start, in big blinds a nat.
        final_entropy: at the end; it falls geometrically, by iterations.
        magnet: temperature of the divergence from the magnet, in big blinds a nat.
        magnet_rate: how far the magnet's weights go towards the policy's in an iteration, from 0 to 1.
        value_weight: weight of the critic's loss.
        learning_rate: at the start.
        final_learning_rate: at the end.
        optimizer: makes the optimiser.
    """

    def __init__(
        self,
        game: Game,
        *,
        network: Callable[[Game, int, int], InfostateNetwork],
        iterations: int,
        seed: int,
        opponent: Callable[[Game], Agent] | None = None,
        moves: int = 16,
        trace: float = 1.0,
        clip: float = 0.2,
        entropy: float = 1.0,
        final_entropy: float = 0.01,
        magnet: float = 0.0,
        magnet_rate: float = 0.05,
        value_weight: float = 1.0,
        learning_rate: float = 3e-3,
        final_learning_rate: float = 1e-5,
        optimizer: MakeOptimizer = torch.optim.Adam,
    ) -> None:
        network_features(game)  # whatever lacks them cannot be learned
        if moves < 1:
            raise ValueError(f"moves must be at least 1, got {moves}")
        for name, share in (("trace", trace), ("magnet_rate", magnet_rate)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {share}")
        for name, value in (("clip", clip), ("entropy", entropy), ("final_entropy", final_entropy)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        self.game, self.moves, self.trace = game, moves, trace
        self._make_opponent, self._make_network = opponent, network
        self._module = partial(
            PPOModule,
            clip=clip,
            entropy=entropy,
            final_entropy=final_entropy,
            magnet=magnet,
            magnet_rate=magnet_rate,
            value_weight=value_weight,
            iterations=iterations,
            seed=seed,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
            optimizer=optimizer,
        )

    def streams(self) -> Mapping[str, Stream]:
        """Decisions of the newest hands, and how these ended."""
        none = {DECISIONS: DecisionExamples.none(self.game, self.moves), RESULTS: ResultExamples.none()}
        return {name: Stream(examples, 1, kept="on_policy") for name, examples in none.items()}

    def actor(self) -> "PPOActor":
        """Plays them.

        Raises:
            ValueError: the opponent draws what it plays.
        """
        return PPOActor(self.game, self.moves, self.trace, self.opponent, self._listed)

    def module(self) -> "PPOModule":
        """Learns from them."""
        outputs = self.game.num_actions, 1
        policy, critic = (self._make_network(self.game, number, self.moves) for number in outputs)
        exact = self._make_opponent is not None and is_small(self.game)
        return self._module(ActorCritic(policy, critic), self.measure if exact else lambda networks: {})

    @property
    def agents(self) -> Mapping[str, MakeAgent]:
        """The policy; there is no search."""
        return {"policy_net": lambda networks: InfostateAgent(self.game, networks.policy)}

    @cached_property
    def opponent(self) -> Opponent | None:
        """Whom it is to win from: not made before hands are to be played."""
        return self._make_opponent and Opponent(self._make_opponent(self.game), self._listed)

    def measure(self, networks: ActorCritic) -> dict[str, float]:
        """What the policy wins of the opponent on a small game, exactly.

        ``gain``: chips a hand, the mean of both seats; ``gain_share``: of what the exact best response wins.
        """
        states, hands = self._listed, self.game.num_hands
        assert states is not None
        at, hand = states.decisions.repeat(hands), np.tile(np.arange(hands), len(states.decisions))
        chances, _ = networks.ask(states, at, hand)
        table = chances.reshape(-1, hands, self.game.num_actions).swapaxes(1, 2)
        gain, best = self._responses.gain(table), self._responses.best
        is_some = best > NOTHING * self.game.big_blind
        return {"gain": gain, "gain_share": gain / best if is_some else float("nan")}

    @cached_property
    def _responses(self) -> Responses:
        assert self.opponent is not None
        assert self.opponent.table is not None
        return Responses(self.game, self.opponent.table)

    @cached_property
    def _listed(self) -> ListedStates | None:
        return list_states(self.game, self.moves)


class PPOActor:
    """Plays hands: the policy in both seats, or in one.

    Args:
        game: the rules.
        moves: see :class:`PPO`.
        trace: likewise.
        opponent: plays the other seat; None: the policy does.
        listed: all public states, if they are few.
    """

    def __init__(
        self, game: Game, moves: int, trace: float, opponent: Opponent | None, listed: ListedStates | None
    ) -> None:
        self._game, self._moves, self._trace, self._opponent = game, moves, trace, opponent
        self._listed, self._is_listed = listed, listed is not None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_listed": None}  # what a worker lists itself

    def generate(self, networks: ActorCritic, n: int, place: Place) -> dict[str, Examples]:
        """Plays ``n`` hands; against an opponent, each seat in every other one."""
        if self._is_listed and self._listed is None:
            self._listed = list_states(self._game, self._moves)
        states: PublicStates = self._listed or FoundStates(self._game, self._moves)
        players, seats = [], np.ones((n, 2), bool)
        if self._opponent is not None:
            seats = np.arange(n)[:, None] % 2 == np.arange(2)
            self._opponent.sit_down(place.seed)
            players = [(self._opponent.ask, ~seats)]
        players = [(networks.ask, seats), *players]
        played = play_hands(states, players, n, place.generator(), trace=self._trace)
        infostates = Infostates.at(states, played.at, played.hand, next(networks.parameters()).device)
        with torch.no_grad():
            own, magnet = (log_policy(network, infostates) for network in (networks.policy, networks.magnet))
        won = np.where(seats[:, 0], played.won, -played.won).mean()
        return {
            DECISIONS: DecisionExamples.of(played, infostates, own, magnet, self._game.big_blind),
            RESULTS: ResultExamples(torch.tensor([won]), torch.tensor([n])),
        }


class PPOModule(Learner):
    """Learns the policy and what to expect of it.

    Args:
        networks: both, and the magnet.
        measure: more numbers of an iteration, by name.
        clip: see :class:`PPO`.
        entropy: likewise, and so on.
        final_entropy: as above.
        magnet: as above.
        magnet_rate: as above.
        value_weight: as above.
        learning: see :class:`~pokerlab.learning.module.Learner`.
    """

    def __init__(
        self,
        networks: ActorCritic,
        measure: Callable[[ActorCritic], Mapping[str, float]],
        *,
        clip: float,
        entropy: float,
        final_entropy: float,
        magnet: float,
        magnet_rate: float,
        value_weight: float,
        **learning: Any,
    ) -> None:
        super().__init__(**learning)
        self.actor_critic, self.measure, self.clip, self.magnet_rate = networks, measure, clip, magnet_rate
        self.temperatures = entropy, final_entropy
        self.weights = {"value_loss": value_weight, "magnet_divergence": magnet, "entropy": -entropy}

    @property
    def networks(self) -> ActorCritic:
        """Policy, critic and magnet."""
        return self.actor_critic

    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """What PPO lowers, the critic's squared error, the divergence from the magnet, and the entropy."""
        found: DecisionExamples = batch[DECISIONS]
        visits = found.counts.sum(1)
        weight = visits / visits.sum()
        log_new = log_policy(self.actor_critic.policy, found.infostates)
        ratio, new = (log_new - found.log_policy).exp(), log_new.exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = torch.minimum(ratio * found.advantages, clipped * found.advantages)
        expected = self.actor_critic.critic(found.infostates)[:, 0]
        per_state = {
            "policy_loss": -(gain * found.counts / visits[:, None]).sum(1),
            "value_loss": (expected - found.returns).square(),
            "magnet_divergence": (new * (log_new - found.log_magnet)).sum(1),
            "entropy": -(new * log_new).sum(1),
        }
        return {name: (weight * each).sum() for name, each in per_state.items()}

    def begin_iteration(self, iteration: int) -> None:
        """The temperature of the entropy."""
        first, last = self.temperatures
        done = iteration / max(self.iterations - 1, 1)
        self.weights = {**self.weights, "entropy": -first * (last / first) ** done}

    def end_iteration(self) -> None:
        """The magnet follows."""
        self.actor_critic.move_magnet(self.magnet_rate)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.begin_iteration(self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """At the first batch: what the hands brought."""
        if batch_idx == 0:
            log_number(self, "won", batch[RESULTS].mean)

    def on_train_epoch_end(self) -> None:
        """Moves the magnet, and measures the policy."""
        self.end_iteration()
        for name, value in self.measure(self.actor_critic).items():
            log_number(self, name, value)
