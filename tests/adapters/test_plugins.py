"""A vendor ships an adapter as a package of its own; a broken one is set aside and stops nobody."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from adapters import plugins, registry
from adapters.adapter import Adapter
from adapters.errors import MissingKey, UnknownFormat, UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality

ROOT = Path(__file__).parents[2]
GOOD = """
from adapters.adapter import Adapter
from adapters.observation import Kind, Observation

def read(frame, key):
    return (Observation(Kind.TEMPERATURE, frame.manufacturer[0x1234][0] / 2),)

ADAPTER = Adapter(name="toy", read=read, manufacturers=frozenset({0x1234}))
"""
ASK = """
from adapters import registry
from adapters.frame import Frame
frame = Frame(device="A4:C1:38:8D:18:B2", heard="advertisement", at=0, uptime=0.0,
              manufacturer={0x1234: bytes([43])})
door = Frame(device="A4:C1:38:8D:18:B2", heard="advertisement", at=0, uptime=0.0,
             data={"fcd2": bytes.fromhex("401a01")})
print([(one.kind.name, one.value) for one in (*registry.read(frame), *registry.read(door))])
print(dict(registry.SET_ASIDE))
"""

SCALE = """
from adapters.adapter import Adapter

def read(frame, key):
    return ()

ADAPTER = Adapter(name="scale", read=read, characteristics=frozenset({"ff01"}),
                  plan={"when": "every", "seconds": 600, "read": ["ff01"]})
"""
CONFIGURED = """
from edge.told.config import read_config
from gateway.edges.config import config
from gateway.store.configs import Placed
placed = [Placed(address="A4:C1:38:00:00:01", model="scale", role="other")]
[device] = read_config(config(1, placed)).devices.values()
print(device.connect is not None, device.connect.read, device.advertisement)
"""


def shipped(folder: Path, name: str, source: str) -> None:
    """Install a vendor's package: a module and what an installer writes beside it."""
    (folder / f"{name}_vendor.py").write_text(source)
    told = folder / f"{name}_vendor-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-vendor\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{name} = {name}_vendor:ADAPTER\n")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(folder), str(ROOT)))
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def frame(company: int = 0x1234, payload: bytes = b"\1") -> Frame:
    return Frame(
        device="A4:C1:38:8D:18:B2",
        heard="advertisement",
        at=0,
        uptime=0.0,
        manufacturer={company: payload},
    )


def nothing(_frame: Frame, _key: bytes | None) -> tuple[Observation, ...]:
    return ()


def planned(name: str, plan: dict[str, object]) -> Adapter:
    return Adapter(name=name, read=nothing, characteristics=frozenset({"ff01"}), plan=plan)


GIVEN: dict[str, object] = {
    "not_one": "an adapter",
    "other_name": Adapter(name="another", read=nothing, manufacturers=frozenset({1})),
    "asks_nothing": Adapter(name="asks_nothing", read=nothing),
    "takes_ours": Adapter(name="takes_ours", read=nothing, data=frozenset({"fcd2"})),
    "takes_cuffs": Adapter(name="takes_cuffs", read=nothing, characteristics=frozenset({"2a35"})),
    "bthome": Adapter(name="bthome", read=nothing, manufacturers=frozenset({1})),
    "shouts": Adapter(name="shouts", read=nothing, data=frozenset({"FE95"})),
    "long": Adapter(name="long", read=nothing, names=frozenset({"longer"})),
    "prefixed": Adapter(name="prefixed", read=nothing, characteristics=frozenset({"0x2a90"})),
    "spelt_out": Adapter(
        name="spelt_out",
        read=nothing,
        services=frozenset({"0000181a-0000-1000-8000-00805f9b34fb"}),
    ),
    "huge": Adapter(name="huge", read=nothing, manufacturers=frozenset({0x1234567})),
    "listed": Adapter(name="listed", read=nothing, data=["fe95"]),  # pyright: ignore[reportArgumentType]
    "idle": planned("idle", {"when": "every"}),
    "blind": planned("blind", {"when": "every", "read": ["ff01", "2a99", "2a35"]}),
    "big man": planned("big man", {"when": "every", "read": ["ff01"]}),
    "good": Adapter(name="good", read=nothing, manufacturers=frozenset({1})),
}


class Given(EntryPoint):
    """An entry point whose object is at hand."""

    def load(self) -> object:
        return GIVEN[self.name]


def given(name: str) -> EntryPoint:
    return Given(name, "vendor:ADAPTER", plugins.GROUP)


TAKEN: dict[plugins.Claim, str] = {
    ("data", "fcd2"): "bthome",
    ("characteristics", "2a35"): "blood_pressure",
}


def test_a_vendors_package_is_found_and_reads(tmp_path: Path) -> None:
    shipped(tmp_path, "toy", GOOD)

    done = run(tmp_path, "-c", ASK)

    assert done.stdout.splitlines() == ["[('TEMPERATURE', 21.5), ('DOOR', 1.0)]", "{}"]


