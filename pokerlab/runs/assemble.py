"""From a run's config to its objects."""

import torch
from omegaconf import DictConfig, OmegaConf

from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.errors import UserError
from pokerlab.evaluation.policies import WholeGame
from pokerlab.learning.module import SelfPlayModule
from pokerlab.runs.build import build, check_integer, check_numbers, check_positive
from pokerlab.runs.cost import check_limits
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.selfplay.workers import WorkerPool


class Assembled:
    """The objects of a run, built from its config.

    Raises:
        UserError: a value is wrong.
    """

    def __init__(self, config: DictConfig) -> None:
        check_positive(config, "iterations", "trajectories", "updates", "batch_size")
        check_positive(config, "checkpoint_every", "commit_every", "trainer.threads")
        check_positive(config, "selfplay.value_capacity", "selfplay.policy_capacity", "selfplay.targets")
        check_positive(
            config, "selfplay.search_iterations", "evaluation.every", "evaluation.search_iterations"
        )
        check_integer(config, "evaluation.play_throughs", least=0)
        check_integer(config, "workers", least=0)
        check_numbers(config, "selfplay.exploration", "selfplay.newest", "trainer.gradient_clip")
        check_numbers(config, "model.learning_rate", "model.final_learning_rate", "model.huber_delta")
        check_numbers(config, "model.policy_weight")
        check_integer(config, "seed", least=0)
        check_limits(config)
        torch.set_num_threads(config.trainer.threads)
        torch.manual_seed(config.seed)  # the networks' first weights; nothing later draws from it

        self.game = build(config.game)
        self.solver = build(config.solver)
        play = config.selfplay
        learning = OmegaConf.to_container(config.model, resolve=True)
        assert isinstance(learning, dict)
        del learning["value_network"], learning["policy_network"]
        try:
            selfplay = SelfPlay(
                self.game,
                self.solver,
                search_iterations=play.search_iterations,
                exploration=play.exploration,
                targets=play.targets,
            )
            self.module = SelfPlayModule(
                build(config.model.value_network, game=self.game),
                build(config.model.policy_network, game=self.game),
                iterations=config.iterations,
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
            )
            self.evaluation = ExploitabilityEvery(
                WholeGame(self.game), self.solver, seed=config.seed, **config.evaluation
            )
        except (ValueError, TypeError) as error:
            raise UserError(str(error)) from error
