"""What a command line asks for, composed by Hydra: mistakes are one line with the near matches."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pokerlab.errors import UserError, near
from pokerlab.store.files import shipped_path

BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"
FREE_TEXT = (
    "resume_from", "start_from", "run", "run_name", "run_dir", "json", "export", "save", "agent", "leaf",
    "report", "match.against", "match.histories",
)  # fmt: skip
"""Keys whose values may hold what Hydra's grammar gives a meaning to: iteration=000100.ckpt, été, 1e5."""


CONF = shipped_path("conf")


@dataclass(frozen=True)
class CommandLine:
    """A command line of Hydra's, taken apart."""

    primary: str
    """The primary config."""
    overrides: tuple[str, ...]
    flags: tuple[str, ...] = ()
    """What Hydra is to do, as it reads it."""
    folder: Path | None = None
    """The user's own configs."""
    plugins: tuple[str, ...] = ()
    """The user's own modules."""
    multirun: bool = False
    runs: bool = True
    """Whether something is to run; else Hydra shows the config, or helps."""

    @property
    def asks_hydra(self) -> bool:
        """Whether something is said to Hydra itself, or may be by the user's own configs."""
        hydras = any(re.match(r"[+~]*hydra\b", override) for override in self.overrides)
        return hydras or bool(self.flags) or self.folder is not None

    @property
    def arguments(self) -> list[str]:
        """What Hydra's own parser is to be given."""
        return [*self.flags, *self.overrides]


def parse(primary: str, arguments: Sequence[str]) -> CommandLine:
    """Takes a command line apart.

    Args:
        primary: the command's primary config, unless ``--config-name`` says another.
        arguments: what follows the command's name.

    Raises:
        UserError: there is no such flag, or it is not for this package.
    """
    parser = get_args_parser()
    parser.allow_abbrev = False
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE")
    parser.error = _refuse  # type: ignore[method-assign]
    found = parser.parse_intermixed_args(list(arguments))
    if found.config_path or found.experimental_rerun:
        raise UserError("pokerlab has its own configs: add yours with --config-dir DIR")
    flags = [f"--{name.replace('_', '-')}" for name in ("help", "hydra_help", "resolve", "run", "multirun",
             "shell_completion") if getattr(found, name)]  # fmt: skip
    for name in ("cfg", "package", "config_name", "config_dir", "info"):
        if (value := getattr(found, name)) is not None:
            flags += [f"--{name.replace('_', '-')}", value]
    return CommandLine(
        found.config_name or primary,
        tuple(map(_quote, found.overrides)),
        tuple(flags),
        None if found.config_dir is None else own_configs(Path(found.config_dir)),
        tuple(found.plugin),
        found.multirun,
        not (found.cfg or found.info or found.help or found.hydra_help or found.shell_completion),
    )


def _refuse(message: str) -> NoReturn:
    raise UserError(message)


def _quote(argument: str) -> str:
    key, _, value = argument.partition("=")
    means_more = value.lower() in ("", "null", "true", "false") or any(mark in value for mark in "'\"\\,[(")
    return f"{key}='{value}'" if key in FREE_TEXT and not means_more else argument


def own_configs(folder: Path) -> Path:
    """The user's folder of configs.

    Raises:
        UserError: it is not there, or has a name that the package has: which one is meant?
    """
    if not folder.is_dir():
        raise UserError(f"--config-dir {folder}: no such folder")
    for path in sorted(folder.rglob("*.yaml")):
        if (CONF / path.relative_to(folder)).exists():
            name = path.relative_to(folder).with_suffix("")
            raise UserError(f"{path}: pokerlab itself has {name}: give yours another name")
    return folder.absolute()


def _folders(line: CommandLine) -> list[Path]:
    """Where configs are: the package's, and the user's own."""
    return [CONF, *([] if line.folder is None else [line.folder])]


def _check_experiment(line: CommandLine) -> None:
    """Raises a UserError if a run is to be trained and the experiment is a population's."""
    names = [each.partition("=")[2] for each in line.overrides if each.startswith("experiment=")]
    for folder, name in product(_folders(line), names):
        path = folder / "experiment" / f"{name}.yaml"
        if line.primary == "train" and path.is_file() and is_of_a_population(path):
            raise UserError(f"experiment={name} is a population's: pokerlab league run experiment={name}")


