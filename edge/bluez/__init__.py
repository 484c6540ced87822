"""The Bluetooth daemon of the system: its D-Bus, its questions, its faults and what it hears."""
