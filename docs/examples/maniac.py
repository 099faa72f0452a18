"""An agent that always makes the largest bet or raise, and calls where it cannot."""

from torch import Tensor

from pokerlab.agents.baselines import Baseline
from pokerlab.games.base import State
from pokerlab.games.parts import table_play


class Maniac(Baseline[State]):
    """Bets and raises as much as it may, with every hand."""

    def strategy_at(self, state: State) -> Tensor:
        table = table_play(self.game)
        fold, call = table.check_or_fold(state), table.check_or_call(state)
        raises = [action for action in self.game.actions(state) if action not in (fold, call)]
        return self._always(raises[-1] if raises else call)
