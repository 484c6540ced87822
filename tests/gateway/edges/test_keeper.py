"""A box that is revoked is refused and silent within seconds, and stays so whatever happens."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.clock import WallClock
from gateway.edges.authority import CANARY, Authority
from gateway.edges.canary import PART, Answer, knock
from gateway.edges.keeper import LISTS, Keeper
from gateway.edges.revocation import revocation_list
from gateway.edges.rotation import rotate_issuer
from gateway.store.pool import connect
from tests.gateway.edges.keeping import Kept, kept, running, until
from tests.gateway.edges.trust import Trust, connected, entered, new_authority, now

SECONDS = 5.0
"""Within which a revoked box is refused, and its live session silent (issue 7)."""


@pytest.fixture
def trust(tmp_path: Path) -> Iterator[Trust]:
    made = Trust.start(tmp_path)
    yield made
    made.broker.stop()


@pytest.fixture
async def here(trust: Trust, fresh_database: OneDatabase) -> AsyncIterator[Kept]:
    async with kept(trust, fresh_database) as made:
        yield made


async def test_a_revoked_box_is_refused_and_silent_within_seconds(
    here: Kept, record_property: Callable[[str, object], None]
) -> None:
    lost, honest = await here.joined(), await here.joined()
    port = here.trust.broker.port
    async with running(here, longest=60, every=30):
        with connected(port, lost) as session, connected(port, honest) as other:
            assert session.publish(f"edges/{lost.name}/bulk") == "No matching subscribers"

            await here.revoke(lost)
            silent = await until(
                lambda: session.publish(f"edges/{lost.name}/bulk") == "Not authorized"
            )
            refused = silent + await until(lambda: not entered(here.trust, lost))

            assert other.publish(f"edges/{honest.name}/bulk") == "No matching subscribers"
        assert entered(here.trust, honest)
        told = "SELECT broker_told IS NOT NULL FROM edge WHERE name = $1"
        assert await here.owner.fetchval(told, lost.name)
    record_property("silent_s", silent)
    record_property("refused_s", refused)
    sys.stdout.write(f"silent after {silent:.2f} s, refused after {refused:.2f} s\n")
    assert silent < SECONDS
    assert refused < SECONDS


async def test_its_live_session_hears_nothing_any_more(here: Kept) -> None:
    lost = await here.joined()
    broker = here.trust.broker
    async with running(here):
        with (
            connected(broker.port, lost) as session,
            connected(broker.gateway_port, here.trust.own("gateway-config")) as gateway,
        ):
            session.subscribe(f"edges/{lost.name}/#")
            await here.revoke(lost)
            await until(lambda: session.publish(f"edges/{lost.name}/state") == "Not authorized")

            gateway.publish(f"edges/{lost.name}/command")

            assert session.all_heard() == set()


async def test_it_stays_out_when_the_broker_starts_anew(here: Kept) -> None:
    lost = await here.joined()
    async with running(here):
        await here.revoke(lost)
        await until(lambda: not entered(here.trust, lost))

        here.trust.broker.kill()
        here.trust.broker.restart()

        assert not entered(here.trust, lost)
        await until(lambda: here.health.ready)


async def test_a_broker_that_is_away_is_told_when_it_is_back(here: Kept) -> None:
    lost = await here.joined()
    async with running(here):
        here.trust.broker.kill()
        await here.revoke(lost)
        await until(lambda: here.health.parts[LISTS])

        here.trust.broker.restart()

        await until(lambda: here.health.ready)
        assert not entered(here.trust, lost)


async def test_who_is_shut_out_stays_so_while_the_database_is_away(
    here: Kept, trust: Trust
) -> None:
    lost = await here.joined()
    async with running(here):
        await here.revoke(lost)
        await until(lambda: not entered(trust, lost))
    here.settings = here.settings.model_copy(update={"database": "postgresql://127.0.0.1:1/none"})
    (trust.broker.files / "broker.pem").unlink()  # so that there is something to do
    async with running(here):
        assert "topic deny" in (trust.broker.files / "mosquitto.acl").read_text()
        assert lost.name in (trust.broker.files / "mosquitto.acl").read_text()
        assert not entered(trust, lost)


async def test_a_restored_database_lets_nobody_in_again_who_was_shut_out(here: Kept) -> None:
    lost, honest = await here.joined(), await here.joined()
    async with running(here):
        await here.revoke(lost)
        await until(lambda: not entered(here.trust, lost))
    await here.owner.execute("UPDATE certificate SET revoked = NULL, reason = NULL")
    await here.owner.execute("UPDATE edge SET shut_out = NULL, broker_told = NULL")

    async with running(here):
        assert not entered(here.trust, lost)
        assert entered(here.trust, honest)
        async with asyncio.timeout(10):
            while (again := await here.owner.fetchval(_AGAIN)) is None:  # noqa: ASYNC110 - no bell
                await asyncio.sleep(0.05)

    assert again == lost.name


_AGAIN = """
    SELECT e.name FROM edge e JOIN certificate c ON c.edge = e.id
    WHERE e.shut_out IS NOT NULL AND c.reason = 'on the list of the revoked'
