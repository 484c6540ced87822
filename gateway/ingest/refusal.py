"""What the database or our code refuses: cut until only the guilty frames are left, then aside.

Their numbers enter the ledger, or the box would send them for ever and nothing behind them.
"""

import json
from collections.abc import Mapping

from adapters.frame import encode_frame
from gateway.ingest import said, unread
from gateway.ingest.batches import Arrival, SpoiledFrame, read_batch
from gateway.ingest.harvest import Harvest
from gateway.ingest.known import Picture
from gateway.store.known import Edge
from gateway.store.quarantine import Counted
from gateway.store.ranges import add, minus
from gateway.store.streams import Pending, Stream


def halves(arrival: Arrival) -> tuple[Arrival, Arrival]:
    """The same frames under the same numbers, as two messages. Of two frames at least."""
    said = json.loads(arrival.payload)
    frames, middle = said["frames"], len(arrival.frames) // 2
    first = said | {"frames": frames[:middle]}
    second = said | {
        "frames": frames[middle:],
        "first": arrival.batch.first + middle,
        "gone": [],
    }
    return _message(arrival.topic, first), _message(arrival.topic, second)


def together(told: Mapping[str, bytes], more: Mapping[str, bytes]) -> dict[str, bytes]:
    """The receipts of two transactions: of one box, what both say, the later of the same stream."""
    both = dict(told)
    for topic, receipt in more.items():
        said = json.loads(receipt)
        if topic in told:
            said["streams"] = json.loads(told[topic])["streams"] | said["streams"]
        both[topic] = json.dumps(said, separators=(",", ":")).encode()
    return both


def _message(topic: str, said: dict[str, object]) -> Arrival:
    return read_batch(topic, json.dumps(said, separators=(",", ":")).encode())


class Refusing(Harvest):
    """Reads nothing: every new frame is set aside as `refused`, with the fault in words."""

    def __init__(self, picture: Picture, now_ms: int, *, driven: bool, fault: str) -> None:
        super().__init__(picture, now_ms, driven=driven)
        self._fault = fault
        self._ours = {address for address, device in picture.devices.items() if device is not None}

    def take(self, arrival: Arrival, edge: Edge, stream: Stream, number: int) -> None:
        new = minus((arrival.batch.first, arrival.last), stream.received) if arrival.frames else []
        if new:
            self.messages.append((self._now, stream.id, number, arrival.payload))
        for part in new:
            add(stream.received, part)
            for sequence in range(part[0], part[1] + 1):
                self._refuse(arrival, edge, sequence, number)
            self.pending.append(
                Pending(
                    municipality=stream.key.municipality,
                    stream=stream.id,
                    range=part,
                    batch=number,
                    earliest=self._now,
                    latest=self._now,
                    citizens=(),
                )
            )

    def _refuse(self, arrival: Arrival, edge: Edge, sequence: int, number: int) -> None:
        frame = arrival.frames[sequence - arrival.batch.first]
        device, payload = "", b""
        if isinstance(frame, SpoiledFrame):
            payload = frame.payload
        elif (edge.municipality, frame.device) in self._ours or said.is_of(frame, edge):
            device, payload = frame.device, encode_frame(frame).encode()
        else:
            self.counted[
                Counted(edge.municipality, arrival.topic, frame.device[:64], "unknown_device")
            ] += 1
            return
        self.aside.append(
            unread.aside(
                arrival,
                edge,
                number=number,
                now_ms=self._now_ms,
                sequence=sequence,
                device=device,
                reason="refused",
                detail=self._fault,
                payload=payload,
            )
        )
