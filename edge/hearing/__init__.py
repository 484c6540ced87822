"""Hears what devices advertise, and does something when nothing is heard any more."""