"""


# ---------------------------------------------------------------- lists that fail open


def spoilt(here: Kept) -> dict[str, bytes]:
    """What somebody may put in its place: Mosquitto lets the revoked in, or everybody out."""
    ours, at = here.trust.authority, now()
    canary = {ours.own(CANARY).serial_number: at}
    theirs = new_authority(here.trust.folder / "theirs")
    return {
        "corrupt": b"-----BEGIN X509 CRL-----\ngarbage\n-----END X509 CRL-----\n",
        "empty": b"",
        "expired": revocation_list(ours, canary, 1, at - timedelta(days=9)),
        "without them": revocation_list(ours, {}, 1, at),
        "another's": revocation_list(theirs, canary, 1, at),
    }


async def test_a_list_spoilt_behind_our_back_is_noticed_and_mended(here: Kept) -> None:
    lost = await here.joined()
    await here.revoke(lost)
    async with running(here, longest=60):  # the keeper would look in a minute: the canary notices
        for what, content in spoilt(here).items():
            here.revoked.write_bytes(content)
            here.trust.broker.reload()

            await until(lambda: not here.health.ready)
            await until(lambda: here.health.ready)

            assert not entered(here.trust, lost), what
            assert entered(here.trust, await here.joined()), what
    assert here.counted("let_in") >= 3
    assert here.counted("otherwise") >= 2


def believing(folder: Path, authority: Authority, **_: object) -> bool:
    """Lays out nothing, whatever lies there."""
    return folder == authority.folder


async def test_without_the_check_nobody_would_notice(here: Kept) -> None:
    """The saboteur: a keeper that believes what lies there, and no canary for the time being."""
    lost = await here.joined()
    await here.revoke(lost)
    async with connect(here.settings, "edges") as pool:
        keeper = Keeper(
            here.settings, pool, WallClock(), here.health, here.trust.authority, lay=believing
        )
        here.revoked.write_bytes(b"garbage")
        here.trust.broker.reload()

        await keeper.look()

        port, folder = here.trust.broker.port, here.trust.authority.folder
        assert await knock("127.0.0.1", port, folder) == (Answer.LET_IN, "CONNACK 0x0")
        assert entered(here.trust, lost)


async def test_the_keeper_mends_it_without_the_canary_too(here: Kept) -> None:
    lost = await here.joined()
    await here.revoke(lost)
    async with running(here, every=60):
        for content in spoilt(here).values():
            here.revoked.write_bytes(content)

            await until(lambda: here.revoked.read_bytes() != content)  # noqa: B023 - awaited here

        await asyncio.sleep(0.3)
        assert not entered(here.trust, lost)


async def test_a_canary_that_finds_no_broker_says_so(here: Kept) -> None:
    async with running(here):
        here.trust.broker.kill()

        await until(lambda: "cannot be reached" in (here.health.parts[PART] or ""))


# ---------------------------------------------------------------- our own certificates


async def test_our_own_certificates_are_renewed_at_two_thirds_of_their_lives(here: Kept) -> None:
    before = {name: here.trust.authority.own(name).serial_number for name in _OWN}
    async with connect(here.settings, "edges") as pool:
        for days, renewed in ((59, False), (61, True)):
            clock = WallClock(offset=timedelta(days=days))
            keeper = Keeper(here.settings, pool, clock, here.health, here.trust.authority)

            await keeper.look()

            now_there = {name: keeper.authority.own(name).serial_number for name in _OWN}
            assert all((now_there[name] != before[name]) == renewed for name in _OWN)
    served = (here.trust.broker.files / "broker.pem").read_bytes()
    assert served == (here.trust.authority.folder / "broker.pem").read_bytes()


_OWN = ("broker", "https", "gateway-urgent", "gateway-bulk", "gateway-config", "canary")


async def test_another_issuer_disturbs_nobody(here: Kept) -> None:
    lost, honest = await here.joined(), await here.joined()
    await here.revoke(lost)
    async with running(here):
        here.trust.authority = rotate_issuer(here.trust.authority, now())
        await until(lambda: here.revoked.read_bytes().count(b"BEGIN X509 CRL") == 2)
        await asyncio.sleep(0.3)

        assert entered(here.trust, honest)
        assert entered(here.trust, await here.joined())
        assert not entered(here.trust, lost)


async def test_a_stolen_issuer_is_trusted_no_more(here: Kept) -> None:
    before = await here.joined()
    async with running(here):
        here.trust.authority = rotate_issuer(here.trust.authority, now(), stolen=True)
        await until(lambda: not entered(here.trust, before))

        assert entered(here.trust, await here.joined())
        await until(lambda: here.health.ready)  # the canary too has a certificate of the new one


async def test_a_key_that_others_can_read_is_said(here: Kept) -> None:
    async with running(here):
        (here.trust.authority.folder / "issuer.key").chmod(0o644)

        await until(lambda: "chmod 600" in (here.health.parts[LISTS] or ""))
