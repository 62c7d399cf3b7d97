"""WeChat Pay's error codes as a table (`codes.toml`), read once. Code without a rule: unknown, query first."""

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


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule]


_UNLISTED = Rule(codes=[], kind=ErrorKind.UNKNOWN, retry=Retry.QUERY_FIRST)


def normal(code: str) -> str:
    """One spelling: `ORDERNOTEXIST` for `ORDER_NOT_EXIST` and itself."""
    return code.replace("_", "").upper()


@lru_cache(maxsize=256)
def rule_for(code: str, operation: Operation) -> Rule:
    """The rule for a code as the channel spelled it."""
    spelling = normal(code)
    for rule in RULES:
        listed = any(fnmatchcase(spelling, normal(pattern)) for pattern in rule.codes)
        if listed and operation in (rule.operations or list(Operation)):
            return rule
    return _UNLISTED


def _load() -> tuple[Rule, ...]:
    text = resources.files("tael.channels.wechat").joinpath("codes.toml").read_bytes()
    return tuple(msgspec.toml.decode(text, type=_Table).rule)


RULES = _load()
