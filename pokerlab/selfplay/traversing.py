"""Deep CFR's actors: they traverse the game for the player whose turn it is."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Floats, Game, Ints, State
from pokerlab.selfplay.actors.base import Report
from pokerlab.selfplay.dealt_sampling import Sampling
from pokerlab.selfplay.examples import Examples, concatenate
from pokerlab.selfplay.external_sampling import ExternalSampling
from pokerlab.selfplay.infostate_examples import InfostateExamples, InfostateSums, Traversals
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.public_game import DealtGame, list_game

_StateIn = TypeVar("_StateIn", contravariant=True)
ADVANTAGES, STRATEGIES, TRAVERSALS = ("advantages_0", "advantages_1"), "strategies", "traversals"
"""The streams."""


class Inputs(Protocol[_StateIn]):
    """What networks see of information states."""

    width: int

    def encode(self, states: Sequence[_StateIn], moves: Sequence[Sequence[int]]) -> Tensor:
        """``[n, width]`` public lines: states, and the actions that led there."""
        ...

    def hands_at(self, states: Sequence[_StateIn]) -> tuple[Tensor, Ints]:
        """``[U, H, 3]`` hands on the different boards of some states, and ``[n]`` which of these each has."""
        ...


def _streams(player: int, advantages: Examples, strategies: Examples, nodes: int) -> Mapping[str, Examples]:
    return {
        ADVANTAGES[player]: advantages,
        ADVANTAGES[1 - player]: advantages.select(slice(0)),
        STRATEGIES: strategies,
        TRAVERSALS: Traversals(torch.zeros(1, dtype=torch.int64), torch.tensor([float(nodes)])),
    }


class ListedActor:
    """Traverses a game that is listed, and adds up what that finds.

    Args:
        game: the rules.
    """

    def __init__(self, game: Game) -> None:
        self.game = game

    @cached_property
    def _sampling(self) -> ExternalSampling:
        return ExternalSampling(list_game(self.game))

    def generate(self, networks: Any, n: int, place: Place) -> Mapping[str, Examples]:
        """Traverses ``n`` times."""
        player, weight = place.iteration % 2, place.iteration + 1
        strategy, pots = networks.listed_strategy().cpu(), torch.as_tensor(self._sampling.listed.pots)
        found = self._sampling.sample(strategy.numpy(), player, n, place.generator())
        key = torch.arange(len(strategy))
        advantages = InfostateSums(
            key,
            torch.as_tensor(found.advantages) * (weight / pots)[:, None, None],
            torch.as_tensor(found.squares) * weight / pots.square(),
            torch.as_tensor(found.weights) * weight,
        )
        met = torch.as_tensor(found.met) * weight
        played = met[:, None] * strategy
        strategies = InfostateSums(key, played, (played * strategy).sum((1, 2)), met)
        return _streams(player, advantages, strategies, found.nodes)


class DealtActor(Generic[State]):
    """Traverses deals of a game that is too large to be listed.

    Args:
        game: the rules.
        deal_traversals: that share a deal, at most.
        hands: of which an example is.
        inputs: says what networks see.
        sampling: the kind of traversals.
    """

    def __init__(
        self,
        game: Game[State],
        deal_traversals: int,
        hands: int,
        inputs: Inputs[State],
        sampling: type[Sampling[State]],
    ) -> None:
        self.game, self._deal_traversals, self._hands, self._inputs = game, deal_traversals, hands, inputs
        self._kind = sampling
        self.report: Report | None = None

    @cached_property
    def _sampling(self) -> Sampling[State]:
        return self._kind(self.game)

    def generate(self, networks: Any, n: int, place: Place) -> Mapping[str, Examples]:
        """Traverses ``n`` times.

        Decisions before the first deal are the same on all deals: their advantages are means over these.
        """
        generator, player = place.generator(), place.iteration % 2
        some = self._hands, place.iteration + 1, generator
        deals = -(-n // self._deal_traversals)
        advantages, strategies, nodes = list[InfostateExamples](), list[InfostateExamples](), 0
        before_deal = list[tuple[_Asked[State], Floats, Floats]]()
        for number, share in enumerate(np.array_split(np.arange(n), deals)):
            asked = _Asked(self.game, networks, self._inputs)
            strategy, found = self._sampling.sample(asked, player, len(share), generator)
            first = asked.num_first
            advantages.append(
                asked.examples(found.advantages, found.weights, *some, summed=True, begin=first)
            )
            strategies.append(asked.examples(strategy, found.met, *some, summed=False))
            before_deal.append((asked, found.advantages[:first].copy(), found.weights[:first].copy()))
            nodes += found.nodes
            if self.report is not None:
                self.report((number + 1) / deals)
        total = np.sum([weights for *_, weights in before_deal], 0).clip(1e-30)[:, None]
        means = np.sum([sums for _, sums, _ in before_deal], 0) / total
        for asked, _, weights in before_deal:
            advantages.append(asked.examples(means * weights[:, None], weights, *some, summed=True))
        return _streams(player, concatenate(advantages), concatenate(strategies), nodes)


class _Asked(Generic[State]):
    """What networks were asked in a deal.

    Args:
        game: the rules.
        networks: as the algorithm has them.
        inputs: says what they see.
    """

    def __init__(self, game: Game[State], networks: Any, inputs: Inputs[State]) -> None:
        self._game, self._networks, self._inputs = game, networks, inputs
        self._like = next(networks.parameters()).detach()
        self._parts = list[tuple[Tensor, ...]]()
        self._boards = list[Tensor]()
        self.num_first = 0
        """Decisions that were asked about at first."""

    def __call__(self, dealt: DealtGame[State], first: int) -> Floats:
        """``[D − first, A, H]`` the strategies at decisions from number ``first`` on."""
        states, moves = dealt.states[first:], dealt.moves[first:]
        lines = self._inputs.encode(states, moves).to(self._like)
        legal = torch.as_tensor(dealt.nodes.legal(self._game.num_actions)[first:]).to(self._like.device)
        actor = torch.as_tensor(dealt.nodes.actor[first:]).to(self._like.device)
        boards, board_of = self._inputs.hands_at(states)
        strategy: Tensor = self._networks.strategy(lines, legal, actor, (boards, board_of))
        self.num_first = self.num_first or len(states)
        before = sum(map(len, self._boards))
        pots = torch.tensor(dealt.pots[first:], dtype=torch.float64)
        self._parts.append((lines.cpu(), legal.cpu(), pots, torch.as_tensor(board_of) + before))
        self._boards.append(boards)
        found: Floats = strategy.numpy(force=True)
        return found

    def examples(
        self,
        targets: Floats,
        weights: Floats,
        hands: int,
        iteration: int,
        generator: torch.Generator,
        *,
        summed: bool,
        begin: int = 0,
    ) -> InfostateExamples:
        """Of decisions where something was found, with some of the hands, drawn at random.

        Args:
            targets: ``[D, A, H]``.
            weights: ``[D, H]``; 0 where nothing was found.
            hands: how many of a decision.
            iteration: from 1.
            generator: source of randomness.
            summed: whether targets are in chips and times their weights; they become means in pots.
            begin: decisions before this number are left out.
        """
        lines, legal, pots, board = (torch.cat(part) for part in zip(*self._parts, strict=True))
        rows = torch.as_tensor(begin + np.flatnonzero(weights[begin:].any(1)))
        here = torch.as_tensor(weights)[rows]
        draws = torch.rand(here.shape, generator=generator).masked_fill(here == 0, -1)
        chosen = draws.topk(hands, 1).indices
        share = (here > 0).sum(1, keepdim=True).clamp_min(hands) / hands  # those chosen stand for all
        there = torch.as_tensor(targets)[rows].gather(2, chosen[:, None].expand(-1, targets.shape[1], -1))
        of_chosen = here.gather(1, chosen)
        if summed:
            there /= (of_chosen.clamp_min(1e-30) * pots[rows, None])[:, None]
        return InfostateExamples(
            lines=lines[rows],
            legal=legal[rows],
            hands=torch.cat(self._boards)[board[rows, None], chosen],
            targets=there.float(),
            hand_weights=(of_chosen * share).float(),
            weight=torch.full((len(rows),), iteration, dtype=torch.int32),
        )
