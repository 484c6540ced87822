"""A planned end of a connection is never taken for a lost one, over TLS either."""

import asyncio
from pathlib import Path

from deploy.runtime.broker import Broker
from deploy.runtime.certificate import certificate
from edge.broker import Link
from edge.keeping.spool import Spool
from edge.sending.heartbeat import Heartbeat
from edge.sending.uplink import Uplink
from tests.conftest import GATEWAY_PASSWORD
from tests.edge.frames import HandClock
from tests.edge.gateway import gateway

BOX = "box-13"
RECONNECTIONS = 20


async def test_twenty_new_keepalives_over_tls_never_speak_the_last_will(
    service_folder: Path, tmp_path: Path
) -> None:
    users = dict.fromkeys(("gateway-urgent", "gateway-bulk", "gateway-config"), GATEWAY_PASSWORD)
    made = certificate(tmp_path / "certificate")
    mine = Broker.start(service_folder / "planned", passwords={**users, BOX: BOX}, tls=made)
    address, ca = f"mqtts://127.0.0.1:{mine.port}", made.cert.read_text()
    link = Link.to(address, edge=BOX, password=BOX, ca=ca)
    try:
        with Spool(tmp_path / "spool", HandClock()) as spool:
            beat = Heartbeat(spool=spool, clock=HandClock())
            uplink = Uplink(spool, link, HandClock(), heartbeat=beat)
            async with gateway(mine, BOX) as there:
                task = asyncio.create_task(uplink.run())
                await there.sees(lambda: there.states)
                for number in range(RECONNECTIONS):
                    for _ in range(20):  # words of the broker that nobody will read any more
                        there.receipt({"any": [[1, 1]]})
                    beat.keepalive = 30 + number
                    uplink.wake()
                    await there.sees(lambda: there.states[-1]["keepalive"] == beat.keepalive)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await there.sees(lambda: there.states[-1]["state"] == "stopped")
    finally:
        mine.stop()

    said = [state["state"] for state in there.states]
    assert (set(said[:-1]), said[-1]) == ({"running"}, "stopped")
    assert len(said) > RECONNECTIONS + 1
