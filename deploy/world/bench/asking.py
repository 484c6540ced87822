"""Asks an HTTP server the same few questions over and over, as cheaply as a sender can."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_LENGTH = b"content-length:"


class BadAnswer(Exception):
    """The server did not answer 200; the text has its status line."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """What was asked: milliseconds of each answer, and the seconds that it all took."""

    ms: list[float] = field(default_factory=list[float])
    seconds: float = 0.0

    @property
    def per_s(self) -> float:
        return len(self.ms) / self.seconds

    @property
    def p95(self) -> float:
        """Milliseconds within which 95 of 100 were answered."""
        return sorted(self.ms)[int(len(self.ms) * 0.95)]


async def ask(
    port: int, paths: Sequence[str], keys: Sequence[str], *, seconds: float, most: int | None = None
) -> Asked:
    """One connection for each key, all at once, each path in turn. Raises BadAnswer."""
    done, begun = Asked(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(_asks(port, paths, key, done, until=begun + seconds, most=most))
    done.seconds = time.monotonic() - begun
    return done


async def _asks(
    port: int, paths: Sequence[str], key: str, done: Asked, *, until: float, most: int | None
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        for path in paths
    ]
    count = 0
    while time.monotonic() < until and (most is None or count < most):
        begun = time.monotonic()
        writer.write(requests[count % len(requests)])
        await _answer(reader)
        done.ms.append((time.monotonic() - begun) * 1_000)
        count += 1
    writer.close()
    await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    length = next(int(line[len(_LENGTH) :]) for line in headers if line.lower().startswith(_LENGTH))
    body = await reader.readexactly(length)
    if b" 200 " not in status:
        raise BadAnswer(f"{status.decode()}: {body[:200].decode()}")
