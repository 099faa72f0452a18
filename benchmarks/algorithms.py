"""Compares the algorithms on small games: exploitability under one budget of CPU time, and of nodes touched.

    python -m benchmarks.algorithms [--games leduc] [--minutes 5] [--seeds 1 2 3] [--png PNG]

Each algorithm trains as its shipped experiment does, in this process and on one thread, until the minutes of
CPU time are used; evaluation does not count. OpenSpiel's own Deep CFR (PyTorch) does the same beside it; what
its average network learns before it is measured does not count either. Exploitability is NashConv/2 in chips,
of the algorithm's first way to play: exact, all information states enumerated.

A node touched is a history that a traversal visits. Traversals are timed alone as well: ours, and those of
OpenSpiel's Deep CFR and of its compiled external sampling (--no-rates leaves that out).
"""

import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import lightning
import numpy as np
import pyspiel
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.algorithms import exploitability as openspiel_exploitability
from open_spiel.python.algorithms.external_sampling_mccfr import ExternalSamplingSolver
from open_spiel.python.pytorch.deep_cfr import DeepCFRSolver

from benchmarks.measure import Arguments, Report, output_path
from benchmarks.selfplay import fit
from pokerlab.algorithms.base import make_agent
from pokerlab.config.command import check_overrides
from pokerlab.evaluation.exact import whole_game_strategy
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.parts import openspiel_names
from pokerlab.games.registry import make_game
from pokerlab.selfplay.external_sampling import ExternalSampling
from pokerlab.selfplay.public_game import list_game
from pokerlab.training.assemble import RunParts

GAMES = ("kuhn", "leduc", "liars_dice_1x4f")
OURS = {
    "rebel": lambda game: [f"experiment={game}"],
    "deep_cfr": lambda game: ["experiment=leduc_deep_cfr", f"game={game}"],
    "deep_cfr_few": lambda game: [
        "experiment=leduc_deep_cfr",
        f"game={game}",
        "iterations=400",
        "trajectories=150",
    ],
    "ppo": lambda game: ["experiment=leduc_ppo", f"game={game}"],
}
"""What trains each on a game; ``deep_cfr_few`` takes few traversals, for what it comes to with few nodes."""
OPENSPIEL = "openspiel_deep_cfr"
PEER = {
    "policy_network_layers": (64, 64),
    "advantage_network_layers": (64, 64),
    "learning_rate": 1e-3,
    "batch_size_advantage": 1024,
    "batch_size_strategy": 1024,
    "advantage_network_train_steps": 100,
    "policy_network_train_steps": 1000,
    "reinitialize_advantage_networks": False,
}
"""How OpenSpiel's is set: networks as large as ours and kept from iteration to iteration."""
PEER_TRAVERSALS = 50
"""Of each player an iteration."""
MARKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
"""When it is measured, in budgets."""
COLOURS = dict(zip((*OURS, OPENSPIEL), ("#0072b2", "#d55e00", "#e69f00", "#009e73", "#777777"), strict=True))
Point = dict[str, Any]
"""``seconds``, ``nodes`` and ``exploitability``."""


class Marks:
    """Measures at some shares of a budget of CPU time.

    Args:
        seconds: the budget.
        exploitability: of what has been learned.
        nodes: touched so far; None: they are not counted.
    """

    def __init__(
        self, seconds: float, exploitability: Callable[[], float], nodes: Callable[[], float | None]
    ) -> None:
        self._marks = [share * seconds for share in MARKS]
        self._exploitability, self._nodes = exploitability, nodes
        self._began = time.process_time()
        self.points: list[Point] = []

    def look(self, *, last: bool = False) -> bool:
        """Measures if a mark has passed; whether the budget is used."""
        seconds = time.process_time() - self._began
        if not last and seconds < self._marks[0]:
            return False
        found = {"seconds": seconds, "nodes": self._nodes(), "exploitability": self._exploitability()}
        self.points.append(found)
        self._marks = [mark for mark in self._marks if mark > seconds]
        self._began = time.process_time() - seconds
        return not self._marks


class Stop(lightning.Callback):
    """Ends a training at the last mark.

    Args:
        parts: the run's.
        seconds: the budget.
    """

    def __init__(self, parts: RunParts, seconds: float) -> None:
        self._parts, self._whole = parts, WholeGame(parts.game)
        self.marks = Marks(seconds, self._exploitability, self._nodes)

    def _exploitability(self) -> float:
        evaluation = self._parts.evaluation
        make = next(iter(self._parts.algorithm.agents.values()))
        agent = make_agent(make, self._parts.module.networks, iterations=evaluation.search_iterations)
        how = {"play_throughs": evaluation.play_throughs, "seed": evaluation.seed}
        with torch.no_grad():
            strategy = whole_game_strategy(self._whole, agent, **how)
        return self._whole.exploitability(strategy).exploitability.item()

    def _nodes(self) -> float | None:
        found = self._parts.module.trainer.callback_metrics.get("nodes_touched")
        return None if found is None else found.item()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Looks whether it is time."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        trainer.should_stop = self.marks.look(last=last)


