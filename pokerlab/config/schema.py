"""What the commands' configs hold: types and ranges, in one place. Imports no torch.

A command turns what Hydra composed into one of the classes at the end, once (:func:`read`); everything below
it takes these, or plain arguments. Objects that are chosen by ``_target_`` stay plain mappings
(:data:`Component`) until :func:`pokerlab.config.build.build` makes them.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pokerlab.config.fields import (
    Above0,
    AtLeast0,
    Component,
    Count,
    CountOrZero,
    Range,
    Text,
    read,
)

MOST_THREADS = 1024  # with a hundred thousand libgomp crashes
MOST_BATCH = 2**24


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Networks, losses and the learning rate."""

    value_network: Component
    policy_network: Component
    value_loss: Literal["mse", "huber"]
    huber_delta: Above0
    policy_weight: AtLeast0
    learning_rate: Above0
    final_learning_rate: AtLeast0
    relabel: bool


@dataclass(frozen=True, slots=True)
class SelfPlayConfig:
    """How examples are made and kept."""

    search_iterations: Count
    exploration: Annotated[float, Range(0, 1)]
    targets: Count
    policy_examples: Count | None
    value_capacity: Count
    policy_capacity: Count
    replay: Literal["memory", "disk"]
    newest: Annotated[float, Range(0, 1, open=True)]


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What is measured while a run trains."""

    every: Count | None
    search_iterations: Count
    play_throughs: CountOrZero


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Where and how precisely a run learns."""

    accelerator: str
    threads: Annotated[int, Range(1, MOST_THREADS)]
    gradient_clip: AtLeast0
    precision: Literal["32-true", "bf16-mixed"]
    compile: bool


@dataclass(frozen=True, slots=True)
class LocalLauncher:
    """A detached process on this machine."""

    name: Literal["local"]
    price_per_hour: Above0 | None
    max_cost_usd: Above0 | None
    max_hours: Above0 | None


@dataclass(frozen=True, slots=True)
class Prices:
    """USD an hour."""

    gpu: dict[str, AtLeast0]
    cpu: AtLeast0
    """A core."""
    memory: AtLeast0
    """A GiB."""


@dataclass(frozen=True, slots=True)
class ModalLauncher:
    """A function call on Modal."""

    name: Literal["modal"]
    gpu: str
    gpu_count: Count
    cpu: AtLeast0
    memory: Annotated[int, Range(128)]
    time_limit: Annotated[int, Range(1, 24 * 3600)]
    retries: Annotated[int, Range(0, 10)]
    wandb_secret: str | None
    max_cost_usd: Above0 | None
    max_hours: Above0 | None
    prices: Prices


@dataclass(frozen=True, slots=True)
class LoggerConfig:
    """Whether and how a run is logged to W&B."""

    mode: Literal["none", "online", "offline"]
    project: str
    entity: str | None
    upload_checkpoint: bool


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run: ``conf/train.yaml``, and config.yaml in the run's folder."""

    iterations: Count
    trajectories: Count
    updates: Count
    workers: Annotated[int, Range(0, MOST_THREADS)]
    batch_size: Annotated[int, Range(1, MOST_BATCH)]
    resume_from: Text | None
    seed: CountOrZero
    run_name: Text | None
    run_dir: Text | None
    checkpoint_every: Count
    commit_every: Count
    game: Component
    solver: Component
    model: ModelConfig
    selfplay: SelfPlayConfig
    evaluation: EvaluationConfig
    trainer: TrainerConfig
    launcher: LocalLauncher | ModalLauncher
    logger: LoggerConfig


@dataclass(frozen=True, slots=True)
class SolveConfig:
    """``conf/solve.yaml``."""

    game: Component
    solver: Component
    iterations: Count
    target: Above0 | None
    device: str
    threads: Annotated[int, Range(1, MOST_THREADS)] | None
    dtype: Literal["float32", "float64"] | None
    json: Text | None
    lines: tuple[str, ...]
    save: Text | None
    export: Text | None


@dataclass(frozen=True, slots=True)
class LocalBestResponseConfig:
    """What a local best response may do."""

    from_street: CountOrZero
    actions: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class MatchConfig:
    """Matches, instead of exploitability."""

    against: tuple[Text, ...] | Text | None
    play: str
    hands: Count
    aivat: Literal["both", "own", "none"]
    value_function: Literal["self_play", "check_down"] | None
    histories: Text | None
    lbr: LocalBestResponseConfig


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """``conf/evaluate.yaml``."""

    run: Text
    search_iterations: Count | None
    play_throughs: CountOrZero | None
    seed: CountOrZero
    device: str
    threads: Annotated[int, Range(1, MOST_THREADS)]
    json: Text | None
    export: Text | None
    export_policy: str
    match: MatchConfig
    solver: Component | None = None


def read_run(values: Any) -> RunConfig:
    """A run's config, from what Hydra composed or what config.yaml holds.

    A config.yaml of an earlier version gets here, and nowhere else, what it lacks.

    Raises:
        UserError: a value is wrong; names its key.
    """
    return read(RunConfig, _upgraded(values))


def _upgraded(values: Any) -> Any:
    """What an earlier version wrote, as this one does."""
    return {
        "logger": {"mode": "none", "project": "pokerlab", "entity": None, "upload_checkpoint": False}
    } | values


def plain(config: Any) -> dict[str, Any]:
    """A config as plain mappings and lists, as YAML and JSON take it."""
    return asdict(config)
