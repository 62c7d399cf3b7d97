"""API keys: shown once, kept as a keyed digest, refused when anything about them is wrong."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tael.base.clock import SteppedClock
from tael.base.db import Database, Tx
from tael.base.errors import code
from tael.guard import KeyRing, keys
from tael.guard.keys import SCOPES, InvalidApiKey, StoredKey, UnknownScope, WrongMode

PEPPER = b"pepper" * 8
NOW = SteppedClock().now()


async def issued(db: Database, **how: object) -> str:
    options: dict[str, object] = {"book": 1, "mode": "test", "pepper": PEPPER, "now": NOW} | how
    async with db.transaction() as tx:
        return await keys.issue(tx, **options)


def ring(db: Database, clock: SteppedClock, *, pepper: bytes = PEPPER, mode: str = "test") -> KeyRing:
    return KeyRing(db, pepper=pepper, mode=mode, now=clock.now)


async def test_a_key_names_its_book_and_scopes(db: Database) -> None:
    key = await issued(db, book=7, scopes=("accounts:read",))
    caller = await ring(db, SteppedClock()).authenticate(f"Bearer {key}")
    assert (caller.book, caller.mode, caller.scopes) == (7, "test", frozenset({"accounts:read"}))
    assert caller.key_id == key.split("_")[3]


async def test_neither_the_table_nor_the_list_holds_a_key(db: Database) -> None:
    key = await issued(db, name="shop")
    async with db.transaction() as tx:
        row = await tx.fetchval("select row_to_json(k)::text from api_key k")
        (listed,) = await keys.listed(tx, book=1)
    assert key.split("_")[4] not in str(row) + repr(listed)
    assert listed.last4 == key[-4:]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(db: Database, scheme: str) -> None:
    key = await issued(db)
    assert (await ring(db, SteppedClock()).authenticate(f"{scheme} {key}")).book == 1


async def test_every_other_letter_makes_another_key(db: Database) -> None:
    key = await issued(db)
    known = ring(db, SteppedClock())
    for place in range(len(key)):
        with pytest.raises((InvalidApiKey, WrongMode)):
            await known.authenticate(f"Bearer {key[:place]}{'x' if key[place] != 'x' else 'y'}{key[place + 1 :]}")
        with pytest.raises(InvalidApiKey):
            await known.authenticate(f"Bearer {key[:place]}")


async def test_another_pepper_knows_no_key(db: Database) -> None:
    key = await issued(db)
    with pytest.raises(InvalidApiKey):
        await ring(db, SteppedClock(), pepper=b"other" * 8).authenticate(f"Bearer {key}")


EXPIRY = [(-1, "invalid_api_key"), (0, "invalid_api_key"), (1, "")]


@pytest.mark.parametrize(("left_s", "refusal"), EXPIRY)
async def test_expiry(db: Database, left_s: int, refusal: str) -> None:
    key = await issued(db, expires_at=NOW + timedelta(seconds=left_s))
    assert await _said(ring(db, SteppedClock()), key) == refusal


async def test_a_key_that_is_remembered_still_expires_to_the_second(db: Database) -> None:
    clock = SteppedClock()
    key, known = await issued(db, expires_at=NOW + timedelta(seconds=2)), ring(db, clock)
    said: list[str] = []
    for _ in range(3):
        said.append(await _said(known, key))
        clock.advance(1)
    assert said == ["", "", "invalid_api_key"]


async def test_a_revocation_takes_five_seconds_at_most(db: Database) -> None:
    clock = SteppedClock()
    key, known = await issued(db), ring(db, clock)
    assert await _said(known, key) == ""
    async with db.transaction() as tx:
        assert await keys.revoke(tx, book=1, key_id=key.split("_")[3], now=clock.now())
        assert not await keys.revoke(tx, book=1, key_id=key.split("_")[3], now=clock.now()), "once"
    clock.advance(5)
    assert await _said(known, key) == "invalid_api_key"
    assert await _said(ring(db, clock), key) == "invalid_api_key"


async def test_a_crowd_with_a_forgotten_key_and_a_storm_of_invented_ones_look_together(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, find, looked = SteppedClock(), keys.find, list[list[str]]()

    async def noted(tx: Tx, key_ids: Sequence[str]) -> dict[str, StoredKey]:
        looked.append(list(key_ids))
        return await find(tx, key_ids)

    monkeypatch.setattr(keys, "find", noted)
    key, of_nobody = await issued(db), await issued(db)
    async with db.transaction() as tx:
        await tx.execute("delete from api_key where id = $1", of_nobody.split("_")[3])
    known = ring(db, clock)
    for _ in range(2):
        said = await asyncio.gather(*(_said(known, one) for one in [key, of_nobody] * 100))
        assert said == ["", "invalid_api_key"] * 100
        clock.advance(5)
    assert len(looked) <= 8
    assert all(len(found) <= 2 for found in looked)


async def test_another_company_cannot_revoke_it(db: Database) -> None:
    key = await issued(db)
    async with db.transaction() as tx:
        assert not await keys.revoke(tx, book=2, key_id=key.split("_")[3], now=NOW)
        assert await keys.listed(tx, book=2) == []
    assert await _said(ring(db, SteppedClock()), key) == ""


@pytest.mark.parametrize(("of", "on"), [("live", "test"), ("test", "live")])
async def test_the_other_mode(db: Database, of: str, on: str) -> None:
    key = await issued(db, mode=of)
    assert await _said(ring(db, SteppedClock(), mode=on), key) == "wrong_mode"


async def test_a_key_that_claims_the_other_mode_is_not_believed(db: Database) -> None:
    """The mode in the text is part of what the digest covers, and the row's mode is compared as well."""
    key = await issued(db)
    head = key[:-7].replace("_test_", "_live_")
    forged = f"{head}_{keys._checksum(head)}"
    assert await _said(ring(db, SteppedClock(), mode="live"), forged) == "invalid_api_key"


SCOPED = [
    ("sk", SCOPES, None), ("rk", ("accounts:read",), None), ("pk", (), None), ("pk", ("accounts:read",), UnknownScope),
    ("sk", ("everything",), UnknownScope), ("sk", ("accounts:read", ""), UnknownScope),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "scopes", "refusal"), SCOPED)
async def test_what_a_kind_of_key_may_carry(
    db: Database, kind: str, scopes: tuple[str, ...], refusal: type[Exception] | None
) -> None:
    if refusal is None:
        assert f"_{kind}_" in await issued(db, kind=kind, scopes=scopes)
        return
    with pytest.raises(refusal):
        await issued(db, kind=kind, scopes=scopes)


async def test_a_thousand_keys_differ(db: Database) -> None:
    async with db.transaction() as tx:
        made = [await keys.issue(tx, book=1, mode="test", pepper=PEPPER, now=NOW) for _ in range(1000)]
    assert len({key.split("_")[4] for key in made}) == len({key.split("_")[3] for key in made}) == 1000
    assert all(keys.parse(key) is not None for key in made)


async def _said(known: KeyRing, key: str) -> str:
    try:
        await known.authenticate(f"Bearer {key}")
    except (InvalidApiKey, WrongMode) as refusal:
        return code(type(refusal))
    return ""
