"""A plain MQTT 5 client for the tests of the broker: it waits, and tells the reason codes."""

import queue
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

SOON = 5.0
"""Seconds within which a broker on this machine has answered."""
QUIET = 0.5
"""Seconds after which nothing more is expected."""


class Client:
    """Connected, and remembering what it heard."""

    def __init__(self, client: paho.Client) -> None:
        self.client = client
        self.refused: queue.Queue[ReasonCode] = queue.Queue()
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[ReasonCode] = queue.Queue()
        self.subscribed = threading.Event()
        client.on_connect = self._connected
        client.on_message = self._message
        client.on_publish = self._published
        client.on_subscribe = self._subscribed

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """Publish at QoS 1 and wait for the broker's word about it."""
        self.client.publish(topic, payload, qos=1, retain=retain)
        return str(self.answers.get(timeout=SOON))

    def subscribe(self, topic: str) -> None:
        self.subscribed.clear()
        self.client.subscribe(topic, qos=1)
        assert self.subscribed.wait(SOON)

    def hears(self) -> tuple[str, bytes]:
        return self.heard.get(timeout=SOON)

    def hears_nothing(self) -> bool:
        try:
            self.heard.get(timeout=QUIET)
        except queue.Empty:
            return True
        return False

    def _connected(
        self, _c: paho.Client, _u: object, _f: object, code: ReasonCode, _p: Properties | None
    ) -> None:
        self.refused.put(code)

    def _message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        self.heard.put((message.topic, bytes(message.payload)))

    def _published(
        self, _c: paho.Client, _u: object, _m: int, code: ReasonCode, _p: Properties | None
    ) -> None:
        self.answers.put(code)

    def _subscribed(self, _c: paho.Client, _u: object, _m: int, _codes: object, _p: object) -> None:
        self.subscribed.set()


@contextmanager
def connected(
    port: int, user: str, password: str, *, client_id: str = "", ca: Path | None = None
) -> Generator[Client]:
    """A client that was let in; raises ConnectionRefusedError with the broker's reason."""
    bare = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id or user, protocol=paho.MQTTv5
    )
    bare.username_pw_set(user, password)
    if ca is not None:
        bare.tls_set(ca_certs=str(ca))  # pyright: ignore[reportUnknownMemberType] -- typed by halves
    client = Client(bare)
    bare.connect("127.0.0.1", port)
    bare.loop_start()
    try:
        code = client.refused.get(timeout=SOON)
        if code.is_failure:
            raise ConnectionRefusedError(str(code))
        yield client
    finally:
        bare.disconnect()
        bare.loop_stop()
