"""Leagues as tables for people, and as plain values for scripts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.table import Column, Table
from rich.tree import Tree

from pokerlab.games.base import Floats
from pokerlab.league.population import Population

MOST = 16
"""Members that a table of pairs has room for."""

MEASURED = (
    "exploitability", "nash_conv", "lower_bound", "lower_bound_half_width", "correlated_gain",
    "response_share", "response_gain",
)  # fmt: skip
"""Of a round; not all are known of every league."""


def results(population: Population) -> dict[str, Any]:
    """What ``league run json=PATH`` writes."""
    rounds, best = population.rounds, population.best
    last = rounds[-1] if rounds else {}
    return {
        "game": population.rules.name,
        "players": population.num_players,
        "rounds": len(rounds),
        "members": [member.name for member in population.members],
        "weights": last.get("weights", {}),
        **{key: [line.get(key) for line in rounds] for key in MEASURED},
        **{key: [line[key] for line in rounds] for key in ("seconds", "cpu_seconds")},
        "values": last.get("values"),
        "best_round": best and best["round"],
        "best_exploitability": best and best["exploitability"],
        "folder": str(population.folder.path),
    }


def rounds_table(population: Population) -> Table:
    """Rounds 0, 1, 2, 5, 10, 20, … and the last."""
    rounds = population.rounds
    exact = any(line["nash_conv"] is not None for line in rounds)
    measured = ("NashConv", "exploitability", "best") if exact else ("local best response wins",)
    table = Table("round", "members", *measured, "seconds", "CPU seconds",
                  title=f"{population.rules.name}, {population.folder.path.name}")  # fmt: skip
    shown = {0, len(rounds) - 1, *(step * 10**power for power in range(6) for step in (1, 2, 5))}
    least = float("inf")
    for number, line in enumerate(rounds):
        least = min(least, line["exploitability"] or least)
        if number in shown:
            numbers = (line["nash_conv"], line["exploitability"], least) if exact else ()
            told = [f"{value:.6g}" for value in numbers] or [bound(line)]
            table.add_row(
                f"{number}",
                f"{line['members']}",
                *told,
                f"{line['seconds']:.2f}",
                f"{line['cpu_seconds']:.2f}",
            )
    return table


def bound(line: dict[str, Any]) -> str:
    """What a local best response wins of a round's mixture."""
    if line["lower_bound"] is None:
        return "–"
    return f"{line['lower_bound']:.6g} ±{line['lower_bound_half_width']:.2g}"


def strength(line: dict[str, Any]) -> str:
    """What was measured of a round's mixture."""
    if line["nash_conv"] is not None:
        return f"exploitability {line['exploitability']:.6g}"
    return "not measured" if line["lower_bound"] is None else f"a local best response wins {bound(line)}"


def summary(population: Population) -> Iterator[str]:
    """What came of it, in sentences."""
    players, best = population.num_players, population.best
    if best:
        told = strength(best).replace("exploitability", f"exploitability (NashConv/{players})")
        yield (
            f"{len(population.rounds)} rounds, {len(population.members)} members; the best mixture is that "
            f"of round {best['round']}: {told}" + ("" if told == "not measured" else " chips")
        )
    if players > 2:
        yield "With more than two players no equilibrium is guaranteed: NashConv says how near it came."


def heaviest(population: Population, most: int = MOST) -> list[int]:
    """The members that the last mixture picks most often, ascending; where it picks none, the newest."""
    weights = population.rounds[-1]["weights"] if population.rounds else {}
    total = [sum(weights.get(member.name, [0.0])) for member in population.members]
    order = sorted(range(len(total)), key=lambda number: (-total[number], -number))
    return sorted(order[:most])


def matrix(population: Population) -> dict[str, Any]:
    """Who wins what of whom, in chips a hand; None where it is not known."""
    won, half_width = population.head_to_head()
    return {
        "members": [member.name for member in population.members],
        "payoffs": _plain(won),
        "half_width": _plain(half_width),
    }


def _plain(matrix: Floats) -> list[list[float | None]]:
    return [[None if np.isnan(value) else value for value in row] for row in matrix.tolist()]


def matrix_table(population: Population) -> Table:
    """The same of the members that are picked most often."""
    chosen = heaviest(population)
    names = [population.members[number].name for number in chosen]
    table = Table("", *(Column(name, justify="right") for name in names),
                  title="chips a hand that the row's member wins of the column's")  # fmt: skip
    won, half_width = (matrix[np.ix_(chosen, chosen)] for matrix in population.head_to_head())
    for name, row, widths in zip(names, won, half_width, strict=True):
        table.add_row(name, *(_entry(value, width) for value, width in zip(row, widths, strict=True)))
    return table


def _entry(value: float, width: float) -> str:
    return "–" if np.isnan(value) else f"{value:+.3f}" + (f" ±{width:.3f}" if width > 0 else "")


def tree(population: Population) -> list[dict[str, Any]]:
    """Each member with its parent, round, and weight in the last mixture."""
    weights = population.rounds[-1]["weights"] if population.rounds else {}
    return [
        {"name": member.name, "round": member.round, "origin": member.origin, "parent": member.parent,
         "source": member.source, "weights": weights.get(member.name)}
        for member in population.members
    ]  # fmt: skip


def rich_tree(population: Population) -> Tree:
    """The lineage: below each member those that came from it."""
    root = Tree(f"{population.folder.path.name} ({population.rules.name})")
    nodes: dict[str | None, Tree] = {}
    for member in tree(population):
        weights = " ".join(f"{weight:.3f}" for weight in member["weights"] or ())
        said = f"{member['name']}: {member['origin']}"
        said += f" from {member['source']}" if member["source"] else ""
        said += f", weights {weights}" if weights else ""
        nodes[member["name"]] = nodes.get(member["parent"], root).add(said, highlight=False)
    return root
