"""Tests of the gateway's authority and of what it tells the broker."""
