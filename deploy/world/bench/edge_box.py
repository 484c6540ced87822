"""The box that is measured: the real `edge run`, in a folder of its own, looked at from outside."""

import json
import resource
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import Guarded
from deploy.world.bench.figures import cpu, resident_mb, written
from deploy.world.bench.issued import identify
from deploy.world.bench.receipting import Place
from deploy.world.payloads import COMPANY
from deploy.world.stack import clean_environment
from edge.joining.identity import Identity
from edge.keeping.disk import SPOOL
from edge.status import STATUS
from edge.told.config import CONFIG

_OUR_CALLS = {"manufacturer": COMPANY, "data": "5450", "mask": "ffff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a process has used up to a moment: seconds of CPU, bytes written, megabytes held."""

    cpu: float
    octets: int
    rss_mb: float

    @classmethod
    def by(cls, pid: int) -> Self:
        """Until now."""
        return cls(cpu=cpu(pid), octets=written(pid), rss_mb=resident_mb(pid))


def furnish(folder: Path, place: Place, placed: Collection[str]) -> None:
    """What joining and the gateway's configuration leave on a box; `placed` are addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    port = place.broker.port
    if place.certificates is None:
        Identity(
            edge=place.edge,
            broker=f"mqtt://127.0.0.1:{port}",
            ca=None,
            username=place.edge,
            password=place.password,
        ).write(folder)
    else:
        identify(place.certificates, place.edge, folder, broker=f"mqtts://127.0.0.1:{port}")
    (folder / CONFIG).write_text(json.dumps(_config(placed)))


def start_box(folder: Path, *, bus: str | None, program: Collection[str] = ()) -> Guarded:
    """`edge run`; without a bus it has no radio. `program` is run in place of `edge.main run`."""
    radio = {"EDGE_RADIO": "no"} if bus is None else {"DBUS_SYSTEM_BUS_ADDRESS": bus}
    return Guarded.start(
        [PYTHON, "-P", "-m", *(program or ("edge.main", "run"))],
        log=folder / "edge.log",
        env={
            **clean_environment(),
            **radio,
            "PYTHONPATH": str(ROOT),
            "EDGE_HOME": str(folder),
            "EDGE_SYNCHRONISED": "yes",
        },
    )


def spool_of(folder: Path) -> Path:
    """The spool's file in a box's folder."""
    return folder / SPOOL


def is_connected(folder: Path) -> bool:
    """Whether the box last said that it has a connection to the broker."""
    with suppress(OSError, ValueError):
        return bool(json.loads((folder / STATUS).read_text()).get("connected"))
    return False


def own_cpu() -> float:
    """Seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _config(placed: Iterable[str]) -> dict[str, Any]:
    devices = [
        {"address": address, "lane": "bulk", "advertisement": True, "connect": None}
        for address in sorted(set(placed))
    ]
    return {
        "format": 1,
        "version": 1,
        "keepalive": 60,
        "devices": devices,
        "calls": [_OUR_CALLS],
    }
