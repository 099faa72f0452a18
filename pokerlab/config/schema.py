"""What the commands' configs hold: types and ranges, in one place. Imports no torch.

A command turns what Hydra composed into one of the classes at the end, once (:func:`read`); everything below
it takes these, or plain arguments. Objects that are chosen by ``_target_`` stay plain mappings
(:data:`Component`) until :func:`pokerlab.config.build.build` makes them.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pokerlab.config.fields import (
    Above0,
    AtLeast0,
    Component,
    Count,
    CountOrZero,
    Range,
    Text,
    convert,
    read,
)
from pokerlab.errors import UserError

MOST_THREADS = 1024  # with a hundred thousand libgomp crashes
MOST_BATCH = 2**24
MOST_WEIGHTS = 2**30  # of a network: 16 GB with its gradient and what Adam keeps
Many = Annotated[int, Range(1, 10**7)]
"""Of what one step of the work holds all of at once."""
MOST_BYTES = 200  # of a name: files beside a run's folder have longer ones
NETWORK_SIZES = {
    "hidden": Annotated[int, Range(1, 2**16)],
    "layers": Annotated[int, Range(1, 1000)],
    **dict.fromkeys(("bins", "early_bins"), Annotated[int, Range(2, 1000)]),
    **dict.fromkeys(("potentials", "rank"), Annotated[int, Range(1, 1000)]),
}


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
    hand_inputs: bool
    belief_weight: Annotated[float, Range(0, 1)]
    ema_decay: Annotated[float, Range(0, 0.99999)]
    shallow_weight: Annotated[float, Range(0, 1)]


@dataclass(frozen=True, slots=True)
class SelfPlayConfig:
    """How examples are made and kept."""

    search_iterations: Many
    exploration: Annotated[float, Range(0, 1)]
    targets: Many
    policy_examples: Many | None
    starts: dict[str, Annotated[float, Range(0, 1)]] | None
    stored: Annotated[float, Range(0, 1)]
    bottom_up: dict[str, CountOrZero] | None
    start_capacity: Count
    value_capacity: Count
    policy_capacity: Count
    replay: Literal["memory", "disk"]
    device_gb: AtLeast0
    newest: Annotated[float, Range(0, 1, open=True)]


@dataclass(frozen=True, slots=True)
class HeldOutConfig:
    """Belief states that the value network is measured at."""

    every: Count | None
    states: tuple[Annotated[int, Range(1, 10**5)], ...]
    iterations: Many


@dataclass(frozen=True, slots=True)
class MatchesConfig:
    """Matches while a run trains."""

    every: Count | None
    deals: Many


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What is measured while a run trains."""

    every: Count | None
    search_iterations: Many
    play_throughs: Annotated[int, Range(0, 10**7)]
    held_out: HeldOutConfig
    matches: MatchesConfig


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Where and how precisely a run learns."""

    accelerator: str
    devices: Annotated[int, Range(1, MOST_THREADS)] | None
    """Ranks; None: as many as the launcher asks for."""
    strategy: Literal["auto", "ddp"]
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
    cpu: Annotated[float, Range(0.125, 64)]
    memory: Annotated[int, Range(128, 336 * 1024)]
    time_limit: Annotated[int, Range(1, 24 * 3600)]
    retries: Annotated[int, Range(0, 10)]
    wandb_secret: str | None
    max_cost_usd: Above0 | None
    max_hours: Above0 | None
    prices: Prices


@dataclass(frozen=True, slots=True)
class SlurmLauncher:
    """A job of a Slurm cluster."""

    name: Literal["slurm"]
    partition: Text | None
    account: Text | None
    qos: Text | None
    constraint: Text | None
    gpus: CountOrZero
    cpus: Count
    memory: Annotated[int, Range(128, 2**31)]
    time_limit: Annotated[int, Range(60, 365 * 24 * 3600)]
    retries: CountOrZero
    setup: tuple[str, ...]
    options: dict[str, Text]
    price_per_hour: Above0 | None
    max_cost_usd: Above0 | None
    max_hours: Above0 | None


Launcher: TypeAlias = LocalLauncher | ModalLauncher | SlurmLauncher


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run: ``conf/train.yaml``, and config.yaml in the run's folder."""

    iterations: Count
    trajectories: Many
    updates: Count | None
    draws_per_example: Above0
    workers: Annotated[int, Range(0, MOST_THREADS)]
    batch_size: Annotated[int, Range(1, MOST_BATCH)]
    resume_from: Text | None
    start_from: Text | None
    seed: CountOrZero
    run_name: Text | None
    run_dir: Text | None
    checkpoint_every: Count
    commit_every: Count
    commit_minutes: Above0
    game: Component
    solver: Component
    model: ModelConfig
    algorithm: Component
    selfplay: SelfPlayConfig
    actors: Component
    optimizer: Component
    evaluation: EvaluationConfig
    trainer: TrainerConfig
    launcher: Launcher
    logger: Component | dict[str, Component]
    """One, or several by names of their own."""
    callbacks: Component | dict[str, Component]
    origins: dict[str, str] = field(default_factory=dict, compare=False)
    """Keys whose values were taken from other keys when it was composed, and those; in no file.

    Such as ``algorithm.value_network`` from ``model.value_network``: errors name what the user wrote.
    """

    def origin(self, key: str) -> str:
        """Where the value at a key was written."""
        return self.origins.get(key, key)

    @property
    def outputs(self) -> dict[str, str]:
        """Where it is to run, by the key that says so."""
        named = {"run_dir": self.run_dir} if self.run_dir is not None else {"run_name": self.run_name}
        return {key: name for key, name in named.items() if name is not None}


