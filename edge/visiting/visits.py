"""Which device is connected to next, by the hearing plans; pure."""

from dataclasses import dataclass

from adapters.frame import Lane
from edge.told.config import Config, Plan

FIRST_RETRY = 5.0
"""Seconds; each further failure doubles them."""
_LONGEST_RETRY = 300.0


@dataclass(slots=True)
class _Visit:
    plan: Plan
    lane: Lane
    due: float | None
    failures: int = 0


class Visits:
    """When each device is due. Told the time in seconds of any clock that does not step.

    A device that is due stays so until a visit succeeds; a failed one is tried again later and
    later, up to five minutes, so that one dead device does not hold the radio.
    """

    def __init__(self, *, retry: float = FIRST_RETRY) -> None:
        self._retry = retry
        self._visits: dict[str, _Visit] = {}
        self._rested: dict[str, float] = {}

    def follow(self, config: Config, now: float) -> None:
        """Take over the plans; what was due by an unchanged plan stays due."""
        self._visits = {
            address: self._kept(address, plan, device.lane)
            or _Visit(plan, device.lane, now if plan.when == "every" else None)
            for address, device in config.devices.items()
            if (plan := device.connect) is not None
        }

    def heard(self, address: str, now: float) -> bool:
        """News from a device; whether that makes a visit due."""
        visit = self._visits.get(address)
        if visit is None or visit.plan.when != "advertised" or visit.due is not None:
            return False
        visit.due = max(now, self._rested.get(address, now))
        return True

    def next(self, now: float) -> str | None:
        """The address that has been due for longest, if any is; those of the urgent lane first."""
        due = [
            (v.lane != "urgent", v.due, a)
            for a, v in self._visits.items()
            if v.due is not None and v.due <= now
        ]
        return min(due)[2] if due else None

    def wakes(self) -> float | None:
        """When the next visit is due."""
        return min((v.due for v in self._visits.values() if v.due is not None), default=None)

    def plan(self, address: str) -> Plan:
        return self._visits[address].plan

    def begun(self, address: str) -> None:
        """From here on what the device advertises asks for another visit."""
        if (visit := self._visits.get(address)) is not None:
            visit.due = None

    def ended(self, address: str, now: float, *, well: bool) -> None:
        if (visit := self._visits.get(address)) is None:
            return
        visit.failures = 0 if well else visit.failures + 1
        pause = min(self._retry * 2.0 ** min(visit.failures - 1, 20), _LONGEST_RETRY)
        self._rested[address] = now + (visit.plan.seconds if well else pause)
        if not well or visit.plan.when == "every" or visit.due is not None:
            visit.due = self._rested[address]

    def _kept(self, address: str, plan: Plan, lane: Lane) -> _Visit | None:
        visit = self._visits.get(address)
        same = visit is not None and (visit.plan, visit.lane) == (plan, lane)
        return visit if same else None