def train(overrides: Sequence[str], seconds: float, seed: int) -> list[Point]:
    """What one of ours comes to in so many seconds of CPU time."""
    (config,) = check_overrides("train", [*overrides, f"seed={seed}", "trainer=cpu", "evaluation.every=1"])
    parts = RunParts(config)
    stop = Stop(parts, seconds)
    with tempfile.TemporaryDirectory() as folder:
        fit(parts, config, stop, config.iterations, folder)
    return stop.marks.points


class Peer(DeepCFRSolver):  # type: ignore[misc]
    """OpenSpiel's Deep CFR; it counts the nodes that it touches."""

    touched = 0

    def _traverse_game_tree(self, state: Any, player: int) -> Any:
        self.touched += 1
        return super()._traverse_game_tree(state, player)

    def iterate(self) -> None:
        """An iteration, as in ``solve``."""
        for player in (0, 1):
            for _ in range(PEER_TRAVERSALS):
                self._traverse_game_tree(self._root_node, player)
            self._learn_advantage_network(player)
        self._iteration += 1

    def exploitability(self) -> float:
        """Of the average network, after it has learned."""
        self._reinitialize_policy_network()
        self._learn_strategy_network()
        table = openspiel_policy.tabular_policy_from_callable(self._game, self.action_probabilities)
        found: float = openspiel_exploitability.exploitability(self._game, table)
        return found


def train_peer(game: str, seconds: float, seed: int) -> list[Point]:
    """What OpenSpiel's comes to."""
    np.random.seed(seed)
    peer = Peer(pyspiel.load_game(openspiel_names(make_game(game)).openspiel_name), seed=seed, **PEER)
    marks = Marks(seconds, peer.exploitability, lambda: float(peer.touched))
    while True:
        peer.iterate()
        if marks.look():
            return marks.points


def rates(game: str, seconds: float, seed: int) -> dict[str, Any]:
    """Nodes a second of traversals alone, of ours and of OpenSpiel's solvers."""
    theirs = pyspiel.load_game(openspiel_names(make_game(game)).openspiel_name)
    listed = list_game(make_game(game))
    legal = listed.nodes.legal(listed.game.num_actions).astype(np.float32)
    strategy = np.repeat((legal / legal.sum(1, keepdims=True))[:, :, None], listed.game.num_hands, 2)
    sampling, generator = ExternalSampling(listed), torch.Generator().manual_seed(seed)
    peer, slow = Peer(theirs, seed=seed, **PEER), ExternalSamplingSolver(theirs)
    fast, visited = pyspiel.ExternalSamplingMCCFRSolver(theirs, seed), [0]
    update = slow._update_regrets

    def counted(state: Any, player: int) -> float:
        visited[0] += 1
        found: float = update(state, player)
        return found

    slow._update_regrets = counted
    np.random.seed(seed)
    iterations = 200
    for _ in range(iterations):
        slow.iteration()
    nodes_an_iteration = visited[0] / iterations  # the compiled solver does not count its own

    def ours() -> float:
        return float(sum(sampling.sample(strategy, player, 2000, generator).nodes for player in (0, 1)))

    def deep() -> float:
        before = peer.touched
        for player in (0, 1):
            peer._traverse_game_tree(peer._root_node, player)
        return float(peer.touched - before)

    def compiled() -> float:
        for _ in range(100):
            fast.run_iteration()
        return 100 * nodes_an_iteration

    found = {name: _rate(run, seconds) for name, run in (("ours", ours), ("deep", deep), ("mccfr", compiled))}
    return {
        "game": game, **found,
        "times_deep": found["ours"] / found["deep"], "times_mccfr": found["ours"] / found["mccfr"],
    }  # fmt: skip


def _rate(run: Callable[[], float], seconds: float) -> float:
    run()
    began, nodes = time.process_time(), 0.0
    while (took := time.process_time() - began) < seconds:
        nodes += run()
    return nodes / took


def at_budget(points: Sequence[Point], key: str, budget: float) -> Point | None:
    """The last measurement within a budget of seconds or nodes, up to a tenth more; None: there is none."""
    within = [point for point in points if point[key] is not None and point[key] <= 1.1 * budget]
    return within[-1] if within else None


