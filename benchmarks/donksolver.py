"""Makes an independent opponent: donksolver's Monte Carlo CFR on a card abstraction.

    python -m benchmarks.donksolver FOLDER --minutes 10 --threads 2
    pokerlab evaluate run=RUN match.against=donksolver:FOLDER/bundle.json 'match.rules={small_blind: 0}'

It solves heads-up hold'em, ``--stack`` big blinds, no rake, with the bets of ``phase1_laptop``; its card
abstraction (50 buckets a street) takes minutes more, once. In donksolver's heads-up games the small blind
acts first on every street, and the run is to play that game: nothing but what leads to the flop differs
from what it was trained on, and search finds that anew.
"""

import argparse
from pathlib import Path

from benchmarks.measure import positive

BETS, MOST_RAISES = [[0.5, 1.0], [1.0]], 3
BUCKETS = (50, 50, 50)


def make(folder: Path, minutes: float, threads: int, stack: int = 200) -> Path:
    """Solves, and returns the bundle's manifest."""
    from donksolver import Abstraction, Solve, Solver
    from donksolver.config import Game
    from donksolver.policy import write_manifest

    folder.mkdir(parents=True, exist_ok=True)
    cards, manifest = folder / "cards.dab", folder / "bundle.json"
    if not cards.exists():
        Abstraction.build(BUCKETS, threads=threads).save(str(cards))
    game = Game(
        players=2, stack_bb=stack, sb=50, bb=100, rake_pct=0.0, rake_cap=0, menus=[BETS] * 4,
        max_raises=[MOST_RAISES] * 4, kappa_bet=1.0, buckets=[169, *BUCKETS],
    )  # fmt: skip
    solver = Solver.nlhe(game, str(cards), Solve())
    policy = solver.solve(str(folder), 10**12, threads=threads, chunk=100_000, time_limit_s=60 * minutes)
    write_manifest(str(manifest), str(cards), [policy])
    return manifest


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.donksolver")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--stack", type=positive, default=200, help="in big blinds")
    arguments = parser.parse_args()
    print(make(arguments.folder, arguments.minutes, arguments.threads, arguments.stack))


if __name__ == "__main__":
    main()
