"""What every test of the emulated world may ask for."""

from tests.world.radio import bluez, dbus, radio

__all__ = ["bluez", "dbus", "radio"]
