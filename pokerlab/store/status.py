"""What a run's files say of it, and whether that is true. Imports no torch: looking at runs is quick."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import fmean
from typing import Any

from pokerlab.store.files import now
from pokerlab.store.folder import RunFolder
from pokerlab.store.records import GOING_ON

RECENT = 20
"""Iterations whose pace is the run's."""
EVALUATED = 200
"""Iterations that the newest measures of strength are looked for in."""
VALUE_ERROR = "value_error_"
"""What fields of the metrics begin with that are errors of the value network."""


@dataclass(frozen=True, slots=True)
class Status:
    """A run at a glance; what is unknown is None. Losses, exploitability and cost as in the metrics."""

    run: str
    launcher: str | None
    experiment: str | None
    sweep: str | None
    overrides: list[str]
    state: str
    """``submitted``, ``running``, ``preempted``, ``retrying``, ``finished``, ``stopped`` or ``failed``."""
    reason: str | None
    alive: bool | None
    """Whether its process or call exists; None: it could not be asked."""
    iterations: int
    """Finished."""
    progress: str | None
    """Of the present one, if it takes longer."""
    total_iterations: int | None
    value_loss: float | None
    policy_loss: float | None
    exploitability: float | None
    """The newest."""
    best_value_loss: float | None
    best_policy_loss: float | None
    best_exploitability: float | None
    value_errors: dict[str, float]
    """At held-out belief states, by street, in pots; the newest."""
    lbr_mbb: float | None
    """What a local best response wins from the agent, in thousandths of a big blind a hand; the newest."""
    earlier_mbb: float | None
    """What the agent wins from its checkpoint before, likewise."""
    examples_per_second: float | None
    seconds_per_iteration: float | None
    eta_seconds: float | None
    submitted: str | None
    last_updated: str | None
    age_seconds: float | None
    """Since it was submitted."""
    silent_seconds: float | None
    """Since it last wrote something."""
    seconds: float | None
    """Of all its processes."""
    cost_usd: float | None
    last_checkpoint: str | None
    pid: int | None
    call_id: str | None
    code: str | None
    """The version that was submitted, if it runs elsewhere."""
    folder: str
    log: list[str] = field(default_factory=list)

    @property
    def overridden(self) -> dict[str, str]:
        """What each override says, by its key."""
        return dict(override.split("=", 1) for override in self.overrides)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def true_state(recorded: str | None, alive: bool | None) -> str:
    """What a run that recorded ``recorded`` is in truth: nobody runs it, so it is not running."""
    if recorded is None:
        return "failed" if alive is False else "submitted"
    return "failed" if recorded in GOING_ON and alive is False else recorded


def read_status(run: RunFolder, alive: bool | None, *, name: str, lines: int = 0) -> Status:
    """Reads a run's files.

    Args:
        run: the folder, or a mirror of it.
        alive: whether its process or call exists; None: unknown.
        name: of the run.
        lines: how many of the log's last ones to include.

    Raises:
        UserError: a file is not what a run writes.
    """
    job, summary, metrics = run.read_job(), run.read_summary(), run.read_metrics(last=EVALUATED)
    strength, metrics = metrics, metrics[-RECENT - 1 :]
    state = true_state(job.get("state") or summary.get("state"), alive)
    last = metrics[-1] if metrics else {}
    latest = last.get("iteration", summary.get("latest_iteration"))
    finished = 0 if latest is None else latest + 1
    pace = _seconds_per_iteration(metrics)
    total = summary.get("total_iterations")
    evaluated = [line["exploitability"] for line in metrics if line.get("exploitability") is not None]
    running = state in GOING_ON
    progress = run.read_progress() if running else {}
    updated = max(filter(None, (summary.get("last_updated"), progress.get("timestamp"))), default=None)
    return Status(
        run=name,
        launcher=job.get("launcher"),
        experiment=job.get("experiment"),
        sweep=job.get("sweep"),
        overrides=job.get("overrides") or [],
        state=state,
        reason=job.get("reason")
        or ("its process is gone" if state == "failed" != job.get("state") else None),
        alive=alive,
        iterations=finished,
        progress=progress.get("text") if running and progress.get("iteration") == finished else None,
        total_iterations=total,
        value_loss=last.get("value_loss"),
        policy_loss=last.get("policy_loss"),
        exploitability=evaluated[-1] if evaluated else summary.get("latest_exploitability"),
        best_value_loss=summary.get("best_value_loss"),
        best_policy_loss=summary.get("best_policy_loss"),
        best_exploitability=summary.get("best_exploitability"),
        value_errors=_value_errors(strength),
        lbr_mbb=_newest(strength, "lbr_mbb"),
        earlier_mbb=_newest(strength, "earlier_mbb"),
        examples_per_second=_examples_per_second(metrics),
        seconds_per_iteration=pace,
        eta_seconds=pace * (total - finished) if state == "running" and pace and total else None,
        submitted=job.get("submitted"),
        last_updated=updated,
        age_seconds=_since(job.get("submitted")),
        silent_seconds=_since(updated),
        seconds=summary.get("seconds"),
        cost_usd=summary.get("cost_usd"),
        last_checkpoint=summary.get("last_checkpoint"),
        pid=job.get("pid"),
        call_id=job.get("call_id"),
        code=job.get("code"),
        folder=str(run.path),
        log=run.read_log(lines) if lines else [],
    )


def _newest(metrics: list[dict[str, Any]], name: str) -> float | None:
    """The last number of that name; own callbacks may log anything."""
    values = (line.get(name) for line in reversed(metrics))
    return next((float(value) for value in values if isinstance(value, int | float)), None)


def _value_errors(metrics: list[dict[str, Any]]) -> dict[str, float]:
    names = {
        name for line in metrics for name in line if name.startswith(VALUE_ERROR) and "_spr_" not in name
    }
    found = {name.removeprefix(VALUE_ERROR): _newest(metrics, name) for name in sorted(names)}
    return {street: error for street, error in found.items() if error is not None}


def _since(moment: str | None) -> float | None:
    if moment is None:
        return None
    return (datetime.fromisoformat(now()) - datetime.fromisoformat(moment)).total_seconds()


def _seconds_per_iteration(metrics: list[dict[str, Any]]) -> float | None:
    """From line to line, evaluation and checkpoints included; a pause between two processes is not."""
    times = [datetime.fromisoformat(line["timestamp"]) for line in metrics if line["timestamp"]]
    # a clock that was set back must not divide by nothing
    steps = [max((after - before).total_seconds(), 0.0) for before, after in pairwise(times)]
    if not steps:
        return _work(metrics) or None
    typical = sorted(steps)[len(steps) // 2]
    return fmean(step for step in steps if step <= 20 * typical)


def _examples_per_second(metrics: list[dict[str, Any]]) -> float | None:
    seconds = _work(metrics)
    return sum(line["examples"] or 0 for line in metrics) / seconds if seconds else None


def _work(metrics: list[dict[str, Any]]) -> float:
    return sum((line["seconds_selfplay"] or 0) + (line["seconds_training"] or 0) for line in metrics)
