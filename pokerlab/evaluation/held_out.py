"""How wrong a value network is at belief states that it never learns from, whose values are known.

They are drawn as starts of self-play are, with a seed of their own, and solved to the end of the game: no
network is part of their values. So they lie on late streets. They are made once, and kept in
:func:`pokerlab.store.files.cache_folder`.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from pokerlab.errors import DiskError
from pokerlab.games.base import Floats, Game, State
from pokerlab.games.parts import StreetStarts
from pokerlab.loops import warn_once
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.payoffs import hand_probabilities
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.examples import ValueExamples, concatenate, value_examples
from pokerlab.store.files import cache_folder, write_atomically

log = logging.getLogger("pokerlab")

VERSION = 3
"""Of how belief states are solved."""
SOLVER = Solver("dcfr", gamma=4.0)
DEEP_SOLVER = Solver("dcfr", alpha=1.0, beta=1.0, gamma=5.0)
"""Linear CFR with more weight on late iterations: several times closer to the truth where stacks are deepest,
and further from it elsewhere (docs/holdem.md)."""
DEEP = 20.0
"""Pots behind from which it is better."""
MOST_STATES = 40_000
"""Public states of a game that is solved to its end: some 4 GB of 1,326 hands where it is not solved board by
board. No turn of ``experiment=phase1_laptop`` has more."""
SPR = (1.0, 4.0)
"""Stack-to-pot ratios that part belief states into shallow, middle and deep ones."""
BUCKETS = ("spr_below_1", "spr_1_to_4", "spr_above_4")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """``n`` belief states and what they are worth."""

    examples: ValueExamples
    street: Tensor
    """``[n]`` int64, an index into the game's streets."""
    spr: Tensor
    """``[n]`` chips that can still be put in by each player, in pots."""

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, slots=True)
class HeldOutSettings:
    """Which belief states, and how well they are solved."""

    states: Sequence[int] = (64, 4)
    """How many on the last street, on the one before it, …"""
    iterations: int = 400
    """Of :func:`solver_of`."""
    seed: int = 0

    def streets(self, game: Game) -> dict[int, int]:
        """How many belief states on which street.

        Raises:
            ValueError: the game has not so many streets to start on.
        """
        last = len(game.streets) - 1 if isinstance(game, StreetStarts) else 0
        if not 0 < len(self.states) <= last:
            names = ", ".join(game.streets[:0:-1]) if isinstance(game, StreetStarts) else ""
            raise ValueError(
                f"states must be numbers for streets from the last back, which are {names or 'none'} in "
                f"{game.name}, got {list(self.states)}"
            )
        return {last - back: number for back, number in enumerate(self.states)}


def held_out(game: Game[State], settings: HeldOutSettings, like: Tensor) -> HeldOut:
    """The belief states of a game, from the cache if they are there.

    Args:
        game: with streets.
        settings: see there.
        like: a tensor with the device and dtype to solve in.
    """
    path = cache_folder() / "held_out" / f"{game.name}-{_fingerprint(game, settings)}.pt"
    if (kept := _read(path)) is not None:
        return kept
    found = solve_held_out(game, settings, like)
    try:
        stored = {**found.examples.columns(), "street": found.street, "spr": found.spr}
        write_atomically(path, lambda file: torch.save(stored, file))
    except (OSError, DiskError) as error:
        warn_once(f"held-out belief states are solved anew at every start: {error} (POKERLAB_CACHE)")
    return found


def _fingerprint(game: Game, settings: HeldOutSettings) -> str:
    what = repr((VERSION, MOST_STATES, sorted(game.arguments.items(), key=lambda item: item[0]), settings))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _read(path: Path) -> HeldOut | None:
    """What is kept there; None: nothing that is whole."""
    try:
        columns = torch.load(path, map_location="cpu", weights_only=True)
        street, spr = columns.pop("street"), columns.pop("spr")
        return HeldOut(ValueExamples(**columns), street, spr)
    except Exception:  # what torch.load raises depends on what the file is
        return None


