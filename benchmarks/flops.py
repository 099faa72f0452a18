"""How wrong a run's value network is about flops, and about what is before them, against deeper solves.

    python -m benchmarks.flops RUN [--states 12] [--iterations 100] [--most 200000]
    python -m benchmarks.flops RUN --deals 11 [--searched 32] [--flops 4] [--iterations 100] [--most 200000]

Belief states at the start of the flop's betting, drawn as self-play draws starts, with a seed of their own.
What they are worth: where the game has few public states below, it is solved to its end, so that no network
takes part; elsewhere search asks the network about every turn card, which is as good as its turns are. Beside
that stand the network's answer and what flops are labelled by, search that asks about the deal of the turn.
Mean absolute errors in pots, weighted by belief. Stopped by Ctrl-C, it shows what is done.

With ``--deals``, deals of the flop that search before it most often comes to, with what it believes there.
What one is worth: the mean of what the network says of all flops, plus the mean by which search of random
flops differs from it, plus that by which deeper solves of a few of these differ from search. Beside the
network's error stand its parts: how far its answer is from the mean of its own answers about flops; how far
that mean is from the deeper one; and the standard error of that, half of the difference between two halves of
the random flops, by which errors look larger than they are, but by no more.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import Arguments, Report, even, positive
from pokerlab.config.build import build
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.evaluation.held_out import mean_errors
from pokerlab.games.base import CHANCE
from pokerlab.games.holdem import Holdem
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.parts import different_outcomes, features_of, symmetry_of
from pokerlab.search.forest import Forest, normalise_beliefs, rows_of
from pokerlab.search.payoffs import hand_probabilities, joint_mass
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.examples import ValueExamples, value_examples
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import find_checkpoint, restore

FLOP = 1
AT_ONCE = 64
"""Flops that the network is asked about."""
FLOPS = {
    "spr": "stack, pots",
    "how": "worth by",
    "network": "network",
    "search": "search",
    "seconds": "seconds",
}
DEALS = {
    "spr": "stack, pots",
    "hands": "hands, %",
    "network": "network",
    "deal": "against its own flops",
    "flops": "its flops",
    "noise": "standard error",
    "seconds": "seconds",
}


class Deeper:
    """What is known of a belief state on the flop.

    Args:
        parts: the run's.
        rules: its game, with leaves after deals.
        iterations: of a solve or a search.
        most: public states of a game that is solved to its end.
    """

    def __init__(self, parts: RunParts, rules: Holdem, iterations: int, most: int) -> None:
        self.game, self.network = cast(Holdem, parts.game), parts.module.networks
        self._rules, self._solver, self._iterations, self._most = rules, parts.solver, iterations, most

    def ends(self, state: HoldemState) -> bool:
        """Whether it is solved to the end of the game."""
        return self.game.count_below(state) <= self._most

    def worth(self, state: HoldemState, belief: Tensor) -> ValueExamples:
        """By the deeper solve, given ``[2, 1, H]`` beliefs."""
        to_end = self.ends(state)
        return self._solved(self.game if to_end else self._rules, state, belief, to_end=to_end)

    def searched(self, state: HoldemState, belief: Tensor) -> ValueExamples:
        """By the search that labels flops."""
        return self._solved(self.game, state, belief, to_end=False)

    def said(self, states: Sequence[HoldemState], beliefs: Tensor) -> Tensor:
        """``[2, n, H]`` by the network, in pots, given ``[2, n, H]`` beliefs."""
        features = torch.as_tensor(features_of(self.game, states)).float()
        possible = torch.as_tensor(np.stack([self.game.possible_hands(state) for state in states])).float()
        parts = [slice(first, first + AT_ONCE) for first in range(0, len(states), AT_ONCE)]
        return torch.cat(
            [self.network.at(features[some], possible[some])(beliefs[:, some]).clone() for some in parts], 1
        )

    def before(self) -> tuple[Sequence[HoldemState], Tensor, Tensor]:
        """``L`` deals of the flop that search comes to, beliefs ``[2, L, H]`` there, how often ``[L]``.

        Raises:
            UserError: search asks about flops instead.
        """
        game = self.game
        forest = Forest(game, [build_tree(game, game.root(), depth_limited=True)], dtype=torch.float32)
        states = forest.trees[0].leaves.states
        if any(game.actor(state) != CHANCE for state in states):
            raise UserError("search asks about every flop, never what their deal is worth")
        belief = torch.as_tensor(game.initial_beliefs).float()[:, None]
        strategy = self._solver.start(forest, belief, self.network).run(self._iterations).average_strategy()
        reach = rows_of(forest.reach(strategy), forest.leaves.row) * belief
        often = joint_mass(game, reach.double()) / joint_mass(game, belief.double())
        return states, normalise_beliefs(reach, torch.ones(game.num_hands)), often

    def _solved(self, rules: Holdem, state: HoldemState, belief: Tensor, *, to_end: bool) -> ValueExamples:
        forest = Forest(rules, [build_tree(rules, state, depth_limited=not to_end)], dtype=torch.float32)
        cfr = self._solver.start(forest, belief, None if to_end else self.network).run(self._iterations)
        return value_examples(self.game, forest, belief, cfr.root_infostate_values())


def flop_rows(deeper: Deeper, states: int, seed: int) -> Iterator[dict[str, Any]]:
    """The errors at so many belief states."""
    game, draws = deeper.game, np.random.default_rng([seed, FLOP])
    for _ in range(states):
        outcomes = game.chance_outcomes(game.draw_deal(FLOP, draws))
        state = outcomes[int(draws.integers(len(outcomes)))]
        belief = torch.as_tensor(game.draw_ranges(state, draws)).float()[:, None]
        started = time.perf_counter()
        truth = deeper.worth(state, belief)
        seconds = time.perf_counter() - started
        said = deeper.said([state], belief).transpose(0, 1)
        errors = [
            float(mean_errors(game, truth, values))
            for values in (said, deeper.searched(state, belief).values)
        ]
        yield {
            "spr": game.stack_to_pot(state),
            "how": "end of the game" if deeper.ends(state) else "every turn card",
            "network": errors[0],
            "search": errors[1],
            "seconds": seconds,
        }


def deal_rows(deeper: Deeper, deals: int, searched: int, flops: int, seed: int) -> Iterator[dict[str, Any]]:
    """The errors at so many deals of the flop, of each of which so many flops are searched and solved."""
    game, draws = deeper.game, np.random.default_rng([seed, FLOP])
    symmetry = symmetry_of(game)
    alike = torch.as_tensor(symmetry.representative_hand if symmetry else np.arange(game.num_hands))

    def mean(values: Tensor, weights: Tensor) -> Tensor:
        """``[2, H]`` of ``[2, n, H]`` by flop, of hands that differ in suits only."""
        sums = torch.stack([(weights * values).sum(1), weights.sum(1)])
        won, weight = torch.zeros_like(sums).index_add_(2, alike, sums)[..., alike]
        return won / weight.clamp_min(1e-30)

    states, believed, often = deeper.before()
    for leaf in often.argsort(descending=True)[:deals].tolist():
        started, belief = time.perf_counter(), believed[:, leaf]
        dealt, number = zip(*different_outcomes(game, symmetry, states[leaf]), strict=True)
        possible = torch.as_tensor(np.stack([game.possible_hands(state) for state in dealt])).float()
        beliefs = normalise_beliefs(belief[:, None] * possible, possible)
        met = game.mass_operator(belief)((belief.flip(0)[:, None] * possible).flatten(0, 1))
        met = met.view(2, *possible.shape).double() * possible
        said = deeper.said(dealt, beliefs)

        of_all = np.array(number)
        some = draws.choice(len(dealt), searched, p=of_all / of_all.sum())
        asked = [(dealt[flop], beliefs[:, flop : flop + 1]) for flop in some.tolist()]
        found = torch.cat([deeper.searched(*each).values for each in asked]).transpose(0, 1)
        worth = torch.cat([deeper.worth(*each).values for each in asked[:flops]]).transpose(0, 1)
        levels = [(found - said[:, some], met[:, some]), (worth - found[:, :flops], met[:, some[:flops]])]
        own = mean(said, met * torch.as_tensor(of_all)[:, None])
        bias, *halves = (
            torch.stack([mean(differs[:, part], weights[:, part]) for differs, weights in levels]).sum(0)
            for part in (slice(None), slice(0, None, 2), slice(1, None, 2))
        )
        answer = deeper.said([states[leaf]], belief[:, None])[:, 0]
        weight = hand_probabilities(game, belief[None].double())[0] / 2
        errors = {
            "network": answer - own - bias,
            "deal": answer - own,
            "flops": bias,
            "noise": (halves[0] - halves[1]) / 2,
        }
        yield {
            "spr": game.stack_to_pot(states[leaf]),
            "hands": 100 * float(often[leaf]),
            **{name: float((weight * error.abs()).sum()) for name, error in errors.items()},
            "seconds": time.perf_counter() - started,
        }


def means(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The mean of those whose worth was found in the same way."""
    for how in dict.fromkeys(row["how"] for row in rows):
        some = [row for row in rows if row["how"] == how]
        numbers = {name: float(np.mean([row[name] for row in some])) for name in FLOPS if name != "how"}
        yield {"how": f"{how}: mean of {len(some)}", **numbers}


