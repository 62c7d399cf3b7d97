"""How Alipay writes amounts, times and names, and how they are read: exactly, or not at all.

amount  yuan as a string with up to two decimals    1 fen = 0.01
time    yyyy-MM-dd HH:mm:ss in China, no zone
"""

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from tael.base.clock import ACCOUNTING_ZONE
from tael.base.money import Money
from tael.channels.alipay.envelope import members
from tael.channels.alipay.spec import CURRENCY, NUMBER
from tael.channels.reading import Unreadable, read_as, read_money

T = TypeVar("T")

_YUAN = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,2}))?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
_WIDE = str.maketrans({"&": "\uff06", "=": "\uff1d", "/": "\uff0f"})


def yuan(money: Money) -> str:
    """An amount as Alipay wants it: 8800 fen -> 88.00."""
    assert money.currency == CURRENCY, "Alipay is asked in yuan"
    return f"{money.minor // 100}.{money.minor % 100:02d}"


def read_yuan(text: str) -> Money:
    """An amount in yuan. Raises `Unreadable` for anything that is not whole fen."""
    found = _YUAN.fullmatch(text)
    if found is None:
        raise Unreadable("amount")
    return read_money(int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")), CURRENCY)


def china_time(instant: datetime) -> str:
    """An instant as Alipay writes it; parts of a second are cut off."""
    return instant.astimezone(ACCOUNTING_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def read_time(text: str) -> datetime:
    """A time in China, as UTC. Raises `Unreadable`."""
    if not _TIME.fullmatch(text):
        raise Unreadable("time")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ACCOUNTING_ZONE).astimezone(UTC)
    except (ValueError, OverflowError) as problem:
        raise Unreadable("time") from problem


def plain(text: str) -> str:
    """A text for people, without the signs that Alipay forbids in one: they become their wide forms.

    It comes back inside the text of a signed notice, where `&` and `=` are what separates parameters.
    """
    return text.translate(_WIDE)


def read_number(text: str) -> str:
    """One of our numbers. Raises `Unreadable`."""
    if not NUMBER.fullmatch(text):
        raise Unreadable("number")
    return text


def read_json(decoder: "msgspec.json.Decoder[T]", node: bytes) -> T:
    """The content of a node, no name of which stands twice. Raises `Unreadable`."""
    members(node)
    return read_as(decoder, node, "content")
