"""Commands run in this process on tiny runs, and exact comparisons of what they leave."""

import contextlib
import importlib
import io
import logging
import multiprocessing
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from omegaconf import OmegaConf

from benchmarks.compare import differences
from benchmarks.compare import identical as identical
from benchmarks.compare import metrics as metrics
from benchmarks.compare import read as read
from pokerlab import evaluate, train
from pokerlab.config.command import run_command
from pokerlab.league import command as league
from pokerlab.league.start import make_parts
from pokerlab.play_acpc import play_acpc
from pokerlab.solve import solve as solve_command
from pokerlab.store.folder import RunFolder
from pokerlab.training import rank, ranks, trainer
from pokerlab.training.world import World

ROOT = Path(__file__).parents[2]
TINY = (
    "iterations=6", "trajectories=20", "updates=4", "batch_size=16",
    "selfplay.search_iterations=10", "evaluation.every=2", "evaluation.search_iterations=10",
    "evaluation.play_throughs=2", "model.value_network.hidden=16", "model.policy_network.hidden=16",
)  # fmt: skip
KUHN = ("experiment=kuhn", *TINY)
"""A run of half a second."""
LEDUC = (
    "experiment=leduc", *TINY, "trajectories=4", "selfplay.search_iterations=4",
    "evaluation.every=3", "evaluation.search_iterations=4", "evaluation.play_throughs=1",
)  # fmt: skip
COMMANDS: dict[str, tuple[str, Callable[[Any], Any], *tuple[Callable[[Any], Any], ...]]] = {
    "train": ("train", train.main, train.check),
    "solve": ("solve", solve_command),
    "evaluate": ("evaluate", evaluate.evaluate),
    "league": ("league", league.grow, make_parts),
    "play_acpc": ("play_acpc", play_acpc),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: Any
    out: str
    err: str


def command(name: str, *arguments: str, cwd: Path, plots: bool = True) -> Ended:
    """Runs ``train``, ``solve``, ``evaluate``, ``league run`` or ``launch`` as its command line does.

    Args:
        name: which.
        arguments: of the command line.
        cwd: where.
        plots: false saves the half second that they take.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(patch.object(sys, "argv", [name, *arguments]))
        stack.enter_context(patch.dict(os.environ))  # what it trusts, the next command need not
        stack.enter_context(patch.object(sys, "path", [*sys.path]))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.callback(_close_log)
        if not plots:
            stack.enter_context(patch("pokerlab.evaluation.plots.save"))
            stack.enter_context(patch("pokerlab.evaluation.plots.draw_run", return_value=[("losses", None)]))
        try:
            if name == "launch":
                runpy.run_path(str(ROOT / "launch_modal.py"), run_name="__main__")
            else:
                run_command(*COMMANDS[name])
        except SystemExit as ending:
            return Ended(ending.code, out.getvalue(), err.getvalue())
    return Ended(0, out.getvalue(), err.getvalue())


def _close_log() -> None:
    """A command would end here, and its log with it."""
    log = logging.getLogger("pokerlab")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.propagate = True


def trained(*arguments: str, cwd: Path, plots: bool = False) -> RunFolder:
    """A finished run; its name is the last argument."""
    ended = command("train", *arguments[:-1], f"run_name={arguments[-1]}", cwd=cwd, plots=plots)
    assert (ended.code, ended.err) == (0, ""), ended
    return RunFolder(cwd / "outputs" / arguments[-1])


def copy(run: RunFolder, cwd: Path, name: str | None = None) -> RunFolder:
    """A copy of ``run`` in another place."""
    return RunFolder(Path(shutil.copytree(run.path, cwd / "outputs" / (name or run.path.name))))


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below ``folder`` with its bytes, every folder with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def refusal(name: str, *arguments: str, cwd: Path) -> str:
    """What a command refuses with: one line, exit code 2, nothing written and nothing lost."""
    before = contents(cwd)
    ended = command(name, *arguments, cwd=cwd)
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.endswith("\n")
    assert contents(cwd) == before
    return ended.err.removeprefix("error: ").removesuffix("\n")


def never() -> bool:
    """Nobody asks the run to stop."""
    return False


def config_of(run: RunFolder) -> dict[str, Any]:
    """config.yaml; its interpolations, if it has any, stay as they are."""
    return OmegaConf.to_container(OmegaConf.load(run.config))  # type: ignore[return-value]


def assert_same_run(run: RunFolder, straight: RunFolder) -> None:
    """Weights, optimiser, position, replay and metrics agree to the last bit, and so do the file names."""
    assert differences(run, straight) == []


@cache
def forkserver() -> ForkServerContext:
    """Makes processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pokerlab.evaluate", "pokerlab.solve"])
    ensure_running()  # whoever starts the first process may have blocked signals
    return context


class Forked:
    """A process as :class:`subprocess.Popen` would start it, but one that has imported everything already.

    Args:
        target: what it does.
        arguments: of that.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._process = forkserver().Process(target=target, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a process", timeout or 0)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()


class Alone(Forked):
    """A command in a process of its own.

    Args:
        arguments: of Python: a script or ``-m`` and a module, and theirs.
        cwd: where.
        output: a folder for what it prints.
    """

    def __init__(self, *arguments: str, cwd: Path, output: Path) -> None:
        folder = Path(tempfile.mkdtemp(dir=output))
        self._printed = folder / "out", folder / "err"
        super().__init__(_be_alone, arguments, cwd, dict(os.environ), *self._printed)

    def end(self) -> Ended:
        """How it ends."""
        return Ended(self.wait(), *(path.read_text() for path in self._printed))


def _be_alone(arguments: Sequence[str], cwd: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    warnings.filterwarnings("ignore", "'.*' found in sys.modules", RuntimeWarning)  # the module, imported
    first, *rest = arguments
    if first == "-m":
        sys.argv = [*rest]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [*arguments]
        runpy.run_path(first, run_name="__main__")


class ForkedSession(Forked):
    """A command of Python in a session of its own, as ``benchmarks.kills`` starts it."""

    def __init__(self, command: Sequence[str], *, stdout: Any, **_: Any) -> None:
        super().__init__(_be_a_session, command[1:], Path.cwd(), dict(os.environ), Path(stdout.name))
        while self.poll() is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.001)


def _be_a_session(arguments: Sequence[str], cwd: Path, environment: dict[str, str], output: Path) -> None:
    os.setsid()
    _be_alone(arguments, cwd, environment, output, output)


class ForkedRank(Forked):
    """A rank as :class:`subprocess.Popen` would start it, but in a process that has imported everything.

    In the run's folder it leaves ``rank-<rank>.pt``, the weights that it has in the end.
    """

    stdin: None = None

    def __init__(self, environment: Mapping[str, str], output: Any) -> None:
        super().__init__(_be_a_rank, dict(environment))


FAILS = "FAILS"
"""With this in its environment, a rank fails instead of training."""


def _be_a_rank(environment: dict[str, str]) -> None:
    def fit_and_keep(with_trainer: Any, parts: Any, checkpoint: Path | None) -> None:
        if FAILS in os.environ:
            raise ValueError("no such hand")
        fit(with_trainer, parts, checkpoint)
        torch.save(parts.module.state_dict(), parts.run.path / f"rank-{parts.rank}.pt")

    fit = trainer.fit
    setattr(rank, "fit", fit_and_keep)  # noqa: B010
    os.environ.update(environment)
    sys.exit(rank.join(World.of(os.environ)))


@dataclass(frozen=True)
class Moment:
    """The ``call``-th call of ``module:attribute`` whose first argument mentions ``mentioned``."""

    place: str
    call: int
    mentioned: str = ""


def interrupted(moment: Moment, number: int, *arguments: str, cwd: Path) -> int | None:
    """The exit code of a training process that gets a signal at ``moment``."""
    process = forkserver().Process(target=_run_until, args=(moment, number, arguments, cwd))
    process.start()
    process.join()
    return process.exitcode


def _run_until(moment: Moment, number: int, arguments: tuple[str, ...], cwd: Path) -> None:
    module, _, path = moment.place.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    original, calls = getattr(owner, name), 0

    def reached(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if not moment.mentioned or moment.mentioned in str(args[0]):
            calls += 1
            if calls == moment.call:
                os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    setattr(owner, name, reached)
    ranks.start_process = ForkedRank  # type: ignore[assignment]
    sys.exit(command("train", *arguments, cwd=cwd, plots=False).code)