@torch.no_grad()
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.flops", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("run", metavar="RUN", help="a run's name, folder or checkpoint")
    parser.add_argument("--states", type=positive, default=12, help="belief states on the flop")
    parser.add_argument("--deals", type=positive, metavar="N", help="instead: so many deals of the flop")
    parser.add_argument("--searched", type=even, default=32, help="flops of a deal that are searched")
    parser.add_argument("--flops", type=even, default=4, help="of these, that are solved deeper")
    parser.add_argument("--iterations", type=positive, default=100, help="of a solve or a search")
    parser.add_argument(
        "--most", type=positive, default=200_000, help="public states that are solved to the end"
    )
    options = parser.parse_args(given)
    if options.deals and options.flops > options.searched:
        parser.error(f"--flops {options.flops}: only {options.searched} are searched")
    try:
        run, path = find_checkpoint(options.run)
        config = read_config(run)
        parts, iteration = restore(config, path)
    except UserError as error:
        parser.error(str(error))
    if not isinstance(parts.game, Holdem) or parts.game.streets[:3] != ("preflop", "flop", "turn"):
        parser.error(f"{options.run} plays {parts.game.name}, in which no flop comes before a turn")
    parts.module.eval()
    rules = build(config.game | {"leaves": "after_deal", "solve_to_end": None}, key="game")
    deeper = Deeper(parts, rules, options.iterations, options.most)
    report = Report(parser, given, threads=torch.get_num_threads(), dtype="float32", seed=options.seed)
    report.console.print(f"{run.path.name}, iteration {iteration}: {parts.game.name}", highlight=False)
    if options.deals:
        what, columns = "deals", DEALS
        found = deal_rows(deeper, options.deals, options.searched, options.flops, options.seed)
    else:
        what, columns, found = "flops", FLOPS, flop_rows(deeper, options.states, options.seed)
    rows = report.results[what] = list[dict[str, Any]]()
    try:
        for row in found:
            rows.append(row)
            report.console.print(f"{what}: {len(rows)}, {row['network']:.4f} pots", highlight=False)
    except UserError as error:
        parser.error(f"{options.run}: {error}")
    except KeyboardInterrupt:
        if not rows:
            raise
        report.console.print("stopped: this is what is done")
    shown = list(rows)
    if what == "flops":
        shown += report.results.setdefault("means", list(means(rows)))
    report.table(f"{what}, mean absolute errors in pots", columns, shown)
    report.finish(options.json)


if __name__ == "__main__":
    main()
