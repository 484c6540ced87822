"""The devices of a home: each has a few methods that say what happens to it."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from deploy.world.frames import temperature_measurement
from deploy.world.payloads import (
    BTHOME,
    COMPANY,
    CallFlag,
    Objects,
    battery_object,
    bthome_encrypted,
    bthome_payload,
    call_button_bytes,
    door_object,
    humidity_object,
    motion_object,
    occupancy_object,
    opening_object,
    temperature_object,
)
from deploy.world.peripheral import Advertisement, Characteristic, Peripheral, Service

_BODY = 2
"""Where the thermometer measures (temperature type of 0x2A1D: body, general)."""
_LOW_BATTERY = 15


class Heartbeat(Protocol):
    """A device that says from time to time that it lives."""

    def heartbeat(self) -> None:
        """Broadcast a sign of life."""
        ...


async def keep_speaking(devices: Sequence[Heartbeat], *, every: float = 60.0) -> None:
    """Let the devices give their signs of life, one after the other, until cancelled.

    `every` is the seconds between two signs of one device.
    """
    while devices:
        for device in devices:
            device.heartbeat()
            await asyncio.sleep(every / len(devices))


class BthomeSensor(Peripheral):
    """A BTHome v2 device: its objects, a packet id that counts, encrypted when it has a key."""

    repeats = 3
    """How often the same bytes are broadcast, as such sensors do; within half a second."""

    def __init__(
        self,
        address: str,
        *,
        key: bytes | None = None,
        battery: int = 90,
        rssi: int = -60,
        name: str | None = None,
    ) -> None:
        """`key` has 16 bytes; `battery` is per cent, `rssi` dBm."""
        super().__init__(address, rssi=rssi, advertisement=Advertisement(name=name))
        self.battery = battery
        self.key = key
        self._packet = 0
        self._counter = 0
        self._state: Objects = ()

    def say(self, *objects: tuple[int, bytes], triggered: bool = True) -> None:
        """Broadcast these objects and remember them as the device's state."""
        self._state = objects
        self._broadcast_objects(objects, triggered=triggered)

    def heartbeat(self) -> None:
        """Broadcast the last state again, with the battery, as a new packet."""
        objects = (*self._state, battery_object(self.battery))
        self._broadcast_objects(objects, triggered=False)

    def _broadcast_objects(self, objects: Objects, *, triggered: bool) -> None:
        self._packet += 1
        payload = self._payload(objects, triggered=triggered)
        self.advertise(service_data={BTHOME: payload}, times=self.repeats, apart=0.25)

    def _payload(self, objects: Objects, *, triggered: bool) -> bytes:
        if self.key is None:
            return bthome_payload(objects, self._packet, triggered=triggered)
        self._counter += 1
        return bthome_encrypted(
            objects,
            self._packet,
            key=self.key,
            address=self.address,
            counter=self._counter,
            triggered=triggered,
        )


class MotionSensor(BthomeSensor):
    """A PIR: tells when movement is seen and, if asked to, when it has ended."""

    def trigger(self) -> None:
        """Somebody moves."""
        self.say(motion_object(moving=True))

    def rest(self) -> None:
        """Nobody has moved for a while."""
        self.say(motion_object(moving=False))


class DoorSensor(BthomeSensor):
    """A contact on a door."""

    def open(self) -> None:
        """The door opens."""
        self.say(door_object(is_open=True))

    def close(self) -> None:
        """The door closes."""
        self.say(door_object(is_open=False))


class OpeningSensor(BthomeSensor):
    """A contact on a cupboard or a refrigerator."""

    def open(self) -> None:
        """It opens."""
        self.say(opening_object(is_open=True))

    def close(self) -> None:
        """It closes."""
        self.say(opening_object(is_open=False))


class BedSensor(BthomeSensor):
    """A pad under the mattress."""

    def enter(self) -> None:
        """Somebody lies down."""
        self.say(occupancy_object(occupied=True))

    def leave(self) -> None:
        """The bed is empty."""
        self.say(occupancy_object(occupied=False))


class ClimateSensor(BthomeSensor):
    """Temperature and humidity of a room, told at regular times."""

    def measure(self, celsius: float, percent: float) -> None:
        """A new reading: degrees Celsius and per cent relative humidity."""
        self.say(temperature_object(celsius), humidity_object(percent), triggered=False)


class CallButton(Peripheral):
    """Our reference call button. The bytes of a press are broadcast five times over two seconds."""

    repeats = 5
    apart = 0.5

    def __init__(
        self, address: str, *, battery: int = 90, rssi: int = -60, counter: int = 0
    ) -> None:
        """`counter` is the number of the last press; it goes on after 65535 with 0."""
        super().__init__(address, rssi=rssi)
        self.battery = battery
        self.counter = counter

    def press(self) -> None:
        """Somebody calls for help."""
        self._count(CallFlag.PRESSED)

    def test(self) -> None:
        """Somebody presses the button to test it."""
        self._count(CallFlag.TEST)

    def heartbeat(self) -> None:
        """Say that the button lives: nothing pressed, the last press's counter."""
        self._say(CallFlag(0), times=1)

    def _count(self, flag: CallFlag) -> None:
        self.counter = (self.counter + 1) & 0xFFFF
        self._say(flag, times=self.repeats)

    def _say(self, flags: CallFlag, *, times: int) -> None:
        if self.battery < _LOW_BATTERY:
            flags |= CallFlag.BATTERY_LOW
        said = call_button_bytes(flags, counter=self.counter, battery=self.battery)
        self.advertise(manufacturer_data={COMPANY: said}, times=times, apart=self.apart)


class HealthThermometer(Peripheral):
    """A Bluetooth health thermometer: silent until it has measured, then it wants a connection."""

    window = 30.0
    """Seconds for which it advertises after a measurement; what is not collected is kept."""
    apart = 0.5

    def __init__(self, address: str, *, battery: int = 90, rssi: int = -60) -> None:
        """`battery` in per cent."""
        self.battery = battery
        self.waiting: list[bytes] = []
        """Measurements that no central has collected yet."""
        self._measurement = Characteristic(
            uuid="2a1c", flags=("indicate",), subscribed=self._deliver
        )
        place = Characteristic(uuid="2a1d", flags=("read",), value=bytes([_BODY]))
        charge = Characteristic(uuid="2a19", flags=("read",), reading=self._charge)
        super().__init__(
            address,
            rssi=rssi,
            advertisement=Advertisement(name="Trygport Thermometer", service_uuids=("1809",)),
            services=(
                Service(uuid="1809", characteristics=(self._measurement, place)),
                Service(uuid="180f", characteristics=(charge,)),
            ),
        )

    def measure(self, celsius: Decimal | float | str) -> None:
        """A finished measurement in degrees Celsius, exact in every digit of its decimal form."""
        self.waiting.append(temperature_measurement(Decimal(str(celsius)), _BODY))
        self._deliver()
        self._advertise_until_collected(round(self.window / self.apart))

    def _deliver(self) -> None:
        while self.waiting and self._measurement.listeners:
            self._measurement.notify(self.waiting.pop(0))

    def _advertise_until_collected(self, times: int) -> None:
        if self.waiting and times > 0:
            self.advertise()
            asyncio.get_running_loop().call_later(
                self.apart, self._advertise_until_collected, times - 1
            )

    def _charge(self) -> bytes:
        return bytes([self.battery])