def is_of_a_population(path: Path) -> bool:
    """Whether an experiment's file is one of ``pokerlab league run``."""
    content = path.read_text(encoding="utf-8", errors="replace")
    keys = re.findall(r"(?m)^(?:  - override /)?(\w+):", content)
    return not {"rounds", "propose"}.isdisjoint(keys)


def jobs_of(line: CommandLine) -> list[dict[str, Any]]:
    """Composes each job that a command line asks for.

    Raises:
        UserError: something in it does not exist, or cannot be read.
    """
    _check_experiment(line)
    if stray := [override for override in line.overrides if "=" not in override and override[:1] != "~"]:
        raise UserError(f"{stray[0]!r} is not an override: expected key=value")
    try:
        parsed = OverridesParser.create().parse_overrides(list(line.overrides))
    except HydraException as error:
        raise UserError(f"cannot read the command line: {_first_line(error)}") from error
    swept = [override for override in parsed if override.is_sweep_override()]
    fixed = [str(override.input_line) for override in parsed if override not in swept]
    whole = compose_with_hydra(line, fixed)
    node = whole.hydra
    sweeps = node.mode == RunMode.MULTIRUN or line.multirun
    if swept and not sweeps:
        raise UserError(f"{swept[0].input_line} asks for several values: add -m to run them all")
    if not sweeps:
        return [_resolve(line, line.overrides, whole)]
    if node.sweeper["_target_"] != BASIC:  # one that decides as it goes
        jobs = [fixed]
    else:
        given = {override.get_key_element() for override in parsed}
        grid = [f"{key}={values}" for key, values in (node.sweeper.params or {}).items() if key not in given]
        every = OverridesParser.create().parse_overrides(grid) + parsed
        jobs = BasicSweeper.split_arguments(every, max_batch_size=None)[0]
    return [compose(line, job, number) for number, job in enumerate(jobs)]


def compose(line: CommandLine, overrides: Sequence[str], number: int = 0) -> dict[str, Any]:
    """The values of one job's config.

    Args:
        line: where configs are.
        overrides: of the job.
        number: of the job.

    Raises:
        UserError: a key, group or value does not exist; names the near matches.
    """
    return _resolve(line, overrides, compose_with_hydra(line, overrides), number)


def _resolve(
    line: CommandLine, overrides: Sequence[str], whole: DictConfig, number: int = 0
) -> dict[str, Any]:
    """The values of a job's config without Hydra's own part, which is Hydra's from now on."""
    with open_dict(whole):
        whole.hydra.job.num = number
        whole.hydra.job.id = str(number)
    HydraConfig.instance().set_config(whole)
    with open_dict(whole):
        del whole["hydra"]
    if line.primary == "train":
        _refuse_what_is_not_read(overrides, whole)
    try:
        return values_of(whole)
    except OmegaConfBaseException as error:
        raise UserError(_explain(line, overrides, error)) from error


def values_of(config: DictConfig) -> dict[str, Any]:
    """A config's plain values; a run's say which of them are another key's, see :class:`.RunConfig`.

    Raises:
        UserError: it has a key that only this function adds.
    """
    values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if "origins" in values:
        raise UserError("unknown key 'origins'")
    return values | {"origins": _origins(config)} if "algorithm" in values else values


def _origins(config: DictConfig) -> dict[str, str]:
    """The keys whose values are interpolations of another key's, and that key."""
    raw = _walk(OmegaConf.to_container(config, resolve=False))
    found = {key: match[1] for key, value in raw if (match := re.fullmatch(r"\$\{(\w[\w.]*)\}", str(value)))}
    for key in found:
        while found[key] in found:
            found[key] = found[found[key]]
    return found


