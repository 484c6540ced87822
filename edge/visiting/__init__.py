"""Connects to devices that keep what they measured, and fetches it."""
