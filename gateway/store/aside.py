"""Whom we could not judge: set aside for a while so that the others go on, and told to /readyz."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.health import Health
from gateway.home import Citizen
from gateway.store.claims import Waiting

AGAIN = timedelta(minutes=5)
"""When what failed for a citizen is tried again, if nothing more is heard."""

_ASIDE = "citizens set aside"


class Failing:
    """The citizens that something fails for; it is well again when it works for each of them.

    /readyz is open to everybody: it gets the name of the part and the type of the fault, since
    the text of a fault may quote what was heard.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._when: defaultdict[str, dict[Citizen, datetime]] = defaultdict(dict)

    def failed(self, part: str, citizen: Citizen, fault: Exception, now: datetime) -> None:
        self._when[part][citizen] = now
        self._health.bad(part, type(fault).__name__)

    def worked(self, part: str, citizen: Citizen, now: datetime) -> None:
        """Forget that it failed, also for those who must have been tried elsewhere since."""
        if self._when[part]:
            left = {one: at for one, at in self._when[part].items() if now - at <= 2 * AGAIN}
            left.pop(citizen, None)
            self._when[part] = left
            if not left:
                self._health.ok(part)


class Aside:
    """Citizens, and batches about them, that are not taken again before their time.

    Only in memory: their rows stay as they are, so a restart tries them again at once.
    """

    def __init__(self, failing: Failing) -> None:
        self._failing = failing
        self._citizens: dict[Citizen, datetime] = {}
        self._batches: dict[tuple[int, int], datetime] = {}

    def put(self, citizen: Citizen, fault: Exception, now: datetime) -> None:
        self._citizens[citizen] = now + AGAIN
        self._failing.failed(_ASIDE, citizen, fault, now)

    def put_batches(self, batches: Iterable[Waiting]) -> None:
        """Leave batches until the first of their citizens who are set aside is tried again."""
        for batch in batches:
            times = [self._citizens[one] for one in batch.citizens if one in self._citizens]
            for number in batch.batches if times else ():
                self._batches[batch.municipality, number] = min(times)

    def worked(self, citizen: Citizen, now: datetime) -> None:
        self._citizens.pop(citizen, None)
        self._failing.worked(_ASIDE, citizen, now)

    def citizens(self, now: datetime) -> set[Citizen]:
        self._citizens = {one: until for one, until in self._citizens.items() if until > now}
        return set(self._citizens)

    def batches(self, now: datetime) -> list[tuple[int, int]]:
        """Return the batches to leave, by municipality and number."""
        self._batches = {one: until for one, until in self._batches.items() if until > now}
        return list(self._batches)
