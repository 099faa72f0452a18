"""Follows runs, here and on Modal alike.

    pokerlab jobs list | status RUN | logs RUN | metrics RUN | wait RUN | stop RUN | pull RUN | resume RUN

RUN is a run's name, or its folder. Exit codes: 0, 2 for a mistake on the command line or a file that cannot
be read, and for ``wait`` 1 if the run did not finish. With ``--exit-code``, ``status`` and ``wait`` tell the
state: 0 finished, 3 going on (or waiting), 4 stopped, 1 failed.
"""

import argparse
import contextlib
import json
import math
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pokerlab.console import say, wide_console
from pokerlab.errors import DiskError, UserError, near
from pokerlab.jobs.places import FoundRun, all_statuses, find_anywhere
from pokerlab.jobs.pull import pull
from pokerlab.jobs.show import (
    by_exploitability,
    duration,
    metrics_table,
    runs_table,
    sparkline,
    status_table,
    sweep_table,
    varied_keys,
)
from pokerlab.jobs.stop import stop
from pokerlab.store.folder import OUTPUTS
from pokerlab.store.records import GOING_ON

EXIT_CODES = {"finished": 0, "failed": 1, "stopped": 4, **dict.fromkeys(GOING_ON, 3)}


def list_runs(arguments: argparse.Namespace) -> int:
    """``list``: every run, the newest first, or a sweep's, the least exploitable first."""

    def trouble(what: str) -> None:
        say(what, error=True)

    statuses = sorted(all_statuses(trouble), key=lambda status: status.submitted or "", reverse=True)
    if arguments.sweep is None:
        if arguments.plot:
            raise UserError("--plot draws a sweep: name it with --sweep")
        table = runs_table(statuses)
    else:
        sweeps = sorted({status.sweep for status in statuses if status.sweep is not None})
        statuses = by_exploitability([status for status in statuses if status.sweep == arguments.sweep])
        if not statuses:
            raise UserError(f"no sweep {arguments.sweep!r}{near(arguments.sweep, sweeps)}")
        table = sweep_table(arguments.sweep, statuses)
    if arguments.json:
        say(json.dumps([status.as_json() for status in statuses], indent=2))
    else:
        wide_console().print(table)
    if arguments.plot:
        from pokerlab.evaluation.plots import plot_sweep

        path = plot_sweep(
            statuses,
            varied_keys(statuses),
            OUTPUTS / "sweeps" / Path(arguments.sweep).name / "sweep.png",
        )
        say(f"plot: {path}", error=True)
    return 0


