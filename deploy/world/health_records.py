"""Oximeter and glucose meter in the air: they give records by their Record Access Control Point.

Source: Bluetooth SIG, Glucose Service 1.0.1 and Pulse Oximeter Service 1.0; the control point is
0x2A52. A record stays until the device is told to delete it, and is sent as often as it is asked
for. Each answer ends with an indication of the control point.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.world.health import HealthDevice
from deploy.world.health_bytes import Glucose, SpotCheck
from deploy.world.peripheral import AttError, Central, Characteristic, Flag

PULSE_OXIMETER, SPOT_CHECK = "1822", "2a5e"
GLUCOSE, GLUCOSE_MEASUREMENT, GLUCOSE_CONTEXT = "1808", "2a18", "2a34"
CONTROL_POINT = "2a52"

REPORT, DELETE, ABORT, COUNT, COUNTED, ANSWER = 1, 2, 3, 4, 5, 6
NULL, ALL, AT_MOST, AT_LEAST, BETWEEN, FIRST, LAST = range(7)
_BY_NUMBER = 1
SUCCESS, OPCODE_UNKNOWN, OPERATOR_BAD, OPERATOR_UNKNOWN, OPERAND_BAD, NO_RECORDS = range(1, 7)
_PROCEDURE_RUNS, _NOT_SUBSCRIBED = 0xFE, 0xFD
"""ATT error codes of the Core Specification Supplement, part B."""
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Record:
    """One stored record: its number, and what is notified of it, by characteristic."""

    number: int
    said: tuple[tuple[Characteristic, bytes], ...]


class _Refused(Exception):
    """The control point's answer to what it does not do."""

    def __init__(self, code: int) -> None:
        super().__init__(f"response code {code}")
        self.code = code


class AskedDevice(HealthDevice):
    """Keeps records and gives them as often as it is asked, until it is told to delete them."""

    pause = 0.004
    """Seconds between two notifications."""
    numbered = True
    """Whether records can be chosen by their number."""

    def __init__(
        self,
        address: str,
        *,
        name: str,
        service: str,
        measurements: Sequence[Characteristic],
        bonded: bool = False,
    ) -> None:
        self.records: list[Record] = []
        self.asked: list[bytes] = []
        """Each command of the control point."""
        self._measurements = tuple(measurements)
        self._running: asyncio.TimerHandle | None = None
        flags: tuple[Flag, ...] = ("write", "indicate")
        self._control = Characteristic(uuid=CONTROL_POINT, flags=flags, written=self._command)
        super().__init__(
            address,
            name=name,
            service=service,
            characteristics=(*self._measurements, self._control),
            bonded=bonded,
        )

    def disconnected(self, central: Central) -> None:
        """What was being sent ends with the link; the records stay."""
        super().disconnected(central)
        self._end()

    def _keep(self, record: Record) -> None:
        self.records.append(record)
        self.announce()

    def _command(self, value: bytes) -> None:
        if not self._control.listeners:
            raise AttError(_NOT_SUBSCRIBED)
        if self._running is not None and value[:1] != bytes((ABORT,)):
            raise AttError(_PROCEDURE_RUNS)
        self.asked.append(value)
        try:
            self._do(value)
        except _Refused as refused:
            self._answer(value[0] if value else 0, refused.code)

    def _do(self, value: bytes) -> None:
        """One command. Raises _Refused."""
        opcode = value[0] if value else 0
        if opcode == ABORT:
            self._end()
            self._answer(ABORT, SUCCESS)
            return
        if opcode not in (REPORT, DELETE, COUNT):
            raise _Refused(OPCODE_UNKNOWN)
        chosen = self._chosen(value)
        if opcode == COUNT:
            self._control.notify(bytes((COUNTED, NULL)) + len(chosen).to_bytes(2, "little"))
        elif not chosen:
            raise _Refused(NO_RECORDS)
        elif opcode == DELETE:
            self.records = [one for one in self.records if one not in chosen]
            self._answer(DELETE, SUCCESS)
        else:
            self._later(iter([each for record in chosen for each in record.said]))

    def _chosen(self, value: bytes) -> Sequence[Record]:
        """The records that the operator names. Raises _Refused."""
        if len(value) < _SHORTEST or value[1] == NULL:
            raise _Refused(OPERATOR_BAD)
        operator, operand = value[1], value[2:]
        ordered = sorted(self.records, key=lambda one: one.number)
        if operator == ALL:
            return ordered
        if not self.numbered or operator not in (AT_MOST, AT_LEAST, BETWEEN, FIRST, LAST):
            raise _Refused(OPERATOR_UNKNOWN)
        if operator in (FIRST, LAST):
            return ordered[:1] if operator == FIRST else ordered[-1:]
        low, high = _limits(operator, operand)
        return [one for one in ordered if low <= one.number <= high]

    def _later(self, rest: Iterator[tuple[Characteristic, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        self._running = loop.call_later(self.pause, self._send, rest)

    def _send(self, rest: Iterator[tuple[Characteristic, bytes]]) -> None:
        """Notify the next; one that nobody has subscribed to is passed over, as on the air."""
        if (following := next(rest, None)) is None:
            self._running = None
            self._answer(REPORT, SUCCESS)
            return
        characteristic, value = following
        characteristic.notify(value)
        self._later(rest)

    def _answer(self, opcode: int, code: int) -> None:
        self._control.notify(bytes((ANSWER, NULL, opcode, code)))

    def _end(self) -> None:
        if self._running is not None:
            self._running.cancel()
            self._running = None


def _limits(operator: int, operand: bytes) -> tuple[int, int]:
    """The numbers that are asked for, both ends included. Raises _Refused."""
    if operand[:1] != bytes((_BY_NUMBER,)) or len(operand) != (5 if operator == BETWEEN else 3):
        raise _Refused(OPERAND_BAD)
    one = int.from_bytes(operand[1:3], "little")
    if operator == BETWEEN:
        return one, int.from_bytes(operand[3:5], "little")
    return (0, one) if operator == AT_MOST else (one, 0xFFFF)


class GlucoseMeter(AskedDevice):
    """A blood glucose meter: every record has a number, some a context."""

    def __init__(self, address: str, *, bonded: bool = False) -> None:
        self._measurement = Characteristic(uuid=GLUCOSE_MEASUREMENT, flags=("notify",))
        self._context = Characteristic(uuid=GLUCOSE_CONTEXT, flags=("notify",))
        super().__init__(
            address,
            name="Trygport Glucose",
            service=GLUCOSE,
            measurements=(self._measurement, self._context),
            bonded=bonded,
        )

    def measure(self, *found: Glucose) -> None:
        """Keep these records."""
        for one in found:
            said = [(self._measurement, one.octets())]
            if one.context is not None:
                said.append((self._context, one.context.octets(one.number)))
            self._keep(Record(one.number, tuple(said)))


class Oximeter(AskedDevice):
    """A finger clip. Its records have no numbers: they are asked for all at once."""

    numbered = False

    def __init__(self, address: str, *, bonded: bool = False) -> None:
        self._measurement = Characteristic(uuid=SPOT_CHECK, flags=("indicate",))
        super().__init__(
            address,
            name="Trygport Oximeter",
            service=PULSE_OXIMETER,
            measurements=(self._measurement,),
            bonded=bonded,
        )

    def measure(self, *found: SpotCheck) -> None:
        """Keep these records."""
        for one in found:
            self._keep(Record(len(self.records), ((self._measurement, one.octets()),)))
