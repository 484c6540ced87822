"""A webhook receiver on this machine that answers as a test tells it, and keeps what it got."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: after `wait` seconds, with more headers if any; `hang` never answers."""

    status: int = 204
    wait: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hang: bool = False


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Hook:
    """Requests in order of arrival; `answer` may be replaced while it runs."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.port = 0
        self.answer: Callable[[Got], Answer] = lambda _: Answer()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def answers(self, *statuses: int) -> None:
        """Answer with these in turn, then with 204."""
        left = list(statuses)
        self.answer = lambda _: Answer(left.pop(0) if left else 204)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._one(reader, writer)
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Got(head[0].split(" ")[1], headers, body, asyncio.get_running_loop().time())
        self.got.append(request)
        answer = self.answer(request)
        await asyncio.sleep(3600 if answer.hang else answer.wait)
        more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        head_out = f"HTTP/1.1 {answer.status} x\r\ncontent-length: 2\r\n{more}\r\n"
        if answer.status == 204:  # which has no body
            head_out = f"HTTP/1.1 204 x\r\n{more}\r\n"
        writer.write(head_out.encode() + (b"" if answer.status == 204 else b"ok"))
        await writer.drain()


@asynccontextmanager
async def hook() -> AsyncGenerator[Hook]:
    made = Hook()
    tasks = set[asyncio.Task[None]]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(made.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next turn
        await server.wait_closed()
