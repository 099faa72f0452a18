"""A choice of CFR variant, ready to be applied to any forest."""

from math import inf

import torch
from torch import Tensor

from pokerlab import cuda
from pokerlab.games.base import Game
from pokerlab.games.tree_size import ARRAYS
from pokerlab.loops import NUMBA
from pokerlab.search.backends import BACKENDS, STORAGES
from pokerlab.search.backends.packing import MOST_HANDS_FOR_MATRICES
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LEAF_PRECISIONS, LeafEvaluator, Prior
from pokerlab.search.locks import Locks
from pokerlab.search.rules import UpdateRule, update_rule

BYTES_OF_A_STATE = 3000
"""Of a whole game's tree, besides the numbers of hands."""
LEAF_BELIEFS = ("current", "average")


class Solver:
    """Builds :class:`CFR` for a forest; the settings that experiments compose as ``solver``.

    Args:
        rule: ``cfr``, ``cfr_plus``, ``linear_cfr``, ``dcfr`` or ``pcfr_plus``.
        averaging: ``uniform``, ``linear`` or ``quadratic``; None: the rule's own.
        leaf_rule: the rule of subgames that end at leaves which a network values; None: the same. There,
            DCFR's strategies go round in circles for longer than those of linear CFR (docs/holdem.md).
        leaf_averaging: of that rule; None: its own.
        alternating: players update in turn instead of at once.
        leaf_beliefs: under which beliefs leaves are valued: ``current``, those of the iteration's strategy
            (CFR-D), or ``average``, those of the average strategy (CFR-AVG).
        alpha: DCFR's exponent for positive regrets; None: 1.5.
        beta: DCFR's exponent for negative regrets; None: 0.
        gamma: DCFR's exponent of the average; None: 2.
        warm_start: how much to trust the policy network, where there is one: CFR starts from its strategy,
            with regrets of so many pots in favour of it; 0: from the uniform strategy, without regrets.
        memory_gb: the most memory that subgames solved together may take in self-play and evaluation, in
            GB; more subgames than fit are solved in parts.
        backend: ``compiled``, loops for the CPU that numba compiles; ``tensors``, on any device; or
            ``auto``: ``compiled`` on the CPU where numba works, else ``tensors``.
        cuda_graph: whether iterations on a GPU are replays of a captured one; otherwise the host launches
            each of their operations.
        leaf_precision: what the leaf network's matrix products are rounded to: ``float32``, ``tf32`` (on a
            GPU; elsewhere float32) or ``bfloat16``.
        storage: how the CPU keeps a game that is dealt several boards and solved to the end: ``int16``, whole
            numbers with a scale for each public state; ``full``, with the numbers' own precision; ``auto``:
            ``int16`` where they are float32.

    Raises:
        ValueError: a value is none of these.
    """

    def __init__(
        self,
        rule: str = "dcfr",
        averaging: str | None = None,
        *,
        leaf_rule: str | None = None,
        leaf_averaging: str | None = None,
        alternating: bool = True,
        leaf_beliefs: str = "current",
        alpha: float | None = None,
        beta: float | None = None,
        gamma: float | None = None,
        warm_start: float = 0.0,
        memory_gb: float = 4.0,
        backend: str = "auto",
        cuda_graph: bool = True,
        leaf_precision: str = "float32",
        storage: str = "auto",
    ) -> None:
        if type(memory_gb) not in (int, float) or not memory_gb > 0:
            raise ValueError(f"memory_gb must be a number above 0, got {memory_gb!r}")
        if type(warm_start) not in (int, float) or not 0 <= warm_start < inf:
            raise ValueError(f"warm_start must be a number of at least 0, got {warm_start!r}")
        if leaf_beliefs not in LEAF_BELIEFS:
            raise ValueError(f"leaf_beliefs must be one of {', '.join(LEAF_BELIEFS)}, got {leaf_beliefs!r}")
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
        if type(cuda_graph) is not bool:
            raise ValueError(f"cuda_graph must be true or false, got {cuda_graph!r}")
        if leaf_precision not in LEAF_PRECISIONS:
            expected = ", ".join(LEAF_PRECISIONS)
            raise ValueError(f"leaf_precision must be one of {expected}, got {leaf_precision!r}")
        if storage not in STORAGES:
            raise ValueError(f"storage must be one of {', '.join(STORAGES)}, got {storage!r}")
        self.leaf_precision, self.storage = leaf_precision, storage
        self.backend, self.cuda_graph = backend, cuda_graph
        self.average_leaves = leaf_beliefs == "average"
        self.rule = update_rule(rule, averaging, alpha=alpha, beta=beta, gamma=gamma)
        if leaf_rule is None and leaf_averaging is not None:
            raise ValueError(f"leaf_averaging is {leaf_averaging!r} without a leaf_rule")
        self.leaf_rule = self.rule
        if leaf_rule is not None:
            try:
                self.leaf_rule = update_rule(leaf_rule, leaf_averaging)
            except ValueError as error:
                raise ValueError(f"leaf_rule cannot be had: {error}") from error
        self.alternating, self.warm_start, self.memory = alternating, warm_start, memory_gb * 1e9

    def in_loops(self, device: torch.device) -> bool:
        """Whether it solves in compiled loops there."""
        return self.backend != "tensors" and NUMBA and device.type == "cpu"

    def in_kernels(self, device: torch.device) -> bool:
        """Whether it solves in kernels there, but for the forests that need tensor operations."""
        return self.backend != "tensors" and cuda.runs_on(device)

    def bytes_a_state(self, game: Game, dtype: torch.dtype, device: torch.device) -> float:
        """About what solving a whole game takes for each of its public states."""
        by_board = self.in_loops(device) and self.alternating and not self.rule.predictive
        if not by_board or game.num_hands <= MOST_HANDS_FOR_MATRICES:
            return ARRAYS * dtype.itemsize * game.num_hands
        believed = (game.initial_beliefs > 0).any(0) & game.possible_hands(game.root())
        number = (
            2
            if self.storage == "int16" or (self.storage == "auto" and dtype == torch.float32)
            else dtype.itemsize
        )
        return BYTES_OF_A_STATE + 2 * number * float(believed.sum())

    def rule_of(self, *, has_leaves: bool) -> UpdateRule:
        """That of subgames whose leaves a network values, or of those that are played to the end."""
        return self.leaf_rule if has_leaves else self.rule

    def start(
        self,
        forest: Forest,
        belief: Tensor,
        leaf_evaluator: LeafEvaluator | None = None,
        gadget: Gadget | None = None,
        locks: Locks | None = None,
    ) -> CFR:
        """A solver at iteration 0.

        Args:
            forest: the subgames; those with leaves and those without only together if they have one rule.
            belief: ``[2, B, H]`` beliefs at their roots; with a gadget, the opponent's is not used.
            leaf_evaluator: values depth-limit leaves; one that is a :class:`Prior` too gives the first
                strategy, if there is a warm start.
            gadget: what the opponent may take instead of playing the subgames.
            locks: strategies that are given, in a forest of one subgame that is played to the end.
        """
        # nothing changes between players at a deal: its leaves are asked about once
        is_deal = not forest.num_decisions and len(forest.leaves) > 0 and gadget is None
        cfr = CFR(
            forest,
            belief,
            self.rule_of(has_leaves=len(forest.leaves) > 0),
            alternating=self.alternating and not is_deal,
            backend=self.backend,
            leaf_evaluator=leaf_evaluator,
            average_leaves=self.average_leaves,
            gadget=gadget,
            cuda_graph=self.cuda_graph,
            leaf_precision=self.leaf_precision,
            storage=self.storage,
            locks=locks,
        )
        if self.warm_start and forest.num_decisions and isinstance(leaf_evaluator, Prior):
            cfr.warm_start(leaf_evaluator.strategy(forest, belief), self.warm_start)
        return cfr
