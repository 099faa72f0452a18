"""A run killed again and again, and resumed each time: does it end as an uninterrupted one does?

    python -m benchmarks.kills [--rounds 20] [--overrides experiment=kuhn ...]
    python -m benchmarks.kills --overrides workers=0 trainer.devices=2
    python -m benchmarks.kills --ray

First trains a small Leduc run with two workers in peace. Then the same run, in a folder of its own, gets
SIGKILL at random moments:

* starting: uniform over the time that the first run took to finish its first iteration: while it imports,
  reads its checkpoint, starts its workers.
* training: uniform over a few seconds after an iteration was finished.
* writing: then, as soon as a file that is being written is seen.

Hit is the process group, the trainer, one worker, or one rank (`trainer.devices=2`). With `--ray` workers are
tasks on a cluster of two machines, processes of this one: hit is the trainer, a task's process, all of the
second machine, which then comes back; the run has to finish an iteration without it, and then its trainer is
hit too; or the cluster's head, which ends the run with a line that says so, before all of the cluster is
started again. Each time the run is resumed from its folder, by `pokerlab.train resume_from=` or as a
submitted one; if it was killed before its folder was made, by the first command. After each kill every file
must be readable, no process be left, and a trainer that lost a worker or a rank must have said which. In the
end metrics, weights, optimiser and replay are compared to the last bit. Exit code 1 if anything is wrong.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from omegaconf import OmegaConf

from benchmarks.compare import differences
from benchmarks.measure import Arguments, Report, positive
from pokerlab.config.command import check_overrides
from pokerlab.config.machine import count_ranks
from pokerlab.config.schema import RunConfig
from pokerlab.errors import UserError
from pokerlab.store.files import TEMPORARY
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.fit import check_checkpoint

EXPERIMENT = "experiment=leduc"
RUN = (
    "iterations=100", "trajectories=150", "updates=40", "batch_size=128", "workers=2",
    "commit_every=2", "checkpoint_every=10", "selfplay.search_iterations=50",
    "evaluation.every=10", "evaluation.search_iterations=20", "evaluation.play_throughs=2",
)  # fmt: skip
"""Some 25 seconds of training on two cores."""

MOMENTS = {"starting": 1, "training": 2, "writing": 1}
"""How often each is drawn, relative to the others."""
GROUP, TRAINER, WORKER, RANK = "process group", "trainer", "worker", "rank"
TASK, MACHINE, HEAD = "Ray task", "Ray machine", "Ray head"
LONGEST = 60.0
"""Seconds after which a trainer whose cluster is lost must have ended."""
PATIENCE = 30.0
"""Seconds in which the processes of a killed trainer must be gone; a worker that imports does that first."""
SLOWEST = 600.0
"""Seconds that nothing here takes."""


@dataclass
class Round:
    """One kill."""

    round: int
    resumed_by: str
    moment: str
    seconds: float
    """After the process started."""
    killed: str
    """Nothing, if the run finished first."""
    iteration: int
    """Iterations that the metrics have."""
    saved: int | None
    """Iterations that ``last.ckpt`` has."""
    seconds_until_gone: float
    """Until no process was left; of what the run outlives, until it had finished another iteration."""
    wrong: list[str]


class Attempt:
    """A process that trains the run, as far as it gets.

    Args:
        command: its arguments.
        run: what it trains.
        output: file that gets what it prints.
    """

    def __init__(self, command: Sequence[str], run: RunFolder, output: Path) -> None:
        self.run, self.output = run, output
        self.started = time.perf_counter()
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        """Since it started."""
        return time.perf_counter() - self.started

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def until(self, reached: Callable[[], object], limit: float = SLOWEST) -> None:
        """Waits for ``reached``, the end of the process, or ``limit`` seconds after its start."""
        while not (reached() or self.over or self.seconds > limit):
            time.sleep(0.001)

    def until_an_iteration_is_finished(self) -> None:
        """Waits until the metrics grow; a file that was replaced in between is no growth."""

        def look() -> tuple[int, int]:
            try:
                status = self.run.metrics.stat()
            except FileNotFoundError:
                return 0, 0
            return status.st_ino, status.st_size

        seen = look()

        def has_grown() -> bool:
            nonlocal seen
            before, seen = seen, look()
            return seen[0] == before[0] and seen[1] > before[1]

        self.until(has_grown)

    def processes(self) -> list[psutil.Process]:
        """All that it started."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[psutil.Process]:
        """Those that play."""
        return [process for process in self.processes() if "spawn_main" in " ".join(_command(process))]

    def ranks(self) -> list[psutil.Process]:
        """Those that learn with it."""
        return [each for each in self.processes() if "pokerlab.training.rank" in _command(each)]

    def parts(self, victim: str) -> list[psutil.Process]:
        """Its processes of a kind."""
        return self.ranks() if victim == RANK else self.workers()

    def end(self) -> int:
        """Its exit code."""
        return self.process.wait(SLOWEST)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def kill(attempt: Attempt, victim: str) -> str:
    """Sends SIGKILL; says to what."""
    if attempt.over:
        return "nothing"
    if victim in (WORKER, RANK):
        if not (parts := attempt.parts(victim)):
            return "nothing"
        parts[-1].kill()
        return f"{victim} {parts[-1].pid}"
    if victim == GROUP:
        os.killpg(attempt.process.pid, signal.SIGKILL)
    else:
        attempt.process.kill()
    return victim


