"""Endpoints: a business says where it wants to be told about what, and gets a secret to check it with.

created (enabled) <-> disabled by the business, or because the receiver answered 410 (reason `gone`)
     |            <-> paused after five days without one success (reason `failing`)
     +-> deleted
While an endpoint is not enabled, new events are not queued for it and those waiting become dead letters when they
fall due; once it is enabled again, `replay` brings what was missed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tael.base.db import Database
from tael.base.errors import TaelError
from tael.callbacks import signing, store
from tael.callbacks.callbacks import Callbacks
from tael.callbacks.store import Endpoint

MOST_ENDPOINTS = 20
MOST_TOPICS = 50
_TOPIC = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?", re.ASCII)


class EndpointNotFound(TaelError):
    """There is no such callback endpoint.
    zh: 回调端点不存在。
    """

    status = 404


class InvalidTopic(TaelError):
    """A topic is a name such as `recharge.paid`, a family such as `recharge.*`, or `*`; 1 to 50 of them, none twice.
    zh: 主题须为 recharge.paid 形式的名称、recharge.* 形式的一类，或 *；1 至 50 个，不得重复。
    """

    status = 422


class TooManyEndpoints(TaelError):
    """A company has 20 callback endpoints at most; delete one first.
    zh: 每家企业最多 20 个回调端点，请先删除不用的端点。
    """

    status = 409


class RotationUnderWay(TaelError):
    """The secret before the present one still signs; wait until it ends, or rotate without overlap.
    zh: 上一个密钥仍在并行签名期内，请等待其结束，或选择不保留旧密钥的轮换。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class Change:
    """What the business wants to be different; None leaves a field as it is."""

    url: str | None = None
    topics: Sequence[str] | None = None
    description: str | None = None


async def create(
    callbacks: Callbacks, *, book: int, url: str, topics: Sequence[str], description: str
) -> tuple[Endpoint, str]:
    """Register an endpoint; answers it with its secret, which is not shown again.

    Raises `UrlNotAllowed`, `InvalidTopic`, `TooManyEndpoints`.
    """
    patterns = _patterns(topics)
    await callbacks.transport.check(url)
    now = callbacks.now()
    endpoint = Endpoint(
        book, callbacks.ids.next(), url, tuple(topics), description, "enabled", "", 1, None, 0, None, now
    )
    async with callbacks.db.transaction() as tx:
        await store.lock_book(tx, book)
        if await store.count_endpoints(tx, book) >= MOST_ENDPOINTS:
            raise TooManyEndpoints
        await store.insert_endpoint(tx, endpoint, patterns=patterns)
    return endpoint, signing.shown(callbacks.secret(endpoint))


async def listed(db: Database, *, book: int) -> list[Endpoint]:
    """The endpoints of a book, oldest first."""
    async with db.transaction() as tx:
        return await store.endpoints(tx, book)


async def get(db: Database, *, book: int, endpoint_id: int) -> Endpoint:
    """One endpoint of a book. Raises `EndpointNotFound`."""
    async with db.transaction() as tx:
        return existing(await store.endpoint(tx, book, endpoint_id))


async def change(callbacks: Callbacks, wanted: Change, *, book: int, endpoint_id: int) -> Endpoint:
    """Change an endpoint; its secret stays. Messages already queued go to the new URL.

    Raises `EndpointNotFound`, `UrlNotAllowed`, `InvalidTopic`.
    """
    await get(callbacks.db, book=book, endpoint_id=endpoint_id)
    if wanted.topics is not None:
        _patterns(wanted.topics)
    if wanted.url is not None:
        await callbacks.transport.check(wanted.url)
    async with callbacks.db.transaction() as tx:
        present = existing(await store.endpoint_to_change(tx, book, endpoint_id))
        changed = replace(
            present,
            url=present.url if wanted.url is None else wanted.url,
            topics=present.topics if wanted.topics is None else tuple(wanted.topics),
            description=present.description if wanted.description is None else wanted.description,
        )
        await store.describe(tx, changed, patterns=_patterns(changed.topics))
    return changed


async def enable(callbacks: Callbacks, *, book: int, endpoint_id: int) -> Endpoint:
    """Put an endpoint into service (again). Raises `EndpointNotFound`."""
    return await _set_status(callbacks, "enabled", "", book=book, endpoint_id=endpoint_id)


async def disable(callbacks: Callbacks, *, book: int, endpoint_id: int) -> Endpoint:
    """Take an endpoint out of service. Raises `EndpointNotFound`."""
    return await _set_status(callbacks, "disabled", "by request", book=book, endpoint_id=endpoint_id)


async def delete(callbacks: Callbacks, *, book: int, endpoint_id: int) -> None:
    """Forget an endpoint; what was sent to it stays on record. Raises `EndpointNotFound`."""
    async with callbacks.db.transaction() as tx:
        existing(await store.endpoint_to_change(tx, book, endpoint_id))
        await store.set_status(tx, book, endpoint_id, "deleted", reason="by request")


async def rotate_secret(
    callbacks: Callbacks, *, book: int, endpoint_id: int, overlap_hours: int
) -> tuple[Endpoint, str]:
    """Give an endpoint a new secret; the old one signs beside it for `overlap_hours` (0: never again).

    Without overlap every older secret ends at once, so a leaked one can always be ended. Raises `EndpointNotFound`,
    `RotationUnderWay`.
    """
    now = callbacks.now()
    async with callbacks.db.transaction() as tx:
        present = existing(await store.endpoint_to_change(tx, book, endpoint_id))
        if overlap_hours and present.previous_until is not None and now < present.previous_until:
            raise RotationUnderWay(hint="use overlap_hours 0 if a secret has leaked")
        until = now + timedelta(hours=overlap_hours)
        await store.rotate(tx, book, endpoint_id, previous_until=until)
    rotated = replace(present, generation=present.generation + 1, previous_until=until)
    return rotated, signing.shown(callbacks.secret(rotated))


def existing(endpoint: Endpoint | None) -> Endpoint:
    """The endpoint, which the caller's book must have. Raises `EndpointNotFound`."""
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


async def _set_status(callbacks: Callbacks, status: str, reason: str, *, book: int, endpoint_id: int) -> Endpoint:
    async with callbacks.db.transaction() as tx:
        present = existing(await store.endpoint_to_change(tx, book, endpoint_id))
        if present.status != status:
            await store.set_status(tx, book, endpoint_id, status, reason=reason)
            tx.on_commit(callbacks.queued.set)
        return existing(await store.endpoint(tx, book, endpoint_id))


def _patterns(topics: Sequence[str]) -> list[str]:
    """Topics as SQL LIKE patterns. Raises `InvalidTopic`."""
    if not 1 <= len(topics) <= MOST_TOPICS or len(set(topics)) != len(topics):
        raise InvalidTopic(f"{len(topics)} topics", param="topics")
    for topic in topics:
        if len(topic) > 100 or not _TOPIC.fullmatch(topic):
            raise InvalidTopic(param="topics")
    return [topic.replace("_", "\\_").replace("*", "%") for topic in topics]
