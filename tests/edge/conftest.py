"""What the tests of the box may ask for: the emulated radio too."""

from tests.world.radio import bluez, dbus, radio

__all__ = ["bluez", "dbus", "radio"]
