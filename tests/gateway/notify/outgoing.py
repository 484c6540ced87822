"""Notices that wait to be sent, as watch leaves them."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.gateway.house import House

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)


SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


async def notices(home: House, *types: str, kind: str = "night_door") -> None:
    """An alert with a notice to send of each of these types."""
    citizen = await home.citizen()
    alert = await home.db.fetchval(
        "INSERT INTO alert (municipality, district, citizen, kind, since, raised, reason)"
        " VALUES ($1, $2, $3, $5, $4, $4, 'Trykket') RETURNING id",
        home.municipality,
        home.district,
        citizen.number,
        NOW - timedelta(seconds=2),
        kind,
    )
    for one in types or ("alert.raised",):
        await home.db.execute(
            "INSERT INTO notice (municipality, alert, channel, type, made, due)"
            " VALUES ($1, $2, 'webhook', $4, $3, $3)",
            home.municipality,
            alert,
            NOW,
            one,
        )


async def recorded(home: House) -> dict[str, Any]:
    (row,) = await home.rows("SELECT * FROM notice")
    return row
