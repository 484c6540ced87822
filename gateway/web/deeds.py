"""What the access log says that somebody did, in a nurse's words; every code has its own."""

from collections.abc import Mapping

_THING: Mapping[str, str] = {
    "district": "et distrikt",
    "team": "et team",
    "home": "en bolig",
    "citizen": "borgeren",
    "person": "en medarbejder",
}
_DONE: Mapping[str, str] = {
    "added": "oprettede",
    "changed": "ændrede",
    "shown": "så oplysninger om",
    "taken_away": "fjernede",
}

WHAT: Mapping[str, str] = {
    "alerts.listed": "så listen over alarmer",
    "alert.seen": "så en alarm",
    "alert.take": "tog en alarm",
    "alert.set_out": "meldte på vej",
    "alert.arrive": "meldte hos borgeren",
    "alert.close": "afsluttede en alarm",
    "alert.reopen": "genåbnede en alarm",
    "alert.hand_over": "gav en alarm videre",
    "alerts.followed": "fulgte alarmer løbende",
    "homes.listed": "så listen over hjem",
    "citizens.listed": "så listen over borgere",
    "devices.listed": "så listen over enheder",
    "device.seen": "så en enhed",
    "device.changed": "ændrede en enhed",
    "device.placed": "placerede en enhed",
    "device.removed": "fjernede en enhed",
    "device.key_given": "gav en enhed en nøgle",
    "placement.shown": "så en placering",
    "placement.changed": "ændrede en placering",
    "placement.repaired": "flyttede en placering, der stod hos den forkerte borger",
    "observations.seen": "så målinger",
    "box.discovered": "bad boksen fortælle, hvad der er i luften",
    "box.discovery_seen": "så, hvad boksen hørte i luften",
    "box_events.seen": "så, hvad der er sket med boksen",
    "doses.planned": "ændrede dosisplanen",
    "emergency.sought": "søgte efter en borger til nødåbning",
    "emergency.opened": "nødåbnede borgeren",
    "emergency.followed_up": "fulgte op på en nødåbning",
    "emergencies.listed": "så listen over nødåbninger",
    "citizen.imported": "indlæste borgeren fra en fil",
    "citizen.import_undone": "fortrød en indlæsning af borgeren",
    "person.imported": "indlæste en medarbejder fra en fil",
    "person.import_undone": "fortrød en indlæsning af en medarbejder",
    "device.taken_away": "fjernede en enhed, der var registreret ved en fejl",
    "import.shown": "så en indlæsning",
    "register.tried": "prøvede en fil uden at indlæse den",
    "register.written_out": "hentede registret som fil",
    "person.role_given": "gav en medarbejder en rolle",
    "person.role_ended": "afsluttede en medarbejders rolle",
    "person.leaves": "meldte en medarbejder fratrådt",
    "person.joined_team": "satte en medarbejder i et team",
    "person.left_team": "tog en medarbejder ud af et team",
    "administrator.begun": "blev kommunens første administrator",
    "role.changed": "skiftede rolle",
    "log.seen": "så denne adgangslog",
    "signed.in": "loggede ind",
    "signed.in.break_glass": "loggede ind med nødkonto",
    **{
        f"{thing}.{done}": f"{did} {which}"
        for thing, which in _THING.items()
        for done, did in _DONE.items()
    },
}
"""A code that is not here is shown as it is; tests/gateway/test_deeds.py looks for such."""