def status(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``status``: progress, rate, what is left, best losses, and whether it is really alive."""
    seen = found.status(arguments.lines)
    if arguments.json:
        say(json.dumps(seen.as_json(), indent=2))
    else:
        wide_console().print(status_table(seen))
    return EXIT_CODES[seen.state] if arguments.exit_code else 0


def wait(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``wait``: until the run is over and could go on, or for ``--timeout`` seconds."""
    until = math.inf if arguments.timeout is None else time.monotonic() + arguments.timeout
    while (state := found.status().state) in GOING_ON or found.is_held:
        if (left := until - time.monotonic()) <= 0:
            break
        time.sleep(min(left, found.pause))
        _refresh(found)
    say(f"{found.name} is {state}")
    return EXIT_CODES[state] if arguments.exit_code else int(state != "finished")


def _refresh(found: FoundRun) -> None:
    """Looks again; off the network, what was seen before stays."""
    try:
        found.refresh()
    except UserError as error:
        say(f"{error}; goes on trying", error=True)


def logs(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``logs``: the last lines, and with ``--follow`` new ones until the run is over."""
    path, begin, told = None, -arguments.lines, False
    while True:
        if path is not None:
            _refresh(found)
        over = found.status().state not in GOING_ON  # before reading: nothing comes after
        if path != found.run.newest_log:
            path, begin = found.run.newest_log, begin if path is None else 0
        lines = found.run.read_log()
        for line in lines[begin:]:
            say(line)
        begin = len(lines)
        if not lines and not told:
            told = True
            for line in found.output(arguments.lines):
                say(line)
            seen = found.status()
            say(f"{found.name} is {seen.state} and has logged nothing yet, submitted "
                f"{duration(seen.age_seconds)} ago", error=True)  # fmt: skip
        if over or not arguments.follow:
            return 0
        time.sleep(found.pause)


def metrics(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``metrics``: the last iterations, and the whole run as a line of blocks or as pictures."""
    lines = found.run.read_metrics()
    shown = lines[-arguments.last :]
    if arguments.json:
        say(json.dumps(shown, indent=2))
    else:
        out = wide_console()
        out.print(metrics_table(shown))
        for name in ("value_loss", "policy_loss", "exploitability"):
            out.print(f"{name.replace('_', ' '):<15}{sparkline([line[name] for line in lines])}")
    if arguments.plot:
        if not lines:
            raise UserError(f"{found.name} has no iterations yet")
        _use_own_modules(arguments)
        from pokerlab.algorithms.base import units_of
        from pokerlab.config.stored import read_config
        from pokerlab.evaluation.plots import plot_run
        from pokerlab.training.assemble import RunParts

        folder = found.run.plots if found.cloud is None else OUTPUTS / found.name / "plots"
        algorithm = RunParts(read_config(found.run)).algorithm
        plots = plot_run(lines, algorithm.game.name, units_of(algorithm), folder)
        say("plots:", *plots, error=True)
    return 0


def stop_run(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``stop``: with a checkpoint first, or ``--now``."""
    say(stop(found, at_once=arguments.now, seconds=arguments.seconds, report=say))
    return 0


def pull_run(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``pull``: downloads the folder of a run on Modal, or what is new in it."""
    run, fetched = pull(found, lambda file, size: say(f"{size / 1e6:10.2f} MB  {file}"))
    say(f"{run.path}: {fetched} files came, every file is as on the Volume")
    return 0


def resume(found: FoundRun, arguments: argparse.Namespace) -> int:
    """``resume``: submits the run again where it ran, to go on from its last checkpoint."""
    from pokerlab.config.command import compose
    from pokerlab.jobs.launch import check, launch

    _use_own_modules(arguments)
    before = found.run.read_job().get("launcher")
    launcher = before if before in ("modal", "slurm") else "local"
    where = found.name if launcher == "modal" else str(found.run.path)
    config = compose("train", [f"resume_from='{where}'", f"launcher={launcher}", *arguments.overrides])
    check(config)
    say(launch(config, None, arguments.overrides))
    return 0


def _use_own_modules(arguments: argparse.Namespace) -> None:
    """Trusts what the command line says: a stored config may name nothing else."""
    from pokerlab.config.build import allow
    from pokerlab.config.command import look_for_modules
    from pokerlab.config.compose import own_configs

    look_for_modules(None if arguments.config_dir is None else own_configs(arguments.config_dir))
    allow(arguments.plugin)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="pokerlab jobs", description=__doc__.split("\n\n")[0])
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, work: Callable[..., int], **flags: dict[str, Any]) -> argparse.ArgumentParser:
        does = (work.__doc__ or "").partition(": ")[2].replace("``", "").rstrip(".")
        one = commands.add_parser(name, help=does, description=does)
        one.set_defaults(work=work)
        if work is not list_runs:
            one.add_argument("run", metavar="RUN")
        for flag, options in flags.items():
            one.add_argument(f"--{flag}", **options)
        return one

    yes: dict[str, Any] = {"action": "store_true"}
    as_json = yes | {"help": "for scripts"}
    lines: dict[str, Any] = {"type": _count, "metavar": "N", "help": "of the log"}
    add("list", list_runs, sweep={"metavar": "NAME", "help": "its runs only"}, json=as_json,
        plot=yes | {"help": "draw the sweep"})  # fmt: skip
    exit_code: dict[str, Any] = yes | {"dest": "exit_code", "help": "that tells the state: 0, 3, 4 or 1"}
    add("status", status, json=as_json, lines=lines | {"default": 5}, **{"exit-code": exit_code})
    add("logs", logs, follow=yes, lines=lines | {"default": 30})
    own: dict[str, dict[str, Any]] = {
        "config-dir": {"type": Path, "metavar": "DIR", "help": "of your own modules and configs"},
        "plugin": {
            "action": "append",
            "default": [],
            "metavar": "MODULE",
            "help": "of yours that the run uses",
        },
    }
    add("metrics", metrics, **own, json=as_json, plot=yes | {"help": "draw the run, as PNG"},
        last={"type": _count, "default": 10, "metavar": "N", "help": "iterations"})  # fmt: skip
    add("wait", wait, timeout={"type": _seconds, "metavar": "S", "help": "seconds at most"},
        **{"exit-code": exit_code})  # fmt: skip
    add("stop", stop_run,
        now=yes | {"help": "without a checkpoint; a run of a machine that is gone counts as stopped"},
        seconds={"type": _seconds, "default": 120.0, "metavar": "S", "help": "to wait at most"})  # fmt: skip
    add("pull", pull_run)
    overrides = add("resume", resume, **own)
    overrides.add_argument("overrides", nargs="*", metavar="key=value", help="what may change")
    return whole


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}")


def run(argv: list[str]) -> NoReturn:
    """The whole process: what only looks ends with the reader of its output, as in ``| head``."""
    if not {"stop", "pull", "resume"} & set(argv[:1]):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(argv))


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    whole = parser()
    arguments, more = whole.parse_known_args(argv)
    if not hasattr(arguments, "overrides") or any(text.startswith("-") for text in more):
        whole.parse_args(argv)  # refuses them
    else:  # overrides after an option
        arguments.overrides += more
    try:
        if arguments.work is list_runs:
            return list_runs(arguments)
        with find_anywhere(arguments.run) as found:
            return arguments.work(found, arguments)
    except UserError as error:
        say(f"error: {error}", error=True)
        return 2
    except DiskError as error:  # of a run that is resumed
        say(f"error: {error}", error=True)
        return 1
    except KeyboardInterrupt:
        return 130
