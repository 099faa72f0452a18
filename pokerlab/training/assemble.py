"""From a run's config to its objects."""

import torch
from omegaconf import DictConfig, OmegaConf

from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.config.build import (
    build,
    check_bool,
    check_enumerable,
    check_integer,
    check_numbers,
    check_positive,
)
from pokerlab.errors import UserError
from pokerlab.learning.module import SelfPlayModule
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.selfplay.workers import WorkerPool
from pokerlab.store.folder import RunFolder
from pokerlab.training.cost import check_limits

PRECISIONS = ("32-true", "bf16-mixed")


class Assembled:
    """The objects of a run, built from its config.

    Args:
        config: resolved.
        run: the folder that a replay on disk is kept in, once something is played; null: in memory, for
            what does not train.

    Raises:
        UserError: a value is wrong.
    """

    def __init__(self, config: DictConfig, run: RunFolder | None = None) -> None:
        check_positive(config, "iterations", "trajectories", "updates", "batch_size")
        check_positive(config, "checkpoint_every", "commit_every", "trainer.threads")
        check_positive(config, "selfplay.value_capacity", "selfplay.policy_capacity", "selfplay.targets")
        check_positive(config, "selfplay.search_iterations", "evaluation.search_iterations")
        for key in ("evaluation.every", "selfplay.policy_examples"):
            if OmegaConf.select(config, key) is not None:
                check_positive(config, key)
        check_integer(config, "evaluation.play_throughs", least=0)
        check_integer(config, "workers", least=0)
        check_numbers(config, "selfplay.exploration", "selfplay.newest", "trainer.gradient_clip")
        check_numbers(config, "model.learning_rate", "model.final_learning_rate", "model.huber_delta")
        check_numbers(config, "model.policy_weight")
        check_integer(config, "seed", least=0)
        check_limits(config)
        if (replay := config.selfplay.replay) not in ("memory", "disk"):
            raise UserError(f"selfplay.replay must be memory or disk, got {replay!r}")
        torch.set_num_threads(config.trainer.threads)
        torch.manual_seed(config.seed)  # the networks' first weights; nothing later draws from it

        self.game = build(config.game)
        self.solver = build(config.solver)
        if config.evaluation.every is not None:
            check_enumerable(self.game, f"evaluation.every={config.evaluation.every}")
        if config.trainer.precision not in PRECISIONS:
            raise UserError(
                f"trainer.precision must be one of {', '.join(PRECISIONS)}, got {config.trainer.precision!r}"
            )
        for key in ("trainer.compile", "model.relabel"):
            check_bool(config, key)
        play = config.selfplay
        learning = OmegaConf.to_container(config.model, resolve=True)
        assert isinstance(learning, dict)
        del learning["value_network"], learning["policy_network"]
        relabel = learning.pop("relabel")
        try:
            selfplay = SelfPlay(
                self.game,
                self.solver,
                search_iterations=play.search_iterations,
                exploration=play.exploration,
                targets=play.targets,
                policy_examples=play.policy_examples,
            )
            self.module = SelfPlayModule(
                build(config.model.value_network, game=self.game),
                build(config.model.policy_network, game=self.game),
                iterations=config.iterations,
                fused=config.trainer.precision == "32-true",
                relabellings=self.game.relabellings() if relabel else None,
                **learning,  # type: ignore[arg-type]
            )
            self.data = SelfPlayData(
                self.game,
                WorkerPool(selfplay, config.workers),
                trajectories=config.trajectories,
                updates=config.updates,
                batch_size=config.batch_size,
                value_capacity=play.value_capacity,
                policy_capacity=play.policy_capacity,
                newest=play.newest,
                seed=config.seed,
                replay_folder=run.replay if run is not None and replay == "disk" else None,
            )
            self.evaluation = ExploitabilityEvery(
                self.game, self.solver, seed=config.seed, **config.evaluation
            )
        except (ValueError, TypeError) as error:
            raise UserError(str(error)) from error
