"""MQTT packets: held against a library that we did not write; nothing else gets through."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.ingest import packets
from gateway.ingest.packets import Malformed, Published

TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)


def publish_properties(alias: int, words: str) -> bytes:
    said = Properties(PacketTypes.PUBLISH)
    said.MessageExpiryInterval = alias
    said.UserProperty = ("said", words)
    return _packed(said)


@given(
    topic=TOPICS,
    payload=st.binary(max_size=300),
    number=st.integers(1, 65_535),
    retain=st.booleans(),
)
def test_a_message_comes_back_as_it_was_written(
    *, topic: str, payload: bytes, number: int, retain: bool
) -> None:
    packet = packets.publish(number, topic, payload, retain=retain)

    ((first, body),), rest = packets.cut(packet, most=100_000)

    assert packets.published(first, body) == Published(topic, payload, retain, number)
    assert rest == b""


@given(st.lists(st.binary(max_size=200), max_size=6), st.integers(0, 700))
def test_packets_are_cut_wherever_the_network_cuts_them(payloads: list[bytes], at: int) -> None:
    stream = b"".join(packets.publish(1, "t", one, retain=False) for one in payloads)

    before, rest = packets.cut(stream[:at], most=1_000)
    after, nothing = packets.cut(rest + stream[at:], most=1_000)

    found = [packets.published(first, body).payload for first, body in before + after]
    assert (found, nothing) == (payloads, b"")


@given(st.integers(1, 2**32 - 1), st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_a_sender_adds_to_its_message_is_skipped(alias: int, words: str) -> None:
    body = b"\0\1t\0\7" + publish_properties(alias, words) + b"payload"

    assert packets.published(0x32, body) == Published("t", b"payload", False, 7)  # noqa: FBT003


def test_the_limits_of_the_broker_are_read_among_all_that_it_may_say() -> None:
    said = Properties(PacketTypes.CONNACK)
    said.ReceiveMaximum, said.ServerKeepAlive, said.MaximumPacketSize = 20, 30, 65_536
    said.AssignedClientIdentifier, said.UserProperty = "somebody", ("a", "b")
    said.SharedSubscriptionAvailable, said.SessionExpiryInterval = 1, 7

    assert packets.connected(b"\0\0" + _packed(said)) == (0, 20, 30)


def test_a_broker_that_sets_no_limits_sets_the_standards_own() -> None:
    assert packets.connected(b"\1\0\0") == (0, 65_535, None)


@pytest.mark.parametrize("data", [b"\x32\xff\xff\xff\xff\x01", b"\x32\x80\x80\x80\x80"])
def test_a_length_of_five_bytes_is_no_length(data: bytes) -> None:
    with pytest.raises(Malformed):
        packets.cut(data, most=1_000)


def test_a_packet_larger_than_asked_for_is_not_waited_for() -> None:
    with pytest.raises(Malformed):
        packets.cut(b"\x32\xff\x7f", most=1_000)


@given(st.integers(0, 255), st.binary(max_size=60))
@example(0x32, b"\0\1t\0\7\xff")
@example(0x32, b"\0\2t")
@example(0x32, b"\0\1\xff\0\7\0")
def test_any_bytes_are_read_or_malformed_and_nothing_else(first: int, body: bytes) -> None:
    with contextlib.suppress(Malformed):
        packets.published(first, body)
    with contextlib.suppress(Malformed):
        packets.connected(body)
    with contextlib.suppress(Malformed):
        packets.acknowledged(body)
    with contextlib.suppress(Malformed):
        packets.subscribed(body)
    with contextlib.suppress(Malformed):
        packets.cut(bytes((first,)) + body, most=50)


def _packed(said: Properties) -> bytes:
    return bytes(said.pack())  # pyright: ignore[reportUnknownArgumentType] - paho's is untyped
