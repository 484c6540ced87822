"""A gateway's HTTPS for boxes, with the real authority behind it: for the box's side of joining."""

import json
import ssl
import threading
from base64 import b64decode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gateway.edges import code
from gateway.edges.authority import Authority, BadRequest, begin

EDGE = "box-2f3c7a524d7e4c54"
SECRET = "7K3M9QXA2BCD"  # noqa: S105 - of this file's own gateway
BROKER = "mqtts://broker.example:8883"


@dataclass
class JoinServer:
    """Grants what is asked, or answers `status` and `body`; remembers what it was told."""

    authority: Authority
    status: int = 201
    body: bytes | None = None
    edge: str = EDGE
    broker: str = BROKER
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it signs."""
    address: str = ""
    busy: list[str | None] = field(default_factory=list[str | None])
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])

    def code(self, *, fingerprint: str = "", address: str = "") -> str:
        return code.make(address or self.address, SECRET, fingerprint or self.authority.fingerprint)

    def answer(self, path: str, asked: dict[str, Any]) -> tuple[int, bytes]:
        self.told.append((path, asked))
        if self.body is not None:
            return self.status, self.body
        try:
            if path == "/edges/renew":
                proof = b64decode(asked["proof"])
                self.authority.presented(asked["certificate"], asked["request"], proof)
            made = self.authority.certify_box(asked["request"], self.edge, self.now)
        except BadRequest as bad:
            return 422, json.dumps({"detail": str(bad)}).encode()
        granted = {
            "format": 2,
            "edge": self.edge,
            "broker": self.broker,
            "authority": self.authority.root_pem,
            "certificate": made.pem,
            "renew": int(made.renew.timestamp()),
            "expires": int(made.expires.timestamp()),
        }
        return self.status, json.dumps(granted).encode()


@contextmanager
def serving(folder: Path, **how: Any) -> Generator[JoinServer]:
    """Such a server with an authority of its own in the folder, or with the one that is there."""
    place = folder / "authority"
    if not (place / "root.pem").exists():
        names = ["127.0.0.1"]
        begin(place, broker_names=names, edge_names=names, now=datetime.now(UTC) - DAY)
    made = JoinServer(Authority.read(place), **how)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "https.pem", place / "https.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


DAY = timedelta(days=1)


def _handler(gateway: JoinServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, gateway.authority.root_pem.encode())

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if gateway.busy:
                gateway.told.append((self.path, asked))
                self._send(429, b"", after=gateway.busy.pop(0))
            else:
                self._send(*gateway.answer(self.path, asked))

        def _send(self, status: int, body: bytes, *, after: str | None = None) -> None:
            self.send_response(status)
            if after is not None:
                self.send_header("Retry-After", after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
            pass

    return Handler
