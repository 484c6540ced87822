"""A box renews its certificate in time or months late, and is heard all the while."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from edge.joining.answer import Refused, WrongGateway
from edge.joining.code import read_code
from edge.joining.identity import OWN, BadIdentity, Identity, NotJoined, joined
from edge.joining.join import join
from edge.joining.renew import renew
from edge.joining.renewal import UNREACHED, Renewal
from tests.edge.frames import HandClock
from tests.edge.joining import JoinServer, serving

EARLIER = timedelta(days=300)


def certificate(home: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((home / OWN).read_bytes())


def a_box(gateway: JoinServer, home: Path, *, ago: timedelta = timedelta()) -> Identity:
    """It joined so long ago."""
    gateway.now = datetime.now(UTC) - ago
    made = join(read_code(gateway.code()), home, version="0")
    gateway.now = datetime.now(UTC)
    return made


@pytest.mark.parametrize("ago", [timedelta(days=61), EARLIER])
def test_in_time_or_months_late_a_box_gets_a_certificate_for_a_new_key(
    tmp_path: Path, ago: timedelta
) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        before = a_box(gateway, home, ago=ago)
        old = certificate(home)

        after = renew(home, earliest=None)

    new = certificate(home)
    assert new.public_key() != old.public_key()
    assert after.expires > before.expires
    assert joined(home) == after
    assert gateway.told[-1][0] == "/edges/renew"


def test_without_a_clock_it_is_renewed_as_well(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        a_box(gateway, tmp_path / "box", ago=EARLIER)

        assert renew(tmp_path / "box", earliest=0.0).expires > time.time()


def test_a_refusal_leaves_everything_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        a_box(gateway, home)
        before = {path.name: path.read_bytes() for path in home.iterdir()}
        gateway.status, gateway.body = 403, b'{"detail": "shut out"}'

        with pytest.raises(Refused, match="shut out"):
            renew(home, earliest=None)

    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_who_is_not_of_our_authority_is_shown_nothing(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path / "ours") as ours, serving(tmp_path / "theirs") as impostor:
        identity = a_box(ours, home)
        Identity(
            edge=identity.edge, broker=identity.broker, ca=identity.ca, address=impostor.address
        ).write(home)

        with pytest.raises(WrongGateway):
            renew(home, earliest=None)

    assert impostor.told == []


def test_a_certificate_for_another_box_is_not_taken(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        a_box(gateway, home)
        gateway.edge = "box-of-somebody-else"

        with pytest.raises(WrongGateway):
            renew(home, earliest=None)

    assert joined(home).edge != gateway.edge


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotJoined):
        renew(tmp_path, earliest=None)
    Identity(edge="box-1", broker="mqtts://b", ca="x", address="b:1").write(tmp_path)
    with pytest.raises(BadIdentity):
        renew(tmp_path, earliest=None)


# ---------------------------------------------------------------- the agent's part


class Box:
    """A box whose agent looks after its certificate many times a second."""

    def __init__(self, home: Path, identity: Identity, *, connected: bool = True) -> None:
        self.clock = HandClock()
        self.connected = connected
        self.renewed: list[Identity] = []
        self.said: list[str] = []
        self.renewal = Renewal(
            identity,
            home,
            self.clock,
            connected=lambda: self.connected,
            renewed=self.renewed.append,
            say=self._say,
            command=(sys.executable, "-c", RENEW, str(home)),
            look=0.02,
        )

    def _say(self, word: str, /, **_: object) -> None:
        self.said.append(word)

    async def until(self, happened: Callable[[], object]) -> None:
        task = asyncio.create_task(self.renewal.run())
        try:
            async with asyncio.timeout(15):
                while not happened():  # noqa: ASYNC110 - looked at from outside
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


RENEW = """
import sys
from pathlib import Path
from edge.joining.renew import renew
renew(Path(sys.argv[1]), earliest=None)
"""


async def test_a_date_that_has_come_starts_a_process_that_renews(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        box = Box(home, await asyncio.to_thread(a_box, gateway, home))
        box.clock.ms = joined(home).renew * 1_000

        await box.until(lambda: box.renewed)

    assert box.said == ["certificate.renewed"]
    assert box.renewed == [joined(home)]


async def test_before_its_date_nothing_is_asked(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        box = Box(home, await asyncio.to_thread(a_box, gateway, home))
        box.clock.ms = joined(home).renew * 1_000 - 1
        box.clock.running += 1_000

        await rounds(box, 5)

    assert [path for path, _ in gateway.told] == ["/edges/join"]


async def test_a_box_without_a_date_renews_when_the_broker_has_long_not_let_it_in(
    tmp_path: Path,
) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        identity = await asyncio.to_thread(a_box, gateway, home, ago=EARLIER)
        box = Box(home, identity, connected=False)
        box.clock.sure, box.clock.ms = False, 0
        box.clock.running += UNREACHED

        await box.until(lambda: box.renewed)

    assert box.renewed == [joined(home)]


async def test_a_refusal_is_said_and_not_asked_for_again_at_once(tmp_path: Path) -> None:
    home = tmp_path / "box"
    with serving(tmp_path) as gateway:
        box = Box(home, await asyncio.to_thread(a_box, gateway, home))
        gateway.status, gateway.body = 403, b"{}"
        box.clock.ms = joined(home).renew * 1_000

        await box.until(lambda: box.said)
        await rounds(box, 5)

    assert box.said == ["certificate.not_renewed"]
    assert len(gateway.told) == 2
    assert box.renewed == []


async def rounds(box: Box, number: int) -> None:
    """So many looks."""
    until = asyncio.get_running_loop().time() + number * 0.02
    await box.until(lambda: asyncio.get_running_loop().time() > until)
