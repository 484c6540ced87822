"""Makes ready batches in a process of its own: `… making SHAPE I OF AT_ONCE`.

Of AT_ONCE homes, which are connected at a time, the first message of each, then the second, and so
on; then of the next homes. Each is one record on standard output. A pipe that is full holds it
back, so no more lies in memory than the reader wants.
"""

import json
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

from deploy.world.bench.load import COLUMNS, Message, Shape, messages

HEAD = struct.Struct("<IIHH")
"""Home, bytes of the packet, frames, observations; then the tally, then the packet."""
TALLY = COLUMNS * 4


def record(home: int, message: Message) -> bytes:
    """One message as it goes through the pipe."""
    head = HEAD.pack(home, len(message.packet), message.frames, message.observations)
    return head + message.tally + message.packet


def records(buffer: bytes) -> tuple[list[tuple[int, Message]], bytes]:
    """The whole records at the start of what was read, and the rest."""
    found: list[tuple[int, Message]] = []
    at, end = 0, len(buffer)
    while at + HEAD.size + TALLY <= end:
        home, length, frames, observations = HEAD.unpack_from(buffer, at)
        tally = at + HEAD.size
        packet = tally + TALLY
        if packet + length > end:
            break
        at = packet + length
        message = Message(buffer[packet:at], frames, observations, buffer[tally:packet])
        found.append((home, message))
    return found, buffer[at:]


def shape_to_text(shape: Shape) -> str:
    """The shape as a word of a command line."""
    return json.dumps(asdict(shape))


def shape_from_text(text: str) -> Shape:
    """The other way round."""
    return Shape(**json.loads(text))


def made(shape: Shape, part: int, of: int, at_once: int) -> Iterator[bytes]:
    now, end = time.time_ns() // 1_000_000, shape.first + shape.homes
    for start in range(shape.first, end, at_once):
        numbers = range(start + part, min(start + at_once, end), of)
        homes = [(home, messages(shape, home, now)) for home in numbers]
        for _ in range(shape.messages):
            for home, told in homes:
                yield record(home, next(told))


def _main() -> None:
    text, part, of, at_once = sys.argv[1:]
    for one in made(shape_from_text(text), int(part), int(of), int(at_once)):
        sys.stdout.buffer.write(one)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        _main()
    except BrokenPipeError:
        sys.stderr.close()  # the reader has enough; nothing to say about it
