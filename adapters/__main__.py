"""Says which adapters read, which plug-ins among them, and which were set aside and why."""

import sys

from adapters import registry


def main() -> None:
    """One line an adapter; the exit code is 1 when a plug-in was set aside."""
    for adapter in registry.FAMILIES:
        sys.stdout.write(f"{adapter.name}: a decoder library, fenced in\n")
    for adapter in registry.PLUGINS:
        sys.stdout.write(f"{adapter.name}: a plug-in\n")
    for name, reason in registry.SET_ASIDE.items():
        sys.stdout.write(f"{name}: set aside: {reason}\n")
    sys.exit(1 if registry.SET_ASIDE else 0)


if __name__ == "__main__":
    main()
