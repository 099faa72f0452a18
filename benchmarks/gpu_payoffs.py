"""The part of :mod:`benchmarks.gpu` about payoffs: sums in order of strength, or products with matrices."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_forests import Setting, captured, first_line, matrix_precision, repeated
from benchmarks.gpu_solves import Row
from pokerlab.games.cards import BLOCKED
from pokerlab.games.payoff_tables import SHOWDOWN
from pokerlab.games.showdown import CardMass


def payoff_forms(setting: Setting, sizes: Sequence[int], lines: Sequence[int]) -> Iterator[Row]:
    """Sums in order of strength, as they are, against products with dense matrices of what hands win."""
    game, device = setting.game, setting.device
    deck = game.deck
    for boards, number in product(sizes, lines):
        generator = np.random.default_rng(setting.seed)
        dealt = [generator.permutation(len(deck.cards))[: game.complete].tolist() for _ in range(boards)]
        codes = [game._kernels.encode(SHOWDOWN, board) for board in dealt]
        matrices = won_matrices(setting, deck.strengths(np.array(dealt)))
        reach = torch.rand(boards, number, game.num_hands, device=device)
        possible = torch.as_tensor(np.array([deck.possible(board) for board in dealt]), device=device)
        reach = reach**8 * possible[:, None]
        exact = torch.cat(
            [row.double() @ matrix.double() for row, matrix in zip(reach, matrices, strict=True)]
        )
        exact, mass = exact.view_as(reach), reach.double().sum(-1, keepdim=True)
        operator = game.payoff_operator(codes, torch.empty(0, device=device))
        weight = operator.weight  # type: ignore[attr-defined]
        forms: dict[str, Callable[[], Tensor]] = {"sums": lambda: operator(reach) / weight}  # noqa: B023
        forms |= {name: dense_form(reach, matrices, name) for name in DENSE}
        for name, form in forms.items():
            row: Row = {"boards": boards, "lines": number, "form": name}
            try:
                error = (form().double() - exact).abs() / mass
                row["error_max"], row["error_mean"] = error.max().item(), error.mean().item()
                row["milliseconds"] = setting.milliseconds(repeated(form), 0.1)
                if device.type == "cuda":
                    row["graph_ms"] = setting.milliseconds(repeated(captured(form).replay), 0.1)
            except Exception as failure:
                row["error"] = first_line(failure)
            yield row
    yield from fold_forms(setting, sizes[-1] * lines[-1])
    yield run_out_row(setting)


def won_matrices(setting: Setting, strengths: np.ndarray) -> Tensor:
    """``[B, H, H]`` +1 where the column's hand beats the row's, −1 where it loses, else 0."""
    there = torch.as_tensor(strengths.astype(np.int16), device=setting.device)
    blocked = torch.as_tensor(strengths == BLOCKED, device=setting.device)
    met = torch.as_tensor(setting.game.deck.disjoint, device=setting.device)
    made = there.new_empty(*there.shape, there.shape[-1], dtype=torch.float32)
    for out, strength, never in zip(made, there, blocked, strict=True):
        both = met & ~never & ~never[:, None]
        out.copy_(torch.sign(strength - strength[:, None]) * both)
    return made


DENSE = ("fp32", "tf32 x1", "tf32 x2", "bf16 x1", "bf16 x2", "bf16 x3")
"""A matrix's precision, and how many numbers of it add up to one number of the reach."""


def dense_form(reach: Tensor, matrices: Tensor, name: str) -> Callable[[], Tensor]:
    """The product, its sums in float32: matrices of small whole numbers are exact, the reach is split."""
    precision, _, times = name.partition(" x")
    terms = int(times or 1)
    stored = matrices.bfloat16() if precision == "bf16" else matrices

    def multiply() -> Tensor:
        if precision == "fp32":
            return reach @ stored
        rows = torch.cat(split(reach, precision, terms), -2)
        if precision == "tf32":
            with matrix_precision("high"):
                found = rows @ stored
        elif reach.device.type == "cuda":
            found = torch.bmm(rows, stored, out_dtype=torch.float32)
        else:
            found = rows.float() @ stored.float()
        return found.unflatten(-2, (terms, -1)).sum(-3)

    return multiply


def split(values: Tensor, precision: str, terms: int) -> list[Tensor]:
    """Numbers of a precision that add up to ``values``, the largest first."""
    parts = []
    for _ in range(terms):
        if precision == "bf16":
            part = values.bfloat16()
        else:  # ten bits behind the first
            part = (values.view(torch.int32) + 0x1000 & ~0x1FFF).view(torch.float32)
        parts.append(part)
        values = values - part
    return parts


def fold_forms(setting: Setting, rows: int) -> Iterator[Row]:
    """The mass that hands meet, of so many rows: sums by card, and one dense matrix for all."""
    deck, like = setting.game.deck, torch.empty(0, device=setting.device)
    met = torch.as_tensor(deck.disjoint * 1.0, device=setting.device).float()
    reach = torch.rand(rows, deck.num_hands, device=setting.device) ** 8
    exact, mass = reach.double() @ met.double(), reach.double().sum(-1, keepdim=True)
    by_card = CardMass(deck, 1.0, like)

    def in_tf32() -> Tensor:
        with matrix_precision("high"):
            return reach @ met

    forms = {
        "fold: by card": lambda: by_card(reach),
        "fold: fp32": lambda: reach @ met,
        "fold: tf32": in_tf32,
    }
    for name, form in forms.items():
        error = (form().double() - exact).abs() / mass
        yield {
            "form": name, "lines": rows, "error_max": error.max().item(), "error_mean": error.mean().item(),
            "milliseconds": setting.milliseconds(repeated(form), 0.1),
        }  # fmt: skip


def run_out_row(setting: Setting) -> Row:
    """A flop's run-out matrix: strengths on the CPU, then pairs of hands on the device."""
    game, deck = setting.game, setting.game.deck
    flop = setting.states(1, 1)[0].board
    started = time.perf_counter()
    boards, _, _ = deck.boards(flop, game.complete)
    strengths = deck.strengths(boards)
    row: Row = {
        "form": "a flop's run-outs",
        "boards": len(boards),
        "strengths_s": time.perf_counter() - started,
    }
    there = torch.as_tensor(strengths.astype(np.int16), device=setting.device)
    others = there.masked_fill(there == BLOCKED, torch.iinfo(torch.int16).max)

    def wins() -> None:
        won = torch.zeros(deck.num_hands, deck.num_hands, dtype=torch.int32, device=setting.device)
        for own, theirs in zip(there.split(64), others.split(64), strict=True):
            won += (own[:, :, None] > theirs[:, None]).sum(0, dtype=torch.int32)

    row["milliseconds"] = setting.milliseconds(repeated(wins), 0.1)
    return row
