"""Builds what a box is told: which devices to hear and how. No names, no citizen, no keys."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters import (
    battery,
    blood_pressure,
    body_composition,
    call_button,
    dispenser,
    glucose,
    heart_rate,
    pulse_oximeter,
    registry,
    thermometer,
    weight_scale,
)
from gateway.store.configs import Placed

FORMAT = 1
"""The version of the configuration that this module writes; read by the edge."""

ZONE = "Europe/Copenhagen"
"""The IANA zone of a box that stands in no home."""

URGENT_ROLES = frozenset({"call", "door", "dispenser", "bed"})
"""What may become an alert at once; all else follows in the bulk lane."""

CALL_KEEPALIVE, KEEPALIVE = 30, 60
"""Seconds; lost after 1.5 times that. The shorter where somebody can call for help."""

_SET_CLOCK: Mapping[str, Any] = {"uuid": "2a2b", "form": "current_time"}
"""Current Time (0x2A2B), in the home's local time, once the records are had."""


def _sends(measurement: str, *, bonded: bool = True) -> Mapping[str, Any]:
    """For a device that sends what it keeps as soon as somebody subscribes.

    It is done after three quiet seconds; a measurement may be under way for a minute.
    """
    return {
        "when": "advertised",
        "seconds": 60,
        "subscribe": [measurement],
        "read": [battery.LEVEL],
        "listen_seconds": 60,
        "quiet_seconds": 3,
        "set_clock": _SET_CLOCK,
        "pair": bonded,
    }


def _keeps(service: str, *records: str, number: int | None = None) -> Mapping[str, Any]:
    """For a device that is asked for its records; `number` is where the first one has its own."""
    racp: dict[str, Any] = {"service": service, "records": list(records)}
    if number is not None:
        racp["number"] = {"record": records[0], "offset": number}
    return {
        "when": "advertised",
        "seconds": 60,
        "racp": racp,
        "read": [battery.LEVEL],
        "listen_seconds": 0,
        "set_clock": _SET_CLOCK,
        "pair": True,
    }


_HEALTH: Mapping[str, Mapping[str, Any]] = {
    "thermometer": _sends(thermometer.MEASUREMENT, bonded=False),
    "blood_pressure": _sends(blood_pressure.MEASUREMENT),
    "weight_scale": _sends(weight_scale.MEASUREMENT),
    "body_composition": _sends(body_composition.MEASUREMENT),
    "glucose": _keeps("1808", glucose.MEASUREMENT, glucose.CONTEXT, number=1),
    "pulse_oximeter": _keeps("1822", pulse_oximeter.SPOT_CHECK),
    "heart_rate": {
        "when": "advertised",
        "seconds": 300,
        "subscribe": [heart_rate.MEASUREMENT],
        "read": [battery.LEVEL],
        "listen_seconds": 30,
    },
}
"""By the names of their adapters: to place a device of the model is all that it takes."""

_DISPENSER: Mapping[str, Any] = {
    "when": "advertised",
    "seconds": 10,  # a dose taken just before its limit must be known before it counts as missed
    "subscribe": [dispenser.EVENT],
    "write": [
        {"uuid": dispenser.CONTROL, "value": "02", "clock": "unix32le"},
        {
            "uuid": dispenser.CONTROL,
            "value": "0100000000",
            "after_last": {"offset": 1, "record_offset": 0},
        },
    ],
    "read": [dispenser.STATUS],
    "listen_seconds": 20,
}
CONNECTIONS: Mapping[str, Mapping[str, Any]] = {
    **{model: adapter.plan for model, adapter in registry.PLANNED.items() if adapter.plan},
    **_HEALTH,
    "dispenser": _DISPENSER,
}
"""How a device of a model is connected to; every other model is only listened to."""

SILENT_MODELS = frozenset(
    {*_HEALTH, *(model for model, adapter in registry.PLANNED.items() if adapter.silent)}
)
"""Models whose advertisement says nothing but that a connection is worth while."""

_OUR_CALL_BUTTON = "5450"  # "TP", the first bytes of its payload
CALLS: Sequence[Mapping[str, Any]] = (
    {"manufacturer": call_button.COMPANY, "data": _OUR_CALL_BUTTON, "mask": "ffff"},
)
"""Our call devices as a class, heard in every home whether or not they are placed."""


def config(version: int, placed: Iterable[Placed], *, zone: str = ZONE) -> bytes:
    """The whole configuration of one box, as the retained message; `zone` is its home's."""
    devices = list(placed)
    calls = any(device.role == "call" for device in devices)
    said = {
        "format": FORMAT,
        "version": version,
        "zone": zone,
        "keepalive": CALL_KEEPALIVE if calls else KEEPALIVE,
        "devices": [_device(device) for device in devices],
        "calls": CALLS,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _device(device: Placed) -> Mapping[str, Any]:
    return {
        "address": device.address,
        "lane": "urgent" if device.role in URGENT_ROLES else "bulk",
        "advertisement": device.model not in SILENT_MODELS,
        "connect": CONNECTIONS.get(device.model),
    }
