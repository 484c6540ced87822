"""Who listens actively through the emulated adapter: discovery sessions and their filters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbus_fast import Message, Variant

from deploy.world.bluez_faults import Faults, busy, not_ready, refused
from deploy.world.bluez_objects import ADAPTER, DEVICE, Methods, Objects, done
from deploy.world.peripheral import Advertisement, long_uuid

Filter = Mapping[str, Variant]


@dataclass(slots=True, kw_only=True)
class Scan:
    """The discovery sessions of one adapter, by the bus name of the client that has them."""

    objects: Objects
    faults: Faults
    adapter: str
    filters: dict[str, Filter] = field(default_factory=dict[str, Filter])
    sessions: set[str] = field(default_factory=set[str])
    stuck: bool = False
    """A stop was refused: what starts next hears nothing, until a stop is accepted."""

    def methods(self) -> Methods:
        """What Adapter1 does about scanning."""
        return {
            (ADAPTER, "SetDiscoveryFilter"): self._set_filter,
            (ADAPTER, "StartDiscovery"): self._start,
            (ADAPTER, "StopDiscovery"): self._stop,
        }

    @property
    def wants_duplicates(self) -> bool:
        """Whether some scan asks for unchanged data: BlueZ's default, which bleak turns off."""
        filters = (self.filters.get(client, {}) for client in self.sessions)
        return any("DuplicateData" not in one or one["DuplicateData"].value for one in filters)

    def hears(self, said: Advertisement, rssi: int) -> bool:
        """Whether some client's filter lets this broadcast through."""
        filters = (self.filters.get(client, {}) for client in self.sessions)
        return not self.stuck and any(_passes(filter_, said, rssi) for filter_ in filters)

    def reset(self) -> None:
        """The adapter was switched off: every session is gone, and with them what was stuck."""
        self.sessions.clear()
        self.stuck = False
        self._tell()

    def forget_client(self, client: str) -> None:
        """A client has left the bus; BlueZ ends what it had going."""
        self.filters.pop(client, None)
        self.sessions.discard(client)
        self._tell()

    async def _set_filter(self, call: Message) -> Message:
        self.filters[call.sender or ""] = call.body[0]
        return done(call)

    async def _start(self, call: Message) -> Message:
        self._check_power()
        if self.faults.in_progress or call.sender in self.sessions:
            raise busy()
        self.sessions.add(call.sender or "")
        self._tell()
        return done(call)

    async def _stop(self, call: Message) -> Message:
        self._check_power()
        if call.sender not in self.sessions:
            raise refused("Failed", "No discovery started")
        self.sessions.discard(call.sender or "")
        self.stuck = self.faults.refused_stops > 0
        if self.stuck:
            self.faults.refused_stops -= 1
            raise busy()
        self._tell()
        return done(call)

    def _check_power(self) -> None:
        if not self.objects.value(self.adapter, ADAPTER, "Powered"):
            raise not_ready()

    def _tell(self) -> None:
        """Bring `Discovering` up to date; when a scan ends, signal strengths vanish."""
        discovering = bool(self.sessions)
        if self.objects.value(self.adapter, ADAPTER, "Discovering") in (discovering, None):
            return
        self.objects.change(self.adapter, ADAPTER, {"Discovering": Variant("b", discovering)})
        if not discovering:
            for path in self.objects.paths(DEVICE):
                self.objects.change(path, DEVICE, {}, gone=("RSSI", "TxPower"))


def _passes(wanted: Filter, said: Advertisement, rssi: int) -> bool:
    if "RSSI" in wanted and rssi < wanted["RSSI"].value:
        return False
    uuids: list[str] = wanted["UUIDs"].value if "UUIDs" in wanted else []
    return not uuids or not set(uuids).isdisjoint(map(long_uuid, said.service_uuids))