def await_moment(attempt: Attempt, moment: str, seconds: float, victim: str) -> None:
    """Waits for a moment, ``seconds`` after its kind begins; for a worker, if that is to be hit."""
    if moment == "starting":
        attempt.until(lambda: False, limit=seconds)
    else:
        attempt.until_an_iteration_is_finished()
        attempt.until(lambda: False, limit=attempt.seconds + seconds)
        if moment == "writing":
            attempt.until(lambda: any(temporaries(attempt.run)))
    if victim in (WORKER, RANK):
        attempt.until(lambda: attempt.parts(victim))


def temporaries(run: RunFolder) -> Iterator[Path]:
    """Files that are being written, or were when their process was killed."""
    for folder in (run.path, run.checkpoints, run.replay, run.plots):
        yield from folder.glob(f".*{TEMPORARY}")


def unreadable(run: RunFolder) -> list[str]:
    """What cannot be read of a run's folder, at whatever moment."""
    wrong = []
    for path in (run.job, run.summary):
        try:
            if path.exists() and not isinstance(json.loads(path.read_text()), dict):
                wrong.append(f"{path.name} is no object")
        except ValueError as error:
            wrong.append(f"{path.name}: {error}")
    if run.config.exists() and "iterations" not in OmegaConf.load(run.config):
        wrong.append("config.yaml is not whole")
    try:
        iterations = [line["iteration"] for line in run.read_metrics()]
        if iterations != list(range(len(iterations))):
            wrong.append(f"iterations in the metrics: {iterations}")
    except ValueError as error:
        wrong.append(f"{run.metrics.name}: {error}")
    for path in (run.checkpoints / LAST, *run.numbered_checkpoints().values()):
        try:
            if path.exists():
                check_checkpoint(path, run)
        except UserError as error:
            wrong.append(str(error))
    return wrong


def first_command(overrides: Sequence[str], run: RunFolder) -> list[str]:
    """Starts the run."""
    return ["pokerlab.train", *overrides, f"run_dir={run.path}"]


def next_command(overrides: Sequence[str], run: RunFolder, draw: random.Random) -> list[str]:
    """Goes on with it."""
    submitted = draw.random() < 0.5  # drawn in any case, so that a seed's later draws stay the same
    if not run.config.exists():
        return first_command(overrides, run)
    return (
        ["pokerlab.jobs.detached", str(run.path)]
        if submitted
        else ["pokerlab.train", f"resume_from={run.path}"]
    )


