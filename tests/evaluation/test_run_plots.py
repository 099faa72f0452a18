"""Pictures of a run show its numbers."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.text import Text
from numpy.typing import NDArray

from pokerlab.algorithms.rebel import ReBeL
from pokerlab.evaluation.plots import NETWORK, SEARCH, draw_run, plot_run
from pokerlab.evaluation.published import PUBLISHED

EXPLOITABILITY = ["exploitability.png", "exploitability_seconds.png"]


def line(iteration: int, exploitability: float | None = None) -> dict[str, Any]:
    """Of training_metrics.jsonl, as far as plots read it."""
    evaluated = exploitability is not None
    return {
        "iteration": iteration,
        "value_loss": 0.1 / (iteration + 1),
        "policy_loss": 0.3 / (iteration + 1),
        "seconds_selfplay": 2.0,
        "seconds_training": 0.5,
        "exploitability": exploitability,
        "exploitability_policy_net": 2 * exploitability if exploitability is not None else None,
        "search_iterations": 1000 if evaluated else None,
        "play_throughs": 20 if evaluated else None,
    }


RUN = [line(0), line(1, 0.5), line(2), line(3, 0.25), line(4, 0.125)]


def colours(path: Path) -> NDArray[np.int64]:
    """Every pixel of a PNG as 0xRRGGBB, ``[height, width]``."""
    picture = (image.imread(path)[:, :, :3] * 255).round().astype(np.int64)
    return picture @ np.array([0x10000, 0x100, 1])


def pixels(path: Path, colour: str) -> int:
    """How many pixels have exactly this colour."""
    return int((colours(path) == int(colour[1:], 16)).sum())


def is_picture(path: Path) -> bool:
    found = colours(path)
    return min(found.shape) >= 400 and len(np.unique(found)) > 50


def test_an_evaluated_run_has_three_pictures(tmp_path: Path) -> None:
    drawn = plot_run(RUN, "leduc", ReBeL.units, tmp_path / "deep" / "plots")
    assert drawn == [tmp_path / "deep" / "plots" / name for name in ["losses.png", *EXPLOITABILITY]]
    assert sorted((tmp_path / "deep" / "plots").iterdir()) == sorted(drawn)
    assert all(is_picture(path) for path in drawn)
    assert pixels(drawn[0], SEARCH) > 500
    for path in drawn[1:]:
        assert pixels(path, SEARCH) > 500
        assert pixels(path, NETWORK) > 500


def test_a_run_without_evaluations_has_the_losses(tmp_path: Path) -> None:
    drawn = plot_run([line(i) for i in range(5)], "kuhn", ReBeL.units, tmp_path)
    assert drawn == [tmp_path / "losses.png"] == list(tmp_path.iterdir())
    assert is_picture(drawn[0])
    assert pixels(drawn[0], SEARCH) > 500


def test_drawing_again_replaces_the_pictures(tmp_path: Path) -> None:
    plot_run(RUN[:2], "leduc", ReBeL.units, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    drawn = plot_run(RUN, "leduc", ReBeL.units, tmp_path)
    assert before.keys() == set(drawn)
    assert all(path.read_bytes() != before[path] for path in drawn)


@pytest.fixture
def plotted(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[float], list[float], str | None]]:
    """y label or legend of what is drawn → (x, y, label of x), for lines."""
    found: dict[str, Any] = {}
    plot, set_ = Axes.plot, Axes.set
    waiting: list[tuple[Any, tuple[list[float], list[float]], str | None]] = []

    def spy_plot(self: Axes, x: list[float], y: list[float], **options: Any) -> Any:
        waiting.append((self, (list(x), list(y)), options.get("label")))
        return plot(self, x, y, **options)

    def spy_set(self: Axes, **options: Any) -> Any:
        for axes, line, label in list(waiting):
            if axes is self:
                found[f"{label or options['ylabel']} by {options['xlabel']}"] = (*line, options["yscale"])
                waiting.remove((axes, line, label))
        return set_(self, **options)

    monkeypatch.setattr(Axes, "plot", spy_plot)
    monkeypatch.setattr(Axes, "set", spy_set)
    return found


def test_each_number_is_drawn_where_it_belongs(plotted: dict[str, Any], tmp_path: Path) -> None:
    plot_run(RUN, "leduc", ReBeL.units, tmp_path)
    search, alone = "search_iteration, 1,000 iterations, 20 play-throughs", "policy_net"
    seconds = "seconds of self-play and training"
    iterations = [1, 2, 3, 4, 5]
    assert plotted == {
        "value loss (pot²) by iteration": (iterations, [0.1 / i for i in iterations], "log"),
        "policy loss (nats) by iteration": (iterations, [0.3 / i for i in iterations], "log"),
        f"{search} by iteration": ([2, 4, 5], [0.5, 0.25, 0.125], "log"),
        f"{alone} by iteration": ([2, 4, 5], [1.0, 0.5, 0.25], "log"),
        f"{search} by {seconds}": ([5.0, 10.0, 12.5], [0.5, 0.25, 0.125], "log"),
        f"{alone} by {seconds}": ([5.0, 10.0, 12.5], [1.0, 0.5, 0.25], "log"),
    }


@pytest.mark.parametrize("game", ["leduc", "kuhn"])
def test_published_results_are_drawn_where_there_are_any(
    game: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[float] = []
    axhline = Axes.axhline

    def spy(self: Axes, y: float, **options: Any) -> Any:
        levels.append(y)
        return axhline(self, y, **options)

    monkeypatch.setattr(Axes, "axhline", spy)
    plot_run(RUN, game, ReBeL.units, tmp_path)
    assert levels == 2 * list(PUBLISHED.get(game, {}).values())
    assert (len(levels) > 0) == (game == "leduc")


@pytest.mark.parametrize("game", PUBLISHED)
@pytest.mark.parametrize("worst", [0.01, 0.06, 4.0, 4000.0])
def test_what_a_picture_says_lies_on_nothing_else(game: str, worst: float) -> None:
    figures = dict(draw_run([line(0, worst), line(1, worst / 1.1)], game, ReBeL.units))
    for name in ("exploitability", "exploitability_seconds"):
        figure = figures[name]
        figure.draw_without_rendering()
        [axes] = figure.axes
        # of a text alone: that of an annotation holds its arrow too
        labels = [Text.get_window_extent(text) for text in axes.texts]
        assert len(labels) == len(PUBLISHED[game])
        boxes = [axes.bbox, *labels, figure.legends[0].get_window_extent()]
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_iterations_are_whole() -> None:
    for _, figure in list(draw_run([line(0, 0.5)], "kuhn", ReBeL.units))[:2]:
        figure.draw_without_rendering()
        assert [tick for axes in figure.axes for tick in axes.get_xticks() if tick % 1] == []


def test_strength_is_drawn_where_it_was_measured() -> None:
    measured = {
        "value_error_river": 0.2, "value_error_river_spr_1_to_4": 0.2, "value_error_river_spr_above_4": 0.1,
        "value_error_river_spr_below_1": 0.3, "value_error_turn": 0.4,
        "lbr_mbb": 900.0, "lbr_mbb_half_width": 90.0,
    }  # fmt: skip
    lines = [line(0), line(1) | measured, line(2)]
    drawn = dict(draw_run(lines, "hunl", ReBeL.units))
    river, turn = drawn["value_errors"].axes
    assert [curve.get_label() for curve in river.get_lines()] == [
        "all", "spr below 1", "spr 1 to 4", "spr above 4",
    ]  # fmt: skip
    assert [curve.get_xdata().tolist() for curve in river.get_lines()] == [[2]] * 4  # type: ignore[union-attr]
    assert turn.get_title() == "turn"
    assert "matches" in drawn
    assert not {"value_errors", "matches"} & dict(draw_run([line(0)], "hunl", ReBeL.units)).keys()


def test_a_loss_that_falls_below_zero_is_drawn_to_scale() -> None:
    below = [each | {"policy_loss": 0.1 - each["iteration"]} for each in RUN]
    values, policies = dict(draw_run(below, "leduc", ReBeL.units))["losses"].axes
    assert (values.get_yscale(), policies.get_yscale()) == ("log", "linear")
