"""What is drawn of runs and leagues: panels of curves, as plain values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pokerlab.evaluation.published import LEAGUES, PUBLISHED
from pokerlab.store.status import VALUE_ERROR

MOST_POINTS = 400
"""Of a curve: of more, every so many are drawn."""
EXPLOITABILITY = {
    "exploitability": "as it plays",
    "exploitability_policy_net": "policy network alone",
}
MATCHES = {"lbr_mbb": "a local best response wins of it", "earlier_mbb": "it wins of its checkpoint before"}
UNITS = {
    "ReBeL": {"value_loss": "pots²", "policy_loss": "nats"},
    "DeepCFR": {"value_loss": "pots²", "policy_loss": "nats"},
    "PPO": {"value_loss": "big blinds²"},
}
"""Of losses, by the algorithm's class; of PPO's policy, its update says it."""
Line = Mapping[str, Any]
Panel = dict[str, Any]


def of_a_run(lines: Sequence[Line], config: Mapping[str, Any]) -> list[Panel]:
    """A run's panels: exploitability beside what others published, losses, errors of values, matches, time.

    Args:
        lines: of the metrics.
        config: of the run; what it lacks is not told.

    Returns:
        Each with ``title``, ``unit``, ``x`` (what is counted along it), ``series`` of ``name`` and ``points``
        (x, y and, if it is known, half the 95 % interval), and ``levels``, published values by name.
    """
    lines = sorted(lines, key=lambda line: line["iteration"])
    measured = [_series(lines, name, said) for name, said in EXPLOITABILITY.items()]
    published = PUBLISHED.get(_game(config), {})
    panels = [_panel("Exploitability", "NashConv/2, chips", measured, levels=published)]
    algorithm = config.get("algorithm")
    units = UNITS.get(_class(algorithm), {})
    for name in _fields(lines, lambda name: name.endswith("loss")):
        panels.append(
            _panel(
                name.replace("_", " ").capitalize(),
                units.get(name, ""),
                [_series(lines, name, name.replace("_", " "))],
            )
        )
    streets = _fields(lines, lambda name: name.startswith(VALUE_ERROR) and "_spr_" not in name)
    errors = [_series(lines, name, name.removeprefix(VALUE_ERROR).replace("_", " ")) for name in streets]
    panels.append(_panel("Value error by street", "mean absolute, pots", errors))
    matches = [_series(lines, name, said, f"{name}_half_width") for name, said in MATCHES.items()]
    panels.append(_panel("Matches", "thousandths of a big blind a hand", matches))
    seconds = {"seconds_selfplay": "self-play", "seconds_training": "training"}
    panels.append(
        _panel("Time", "seconds an iteration", [_series(lines, name, said) for name, said in seconds.items()])
    )
    return [panel for panel in panels if panel["series"]]


def exploitability_of_rounds(rounds: Sequence[Line], game: str) -> list[Panel]:
    """A league's panel: exploitability by rounds, or what a local best response wins."""
    exact = [(line["round"], line["exploitability"]) for line in rounds if _known(line.get("exploitability"))]
    bounds = [
        (line["round"], line["lower_bound"], line.get("lower_bound_half_width"))
        for line in rounds
        if _known(line.get("lower_bound"))
    ]
    series: list[dict[str, Any]] = [{"name": "mixture", "points": _thin(exact)}]
    others = LEAGUES.get(game, {})
    series += [
        {"name": name, "points": [(round_, value) for round_, value, _ in points], "published": True}
        for name, points in others.items()
        if exact
    ]
    panels = [
        _panel("Exploitability", "NashConv / players, chips", series, x="round"),
        _panel(
            "A local best response wins",
            "chips a hand",
            [{"name": "of the mixture", "points": _thin(bounds)}],
            x="round",
        ),
    ]
    return [panel for panel in panels if panel["series"]]


def _panel(
    title: str,
    unit: str,
    series: Sequence[Mapping[str, Any]],
    levels: Mapping[str, float] | None = None,
    x: str = "iteration",
) -> Panel:
    drawn = [each for each in series if each["points"]]
    return {"title": title, "unit": unit, "x": x, "series": drawn, "levels": dict(levels or {})}


def _series(lines: Sequence[Line], name: str, said: str, width: str = "") -> dict[str, Any]:
    """Iterations from 1 on."""
    points = []
    for line in lines:
        if _known(value := line.get(name)):
            half = [line[width]] if _known(line.get(width)) else []
            points.append([line["iteration"] + 1, value, *half])
    return {"name": said, "points": _thin(points)}


def _thin(points: Sequence[Any]) -> list[Any]:
    """At most so many, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return list(points)
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(at * step)] for at in range(MOST_POINTS)]


def _fields(lines: Sequence[Line], wanted: Any) -> list[str]:
    return sorted(
        {name for line in lines for name in line if wanted(name) and _known(line[name])}, reverse=True
    )


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _game(config: Mapping[str, Any]) -> str:
    """What a run's game is called: some name themselves, Liar's Dice by its dice."""
    game = config.get("game")
    if not isinstance(game, Mapping):
        return ""
    if _class(game) == "LiarsDice":
        return f"liars_dice_{game.get('dice')}x{game.get('faces')}f"
    return str(game.get("name") or _class(game).lower())


def _class(component: Any) -> str:
    target = component.get("_target_") if isinstance(component, Mapping) else None
    return str(target or "").rpartition(".")[2]
