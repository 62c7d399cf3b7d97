"""Where bad input and attacks are tried: a shop with two companies, keys of every kind, and orders worth stealing.

A case is one hostile request and the answer it must get. The arena sends it and checks what matters more than the
answer: no row of any table changed, and neither the channel nor a business was called.
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2
import msgspec

from attacks.vault import stock
from shop import BOOK, Shop, open_shop
from tael.base.db import Database
from tael.guard import keys
from tael.ledger import open_book

OTHER_BOOK = 2
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `key` names one of the arena's keys; empty sends none."""

    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = "full"


@dataclass(frozen=True, slots=True)
class Case:
    """A hostile request: `id` names the row of the threat list, `what` says it in words, then what must be answered.

    `evidence` names the one table that may grow: a verified notice is kept before it is refused.
    """

    id: str
    what: str
    call: Callable[["Arena"], Call]
    status: int
    code: str = ""
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.id} {self.what}"


@dataclass(frozen=True, slots=True)
class Known:
    """What an attacker knows or owns: accounts and orders, ours and those of the other company."""

    account: str
    order: str
    attempt: str
    foreign_account: str
    foreign_order: str
    vault: Mapping[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """The text with `{name}` replaced by what is known under that name."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "vault"}
        for name, value in {**plain, **self.vault}.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@dataclass(frozen=True, slots=True)
class Arena:
    """A shop with keys by name and objects to attack."""

    shop: Shop
    keys: Mapping[str, str]
    known: Known
    last: dict[str, object] = field(default_factory=dict)

    def recharge(self, **changes: object) -> dict[str, object]:
        """A recharge that would be accepted, with `changes`; a field that is `...` is left out."""
        body: dict[str, object] = {
            "account_id": self.known.account, "amount": 100, "currency": "CNY", "channel": "wechat",
            "method": "native", "description": "hostile",
        } | changes  # fmt: skip
        return {name: value for name, value in body.items() if value is not ...}

    async def send(self, call: Call) -> httpx2.Response:
        """Send a call with its key."""
        headers = {name: value.encode("latin-1") for name, value in call.headers.items()}
        if call.key and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.keys[call.key]}".encode()
        return await self.shop.http.request(call.method, call.path, content=call.content or None, headers=headers)

    async def changes(self) -> set[str]:
        """What is not as it was when this was last asked: tables by name, `channel` and `business` if called."""
        before = dict(self.last)
        self.last.clear()
        self.last["channel"] = (await self.shop.sim.requests()).counts
        self.last["business"] = sum(len(kept) for kept in self.shop.receiver.kept.values())
        self.last.update(await digest_of_tables(self.shop.db))
        return {name for name, now in self.last.items() if before.get(name) != now}


async def digest_of_tables(db: Database) -> dict[str, object]:
    """Rows and a hash of each table of the schema but `node`, where a process renews its lease by itself."""
    async with db.report() as tx:
        names = [row["tablename"] for row in await tx.fetch(
            "select tablename from pg_tables where schemaname = 'public' and tablename <> 'node'")]  # fmt: skip
        parts = [
            f"select '{name}' as name, count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)), 0) as digest "
            f"from {name} t" for name in names
        ]  # fmt: skip
        return {row["name"]: row["digest"] for row in await tx.fetch(" union all ".join(parts))}


@contextlib.asynccontextmanager
async def open_arena(dsn: str, folder: Path) -> AsyncGenerator[Arena]:
    """A shop, a second company in another book, keys of every kind, an open order of each."""
    async with open_shop(dsn, folder, submission_guard_s=0) as shop:
        found = {name: await _key(shop, **how) for name, how in _KEYS.items()}
        found["full"] = shop.http.headers.pop("authorization").removeprefix("Bearer ")
        found["unknown"] = corrupted(found["full"])
        await _revoke(shop, found["revoked"])
        async with shop.db.transaction() as tx:
            await open_book(tx, OTHER_BOOK, name="the other company", now=shop.clock.now())
        draft = Arena(shop, found, Known("", "", "", "", ""))
        account = await _account(draft, "full")
        order = await _order(Arena(shop, found, Known(account, "", "", "", "")), "full")
        foreign = await _account(draft, "foreign")
        attempts = order["attempts"]
        assert isinstance(attempts, list)
        known = Known(
            account, str(order["order_no"]), attempts[0]["attempt_no"], foreign, await _foreign_order(shop),
            await stock(shop, found),
        )  # fmt: skip
        alive = asyncio.create_task(_stay_alive(shop))
        yield Arena(shop, found, known)
        alive.cancel()


_KEYS: dict[str, dict[str, object]] = {
    "foreign": {"book": OTHER_BOOK},
    "expired": {"expires_at": timedelta(seconds=-1)},
    "revoked": {},
    "readonly": {"scopes": ("recharges:read", "accounts:read")},
    "powerless": {"scopes": ()},
    "publishable": {"kind": "pk", "scopes": ()},
    "live": {"mode": "live"},
    "wang": {"person": "wang"},
    "wang_again": {"person": "wang"},
    "li": {"person": "li"},
    "clerk": {"scopes": tuple(scope for scope in keys.SCOPES if not scope.endswith(":approve")), "person": "clerk"},
}


async def _stay_alive(shop: Shop) -> None:
    """Keep the node number for longer than its minute; the application's own background work is off."""
    while True:
        await asyncio.sleep(15)
        await shop.system.ids.renew(shop.db)


async def _key(shop: Shop, *, expires_at: timedelta | None = None, **how: object) -> str:
    now = shop.clock.now()
    until = None if expires_at is None else now + expires_at
    options = {"book": BOOK, "mode": "test", **how}
    async with shop.db.transaction() as tx:
        return await keys.issue(tx, pepper=shop.system.key_ring.pepper, now=now, expires_at=until, **options)


async def _revoke(shop: Shop, key: str) -> None:
    parts = keys.parse(key)
    assert parts is not None
    async with shop.db.transaction() as tx:
        assert await keys.revoke(tx, book=BOOK, key_id=parts.id, now=shop.clock.now())


async def _account(arena: Arena, key: str) -> str:
    body = msgspec.json.encode({"owner": "1001", "currency": "CNY"})
    answer = await arena.send(Call("POST", "/v1/accounts", body, JSON, key))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def _order(arena: Arena, key: str) -> dict[str, object]:
    body = msgspec.json.encode(arena.recharge(business_order_no="taken"))
    answer = await arena.send(Call("POST", "/v1/recharges", body, {**JSON, "Idempotency-Key": "taken"}, key))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _foreign_order(shop: Shop) -> str:
    """An order of the other company; it has no merchant account, so the row is written as its process would."""
    number = shop.system.ids.order_no(business="RC", account=7)
    async with shop.db.transaction() as tx:
        await tx.execute(
            """insert into payment_order (book, order_no, id, kind, mode, state, account, amount, currency, description,
                   request_key, metadata, created_at, expires_at)
               values ($1, $2, $3, 'recharge', 'test', 'created', 7, 100, 'CNY', 'theirs', 'theirs', '{}', $4, $5)""",
            OTHER_BOOK, number, shop.system.ids.next(), shop.clock.now(), shop.clock.now() + timedelta(hours=1),
        )  # fmt: skip
        await tx.execute(
            """insert into payment_attempt (book, attempt_no, order_no, id, state, channel, merchant_account, method,
                   amount, currency, created_at)
               values ($1, $2, $2, $3, 'created', 'wechat', 1, 'native', 100, 'CNY', $4)""",
            OTHER_BOOK, number, shop.system.ids.next(), shop.clock.now(),
        )  # fmt: skip
    return number


def _other(letter: str) -> str:
    return "b" if letter == "a" else "a"


def corrupted(key: str) -> str:
    """A well-formed key (its checksum is right) whose secret nobody issued."""
    head = key[:-7][:-1] + _other(key[:-7][-1])
    return f"{head}_{keys._checksum(head)}"


def basic(text: str) -> str:
    """An HTTP Basic Authorization header."""
    return "Basic " + base64.b64encode(text.encode()).decode()
