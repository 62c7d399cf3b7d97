"""99bill's error codes as a table (`codes.toml`), read once.

Code without a rule: unknown, query first. Reason without a rule: the bank declined, for reasons of its own.
"""

from functools import lru_cache
from importlib import resources

import msgspec

from tael.channels.contract import ErrorKind, Operation, Retry


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a set of codes means; see the opening of `codes.toml`."""

    codes: list[str]
    kind: ErrorKind
    retry: Retry
    operations: list[Operation] = []


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule]
    reason: list[Rule]


_UNLISTED = Rule(codes=[], kind=ErrorKind.UNKNOWN, retry=Retry.QUERY_FIRST)
_UNSAID = Rule(codes=[], kind=ErrorKind.DECLINED, retry=Retry.NEVER)


@lru_cache(maxsize=256)
def rule_for(code: str, operation: Operation) -> Rule:
    """The rule for the code of a refused request."""
    fitting = (one for one in RULES if code in one.codes and operation in (one.operations or list(Operation)))
    return next(fitting, _UNLISTED)


@lru_cache(maxsize=256)
def reason_for(code: str) -> Rule:
    """Why a payout failed or came back."""
    return next((one for one in REASONS if code in one.codes), _UNSAID)


def _load() -> _Table:
    text = resources.files("tael.channels.bill99").joinpath("codes.toml").read_bytes()
    return msgspec.toml.decode(text, type=_Table)


_table = _load()
RULES, REASONS = tuple(_table.rule), tuple(_table.reason)
