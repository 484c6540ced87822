"""Replays a home's air through the emulated BlueZ at its own pace, over and over."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from deploy.world.bluez import Bluez
from deploy.world.capture import Report
from deploy.world.peripheral import Peripheral

_APART = 1 / 32
"""Seconds between the last report and the first one of the next round."""


@dataclass(slots=True, kw_only=True)
class Air:
    """What is within range of the emulated adapter."""

    bluez: Bluez
    reports: int = 0
    """How many broadcasts there were."""
    _senders: dict[str, Peripheral] = field(default_factory=dict[str, Peripheral])

    async def play(self, reports: Iterable[Report]) -> None:
        """Broadcast each at its time, from now on."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for report in reports:
            await asyncio.sleep(max(0.0, begun + report.at - loop.time()))
            self.broadcast(report)

    def broadcast(self, report: Report) -> None:
        """One broadcast, now."""
        sender = self._senders.get(report.address) or self._arrive(report)
        sender.rssi, sender.advertisement = report.rssi, report.said
        sender.advertise()
        self.reports += 1

    def leave(self, address: str) -> None:
        """The device goes out of range; BlueZ forgets it after a while."""
        self.bluez.remove(self._senders.pop(address))

    async def pass_by(self, reports: Iterable[Report], a_second: float) -> None:
        """Each is heard once and gone, so many a second."""
        for report in reports:
            self.broadcast(report)
            self.leave(report.address)
            await asyncio.sleep(1 / a_second)

    def _arrive(self, report: Report) -> Peripheral:
        sender = Peripheral(report.address, address_type=report.address_type)
        self._senders[report.address] = sender
        self.bluez.add(sender)
        return sender


def rounds(
    reports: Sequence[Report], count: int, *, news: Callable[[Report], bool]
) -> Iterator[Report]:
    """The whole recording so many times; those chosen say something new each time.

    A recording of some seconds says the same bytes in every round, which no device does for long.
    Only whole rounds have the recording's rate: its first seconds are all but silent.
    """
    lasts = reports[-1].at + _APART
    for number in range(count):
        for place, report in enumerate(reports):
            said = report.saying(number * len(reports) + place) if news(report) else report
            yield replace(said, at=number * lasts + report.at)
