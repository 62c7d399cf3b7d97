"""Rule sets as versioned data: written as drafts, tried in shadow, put into service, retired.

    draft -> active -> retired          a version never changes; rolling back makes the old content a new version
          <-> shadow -> active          shadow: evaluated beside the active one, its answer is kept and has no effect

At most one version of an operation is active, and one in shadow. A book without an active version of its own for an
operation uses book 0: the rules that are shipped with this program.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources
from typing import Final, cast

from tael.base.db import Tx
from tael.base.errors import JsonValue, TaelError
from tael.risk import store
from tael.risk.checks import checked
from tael.risk.store import RuleSet
from tael.risk.tables import InvalidRuleSet, encoded, refusal

SHIPPED_BOOK: Final = 0
_MOST_LISTED: Final = 100
_OPERATION: Final = re.compile(r"[a-z][a-z_]{0,39}")


class RuleSetNotFound(TaelError):
    """There is no such version of the rules.
    zh: 规则集版本不存在。
    """

    status = 404


class RuleSetRetired(TaelError):
    """This version is retired; activate it to use its content again as a new version.
    zh: 该规则集版本已停用；可重新激活，其内容将作为新版本启用。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class Written:
    """A rule set in a file: which operation it is for, what it is, and the table."""

    operation: str
    note: str
    content: dict[str, JsonValue]


async def draft(
    tx: Tx, *, book: int, operation: str, content: dict[str, JsonValue], note: str, author: str, now: datetime
) -> RuleSet:
    """Store a new version; nothing uses it yet, so it need not be right yet, only small enough: `InvalidRuleSet`."""
    encoded(content)
    if not _OPERATION.fullmatch(operation):
        raise refusal(["an operation's name is a word of lower-case letters and _"])
    await store.lock_rule_sets(tx, book)
    version = await store.next_version(tx, book=book, operation=operation)
    new = RuleSet(book, operation, version, "draft", content, note, author, now, None)
    await store.insert_rule_set(tx, new)
    return new


async def activate(tx: Tx, *, book: int, operation: str, version: int, author: str, now: datetime) -> RuleSet:
    """Put a version into service in place of the active one; a retired one comes back as a new version.

    Raises `InvalidRuleSet` when it fails its checks, `RuleSetNotFound`.
    """
    found = await _to_change(tx, book=book, operation=operation, version=version)
    if found.state == "active":
        return found
    checked(found.content)
    if found.state == "retired":
        note = f"{found.note} (version {version} again)"[:200]
        found = await draft(
            tx, book=book, operation=operation, content=found.content, note=note, author=author, now=now
        )
    await store.displace(tx, book=book, operation=operation, state="active", becomes="retired")
    await store.set_state(tx, book=book, operation=operation, version=found.version, state="active", activated_at=now)
    return replace(found, state="active", activated_at=now)


async def shadow(tx: Tx, *, book: int, operation: str, version: int) -> RuleSet:
    """Let a draft be evaluated beside the active version. Raises `InvalidRuleSet`, `RuleSetNotFound`,
    `RuleSetRetired`."""
    found = await _to_change(tx, book=book, operation=operation, version=version)
    if found.state == "shadow":
        return found
    if found.state != "draft":
        raise RuleSetRetired(f"version {version} is {found.state}")
    checked(found.content)
    await store.displace(tx, book=book, operation=operation, state="shadow", becomes="draft")
    await store.set_state(tx, book=book, operation=operation, version=version, state="shadow", activated_at=None)
    return replace(found, state="shadow")


async def retire(tx: Tx, *, book: int, operation: str, version: int) -> RuleSet:
    """Take a version out of service; without an active version the shipped rules hold. Raises `RuleSetNotFound`."""
    found = await _to_change(tx, book=book, operation=operation, version=version)
    await store.set_state(tx, book=book, operation=operation, version=version, state="retired", activated_at=None)
    return replace(found, state="retired")


def problems_of(content: dict[str, JsonValue]) -> list[str]:
    """What stands between a rule set and being put into service."""
    try:
        checked(content)
    except InvalidRuleSet as refused:
        problems = refused.extra["problems"]
        assert isinstance(problems, list)
        return [str(problem) for problem in problems]
    return []


async def find(tx: Tx, *, book: int, operation: str, version: int) -> RuleSet:
    """One version. Raises `RuleSetNotFound`."""
    found = await store.rule_sets(tx, [(book, operation, version)])
    if not found:
        raise RuleSetNotFound(f"{operation} version {version}")
    return found[0]


async def listed(tx: Tx, *, book: int, operation: str | None = None) -> list[RuleSet]:
    """The versions of a book, newest first, and the shipped ones that are active; a hundred at most of each."""
    own = await store.list_rule_sets(tx, book=book, operation=operation, most=_MOST_LISTED)
    shipped = await store.list_rule_sets(tx, book=SHIPPED_BOOK, operation=operation, most=_MOST_LISTED)
    return own + [one for one in shipped if one.state == "active" and book != SHIPPED_BOOK]


async def install_shipped(tx: Tx, *, now: datetime) -> list[RuleSet]:
    """Store what this program ships and the database does not know yet, and put it into service; answers what is new.

    Content that is known stays as it is, active or not: an older program beside a newer one changes nothing.
    """
    await store.lock_rule_sets(tx, SHIPPED_BOOK)
    new: list[RuleSet] = []
    for written in shipped_files():
        known = await store.list_rule_sets(tx, book=SHIPPED_BOOK, operation=written.operation, most=_MOST_LISTED)
        if all(one.content != written.content for one in known):
            added = await draft(
                tx, book=SHIPPED_BOOK, operation=written.operation, content=written.content, note=written.note,
                author="tael", now=now,
            )  # fmt: skip
            new.append(
                await activate(
                    tx, book=SHIPPED_BOOK, operation=written.operation, version=added.version, author="tael", now=now
                )
            )
    return new


def shipped_files() -> Iterator[Written]:
    """The rule sets in this package."""
    for file in sorted(resources.files("tael.risk").joinpath("rules").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            yield read_toml(file.read_text("utf-8"))


def read_toml(text: str) -> Written:
    """A rule set written as TOML: `operation`, `note`, and `content` in the terms of the JSON Decision Model."""
    read = cast("dict[str, JsonValue]", tomllib.loads(text))
    content = read.get("content")
    return Written(
        str(read.get("operation", "")), str(read.get("note", "")), content if isinstance(content, dict) else {}
    )


async def _to_change(tx: Tx, *, book: int, operation: str, version: int) -> RuleSet:
    await store.lock_rule_sets(tx, book)
    return await find(tx, book=book, operation=operation, version=version)