def test_a_broken_package_is_set_aside_with_its_reason_and_stops_nobody(tmp_path: Path) -> None:
    shipped(tmp_path, "toy", GOOD)
    shipped(tmp_path, "broken", "raise RuntimeError('licence expired')")
    shipped(tmp_path, "rude", "raise SystemExit(3)")

    done = run(tmp_path, "-c", ASK)
    listed = run(tmp_path, "-m", "adapters")

    assert done.returncode == 0, done.stderr
    assert "('TEMPERATURE', 21.5), ('DOOR', 1.0)" in done.stdout
    assert "licence expired" in done.stdout
    assert "toy: a plug-in" in listed.stdout
    assert "broken: set aside: broken_vendor:ADAPTER does not load" in listed.stdout
    assert listed.returncode == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("not_one", "no adapters.adapter.Adapter"),
        ("other_name", "calls itself another"),
        ("asks_nothing", "of no frame"),
        ("takes_ours", "fcd2 is read by bthome"),
        ("takes_cuffs", "2a35 is read by blood_pressure"),
        ("bthome", "an adapter bthome already"),
        ("shouts", "lower case"),
        ("long", "3 letters"),
        ("prefixed", "characteristics: '0x2a90' is no UUID"),
        ("spelt_out", "four hexadecimal digits"),
        ("huge", "manufacturers: 19088743 is no number from 0 to 0xFFFF"),
        ("listed", "data is list"),
        ("idle", "plan: nothing is fetched"),
        ("blind", "plan: it fetches 2a99, which no adapter reads"),
        ("big man", "no device has the model big man"),
    ],
)
def test_an_unfit_plug_in_is_set_aside_and_the_fit_one_stays(name: str, reason: str) -> None:
    result = plugins.sorted_out([given(name), given("good")], TAKEN)

    assert [one.name for one in result.adapters] == ["good"]
    assert list(result.aside) == [name]
    assert reason in result.aside[name]


def test_a_plug_in_brings_how_boxes_connect_to_its_model(tmp_path: Path) -> None:
    shipped(tmp_path, "scale", SCALE)

    told = run(tmp_path, "-c", CONFIGURED)
    listed = run(tmp_path, "-m", "adapters")

    assert told.stdout.split() == ["True", "('ff01',)", "False"], told.stderr
    assert "scale: a plug-in; boxes connect to the model scale\n" in listed.stdout


def raising(fault: Exception) -> Adapter:
    def read(_frame: Frame, _key: bytes | None) -> tuple[Observation, ...]:
        raise fault

    return Adapter(name="toy", read=read, manufacturers=frozenset({0x1234}))


def giving(said: object) -> Adapter:
    def read(_frame: Frame, _key: bytes | None) -> tuple[Observation, ...]:
        return said  # pyright: ignore[reportReturnType] - that is the point

    return Adapter(name="toy", read=read, manufacturers=frozenset({0x1234}))


@pytest.mark.parametrize(
    "adapter",
    [
        raising(ZeroDivisionError("by the vendor")),
        raising(RecursionError("\udc80 half a pair, and \0")),
        giving(None),
        giving(["a list"]),
        giving(("no observation",)),
        giving((Observation(Kind.TEXT, code=2**20),)),
        giving((Observation(Kind.TEXT, record=-1),)),
        giving((Observation(Kind.TEXT, occurred=2**60),)),
        giving((Observation(Kind.TEXT, details={"a": "\0"}),)),
        giving((Observation(Kind.TEXT, details={"a": 1}),)),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_a_plug_in_does_wrong_makes_its_frame_unreadable_and_nothing_else(
    adapter: Adapter,
) -> None:
    with pytest.raises(UnreadableFrame, match="toy") as unreadable:
        registry.Asked([adapter]).read(frame(), None)

    str(unreadable.value).encode()


@pytest.mark.parametrize("kind", ["wet", 999, Kind.WET.value, None])
def test_a_kind_that_is_none_of_ours_is_told_and_never_stored(kind: Kind) -> None:
    with pytest.raises(UnreadableFrame, match=r"toy gave the kind .*catalogue"):
        registry.Asked([giving((Observation(kind),))]).read(frame(), None)


@pytest.mark.parametrize("quality", ["good", 7, None])
def test_a_quality_that_is_none_of_ours_is_told_and_never_stored(quality: Quality) -> None:
    with pytest.raises(UnreadableFrame, match="toy gave the quality"):
        registry.Asked([giving((Observation(Kind.WET, quality=quality),))]).read(frame(), None)


def test_what_was_read_of_a_broken_frame_is_held_to_the_same() -> None:
    wrong = Observation(Kind.WET, record="seven")  # pyright: ignore[reportArgumentType]
    adapter = raising(UnreadableFrame("cut short", partial=(wrong,)))

    with pytest.raises(UnreadableFrame, match="toy failed: TypeError"):
        registry.Asked([adapter]).read(frame(), None)


def test_a_number_that_is_none_is_marked() -> None:
    said = (Observation(Kind.TEMPERATURE, float("nan")), Observation(Kind.CO2, float("-inf")))

    found = registry.Asked([giving(said)]).read(frame(), None)

    assert [one.value for one in found] == [None, None]
    assert [one.quality for one in found] == [Quality.NOT_A_NUMBER, Quality.INFINITE]


def test_the_next_adapter_is_asked_where_one_does_not_know_the_frame() -> None:
    toy = giving((Observation(Kind.CO2, 400.0),))
    shy = Adapter(
        name="shy", read=raising(UnknownFormat("not mine")).read, manufacturers=toy.manufacturers
    )

    (found,) = registry.Asked([shy, toy]).read(frame(), None)

    assert found.value == 400.0


def test_a_missing_key_is_told_whoever_else_might_read_the_frame() -> None:
    closed = Adapter(
        name="closed",
        read=raising(MissingKey("no key")).read,
        manufacturers=frozenset({0x1234}),
    )

    with pytest.raises(MissingKey):
        registry.Asked([closed, giving(())]).read(frame(), None)


def test_of_thousands_of_adapters_only_the_one_that_may_know_the_frame_is_asked() -> None:
    many = [
        Adapter(name=f"toy_{number}", read=nothing, manufacturers=frozenset({number}))
        for number in range(5_000)
    ]

    (found,) = registry.Asked(many).candidates(frame(4_321))

    assert found.name == "toy_4321"
