"""The matrix of a round robin shows who wins how much."""

from pathlib import Path

import numpy as np
import pytest

from pokerlab.evaluation.cells import FAINT
from pokerlab.evaluation.match_matrix import plot_matrix
from pokerlab.evaluation.plots import save

MEAN = np.array([[5, 120.4, -8], [-120.4, 5, 30], [8, -30, 5]])
HALF = np.array([[0, 12.3, 4], [12.3, 0, 9.6], [4, 9.6, 0]])


def test_numbers_stand_in_their_cells(tmp_path: Path) -> None:
    figure = plot_matrix(["search", "network", "random"], MEAN, HALF, "mbb/hand")
    axes = figure.axes[0]
    drawn = axes.images[0].get_array()
    assert drawn is not None
    np.testing.assert_array_equal(np.ma.getmaskarray(np.ma.masked_invalid(drawn)), np.eye(3, dtype=bool))
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_array_equal(np.asarray(drawn)[off], MEAN[off])
    assert axes.images[0].get_clim() == (-120.4, 120.4)
    assert [text.get_text() for text in axes.texts] == [
        "", "+120\n±12", "−8\n±4", "−120\n±12", "", "+30\n±10", "+8\n±4", "−30\n±10", ""
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == ["search", "network", "random"]
    assert "(mbb/hand)" in figure.axes[1].get_ylabel()
    assert save(figure, tmp_path / "matrix.png").stat().st_size > 5_000


def test_small_numbers_keep_three_digits_and_zeros_are_drawn() -> None:
    texts = plot_matrix("ab", MEAN[:2, :2] / 1000, HALF[:2, :2] / 1000, "chips").axes[0].texts
    assert [text.get_text() for text in texts] == ["", "+0.120\n±0.012", "−0.120\n±0.012", ""]
    texts = plot_matrix("ab", np.zeros((2, 2)), np.zeros((2, 2)), "chips").axes[0].texts
    assert texts[1].get_text() == "+0.00\n±0.00"


def test_who_has_not_played_is_grey() -> None:
    mean = MEAN.copy()
    mean[0, 2] = mean[2, 0] = np.nan
    texts = plot_matrix("abc", mean, HALF, "chips").axes[0].texts
    assert (texts[2].get_text(), texts[2].get_color()) == ("", FAINT)
    assert texts[1].get_text() == "+120\n±12"


@pytest.mark.parametrize("number", [2, 5, 10])
@pytest.mark.parametrize("name", ["a", "equilibrium (DCFR, 10,000 iterations, float64)"])
def test_all_names_and_numbers_are_within_the_picture(number: int, name: str) -> None:
    mean = np.full((number, number), -1234.0)
    figure = plot_matrix([name] * number, mean, np.abs(mean), "thousandths of a big blind")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for label in (
        *axes.get_xticklabels(),
        *axes.get_yticklabels(),
        *(each.yaxis.label for each in figure.axes),
    ):
        box = label.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    cell = axes.get_window_extent().width / number
    assert max(text.get_window_extent().width for text in axes.texts) < cell
