"""A run's config in its folder. Imports no torch."""

from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from pokerlab.config.schema import RunConfig, plain
from pokerlab.config.schema import read_config as read_values
from pokerlab.config.upgrade import upgrade
from pokerlab.errors import UserError
from pokerlab.store.files import write_atomically
from pokerlab.store.folder import RunFolder


def write_config(run: RunFolder, config: RunConfig) -> RunConfig:
    """Writes config.yaml; returns the config with the names that the folder gives the run.

    Raises:
        OSError: it cannot be written.
    """
    named = replace(config, run_name=run.path.name, run_dir=str(run.path))
    write_atomically(run.config, as_yaml(named))
    return named


def as_yaml(config: RunConfig) -> str:
    """What config.yaml holds."""
    return OmegaConf.to_yaml(OmegaConf.create(plain(config)))


def from_plain(values: Any) -> RunConfig:
    """A config that :func:`~pokerlab.config.schema.plain` has taken apart."""
    config: RunConfig = read_values("train", values)
    return config


def read_config(run: RunFolder) -> RunConfig:
    """Reads config.yaml, an earlier version's too.

    Raises:
        UserError: it is not there, or not what a run writes.
    """
    values = run.read_config()
    try:
        return from_plain(upgrade(values))
    except UserError as error:
        raise UserError(f"{run.config}: {error}") from error
