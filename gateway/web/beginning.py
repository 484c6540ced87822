"""The page behind the one-time link: municipality, districts and the first administrator."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from pydantic import BaseModel, Field

from gateway.store.beginning import First, LinkRefused, Password
from gateway.store.people import LoginTaken
from gateway.store.register.cpr import is_like_cpr
from gateway.store.secrets import SHORTEST_PASSWORD, hash_password
from gateway.store.totp import address_for_phone, matching_step, new_totp_secret
from gateway.web.cookies import let_in, over_tls
from gateway.web.door import Door
from gateway.web.pages import rendered
from gateway.web.words import wait

PATH, NEXT = "/begynd", "/opsaetning"
_LONGEST = 200
_LONGEST_NAME, _MOST_DISTRICTS = 100, 50
_COOKIE_LIFE = 60 * 60
_LOGIN = re.compile(r"[a-z0-9@._-]{1,100}", re.ASCII)

Errors = dict[str, str]
"""What is wrong with a field, in words for beside it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the browser keeps while the form is filled in: the link's code, the phone's secret."""

    code: str
    factor: bytes

    @property
    def text(self) -> str:
        return f"{self.code}.{base64.b32encode(self.factor).decode()}"


class Sent(BaseModel):
    """The form as it was sent; `password` and `code` are never sent back."""

    municipality: str = Field(default="", max_length=_LONGEST)
    districts: str = Field(default="", max_length=10_000)
    name: str = Field(default="", max_length=_LONGEST)
    login: str = Field(default="", max_length=_LONGEST)
    password: str = Field(default="", max_length=_LONGEST)
    code: str = Field(default="", max_length=_LONGEST)
    csrf: str = Field(default="", max_length=_LONGEST)


def add_beginning(router: APIRouter, door: Door) -> None:
    """The page that needs no session, because nobody can have one yet."""
    begin = _Begin(door)

    @router.get(PATH)
    async def show(request: Request, kode: str = "") -> Response:
        return await (begin.come(request, kode) if kode else begin.ask(request))

    @router.post(PATH)
    async def make(request: Request, sent: Annotated[Sent, Form()]) -> Response:
        return await begin.make(request, sent)


class _Begin:
    """Draws the page and does what it asks for."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def come(self, request: Request, code: str) -> Response:
        """The link was opened: its code leaves the address bar and the history at once."""
        if refused := await self._refused(request, code):
            return refused
        kept = self._kept(request)
        if kept.code != code:  # a second tab goes on with the picture and the word of the first
            kept = Kept(code, new_totp_secret())
        out = RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        out.set_cookie(
            self._door.beginning.cookie(request),
            kept.text,
            max_age=_COOKIE_LIFE,
            secure=over_tls(request),
            httponly=True,
            samesite="lax",
        )
        return out

    async def ask(self, request: Request) -> Response:
        kept = self._kept(request)
        if refused := await self._refused(request, kept.code):
            return refused
        return self._form(request, kept, Sent(), {})

    async def make(self, request: Request, sent: Sent) -> Response:
        kept = self._kept(request)
        if refused := await self._refused(request, kept.code):
            return refused
        if not self._door.beginning.is_ours(request, sent.csrf):
            return _gone(HTTPStatus.FORBIDDEN)
        step = matching_step(kept.factor, sent.code, self._door.now(), after=0)
        if errors := _errors(sent, step, needs_code=self._door.beginning.needs_code):
            return self._form(request, kept, sent, errors)
        first = First(
            municipality=sent.municipality.strip(),
            districts=lines(sent.districts),
            name=sent.name.strip(),
            login=known_as(sent.login),
            password=Password(
                await hash_password(sent.password), kept.factor if step else None, step or 0
            ),
        )
        try:
            cookie = await self._door.beginning.begin(kept.code, first)
        except LinkRefused:
            return _gone()
        except LoginTaken:
            taken = {"login": "Det brugernavn er i brug. Vælg et andet."}
            return self._form(request, kept, sent, taken)
        out = let_in(request, self._door, cookie, NEXT)
        self._forget(request, out)
        return out

    async def _refused(self, request: Request, code: str) -> Response | None:
        if seconds := self._door.beginning.wait(request):
            out = _gone(HTTPStatus.TOO_MANY_REQUESTS, wait(seconds))
            out.headers["Retry-After"] = str(seconds)
            return out
        if await self._door.beginning.opens(request, code):
            return None
        out = _gone()
        self._forget(request, out)
        return out

    def _kept(self, request: Request) -> Kept:
        """A cookie that is not as we made it holds nothing."""
        text = request.cookies.get(self._door.beginning.cookie(request), "")
        code, _, factor = text.partition(".")
        try:
            return Kept(code, base64.b32decode(factor))
        except (binascii.Error, ValueError):
            return Kept("", b"")

    def _forget(self, request: Request, out: Response) -> None:
        out.delete_cookie(
            self._door.beginning.cookie(request), secure=over_tls(request), httponly=True
        )

    def _form(
        self, request: Request, kept: Kept, sent: Sent, errors: Mapping[str, str]
    ) -> Response:
        address = address_for_phone(kept.factor, known_as(sent.login) or "administrator")
        return rendered(
            "beginning.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
            sent=sent,
            errors=errors,
            token=self._door.beginning.token(request),
            needs_code=self._door.beginning.needs_code,
            shortest=SHORTEST_PASSWORD,
            address=address,
            picture=picture(address),
        )


