"""What the journal keeps: things that happened, each a small record with a tag of its own."""

from msgspec import Struct


class Happened(Struct, frozen=True):
    """Base of every event. A subclass has ``tag="<channel>.<what>"``; its fields are all that a replay needs."""
