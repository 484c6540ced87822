"""What the screens need from whoever lets people in; they do not know that room."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from fastapi import Request, Response

from gateway.store.caller import Caller
from gateway.store.pool import Pool
from gateway.web.beginning_door import Beginning

Refused = Callable[[Request, int, str | None, str | None], Response]
"""Of the request, the status, the problem's kind and the seconds to wait: a page."""


class Door(Protocol):
    """Handed over when the screens are made."""

    @property
    def pool(self) -> Pool: ...

    @property
    def beginning(self) -> Beginning:
        """How an empty system is begun."""
        ...

    @property
    def days_to_keep(self) -> float:
        """How long a box should keep what it has sent, in days."""
        ...

    refused: Refused | None
    """How a refusal is drawn for a person; set by the screens."""

    def now(self) -> datetime: ...

    @property
    def caller(self) -> Callable[..., Awaitable[Caller]]:
        """The dependency that says who asks; the guard has let them in already."""
        ...

    def may(self, caller: Caller, way: str) -> bool:
        """Whether this caller comes through that route, such as "GET /konto"; no such route: no."""
        ...

    def token(self, request: Request) -> str:
        """The word that this page's forms must bring."""
        ...

    def wait(self, request: Request, login: str) -> int:
        """Seconds until this login may be tried again; 0 when it may be now, which is counted."""
        ...

    @property
    def by_provider(self) -> bool:
        """Whether people sign in by the municipality's provider."""
        ...

    async def enter(self, request: Request, login: str, password: str, code: str) -> str | None:
        """The cookie of a new session, or None: unknown and wrong are one answer."""
        ...

    async def depart(self, request: Request) -> tuple[str, str] | None:
        """The provider's address, and the word that the browser must keep; None: not now."""
        ...

    async def arrive(
        self, request: Request, *, code: str, state: str, sent_by: str | None
    ) -> str | None:
        """The cookie of a new session for who comes back from the provider; None: refused."""
        ...

    def browser_cookie(self, request: Request) -> str:
        """The name of the cookie that binds a sign-in by the provider to its browser."""
        ...

    async def leave(self, request: Request) -> None:
        """Ends the session."""
        ...

    def cookie(self, request: Request) -> str:
        """The name under which the browser keeps the cookie."""
        ...
