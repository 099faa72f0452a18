"""What ranks, and actors elsewhere, cost beside the same work in one process: parts of benchmarks.scaling."""

import json
import logging
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pokerlab.config.command import check_overrides
from pokerlab.errors import UserError
from pokerlab.selfplay.place import Place
from pokerlab.training.assemble import RunParts

ITERATIONS = 3
"""That are measured of a run; the one before them compiles."""
MACHINES = 3


def train(arguments: Sequence[str], folder: Path) -> float:
    """Trains a run in processes of its own; the seconds of processor time that all of them took.

    Raises:
        UserError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-m", "pokerlab.train", *arguments, f"run_dir={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise UserError(f"a run failed: {' '.join(ended.stderr.split())[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rank_rows(ranks: Sequence[int], overrides: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """A run by several numbers of ranks, each with the share that one process has alone; 0: without DDP.

    Processor time an iteration is what a run of four takes longer than one of one: starting and compiling
    drop out. It grows with what ranks tell each other, but not while they wait for each other.
    """
    rows: list[dict[str, Any]] = []
    (config,) = check_overrides("train", overrides)
    for number in ranks:
        times = number or 1
        given = [*overrides, f"seed={seed}", "evaluation.every=null", f"trainer.devices={times}"]
        given += [f"trajectories={config.trajectories * times}", f"batch_size={config.batch_size * times}"]
        given += [f"trainer.strategy={'ddp' if number else 'auto'}"]
        with tempfile.TemporaryDirectory() as folder:
            short = train([*given, "iterations=1"], Path(folder) / "short")
            long = train([*given, f"iterations={1 + ITERATIONS}"], Path(folder) / "long")
            text = (Path(folder) / "long" / "training_metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()][1:]
        play, learn, examples = (
            statistics.mean(line[name] for line in lines)
            for name in ("seconds_selfplay", "seconds_training", "examples")
        )
        updates = (lines[-1]["network_updates"] - lines[0]["network_updates"]) / (ITERATIONS - 1)
        processor = (long - short) / ITERATIONS / times
        rows.append(
            {
                "ranks": number,
                "examples_per_second": examples / play,
                "updates_per_second": updates / learn,
                "seconds": play + learn,
                "processor_seconds": processor,
                "examples": examples,
                "updates": updates,
                "overhead": processor / rows[0]["processor_seconds"] - 1 if rows else 0.0,
            }
        )
    return rows


@contextmanager
def _engine(overrides: Sequence[str]) -> Iterator[tuple[Any, RunParts, int]]:
    (config,) = check_overrides("train", overrides)
    parts = RunParts(config)
    try:
        yield parts.actors, parts, config.trajectories
    finally:
        parts.actors.close()


def actor_rows(
    hidden: Sequence[int], workers: int, overrides: Sequence[str], repeats: int, seed: int
) -> list[dict[str, Any]]:
    """Self-play by processes and by Ray in turn, with networks of several sizes."""
    rows = []
    for size in hidden:
        sizes = [f"model.{name}_network.hidden={size}" for name in ("value", "policy")]
        given = [*overrides, *sizes, f"seed={seed}", f"workers={workers}"]
        with (
            _engine([*given, "actors=processes"]) as (processes, parts, n),
            _engine([*given, "actors=ray"]) as (on_ray, _, _),
        ):
            took: dict[str, list[float]] = {"processes": [], "ray": []}
            for repeat in range(repeats + 1):  # the first starts them
                for name, actors in (("processes", processes), ("ray", on_ray)):
                    began = time.perf_counter()
                    made = actors.generate(parts.module.networks, n, Place(seed, 0))
                    if repeat:
                        took[name].append(time.perf_counter() - began)
        examples = sum(map(len, made.values()))
        weights = sum(
            each.numel() * each.element_size() for each in parts.module.networks.state_dict().values()
        )
        alone, ray = (statistics.median(took[name]) for name in ("processes", "ray"))
        rows.append(
            {
                "hidden": size,
                "megabytes_of_weights": weights / 1e6,
                "examples": examples,
                "kilobytes_an_example": len(pickle.dumps(made)) / examples / 1e3,
                "seconds_processes": alone,
                "seconds_ray": ray,
                "examples_per_second_processes": examples / alone,
                "examples_per_second_ray": examples / ray,
                "overhead": ray / alone - 1,
            }
        )
    return rows


def weight_rows(megabytes: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Seconds in which weights are with a task on each of three machines, processes of this one."""
    import ray
    from ray.cluster_utils import Cluster

    memory = 100_000_000 + int(2.5e6 * max(megabytes))
    one: dict[str, Any] = {"num_cpus": 1, "object_store_memory": memory}
    cluster: Any = Cluster(initialize_head=True, head_node_args=one)
    rows = []
    try:
        for _ in range(MACHINES - 1):
            cluster.add_node(**one)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        holder: Any = ray.remote(_Holder).options(num_cpus=1)
        holders: list[Any] = [holder.remote() for _ in range(MACHINES)]
        ray.get([each.look.remote([]) for each in holders], timeout=120)
        for size in megabytes:
            weights = np.ones(size * 250_000, dtype=np.float32)
            took = []
            for _ in range(repeats):
                began = time.perf_counter()
                there = ray.put(weights)
                ray.get([each.look.remote(there) for each in holders], timeout=120)
                took.append(time.perf_counter() - began)
            rows.append({"megabytes": size, "machines": MACHINES, "seconds": statistics.median(took)})
    finally:
        ray.shutdown()
        cluster.shutdown()
    return rows


class _Holder:
    """On one of the machines."""

    def look(self, weights: Any) -> float:
        """The last of them."""
        return float(weights[-1]) if len(weights) else 0.0


RANK_COLUMNS = {
    "ranks": "ranks (0: no DDP)",
    "examples_per_second": "examples/s",
    "updates_per_second": "updates/s",
    "seconds": "s/iteration",
    "processor_seconds": "processor s of a rank",
    "examples": "examples",
    "overhead": "more than the first",
}
ACTOR_COLUMNS = {
    "hidden": "hidden",
    "megabytes_of_weights": "MB of weights",
    "examples": "examples",
    "kilobytes_an_example": "kB/example",
    "seconds_processes": "s, processes",
    "seconds_ray": "s, Ray",
    "examples_per_second_processes": "examples/s, processes",
    "examples_per_second_ray": "examples/s, Ray",
    "overhead": "more time with Ray",
}
WEIGHT_COLUMNS = {"megabytes": "MB", "machines": "machines", "seconds": "s"}
