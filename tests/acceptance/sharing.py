"""An ingest that shares telemetry as a test wants it, as a program.

`python -m tests.acceptance.sharing EXPIRY KEEPALIVE TOPIC…` with the gateway's settings.
"""

import asyncio
import sys

from gateway.clock import clock_from
from gateway.health import Health
from gateway.ingest.run import Sharing, run
from gateway.settings import Settings

if __name__ == "__main__":
    expiry, keepalive, *topics = sys.argv[1:]
    settings = Settings.read()
    shared = Sharing(topics=topics, expiry=int(expiry), keepalive=int(keepalive))
    asyncio.run(run(settings, clock_from(settings.clock), Health(), sharing=shared))
