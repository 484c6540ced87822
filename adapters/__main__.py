"""Says which adapters read and which plug-ins were set aside and why; given files, tries examples.

`python -m adapters chair.examples.json` reads every example in the file with all adapters that are
installed, as the gateway would.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from adapters import registry
from adapters.examples import difference
from adapters.frame import Frame
from adapters.observation import Observation


class _NoExamples(Exception):
    """Why a file is no list of examples."""


def main() -> None:
    """The exit code is 1 when a plug-in was set aside or an example is read otherwise, else 0.

    2 is for a file or an argument that is none.
    """
    parser = argparse.ArgumentParser(prog="python -m adapters", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="NAME.examples.json")
    files = cast("Sequence[Path]", parser.parse_args().files)
    try:
        sys.exit(_tried(files) if files else _listed())
    except _NoExamples as none:
        sys.stderr.write(f"{none}\n")
        sys.exit(2)


def _listed() -> int:
    for adapter in registry.PLUGINS:
        connected = f"; boxes connect to the model {adapter.name}" if adapter.plan else ""
        _say(f"{adapter.name}: a plug-in{connected}")
    _say_set_aside()
    for adapter in registry.FAMILIES:
        _say(f"{adapter.name}: part of Trygport")
    return 1 if registry.SET_ASIDE else 0


def _tried(files: Iterable[Path]) -> int:
    wrong = 0
    for file in files:
        for example in _examples(file):
            told = difference(example, _read)
            wrong += told is not None
            _say(f"wrong: {_says(example)}: {told}" if told else f"right: {_says(example)}")
    if wrong:
        _say_set_aside()  # the reader of these frames may be among them
    return 1 if wrong else 0


def _examples(file: Path) -> Sequence[object]:
    try:
        said: object = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise _NoExamples(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _NoExamples(f"{file} is no JSON: {error}") from error
    if not isinstance(said, list):
        raise _NoExamples(f"{file} is no list of examples: put [ and ] around them")
    return cast("Sequence[object]", said)


def _says(example: object) -> object:
    return cast("Mapping[str, object]", example).get("says") if isinstance(example, dict) else "?"


def _say_set_aside() -> None:
    for name, reason in registry.SET_ASIDE.items():
        _say(f"{name}: set aside: {reason}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    return registry.read(frame, key=key)


if __name__ == "__main__":
    main()
