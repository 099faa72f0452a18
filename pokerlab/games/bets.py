"""Which bets a game of hold'em offers: from what a config says to :class:`Sizes`, street by street."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pokerlab.games.betting import ROUNDING, Betting, Sizes, enumerate_betting

MOST_POTS = 10
"""A size above this is a percentage by mistake."""
MOST_TIMES = 1000
"""Of the pot, of thresholds of all-ins."""

Bets: TypeAlias = Sequence[Sequence[float]]
"""Sizes for the first bet of a street, for the first raise, …; the last for all that follow."""
BetsByStreet: TypeAlias = Bets | Sequence[Bets]


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


class Street(NamedTuple):
    """What may be bet on one street."""

    plain: Sizes
    donk: Sizes
    """Where player 1 was the last to bet or raise on the street before: player 0's first bet leads into the
    aggressor."""


def read_bets(
    bets: BetsByStreet,
    ip_bets: BetsByStreet | None,
    donk_bets: Sequence[float] | None,
    streets: int,
    most_raises: int,
    *,
    force_all_in: float = 0.0,
    add_all_in: float | None = None,
) -> tuple[Street, ...]:
    """What is offered on each street; the fractions are the same on all of them.

    Args:
        bets: see :class:`Holdem`.
        ip_bets: player 1's, who is in position after the flop; None: the same.
        donk_bets: sizes of player 0's first bet where it leads into the aggressor, none if it has to check;
            None: as otherwise.
        streets: how many there are.
        most_raises: on a street.
        force_all_in: see :class:`Holdem`.
        add_all_in: see there.

    Raises:
        ValueError: they are not lists of fractions of the pot.
    """
    for name, size in (
        ("force_all_in", force_all_in),
        ("add_all_in", 0 if add_all_in is None else add_all_in),
    ):
        if not is_number(size) or not 0 <= size <= MOST_TIMES:
            raise ValueError(f"{name} must be a fraction of the pot from 0 to {MOST_TIMES}, got {size!r}")
    players = [_by_street(bets, "bets", streets)]
    players.append(players[0] if ip_bets is None else _by_street(ip_bets, "ip_bets", streets))
    leads = None if donk_bets is None else _fractions(donk_bets, "donk_bets", donk_bets)
    every = {size for player in players for street in player for row in street for size in row}
    fractions = sorted(every | set(leads or ()))

    def row(sizes: Sequence[float], *, all_in: bool = True) -> list[bool]:
        return [*(size in sizes for size in fractions), all_in]

    found = []
    for street in range(streets):
        rows = max(len(player[street]) for player in players)
        offered = np.array([
            [row(player[street][min(n, len(player[street]) - 1)]) for n in range(rows)] for player in players
        ])  # fmt: skip
        while len(offered[0]) > 1 and (offered[:, -1] == offered[:, -2]).all():
            offered = offered[:, :-1]
        plain = donk = Sizes(
            np.array(fractions), offered, most_raises, force_all_in=float(force_all_in),
            add_all_in=np.inf if add_all_in is None else float(add_all_in),
        )  # fmt: skip
        if leads is not None:
            offered = np.concatenate([offered, offered[:, -1:]], 1)  # its first row is now of its own
            offered[0, 0] = row(leads, all_in=bool(leads))
            donk = plain._replace(offered=offered)
        found.append(Street(plain, donk))
    return tuple(found)


def read_limit(
    limit: Sequence[float], big_blind: float, streets: int, most_raises: int
) -> tuple[Street, ...]:
    """What is offered on each street if bets and raises are fixed.

    Args:
        limit: chips of a bet or raise, street by street.
        big_blind: the least that may be bet.
        streets: how many there are.
        most_raises: on a street.

    Raises:
        ValueError: they are not such chips.
    """
    known = isinstance(limit, Sequence) and all(map(is_number, limit)) and len(limit) == streets
    if not known or not all(size > 0 for size in limit):
        raise ValueError(
            f"limit must be the chips of a bet on each of {streets} streets, such as "
            f"{[100] * streets}, got {limit if isinstance(limit, str) else _plain(limit)}"
        )
    if min(limit) < big_blind:
        raise ValueError(f"limit must be at least the big blind, {big_blind:g}, got {_plain(limit)}")
    offered = np.tile(np.array([True, False]), (2, 1, 1))
    sizes = [Sizes(np.array([size], dtype=float), offered, most_raises, fixed=True) for size in limit]
    return tuple(Street(plain, plain) for plain in sizes)


def _plain(given: Any) -> Any:
    return list(given) if isinstance(given, Sequence) else given


def all_in_only(streets: int) -> tuple[Street, ...]:
    """What is offered on each street if all that can be done is to fold or to go all-in."""
    plain = Sizes(np.empty(0), np.ones((2, 1, 1), dtype=bool), 1, push_fold=True)
    return (Street(plain, plain),) * streets


def _by_street(bets: BetsByStreet, name: str, streets: int) -> list[list[list[float]]]:
    """``[streets]`` of lists of sizes; the last of those given is for all that follow."""
    try:
        same = any(isinstance(size, Real) for street in bets for size in street)
        given = [bets] if same else list(bets)
        read = [[_fractions(sizes, name, bets) for sizes in street] for street in given]
    except TypeError as error:
        raise _wrong(name, bets) from error
    if not read or not all(street and any(street) for street in read):
        raise _wrong(name, bets)
    return [read[min(street, len(read) - 1)] for street in range(streets)]


def _fractions(sizes: Any, name: str, given: Any) -> list[float]:
    if isinstance(sizes, str | Mapping) or not isinstance(sizes, Sequence):
        raise _wrong(name, given)
    for size in sizes:
        if not is_number(size) or not size > 0:
            raise _wrong(name, given)
        if size > MOST_POTS:
            raise ValueError(
                f"{name} must be fractions of the pot, at most {MOST_POTS}, got {size:g}: "
                f"{size:g} % is {size / 100:g}"
            )
    return [float(size) for size in sizes]


def _wrong(name: str, given: Any) -> ValueError:
    example = "[0.33]" if name == "donk_bets" else "[[0.5, 1], [1]]"
    return ValueError(f"{name} must be lists of fractions of the pot above 0, such as {example}, got {given}")


def check_bets(start: Betting, streets: Sequence[Street]) -> None:
    """Every size must be large enough for a bet, or a raise, on some street that has it.

    Args:
        start: where the betting of the first of the streets stands.
        streets: from there on.

    Raises:
        ValueError: a size never is; says which, and what would be needed.
    """
    too_small: dict[Place, str] = {}
    large_enough: set[Place] = set()
    for street in streets:
        found = (
            _too_small(start, street.plain) if street is streets[0] else _too_small_later(start, street.plain)
        )
        too_small = found | too_small
        large_enough |= {place for place in _places(street.plain) if place not in found}
    for place, message in too_small.items():
        if place not in large_enough:
            raise ValueError(message)


Place: TypeAlias = tuple[int, int, int]
"""Of a size: whose, after how many raises, its number."""


def _places(sizes: Sizes) -> list[Place]:
    return [(player, row, size) for player, row, size in np.argwhere(sizes.offered[..., :-1]).tolist()]


def _too_small(start: Betting, sizes: Sizes) -> dict[Place, str]:
    """Sizes that are less than the least bet or raise wherever one may bet, and what to say of them."""
    raises = min(sizes.most_raises, sizes.offered.shape[1] + 1)  # enough for each row to be met
    tree = enumerate_betting(start, sizes._replace(most_raises=raises))
    called = tree.committed.max(0)
    least = np.maximum(np.abs(tree.committed[0] - tree.committed[1]), start.big_blind)
    acts = (tree.player >= 0) & (called < start.limit) & (tree.raises < raises)
    rows = np.minimum(tree.raises, sizes.offered.shape[1] - 1)
    found = {}
    for player, row, size in _places(sizes):
        here = np.flatnonzero(acts & (tree.player == player) & (rows == row))
        by = sizes.fractions[size] * (start.pot + 2 * called[here])
        if len(here) and not (by >= least[here] * ROUNDING).any():
            best = int(np.argmax(by / least[here]))
            what, why = ("raise", "") if tree.raises[here[best]] else ("bet", ", the big blind")
            found[player, row, size] = (
                f"bets of {sizes.fractions[size]:g} pot are never offered as a {what}: that is {by[best]:g} "
                f"chips, and the least {what} is {least[here[best]]:g}{why}"
            )
    return found


def _too_small_later(start: Betting, sizes: Sizes) -> dict[Place, str]:
    """The same for a later street, whatever pot it begins with; ``start`` is the root."""
    root, money = start.pot + sum(start.committed), start.pot + 2 * start.limit
    found = {}
    for player, row, size in _places(sizes):
        fraction = sizes.fractions[size]
        pot = start.big_blind / fraction  # that it takes
        if row == 0 and pot > root and start.big_blind >= (money - pot) / 2:
            found[player, row, size] = (
                f"bets of {fraction:g} pot are never offered as a bet: it takes a pot of {pot:g} chips for "
                f"the least bet, {start.big_blind:g}, the big blind"
            )
    raises = _too_small(Betting(root, (0.0, 0.0), start.limit, 0, False, 0, 0.0), sizes)
    return found | {place: message for place, message in raises.items() if place[1] > 0}
