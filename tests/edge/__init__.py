"""Tests of the box in the home."""
