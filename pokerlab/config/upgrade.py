"""What the config of a run that an earlier version began lacks: filled in here and nowhere else."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from pokerlab.config.command import CONF

GROUPS = {"algorithm": "rebel", "actors": "processes", "optimizer": "adam", "callbacks": "none"}
"""Groups that came later, with what they would have been."""
WANDB = "pokerlab.callbacks.wandb_run.WandbRun"


def upgraded(config: DictConfig) -> DictConfig:
    """A run's config as this version writes it."""
    for group, choice in GROUPS.items():
        if group not in config:
            config[group] = _shipped(group, choice)
    logger = config.get("logger")
    if logger is None or logger.get("mode") == "none":
        config.logger = {}
    elif "mode" in logger and "_target_" not in logger:
        config.logger = {"_target_": WANDB, **logger, "save_code": True}
    return config


def _shipped(group: str, choice: str) -> DictConfig:
    loaded = OmegaConf.load(Path(CONF) / group / f"{choice}.yaml")
    assert isinstance(loaded, DictConfig)
    return loaded
