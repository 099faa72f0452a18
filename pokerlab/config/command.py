"""Hydra commands whose mistakes end in one line.

Hydra composes the config. Before it runs anything, every job's overrides are composed once here, so that
an unknown key, group or value is reported with what was expected and exit code 2, and nothing is written.
"""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pokerlab.errors import DiskError, UserError, near

CONF = Path(__file__).parents[2] / "conf"
EXIT_FAILED, EXIT_MISTAKE = 1, 2
MULTIRUN = ("-m", "--multirun")
BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"
PATHS = ("resume_from", "run", "run_dir", "json", "export", "save", "match.against", "match.histories")
"""Keys whose values may hold what Hydra's grammar gives a meaning to: iteration=000100.ckpt."""


def run_command(
    config_name: str, job: Callable[[DictConfig], Any], check: Callable[[DictConfig], Any] | None = None
) -> None:
    """Runs ``job`` with the config that the command line asks for.

    Args:
        config_name: the primary config in ``conf/``.
        job: gets the composed config; a :class:`UserError` or :class:`DiskError` from it ends the
            command.
        check: raises a :class:`UserError` if a config's values are wrong; asked for every job of a sweep
            before the first one starts.
    """

    sweeps: set[str] = set()

    def guarded(config: DictConfig) -> Any:
        sweeps.update(sweep_note().values())
        try:
            return job(config)
        except UserError as error:
            _give_up(error)
        except DiskError as error:
            _give_up(error, EXIT_FAILED)
        except OSError as error:
            _give_up(UserError(f"{error.filename or 'the disk'}: {error.strerror or error}"))

    sys.argv[1:] = [_quoted(argument) for argument in sys.argv[1:]]
    arguments = sys.argv[1:]
    if not any(argument.startswith("-") and argument not in MULTIRUN for argument in arguments):
        try:
            for config in check_overrides(config_name, arguments):
                if check is not None:
                    check(config)
        except UserError as error:
            _give_up(error)
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(guarded)()
    for name in sweeps:
        print(f"sweep {name}: python -m pokerlab.jobs list --sweep {name}")


def sweep_note() -> dict[str, str]:
    """What job.json of a sweep's run says of it: the name of the sweep's folder."""
    config = HydraConfig.get()
    return {"sweep": Path(config.sweep.dir).name} if config.mode == RunMode.MULTIRUN else {}


def _quoted(argument: str) -> str:
    key, _, value = argument.partition("=")
    plain = key in PATHS and "=" in value and not any(mark in value for mark in "'\"\\,")
    plain = plain and not value.startswith("[")
    return f"{key}='{value}'" if plain else argument


def _give_up(error: Exception, code: int = EXIT_MISTAKE) -> None:
    say_error(error)
    sys.exit(code)


def say_error(error: Exception) -> None:
    """The line that a command ends with, on standard error if that can be written.

    What could not be written by now never can: it would change the exit code.
    """
    with contextlib.suppress(OSError):
        print(f"error: {error}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def check_overrides(config_name: str, arguments: Sequence[str]) -> list[DictConfig]:
    """Composes each job that the command line asks for.

    Raises:
        UserError: something in it does not exist, or cannot be read.
    """
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    if changed := [override for override in overrides if override.startswith(("+", "~"))]:
        raise UserError(f"{changed[0]} adds or removes a key: use the keys there are")
    if stray := [override for override in overrides if "=" not in override]:
        raise UserError(f"{stray[0]!r} is not an override: expected key=value")
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise UserError(f"cannot read the command line: {_first_line(error)}") from error
    swept = [override for override in parsed if override.is_sweep_override()]
    fixed = [str(override.input_line) for override in parsed if override not in swept]
    node = compose(config_name, fixed, whole=True).hydra
    sweeps = node.mode == RunMode.MULTIRUN or any(argument in MULTIRUN for argument in arguments)
    if swept and not sweeps:
        raise UserError(f"{swept[0].input_line} asks for several values: add -m to run them all")
    if not sweeps:
        jobs = [overrides]
    elif node.sweeper["_target_"] != BASIC:  # one that decides as it goes
        jobs = [fixed]
    else:
        given = {override.get_key_element() for override in parsed}
        grid = [f"{key}={values}" for key, values in (node.sweeper.params or {}).items() if key not in given]
        every = OverridesParser.create().parse_overrides(grid) + parsed
        jobs = BasicSweeper.split_arguments(every, max_batch_size=None)[0]
    folders = [tuple(o for o in job if re.match(r"run_(name|dir)=", o)) for job in jobs]
    if shared := next((names for names in folders if names and folders.count(names) > 1), None):
        raise UserError(f"{shared[0]} names one folder for several runs: leave it out, or give each its own")
    return [compose(config_name, job) for job in jobs]


def compose(config_name: str, overrides: Sequence[str], *, whole: bool = False) -> DictConfig:
    """The config that ``overrides`` give.

    Args:
        config_name: the primary config in ``conf/``.
        overrides: of the command line.
        whole: with Hydra's own part.

    Raises:
        UserError: a key, group or value does not exist; names the near matches.
    """
    try:
        config = _compose(config_name, overrides, whole=whole)
        if not whole:
            OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(_explain(config_name, overrides, error)) from error
    return config


def _compose(config_name: str, overrides: Sequence[str], *, whole: bool = False) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, list(overrides), return_hydra_config=whole)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def _explain(config_name: str, overrides: Sequence[str], error: Exception) -> str:
    """One line for what Hydra or OmegaConf found wrong."""
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    for override in overrides:
        key, _, value = override.partition("=")
        if key in groups and value not in (options := _options(key)):
            return f"unknown {key} {value!r}{near(value, options)}"
    if isinstance(error, OmegaConfBaseException) and "MissingMandatory" in type(error).__name__:
        return f"{_first_line(error)}: give it on the command line"
    message = str(error)
    if unknown := re.search(r"Could not override '([^']+)'", message):
        key = unknown.group(1)
        return f"unknown key {key!r}{near(key, _keys(config_name, overrides))}"
    return _first_line(error)


def _options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def _keys(config_name: str, overrides: Sequence[str]) -> list[str]:
    """Every key of the config, as far as the overrides' groups can be composed."""
    groups = [override for override in overrides if (CONF / override.partition("=")[0]).is_dir()]
    try:
        container = OmegaConf.to_container(_compose(config_name, groups), throw_on_missing=False)
    except HydraException:  # a group that this command does not have
        return []

    def walk(value: Any, prefix: str) -> list[str]:
        if not isinstance(value, dict):
            return []
        keys = [f"{prefix}{key}" for key in value]
        return keys + [inner for key in value for inner in walk(value[key], f"{prefix}{key}.")]

    return walk(container, "")
