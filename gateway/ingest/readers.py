"""Gets what reads frames ready before the first comes, and says which plug-ins are set aside."""

import asyncio

from adapters import library, makers, registry
from gateway import log
from gateway.health import Health

_log = log.get(__name__)


def tell_set_aside(health: Health) -> None:
    """Each plug-in that is not used, once at the start, and how many for /metrics.

    The gateway works without them, so it is ready all the same: a vendor's mistake stops nobody.
    """
    for name, reason in registry.SET_ASIDE.items():
        _log.warning("an adapter is set aside", adapter=name, why=reason)
    aside = health.gauge("adapters_set_aside", "plug-ins that are not used; the log says why")
    aside.set(len(registry.SET_ASIDE))


async def get_ready() -> None:
    """Load the vendors' libraries in a thread: the first frame of each would wait for it."""
    await asyncio.to_thread(library.load)
    await asyncio.to_thread(makers.load)
