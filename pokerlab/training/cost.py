"""What a run costs an hour, from its launcher's config."""

from pokerlab.config.machine import count_ranks
from pokerlab.config.schema import Launcher, ModalLauncher, RunConfig, SlurmLauncher
from pokerlab.errors import UserError


def price_per_hour(launcher: Launcher) -> float | None:
    """USD for an hour of what ``launcher`` asks for; None: no price is known."""
    if not isinstance(launcher, ModalLauncher):
        return launcher.price_per_hour
    prices = launcher.prices
    gpus = prices.gpu[launcher.gpu] * launcher.gpu_count
    return gpus + prices.cpu * launcher.cpu + prices.memory * launcher.memory / 1024


def idle_gpu(config: RunConfig) -> list[str]:
    """Says if a GPU that is paid for would wait, or workers beside one would."""
    on_gpu, launcher = config.trainer.accelerator == "cuda", config.launcher
    starts = {**(config.selfplay.starts or {}), **(config.selfplay.bottom_up or {})}
    if on_gpu and config.workers and not any(share for name, share in starts.items() if name != "root"):
        return [
            f"workers={config.workers} have nothing to play: beside a GPU, which plays the rest, they play "
            "what starts on the last street (selfplay.starts)"
        ]
    paid = getattr(launcher, "gpu_count", 0) or getattr(launcher, "gpus", 0)
    if on_gpu and paid > (used := count_ranks(config)):
        return [f"trainer.devices={used} leaves {paid - used} of {paid} GPUs idle that are paid for"]
    if not on_gpu and isinstance(launcher, ModalLauncher):
        return [f"trainer.accelerator=cpu leaves the {launcher.gpu} idle that is paid for: add trainer=gpu"]
    if not on_gpu and isinstance(launcher, SlurmLauncher) and launcher.gpus:
        return ["trainer.accelerator=cpu leaves launcher.gpus idle: add trainer=gpu, or launcher.gpus=0"]
    return []


def most_usd(launcher: ModalLauncher) -> float | None:
    """What a run may cost at most; None: there is no limit."""
    limits = [launcher.max_cost_usd]
    price = price_per_hour(launcher)
    if launcher.max_hours is not None and price is not None:
        limits.append(launcher.max_hours * price)
    return min((limit for limit in limits if limit is not None), default=None)


def check_limits(config: RunConfig) -> None:
    """Raises a UserError if a cost is limited that nobody knows."""
    launcher = config.launcher
    if isinstance(launcher, ModalLauncher) and launcher.gpu not in launcher.prices.gpu:
        raise UserError(
            f"launcher.prices.gpu has no price of {launcher.gpu}: add launcher.prices.gpu.{launcher.gpu}=USD"
        )
    if launcher.max_cost_usd is not None and price_per_hour(launcher) is None:
        raise UserError("launcher.max_cost_usd needs a price: set launcher.price_per_hour")
