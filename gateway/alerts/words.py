"""The Danish words of alerts, for every screen and text that staff read."""

from collections.abc import Mapping

from gateway.alerts.alert import Kind, Move, Outcome, State

KIND: Mapping[Kind, str] = {
    "call_pressed": "Nødkald",
    "dose_missed": "Medicin ikke taget",
    "night_door": "Dør åbnet om natten",
    "box_silent": "Boksen har ingen kontakt",
    "unknown_device": "Nødkald fra ukendt enhed",
}
STATE: Mapping[State, str] = {
    "new": "Ny",
    "taken": "Taget",
    "on_the_way": "På vej",
    "with_citizen": "Hos borgeren",
    "closed": "Afsluttet",
}
MOVE: Mapping[Move, str] = {
    "take": "Tag alarmen",
    "set_out": "Jeg er på vej",
    "arrive": "Jeg er hos borgeren",
    "close": "Afslut",
    "reopen": "Genåbn",
    "hand_over": "Giv videre",
}
OUTCOME: Mapping[Outcome, str] = {
    "helped": "Borgeren fik hjælp",
    "false_alarm": "Falsk alarm",
    "test_call": "Prøvekald",
    "technical": "Teknisk fejl",
    "no_contact": "Ingen kontakt med borgeren",
    "duplicate": "Samme sag som en anden",
    "other": "Andet",
}
LATE = "Efterregistreret"
"""Marks what became known long after it happened."""
