"""Money is a whole number of minor units and a currency; it is never a float and never rounded by accident.

Division exists only under a name that says who gets the remainder: `split` and `round_half_up`.
"""

import re
from dataclasses import dataclass

from tael.base.errors import TaelError

MAX_MINOR = 2**63 - 1
"""The largest amount the ledger can hold, in minor units (a PostgreSQL bigint)."""


class InvalidAmount(TaelError):
    """The amount must be a whole number of minor units within the allowed range.
    zh: 金额必须是允许范围内的整数（最小货币单位，如分）。
    """

    status = 422


class InvalidCurrency(TaelError):
    """The currency must be a supported upper-case ISO 4217 code.
    zh: 币种必须是受支持的大写 ISO 4217 代码。
    """

    status = 422


# ISO 4217 exponents of the currencies the shipped channels can settle; a channel narrows this further.
EXPONENTS = {"CNY": 2, "HKD": 2, "USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KRW": 0, "SGD": 2, "KWD": 3}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (fen for CNY) and its currency. Amounts are >= 0; direction belongs to the posting."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int or not 0 <= self.minor <= MAX_MINOR:
            raise InvalidAmount(param="amount")
        if self.currency not in EXPONENTS:
            raise InvalidCurrency(param="currency")

    def __str__(self) -> str:
        return f"{format_minor(self.minor, self.currency)} {self.currency}"


def format_minor(minor: int, currency: str) -> str:
    """Minor units as a string for people, never for sums: 123456, CNY -> 1,234.56."""
    exponent = EXPONENTS.get(currency, 0)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], digits[-exponent:]) if exponent else (digits, "")
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", whole)
    return f"{sign}{grouped}.{fraction}" if fraction else f"{sign}{grouped}"


def split(total: int, parts: int) -> list[int]:
    """Divide minor units as evenly as whole units allow; the first shares carry the remainder. The sum is exact."""
    if parts < 1:
        raise InvalidAmount("cannot split into fewer than one part")
    share, rest = divmod(total, parts)
    return [share + 1] * rest + [share] * (parts - rest)


def round_half_up(numerator: int, denominator: int) -> int:
    """A non-negative ratio rounded to the nearest whole unit, halves up: (5, 2) -> 3."""
    if numerator < 0 or denominator <= 0:
        raise InvalidAmount("round_half_up takes a non-negative numerator and a positive denominator")
    return (2 * numerator + denominator) // (2 * denominator)