def draw_belief_states(
    game: Game[State], settings: HeldOutSettings, most: float | None = None
) -> Iterator[tuple[int, State, Floats]]:
    """Streets, states and ``[2, H]`` beliefs; those with more than ``most`` public states below are left out,
    as the log says; None: ``MOST_STATES``."""
    most = MOST_STATES if most is None else most
    streets, draws = cast(StreetStarts[State], game), np.random.default_rng([settings.seed, 1])
    number = settings.streets(game)
    for street in sorted(number):
        left_out = 0
        for _ in range(number[street]):
            deal = streets.draw_deal(street, draws)
            outcomes = game.chance_outcomes(streets.decode(streets.encode(deal)))  # all, none is left out
            state = outcomes[int(draws.integers(len(outcomes)))]
            beliefs = streets.draw_ranges(state, draws)
            if streets.count_below(state) > most:
                left_out += 1
            else:
                yield street, state, beliefs
        if left_out:
            log.info(
                "%d of %d held-out belief states of the %s are left out: solving them to the end takes more "
                "than %s public states",
                left_out, number[street], streets.streets[street], f"{most:,}",
            )  # fmt: skip


def solver_of(stack: float) -> Solver:
    """Finds what hands are worth with so many pots behind."""
    return DEEP_SOLVER if stack > DEEP else SOLVER


def solve_held_out(game: Game[State], settings: HeldOutSettings, like: Tensor) -> HeldOut:
    """Draws belief states and solves them."""
    log.info(
        "solves %d held-out belief states of %s: once on this machine",
        sum(settings.streets(game).values()), game.name,
    )  # fmt: skip
    examples, street_of, spr = [ValueExamples.none(game)], list[int](), list[float]()
    for street, state, beliefs in draw_belief_states(game, settings):
        forest = Forest(
            game, [build_tree(game, state, depth_limited=False)], device=like.device, dtype=like.dtype
        )
        belief = torch.as_tensor(beliefs).to(like)[:, None]
        stack = cast(StreetStarts[State], game).stack_to_pot(state)
        solved = solver_of(stack).start(forest, belief).run(settings.iterations)
        examples.append(value_examples(game, forest, belief, solved.root_infostate_values()))
        street_of.append(street)
        spr.append(stack)
    return HeldOut(concatenate(examples), torch.tensor(street_of, dtype=torch.int64), torch.tensor(spr))


def mean_errors(game: Game, examples: ValueExamples, values: Tensor) -> Tensor:
    """``[n]`` float64, how far ``[n, 2, H]`` values are from those of examples, in pots: means weighted by
    belief."""
    weight = hand_probabilities(game, examples.beliefs.double()) / 2
    return (weight * (values.double() - examples.values.double()).abs()).sum((1, 2))


@torch.no_grad()
def value_errors(game: Game[State], network: LeafEvaluator, held: HeldOut, like: Tensor) -> dict[str, float]:
    """Mean absolute errors in pots, weighted by belief, of belief states weighted alike.

    By name: ``value_error_river`` and so on for each street, and ``value_error_river_spr_below_1``,
    ``…_spr_1_to_4`` and ``…_spr_above_4`` for those of its stack-to-pot ratios that there are.

    Args:
        game: the rules.
        network: the value network.
        held: the belief states.
        like: a tensor with the device and dtype of the network.
    """
    examples = held.examples
    values = network.at(examples.features.to(like), examples.possible.to(like))
    predicted = values(examples.beliefs.to(like).transpose(0, 1)).transpose(0, 1).double().cpu()
    errors = mean_errors(game, examples, predicted)
    bucket = torch.bucketize(held.spr, torch.tensor(SPR, dtype=held.spr.dtype))
    found = {}
    for street in held.street.unique().tolist():
        name = f"value_error_{cast(StreetStarts[State], game).streets[street]}".replace(" ", "_")
        here = held.street == street
        found[name] = float(errors[here].mean())
        for number, label in enumerate(BUCKETS):
            if (some := here & (bucket == number)).any():
                found[f"{name}_{label}"] = float(errors[some].mean())
    return found
