"""Money as Alipay writes it: yuan in text with at most two decimals; inside it is whole fen."""

import re
from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
_YUAN = re.compile(r"(0|[1-9]\d{0,9})(?:\.(\d{1,2}))?")


def yuan(minor: int) -> str:
    """Fen as yuan with two decimals."""
    return f"{minor // 100}.{minor % 100:02d}"


def minor(said: str | int | float) -> int | None:
    """Yuan as fen; None when it is no amount with at most two decimals. SDKs send numbers as well as text."""
    found = _YUAN.fullmatch(said if isinstance(said, str) else repr(said))
    return None if found is None else int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def china_time(at_ms: int) -> str:
    """``yyyy-MM-dd HH:mm:ss`` in China's time, without a zone."""
    return datetime.fromtimestamp(at_ms // 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def read_china_time(text: str) -> int | None:
    """The moment in milliseconds; None when the text is not written like that."""
    try:
        return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).timestamp()) * 1000
    except ValueError:
        return None
