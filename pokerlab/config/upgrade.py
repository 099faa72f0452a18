"""What the config of a run that an earlier version began lacks: filled in here and nowhere else."""

from typing import Any

from omegaconf import OmegaConf

from pokerlab.config.compose import CONF

GROUPS = {"algorithm": "rebel", "actors": "processes", "optimizer": "adam", "callbacks": "none"}
"""Groups that came later, with what they would have been."""
KEYS = {"commit_minutes": 10, "draws_per_example": 6, "start_from": None}
"""Keys that came later, likewise."""
KEYS_OF_GROUPS: dict[str, dict[str, Any]] = {
    "selfplay": {"starts": None, "stored": 0.5, "bottom_up": None, "start_capacity": 10_000, "device_gb": 4},
    "evaluation": {
        "held_out": {"every": None, "states": [64, 4], "iterations": 400},
        "matches": {"every": None, "deals": 500},
    },
    "model": {"hand_inputs": False, "belief_weight": 0.0, "ema_decay": 0.0, "shallow_weight": 0.0},
    "trainer": {"devices": None, "strategy": "auto"},
}
"""Keys of groups that came later."""
WANDB = "pokerlab.callbacks.wandb_run.WandbRun"


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """A run's config as this version writes it."""
    for group, later in KEYS_OF_GROUPS.items():
        if isinstance(values.get(group), dict):
            values = values | {group: later | values[group]}
    optimizer, trainer = values.get("optimizer"), values.get("trainer")
    if isinstance(optimizer, dict) and isinstance(trainer, dict) and optimizer.get("fused", False) is None:
        single = trainer.get("precision") == "32-true"  # what null stood for
        values = values | {"optimizer": optimizer | {"fused": single}}
    added = {name: OmegaConf.load(CONF / name / f"{choice}.yaml") for name, choice in GROUPS.items()}
    added = {name: group for name, group in added.items() if name not in values}
    whole = OmegaConf.create(values | added)
    filled = {name: OmegaConf.to_container(whole[name], resolve=True) for name in added}
    logger = values.get("logger")
    if logger is None or (isinstance(logger, dict) and logger.get("mode") == "none"):
        filled["logger"] = {}
    elif isinstance(logger, dict) and "mode" in logger and "_target_" not in logger:
        filled["logger"] = {"_target_": WANDB, **logger, "save_code": True}
    return KEYS | values | filled
