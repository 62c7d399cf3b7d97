"""Alipay's error codes, and its reasons for failed transfers, as a table (`codes.toml`), read once.

Code without a rule: unknown, query first. Reason without a rule: the channel declined, for reasons of its own.
"""

from fnmatch import fnmatchcase
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
    final: list[Operation] = []
    after_s: int | None = None


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a set of `error_code` words of a transfer that has failed for good means."""

    words: list[str]
    kind: ErrorKind
    retry: Retry


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule]
    reason: list[Reason]


_UNLISTED = Rule(codes=[], kind=ErrorKind.UNKNOWN, retry=Retry.QUERY_FIRST)
_UNSAID = Reason(words=[], kind=ErrorKind.DECLINED, retry=Retry.NEVER)


@lru_cache(maxsize=256)
def rule_for(sub_code: str, code: str, operation: Operation) -> Rule:
    """The rule for what Alipay said: for the `sub_code`, which is exact, else for the `code` above it."""
    return _find(sub_code, operation) or _find(code, operation) or _UNLISTED


@lru_cache(maxsize=256)
def reason_for(word: str) -> Reason:
    """Why a transfer failed, from its `error_code`."""
    matching = (one for one in REASONS if any(fnmatchcase(word.upper(), pattern.upper()) for pattern in one.words))
    return next(matching, _UNSAID)


def _find(code: str, operation: Operation) -> Rule | None:
    for rule in RULES:
        listed = any(fnmatchcase(code.upper(), pattern.upper()) for pattern in rule.codes)
        if listed and operation in (rule.operations or list(Operation)):
            return rule
    return None


def _load() -> _Table:
    text = resources.files("tael.channels.alipay").joinpath("codes.toml").read_bytes()
    return msgspec.toml.decode(text, type=_Table)


_table = _load()
RULES, REASONS = tuple(_table.rule), tuple(_table.reason)
