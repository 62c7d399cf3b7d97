"""How what a channel sends is read, whatever the channel: exactly, or not at all. Pure."""

import re
from typing import TypeVar

import msgspec

from tael.base.errors import TaelError
from tael.base.money import Money

T = TypeVar("T")

_NAME = re.compile(r"[0-9A-Za-z_\-]{1,128}")


class Unreadable(Exception):
    """What was sent is not what was expected; says which part, never quotes it."""


def read_as(decoder: "msgspec.json.Decoder[T]", body: bytes, part: str) -> T:
    """The content of a JSON text. Raises `Unreadable` naming the `part` that it is."""
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as problem:
        raise Unreadable(part) from problem


def read_money(minor: int, currency: str) -> Money:
    """An amount in minor units. Raises `Unreadable`."""
    try:
        return Money(minor, currency)
    except TaelError as problem:
        raise Unreadable("amount") from problem


def read_name(text: str | None) -> str | None:
    """A name or number that the channel gave; the empty string is none. Raises `Unreadable`."""
    if text and not _NAME.fullmatch(text):
        raise Unreadable("name")
    return text or None


def read_message(text: str) -> str:
    """What the channel says to people, cut to a length and without what cannot be shown."""
    return "".join(char for char in text if char.isprintable())[:256]
