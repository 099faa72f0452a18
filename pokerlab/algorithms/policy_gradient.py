"""PPO and mirror descent with a magnet: policy gradients on information states, without search.

Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) finds an approximate best response to a
fixed opponent. Where both players learn at once it goes in circles: a magnet holds it, a policy that follows
slowly (magnetic mirror descent, MMD; Sokota et al. 2023, arXiv 2206.05825), and so does the entropy. In large
studies of learners without a model that is hard to beat (Rudolph et al. 2025, arXiv 2502.08938).

An iteration:

1. *Play* thousands of hands at once with the newest policy (:mod:`pokerlab.selfplay.hands`).
2. *Estimate* what each action brought more than the critic expected (GAE; Schulman et al. 2016).
3. *Learn* in a few passes over these decisions, by one of two updates. ``clip`` is PPO's: raise the
   probability of what brought more, as long as it is near what it was. ``mirror`` goes the step of mirror
   descent in the logits: an action that is hardly ever played comes back as fast as any other once it is
   good, as with NeuRD (Hennes et al. 2020), which PPO's gradient, times its probability, does not allow.
4. *Move* the magnet towards the policy, and average the weights: in self-play, that is what plays.
"""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.opponents import MixedOpponent, Opponent, Responses, opponent_of
from pokerlab.algorithms.base import MakeAgent
from pokerlab.games.base import Bools, Game, is_small
from pokerlab.games.parts import network_features
from pokerlab.learning.actor_critic import ActorCritic
from pokerlab.learning.decisions import DecisionExamples, ResultExamples
from pokerlab.learning.infostates import InfostateNetwork, Infostates, log_policy
from pokerlab.learning.module import Learner, MakeOptimizer, log_number
from pokerlab.selfplay.data import Batch, Stream
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.hands import Ask, Played, play_hands
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.public_states import FoundStates, ListedStates, PublicStates, list_states
from pokerlab.selfplay.ranks import mean

DECISIONS, RESULTS = "decisions", "results"
"""The streams."""
MOST_MOVES = 1000
"""That networks are told of."""
NOTHING = 1e-3
"""What a best response wins, in big blinds, of an opponent of whom there is nothing to be won."""
OPPONENT = 1
"""Tells what is drawn for the opponent from what is drawn for the hands."""
UPDATES = {"clip": "big blinds", "mirror": "nats²"}
"""And what their losses are measured in."""
LATE = 3
"""How much weight the average gives to late iterations: it grows by this power of their number, less 1."""
FEW = 5
"""Of how few visits to an action half is believed."""


