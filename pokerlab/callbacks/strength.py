"""Strength while training, of games that are too large for exact exploitability."""

from functools import cached_property
from typing import Any

import lightning
import torch

from pokerlab.agents.base import Agent
from pokerlab.algorithms.base import Algorithm, make_agent
from pokerlab.callbacks.exploitability import POLICY_NET, is_due
from pokerlab.evaluation.held_out import HeldOut, HeldOutSettings, held_out, value_errors
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.matches import Match, play_match
from pokerlab.evaluation.street_play import StreetPlay
from pokerlab.games.base import Game
from pokerlab.games.parts import table_play
from pokerlab.interrupts import interruptible
from pokerlab.learning.module import log_number
from pokerlab.store.folder import RunFolder


class ValueErrorsEvery(lightning.Callback):
    """Measures the value network at held-out belief states; see :mod:`pokerlab.evaluation.held_out`.

    Args:
        game: the rules.
        every: iterations between measures; None: there are none.
        settings: of the belief states.

    Raises:
        ValueError: the game has not the streets.
    """

    def __init__(self, game: Game, *, every: int | None, settings: HeldOutSettings) -> None:
        self.game, self.every, self.settings = game, every, settings
        if every is not None:
            settings.streets(game)
        self._like = torch.empty(0)

    @cached_property
    def held_out(self) -> HeldOut:
        """The belief states, solved when they are first needed."""
        return held_out(self.game, self.settings, self._like)

    @interruptible()
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Logs the errors by street, and by street and stack-to-pot ratio."""
        if not is_due(trainer, self.every):
            return
        networks: Any = pl_module.networks
        self._like = next(networks.parameters()).detach().flatten()[:0]
        for name, error in value_errors(self.game, networks, self.held_out, self._like).items():
            log_number(pl_module, name, error)


class MatchesEvery(lightning.Callback):
    """Has the policy network, or the first way to play, meet a local best response and its own past.

    ``lbr`` is what the local best response wins, a lower bound of what a best response would, and ``earlier``
    what the agent wins from that of the run's newest numbered checkpoint: in thousandths of a big blind a
    hand, each with the half width of its 95 % interval, by AIVAT.

    Args:
        algorithm: of the run.
        run: the run's folder, with earlier checkpoints.
        every: iterations between matches; None: there are none.
        deals: of each match; each is played twice.
        seed: of the deals, the same ones every time.

    Raises:
        ValueError: the game has no calling.
    """

    def __init__(
        self, algorithm: Algorithm, run: RunFolder | None, *, every: int | None, deals: int, seed: int
    ) -> None:
        if every is not None:
            table_play(algorithm.game)
        self.algorithm, self.run, self.every, self.deals, self.seed = algorithm, run, every, deals, seed

    @interruptible()
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Plays them."""
        if not is_due(trainer, self.every):
            return
        game, agent = self.algorithm.game, self._agent(pl_module.networks)
        if not agent.draws:
            self._log(pl_module, "lbr", self._play(LocalBestResponse(game, agent), agent))
        checkpoints = self.run.numbered_checkpoints() if self.run is not None else {}
        earlier = [iteration for iteration in checkpoints if iteration <= trainer.current_epoch]
        if earlier:
            with torch.random.fork_rng(devices=[]):  # of first weights, which training must not notice
                before = self.algorithm.module()
            stored = torch.load(checkpoints[earlier[-1]], map_location="cpu", weights_only=True)
            before.load_state_dict(stored["state_dict"])
            before.to(pl_module.device).eval()
            self._log(pl_module, "earlier", self._play(agent, self._agent(before.networks)))
            log_number(pl_module, "earlier_iteration", earlier[-1])

    def _agent(self, networks: Any) -> Agent:
        ways = self.algorithm.agents
        return make_agent(ways[POLICY_NET if POLICY_NET in ways else next(iter(ways))], networks)

    def _play(self, first: Agent, second: Agent) -> Match:
        game = self.algorithm.game
        with torch.no_grad():
            return play_match(game, (first, second), self.deals, self.seed, values=StreetPlay(game))

    def _log(self, module: lightning.LightningModule, name: str, match: Match) -> None:
        result, unit = match.result(), 1000 / self.algorithm.game.big_blind
        log_number(module, f"{name}_mbb", result.mean * unit)
        log_number(module, f"{name}_mbb_half_width", result.half_width * unit)
