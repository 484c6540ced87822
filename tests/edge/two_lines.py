"""A box and its broker in network namespaces of their own, joined by two lines of real interfaces.

Run as root in a network namespace by itself (`unshare --net`), which becomes the broker's. The
first line is dead at first; what reached the gateway until it is mended is told on stdout as JSON.
Arguments: a folder, and the settings of the second way, NAME=VALUE each.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from deploy.runtime.broker import Broker
from deploy.runtime.paths import ROOT
from edge.keeping.spool import Spool
from tests.conftest import GATEWAY_PASSWORD
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import Gateway, gateway
from tests.edge.test_main import environment
from tests.edge.uplinks import BOX

BROKER, OTHER = "10.9.9.9", "10.9.9.8"
"""Two addresses of the broker; the box's system sends to both by the first line."""
PORT = 1883
WAIT = 12.0
"""Seconds for a call to come by the second way, which is tried after five."""

_LINES = (("first", "eth0", 1), ("second", "wwan0", 2))


def ip(*words: str, of: Sequence[str] = ()) -> None:
    subprocess.run([*of, "ip", *words], check=True)


def connect(box: int) -> None:
    """Two lines from here to the namespace of this process; each has its default route there."""
    inside = ("nsenter", f"--net=/proc/{box}/ns/net")
    for here, there, number in _LINES:
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", str(box))
        ip("address", "add", f"10.0.{number}.1/24", "dev", here)
        ip("link", "set", here, "up")
        ip("address", "add", f"10.0.{number}.2/24", "dev", there, of=inside)
        ip("link", "set", there, "up", of=inside)
        metric = ("metric", str(100 * number))
        ip("route", "add", "default", "via", f"10.0.{number}.1", "dev", there, *metric, of=inside)


@asynccontextmanager
async def box(folder: Path, **settings: str) -> AsyncGenerator[None]:
    """`edge run` at the other end of the lines, with a call in its spool."""
    with Spool(folder / "spool.sqlite", HandClock()) as spool:
        spool.append(heard(1), "urgent")
    holder = await asyncio.create_subprocess_exec("unshare", "--net", "sleep", "120")
    await asyncio.sleep(0.3)  # it has its namespace
    connect(holder.pid)
    command = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", sys.executable, "-m", "edge.main"]
    ip("link", "set", "first", "down")
    agent = await asyncio.create_subprocess_exec(
        *command, "run", cwd=ROOT, env=environment(folder, **settings)
    )
    try:
        yield
    finally:
        for process in (agent, holder):
            process.kill()
            await process.wait()


async def tell(folder: Path, second: dict[str, str]) -> None:
    words = ("urgent", "bulk", "config")
    users = {f"gateway-{word}": GATEWAY_PASSWORD for word in words} | {BOX: BOX}
    ip("link", "set", "lo", "up")
    for address in (BROKER, OTHER):
        ip("address", "add", f"{address}/32", "dev", "lo")
    extra = "\n".join(
        f"listener {PORT} {address}\nuse_username_as_clientid true" for address in (BROKER, OTHER)
    )
    broker = Broker.start(folder / "broker", passwords=users, config_extra=extra)
    settings = {
        "EDGE_BROKER": f"mqtt://{BROKER}:{PORT}",
        "EDGE_ID": BOX,
        "EDGE_PASSWORD": BOX,
        "EDGE_RADIO": "no",
        "EDGE_SECOND_AFTER": "5",
    }
    try:
        async with gateway(broker, BOX) as there, box(folder, **settings, **second):
            came = await _sees_a_call(there)
            path = _path(there)
            ip("link", "set", "first", "up")
            await there.sees(lambda: there.heard and _path(there) == 1, within=60)
    finally:
        broker.stop()
    json.dump({"dead": came, "path": path, "mended": len(there.heard)}, sys.stdout)


def _path(there: Gateway) -> int | None:
    return there.states[-1]["path"] if there.states else None


async def _sees_a_call(there: Gateway) -> int:
    with suppress(TimeoutError):
        await there.sees(lambda: there.heard and there.states, within=WAIT)
    return len(there.heard)


if __name__ == "__main__":
    asyncio.run(tell(Path(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[2:])))
