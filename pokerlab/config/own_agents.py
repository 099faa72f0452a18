"""The user's own agents: ``agent/NAME.yaml`` in a folder that ``--config-dir`` names."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pokerlab.agents.base import Agent
from pokerlab.config.build import build
from pokerlab.games.base import Game


def own_agents() -> dict[str, Callable[[Game], Agent]]:
    """What makes each, by name; in a command that Hydra runs."""
    sources = HydraConfig.get().runtime.config_sources
    folders = [Path(source.path) / "agent" for source in sources if source.schema == "file"]
    files = sorted(path for folder in folders for path in folder.glob("*.yaml"))
    return {path.stem: partial(build, DictConfig(OmegaConf.load(path))) for path in files}