def _walk(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of nested values, and what stands there."""
    for name, value in values.items() if isinstance(values, dict) else ():
        yield f"{prefix}{name}", value
        yield from _walk(value, f"{prefix}{name}.")


def _refuse_what_is_not_read(overrides: Sequence[str], whole: DictConfig) -> None:
    """An algorithm names what it reads of ``model``: another key of it would change nothing.

    Raises:
        UserError: an override is of such a key.
    """
    of_model = [override for override in overrides if re.match(r"model[.=]", override)]
    if not of_model:
        return
    read = set(re.findall(r"\$\{(model\b[\w.]*)\}", OmegaConf.to_yaml(whole, resolve=False)))
    for override in of_model:
        key = override.partition("=")[0]
        if not any(f"{name}.".startswith(f"{key}.") or key.startswith(f"{name}.") for name in read):
            algorithm = str(whole.algorithm.get("_target_")).rpartition(".")[2]
            raise UserError(
                f"{override}: {algorithm} reads no {key}: leave it out, or set it under algorithm"
            )


def compose_with_hydra(line: CommandLine, overrides: Sequence[str]) -> DictConfig:
    """The config with Hydra's own part, not resolved yet.

    Raises:
        UserError: a key, group or value does not exist; names the near matches.
    """
    try:
        return _compose(line, overrides)
    except YAMLError as error:
        raise UserError(unreadable(error)) from error
    except UnicodeDecodeError as error:
        own = () if line.folder is None else sorted(line.folder.rglob("*.yaml"))
        raise UserError(not_unicode(error, own)) from error
    except (
        HydraException,
        OmegaConfBaseException,
        ValueError,
        AssertionError,
        TypeError,
    ) as error:  # the last of profile=null, and of game=[1,2]
        raise UserError(_explain(line, overrides, error)) from error


def _compose(line: CommandLine, overrides: Sequence[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    own = [] if line.folder is None else [f"hydra.searchpath=['file://{line.folder}']"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(line.primary, [*own, *overrides], return_hydra_config=True)


# What was wrong


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def unreadable(error: YAMLError) -> str:
    """One line for a file that is no YAML."""
    mark = getattr(error, "problem_mark", None)
    where = f"{mark.name}, line {mark.line + 1}" if mark else getattr(error, "name", "a config")
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    return f"{where}: cannot be read as YAML: {problem}"


def not_unicode(error: UnicodeDecodeError, paths: Iterable[Path]) -> str:
    """One line for a file in another encoding: the one of ``paths`` that holds what cannot be read."""
    path = next((path for path in paths if error.object in path.read_bytes()), "a config")
    return f"{path}: is not UTF-8: byte 0x{error.object[error.start]:02x} in {_line_of(error)!r}"


def _line_of(error: UnicodeDecodeError) -> str:
    begin = error.object.rfind(b"\n", 0, error.start) + 1
    return error.object[begin:].splitlines()[0][:60].decode(errors="replace")


def _explain(line: CommandLine, overrides: Sequence[str], error: Exception) -> str:
    """One line for what Hydra or OmegaConf found wrong."""
    folders = _folders(line)
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        options = sorted({path.stem for folder in folders for path in (folder / key).glob("*.yaml")})
        is_list = value.startswith("[") and not isinstance(error, TypeError)
        if options and value not in options and not is_list:
            return f"unknown {key} {value!r}{near(value, options, len(options))}"
    message = str(error)
    if "MissingMandatory" in type(error).__name__:
        return f"{_first_line(error)}: give it on the command line"
    if unknown := re.search(r"Could not override '([^']+)'", message):
        key = getattr(error.__cause__, "full_key", None) or unknown.group(
            1
        )  # of a mapping, what is wrong in it
        group = key.partition(".")[0]
        if group in ("algorithm", "game") and any(each.startswith("resume_from=") for each in overrides):
            return f"unknown key {key!r}: a run that goes on keeps its {group}, leave it out"
        return f"unknown key {key!r}{near(key, list(_keys(line, overrides)))}"
    if present := re.search(r"Could not append to config\. An item is already at '([^']+)'", message):
        return f"{present.group(1)} is there already: leave out the +"
    return _first_line(error)


def _keys(line: CommandLine, overrides: Sequence[str]) -> Iterator[str]:
    """Every key of the config, as far as the overrides' groups can be composed."""
    groups = [override for override in overrides if (CONF / override.partition("=")[0]).is_dir()]
    try:
        whole = _compose(line, groups)
    except HydraException:  # a group that this command does not have
        return
    with open_dict(whole):
        del whole["hydra"]
    yield from (key for key, _ in _walk(OmegaConf.to_container(whole, throw_on_missing=False)))
