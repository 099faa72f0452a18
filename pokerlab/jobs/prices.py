"""What Modal charges today, as far as it says so."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace

import modal

from pokerlab.config.schema import Prices

log = logging.getLogger("pokerlab")

_UNITS = {"gpu", "nvidia", "per", "hour", "hours", "second", "seconds", "core", "cores", "gib", "usd"}
"""Words of a rate's name that do not say of what it is."""
_MOST_CHANGE = 5.0
"""How many times higher or lower a price may be than ours, before it is taken for one of another unit."""


def current_prices(known: Prices) -> Prices:
    """Prices in USD an hour: Modal's own, or where it names none that can be understood, ``known``.

    Modal documents neither the names of its rates nor whether they are for an hour or a second: a rate counts
    if its name is that of a resource, and its size, in one of the two units, near the known price.
    """
    try:
        rates = {key: float(rate) for key, rate in modal.Workspace.from_context().billing.rates().items()}
    except Exception as error:  # an older client, no permission: a price is no reason not to submit
        log.debug("Modal named no prices: %s", error)
        return known
    return replace(
        known,
        gpu={name: _find(name, price, rates) for name, price in known.gpu.items()},
        cpu=_find("cpu", known.cpu, rates),
        memory=_find("memory", known.memory, rates),
    )


def _find(name: str, price: float, rates: Mapping[str, float]) -> float:
    for key, rate in rates.items():
        if _plain(key) == _plain(name):
            for an_hour in (rate, 3600 * rate):
                if price / _MOST_CHANGE <= an_hour <= price * _MOST_CHANGE:
                    return an_hour
    return price


def _plain(name: str) -> str:
    return "".join(word for word in re.findall(r"[a-z0-9]+", name.lower()) if word not in _UNITS)
