"""Hydra commands whose mistakes end in one line, before anything runs.

Hydra composes the config. Every job's config is composed and read into its types here first, so that an
unknown key, group or value is reported with what was expected and exit code 2, and nothing is written.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from pokerlab.config.build import allow, trust_folder, trust_targets
from pokerlab.config.compose import CONF, CommandLine, jobs_of, parse, values_of
from pokerlab.config.compose import compose as compose_job
from pokerlab.config.schema import read_config
from pokerlab.console import silence
from pokerlab.errors import DiskError, UserError, out_of_memory

EXIT_FAILED, EXIT_MISTAKE, EXIT_INTERRUPTED = 1, 2, 130


def run_command(name: str, job: Callable[[Any], Any], check: Callable[[Any], Any] | None = None) -> None:
    """Runs ``job`` with the config that the command line asks for.

    Args:
        name: ``train``, ``solve`` or ``evaluate``: the primary config, and its types.
        job: gets the typed config; a :class:`UserError` or :class:`DiskError` from it ends the command.
        check: raises a :class:`UserError` if a config's values are wrong; asked for every job of a sweep
            before the first one starts.
    """
    sweeps: set[str] = set()

    def run_job(config: DictConfig) -> Any:
        sweeps.update(sweep_note().values())
        with ending_in_one_line():
            return job(read_config(name, values_of(config)))

    with ending_in_one_line():
        line = parse(name, sys.argv[1:])
        if line.runs:
            configs = _jobs(name, line)
            for config in configs:
                if check is not None:
                    check(config)
            if not line.asks_hydra and HydraConfig.get().mode != RunMode.MULTIRUN:
                job(*configs)  # as Hydra would, but that takes it a second to compose the same config again
                return
        sys.argv[1:] = line.arguments
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(run_job)()
    for sweep in sweeps if name == "train" else ():
        print(f"sweep {sweep}: python -m pokerlab.jobs list --sweep {sweep}")


@contextlib.contextmanager
def ending_in_one_line() -> Iterator[None]:
    """Where a mistake, a full disk or Ctrl-C ends the command."""
    try:
        yield
    except UserError as error:
        _give_up(error, EXIT_MISTAKE)
    except DiskError as error:
        _give_up(error, EXIT_FAILED)
    except OSError as error:
        _give_up(UserError(f"{error.filename or 'the disk'}: {error.strerror or error}"), EXIT_MISTAKE)
    except (MemoryError, RuntimeError) as error:
        if (reason := out_of_memory(error)) is None:
            raise
        _give_up(UserError(reason), EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


@contextlib.contextmanager
def as_mistakes(key: str = "") -> Iterator[None]:
    """Turns what is wrong with a value into the line that the command ends with."""
    try:
        yield
    except (ValueError, UserError) as error:
        raise UserError(f"{key}{error}") from error


def _give_up(error: Exception, code: int) -> None:
    say_error(error)
    sys.exit(code)


def say_error(error: Exception) -> None:
    """The line that a command ends with, on standard error if that can be written.

    What could not be written by now never can: it would change the exit code.
    """
    with contextlib.suppress(OSError):
        print("error:", " ".join(str(error).split()), file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence(stream)


def sweep_note() -> dict[str, str]:
    """What job.json of a sweep's run says of it: the name of the sweep's folder."""
    config = HydraConfig.get()
    return {"sweep": Path(config.sweep.dir).name} if config.mode == RunMode.MULTIRUN else {}


def compose(name: str, overrides: Sequence[str] = (), own: Path | None = None) -> Any:
    """The typed config that ``overrides`` give.

    Args:
        name: of the command.
        overrides: as on its command line.
        own: the user's own configs.

    Raises:
        UserError: a key, group or value is wrong; names the near matches.
    """
    line = CommandLine(name, tuple(overrides), folder=own)
    return read_config(name, compose_job(line, overrides))


def own_folder() -> Path | None:
    """The user's own configs that the command was given, if any."""
    if not HydraConfig.initialized():
        return None
    sources = HydraConfig.get().runtime.config_sources
    return next((Path(each.path) for each in sources if "command-line" in each.provider), None)


@contextlib.contextmanager
def keeping_hydra() -> Iterator[None]:
    """Where another config is composed while a command runs: what Hydra knows of the command's stays."""
    own, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    try:
        yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = own, config


def check_overrides(name: str, arguments: Sequence[str]) -> list[Any]:
    """The typed config of each job that a command line asks for.

    Raises:
        UserError: something in it does not exist, or cannot be read.
    """
    return _jobs(name, parse(name, arguments))


def _jobs(name: str, line: CommandLine) -> list[Any]:
    look_for_modules(line.folder)
    composed = jobs_of(line)
    configs = [read_config(name, plain) for plain in composed]
    _refuse_shared_outputs(configs)
    allow(line.plugins)
    trust_targets(composed)
    return configs


def look_for_modules(own: Path | None) -> None:
    """The user's own modules are found where the command runs, and beside the user's own configs.

    Args:
        own: the folder of those configs, which is trusted.
    """
    for folder in (Path.cwd(), own):
        if folder is not None and str(folder) not in sys.path:
            sys.path.append(str(folder))
    if own is not None:
        trust_folder(own)
        path = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # for the processes that this one starts
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*filter(None, path), str(own)]))


def _refuse_shared_outputs(configs: Sequence[Any]) -> None:
    """Raises a UserError if two outputs, or two jobs of a sweep, would write one file or one folder."""
    taken: dict[str, tuple[int, str]] = {}
    for job, config in enumerate(configs):
        for key, path in config.outputs.items():
            first, other = taken.setdefault(os.path.realpath(path), (job, key))  # a loop of links, too
            if first != job:
                what = (
                    "folder for several runs" if key in ("run_name", "run_dir") else "file for several jobs"
                )
                raise UserError(f"{key}={path} names one {what}: leave it out, or give each its own")
            if other != key:
                raise UserError(f"{key}={path} is the file of {other}: give each its own")
