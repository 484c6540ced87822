"""A box reaches its own topics and no other, whatever it calls itself."""

import queue
import re
import secrets
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.services import Broker, DidNotStart, certificate, free_port
from tests.conftest import GATEWAY_PASSWORD
from tests.deploy.mqtt import QUIET, Client, connected

OWN, OTHER = "box-01", "box-02"


@pytest.mark.parametrize("topic", ["urgent", "bulk", "state", "reply"])
def test_a_box_writes_its_own_topics(broker: Broker, topic: str) -> None:
    with connected(broker.port, OWN, OWN) as box:
        assert box.publish(f"edges/{OWN}/{topic}") in {"Success", "No matching subscribers"}


@pytest.mark.parametrize(
    "topic",
    [
        f"edges/{OTHER}/urgent",
        f"edges/{OTHER}/state",
        f"edges/{OWN}/receipt",
        f"edges/{OWN}/config",
        f"edges/{OWN}/command",
        f"edges/{OTHER}/receipt",
        "edges/urgent",
        "somewhere/else",
    ],
)
def test_a_box_writes_nowhere_else(broker: Broker, topic: str) -> None:
    with connected(broker.port, OWN, OWN) as box:
        assert box.publish(topic) == "Not authorized"


def test_a_box_reads_what_the_gateway_tells_it_and_not_what_others_are_told(
    broker: Broker,
) -> None:
    word = secrets.token_bytes(8)
    with (
        connected(broker.port, OWN, OWN) as box,
        connected(broker.gateway_port, "gateway-bulk", GATEWAY_PASSWORD) as gateway,
    ):
        box.subscribe("#")

        gateway.publish(f"edges/{OTHER}/receipt", word)
        gateway.publish(f"edges/{OWN}/receipt", word)

        assert box.hears() == (f"edges/{OWN}/receipt", word)
        assert box.hears_nothing()


def test_a_box_does_not_hear_other_boxes(broker: Broker) -> None:
    with connected(broker.port, OWN, OWN) as one, connected(broker.port, OTHER, OTHER) as two:
        one.subscribe("edges/+/urgent")

        two.publish(f"edges/{OTHER}/urgent")

        assert one.hears_nothing()


def meddled(broker: Broker) -> tuple[bool, str]:
    """Whether another box hears what a box is asked, and the broker's word on its answer."""
    with (
        connected(broker.port, OTHER, OTHER) as two,
        connected(broker.gateway_port, "gateway-config", GATEWAY_PASSWORD) as gateway,
    ):
        for topic in ("#", f"edges/{OWN}/command", "edges/+/command"):
            two.subscribe(topic)
        gateway.subscribe("edges/+/reply")
        gateway.publish(f"edges/{OWN}/command", b"asked")
        word = two.publish(f"edges/{OWN}/reply", b"lie")
        asked, answered = _heard(two), _heard(gateway)
    assert (f"edges/{OWN}/reply" in answered) == (word == "Success")
    return f"edges/{OWN}/command" in asked, word


def _heard(client: Client) -> set[str]:
    """The topics of all that comes within a moment; some are kept by the broker of other tests."""
    topics = set[str]()
    with suppress(queue.Empty):
        while True:
            topics.add(client.heard.get(timeout=QUIET)[0])
    return topics


def test_a_box_neither_hears_what_another_is_asked_nor_answers_for_it(broker: Broker) -> None:
    assert meddled(broker) == (False, "Not authorized")


def test_with_a_list_that_does_not_name_the_box_it_would_do_both(tmp_path: Path) -> None:
    passwords = {OTHER: OTHER, "gateway-config": GATEWAY_PASSWORD}
    broker = Broker.start(tmp_path / "lax", passwords=passwords)
    try:
        rules = tmp_path / "acl"
        rules.write_text("pattern readwrite edges/#\nuser gateway-config\ntopic readwrite #\n")
        conf = broker.folder / "mosquitto.conf"
        conf.write_text(re.sub("acl_file .*", f"acl_file {rules}", conf.read_text()))
        broker.restart()

        assert meddled(broker) == (True, "Success")
    finally:
        broker.stop()


def test_a_box_that_borrows_a_name_is_still_itself(broker: Broker) -> None:
    with (
        connected(broker.port, OTHER, OTHER) as two,
        connected(broker.port, OWN, OWN, client_id=OTHER) as one,
    ):
        two.publish(f"edges/{OTHER}/state")

        assert one.publish(f"edges/{OTHER}/state") == "Not authorized"


