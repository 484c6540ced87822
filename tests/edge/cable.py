"""A way between the box and its broker that a test can break."""

import asyncio
from contextlib import suppress
from typing import Self


class Cable:
    """A way to the broker that can be cut, or swallow everything and say nothing.

    The first is what a broken cable does, the second what a dead router does; `deaf` swallows what
    the broker says, so that what the box sends arrives and nothing comes back.
    """

    def __init__(self, port: int) -> None:
        self.swallowing = False
        self.broken = False
        self.deaf = False
        self.opened = 0
        self.port = 0
        self._to = port
        self._ways = set[asyncio.Task[None]]()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._through, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def cut(self) -> None:
        """Nothing gets through any more, and what was open is gone."""
        self.broken = True
        for way in self._ways:
            way.cancel()

    def mend(self) -> None:
        self.broken = False

    async def _through(self, box: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if self.broken:
            back.close()
            return
        self.opened += 1
        broker, on = await asyncio.open_connection("127.0.0.1", self._to)
        for source, sink in ((box, on), (broker, back)):
            way = asyncio.create_task(self._pass(source, sink, to_box=sink is back))
            self._ways.add(way)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, to_box: bool
    ) -> None:
        try:
            while said := await source.read(65_536):
                if not self.swallowing and not (to_box and self.deaf):
                    sink.write(said)
        finally:
            sink.close()
            with suppress(OSError):
                await sink.wait_closed()
