"""Self-play: from public belief states to examples (ReBeL, arXiv 2007.13544, algorithm 1).

All trajectories run in lockstep; those that start on a later street join when the others have come there.
What they share is solved once: the belief state after the same subgame, the same sampled iteration and the
same leaf is the same, and so is the root of the game.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

import torch
from torch import Tensor

from pokerlab.games.base import CHANCE, Game, State
from pokerlab.games.parts import StreetStarts, Variation, with_hand_inputs
from pokerlab.search.best_response import strategy_values
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.resolving import BeliefStates, Part, Resolving, Watch
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.selfplay.actors.base import Report
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples, concatenate, value_examples
from pokerlab.selfplay.sampling import OtherBeliefs, TrajectorySampler
from pokerlab.selfplay.starts import Start, StartExamples, Starts

INPUTS_AT_ONCE = 32
"""Examples whose hand inputs are made at once: all-ins on as many boards take 7 MB each meanwhile."""


@dataclass(frozen=True, slots=True)
class Played:
    """What trajectories left."""

    values: ValueExamples
    policies: PolicyExamples
    starts: dict[str, StartExamples]
    """Belief states at the beginnings of streets that they came to, by the names of their streams."""


class SelfPlay(Generic[State]):
    """Generates trajectories.

    Args:
        game: the rules.
        solver: the CFR variant that solves subgames.
        search_iterations: CFR iterations a subgame, ``T``.
        exploration: probability ε that the exploring player acts at random at a step.
        targets: value examples of one solve. The first is ReBeL's: the beliefs that were solved for. The
            others are what the iterations before, drawn as t* is, believed at the same leaf, valued under
            the average strategy that was found (TurboReBeL, openreview yMo7Z670f6). The root of the game
            has one belief only.
        policy_examples: how many of a subgame's decision nodes are drawn at random for each trajectory that
            comes through, to be an example, once at most; None: all are.
        starts: where trajectories start; None: at the root.
        hand_inputs: whether examples hold what networks are told of hands.
    """

    def __init__(
        self,
        game: Game[State],
        solver: Solver,
        *,
        search_iterations: int,
        exploration: float = 0.25,
        targets: int = 1,
        policy_examples: int | None = None,
        starts: Starts[State] | None = None,
        hand_inputs: bool = False,
    ) -> None:
        counts = {
            "search_iterations": search_iterations,
            "targets": targets,
            "policy_examples": policy_examples,
        }
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= exploration <= 1:
            raise ValueError(f"exploration must lie between 0 and 1, got {exploration}")
        self.game, self.solver = game, solver
        self.search_iterations, self.exploration, self.targets = search_iterations, exploration, targets
        self.policy_examples = policy_examples
        self.starts = Starts(game, None, 0) if starts is None else starts
        self.hand_inputs = hand_inputs
        self._subgames = Subgames(game)

    def generate(
        self, leaf_evaluator: LeafEvaluator, trajectories: int, generator: torch.Generator, like: Tensor
    ) -> tuple[ValueExamples, PolicyExamples]:
        """What :meth:`play` leaves to learn from."""
        played = self.play(leaf_evaluator, trajectories, generator, like)
        return played.values, played.policies

    @torch.no_grad()
    def play(
        self,
        leaf_evaluator: LeafEvaluator,
        trajectories: int,
        generator: torch.Generator,
        like: Tensor,
        stored: Mapping[str, StartExamples] | None = None,
        report: Report | None = None,
        iteration: int = 0,
    ) -> Played:
        """Plays ``trajectories`` games from where they start to a terminal state.

        Args:
            leaf_evaluator: the value network.
            trajectories: how many.
            generator: source of all randomness, on the CPU.
            like: a tensor with the device and dtype to search in.
            stored: belief states to start from, by the names of their streams.
            report: is told how far play is.
            iteration: of the run, from 0: says where trajectories start.

        Returns:
            ``targets`` value examples for every different subgame, and one policy example for each of its
            decision nodes, or for those that are drawn; its weight says how many trajectories came through:
            the policy network is to know best what is played most.
        """
        waiting = self.starts.draw(trajectories, generator, stored or {}, like, iteration)
        frontier = nothing = BeliefStates[State].none(self.game, like)
        others = nobody = OtherBeliefs(torch.empty(0, dtype=torch.int64), nothing.beliefs)
        subgame_of = torch.empty(0, dtype=torch.int64)
        values = [ValueExamples.none(self.game, hand_inputs=self.hand_inputs)]
        policies = [PolicyExamples.none(self.game, hand_inputs=self.hand_inputs)]
        kept = {name: [self.starts.none()] for name in self.starts.names.values()}
        while waiting or len(frontier):
            if waiting and self._is_time(waiting[0], frontier):
                start = waiting.pop(0)
                subgame_of = torch.cat([subgame_of, start.subgame_of + len(frontier)])
                frontier = BeliefStates.join([frontier, start.states])
            frontier = self._vary(frontier, generator)
            draws, draws_of_others, draws_of_nodes = (
                torch.rand(*shape, dtype=torch.float64, generator=generator)
                for shape in (
                    (3, len(subgame_of)),
                    (len(frontier), self.targets - 1),
                    (len(subgame_of), self.policy_examples or 0),
                )
            )
            resolving = Resolving(
                self._subgames,
                self.solver,
                leaf_evaluator,
                self.search_iterations,
                like,
                watch=report and self._watch(frontier, len(subgame_of) / max(trajectories, 1), report),
            )
            reached, next_others = [nothing], [nobody]
            next_subgame = torch.full_like(subgame_of, -1)
            for part in resolving.parts(frontier):
                here = (subgame_of >= part.place.start) & (subgame_of < part.place.stop)
                local = subgame_of[here] - part.place.start
                if len(part.forest.leaves):
                    sampler = TrajectorySampler(
                        local, part.iterations, draws[:, here], draws_of_others[part.place]
                    )
                    play = part.play_iterations(sampler.subgame, sampler.iteration)
                    below, goes_to, others_below = sampler.leave(play, self.exploration)
                    before = sum(map(len, reached))
                    next_subgame[here] = torch.where(goes_to < 0, -1, goes_to + before)
                    next_others.append(OtherBeliefs(others_below.subgame + before, others_below.beliefs))
                    reached.append(below)
                else:
                    part.solve()
                values += self._value_examples(part, others.within(part.place), leaf_evaluator)
                policies.append(self._policy_examples(part, local, draws_of_nodes[here]))
            # in their order, so that draws do not depend on the parts
            subgame_of = next_subgame[next_subgame >= 0]
            frontier, others = BeliefStates.join(reached), OtherBeliefs.join(next_others)
            for name, starts in self.starts.keep(frontier).items():
                kept[name].append(starts)
        return Played(
            concatenate(values),
            concatenate(policies),
            {name: concatenate(each) for name, each in kept.items()},
        )

    def _watch(self, frontier: BeliefStates[State], underway: float, report: Report) -> Watch:
        """Reports how far play is: by streets, or if there are none by the trajectories that are over.

        Args:
            frontier: where it is.
            underway: share of the trajectories.
            report: is told.
        """
        before, share = 1 - underway, 0.0
        if isinstance(self.game, StreetStarts):
            share = 1 / len(self.game.streets)
            before = self.game.street(frontier.states[0]) * share
            share *= self.game.actor(frontier.states[0]) != CHANCE
        number = len(frontier)

        def watch(part: slice, done: float) -> None:
            report(before + share * (part.start + done * (part.stop - part.start)) / number)

        return watch

    def _is_time(self, start: Start[State], frontier: BeliefStates[State]) -> bool:
        """Whether trajectories join: nobody is underway any more, or the others have come to their street."""
        if not len(frontier):
            return True
        game = self.game
        return isinstance(game, StreetStarts) and game.street(frontier.states[0]) == start.street

    def _value_examples(
        self, part: Part[State], others: OtherBeliefs, leaf_evaluator: LeafEvaluator
    ) -> list[ValueExamples]:
        forest, belief = part.forest, part.cfr.belief
        examples = [self.value_examples(forest, belief, part.cfr.root_infostate_values())]
        if len(subgame := others.subgame.numpy()):
            copies = forest.copies(subgame)
            strategy = forest.on_copies(part.average, copies, subgame)
            values = strategy_values(copies, strategy, others.beliefs, leaf_evaluator)
            examples.append(self.value_examples(copies, others.beliefs, values))
        return examples

    def value_examples(self, forest: Forest, belief: Tensor, values: Tensor) -> ValueExamples:
        """Of ``[2, B, H]`` beliefs and infostate values in chips at the roots."""
        made = value_examples(self.game, forest, belief, values)
        return replace(made, hand_inputs=self._hand_inputs(made.features, made.beliefs))

    def _hand_inputs(self, features: Tensor, beliefs: Tensor) -> Tensor | None:
        if not self.hand_inputs:
            return None
        game = with_hand_inputs(self.game)
        parts = zip(features.split(INPUTS_AT_ONCE), beliefs.split(INPUTS_AT_ONCE), strict=True)
        return torch.cat([game.prepare_hand_inputs(some, held)(held) for some, held in parts])

    def _policy_examples(self, part: Part[State], subgame_of: Tensor, draws: Tensor) -> PolicyExamples:
        """Of solved subgames.

        Args:
            part: the subgames.
            subgame_of: ``[n]`` which one each trajectory is in.
            draws: ``[n, policy_examples]`` uniform in [0, 1): they choose nodes.
        """
        forest = part.forest
        chosen, trajectories = self._choose_nodes(forest, subgame_of, draws)
        nodes, there = forest.decisions.select(chosen), chosen.to(forest.device)
        strategy, beliefs = part.average_at(nodes, chosen)
        features, beliefs = nodes.features.float().cpu(), beliefs.transpose(0, 1).float().cpu()
        return PolicyExamples(
            features=features,
            beliefs=beliefs,
            possible=nodes.possible.bool().cpu(),
            legal=forest.by_action(forest.legal[:, there], forest.action_of[:, there])[:, :, 0].cpu(),
            strategy=strategy.float().cpu(),
            weight=trajectories.int(),
            hand_inputs=self._hand_inputs(features, beliefs),
        )

    def _choose_nodes(self, forest: Forest, subgame_of: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Decision nodes to learn from, each once, and how many trajectories chose it; on the CPU."""
        subgame = forest.decisions.subgame.cpu()
        if self.policy_examples is None:
            trajectories = torch.bincount(subgame_of, minlength=forest.num_subgames)[subgame]
            chosen = trajectories.nonzero()[:, 0]
            return chosen, trajectories[chosen]
        number = torch.bincount(subgame, minlength=forest.num_subgames)
        some = number[subgame_of] > 0
        of = subgame_of[some, None]
        place = (number.cumsum(0) - number)[of] + (draws[some] * number[of]).long()
        return subgame.argsort(stable=True)[place.flatten()].unique(return_counts=True)

    def _vary(self, frontier: BeliefStates[State], generator: torch.Generator) -> BeliefStates[State]:
        game = self.game
        if not isinstance(game, Variation) or not game.varies:
            return frontier
        seeds = torch.randint(1, 2**62, (len(frontier.states),), generator=generator).tolist()
        states = [game.vary(state, seed) for state, seed in zip(frontier.states, seeds, strict=True)]
        return BeliefStates(states, frontier.beliefs)
