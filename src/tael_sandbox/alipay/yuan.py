"""Money as Alipay writes it: yuan in text with at most two decimals; inside it is whole fen."""

import re

_YUAN = re.compile(r"(0|[1-9]\d{0,9})(?:\.(\d{1,2}))?")


def yuan(minor: int) -> str:
    """Fen as yuan with two decimals."""
    return f"{minor // 100}.{minor % 100:02d}"


def minor(said: str | int | float) -> int | None:
    """Yuan as fen; None when it is no amount with at most two decimals. SDKs send numbers as well as text."""
    found = _YUAN.fullmatch(said if isinstance(said, str) else repr(said))
    return None if found is None else int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
