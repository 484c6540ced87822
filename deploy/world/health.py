"""Health devices in the air, which keep what they measured until somebody fetches it.

Blood pressure cuff, scales and thermometer indicate what they keep as soon as indications are
enabled, and forget each when it is confirmed: the daemon confirms, whether or not anybody reads.
Source: Bluetooth SIG, Blood Pressure, Weight Scale, Body Composition and Health Thermometer
Services. Oximeter and glucose meter keep records that are asked for (`health_records`).
"""

import asyncio
from collections.abc import Sequence

from deploy.world.peripheral import Advertisement, Characteristic, Flag, Peripheral, Service

BLOOD_PRESSURE, BLOOD_PRESSURE_MEASUREMENT = "1810", "2a35"
WEIGHT_SCALE, WEIGHT_MEASUREMENT = "181d", "2a9d"
BODY_COMPOSITION, BODY_COMPOSITION_MEASUREMENT = "181b", "2a9c"
THERMOMETER, TEMPERATURE_MEASUREMENT = "1809", "2a1c"
HEART_RATE, HEART_RATE_MEASUREMENT = "180d", "2a37"
CURRENT_TIME_SERVICE, CURRENT_TIME = "1805", "2a2b"
BATTERY_SERVICE, BATTERY_LEVEL = "180f", "2a19"


class HealthDevice(Peripheral):
    """What health devices share: name, one service of their own, a clock and a battery."""

    def __init__(
        self,
        address: str,
        *,
        name: str,
        service: str,
        characteristics: Sequence[Characteristic],
        battery: int = 90,
        bonded: bool = False,
    ) -> None:
        """`battery` in per cent; `bonded`: its battery and clock need an encrypted link."""
        self.battery = battery
        self.clock_said: list[bytes] = []
        """Each Current Time that a central wrote."""
        charge = Characteristic(
            uuid=BATTERY_LEVEL,
            flags=("read",),
            reading=lambda: bytes((self.battery,)),
            encrypted=bonded,
        )
        clock = Characteristic(
            uuid=CURRENT_TIME,
            flags=("read", "write"),
            value=bytes(10),
            written=self.clock_said.append,
            encrypted=bonded,
        )
        super().__init__(
            address,
            address_type="random",
            advertisement=Advertisement(name=name, service_uuids=(service,)),
            services=(
                Service(uuid=service, characteristics=tuple(characteristics)),
                Service(uuid=CURRENT_TIME_SERVICE, characteristics=(clock,)),
                Service(uuid=BATTERY_SERVICE, characteristics=(charge,)),
            ),
        )

    def announce(self, *, times: int = 1) -> None:
        """Ask for a connection."""
        self.advertise(times=times, apart=0.3)


class SendingDevice(HealthDevice):
    """Sends what it keeps, oldest first, once indications are enabled, and then forgets it."""

    pause = 0.004
    """Seconds between two indications: one connection interval at the least is needed for each."""

    def __init__(
        self,
        address: str,
        *,
        name: str,
        service: str,
        measurement: str,
        flag: Flag = "indicate",
        bonded: bool = False,
    ) -> None:
        self.kept: list[bytes] = []
        """Measurements that nobody has confirmed yet."""
        self._sending = False
        self._measurement = Characteristic(uuid=measurement, flags=(flag,), subscribed=self._begin)
        super().__init__(
            address,
            name=name,
            service=service,
            characteristics=(self._measurement,),
            bonded=bonded,
        )

    def measure(self, *values: bytes) -> None:
        """Keep finished measurements, send them to whoever listens, or ask for a connection."""
        self.kept += values
        if self._measurement.listeners:
            self._begin()
        else:
            self.announce()

    def _begin(self) -> None:
        if not self._sending:
            self._sending = True
            self._send()

    def _send(self) -> None:
        self._sending = bool(self.kept) and self._measurement.notify(self.kept[0])
        if self._sending:
            del self.kept[0]
            asyncio.get_running_loop().call_later(self.pause, self._send)


class Cuff(SendingDevice):
    """A blood pressure monitor for the upper arm."""

    def __init__(self, address: str, *, bonded: bool = False) -> None:
        super().__init__(
            address,
            name="Trygport Cuff",
            service=BLOOD_PRESSURE,
            measurement=BLOOD_PRESSURE_MEASUREMENT,
            bonded=bonded,
        )


class Scale(SendingDevice):
    """A bathroom scale."""

    def __init__(self, address: str, *, bonded: bool = False) -> None:
        super().__init__(
            address,
            name="Trygport Scale",
            service=WEIGHT_SCALE,
            measurement=WEIGHT_MEASUREMENT,
            bonded=bonded,
        )


class BodyScale(SendingDevice):
    """A scale that also tells muscle and water."""

    def __init__(self, address: str, *, bonded: bool = False) -> None:
        super().__init__(
            address,
            name="Trygport Body Scale",
            service=BODY_COMPOSITION,
            measurement=BODY_COMPOSITION_MEASUREMENT,
            bonded=bonded,
        )


class StoringThermometer(SendingDevice):
    """A thermometer with a clock, which keeps what it measured."""

    def __init__(self, address: str, *, bonded: bool = False) -> None:
        super().__init__(
            address,
            name="Trygport Fever",
            service=THERMOMETER,
            measurement=TEMPERATURE_MEASUREMENT,
            bonded=bonded,
        )


class PulseBelt(SendingDevice):
    """A heart rate sensor. It has no clock: what nobody listens to is gone."""

    def __init__(self, address: str) -> None:
        super().__init__(
            address,
            name="Trygport Belt",
            service=HEART_RATE,
            measurement=HEART_RATE_MEASUREMENT,
            flag="notify",
        )

    def measure(self, *values: bytes) -> None:
        """Tell the rate to whoever listens."""
        for value in values:
            self._measurement.notify(value)
