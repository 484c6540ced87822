"""Which role may do what with which class of data: the one table, for database, API and page."""

from collections.abc import Mapping
from typing import Literal, get_args

from gateway.store.pool import Connection

Role = Literal[
    "staff",
    "planner",
    "technician",
    "clinical_owner",
    "leader",
    "auditor",
    "administrator",
    "robot",
]
ROLES: tuple[Role, ...] = get_args(Role)

DataClass = Literal[
    "alert",
    "observation",
    "identity",
    "citizen",
    "home",
    "device",
    "signal",
    "placement",
    "dose_plan",
    "person",
    "access",
    "log",
    "key",
    "workload",
    "emergency",
    "operation",
]
CLASSES: tuple[DataClass, ...] = get_args(DataClass)

Level = Literal["nothing", "pseudonym", "reading", "all"]
"""pseudonym: that it is there, by ids. reading: what it says. all: read and written."""
BY_NUMBER: tuple[Level, ...] = get_args(Level)
NUMBER: Mapping[Level, int] = {level: number for number, level in enumerate(BY_NUMBER)}
"""The number of each level in the database; more includes less."""

_OF_CLASS: Mapping[DataClass, Mapping[Role, Level]] = {
    # a case a person must look at, with its findings, moves and notices
    "alert": {
        "staff": "all",
        "planner": "all",
        "leader": "all",
        "clinical_owner": "reading",
        "robot": "reading",
    },
    # what a device said of a citizen: pulse, doors, doses. Not a planner's, not a technician's
    "observation": {
        "staff": "reading",
        "leader": "reading",
        "clinical_owner": "reading",
        "robot": "reading",
    },
    # a citizen's name, address, phone, how to get in, relatives
    "identity": {
        "staff": "reading",
        "planner": "all",
        "clinical_owner": "reading",
        "leader": "reading",
        "administrator": "all",
    },
    # that a citizen is there, and where; who may register one writes the name without reading it
    "citizen": {
        "staff": "reading",
        "planner": "all",
        "clinical_owner": "reading",
        "leader": "reading",
        "technician": "pseudonym",
        "auditor": "pseudonym",
        "administrator": "all",
        "robot": "all",
    },
    "home": {
        "staff": "reading",
        "planner": "all",
        "clinical_owner": "reading",
        "leader": "reading",
        "technician": "reading",
        "administrator": "all",
        "robot": "all",
    },
    "device": {
        "staff": "reading",
        "planner": "all",
        "clinical_owner": "reading",
        "leader": "reading",
        "technician": "all",
        "administrator": "all",
        "robot": "all",
    },
    # boxes, their contact, what is missing of them
    "signal": {
        "planner": "reading",
        "technician": "all",
        "administrator": "all",
        "robot": "reading",
    },
    "placement": {
        "staff": "reading",
        "planner": "all",
        "clinical_owner": "reading",
        "leader": "reading",
        "technician": "all",
        "administrator": "all",
        "robot": "all",
    },
    # who places a dispenser, or takes it away, begins and ends its plan with it
    "dose_plan": {
        "staff": "reading",
        "planner": "all",
        "clinical_owner": "all",
        "leader": "reading",
        "technician": "reading",
        "administrator": "reading",
        "robot": "all",
    },
    # colleagues: their names beside what they did
    "person": {
        "staff": "reading",
        "planner": "reading",
        "clinical_owner": "reading",
        "leader": "reading",
        "auditor": "reading",
        "administrator": "all",
        "robot": "pseudonym",
    },
    # who has which role where
    "access": {"leader": "reading", "auditor": "reading", "administrator": "all"},
    # who looked at whom; everybody sees their own looks
    "log": {"leader": "reading", "auditor": "reading"},
    # API keys and sign-in of others; everybody has their own
    "key": {"administrator": "all"},
    # how many alerts, how long they waited: figures of a district, not of a citizen
    "workload": {
        "staff": "reading",
        "planner": "reading",
        "clinical_owner": "reading",
        "leader": "reading",
        "robot": "reading",
    },
    # a citizen outside one's districts, opened for an hour with a reason; a leader follows it up
    "emergency": {"staff": "all", "clinical_owner": "all", "leader": "reading"},
    # how the gateway itself is doing
    "operation": {"administrator": "reading", "robot": "reading"},
}

LEVELS: Mapping[tuple[Role, DataClass], Level] = {
    (role, kind): _OF_CLASS[kind].get(role, "nothing") for role in ROLES for kind in CLASSES
}


def may(role: Role, kind: DataClass, level: Level) -> bool:
    """Whether the role has at least that level in that class of data."""
    return NUMBER[LEVELS[role, kind]] >= NUMBER[level]


async def write_rights(db: Connection) -> None:
    """Put the table in the database, where the policies read it; belongs in a transaction.

    Nothing is done while an old schema has no place for it.
    """
    if await db.fetchval("SELECT to_regclass('role_right')") is None:
        return
    await db.execute("DELETE FROM role_right")
    await db.executemany(
        "INSERT INTO role_right (role, class, level) VALUES ($1, $2, $3)",
        [(role, kind, NUMBER[level]) for (role, kind), level in LEVELS.items()],
    )
