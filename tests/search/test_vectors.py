"""Vectors in compiled loops give what numpy gives."""

import numpy as np
import pytest

from pokerlab.loops import jit
from pokerlab.vectors import LANES, larger, largest, load, load_row, splat, store, store_row, where


@jit
def operate(one: np.ndarray, other: np.ndarray, to: np.ndarray) -> float:
    """Every operation, its result in a row of ``to``."""
    x, zero = load(one, 0, splat(to.dtype.type(0))), splat(to.dtype.type(0))
    y = load(other, LANES, zero)
    for i, found in enumerate((x + y, x - y, x * y, x / y, larger(x, y), where(x, y, x * x, zero))):
        store(to, i * LANES, found)
    return largest(x)


@jit
def take_rows(rows: np.ndarray, index: np.ndarray, to: np.ndarray) -> None:
    """``to[index[i]] = rows[index[i + 1]]``."""
    zero = splat(rows.dtype.type(0))
    for i in range(index.shape[0] - 1):
        store_row(to, index, i, load_row(rows, index, i + 1, zero))


@jit
def round_off(numbers: np.ndarray, to: np.ndarray) -> None:
    """The numbers as whole ones."""
    zero = splat(numbers.dtype.type(0))
    for c in range(0, numbers.shape[0], LANES):
        store(to, c, load(numbers, c, zero))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("source", [np.int16, None])
def test_vectors_give_what_numpy_gives(dtype: type, source: type | None) -> None:
    one, other = np.random.default_rng(1).uniform(1, 90, (2, 2 * LANES)).astype(source or dtype)
    one[1] = -one[1]
    to: np.ndarray = np.zeros(6 * LANES, dtype)
    assert operate(one, other, to) == one[:LANES].max()
    x, y = one[:LANES].astype(dtype), other[LANES:].astype(dtype)
    expected = x + y, x - y, x * y, x / y, np.maximum(x, y), np.where(x > y, x * x, 0)
    np.testing.assert_array_equal(to.reshape(6, LANES), np.stack(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers_are_the_nearest(dtype: type) -> None:
    numbers: np.ndarray = np.array([0.49, -0.49, 1.5, 2.5, -1.51, 32766.4, -32766.4, 7] * 4, dtype)
    to = np.zeros(len(numbers), np.int16)
    round_off(numbers, to)
    np.testing.assert_array_equal(to, np.rint(numbers).astype(np.int16))


def test_rows_are_taken_by_their_index() -> None:
    rows, to = np.arange(5 * LANES, dtype=np.float32).reshape(5, LANES), np.zeros((5, LANES), np.float32)
    take_rows(rows, np.array([4, 2, 0, 3], np.uint16), to)
    expected = np.zeros_like(to)
    expected[[4, 2, 0]] = rows[[2, 0, 3]]
    np.testing.assert_array_equal(to, expected)
