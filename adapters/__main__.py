"""Says which adapters read and which plug-ins were set aside and why; given files, tries examples.

`python -m adapters chair.examples.json` reads every example in the file with all adapters that are
installed, as the gateway would.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from adapters import registry
from adapters.examples import difference
from adapters.frame import Frame
from adapters.observation import Observation


def main() -> None:
    """The exit code is 1 when a plug-in was set aside, or an example is read otherwise."""
    files = [Path(name) for name in sys.argv[1:]]
    if files:
        sys.exit(_tried(files))
    for adapter in registry.FAMILIES:
        sys.stdout.write(f"{adapter.name}: a decoder library, fenced in\n")
    for adapter in registry.PLUGINS:
        sys.stdout.write(f"{adapter.name}: a plug-in\n")
    for name, reason in registry.SET_ASIDE.items():
        sys.stdout.write(f"{name}: set aside: {reason}\n")
    sys.exit(1 if registry.SET_ASIDE else 0)


def _tried(files: Iterable[Path]) -> int:
    wrong = 0
    for file in files:
        for example in json.loads(file.read_text("utf-8")):
            told = difference(example, _read)
            wrong += told is not None
            sys.stdout.write(
                f"{'wrong' if told else 'right'}: {example.get('says')} {told or ''}\n"
            )
    return 1 if wrong else 0


def _read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    return registry.read(frame, key=key)


if __name__ == "__main__":
    main()