class PPO:
    """The algorithm.

    Args:
        game: the rules.
        network: makes a network of a game, a number of outputs and of moves: the policy, and the critic.
        iterations: of the run.
        seed: of the run.
        opponent: makes whom it is to win from, of the game; None: it plays itself.
        self_play: share of hands in which it plays itself all the same.
        moves: how many moves from the root on networks are told of.
        trace: λ of generalised advantage estimation.
        exploration: probability that who learns takes any action; in self-play one seat learns then.
        update: ``clip`` or ``mirror``.
        clip: how far the ratio of new to old probabilities may go from 1.
        step: of mirror descent, nats for an advantage of one big blind.
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
        self_play: float = 0.0,
        moves: int = 16,
        trace: float = 1.0,
        exploration: float = 0.0,
        update: str = "clip",
        clip: float = 0.2,
        step: float = 0.05,
        entropy: float = 1.0,
        final_entropy: float = 0.001,
        magnet: float = 0.0,
        magnet_rate: float = 0.05,
        value_weight: float = 1.0,
        learning_rate: float = 3e-3,
        final_learning_rate: float = 1e-5,
        optimizer: MakeOptimizer = torch.optim.Adam,
    ) -> None:
        network_features(game)  # whatever lacks them cannot be learned
        if not 1 <= moves <= MOST_MOVES:
            raise ValueError(f"moves must lie between 1 and {MOST_MOVES}, got {moves}")
        shares = {
            "trace": trace, "exploration": exploration, "magnet_rate": magnet_rate, "self_play": self_play,
        }  # fmt: skip
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {share}")
        for name, weight in {"magnet": magnet, "value_weight": value_weight}.items():
            if not weight >= 0:
                raise ValueError(f"{name} must not be negative, got {weight}")
        sizes = {"clip": clip, "step": step, "entropy": entropy, "final_entropy": final_entropy}
        for name, size in sizes.items():
            if not size > 0:
                raise ValueError(f"{name} must be positive, got {size}")
        if update not in UPDATES:
            raise ValueError(f"update must be one of {', '.join(UPDATES)}, got {update!r}")
        self.units = {"value_loss": "big blinds²", "policy_loss": UPDATES[update]}
        self.game, self.moves, self.trace, self.exploration = game, moves, trace, exploration
        self._make_opponent, self._make_network = opponent, network
        self._self_play = 1.0 if opponent is None else self_play
        self._module = partial(
            PPOModule, update=update, clip=clip, step=step, entropy=entropy, final_entropy=final_entropy,
            magnet=magnet, magnet_rate=magnet_rate, value_weight=value_weight, iterations=iterations,
            seed=seed, learning_rate=learning_rate, final_learning_rate=final_learning_rate,
            optimizer=optimizer,
        )  # fmt: skip

    def streams(self) -> Mapping[str, Stream]:
        """Decisions of the newest hands, and how these ended."""
        none = {DECISIONS: DecisionExamples.none(self.game, self.moves), RESULTS: ResultExamples.none()}
        return {name: Stream(examples, 1, kept="on_policy") for name, examples in none.items()}

    def actor(self) -> "PPOActor":
        """Plays them.

        Raises:
            ValueError: the opponent draws what it plays.
        """
        play = partial(play_hands, trace=self.trace, exploration=self.exploration)
        return PPOActor(self.game, self.moves, play, self.opponent, self._self_play, self._listed)

    def module(self) -> "PPOModule":
        """Learns from them."""
        outputs = self.game.num_actions, 1
        policy, critic = (self._make_network(self.game, number, self.moves) for number in outputs)
        exact = self._make_opponent is not None and is_small(self.game) and self._listed is not None
        return self._module(ActorCritic(policy, critic), self.measure if exact else lambda networks: {})

    @property
    def agents(self) -> Mapping[str, MakeAgent]:
        """The policy, or if it plays itself, the average; there is no search."""
        plays = "average" if self._self_play else "policy"
        return {"policy_net": lambda networks: InfostateAgent(self.game, getattr(networks, plays))}

    @cached_property
    def opponent(self) -> Opponent | MixedOpponent | None:
        """Whom it is to win from: not made before hands are to be played."""
        return self._make_opponent and opponent_of(self._make_opponent(self.game), self._listed)

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
        play: plays hands, see :func:`~pokerlab.selfplay.hands.play_hands`.
        opponent: plays the other seat; None: the policy does.
        self_play: share of hands in which the policy does all the same.
        listed: all public states, if they are few.
    """

    def __init__(
        self,
        game: Game,
        moves: int,
        play: partial[Played],
        opponent: Opponent | MixedOpponent | None,
        self_play: float,
        listed: ListedStates | None,
    ) -> None:
        self._game, self._moves, self._play, self._opponent = game, moves, play, opponent
        self._self_play = self_play
        self._listed, self._is_listed = listed, listed is not None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_listed": None}  # what a worker lists itself

    def generate(self, networks: ActorCritic, n: int, place: Place) -> dict[str, Examples]:
        """Plays ``n`` hands: each seat learns in every other one, or both do where it plays itself."""
        if self._is_listed and self._listed is None:
            self._listed = list_states(self._game, self._moves)
        states: PublicStates = self._listed or FoundStates(self._game, self._moves)
        seats = np.arange(n)[:, None] % 2 == np.arange(2)
        alone = np.arange(n)[:, None] < round(self._self_play * n)
        both = alone & (not self._play.keywords["exploration"])
        other = ~seats & alone & ~both
        players: list[tuple[Ask, Bools]] = [(networks.ask, seats | both), (networks.ask, other)]
        if self._opponent is not None:
            self._opponent.sit_down(place.seed)
            players += self._opponent.seats(~seats & ~alone, place.generator(OPPONENT))
        played = self._play(states, players, n, place.generator())
        infostates = Infostates.at(states, played.at, played.hand, next(networks.parameters()).device)
        with torch.no_grad():
            own, magnet = (log_policy(network, infostates) for network in (networks.policy, networks.magnet))
        first = seats | (both & (self._opponent is None))
        won = np.where(first[:, 0], played.won, -played.won).mean()
        return {
            DECISIONS: DecisionExamples.of(played, infostates, own, magnet, self._game.big_blind),
            RESULTS: ResultExamples(torch.tensor([won]), torch.tensor([n])),
        }


