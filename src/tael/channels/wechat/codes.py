"""WeChat Pay's error codes, and its reasons for failed payouts (`codes.toml`), with and without underscores."""

from functools import lru_cache

from tael.channels.code_table import UNLISTED, CodeTable, Reason, Rule
from tael.channels.contract import Operation


def normal(code: str) -> str:
    """One spelling: `ORDERNOTEXIST` for `ORDER_NOT_EXIST` and itself."""
    return code.replace("_", "").upper()


_TABLE = CodeTable("tael.channels.wechat", normal=normal)
RULES, REASONS = _TABLE.rules, _TABLE.reasons


@lru_cache(maxsize=256)
def rule_for(code: str, operation: Operation) -> Rule:
    """The rule for a code as the channel spelled it."""
    return _TABLE.rule_for(code, operation) or UNLISTED


@lru_cache(maxsize=256)
def reason_for(word: str) -> Reason:
    """Why a payout failed, from the `fail_reason` as the channel spelled it."""
    return _TABLE.reason_for(word)