def kill_once(
    number: int,
    command: Sequence[str],
    run: RunFolder,
    output: Path,
    *,
    moment: str,
    seconds: float,
    victim: str,
    machines: "Machines | None" = None,
) -> Round:
    """Starts or resumes the run, kills it, and looks at what is left."""
    attempt = Attempt(command, run, output)
    await_moment(attempt, moment, seconds, victim)
    outlived = 0.0
    if machines is not None and victim in (TASK, MACHINE) and (killed := machines.kill(victim)):
        since = time.perf_counter()
        attempt.until_an_iteration_is_finished()
        outlived = time.perf_counter() - since
        machines.repair()
    else:
        killed = ""
    processes = attempt.processes()
    when, began = attempt.seconds, time.perf_counter()
    if machines is not None and victim == HEAD and not attempt.over:
        killed = machines.kill(HEAD)
    else:
        last_killed = kill(attempt, TRAINER if victim in (TASK, MACHINE) else victim)
        killed = f"{killed}, then the {last_killed}" if killed else last_killed
    code, since = attempt.end(), time.perf_counter()
    if machines is not None and killed == HEAD:
        outlived = since - began
        machines.repair()
    alive = psutil.wait_procs(processes, PATIENCE)[1]
    gone = max(time.perf_counter() - since, outlived)
    wrong = [f"still there: {' '.join(_command(process))}" for process in alive]
    told = output.read_text(errors="replace")
    if killed == "nothing":
        wrong += [] if code == 0 else [f"exit code {code}: {told[-500:]}"]
    elif killed.startswith((WORKER, RANK)) and code != 0:  # 0: the last iteration was played already
        said = "rank 1 " if killed.startswith(RANK) else f"(pid {killed.split()[1]}) "
        if code != 1 or "Traceback" in told or f"{said}" not in told or " died" not in told:
            wrong.append(f"exit code {code} after the death of a {victim}: {told[-500:]}")
    elif killed == HEAD and code != 0:  # 0: all had been played already
        if code != 1 or "Traceback" in told or "the head of the Ray cluster" not in told or gone > LONGEST:
            wrong.append(f"exit code {code} {gone:.0f} s after the head was lost: {told[-500:]}")
    elif killed == HEAD or "nothing" in killed:  # the run was over before
        wrong += [] if code == 0 else [f"exit code {code}: {told[-500:]}"]
    elif not killed.startswith((WORKER, RANK)) and code != -signal.SIGKILL:
        wrong.append(f"exit code {code}: {told[-500:]}")
    last = run.checkpoints / LAST
    return Round(
        round=number,
        resumed_by="start" if "run_dir=" in command[-1] else command[0].rpartition(".")[2],
        moment=moment,
        seconds=round(when, 3),
        killed=killed,
        iteration=len(run.read_metrics()),
        saved=check_checkpoint(last, run)["pokerlab"]["iteration"] if last.exists() else None,
        seconds_until_gone=round(gone, 3),
        wrong=wrong + unreadable(run),
    )


class Machines:
    """A Ray cluster of two machines with a core each, processes of this one."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._one: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100_000_000}
        self._make: Any = Cluster
        self._start()

    def _start(self, **options: int) -> None:
        self._cluster: Any = self._make(initialize_head=True, head_node_args=self._one | options)
        self._second = self._cluster.add_node(**self._one)
        self.address: str = self._cluster.address

    def kill(self, victim: str) -> str:
        """Kills a task's process, the second machine or the head; says which, or nothing if there is none."""
        if victim == HEAD:
            self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
            return HEAD
        if victim == MACHINE:
            self._cluster.remove_node(self._second, allow_graceful=False)
            return MACHINE
        for process in psutil.Process().children(recursive=True):
            if " ".join(_command(process)).startswith("ray::_play"):
                process.kill()
                return f"{TASK} {process.pid}"
        return ""

    def repair(self) -> None:
        """All is there again, at the same address."""
        if not self._cluster.head_node.any_processes_alive():
            self.close()
            self._start(gcs_server_port=int(self.address.rpartition(":")[2]))
        if self._second not in self._cluster.worker_nodes:
            self._second = self._cluster.add_node(**self._one)

    def close(self) -> None:
        """Ends the cluster."""
        self._cluster.shutdown()


def files(run: RunFolder) -> set[str]:
    """Every file of a run's folder, but for what tells of an iteration that took long."""
    found = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    return found - {run.progress.name}


def wrong_in_the_end(run: RunFolder, straight: RunFolder, iterations: int) -> list[str]:
    """What tells the finished run from the uninterrupted one."""
    wrong = unreadable(run) + differences(run, straight)
    if (there := [line["iteration"] for line in run.read_metrics()]) != list(range(iterations)):
        wrong.append(f"iterations in the metrics: {there}")
    wrong += [f"left behind: {name}" for name in sorted(files(run) - files(straight))]
    return wrong + [f"missing: {name}" for name in sorted(files(straight) - files(run))]


def train_undisturbed(command: Sequence[str], run: RunFolder, output: Path) -> tuple[float, float]:
    """Trains the run in peace: seconds until its first iteration was finished, and from then to its last.

    Raises:
        UserError: it failed.
    """
    attempt = Attempt(command, run, output)
    attempt.until_an_iteration_is_finished()
    first = attempt.seconds
    if attempt.end() != 0:
        raise UserError(f"the uninterrupted run failed: {output.read_text(errors='replace')[-500:]}")
    began, ended = (datetime.fromisoformat(run.read_metrics()[each]["timestamp"]) for each in (0, -1))
    return first, (ended - began).total_seconds()


