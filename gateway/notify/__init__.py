"""Alerts become notices: one attempt, one channel, one result."""
