"""Whose a message is: our boxes' with their streams, and what is set aside whole because of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from gateway.ingest.batches import Arrival, Rejected, digest, edge_of, kept_bytes
from gateway.ingest.known import Picture
from gateway.store.known import Edge
from gateway.store.quarantine import AsideMessage
from gateway.store.streams import Stream, StreamKey

Ours: TypeAlias = tuple[Arrival, Edge, StreamKey]
"""A batch, the box that sent it, and its stream."""


def known_and_strange(
    arrivals: Sequence[Arrival], picture: Picture
) -> tuple[list[Ours], list[AsideMessage]]:
    """The batches of our boxes with their streams, and those of boxes that nobody knows."""
    ours: list[Ours] = []
    strangers: list[AsideMessage] = []
    for arrival in arrivals:
        if (edge := picture.edges[arrival.edge]) is not None:
            ours.append((arrival, edge, StreamKey(edge.municipality, edge.id, arrival.stream)))
        else:
            unknown = Rejected("unknown_edge", f"no box is called {arrival.edge[:64]}")
            strangers.append(set_aside(arrival.topic, arrival.payload, unknown))
    return ours, strangers


def own_and_foreign(
    ours: Sequence[Ours], ledger: Mapping[StreamKey, Stream]
) -> tuple[list[Ours], list[AsideMessage]]:
    """The batches of streams that are the sender's own or its home's, and those of others'."""
    foreign = [
        replace(
            set_aside(
                arrival.topic,
                arrival.payload,
                Rejected("other_edge", "its stream was begun by the box of another home"),
            ),
            municipality=edge.municipality,
        )
        for arrival, edge, key in ours
        if key not in ledger
    ]
    return [one for one in ours if one[2] in ledger], foreign


def of_municipality(message: AsideMessage, picture: Picture) -> AsideMessage:
    edge = picture.edges.get(edge_of(message.topic))
    return message if edge is None else replace(message, municipality=edge.municipality)


def set_aside(topic: str, payload: bytes, rejected: Rejected) -> AsideMessage:
    """A whole message with the reason against it, as it is kept."""
    return AsideMessage(
        municipality=None,
        topic=topic,
        reason=rejected.reason,
        detail=rejected.detail,
        payload=kept_bytes(payload),
        digest=digest(payload),
    )
