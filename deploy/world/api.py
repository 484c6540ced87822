"""The public HTTP API as the demo and the tests use it: nothing here knows the database."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast

import httpx2

Json = dict[str, Any]

_AGAIN = 0.1


class ApiRefused(Exception):
    """The gateway answered with a problem document; the text is its title and detail."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem


class Api:
    """One caller with an API key."""

    def __init__(self, address: str, key: str) -> None:
        self._http = httpx2.AsyncClient(
            base_url=address, headers={"authorization": f"Bearer {key}"}, timeout=30
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Json:  # noqa: ANN401 - httpx reads them
        """GET one answer. Raises ApiRefused."""
        return _body(await self._http.get(path, params=query))

    async def post(self, path: str, body: Json | None = None) -> Json:
        """POST one body. Raises ApiRefused."""
        return _body(await self._http.post(path, json=body or {}))

    async def put(self, path: str, body: Json) -> Json:
        """PUT one body. Raises ApiRefused."""
        return _body(await self._http.put(path, json=body))

    async def all(self, path: str, **query: Any) -> list[Json]:  # noqa: ANN401 - as in get
        """Every item of a list, page by page."""
        name, found, after = path.rsplit("/", 1)[-1], list[Json](), None
        while True:
            page = await self.get(path, **query, **({"after": after} if after else {}))
            found += cast("list[Json]", page[name])
            after = page["next"]
            if after is None:
                return found

    async def alerts(self, **query: Any) -> list[Json]:  # noqa: ANN401 - as in get
        """Every alert that the caller may see, newest first."""
        return await self.all("/alerts", limit=200, **query)

    async def until(
        self, enough: Callable[[Sequence[Json]], bool], *, seconds: float
    ) -> list[Json]:
        """Ask for the alerts until `enough` says so or time is up; the last answer."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            found = await self.alerts()
            if enough(found) or asyncio.get_running_loop().time() >= end:
                return found
            await asyncio.sleep(_AGAIN)

    async def all_in_contact(self, *, seconds: float) -> None:
        """Wait until every box that joined is in contact. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while await self._without_contact():  # noqa: ASYNC110 - the API has no bell for it
                await asyncio.sleep(_AGAIN)

    async def new_home(self, *, district: str, zone: str, name: str, address: str = "") -> Json:
        """A home with one citizen."""
        citizen = {"name": name, "address": address}
        return await self.post(
            "/homes", {"district": district, "zone": zone, "citizens": [citizen]}
        )

    async def _without_contact(self) -> list[Json]:
        edges = await self.all("/edges", limit=200)
        return [edge for edge in edges if edge["joined"] and not edge["contact"]]

    async def place(
        self,
        address: str,
        *,
        model: str,
        citizen: str,
        role: str,
        room: str,
        legal_basis: str = "samtykke",
        **more: Any,  # noqa: ANN401 - `from` and `dose_plan`, as the API takes them
    ) -> Json:
        """Register a device and place it; the placement, whose `device` is the device's id."""
        device = await self.post("/devices", {"address": address, "model": model})
        wanted = {"citizen": citizen, "role": role, "room": room, "legal_basis": legal_basis}
        return await self.post(f"/devices/{device['id']}/placements", wanted | more)


def _body(answer: httpx2.Response) -> Json:
    if answer.is_error:
        try:
            problem = answer.json()
        except ValueError:
            problem = {"title": answer.reason_phrase, "detail": answer.text[:200]}
        raise ApiRefused(answer.status_code, cast("Json", problem))
    return cast("Json", answer.json())
