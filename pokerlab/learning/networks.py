"""Value and policy networks over public belief states.

Inputs are a public state's features (``[n, F]``) and both players' beliefs (``[n, 2, H]``), scaled so that a
uniform belief is all ones. Hidden layers are Linear, LayerNorm, GELU, as in ReBeL (arXiv 2007.13544,
appendix). Hands may have features too (cards, ranks, suits: :class:`~pokerlab.games.parts.HandFeatures`). A
hand's weights in the first and the last layer are then the sum of its own and those of its features, so that
hands share what they have in common.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pokerlab.games.base import Game, PayoffOperator
from pokerlab.games.parts import HandFeatures, network_features
from pokerlab.search.forest import Forest, uniform_strategy
from pokerlab.search.leaves import LeafValues, multiply_in

ILLEGAL_LOGIT = -1e9


def check_sizes(hidden: int, layers: int) -> None:
    """Raises a ValueError if a network cannot be of this size."""
    if hidden < 1 or layers < 1:
        raise ValueError(f"a network needs hidden >= 1 and layers >= 1, got hidden={hidden}, layers={layers}")


def of_kind(kind: type[nn.Module], **networks: nn.Module) -> None:
    """Raises a ValueError if one of some networks, by the names of the arguments that they are of, is not."""
    for name, network in networks.items():
        if not isinstance(network, kind):
            kinds = " or ".join(each.__name__ for each in kind.__subclasses__())
            raise ValueError(f"{name} must be a {kind.__name__} ({kinds}), got {type(network).__name__}")


def bytes_of(network: nn.Module) -> int:
    """What the weights of a network take."""
    return sum(each.numel() * each.element_size() for each in network.parameters())


def hidden_layers(hidden: int, layers: int) -> list[nn.Module]:
    """What follows the first linear map: LayerNorm and GELU, and for each further layer all three."""
    blocks: list[nn.Module] = [nn.LayerNorm(hidden), nn.GELU()]
    for _ in range(layers - 1):
        blocks += [nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU()]
    return blocks


class BeliefMLP(nn.Module):
    """A multi-layer perceptron from a public belief state to a few numbers for each hand.

    Args:
        game: gives ``F``, ``H`` and the hands' features.
        outputs: ``O``, numbers for each hand.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    hand_features: Tensor
    """``[P, H]``; P is 0 if hands have no features."""

    def __init__(self, game: Game, outputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        check_sizes(hidden, layers)
        self.from_features = nn.Linear(network_features(game).num_features, hidden)
        self.from_beliefs = nn.Linear(2 * game.num_hands, hidden, bias=False)
        self.rest = nn.Sequential(*hidden_layers(hidden, layers), nn.Linear(hidden, outputs * game.num_hands))
        features = game.hand_features() if isinstance(game, HandFeatures) else None
        common = torch.zeros(0, game.num_hands) if features is None else torch.as_tensor(features.T).float()
        self.register_buffer("hand_features", common, persistent=False)
        self._common, self._outputs = len(common), outputs
        if self._common:
            self.from_common = nn.Linear(2 * self._common, hidden, bias=False)
            self.to_common = nn.Linear(hidden, outputs * self._common, bias=False)

    def embed_features(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n, hidden]``: the part of the first layer that does not depend on beliefs."""
        return self.from_features(features)

    def forward(self, embedded: Tensor, beliefs: Tensor) -> Tensor:
        """``[n, hidden]`` embedded features, ``[n, 2, H]`` beliefs → ``[n, O · H]``."""
        beliefs = beliefs * beliefs.shape[-1]
        hidden = embedded + self.from_beliefs(beliefs.flatten(1))
        if not self._common:
            return self.rest(hidden)
        hidden = hidden + self.from_common((beliefs @ self._common_beliefs()).flatten(1))
        hidden = self.rest[:-1](hidden)
        common = self.to_common(hidden).unflatten(1, (self._outputs, -1)) @ self._common_outputs()
        return self.rest[-1](hidden) + common.flatten(1)

    def _common_beliefs(self) -> Tensor:
        """``[H, P]`` scaled so that the uniform belief, all ones, gives ones."""
        return (self.hand_features / self.hand_features.sum(1, keepdim=True)).T

    def _common_outputs(self) -> Tensor:
        """``[P, H]`` scaled to length 1 for each hand."""
        return self.hand_features / self.hand_features.square().sum(0).sqrt()

    @torch.no_grad()
    def at(self, features: Tensor) -> Callable[[Tensor], Tensor]:
        """:meth:`forward` for fixed features ``[n, F]``, with the present weights.

        A search asks thousands of times about few leaves, where half of a module's time would be overhead.
        """
        embedded = self.embed_features(features)
        first = self.from_beliefs.weight * self.from_beliefs.in_features / 2
        norms = [module for module in self.rest if isinstance(module, nn.LayerNorm)]
        linears = [module for module in self.rest if isinstance(module, nn.Linear)]
        weights = [linear.weight for linear in linears]
        if self._common:
            common = self.from_common.weight.unflatten(1, (2, -1)) @ self._common_beliefs().T
            first = first + common.flatten(1) * common.shape[-1]
            shared = self.to_common.weight.unflatten(0, (self._outputs, -1)).transpose(1, 2)
            weights[-1] = weights[-1] + (shared @ self._common_outputs()).transpose(1, 2).flatten(0, 1)
        first = first.T.contiguous()
        layers = [
            (norm.normalized_shape, norm.weight, norm.bias, norm.eps, weight.T.contiguous(), linear.bias)
            for norm, linear, weight in zip(norms, linears, weights, strict=True)
        ]

        def outputs(beliefs: Tensor) -> Tensor:
            hidden = torch.addmm(embedded, beliefs.flatten(1), first)
            for shape, scale, shift, eps, weight, bias in layers:
                hidden = functional.gelu(torch.layer_norm(hidden, shape, scale, shift, eps))
                hidden = torch.addmm(bias, hidden, weight)
            return hidden

        return outputs


def log_strategy(logits: Tensor, beliefs: Tensor, legal: Tensor) -> Tensor:
    """``[n, A, H]`` log-probabilities, in the precision of beliefs, which autocast may have lowered."""
    illegal = ~legal[:, :, None]
    return functional.log_softmax(logits.to(beliefs.dtype).masked_fill(illegal, ILLEGAL_LOGIT), dim=1)


class LeafNetwork(nn.Module, ABC):
    """A network that values public belief states: a :class:`LeafEvaluator`."""

    features_on_host = False
    """Whether :meth:`forward` takes features from the host's memory, wherever beliefs are."""

    @abstractmethod
    def forward(self, features: Tensor, beliefs: Tensor, hand_inputs: Tensor | None = None) -> Tensor:
        """``[n, 2, H]`` values in pots; those of impossible hands mean nothing.

        Args:
            features: ``[n, F]``.
            beliefs: ``[n, 2, H]``.
            hand_inputs: ``[n, I, H]``, see :class:`~pokerlab.games.parts.HandInputs`; None: a network that
                needs them computes them.
        """

    @property
    @abstractmethod
    def floats_per_leaf(self) -> int:
        """See :class:`LeafEvaluator`."""

    @abstractmethod
    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """The network as a :class:`LeafEvaluator`."""


class StrategyNetwork(nn.Module, ABC):
    """A network that proposes the strategy of the player to act: a :class:`~pokerlab.search.leaves.Prior`."""

    features_on_host = False
    """See :class:`LeafNetwork`."""

    @abstractmethod
    def forward(
        self, features: Tensor, beliefs: Tensor, legal: Tensor, hand_inputs: Tensor | None = None
    ) -> Tensor:
        """Log-probabilities ``[n, A, H]``.

        Args:
            features: ``[n, F]``.
            beliefs: ``[n, 2, H]``.
            legal: ``[n, A]`` bool; other actions get probability 0.
            hand_inputs: see :class:`LeafNetwork`.
        """

    @torch.no_grad()
    def strategy(self, forest: Forest, belief: Tensor) -> Tensor:
        """Its strategy on a forest, ``[A, D, H]``, from the root down, under the beliefs that follow from it.

        Args:
            forest: the subgames.
            belief: ``[2, B, H]`` at their roots.
        """
        like = next(self.parameters())
        strategy = uniform_strategy(forest)
        legal = forest.by_action(forest.legal)[:, :, 0]
        for level in forest.depth.unique().tolist():
            index = (forest.depth == level).nonzero()[:, 0]
            nodes = forest.decisions.select(index)
            beliefs = forest.beliefs_at(nodes, forest.reach(strategy, belief=belief), belief)
            here = index.to(strategy.device)
            log_policy = self(
                nodes.features.to(like), beliefs.transpose(0, 1).to(like), legal[here].to(like.device)
            )
            by_action = functional.pad(log_policy.exp().to(strategy), (0, 0, 0, 1))  # 0 where illegal
            chances = by_action[torch.arange(len(here), device=here.device), forest.action_of[:, here]]
            strategy[:, here] = chances / chances.sum(0)
        return strategy


class ValueNetwork(LeafNetwork):
    """Infostate values of both players at a public belief state, in pots.

    Args:
        game: the rules.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
        zero_sum: shift each state's values so that the two players' expectations add up to 0 under the
            joint belief.
    """

    def __init__(self, game: Game, hidden: int, layers: int, *, zero_sum: bool = True) -> None:
        super().__init__()
        self.mlp = BeliefMLP(game, 2, hidden, layers)
        self.zero_sum = zero_sum
        self._game = game
        self._mass: tuple[torch.device, torch.dtype, PayoffOperator] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mass": None}  # an operator cannot be sent to another process

    def forward(self, features: Tensor, beliefs: Tensor, hand_inputs: Tensor | None = None) -> Tensor:
        """See :class:`LeafNetwork`; hand inputs are not used."""
        outputs = self.mlp(self.mlp.embed_features(features), beliefs)
        with torch.autocast(beliefs.device.type, enabled=False):  # sums over hands need all digits
            return self._shift_to_zero_sum(outputs.view_as(beliefs).to(beliefs.dtype), beliefs)

    def _shift_to_zero_sum(self, values: Tensor, beliefs: Tensor) -> Tensor:
        if not self.zero_sum:
            return values
        joint = beliefs * self._mass_operator(beliefs)(beliefs.flip(1))  # marginals of the joint belief
        total = joint.sum((1, 2), keepdim=True)
        return values - (joint * values).sum((1, 2), keepdim=True) / total.clamp_min(1e-30)

    def _mass_operator(self, like: Tensor) -> PayoffOperator:
        if self._mass is None or self._mass[:2] != (like.device, like.dtype):
            self._mass = (like.device, like.dtype, self._game.mass_operator(like))
        return self._mass[2]

    @property
    def floats_per_leaf(self) -> int:
        # embedded features and beliefs, a layer before and after its activation, and values
        return 4 * self.mlp.from_features.out_features + 20 * self._game.num_hands

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafNetwork`."""
        outputs = self.mlp.at(features)

        def values(beliefs: Tensor) -> Tensor:
            with torch.no_grad():
                by_leaf = beliefs.transpose(0, 1)
                found = outputs(by_leaf).view_as(by_leaf).to(by_leaf.dtype)
                with multiply_in("float32", beliefs.device):  # sums over hands need all digits
                    return self._shift_to_zero_sum(found, by_leaf).transpose(0, 1)

        return values


class PolicyNetwork(StrategyNetwork):
    """The strategy of the player to act, for every hand, at a public belief state.

    Args:
        game: the rules.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    def __init__(self, game: Game, hidden: int, layers: int) -> None:
        super().__init__()
        self.mlp = BeliefMLP(game, game.num_actions, hidden, layers)
        self._shape = (game.num_actions, game.num_hands)

    def forward(
        self, features: Tensor, beliefs: Tensor, legal: Tensor, hand_inputs: Tensor | None = None
    ) -> Tensor:
        """See :class:`StrategyNetwork`; hand inputs are not used."""
        logits = self.mlp(self.mlp.embed_features(features), beliefs).unflatten(1, self._shape)
        return log_strategy(logits, beliefs, legal)


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, share: float) -> None:
    """Moves the weights of one network towards those of another like it, by a share of the way."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), share)


class Networks(nn.Module):
    """The networks that a search uses: a value network at the leaves, a policy network as the prior.

    Args:
        value: the value network.
        policy: the policy network.
    """

    def __init__(self, value: LeafNetwork, policy: StrategyNetwork) -> None:
        super().__init__()
        self.value, self.policy = value, policy

    @property
    def floats_per_leaf(self) -> int:
        return self.value.floats_per_leaf

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :meth:`LeafNetwork.at`."""
        return self.value.at(features, possible)

    def strategy(self, forest: Forest, belief: Tensor) -> Tensor:
        """See :meth:`StrategyNetwork.strategy`."""
        return self.policy.strategy(forest, belief)
