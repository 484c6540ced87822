"""The Danish of what happened to a box: a sentence for each word that a box says."""

from collections.abc import Callable, Mapping

from gateway.reads.box_events import HIDDEN, Detail, Happened

Details = Mapping[str, Detail]

_RADIO: Mapping[str, str] = {
    "silent": "der kommer ingen signaler",
    "powered_off": "den er slukket",
    "no_adapter": "den er der ikke",
    "daemon_gone": "Bluetooth-tjenesten er væk",
    "refused": "den afviser at lytte",
}
_STEP: Mapping[str, str] = {
    "rescan": "boksen lyttede forfra",
    "renew": "boksen begyndte en ny lytning",
    "power_cycle": "radioen blev slukket og tændt",
    "restart_daemon": "Bluetooth-tjenesten blev genstartet",
    "reboot": "boksen blev genstartet",
}
_MODE: Mapping[str, str] = {"active": "aktivt", "passive": "passivt"}
_DISK: Mapping[str, str] = {
    "storage_failed": "det svarer med en fejl",
    "card_full": "det er fuldt",
}
_HOOK: Mapping[str, str] = {
    "waiting": "Et kald kom ikke igennem, og boksen gav besked på stedet",
    "over": "Kaldene er kommet igennem, og boksen gav besked på stedet",
    "start": "Boksen skal kunne give besked på stedet, hvis et kald ikke kommer igennem",
}
_PROGRAM: Mapping[str, str] = {
    "exit": "programmet meldte en fejl",
    "timeout": "programmet blev ikke færdigt",
    "not_run": "programmet kunne ikke startes",
    "not_there": "programmet findes ikke",
}
_SECOND, _MINUTE, _HOUR, _DAY = 1.0, 60.0, 3_600.0, 86_400.0


def sentence(one: Happened) -> str:
    """What happened, as a sentence; of a word that is not known the word itself."""
    said = SENTENCES.get(one.word)
    text = _as_it_is(one) if said is None else said(one.details)
    more = _number(one.details, "unsaid")
    return text if more is None else f"{text} Det skete {more:.0f} gange mere, end der står her."


def lasting(seconds: float) -> str:
    """Return "12 s", "5 min", "3 t" or "2 døgn"."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} t" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} døgn"


def _as_it_is(one: Happened) -> str:
    details = ", ".join(f"{name}: {value}" for name, value in one.details.items())
    return f"{one.word} ({details})" if details else one.word


def _number(details: Details, name: str) -> float | None:
    value = details.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12:  # noqa: PLR2004 - no sane figure
        return None
    return float(value)


def _for(details: Details, name: str, before: str = " efter ") -> str:
    seconds = _number(details, name)
    return "" if seconds is None else f"{before}{lasting(abs(seconds))}"


def _because(details: Details, name: str, words: Mapping[str, str]) -> str:
    why = details.get(name)
    return "" if why is None else f": {words.get(str(why), str(why))}"


def _device(details: Details) -> str:
    address = details.get("device")
    return "En enhed" if address in (None, HIDDEN) else f"Enheden {address}"


def _step(done: str) -> Callable[[Details], str]:
    def said(details: Details) -> str:
        refused = details.get("refused")
        return f"{done}." if refused is None else f"{done}, men det blev afvist: {refused}."

    return said


def _mode(details: Details) -> str:
    mode = str(details.get("mode"))
    return f"Radioen lytter {_MODE.get(mode, mode)}."


def _hearing(details: Details) -> str:
    return (
        f"Radioen hører igen{_for(details, 'silent_seconds')}"
        f"{_because(details, 'healed_by', _STEP)}."
    )


def _thinned(details: Details) -> str:
    frames = _number(details, "frames")
    some = "Målinger" if frames is None else f"{frames:.0f} målinger"
    return f"{some} blev kasseret, de ældste først, for der var ikke plads til dem."


def _hook(details: Details) -> str:
    done = _HOOK.get(str(details.get("said")), _HOOK["waiting"])
    if not (failed := details.get("failed") or details.get("error")):
        return f"{done}."
    return f"{done}, men det lykkedes ikke: {_PROGRAM.get(str(failed), failed)}."


def _clock_set(details: Details) -> str:
    ahead = _number(details, "ahead_seconds")
    if ahead is None:
        return f"{_device(details)} fik sit ur stillet."
    way = "foran" if ahead > 0 else "bagud"
    return f"{_device(details)} fik sit ur stillet; det var {lasting(abs(ahead))} {way}."


def _stepped(details: Details) -> str:
    seconds = _number(details, "seconds")
    if details.get("first"):
        return "Boksens ur blev stillet for første gang, siden den blev tændt."
    if seconds is None:
        return "Boksens ur blev stillet."
    way = "frem" if seconds > 0 else "tilbage"
    return f"Boksens ur blev stillet {lasting(abs(seconds))} {way}."


_RENEWING: Mapping[int, str] = {
    4: "ingen svarede",
    5: "den blev afvist: er boksen lukket ude?",
    6: "en anden gateway svarede",
}
"""By the exit code of `edge renew`."""


def _not_renewed(details: Details) -> str:
    code = details.get("code")
    why = _RENEWING.get(code) if isinstance(code, int) else None
    return f"Boksens certifikat blev ikke fornyet{f': {why}' if why else ''}. Boksen prøver igen."


SENTENCES: Mapping[str, Callable[[Details], str]] = {
    "radio.silent": lambda of: f"Radioen hører ingenting{_because(of, 'trouble', _RADIO)}.",
    "radio.hearing": _hearing,
    "radio.rescanned": _step("Boksen lyttede forfra"),
    "radio.scanner_renewed": _step("Boksen begyndte en ny lytning"),
    "radio.power_cycled": _step("Radioen blev slukket og tændt"),
    "radio.daemon_restarted": _step("Bluetooth-tjenesten blev genstartet"),
    "radio.reboot": _step("Hele boksen blev genstartet for at få radioen til at høre"),
    "radio.mode": _mode,
    "device.silent": lambda of: f"{_device(of)} er tavs{_for(of, 'silent_seconds', ' på ')}.",
    "device.heard": lambda of: f"{_device(of)} høres igen{_for(of, 'silent_seconds')}.",
    "device.bonded": lambda of: f"{_device(of)} er parret med boksen.",
    "device.bond_lost": lambda of: f"{_device(of)} er ikke længere parret med boksen.",
    "device.clock_set": _clock_set,
    "spool.thinned": _thinned,
    "spool.renewed": lambda _: "Boksen begyndte på et nyt lager og lagde det gamle til side.",
    "spool.unsound": lambda of: f"Boksens lager er i stykker{_because(of, 'trouble', _DISK)}.",
    "storage.failed": lambda of: (
        f"Hukommelseskortet tager ikke imod{_because(of, 'trouble', _DISK)}."
    ),
    "line.second_path": lambda of: f"Boksen skiftede til reserveforbindelsen{_for(of, 'waited')}.",
    "line.back": lambda of: f"Den normale forbindelse er tilbage{_for(of, 'seconds')}.",
    "line.hook": _hook,
    "clock.stepped": _stepped,
    "certificate.renewed": lambda _: "Boksens certifikat blev fornyet.",
    "certificate.not_renewed": _not_renewed,
    "config.refused": lambda of: (
        "Boksen følger ikke den nyeste opsætning, men den forrige; den kunne ikke bruge"
        f" {of.get('field') or 'den'}."
    ),
}
"""A word that is not here is shown as it is; tests/gateway/test_pages_boxes.py looks for such."""
