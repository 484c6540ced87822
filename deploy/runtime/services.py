"""The door to the services that the demo and the tests start: broker, database, bus, processes."""

from deploy.runtime.broker import Broker
from deploy.runtime.bus import PrivateBus
from deploy.runtime.certificate import Certificate, certificate
from deploy.runtime.database import Database, DatabaseRefused, OneDatabase
from deploy.runtime.ports import free_port
from deploy.runtime.process import DidNotStart, Guarded
from deploy.runtime.scratch import scratch_folder

__all__ = [
    "Broker",
    "Certificate",
    "Database",
    "DatabaseRefused",
    "DidNotStart",
    "Guarded",
    "OneDatabase",
    "PrivateBus",
    "certificate",
    "free_port",
    "scratch_folder",
]
