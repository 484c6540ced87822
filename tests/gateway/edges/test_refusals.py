"""Whom the broker refused is counted, from what it really says."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.edges.refusals import KINDS, Refusals
from gateway.health import Health
from tests.gateway.edges.test_probe import PACKETS
from tests.gateway.edges.trust import Trust, connect_packet, connected, new_authority, now, raw


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trust]:
    made = Trust.start(tmp_path_factory.mktemp("refusals"))
    yield made
    made.broker.stop()


def counted(health: Health) -> dict[str, int]:
    value = health.registry.get_sample_value
    found = {kind: value("trygport_broker_refusals_total", {"kind": kind}) for kind in KINDS}
    return {kind: int(count) for kind, count in found.items() if count}


def test_each_kind_is_seen(trust: Trust, tmp_path: Path) -> None:
    health = Health()
    refusals = Refusals(trust.broker.log, health)
    thief, port = trust.box("box-stolen"), trust.broker.port
    strangers = [
        None,
        trust.box("box-old", at=now() - timedelta(days=100)),
        trust.box("box-odd", by=new_authority(tmp_path / "theirs")),
        trust.own("canary"),
    ]

    for stranger in strangers:
        with suppress(OSError):
            raw(port, stranger, connect_packet(), ca=trust.ca)
    for packets in PACKETS.values():
        raw(port, thief, *packets)
    with connected(port, thief), connected(port, thief):
        pass
    refusals.look()

    assert counted(health) == {
        "certificate": len(strangers),
        "packet": len(PACKETS),
        "twin": 1,
    }


def test_an_honest_connection_is_none(trust: Trust) -> None:
    health = Health()
    refusals = Refusals(trust.broker.log, health)

    with connected(trust.broker.port, trust.box("box-honest")) as box:
        box.publish("edges/box-honest/bulk")
    refusals.look()

    assert counted(health) == {}


def test_a_list_that_the_broker_cannot_read_is_seen(trust: Trust) -> None:
    health = Health()
    refusals = Refusals(trust.broker.log, health)
    there = trust.broker.files / "revoked.pem"
    before = there.read_bytes()

    there.write_bytes(b"garbage")
    trust.broker.reload()
    there.write_bytes(before)
    trust.broker.reload()
    refusals.look()

    assert counted(health)["own files"] >= 1


def test_a_log_that_is_replaced_is_followed(tmp_path: Path) -> None:
    log, health = tmp_path / "log", Health()
    line = "Client box-1 disconnected due to malformed packet.\n"
    log.write_text(line)
    refusals = Refusals(log, health)
    log.unlink()
    refusals.look()
    log.write_text(line + "Client box-2 disconn")
    refusals.look()
    with log.open("a") as file:
        file.write("ected due to protocol error.\n")
    refusals.look()

    assert counted(health) == {"packet": 2}
