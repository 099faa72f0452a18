"""A trained run against an independent opponent: donksolver's Monte Carlo CFR on a card abstraction.

    python -m benchmarks.donksolver make FOLDER --minutes 10 --threads 2
    python -m benchmarks.donksolver play RUN FOLDER/bundle.json --deals 1000

``make`` solves heads-up hold'em, 200 big blinds, no rake, with the bets of ``phase1_laptop``; its card
abstraction (50 buckets a street) takes minutes more, once. In donksolver's heads-up games the small blind
acts first on every street. ``play`` has the run play that game: nothing but what leads to the flop differs
from what it was trained on, and search finds that anew.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from pokerlab import play_match
from pokerlab.agents.donksolver import DonkSolver
from pokerlab.algorithms.base import make_agent
from pokerlab.config.stored import read_config
from pokerlab.console import wide_console
from pokerlab.errors import UserError
from pokerlab.training.restore import find_checkpoint, restore

BETS, MOST_RAISES = [[0.5, 1.0], [1.0]], 3
BUCKETS = (50, 50, 50)


def make(folder: Path, minutes: float, threads: int) -> Path:
    """Solves, and returns the bundle's manifest."""
    from donksolver import Abstraction, Solve, Solver
    from donksolver.config import Game
    from donksolver.policy import write_manifest

    folder.mkdir(parents=True, exist_ok=True)
    cards, manifest = folder / "cards.dab", folder / "bundle.json"
    if not cards.exists():
        Abstraction.build(BUCKETS, threads=threads).save(str(cards))
    game = Game(
        players=2, stack_bb=200, sb=50, bb=100, rake_pct=0.0, rake_cap=0, menus=[BETS] * 4,
        max_raises=[MOST_RAISES] * 4, kappa_bet=1.0, buckets=[169, *BUCKETS],
    )  # fmt: skip
    solver = Solver.nlhe(game, str(cards), Solve())
    policy = solver.solve(str(folder), 10**12, threads=threads, chunk=100_000, time_limit_s=60 * minutes)
    write_manifest(str(manifest), str(cards), [policy])
    return manifest


def play(wanted: str, bundle: str, way: str, deals: int, iterations: int | None, seed: int) -> None:
    """Plays the match and prints what came of it.

    Raises:
        UserError: there is no such run.
    """
    folder, checkpoint = find_checkpoint(wanted)
    config = read_config(folder)
    parts, _ = restore(replace(config, game={**config.game, "small_blind": 0}), checkpoint)
    agent = make_agent(
        parts.algorithm.agents[way],
        parts.module.eval().networks,
        iterations=iterations or config.evaluation.search_iterations,
        solver=parts.solver,
    )
    opponent = DonkSolver(parts.game, bundle)
    wide_console().print(
        play_match(
            parts.game, agent, opponent, deals=deals, seed=seed, names=(folder.path.name, "donksolver")
        )
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.donksolver")
    commands = parser.add_subparsers(dest="command", required=True)
    of_make, of_play = commands.add_parser("make"), commands.add_parser("play")
    of_make.add_argument("folder", type=Path)
    of_make.add_argument("--minutes", type=float, default=1)
    of_make.add_argument("--threads", type=int, default=2)
    of_play.add_argument("run")
    of_play.add_argument("bundle")
    of_play.add_argument("--way", default="search_iteration")
    of_play.add_argument("--deals", type=int, default=1000)
    of_play.add_argument("--iterations", type=int, help="of search; by default those of the run's evaluation")
    of_play.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        if arguments.command == "make":
            print(make(arguments.folder, arguments.minutes, arguments.threads))
        else:
            play(
                arguments.run,
                arguments.bundle,
                arguments.way,
                arguments.deals,
                arguments.iterations,
                arguments.seed,
            )
    except (UserError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