class PPOModule(Learner):
    """Learns the policy and what to expect of it.

    Args:
        networks: both, the magnet and the average.
        measure: more numbers of an iteration, by name.
        learning: see :class:`~pokerlab.learning.module.Learner`; of the others, :class:`PPO`.
    """

    def __init__(
        self,
        networks: ActorCritic,
        measure: Callable[[ActorCritic], Mapping[str, float]],
        *,
        update: str,
        clip: float,
        step: float,
        entropy: float,
        final_entropy: float,
        magnet: float,
        magnet_rate: float,
        value_weight: float,
        **learning: Any,
    ) -> None:
        super().__init__(**learning)
        self.actor_critic, self.measure, self.magnet_rate = networks, measure, magnet_rate
        self.update, self.clip, self.step, self.magnet = update, clip, step, magnet
        self.temperatures, self.temperature = (entropy, final_entropy), entropy
        self.weights = {"value_loss": value_weight, "magnet_divergence": 0.0, "entropy": 0.0}

    @property
    def networks(self) -> ActorCritic:
        """Policy, critic and magnet."""
        return self.actor_critic

    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The update's loss and the critic's; divergence from the magnet and entropy are only shown."""
        if DECISIONS not in batch:  # who learns had nothing to decide
            return {}
        found: DecisionExamples = batch[DECISIONS]
        visits = found.counts.sum(1)
        log_new = log_policy(self.actor_critic.policy, found.infostates)
        expected = self.actor_critic.critic(found.infostates)[:, 0]
        divergence = (log_new.exp() * (log_new - found.log_magnet)).sum(1)
        entropy = -(log_new.exp() * log_new).sum(1)
        if self.update == "clip":
            own = self.temperature * entropy - self.magnet * divergence
            policy_loss = _mean(-self.clipped_gain(log_new, found) - own, visits)
        else:  # by roots, for rare states are to keep up
            policy_loss = _mean(self.mirror_error(log_new, found), visits.sqrt())
        return {
            "policy_loss": policy_loss,
            "value_loss": _mean((expected - found.returns).square(), visits),
            "magnet_divergence": _mean(divergence, visits).detach(),
            "entropy": _mean(entropy, visits).detach(),
        }

    def clipped_gain(self, log_new: Tensor, found: DecisionExamples) -> Tensor:
        """``[n]`` what actions bring by the new policy, as far as it may differ (PPO, equation 7)."""
        ratio = (log_new - found.log_policy).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = torch.minimum(ratio * found.advantages, clipped * found.advantages)
        return (gain * found.counts).sum(1) / found.counts.sum(1)

    def mirror_error(self, log_new: Tensor, found: DecisionExamples) -> Tensor:
        """``[n]`` how far logits are from a step of mirror descent, squared (MMD, equation 5, in logits)."""
        old, believed = found.log_policy, found.counts / (found.counts + FEW)
        drawn_back = self.temperature * old + self.magnet * (old - found.log_magnet)
        error = log_new - old - self.step * (believed * found.advantages - drawn_back)
        legal = found.legal
        mean = torch.where(legal, error, 0).sum(1, keepdim=True) / legal.sum(1, keepdim=True)
        return torch.where(legal, error - mean, 0).square().sum(1)

    def begin_iteration(self, iteration: int) -> None:
        """The temperature of the entropy."""
        first, last = self.temperatures
        self.temperature = first * (last / first) ** (iteration / max(self.iterations - 1, 1))

    def end_iteration(self, iteration: int) -> None:
        """The magnet follows, and the average takes the policy in."""
        self.actor_critic.follow(self.magnet_rate, LATE / (iteration + LATE))

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.begin_iteration(self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """At the first batch: what the hands brought."""
        if batch_idx == 0:
            log_number(self, "won", mean(batch[RESULTS].mean))

    def on_train_epoch_end(self) -> None:
        """Moves what follows the policy, and measures this."""
        self.end_iteration(self.current_epoch)
        if self.trainer.is_global_zero:
            for name, value in self.measure(self.actor_critic).items():
                log_number(self, name, value)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum()