def test_nobody_enters_without_the_right_password(broker: Broker) -> None:
    with (
        pytest.raises(ConnectionRefusedError, match="Not authorized"),
        connected(broker.port, OWN, "wrong"),
    ):
        pass


def test_each_session_of_the_gateway_reads_its_lane(broker: Broker) -> None:
    with (
        connected(broker.port, OWN, OWN) as box,
        connected(broker.gateway_port, "gateway-urgent", GATEWAY_PASSWORD) as urgent,
        connected(broker.gateway_port, "gateway-bulk", GATEWAY_PASSWORD) as bulk,
    ):
        urgent.subscribe("edges/#")
        bulk.subscribe("edges/#")

        box.publish(f"edges/{OWN}/urgent", b"call")
        box.publish(f"edges/{OWN}/bulk", b"warmth")

        assert urgent.hears() == (f"edges/{OWN}/urgent", b"call")
        assert bulk.hears() == (f"edges/{OWN}/bulk", b"warmth")
        assert urgent.hears_nothing()
        assert bulk.hears_nothing()


SHARED = "$share/gateway/edges/+/bulk"


def test_telemetry_is_divided_among_the_gateways_that_share_it(broker: Broker) -> None:
    port = broker.gateway_port
    with (
        connected(broker.port, OWN, OWN) as box,
        connected(port, "gateway-bulk", GATEWAY_PASSWORD, client_id="one") as one,
        connected(port, "gateway-bulk", GATEWAY_PASSWORD, client_id="two") as two,
    ):
        one.subscribe(SHARED)
        two.subscribe(SHARED)

        for word in (b"a", b"b"):
            assert box.publish(f"edges/{OWN}/bulk", word) == "Success"

        assert sorted([one.hears(), two.hears()]) == [
            (f"edges/{OWN}/bulk", b"a"),
            (f"edges/{OWN}/bulk", b"b"),
        ]
        assert one.hears_nothing()
        assert two.hears_nothing()


def test_a_box_has_no_share_in_what_others_say(broker: Broker) -> None:
    with connected(broker.port, OWN, OWN) as one, connected(broker.port, OTHER, OTHER) as two:
        one.subscribe(SHARED)

        two.publish(f"edges/{OTHER}/bulk")

        assert one.hears_nothing()


def test_config_waits_for_a_box_that_comes_later(broker: Broker) -> None:
    with connected(broker.gateway_port, "gateway-config", GATEWAY_PASSWORD) as gateway:
        gateway.publish("edges/box-03/config", b"plan", retain=True)

    with connected(broker.port, "box-03", "box-03") as box:
        box.subscribe("edges/box-03/config")

        assert box.hears() == ("edges/box-03/config", b"plan")


def test_a_box_that_joins_is_let_in_without_a_restart(broker: Broker) -> None:
    newcomer = f"box-{secrets.token_hex(4)}"
    with pytest.raises(ConnectionRefusedError), connected(broker.port, newcomer, "secret"):
        pass

    broker.admit({newcomer: "secret"})

    with connected(broker.port, newcomer, "secret") as box:
        assert box.publish(f"edges/{OWN}/bulk") == "Not authorized"


def test_a_killed_broker_comes_back_where_it_was(tmp_path: Path) -> None:
    broker = Broker.start(tmp_path, passwords={OWN: OWN})
    before = (broker.port, broker.gateway_port, broker.pid)

    broker.kill()
    broker.restart()

    assert (broker.port, broker.gateway_port) == before[:2]
    assert broker.pid != before[2]
    assert broker.pid_file.read_text().strip() == str(broker.pid)
    with connected(broker.port, OWN, OWN):
        broker.stop()


def test_boxes_may_be_met_over_tls(tmp_path: Path) -> None:
    ours = certificate(tmp_path / "tls")
    broker = Broker.start(tmp_path / "broker", passwords={OWN: OWN}, tls=ours)

    with connected(broker.port, OWN, OWN, ca=ours.cert) as box:
        assert box.publish(f"edges/{OWN}/bulk") == "No matching subscribers"
    broker.stop()


def test_a_used_port_is_said_in_one_sentence(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(Stop) as refused:
        Broker.start(tmp_path, passwords={}, port=broker.port)

    assert refused.value.code == Exit.PORT_IN_USE
    assert refused.value.sentence == (
        f"Port {broker.port} is in use by another program; choose another."
    )


def test_a_broker_that_refuses_its_configuration_says_why(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="nonsense"):
        Broker.start(tmp_path, passwords={}, port=free_port(), config_extra="nonsense 1")
