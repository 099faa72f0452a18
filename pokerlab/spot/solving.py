"""Solves a game to the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy

import torch

from pokerlab.games import names
from pokerlab.games.base import Game, State
from pokerlab.games.parts import symmetry_of
from pokerlab.games.tree_size import too_large
from pokerlab.search.best_response import Exploitability
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.spot.locking import Given, read_locks
from pokerlab.spot.solved import Progress, Spot

MANY_HANDS = 64
"""Games with more hands are solved in float32."""
MOST_ITERATIONS = 100_000
"""When a target is all that is asked for."""
CHECKS = 1.2
"""With a target, exploitability is measured whenever there are so many times the iterations."""
AT_ONCE = 0.25
"""Seconds of iterations between two calls of who watches."""
MOST_STATES = 5_000_000
"""Trees are built state by state: so many take minutes."""


def solve(
    game: Game[State],
    *,
    iterations: int | None = None,
    target: float | None = None,
    solver: Solver | str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    isomorphism: bool = True,
    lines: Sequence[str] = (),
    locks: Given | None = None,
    report: Callable[[Progress], None] | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> Spot[State]:
    """Solves a game by CFR.

    Args:
        game: small enough to be solved to the end.
        iterations: how many; None: 1,000, or as many as ``target`` takes.
        target: stop at this exploitability, in percent of the root's pot.
        solver: the CFR variant, or the name of its rule, such as ``cfr_plus``; None: DCFR.
        device: where.
        dtype: None: float64, or float32 if the game has many hands.
        isomorphism: whether of deals that are alike one is solved, see :class:`Symmetry`.
        lines: that will be asked for: a mistake in them is found before the work begins.
        locks: strategies that are given at some public states, ``{line: {action: probability}}``, where the
            probability is that of all hands, or ``[H]`` with NaN for those that are free. Best responses
            keep to them too. Suits that are alike are then solved one by one.
        report: told whenever exploitability is measured: at 1, 10, 100, … iterations, at the end, and with a
            target in between.
        watch: told iterations and seconds so far, a few times a second; what it raises ends the work.

    Raises:
        ValueError: the game is too large, or an argument has a wrong value.
    """
    if not can_be_solved(game, isomorphism=isomorphism):
        raise ValueError(f"{game.name} is too large to be solved to the end")
    if iterations is not None and iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if target is not None and not target > 0:
        raise ValueError(f"target must be above 0, in percent of the pot, got {target}")
    if iterations is None:
        iterations = 1000 if target is None else MOST_ITERATIONS
    for line in lines:
        names.read_line(game, line)
    dtype = dtype or (torch.float32 if game.num_hands > MANY_HANDS else torch.float64)
    solver = Solver(solver) if isinstance(solver, str) else solver or Solver()
    if locks:
        isomorphism, solver = False, copy(solver)
        solver.storage = "full"
    states, memory = (
        game.count_states(isomorphism=isomorphism),
        solver.bytes_a_state(game, dtype, torch.device(device)),
    )
    if states and (reason := too_large(states, game.num_hands, bytes_a_state=memory, free=True)):
        raise ValueError(f"{game.name} has {reason}")
    symmetry = symmetry_of(game) if isomorphism else None
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry, features=False)
    forest = Forest(game, [tree], device=device, dtype=dtype)
    belief = torch.as_tensor(game.initial_beliefs, device=forest.device).to(dtype)[:, None]
    given = read_locks(game, tree, locks) if locks else None
    solver.start(forest, belief, locks=given).run(1)  # compiles the loops, where that was not done yet
    cfr, pot, seconds = solver.start(forest, belief, locks=given), game.pot(tree.root), 0.0
    for at in _schedule(iterations, target is not None):
        seconds = _run(cfr, at, seconds, watch)
        progress = _progress(cfr.exploitability(), at, seconds, pot)
        if report:
            report(progress)
        if target is not None and progress.percent_of_pot <= target:
            break
    return Spot(game, tree, cfr.average_edges(), progress, symmetry, locks)


def _run(cfr: CFR, until: int, seconds: float, watch: Callable[[int, float], None] | None) -> float:
    """Takes iterations, the earlier ones having taken so many seconds; returns the seconds of all."""
    while cfr.iteration < until:
        if watch:
            watch(cfr.iteration, seconds)
        rate = cfr.iteration / seconds if seconds else 1
        most = max(int(rate * AT_ONCE), 1) if watch else until
        started = time.perf_counter()
        cfr.run(min(until - cfr.iteration, most))
        if cfr.forest.device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - started
    return seconds


def can_be_solved(game: Game, *, isomorphism: bool = True) -> bool:
    """Whether a game's tree has an end that can be reached, memory aside."""
    return game.enumerable or 0 < (game.count_states(isomorphism=isomorphism) or 0) <= MOST_STATES


def _schedule(iterations: int, has_target: bool) -> Iterator[int]:
    """When exploitability is measured: at 1, 10, 100, … and the last, with a target in between."""
    at = 0
    powers = [10**k for k in range(len(str(iterations)))]
    while at < iterations:
        step = max(at + 1, int(at * CHECKS)) if has_target else iterations
        at = min(step, next((power for power in powers if power > at), iterations), iterations)
        yield at


def _progress(found: Exploitability, iterations: int, seconds: float, pot: float) -> Progress:
    return Progress(iterations, seconds, found.exploitability.item(), found.value.item(), pot)
