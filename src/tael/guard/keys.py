"""API keys: issued once, shown once, kept as a keyed digest.

tael_test_sk_k3x9q0ab_<43 base62 characters>_<6 characters of checksum>
     |    |  |        secret                  finds typing errors and leaked keys without asking the database
     |    |  public id, by which it is found
     |    secret key, restricted key, publishable key
     test or live

A key may belong to a person. Who proposes and who decides are compared by person, so a second key of the same person
is no second person; a key that belongs to nobody stands for itself.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tael.base.db import Record, Tx
from tael.base.errors import TaelError

Kind = Literal["sk", "pk", "rk"]
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(r"tael_(test|live)_(sk|pk|rk)_([0-9a-z]{8})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})")

SCOPES = (
    "accounts:read", "accounts:write", "recharges:read", "recharges:write", "payments:read", "payments:write",
    "refunds:read", "refunds:write", "transfers:read", "transfers:write", "payees:read", "payees:write",
    "withdrawals:read", "withdrawals:write", "withdrawals:approve", "adjustments:read", "adjustments:write",
    "adjustments:approve", "approvals:read", "approvals:write", "routing:read", "routing:write", "risk:read",
    "risk:write", "suspense:read", "suspense:write", "alerts:read", "alerts:write", "lookup:read", "webhooks:read",
    "webhooks:write", "events:read",
)  # fmt: skip
"""Every permission a key can carry: resource and verb."""

_PERSON = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
PUBLISHABLE_SCOPES: tuple[str, ...] = ()
"""What a publishable key may carry: nothing yet, since every endpoint is for servers."""


class InvalidApiKey(TaelError):
    """The API key is missing, unknown, expired or revoked.
    zh: API 密钥缺失、无效、已过期或已吊销。
    """

    status = 401


class WrongMode(TaelError):
    """A test key was used on a live system, or the other way round.
    zh: 测试密钥用于正式环境，或正式密钥用于测试环境。
    """

    status = 401


class InvalidPerson(TaelError):
    """A person is named by 1 to 64 lower-case letters, digits and . _ @ - such as a staff number or a mail address.
    zh: 人员标识须为 1–64 个小写字母、数字或 . _ @ -（如工号或邮箱）。
    """

    status = 422


class UnknownScope(TaelError):
    """There is no such permission, or a key of this kind may not carry it.
    zh: 权限不存在，或该类密钥不允许拥有此权限。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a well-formed key says about itself."""

    mode: Literal["test", "live"]
    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database knows it."""

    id: str
    book: int
    mode: str
    kind: str
    name: str
    digest: bytes
    last4: str
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    owner: str | None

    @property
    def person(self) -> str:
        """Who acts with this key: the person it belongs to, else the key itself; no person's name has a colon."""
        return self.owner or nobody(self.id)

    def usable(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


async def issue(
    tx: Tx, *, book: int, mode: Literal["test", "live"], kind: Kind = "sk", name: str = "",
    scopes: Sequence[str] = SCOPES, pepper: bytes, now: datetime, expires_at: datetime | None = None,
    person: str | None = None,
) -> str:  # fmt: skip
    """Create a key and answer it; it cannot be shown again. Raises `UnknownScope` or `InvalidPerson`."""
    allowed = PUBLISHABLE_SCOPES if kind == "pk" else SCOPES
    if not set(scopes) <= set(allowed):
        raise UnknownScope(", ".join(sorted(set(scopes) - set(allowed))))
    if person is not None and not _PERSON.fullmatch(person):
        raise InvalidPerson(param="person")
    public = "".join(secrets.choice(_ALPHABET[:10] + _ALPHABET[36:]) for _ in range(8))
    head = f"tael_{mode}_{kind}_{public}_" + "".join(secrets.choice(_ALPHABET) for _ in range(43))
    key = f"{head}_{_checksum(head)}"
    await tx.execute(
        """insert into api_key (id, book, mode, kind, name, digest, last4, scopes, created_at, expires_at,
               person)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        public, book, mode, kind, name, digest(key, pepper), key[-4:], list(scopes), now, expires_at, person,
    )  # fmt: skip
    return key


async def revoke(tx: Tx, *, book: int, key_id: str, now: datetime) -> bool:
    """Make a key useless from now on; False when the book has no such live key."""
    tag = await tx.execute(
        "update api_key set revoked_at = $3 where book = $1 and id = $2 and revoked_at is null", book, key_id, now
    )
    return tag.endswith(" 1")


async def listed(tx: Tx, *, book: int) -> list[StoredKey]:
    """The keys of a book, oldest first; never their secrets."""
    rows = await tx.fetch("select * from api_key where book = $1 order by created_at", book)
    return [_read(row) for row in rows]


async def find(tx: Tx, key_ids: Sequence[str]) -> dict[str, StoredKey]:
    """The stored keys with these public ids."""
    rows = await tx.fetch("select * from api_key where id = any($1::text[])", key_ids)
    return {row["id"]: _read(row) for row in rows}


def nobody(key_id: str) -> str:
    """Who acts with a key that belongs to no person."""
    return f"key:{key_id}"


def parse(key: str) -> KeyParts | None:
    """The parts of a well-formed key, or None; costs no look-up."""
    matched = _FORM.fullmatch(key)
    if matched is None or not hmac.compare_digest(_checksum(key[:-7]), matched[5]):
        return None
    return KeyParts(
        "test" if matched[1] == "test" else "live",
        "sk" if matched[2] == "sk" else "pk" if matched[2] == "pk" else "rk",
        matched[3],
    )


def digest(key: str, pepper: bytes) -> bytes:
    """What is stored of a key: without the pepper, a stolen table proves nothing."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).digest()


def _checksum(head: str) -> str:
    number, text = zlib.crc32(head.encode()), ""
    for _ in range(6):
        number, place = divmod(number, 62)
        text = _ALPHABET[place] + text
    return text


def _read(row: Record) -> StoredKey:
    return StoredKey(
        row["id"], row["book"], row["mode"], row["kind"], row["name"], row["digest"], row["last4"],
        frozenset(row["scopes"]), row["expires_at"], row["revoked_at"], row["person"],
    )  # fmt: skip