def picture(address: str) -> Markup:
    """The address as a code that a phone's camera reads: our own bytes, and no script."""
    made = segno.make(address, error="m", micro=False)
    return Markup(made.svg_inline(scale=4, border=4, light="#fff", svgclass="code"))  # noqa: S704


def known_as(login: str) -> str:
    """A login as it is kept: a phone's keyboard begins with a capital."""
    return login.strip().lower()


def text_error(text: str, *, needed: str = "", longest: int = _LONGEST_NAME) -> str:
    """What is wrong with a field of one line; empty when nothing is."""
    plain = text.strip()
    if not plain:
        return needed
    if len(plain) > longest:
        return f"Højst {longest} tegn."
    if any(ord(letter) < ord(" ") or letter == "\x7f" for letter in plain):
        return "Feltet har tegn, der ikke kan læses."
    if is_like_cpr(plain):
        return "Feltet ligner et CPR-nummer, og det må ikke stå her."
    return ""


def login_error(login: str) -> str:
    """What is wrong with a login."""
    if not login.strip():
        return "Skriv et brugernavn."
    if not _LOGIN.fullmatch(known_as(login)):
        return "Brug kun a-z, tal, punktum, bindestreg, understreg og @."
    return "Et CPR-nummer må ikke være brugernavn." if is_like_cpr(login) else ""


def districts_error(text: str) -> str:
    """What is wrong with a field of districts, one a line."""
    told = lines(text)
    if not told:
        return "Skriv mindst ét distrikt."
    if len(told) > _MOST_DISTRICTS:
        return f"Højst {_MOST_DISTRICTS} distrikter her."
    return next((error for line in told if (error := text_error(line))), "")


def _errors(sent: Sent, step: int | None, *, needs_code: bool) -> Errors:
    found = {
        "municipality": text_error(sent.municipality, needed="Skriv kommunens navn."),
        "districts": districts_error(sent.districts),
        "name": text_error(sent.name, needed="Skriv dit navn."),
        "login": login_error(sent.login),
        "password": _password_error(sent),
        "code": _code_error(sent.code, step, needs_code=needs_code),
    }
    return {field: error for field, error in found.items() if error}


def _password_error(sent: Sent) -> str:
    if len(sent.password) < SHORTEST_PASSWORD:
        return f"Mindst {SHORTEST_PASSWORD} tegn."
    easy = {known_as(sent.login), sent.name.strip().lower(), sent.municipality.strip().lower()}
    return "Vælg en, der ikke er dit eget navn." if sent.password.lower() in easy else ""


def _code_error(code: str, step: int | None, *, needs_code: bool) -> str:
    if step is not None or (not code.strip() and not needs_code):
        return ""
    if not code.strip():
        return "Skriv koden, som telefonen viser."
    return "Koden passer ikke. Vent på den næste, og skriv den."


def lines(text: str) -> list[str]:
    """Each line that says something, once."""
    return list(dict.fromkeys(plain for line in text.splitlines() if (plain := line.strip())))


def _gone(status: HTTPStatus = HTTPStatus.GONE, message: str = "") -> Response:
    return rendered("beginning_gone.html", status, message=message)