@dataclass(frozen=True, slots=True)
class SolveConfig:
    """``conf/solve.yaml``."""

    game: Component
    solver: Component
    iterations: Count
    target: Above0 | None
    leaf: Text | None
    device: str
    threads: Annotated[int, Range(1, MOST_THREADS)] | None
    dtype: Literal["float32", "float64"] | None
    json: Text | None
    lines: tuple[str, ...]
    boards: Literal["all"] | Count | tuple[str, ...] | None
    report: Text | None
    save: Text | None
    export: Text | None

    def __post_init__(self) -> None:
        if (self.boards is None) != (self.report is None):
            raise UserError("boards and report belong together: give both, such as boards=95 report=x.csv")
        for key in ("json", "save", "export"):
            if self.boards is not None and getattr(self, key) is not None:
                raise UserError(f"{key} is of one board: leave out boards, or {key}")

    @property
    def outputs(self) -> dict[str, str]:
        """What it writes, by the key that says so."""
        named = {"json": self.json, "export": self.export, "save": self.save, "report": self.report}
        return {key: path for key, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """What a league may take in all."""

    hours: Above0 | None
    usd: Above0 | None


@dataclass(frozen=True, slots=True)
class LeagueConfig:
    """``conf/league.yaml``, and config.yaml in a league's folder."""

    rounds: Count
    target: Above0 | None
    start: Text | tuple[Text, ...]
    seed: CountOrZero
    threads: Annotated[int, Range(1, MOST_THREADS)]
    run_name: Text | None
    run_dir: Text | None
    json: Text | None
    export: Text | None
    game: Component
    propose: Component
    evaluate: Component
    weigh: Component
    select: Component
    measure: Component
    logger: Component | dict[str, Component]
    """One, or several by names of their own."""
    members: Component
    budget: BudgetConfig

    @property
    def outputs(self) -> dict[str, str]:
        """Where it is to run, and what it writes, by the key that says so."""
        named = {"run_dir": self.run_dir} if self.run_dir is not None else {"run_name": self.run_name}
        written = named | {"json": self.json, "export": self.export}
        return {key: path for key, path in written.items() if path is not None}


@dataclass(frozen=True, slots=True)
class LocalBestResponseConfig:
    """What a local best response may do."""

    from_street: CountOrZero
    actions: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class MatchConfig:
    """Matches, instead of exploitability."""

    against: Text | tuple[Text, ...] | None
    play: str
    hands: Count
    aivat: Literal["both", "own", "none"]
    value_function: Literal["self_play", "street_play", "check_down"] | None
    histories: Text | None
    rules: dict[Text, Any] | None
    lbr: LocalBestResponseConfig


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """``conf/evaluate.yaml``."""

    run: Text | None
    agent: Text | None
    isomorphism: bool
    search_iterations: Many | None
    play_throughs: Annotated[int, Range(0, 10**7)] | None
    seed: CountOrZero
    device: str
    threads: Annotated[int, Range(1, MOST_THREADS)]
    json: Text | None
    export: Text | None
    export_policy: str
    match: MatchConfig
    solver: Component | None = None
    game: Component | None = None

    def __post_init__(self) -> None:
        if self.run is None and self.game is None:
            raise UserError("Missing mandatory value: run: give it on the command line")
        if self.run is not None and self.game is not None:
            raise UserError("game is that of the run: give one of run and game")
        if self.run is None and (self.agent is None or self.match.against is not None):
            raise UserError("game needs agent, which is measured on it; matches need run")

    @property
    def outputs(self) -> dict[str, str]:
        """What it writes outside of the run's folder, by the key that says so."""
        named = {"json": self.json, "export": self.export, "match.histories": self.match.histories}
        return {key: path for key, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True)
class PlayAcpcConfig:
    """``conf/play_acpc.yaml``."""

    host: Text
    port: Annotated[int, Range(1, 65535)]
    agent: Text
    search_iterations: Many | None
    timeout: Above0
    seed: CountOrZero
    device: str
    threads: Annotated[int, Range(1, MOST_THREADS)]
    json: Text | None
    solver: Component | None = None
    game: Component | None = None

    @property
    def outputs(self) -> dict[str, str]:
        """What it writes, by the key that says so."""
        return {} if self.json is None else {"json": self.json}


Config = RunConfig | SolveConfig | EvaluateConfig | LeagueConfig | PlayAcpcConfig
_KINDS = {
    "train": RunConfig,
    "solve": SolveConfig,
    "evaluate": EvaluateConfig,
    "league": LeagueConfig,
    "play_acpc": PlayAcpcConfig,
}


def read_config(command: str, values: Any) -> Any:
    """What Hydra composed for a command, as the command's class.

    Args:
        command: ``train``, ``solve``, ``evaluate``, ``league`` or ``play_acpc``.
        values: plain.

    Raises:
        UserError: a value is wrong; names its key.
    """
    return read(_KINDS[command], values)


def plain(config: Any) -> dict[str, Any]:
    """A config as plain mappings and lists, as YAML and JSON take it."""
    found: dict[str, Any] = _with_lists(asdict(config))
    found.pop("origins", None)
    return found


def _with_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_lists(each) for name, each in value.items()}
    return [_with_lists(each) for each in value] if isinstance(value, list | tuple) else value