def config_of(overrides: Sequence[str]) -> RunConfig:
    """The run that the command line asks for.

    Raises:
        UserError: something in it is wrong.
    """
    (config,) = check_overrides("train", overrides)
    return config


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = Arguments("benchmarks.kills", __doc__, repeats=None)
    parser.add_argument("--rounds", type=positive, default=20, help="how often the run is killed")
    told = "of the run's config, as for pokerlab.train"
    parser.add_argument("--overrides", nargs="*", default=[], metavar="KEY=VALUE", help=told)
    parser.add_argument("--ray", action="store_true", help="play on a Ray cluster, and hit that as well")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(given)
    machines = Machines() if options.ray else None
    on_ray = [] if machines is None else ["actors=ray", f"actors.address={machines.address}"]
    own = [f"seed={options.seed}", *RUN, *on_ray, *options.overrides]
    overrides = own if any(each.startswith("experiment=") for each in own) else [EXPERIMENT, *own]
    folder, began = Path(tempfile.mkdtemp(prefix="pokerlab-kills-")), time.perf_counter()
    straight, run = RunFolder(folder / "straight"), RunFolder(folder / "killed")
    draw, rounds = random.Random(options.seed), list[Round]()
    try:
        config = config_of(overrides)
        report = Report(parser, given, threads=config.trainer.threads, seed=options.seed)
        starting, training = train_undisturbed(
            first_command(overrides, straight), straight, folder / "straight.txt"
        )
        report.console.print(
            f"uninterrupted: {starting:.1f} s to the first iteration, {training:.1f} s of training",
            highlight=False,
        )
        victims = [GROUP, TRAINER]
        if machines is not None:
            victims = [TRAINER, TASK, MACHINE, HEAD]
        else:
            victims += [WORKER] if config.workers else []
            victims += [RANK] if count_ranks(config) > 1 else []
        longest = 2 * training / options.rounds  # so that the last kill comes shortly before the end
        command = first_command(overrides, run)
        for number in range(1, options.rounds + 1):
            (moment,) = draw.choices(list(MOMENTS), list(MOMENTS.values()))
            seconds = draw.uniform(0, starting if moment == "starting" else longest)
            victim, output = draw.choice(victims), folder / f"round-{number:02d}.txt"
            rounds.append(
                kill_once(
                    number,
                    command,
                    run,
                    output,
                    moment="training" if victim in (TASK, MACHINE, HEAD) else moment,
                    seconds=seconds,
                    victim=victim,
                    machines=machines,
                )
            )
            command = next_command(overrides, run, draw)
        last = Attempt(command, run, folder / "last.txt")
        wrong = [] if last.end() == 0 else [f"the last resume failed: {last.output.read_text()[-500:]}"]
    except UserError as error:
        shutil.rmtree(folder)
        parser.error(str(error))
    finally:
        if machines is not None:
            machines.close()
    wrong = wrong or wrong_in_the_end(run, straight, config.iterations)
    wrong = [f"round {each.round}: {what}" for each in rounds for what in each.wrong] + wrong
    elapsed = time.perf_counter() - began
    _show(report, rounds, config.iterations)
    report.results |= {
        "overrides": overrides,
        "seconds": round(elapsed, 1),
        "seconds_to_first_iteration": round(starting, 3),
        "seconds_of_training": round(training, 3),
        "rounds": [asdict(each) for each in rounds],
        "wrong": wrong,
        "identical": not wrong,
    }
    for what in wrong:
        report.console.print(f"wrong: {what}", highlight=False, soft_wrap=True)
    killed = sum(each.killed != "nothing" for each in rounds)
    verdict = f"not the same run; see {folder}" if wrong else "the same run to the last bit"
    report.console.print(
        f"killed {killed} times in {elapsed:.0f} s: {verdict}", highlight=False, soft_wrap=True
    )
    report.finish(options.json)
    if wrong:
        return 1
    shutil.rmtree(folder)
    return 0


def _show(report: Report, rounds: Sequence[Round], iterations: int) -> None:
    rows: list[dict[str, Any]] = [asdict(each) | {"wrong": len(each.wrong)} for each in rounds]
    columns = {
        "round": "round",
        "resumed_by": "by",
        "moment": "while",
        "seconds": "moment, s",
        "killed": "killed",
        "iteration": f"iteration of {iterations}",
        "saved": f"in {LAST}",
        "seconds_until_gone": "all gone after, s",
        "wrong": "wrong",
    }
    report.table("kills", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
