"""A channel's error codes, and its reasons for failed payouts, as a table (`codes.toml` in its folder), read once.

Code without a rule: unknown, query first. Reason without a rule: the channel declined, for reasons of its own.
"""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
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
    """What a set of words means with which the channel says why a payout has failed for good."""

    words: list[str]
    kind: ErrorKind
    retry: Retry


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule]
    reason: list[Reason]


UNLISTED = Rule(codes=[], kind=ErrorKind.UNKNOWN, retry=Retry.QUERY_FIRST)
_UNSAID = Reason(words=[], kind=ErrorKind.DECLINED, retry=Retry.NEVER)


class CodeTable:
    """The table of one channel. The first entry that matches decides."""

    def __init__(self, package: str, *, normal: Callable[[str], str]) -> None:
        """`package`: the channel's. `normal`: one spelling for a code that the channel spells in several ways."""
        text = resources.files(package).joinpath("codes.toml").read_bytes()
        content = msgspec.toml.decode(text, type=_Content)
        self.rules, self.reasons = tuple(content.rule), tuple(content.reason)
        self._normal = normal

    def rule_for(self, code: str, operation: Operation) -> Rule | None:
        """The rule for a code as the channel spelled it; None when it is not listed for this operation."""
        for rule in self.rules:
            if self._lists(rule.codes, code) and operation in (rule.operations or list(Operation)):
                return rule
        return None

    def reason_for(self, word: str) -> Reason:
        """Why a payout failed, from the word as the channel spelled it."""
        return next((reason for reason in self.reasons if self._lists(reason.words, word)), _UNSAID)

    def _lists(self, patterns: Iterable[str], word: str) -> bool:
        return any(fnmatchcase(self._normal(word), self._normal(pattern)) for pattern in patterns)
