"""Solves a game to the end."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from pokerlab.games import names
from pokerlab.games.base import Game, State
from pokerlab.games.parts import symmetry_of
from pokerlab.games.tree_size import too_large
from pokerlab.search.best_response import Exploitability
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest, rows_of
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.node_values import NodeValues
from pokerlab.search.solver import Solver
from pokerlab.search.tree import PublicTree, build_tree
from pokerlab.spot.locking import Given, read_locks
from pokerlab.spot.solved import Progress, Spot

Watch: TypeAlias = Callable[[int, float], bool | None]
"""Of iterations and seconds so far."""
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
    leaf: LeafEvaluator | None = None,
    report: Callable[[Progress], None] | None = None,
    watch: Watch | None = None,
) -> Spot[State]:
    """Solves a game by CFR.

    Args:
        game: small enough to be solved to the end.
        iterations: how many; None: 1,000, or as many as ``target`` takes.
        target: stop at this exploitability, in percent of the root's pot.
        solver: the CFR variant, or the name of its rule, such as ``cfr_plus``; None: DCFR.
        device: where.
        dtype: None: float64, or float32 if the game has many hands or ``leaf`` is a network of that.
        isomorphism: whether of deals that are alike one is solved, see :class:`Symmetry`.
        lines: that will be asked for: a mistake in them is found before the work begins.
        locks: strategies that are given at some public states, ``{line: {action: probability}}``, where the
            probability is that of all hands, or ``[H]`` with NaN for those that are free. Best responses
            keep to them too. Suits that are alike are then solved one by one.
        leaf: values public states after the first street, such as :attr:`pokerlab.api.Run.value_network`:
            then only that street is solved, however large the game is, and exploitability is not known. None:
            the game is played to the end.
        report: told whenever exploitability is measured: at 1, 10, 100, … iterations, at the end, and with a
            target in between.
        watch: told iterations and seconds so far, a few times a second; where it says true, the work ends
            with what there is, and what it raises gives it up.

    Raises:
        ValueError: the game is too large, or an argument has a wrong value.
    """
    street = None if leaf is None else build_tree(game, game.root(), depth_limited=True)
    if street is not None and not len(street.leaves):  # nothing comes after it
        leaf = street = None
    if leaf is not None and target is not None:
        raise ValueError("target is of exploitability, which is not known with leaf: give iterations")
    if leaf is not None and locks:
        raise ValueError("locks are of games that are played to the end: leave out leaf")
    if leaf is None and not can_be_solved(game, isomorphism=isomorphism):
        raise ValueError(f"{game.name} is too large to be solved to the end")
    if iterations is not None and iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if target is not None and not target > 0:
        raise ValueError(f"target must be above 0, in percent of the pot, got {target}")
    if iterations is None:
        iterations = 1000 if target is None else MOST_ITERATIONS
    for line in lines:
        names.read_line(game, line)
    own = (
        next((weights.dtype for weights in leaf.parameters()), None) if isinstance(leaf, nn.Module) else None
    )
    if own is not None and dtype not in (None, own):
        raise ValueError(f"dtype must be {own}, which leaf has, got {dtype}")
    dtype = dtype or own or (torch.float32 if game.num_hands > MANY_HANDS else torch.float64)
    solver = Solver(solver) if isinstance(solver, str) else solver or Solver()
    if leaf is not None and street is not None:
        return _solve_street(game, street, iterations, solver, leaf, torch.device(device), dtype, watch)
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
        progress = _progress(cfr.exploitability(), cfr.iteration, seconds, pot)
        if report:
            report(progress)
        if cfr.iteration < at or (target is not None and progress.percent_of_pot <= target):
            break
    return Spot(game, tree, cfr.average_edges(), progress, symmetry, locks)


def _solve_street(
    game: Game[State],
    tree: PublicTree[State],
    iterations: int,
    solver: Solver,
    leaf: LeafEvaluator,
    device: torch.device,
    dtype: torch.dtype,
    watch: Watch | None,
) -> Spot[State]:
    """Solves the first street; what comes after it is valued under the average strategy's beliefs."""
    forest = Forest(game, [tree], device=device, dtype=dtype)
    belief = torch.as_tensor(game.initial_beliefs, device=device).to(dtype)[:, None]
    with torch.no_grad():
        solver.start(forest, belief, leaf).run(1)
        cfr = solver.start(forest, belief, leaf)
        seconds = _run(cfr, iterations, 0.0, watch)
        strategy, leaves = cfr.average_strategy(), forest.leaves
        reach = forest.reach(strategy, belief=belief)
        there = rows_of(reach, leaves.row) * belief[:, leaves.subgame] * leaves.possible
        worth = leaf.at(leaves.features, leaves.possible)(forest.beliefs_at(leaves, reach, belief))
        values = worth * forest.mass(there.flip(0)) * leaves.pot_in_chips
    edges = cfr.average_edges()
    counterfactual = values.double().numpy(force=True)
    root = NodeValues(game, tree, edges, counterfactual)(0, game.initial_beliefs)
    first, second = game.initial_beliefs * game.possible_hands(tree.root)
    weight = first * (game.deal @ second)
    value = float(np.nansum(weight * root[0]) / weight.sum())
    progress = Progress(cfr.iteration, seconds, math.nan, value, game.pot(tree.root))
    return Spot(game, tree, edges, progress, leaves=counterfactual)


def _run(cfr: CFR, until: int, seconds: float, watch: Watch | None) -> float:
    """Takes iterations, the earlier ones having taken so many seconds; returns the seconds of all.

    At least one is taken, unless who watches raises something.
    """
    while cfr.iteration < until:
        if watch and watch(cfr.iteration, seconds) and cfr.iteration:
            break
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
