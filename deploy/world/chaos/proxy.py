"""A wire that can be spoiled: a TCP proxy that cuts, slows, half-closes, swallows and tears."""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

_CHUNK = 16_384
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST, as a machine that lost its power seems to."""


@dataclass(eq=False, slots=True, kw_only=True)
class _Link:
    """One connection through the proxy: both ends, and who carries bytes each way."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def reset(self) -> None:
        """End both connections at once; what was on its way is lost."""
        for pump in self.pumps:
            pump.cancel()
        for writer in (self.near, self.far):
            abort(writer)


class Proxy:
    """Forwards to one port of this machine, honestly until it is told otherwise."""

    def __init__(self, target: int, rng: random.Random) -> None:
        self.port = 0
        self._target = target
        self._rng = rng
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._lag = (0.0, 0.0)
        self._tears = 0
        self._refuses = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Reset every connection."""
        for link in tuple(self._links):
            link.reset()

    def cut_one(self) -> None:
        """Reset one connection, if there is any."""
        if self._links:
            self._rng.choice(sorted(self._links, key=id)).reset()

    def half_close(self) -> None:
        """Say to one end of each connection that the other has finished; it has not."""
        for link in tuple(self._links):
            way = self._rng.randrange(2)
            link.pumps[way].cancel()
            with contextlib.suppress(OSError, RuntimeError):
                (link.far, link.near)[way].write_eof()

    def tear(self) -> None:
        """Of the next packet on any connection only the first half arrives, and nothing after."""
        self._tears = 1

    async def slow(self, seconds: float) -> None:
        """Carry every packet late for a while, each by its own delay of up to 0.4 s."""
        self._lag = (0.02, 0.4)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._lag = (0.0, 0.0)

    async def swallow(self, seconds: float, *, then_cut: bool) -> None:
        """Carry nothing for a while, though connections stand and new ones are accepted.

        Afterwards all goes on where it stood, or every connection is reset with what it held.
        """
        self._flows.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            if then_cut:
                self.cut()
            self._flows.set()

    async def refuse(self, seconds: float) -> None:
        """Reset every connection and each new one for a while."""
        self._refuses = True
        self.cut()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._refuses = False

    async def _serve(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._refuses:
            abort(near)
            return
        try:
            back, far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            abort(near)
            return
        link = _Link(near=near, far=far)
        self._links.add(link)
        link.pumps += [
            asyncio.create_task(self._pump(reader, far, link)),
            asyncio.create_task(self._pump(back, near, link)),
        ]
        try:
            await asyncio.wait(link.pumps)
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._flows.wait()
                if self._lag[1]:
                    await asyncio.sleep(self._rng.uniform(*self._lag))
                if self._tears and len(data) > 1:
                    self._tears -= 1
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    asyncio.get_running_loop().call_soon(link.reset)
                    return
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            link.reset()


def abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
