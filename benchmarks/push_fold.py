"""Push or fold before the flop, from exact run-outs: the charts, beside the numbers of Nash charts.

    python -m benchmarks.push_fold --depths 2 10 20

Prints how often each depth pushes and calls, then hands whose place in published charts is known: up to which
stacks they push or call, and equities of all-ins. Run-outs of the empty board take 20 seconds, once.
"""

import argparse
import time

import numpy as np
import torch

import pokerlab
from pokerlab.games.holdem import Holdem
from pokerlab.games.run_outs import num_run_outs, run_out_wins
from pokerlab.spot import Spot

KNOWN = {10.0: (58.28, 37.38)}
"""Percent of hands that push and that call, by big blinds."""
DECISIONS = [
    (7.7, "push", "T3s", True), (7.8, "push", "T3s", False),
    (5.6, "call", "Q2o", True), (5.7, "call", "Q2o", False),
    (2.2, "push", "63s", True), (2.4, "push", "63s", False), (5.0, "push", "63s", False),
    (5.2, "push", "63s", True), (7.1, "push", "63s", True), (7.2, "push", "63s", False),
    (12.0, "push", "Q8o", True), (12.0, "push", "Q7o", False),
]  # fmt: skip
"""Big blinds, what to do, with what, and whether charts do it."""
EQUITIES = [("AA", "KK", 81.946), ("AKs", "QQ", 46.049)]


def solve(depth: float, iterations: int) -> Spot:
    """Solves push or fold at so many big blinds."""
    game = pokerlab.make_game("push_fold", stack=100 * depth)
    return pokerlab.solve(game, iterations=iterations, solver="cfr_plus", dtype=torch.float64)


def chart(spot: Spot) -> dict[str, np.ndarray]:
    """``[H]`` how often each hand pushes, and calls."""
    return {"push": spot.strategy("")["all-in"], "call": spot.strategy("all-in")["call"]}


def main() -> None:
    """Solves, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=float, nargs="*", default=[2, 3, 5, 7, 10, 12, 15, 20])
    parser.add_argument("--iterations", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started, spots = time.perf_counter(), dict[float, Spot]()
    game = pokerlab.make_game("push_fold")
    assert isinstance(game, Holdem)
    wins = run_out_wins(game.deck, (), game.complete) / num_run_outs(game.deck, (), game.complete)
    print(f"run-outs: {time.perf_counter() - started:.1f} s")
    for mine, other, known in EQUITIES:
        first, second = (game.deck.read_range(hands) > 0 for hands in (mine, other))
        met = game.deck.disjoint[first][:, second]
        equity = 50 + 50 * wins[first][:, second][met].mean()
        print(f"{mine} against {other}: {equity:.3f} %, known {known:.3f}")
    print("big blinds   push %   call %   exploitability, mbb   seconds")
    for depth in sorted({*arguments.depths, *(depth for depth, *_ in DECISIONS)}):
        started = time.perf_counter()
        spot = spots[depth] = solve(depth, arguments.iterations)
        seconds, of = time.perf_counter() - started, chart(spot)
        beside = " known {:.2f} {:.2f}".format(*KNOWN[depth]) if depth in KNOWN else ""
        print(
            f"{depth:10g} {100 * of['push'].mean():8.2f} {100 * of['call'].mean():8.2f} "
            f"{spot.exploitability * 10:21.4f} {seconds:9.1f}{beside}"
        )
    wrong = 0
    for depth, what, hands, expected in DECISIONS:
        chance = chart(spots[depth])[what][game.deck.read_range(hands) > 0].mean()
        right = (chance > 0.5) == expected
        wrong += not right
        print(
            f"{depth:g} big blinds, {what} {hands}: {100 * chance:.0f} % {'as' if right else 'NOT as'} known"
        )
    print(f"{len(DECISIONS) - wrong} of {len(DECISIONS)} decisions are as known")


if __name__ == "__main__":
    main()
