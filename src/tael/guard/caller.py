"""Who is asking: from the Authorization header to a book and its permissions.

Every route under /v1 names the one permission it needs with `requires`; the application does not start with a route
that names none.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import Depends, Request

from tael.base.batch import Batcher
from tael.base.db import Database
from tael.base.errors import TaelError
from tael.base.http import refuse_unknown_parameters
from tael.guard import keys
from tael.guard.keys import InvalidApiKey, StoredKey, WrongMode

_REMEMBER_S = 5
_REMEMBER_MOST = 10_000


class InsufficientScope(TaelError):
    """The API key does not carry the permission that this endpoint needs.
    zh: API 密钥没有此接口所需的权限。
    """

    status = 403


class PersonRequired(TaelError):
    """In live mode only a person decides what others proposed; this API key belongs to nobody.
    zh: 正式环境须由具名人员复核，该 API 密钥未绑定人员。
    """

    status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: the company's book, the public id of its key, test or live, its permissions, and the
    person who acts: the one the key belongs to, else `key:<id>`."""

    book: int
    key_id: str
    mode: Literal["test", "live"]
    scopes: frozenset[str]
    person: str

    def require(self, scope: str) -> None:
        """Raise `InsufficientScope` when the key does not carry `scope`."""
        assert scope in keys.SCOPES, scope
        if scope not in self.scopes:
            raise InsufficientScope(hint=f"the key needs {scope}")

    def checker(self) -> str:
        """The person who decides with this key. Raises `PersonRequired` in live mode when it belongs to nobody: it
        might be a second key of whoever proposed.
        """
        if self.mode == "live" and self.person == keys.nobody(self.key_id):
            raise PersonRequired(hint="tael key create --person NAME")
        return self.person


class KeyRing:
    """Checks API keys; remembers a checked key for five seconds, which is how long a revocation may take."""

    def __init__(
        self, db: Database, *, pepper: bytes, mode: Literal["test", "live"], now: Callable[[], datetime]
    ) -> None:
        self.pepper = pepper
        self._db, self._now = db, now
        self._mode: Literal["test", "live"] = mode
        self._known: dict[str, tuple[StoredKey, datetime]] = {}
        self._finding: Batcher[str, StoredKey | None] = Batcher(self._find)

    async def authenticate(self, authorization: str) -> Caller:
        """The caller behind an Authorization header (`Bearer tael_...`). Raises `InvalidApiKey` or `WrongMode`."""
        scheme, _, key = authorization.partition(" ")
        parts = keys.parse(key.strip()) if scheme.lower() == "bearer" else None
        if parts is None:
            raise InvalidApiKey
        if parts.mode != self._mode:
            raise WrongMode
        stored = await self._stored(parts.id)
        if stored is None or not hmac.compare_digest(stored.digest, keys.digest(key.strip(), self.pepper)):
            raise InvalidApiKey
        if not stored.usable(self._now()) or stored.mode != self._mode:
            raise InvalidApiKey
        return Caller(stored.book, stored.id, self._mode, stored.scopes, stored.person)

    async def _stored(self, key_id: str) -> StoredKey | None:
        known = self._known.get(key_id)
        if known is not None and (self._now() - known[1]).total_seconds() < _REMEMBER_S:
            return known[0]
        return await self._finding.submit(key_id)

    async def _find(self, key_ids: Sequence[str]) -> list[StoredKey | None]:
        """Requests that arrive together look together: the crowd whose key is forgotten, a storm of invented ones."""
        now = self._now()
        async with self._db.transaction() as tx:
            stored = await keys.find(tx, sorted(set(key_ids)))
        if len(self._known) + len(stored) > _REMEMBER_MOST:
            self._known.clear()
        self._known.update((key_id, (one, now)) for key_id, one in stored.items())
        return [stored.get(key_id) for key_id in key_ids]


class _Requirement:
    """The dependency that `requires` puts on a route."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        ring: KeyRing = request.app.state.key_ring
        given = request.headers.getlist("authorization")
        caller = await ring.authenticate(given[0] if len(given) == 1 else "")
        caller.require(self.scope)
        refuse_unknown_parameters(request)  # only now: who may not ask learns nothing about what can be asked
        return caller


def requires(scope: str) -> Caller:
    """A route's caller, who must carry `scope`: `caller: Annotated[Caller, requires("recharges:write")]`."""
    assert scope in keys.SCOPES, scope
    return Depends(_Requirement(scope))


def declared_scope(dependency: object) -> str | None:
    """The scope that a route's dependency asks for, or None when it is no requirement."""
    return dependency.scope if isinstance(dependency, _Requirement) else None
