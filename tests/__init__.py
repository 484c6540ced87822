"""Mirrors the rooms: each is tested from its door, with real parts."""
