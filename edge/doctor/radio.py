"""Whether the Bluetooth adapter is there, on and scanning, and how much is heard."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.bluez.bus import Refused, ask, system_bus
from edge.doctor.verdict import Verdict, bad, first, lasting, ok, unknown, warn

_BLUEZ = "org.bluez"
_OBJECTS = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
_AWAY = ("ServiceUnknown", "NameHasNoOwner")
_DAEMON = "systemctl restart bluetooth; if it fails: journalctl -u bluetooth -n 50"
_ON = "bluetoothctl power on; rfkill list, and rfkill unblock bluetooth where it is blocked"
_GONE = "switch the box off, wait ten seconds, switch it on; if it stays so, swap the box"
_NOBODY = "hold a device that is placed here next to the box; then: edge doctor again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """`failed`: why BlueZ does not answer, in D-Bus's word. `adapter` is None where there is none.

    `near`: devices that BlueZ hears now, ours or not. `reader` and `placed` are the agent's word:
    how its radio fares, and how many of this home's devices it heard in the minute before that
    word, `ago` seconds ago; `ever` since its start. A button is heard when it is pressed: none at
    all is nothing by itself.
    """

    wanted: bool = True
    failed: str | None = None
    adapter: str | None = None
    powered: bool = False
    scanning: bool = False
    near: int = 0
    running: bool = False
    reader: str = ""
    placed: int | None = None
    ever: int | None = None
    ago: float = 0.0


async def read_radio(
    adapter: str, *, wanted: bool, running: bool, said: Mapping[str, Any], now: float
) -> Radio:
    """Asks org.bluez what it has, and nothing of the radio. `adapter`: as hci0, or the first."""
    at = said.get("at")
    agents: dict[str, Any] = {
        "wanted": wanted,
        "running": running,
        "reader": str(said.get("reader") or "")[:40],
        "placed": _whole(said.get("lately")),
        "ever": _whole(said.get("heard")),
        "ago": max(0.0, now - at / 1_000) if isinstance(at, int | float) else 0.0,
    }
    if not wanted:
        return Radio(**agents)
    try:
        async with system_bus() as bus:
            [objects] = await ask(bus, _BLUEZ, "/", _OBJECTS)
    except Refused as refused:
        return Radio(failed=str(refused), **agents)
    return Radio(**_of(objects, adapter), **agents)


def judge_radio(radio: Radio) -> Verdict:
    """From the bus up to what is heard."""
    found = f"{radio.adapter} is on{_heard(radio)}"
    again = f"edge doctor again in a minute; then: {_DAEMON}"
    away = radio.failed in _AWAY
    return first(
        (not radio.wanted, unknown("switched off by EDGE_RADIO=no: nothing is heard")),
        (away, bad("bluetoothd does not run", _DAEMON)),
        (radio.failed is not None, bad(f"D-Bus does not answer: {radio.failed}", _DAEMON)),
        (radio.adapter is None, bad("there is no Bluetooth adapter", _GONE)),
        (not radio.powered, bad(f"{radio.adapter} is switched off", _ON)),
        (not radio.running, unknown(f"{found}; the agent does not run, so nothing listens")),
        (radio.reader == "silent", bad(f"{found}, and the agent hears nothing", _DAEMON)),
        (
            not radio.scanning and not radio.near,
            warn(f"{found}, and it does not scan", again),
        ),
        (not radio.near and not radio.placed, warn(found, _NOBODY)),
        otherwise=ok(found),
    )


def _heard(radio: Radio) -> str:
    heard = f", {radio.near} devices heard now"
    if not radio.running or radio.ever is None:
        return heard
    lately = f"{radio.placed or 0} in the minute before {lasting(radio.ago)} ago"
    return f"{heard}; of this home's {radio.ever} since the agent's start, {lately}"


def _whole(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _of(objects: Mapping[str, Mapping[str, Mapping[str, Any]]], wanted: str) -> dict[str, Any]:
    """The adapter, and the devices with a signal: BlueZ forgets it when they fall silent."""
    adapters = {
        path: one["org.bluez.Adapter1"]
        for path, one in sorted(objects.items())
        if "org.bluez.Adapter1" in one
    }
    path = next((one for one in adapters if not wanted or one.endswith(f"/{wanted}")), None)
    if path is None:
        return {"adapter": None}
    devices = [one["org.bluez.Device1"] for one in objects.values() if "org.bluez.Device1" in one]
    near = [one for one in devices if "RSSI" in one and _value(one, "Adapter") == path]
    return {
        "adapter": path.rpartition("/")[2],
        "powered": bool(_value(adapters[path], "Powered")),
        "scanning": bool(_value(adapters[path], "Discovering")),
        "near": len(near),
    }


def _value(properties: Mapping[str, Any], name: str) -> object:
    said = properties.get(name)
    return getattr(said, "value", said)
