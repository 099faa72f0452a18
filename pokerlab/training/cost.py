"""What a run costs an hour, from its launcher's config."""

from omegaconf import DictConfig

from pokerlab.config.build import check_optional_number
from pokerlab.errors import UserError


def price_per_hour(launcher: DictConfig) -> float | None:
    """USD for an hour of what ``launcher`` asks for; None: no price is known."""
    if "prices" not in launcher:
        price = launcher.get("price_per_hour")
        return None if price is None else float(price)
    prices = launcher.prices
    gpus = prices.gpu[launcher.gpu] * launcher.gpu_count
    return float(gpus + prices.cpu * launcher.cpu + prices.memory * launcher.memory / 1024)


def check_limits(config: DictConfig) -> None:
    """Checks price and limits.

    Raises:
        UserError: one is not a positive number, or a cost is limited that nobody knows.
    """
    check_optional_number(config, "launcher.max_cost_usd", "launcher.max_hours", "launcher.price_per_hour")
    launcher = config.launcher
    if launcher.get("max_cost_usd") is not None and price_per_hour(launcher) is None:
        raise UserError("launcher.max_cost_usd needs a price: set launcher.price_per_hour")
