"""What the box is held against: bleak and paho alone, each a program (`… edge_bare WHAT …`).

`scan`: bleak's scanner as the box sets it, with a callback that does nothing.
`remember`: the same with a callback that remembers everybody, as no box may.
`drain FILE HOST PORT NAME PASSWORD CERTIFICATES`: rows of a spool as messages of 200, up to 20
without an acknowledgement, as fast as paho sends; it says how many seconds that took and how much
CPU. CERTIFICATES is a folder (shown.py), or empty where the password is said.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from deploy.world.bench.shown import context

_A_MESSAGE = 200


def main(what: str, *words: str) -> None:
    """Do what the words say."""
    if what == "scan":
        asyncio.run(_scan(lambda _, __: None))
    elif what == "remember":
        everybody: dict[str, AdvertisementData] = {}
        asyncio.run(_scan(lambda device, said: everybody.update({device.address: said})))
    else:
        say(**_drain(*words))


async def _scan(heard: Callable[[BLEDevice, AdvertisementData], None]) -> None:
    bluez: Any = {"filters": {"DuplicateData": True}}
    async with BleakScanner(heard, scanning_mode="active", bluez=bluez):
        say(ready=True)
        await asyncio.Event().wait()


def _drain(file: str, host: str, port: str, name: str, *said: str) -> dict[str, float]:
    password, certificates = said
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )
    if certificates:
        shown = context(Path(certificates), name)
        client.tls_set_context(shown)  # pyright: ignore[reportUnknownMemberType] - untyped there
    else:
        client.username_pw_set(name, password)
    client.connect(host, int(port))
    client.loop_start()
    begun, used, count = time.monotonic(), time.process_time(), 0
    sent: list[MQTTMessageInfo] = []
    for bodies in _rows(file):
        count += len(bodies)
        sent.append(client.publish(f"edges/{name}/bulk", f"[{','.join(bodies)}]", qos=1))
    for message in sent:
        message.wait_for_publish(60)
    took, spent = time.monotonic() - begun, time.process_time() - used
    client.disconnect()
    return {"frames": count, "seconds": took, "cpu": spent}


def _rows(file: str) -> Iterator[list[str]]:
    """The bodies of all frames by primary key, so many at a time."""
    rows = sqlite3.connect(file).execute("SELECT body FROM frame ORDER BY stream, sequence")
    while bodies := [body for (body,) in rows.fetchmany(_A_MESSAGE) if body is not None]:
        yield bodies


def say(**words: object) -> None:
    """One line for whoever started us."""
    print(json.dumps(words), flush=True)  # noqa: T201 - how the processes talk


if __name__ == "__main__":
    main(*sys.argv[1:])
