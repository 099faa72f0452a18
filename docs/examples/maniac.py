"""An agent that always makes the largest bet or raise, and calls where it cannot."""

from torch import Tensor

from pokerlab.agents.baselines import Baseline
from pokerlab.games.base import State


class Maniac(Baseline[State]):
    """Bets and raises as much as it may, with every hand."""

    def strategy_at(self, state: State) -> Tensor:
        game = self.game
        passive = (game.check_or_fold(state), game.check_or_call(state))
        raises = [action for action in game.actions(state) if action not in passive]
        return self._always(raises[-1] if raises else game.check_or_call(state))
