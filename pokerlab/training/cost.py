"""What a run costs an hour, from its launcher's config."""

from pokerlab.config.schema import LocalLauncher, ModalLauncher, RunConfig
from pokerlab.errors import UserError


def price_per_hour(launcher: LocalLauncher | ModalLauncher) -> float | None:
    """USD for an hour of what ``launcher`` asks for; None: no price is known."""
    if isinstance(launcher, LocalLauncher):
        return launcher.price_per_hour
    prices = launcher.prices
    gpus = prices.gpu[launcher.gpu] * launcher.gpu_count
    return gpus + prices.cpu * launcher.cpu + prices.memory * launcher.memory / 1024


def check_limits(config: RunConfig) -> None:
    """Raises a UserError if a cost is limited that nobody knows."""
    launcher = config.launcher
    if isinstance(launcher, ModalLauncher) and launcher.gpu not in launcher.prices.gpu:
        raise UserError(
            f"launcher.prices.gpu has no price of {launcher.gpu}: add launcher.prices.gpu.{launcher.gpu}=USD"
        )
    if launcher.max_cost_usd is not None and price_per_hour(launcher) is None:
        raise UserError("launcher.max_cost_usd needs a price: set launcher.price_per_hour")
