"""Alipay's error codes, and its reasons for failed transfers (`codes.toml`), in whatever case they are written."""

from functools import lru_cache

from tael.channels.code_table import UNLISTED, CodeTable, Reason, Rule
from tael.channels.contract import Operation

_TABLE = CodeTable("tael.channels.alipay", normal=str.upper)
RULES = _TABLE.rules


@lru_cache(maxsize=256)
def rule_for(sub_code: str, code: str, operation: Operation) -> Rule:
    """The rule for what Alipay said: for the `sub_code`, which is exact, else for the `code` above it."""
    return _TABLE.rule_for(sub_code, operation) or _TABLE.rule_for(code, operation) or UNLISTED


@lru_cache(maxsize=256)
def reason_for(word: str) -> Reason:
    """Why a transfer failed, from its `error_code`."""
    return _TABLE.reason_for(word)
