"""Around every answer: the headers that keep browsers safe, one log line, one measurement."""

import time
from collections.abc import Mapping

from prometheus_client import Histogram
from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import log
from gateway.health import Health

_SAFETY: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_TLS_ONLY = "max-age=31536000"

_log = log.get(__name__)


class Headers:
    """Wraps the whole application, so that its own failures pass here too."""

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._seconds: Histogram = health.histogram(
            "http_request_seconds", "Time to answer a request", ["method", "route", "status"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                _add(MutableHeaders(scope=message), tls=scope["scheme"] == "https")
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """The route's pattern, never the address asked for: that may hold anything."""
        route = scope.get("route")
        path = route.path if isinstance(route, Route) else "-"
        method = scope["method"] if path != "-" else "-"  # a made-up method is no label
        self._seconds.labels(method, path, str(status)).observe(seconds)
        _log.info("answered", method=method, route=path, status=status, ms=round(seconds * 1000, 1))


def _add(headers: MutableHeaders, *, tls: bool) -> None:
    for name, value in _SAFETY.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
    if tls:
        headers["Strict-Transport-Security"] = _TLS_ONLY
