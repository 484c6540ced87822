"""A box that does not know the date reaches its own broker, and no other.

OpenSSL takes the time from the system, which no test may set: in place of a clock that is years
behind, or ahead, stands a certificate that begins years from now, or ended years ago.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.runtime.broker import Broker
from deploy.runtime.certificate import Certificate, certificate
from deploy.runtime.paths import ROOT
from edge.broker import Link
from edge.keeping.spool import Spool
from edge.sending.floor import Floor
from edge.sending.line import LinkLost
from edge.sending.uplink import Uplink
from tests.edge.frames import HandClock
from tests.edge.uplinks import BOX

YEAR = timedelta(days=365)
SINCE_1970 = HandClock().ms / 1_000


@contextmanager
def secured(folder: Path, made: Certificate) -> Generator[Link]:
    """A broker with this certificate, and the way to it."""
    mine = Broker.start(folder / "broker", passwords={BOX: BOX}, tls=made)
    try:
        address, ca = f"mqtts://127.0.0.1:{mine.port}", made.cert.read_text()
        yield Link.to(address, edge=BOX, password=BOX, ca=ca)
    finally:
        mine.stop()


async def connects(link: Link, clock: HandClock, spool: Spool) -> str:
    """Why the box does not connect; nothing where it does."""
    try:
        line = await Uplink(spool, link, clock).open()
    except LinkLost as lost:
        return str(lost)
    await line.leave()
    return ""


async def unsure_and_sure(
    folder: Path, clock: HandClock, *, begins: timedelta, ends: timedelta
) -> tuple[str, str]:
    """What a box says of a broker's certificate of these dates without a right clock, and with."""
    shown = certificate(folder / "shown", begins=begins, ends=ends)
    with secured(folder / "broker", shown) as link, Spool(folder / "s", clock) as spool:
        clock.sure = False
        unsure = await connects(link, clock, spool)
        clock.sure = True
        return unsure, await connects(link, clock, spool)


async def test_a_clock_years_behind_keeps_no_call_from_the_broker_until_it_is_synchronised(
    service_folder: Path, clock: HandClock
) -> None:
    clock.ms = 0  # a box in 1970

    unsure, sure = await unsure_and_sure(service_folder, clock, begins=10 * YEAR, ends=12 * YEAR)

    assert unsure == ""
    assert "not yet valid" in sure


async def test_a_clock_years_ahead_neither_and_an_expired_certificate_is_refused_when_it_is_right(
    service_folder: Path, clock: HandClock
) -> None:
    unsure, sure = await unsure_and_sure(service_folder, clock, begins=-3 * YEAR, ends=-YEAR)

    assert unsure == ""
    assert "expired" in sure


async def test_what_ended_before_a_time_that_was_proved_is_expired_whatever_the_clock_shows(
    service_folder: Path, tmp_path: Path, clock: HandClock
) -> None:
    good = certificate(tmp_path / "good")
    earlier = certificate(tmp_path / "earlier", begins=-3 * YEAR, ends=timedelta(days=-1))
    clock.ms = time.time_ns() // 1_000_000
    with secured(service_folder / "good", good) as link, Spool(tmp_path / "s", clock) as spool:
        assert await connects(link, clock, spool) == ""
    with secured(service_folder / "ended", earlier) as link, Spool(tmp_path / "s", clock) as spool:
        clock.sure, clock.ms, clock.running = False, 0, 3.0  # it starts anew, in 1970
        assert "expired" in await connects(link, clock, spool)


async def test_without_a_date_another_authority_or_name_is_refused_as_ever(
    service_folder: Path, tmp_path: Path, clock: HandClock
) -> None:
    other = certificate(tmp_path / "other").cert.read_text()
    clock.sure = False
    good = certificate(tmp_path / "good")
    with secured(service_folder / "strict", good) as link, Spool(tmp_path / "s", clock) as spool:
        stranger = await connects(replace(link, ca=other), clock, spool)
        renamed = await connects(replace(link, host="127.1"), clock, spool)
        unpinned = await connects(replace(link, ca=None), clock, spool)

    assert "self-signed certificate" in stranger
    assert "Hostname mismatch" in renamed
    assert "self-signed certificate" in unpinned


def test_a_time_server_alone_proves_nothing_and_time_goes_on(
    tmp_path: Path, clock: HandClock
) -> None:
    with Spool(tmp_path / "s", clock) as spool:
        clock.ms += 10 * YEAR // timedelta(milliseconds=1)  # whoever answers for NTP says so
        clock.sure = False
        assert Floor(spool, clock).earliest() == 0
        clock.sure, clock.ms = True, HandClock().ms
        floor = Floor(spool, clock)
        floor.proved()
        clock.sure, clock.ms = False, 0
        clock.running += 50
        assert floor.earliest() == SINCE_1970 + 50
    with Spool(tmp_path / "s", clock) as spool:
        assert Floor(spool, clock).earliest() == SINCE_1970


STRACE = shutil.which("strace")


@pytest.mark.skipif(STRACE is None, reason="needs strace")
@pytest.mark.parametrize(
    ("answer", "sure"), [("retval=0", True), ("retval=5", False), ("error=EPERM", None)]
)
def test_the_kernel_says_whether_the_clock_is_synchronised(
    *, answer: str, sure: bool | None
) -> None:
    """The real question to the real kernel, its answer exchanged on the way back."""
    asked = "from edge.clock import kernel_is_synchronised as k, _TIMESYNCD_MARK as m\n"
    told = subprocess.run(
        [
            str(STRACE),
            "-o/dev/null",
            f"-einject=adjtimex,clock_adjtime:{answer}",
            sys.executable,
            "-c",
            f"{asked}print(k(), m.exists())",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert told[0] == (told[1] if sure is None else str(sure))
