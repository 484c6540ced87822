"""The table of rights as a page: who may see what, the same that the database keeps to."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from gateway.store.caller import Caller
from gateway.store.rights import CLASSES, LEVELS, ROLES, DataClass, Level
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import rendered
from gateway.web.words import ROLE

CLASS: Mapping[DataClass, str] = {
    "alert": "Alarmer",
    "observation": "Målinger (puls, døre, doser)",
    "identity": "Navn, adresse, telefon, adgang og pårørende",
    "citizen": "At borgeren findes",
    "home": "Hjem",
    "device": "Enheder",
    "signal": "Bokse og forbindelse",
    "placement": "Hvor enheder er placeret",
    "dose_plan": "Doseringsplaner",
    "person": "Kolleger",
    "access": "Roller og adgange",
    "log": "Hvem har set hvem",
    "key": "API-nøgler og nødkonti",
    "workload": "Arbejdsmængde",
    "emergency": "Nødåbning af en borger",
    "operation": "Driften af Trygport",
}
LEVEL: Mapping[Level, str] = {
    "nothing": "intet",
    "pseudonym": "kun nummer",
    "reading": "læse",
    "all": "læse og ændre",
}


def add_rights(router: APIRouter, door: Door) -> None:
    """The page, for everybody who is signed in: what a role may is no secret."""
    asking = Depends(door.caller)

    @router.get("/rettigheder")
    async def page(request: Request, caller: Annotated[Caller, asking]) -> Response:
        roles = sorted(ROLES, key=lambda role: role != caller.role)  # one's own beside the data
        return rendered(
            "rights.html",
            menu=menu(door, request, caller),
            mine=ROLE[caller.role],
            roles=[{"name": ROLE[role], "mine": role == caller.role} for role in roles],
            lines=[
                {
                    "name": CLASS[kind],
                    "cells": [
                        {"text": LEVEL[LEVELS[role, kind]], "mine": role == caller.role}
                        for role in roles
                    ],
                }
                for kind in CLASSES
            ],
        )