def check_network_size(network: Component, key: str) -> None:
    """What sizes a network may have; checked here, since networks are not made to be checked.

    Raises:
        UserError: one is wrong, or they make too many weights.
    """
    sizes = {
        name: convert(NETWORK_SIZES[name], network[name], f"{key}.{name}")
        for name in NETWORK_SIZES
        if name in network
    }
    weights = sizes.get("layers", 1) * sizes.get("hidden", 1) ** 2
    if weights > MOST_WEIGHTS:
        raise UserError(
            f"{key} may have at most {MOST_WEIGHTS:.1e} weights: {sizes['layers']} layers of "
            f"{sizes['hidden']} make {weights:.1e}"
        )


def check_run_name(name: str, key: str = "run_name") -> None:
    """A run's name is one part of a path, and is told from an option and from a number of iterations.

    Args:
        name: of a run, or of a league's member.
        key: what errors call it.

    Raises:
        UserError: it is not.
    """
    shown = repr(name) if len(name) <= 60 else f"{name[:60]!r}…"
    if not re.fullmatch(r"[\w.,+=-]+", name):
        raise UserError(f"{key} {shown} must consist of letters, digits and any of . , + - _ =")
    if name[0] in "-.,":
        raise UserError(f"{key} {shown} must not begin with {name[0]}")
    if len(name.encode()) > MOST_BYTES:
        raise UserError(f"{key} {shown} is too long: expected at most {MOST_BYTES} bytes")
    if name.isdecimal():
        raise UserError(f"{key} {shown} is a number, which resume_from would take for an iteration")
