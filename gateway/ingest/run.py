"""The stage `ingest`: two lanes, who is in contact, and what the boxes are told."""

import asyncio
from collections.abc import Callable, Mapping

from adapters.frame import Lane
from gateway.clock import Clock
from gateway.health import Health
from gateway.ingest.configs import Configs
from gateway.ingest.contact import UNSURE, Contacts
from gateway.ingest.known import Known
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.retention import keep_a_week
from gateway.ingest.subscriber import Broker, Subscriber
from gateway.ingest.uptime import TOPIC as UPTIME
from gateway.ingest.uptime import BrokerUptime
from gateway.settings import Settings
from gateway.store.pool import connect

URGENT = ("edges/+/urgent", "edges/+/state")
BULK = ("edges/+/bulk",)


async def run(
    settings: Settings,
    clock: Clock,
    health: Health,
    *,
    pipeline: type[Pipeline] = Pipeline,
    unsure: float = UNSURE,
) -> None:
    """Until cancelled. A session and a connection of its own for each lane: calls overtake.

    Another pipeline is given by tests, to show what happens when it breaks its promise, and a
    shorter `unsure` (seconds, see contact.py), not to wait for it.
    """
    broker = broker_of(settings)
    async with connect(settings, "ingest") as pool, asyncio.TaskGroup() as group:
        urgent = Subscriber(broker, "gateway-urgent", URGENT, changed=_part(health, "urgent"))
        bulk = Subscriber(broker, "gateway-bulk", BULK, changed=_part(health, "bulk"))
        teller = Subscriber(broker, "gateway-config", (UPTIME,), changed=_part(health, "config"))
        known, configs = Known(pool), Configs(pool, teller, clock)
        uptime = BrokerUptime(teller)
        contacts = Contacts(
            pool,
            known,
            clock,
            urgent,
            running=configs.running,
            broker_since=uptime.since,
            unsure=unsure,
        )
        lanes: Mapping[Lane, Subscriber] = {"urgent": urgent, "bulk": bulk}
        for lane, subscriber in lanes.items():
            worker = pipeline(
                lane,
                subscriber=subscriber,
                pool=pool,
                known=known,
                contacts=contacts,
                clock=clock,
                health=health,
            )
            group.create_task(worker.run())
        for part in (urgent, bulk, teller, known, configs, uptime, contacts):
            group.create_task(part.run())
        group.create_task(keep_a_week(pool, clock))


def broker_of(settings: Settings) -> Broker:
    """The gateway's own way to the broker."""
    return Broker(
        host=settings.broker_host,
        port=settings.broker_port,
        ca=settings.broker_tls_ca,
        password=settings.broker_password.get_secret_value(),
    )


def _part(health: Health, name: str) -> Callable[[str | None], None]:
    """Notes whether a session is connected."""
    part = f"ingest {name}: broker"
    health.bad(part, "not connected yet")

    def changed(why: str | None) -> None:
        if why is None:
            health.ok(part)
        else:
            health.bad(part, why)

    return changed
