"""The user's own agents: ``agent/NAME.yaml`` in a folder that ``--config-dir`` names."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from yaml import YAMLError

from pokerlab.agents.base import Agent
from pokerlab.config.build import build, trust_targets
from pokerlab.config.compose import not_unicode, unreadable
from pokerlab.errors import UserError
from pokerlab.games.base import Game


def own_agents() -> dict[str, Callable[[Game], Agent]]:
    """What makes each, by name; in a command that Hydra runs.

    Raises:
        UserError: one is no component, or its module cannot be imported.
    """
    sources = HydraConfig.get().runtime.config_sources
    folders = [Path(source.path) / "agent" for source in sources if source.schema == "file"]
    return {path.stem: _maker(path) for folder in folders for path in sorted(folder.glob("*.yaml"))}


def _maker(path: Path) -> Callable[[Game], Agent]:
    try:
        component: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except YAMLError as error:
        raise UserError(unreadable(error)) from error
    except UnicodeDecodeError as error:
        raise UserError(not_unicode(error, [path])) from error
    if not isinstance(component, dict) or "_target_" not in component:
        raise UserError(f"{path} needs a _target_: the class of the agent")
    trust_targets(component)
    return partial(build, component, key=f"agent {path.stem}", kind=Agent)
