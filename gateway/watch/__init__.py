"""Stored observations become findings, findings become alerts, alerts become notices to send."""

from gateway.watch.book import RuleBook
from gateway.watch.rounds import Progress, Watch
from gateway.watch.stage import run

__all__ = ["Progress", "RuleBook", "Watch", "run"]