def summary(runs: Sequence[dict[str, Any]], budget: float) -> list[dict[str, Any]]:
    """Mean, spread and worst of the seeds: at the end, and at a budget of nodes."""
    groups = defaultdict(list)
    for run in runs:
        groups[run["game"], run["algorithm"]].append(run["points"])
    rows = []
    for (game, algorithm), each in groups.items():
        last = [points[-1]["exploitability"] for points in each]
        at_nodes = [
            point["exploitability"] for points in each if (point := at_budget(points, "nodes", budget))
        ]
        touched = [nodes for points in each if (nodes := points[-1]["nodes"]) is not None]
        rows.append({
            "game": game,
            "algorithm": algorithm,
            "seconds": fmean(points[-1]["seconds"] for points in each),
            "nodes": fmean(touched) if len(touched) == len(each) else None,
            "mean": fmean(last),
            "spread": stdev(last) if len(last) > 1 else None,
            "worst": max(last),
            "at_nodes": fmean(at_nodes) if len(at_nodes) == len(each) else None,
        })  # fmt: skip
    return rows


def plot(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws every run's exploitability against CPU time, a panel a game."""
    games = list(dict.fromkeys(run["game"] for run in runs))
    figure = Figure(figsize=(4.6 * len(games), 4), layout="constrained")
    for axes, game in zip(figure.subplots(1, len(games), squeeze=False)[0], games, strict=True):
        named = set[str]()
        for run in runs:
            if run["game"] == game:
                name = run["algorithm"]
                seconds = [point["seconds"] for point in run["points"]]
                found = [point["exploitability"] for point in run["points"]]
                label = None if name in named else name
                named.add(name)
                axes.plot(seconds, found, "o-", color=COLOURS[name], markersize=3, linewidth=1, label=label)
        axes.set(xscale="log", yscale="log", title=game, xlabel="CPU seconds of training")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("exploitability (NashConv/2), chips")
        axes.legend(frameon=False, fontsize=8)
        axes.grid(visible=True, which="major", color="#e5e5e5", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png", dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.algorithms", __doc__, repeats=None)
    every = [*OURS, OPENSPIEL]
    parser.add_argument("--games", nargs="+", choices=GAMES, default=list(GAMES), metavar="GAME")
    parser.add_argument("--algorithms", nargs="+", choices=every, default=every, metavar="ALGORITHM")
    parser.add_argument("--minutes", type=float, default=5.0, help="of CPU time, for each run")
    parser.add_argument("--nodes", type=float, default=4.7e6, help="at which exploitability is stated too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--no-rates", dest="rates", action="store_false", help="do not time traversals alone")
    parser.add_argument("--png", type=output_path, help="where the picture goes")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(given)
    if not options.minutes > 0:
        parser.error(f"expected --minutes above 0, got {options.minutes:g}")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    report = Report(parser, given, threads=1, dtype="float32", minutes=options.minutes, seed=options.seeds)
    runs, seconds = [], 60 * options.minutes
    for game in options.games:
        for algorithm in options.algorithms:
            for seed in options.seeds:
                if algorithm == OPENSPIEL:
                    points = train_peer(game, seconds, seed)
                else:
                    points = train(OURS[algorithm](game), seconds, seed)
                runs.append({"game": game, "algorithm": algorithm, "seed": seed, "points": points})
    report.results["runs"] = runs
    report.results["rows"] = rows = summary(runs, options.nodes)
    report.table(
        f"exploitability (NashConv/2, chips) of {len(options.seeds)} seeds",
        {
            "game": "game", "algorithm": "algorithm", "seconds": "CPU s", "nodes": "nodes touched",
            "mean": "mean", "spread": "spread", "worst": "worst",
            "at_nodes": f"at {options.nodes / 1e6:g} M nodes",
        },
        rows,
    )  # fmt: skip
    if options.rates:
        report.results["rates"] = found = [rates(game, min(seconds, 10), 1) for game in options.games]
        report.table(
            "nodes touched a second by traversals alone",
            {
                "game": "game", "ours": "ours", "deep": "OpenSpiel Deep CFR", "times_deep": "ratio",
                "mccfr": "OpenSpiel external sampling, C++", "times_mccfr": "ratio",
            },
            found,
        )  # fmt: skip
    if options.png:
        plot(runs, options.png)
        report.console.print(f"plot: {options.png}", highlight=False, soft_wrap=True)
    report.finish(options.json)


if __name__ == "__main__":
    main()
