"""Every adapter reads its own examples; no adapter without one."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import adapters
from adapters import registry
from adapters.adapter import Adapter
from adapters.errors import UnreadableFrame
from adapters.examples import as_text
from adapters.frame import Frame, encode_frame

ROOM = Path(adapters.__file__).parent
NOT_ADAPTERS = frozenset(
    {
        "__init__",
        "__main__",
        "adapter",
        "bthome_cipher",
        "bthome_objects",
        "bthome_packet",
        "catalogue",
        "errors",
        "examples",
        "frame",
        "health",
        "ieee11073",
        "library",
        "observation",
        "plans",
        "plugins",
        "registry",
        "words",
    }
)
FRAME = TypeAdapter(Frame)


def files_of(room: Path) -> set[str]:
    return {file.stem for file in room.glob("*.py")} - NOT_ADAPTERS


def examples_of(room: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        file.name.removesuffix(".examples.json"): json.loads(file.read_text("utf-8"))
        for file in room.glob("*.examples.json")
    }


def without_examples(room: Path) -> set[str]:
    return files_of(room) - {name for name, examples in examples_of(room).items() if examples}


def every_example() -> list[Any]:
    return [
        pytest.param(name, example, id=f"{name}: {example['says']}")
        for name, examples in sorted(examples_of(ROOM).items())
        for example in examples
    ]


def readers() -> dict[str, set[str]]:
    """What each adapter is registered for: adapter to uuids and company ids."""
    registered: dict[str, set[str]] = {}
    for table in (registry.SERVICE_DATA, registry.MANUFACTURERS, registry.CHARACTERISTICS):
        for what, reader in table.items():
            name = reader.__module__.removeprefix("adapters.")
            registered.setdefault(name, set()).add(str(what))
    return registered


def families() -> set[str]:
    return {family.name for family in registry.FAMILIES}


def test_no_adapter_is_without_examples() -> None:
    assert without_examples(ROOM) == set()


def test_an_adapter_without_examples_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "silent.py").touch()
    (tmp_path / "empty.py").touch()
    (tmp_path / "empty.examples.json").write_text("[]")

    assert without_examples(tmp_path) == {"silent", "empty"}


def test_every_adapter_is_registered_and_every_example_belongs_to_one() -> None:
    assert set(readers()) | families() == files_of(ROOM) == set(examples_of(ROOM))


@pytest.mark.parametrize("family", registry.FAMILIES, ids=lambda family: family.name)
def test_a_family_is_asked_about_each_of_its_examples(family: Adapter) -> None:
    asked = registry.Asked([family])
    shown = [FRAME.validate_python(one["frame"]) for one in examples_of(ROOM)[family.name]]

    assert all(asked.candidates(frame) == [family] for frame in shown)


@pytest.mark.parametrize("adapter", sorted(readers()))
def test_every_uuid_and_company_of_an_adapter_has_an_example(adapter: str) -> None:
    shown: set[str] = set()
    for example in examples_of(ROOM)[adapter]:
        frame = example["frame"]
        shown |= {frame.get("uuid"), *frame.get("data", {}), *frame.get("manufacturer", {})}

    assert readers()[adapter] <= shown


@pytest.mark.parametrize(("adapter", "example"), every_example())
def test_an_adapter_reads_its_examples(adapter: str, example: dict[str, Any]) -> None:
    frame = FRAME.validate_python(example["frame"])
    key = bytes.fromhex(example["key"]) if "key" in example else None

    if "unreadable" in example:
        with pytest.raises(UnreadableFrame, match=example["unreadable"]) as unreadable:
            registry.read(frame, key=key)
        observations = unreadable.value.partial
    else:
        observations = registry.read(frame, key=key)

    assert [as_text(observation) for observation in observations] == example["reads"]
    assert adapter in {*readers(), *families()}


@pytest.mark.parametrize(("adapter", "example"), every_example())
def test_an_example_is_a_frame_as_the_edge_writes_it(adapter: str, example: dict[str, Any]) -> None:
    frame = FRAME.validate_python(example["frame"])

    written = json.loads(encode_frame(frame))

    assert written == {name: value for name, value in example["frame"].items() if value != ""}
    assert adapter in {*readers(), *families()}
