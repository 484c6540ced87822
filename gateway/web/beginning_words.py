"""The Danish of the first hour: what each step is, and what it lacks."""

from collections.abc import Mapping

from gateway.store.beginning import Progress, Step
from gateway.store.caller import Role
from gateway.store.register.lines import BASES, ROLES
from gateway.store.register.rows import State

TITLE: Mapping[Step, str] = {
    "administrator": "Administrator",
    "municipality": "Kommunen",
    "districts": "Distrikter",
    "team": "Et hold",
    "people": "En kollega, der tager alarmer",
    "citizen": "Den første borger",
    "box": "Den første boks",
    "device": "Den første enhed",
    "alert": "Den første alarm",
}

NEXT: Mapping[Step, str] = {
    "administrator": "Ingen administrator endnu. Kommandoen gateway begin laver et link.",
    "municipality": "Kommunen er ikke oprettet.",
    "districts": "Skriv de distrikter, hjemmeplejen er delt i.",
    "team": "Opret det hold, der skal tage alarmerne.",
    "people": "Opret en kollega, som kan logge ind og tage alarmer.",
    "citizen": "Opret den første borger med sin bolig.",
    "box": "Lav en boks til boligen. Du får en kode, som boksen kobler sig til med.",
    "device": "Placér den første enhed, for eksempel et nødkald.",
    "alert": "Tryk på nødkaldet i boligen. Alarmen står straks på tavlen.",
}

GIVEN_ROLES: Mapping[Role, str] = {
    "staff": "Plejepersonale: ser og tager alarmer",
    "planner": "Planlægger: registrerer borgere og enheder",
    "technician": "Tekniker: bokse og enheder, ingen navne",
    "clinical_owner": "Fagligt ansvarlig",
    "leader": "Leder",
    "auditor": "Revisor",
    "administrator": "Administrator",
}
"""What a colleague may be made here; programs are given keys elsewhere."""

DEVICE_ROLES = [(word, word.capitalize()) for word in ROLES]
LEGAL: Mapping[str, str] = {
    "samtykke": "Borgerens samtykke",
    "sel-128a": "Serviceloven § 128 a",
    "sel-128b": "Serviceloven § 128 b",
    "ældreloven": "Ældreloven",
    "sul-138": "Hjemmesygepleje (sundhedsloven § 138)",
}
BASIS = [(word, LEGAL[word]) for word in BASES]
MODELS = [
    ("call_button", "Nødkaldsknap"),
    ("bthome", "BTHome (knap, dør, bevægelse)"),
    ("thermometer", "Termometer"),
    ("blood_pressure", "Blodtryksmåler"),
    ("pulse_oximeter", "Iltmåler på finger (pulsoximeter)"),
    ("weight_scale", "Vægt"),
    ("body_composition", "Vægt, der måler muskler og vand"),
    ("glucose", "Blodsukkermåler"),
    ("heart_rate", "Pulsmåler"),
    ("dispenser", "Medicindispenser"),
    ("", "En anden"),
]

ROW: Mapping[State, str] = {
    "new": "ny",
    "changed": "ændret",
    "same": "uændret",
    "refused": "afvist",
}
COUNTED: Mapping[State, str] = {
    "new": "nye",
    "changed": "ændrede",
    "same": "uændrede",
    "refused": "afviste",
}


def state(at: Progress, step: Step) -> str:
    """Where the step stands, in a few words."""
    done: Mapping[Step, str] = {
        "administrator": _some(at.administrators, "administrator", "administratorer"),
        "municipality": at.municipality,
        "districts": _some(at.districts, "distrikt", "distrikter"),
        "team": _some(at.teams, "hold", "hold"),
        "people": _some(at.colleagues, "kollega", "kolleger"),
        "citizen": _some(at.citizens, "borger", "borgere"),
        "box": _some(at.heard, "boks har haft kontakt", "bokse har haft kontakt"),
        "device": _some(at.placed, "enhed er placeret", "enheder er placeret"),
        "alert": _some(at.alerts, "alarm er modtaget", "alarmer er modtaget"),
    }
    return done[step]


def lacking(at: Progress, step: Step) -> str:
    """What a step that is not done needs next."""
    if step == "box" and at.joined:
        return "Boksen er koblet til, men har ikke haft kontakt endnu. Er den tændt (edge run)?"
    if step == "box" and at.boxes:
        return "Boksen er lavet. På boksen mangler nu: edge join KODE, og derefter edge run."
    if step == "alert" and at.alerts:
        return "Alarmen er modtaget. Nu skal en kollega logge ind og trykke »Tag alarmen«."
    return NEXT[step]


def _some(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
