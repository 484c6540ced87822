"""polkit lets the box's user do the two things the ladder asks for, and nothing beside them."""

import ctypes
import ctypes.util
import json
from collections.abc import Generator

import pytest

from deploy.runtime.paths import DEPLOY

RULES = (DEPLOY / "edge.rules").read_text()
UNITS = "org.freedesktop.systemd1.manage-units"
REBOOT = "org.freedesktop.login1.reboot"
AS_POLKIT = """
var rules = [];
var polkit = {
    addRule: function(rule) { rules.push(rule); },
    Result: { YES: "yes", NO: "no", NOT_HANDLED: "" }
};
function decide(user, id, details) {
    var action = { id: id, lookup: function(key) { return details[key]; } };
    for (var i = 0; i < rules.length; i++) {
        var said = rules[i](action, { user: user });
        if (said) { return said; }
    }
    return "asks";
}
"""
_SAFE_SOURCE = 1 << 3 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11  # duk_peval_string() of duktape.h


class Duktape:
    """The engine that polkit runs its rules in on Debian, with what polkit gives to a rule."""

    def __init__(self, library: str) -> None:
        self._duktape = ctypes.CDLL(library)
        self._duktape.duk_create_heap.restype = ctypes.c_void_p
        self._duktape.duk_safe_to_lstring.restype = ctypes.c_char_p
        self._heap = ctypes.c_void_p(self._duktape.duk_create_heap(None, None, None, None, None))

    def run(self, source: str) -> str:
        failed = self._duktape.duk_eval_raw(
            self._heap, ctypes.c_char_p(source.encode()), ctypes.c_size_t(0), _SAFE_SOURCE
        )
        said = self._duktape.duk_safe_to_lstring(self._heap, -1, None).decode()
        if failed:
            raise ValueError(said)
        return said

    def close(self) -> None:
        self._duktape.duk_destroy_heap(self._heap)


@pytest.fixture(scope="module")
def engine() -> Generator[Duktape]:
    library = ctypes.util.find_library("duktape")
    if library is None:
        pytest.skip("libduktape, which comes with polkitd, is not installed")
    engine = Duktape(library)
    engine.run(AS_POLKIT)
    engine.run(RULES)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("user", "action", "details", "said"),
    [
        ("trygport", UNITS, {"unit": "bluetooth.service", "verb": "restart"}, "yes"),
        ("trygport", UNITS, {"unit": "bluetooth.service", "verb": "stop"}, "asks"),
        ("trygport", UNITS, {"unit": "ssh.service", "verb": "restart"}, "asks"),
        ("trygport", UNITS, {}, "asks"),
        ("trygport", REBOOT, {}, "yes"),
        ("trygport", f"{REBOOT}-multiple-sessions", {}, "yes"),
        ("trygport", f"{REBOOT}-ignore-inhibit", {}, "asks"),
        ("trygport", "org.freedesktop.login1.power-off", {}, "asks"),
        ("somebody", UNITS, {"unit": "bluetooth.service", "verb": "restart"}, "asks"),
        ("somebody", REBOOT, {}, "asks"),
    ],
)
def test_the_user_of_the_box_may_do_what_the_ladder_does(
    engine: Duktape, user: str, action: str, details: dict[str, str], said: str
) -> None:
    asked = ", ".join(json.dumps(part) for part in (user, action, details))

    assert engine.run(f"decide({asked})") == said


def test_the_rule_is_for_the_user_and_the_unit_of_the_service() -> None:
    unit = (DEPLOY / "edge.service").read_text()

    assert "User=trygport\n" in unit
    assert "bluetooth.service" in unit
