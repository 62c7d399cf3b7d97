"""Merchant accounts: secrets stay outside the database, everything is checked when stored and again when loaded."""

from dataclasses import replace
from pathlib import Path

import pytest

from channels.otherside import APIV3, APPID, MCHID, MERCHANT_SERIAL, NOW, PUBLIC_KEY_ID, secrets
from tael.base.db import Database
from tael.channels.accounts import (
    AccountRow,
    InvalidMerchantAccount,
    MerchantAccountExists,
    MerchantAccountNotFound,
    MerchantAccounts,
    UnknownChannel,
    list_accounts,
    set_state,
)
from tael.channels.contract import BadCredentials, Operation
from tael.channels.registry import connectors
from tael.channels.transport import AddressNotAllowed, Transport
from tael.channels.wechat.keys import keys_of


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("merchant_key", "public_key"):
        (tmp_path / name).write_bytes(secrets()[name])
    monkeypatch.setenv("SHOP_APIV3", APIV3)
    return {
        "merchant_key": f"file:{tmp_path}/merchant_key",
        "public_key": f"file:{tmp_path}/public_key",
        "apiv3_key": "env:SHOP_APIV3",
    }


@pytest.fixture
def row(references: dict[str, str]) -> AccountRow:
    return AccountRow(
        book=1, id=11, name="shop", channel="wechat", mode="test", state="active", mchid=MCHID, appid=APPID,
        base_url="http://127.0.0.1:9", config={"serial_no": MERCHANT_SERIAL, "public_key_id": PUBLIC_KEY_ID},
        secret_refs=references, qps={Operation.CREATE: 50}, changed_at=NOW,
    )  # fmt: skip


@pytest.fixture
def accounts() -> MerchantAccounts:
    return MerchantAccounts(connectors(Transport()))


async def add(db: Database, accounts: MerchantAccounts, row: AccountRow) -> None:
    async with db.transaction() as tx:
        await accounts.add(tx, row)


async def test_an_account_is_stored_without_secrets_and_loaded_with_keys(
    db: Database, accounts: MerchantAccounts, row: AccountRow
):
    await add(db, accounts, row)
    assert await accounts.refresh(db) == []
    loaded = accounts.get(book=1, id=11)
    assert (loaded.mchid, loaded.appid, loaded.qps) == (MCHID, APPID, {Operation.CREATE: 50})
    assert keys_of(loaded).serial == MERCHANT_SERIAL
    assert accounts.connector(loaded).spec.name == "wechat"
    assert list(accounts) == [loaded]
    async with db.transaction() as tx:
        assert await list_accounts(tx) == [row]
        dump = str(await tx.fetchval("select to_jsonb(m)::text from merchant_account m"))
    assert APIV3 not in dump
    assert "PRIVATE KEY" not in dump


async def test_an_unchanged_row_keeps_its_loaded_keys_and_a_paused_one_too(
    db: Database, accounts: MerchantAccounts, row: AccountRow
):
    await add(db, accounts, row)
    await accounts.refresh(db)
    first = accounts.get(book=1, id=11)
    await accounts.refresh(db)
    assert accounts.get(book=1, id=11) is first
    async with db.transaction() as tx:
        await set_state(tx, book=1, name="shop", state="paused", now=NOW)
    await accounts.refresh(db)
    assert accounts.get(book=1, id=11).state == "paused"
    assert accounts.get(book=1, id=11).keys is first.keys


async def test_an_account_whose_secret_vanished_is_reported_and_stays_in_use(
    db: Database, accounts: MerchantAccounts, row: AccountRow, monkeypatch: pytest.MonkeyPatch
):
    await add(db, accounts, row)
    monkeypatch.delenv("SHOP_APIV3")
    refused = await accounts.refresh(db)
    assert [type(problem) for problem in refused] == [BadCredentials]
    assert "merchant account shop: apiv3_key is empty" in str(refused[0])
    with pytest.raises(MerchantAccountNotFound):
        accounts.get(book=1, id=11)
    monkeypatch.setenv("SHOP_APIV3", APIV3)
    assert await accounts.refresh(db) == []
    monkeypatch.delenv("SHOP_APIV3")
    async with db.transaction() as tx:
        await tx.execute('update merchant_account set config = config || \'{"note": "x"}\'')
    assert len(await accounts.refresh(db)) == 1
    assert accounts.get(book=1, id=11).mchid == MCHID


SAME = [
    ("same id", {"name": "b", "mchid": "2"}, MerchantAccountExists),
    ("same name", {"id": 12, "mchid": "2"}, MerchantAccountExists),
    ("same number and app", {"id": 12, "name": "b"}, MerchantAccountExists),
    ("same number, other app", {"id": 12, "name": "b", "appid": "wx2"}, None),
    ("other book", {"book": 2}, None),
]


@pytest.mark.parametrize(("change", "refusal"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
async def test_twice(db: Database, accounts: MerchantAccounts, row: AccountRow, change: dict, refusal: type | None):
    await add(db, accounts, row)
    if refusal is None:
        await add(db, accounts, replace(row, **change))
        return
    with pytest.raises(refusal):
        await add(db, accounts, replace(row, **change))


BAD = [
    ("channel", {"channel": "paypal"}, UnknownChannel),
    ("mchid empty", {"mchid": ""}, InvalidMerchantAccount),
    ("mchid with signs", {"mchid": "19&appid=1"}, InvalidMerchantAccount),
    ("mchid that breaks a header", {"mchid": '1",x="'}, InvalidMerchantAccount),
    ("appid full width", {"appid": "ｗｘ"}, InvalidMerchantAccount),
    ("name", {"name": "No Name"}, InvalidMerchantAccount),
    ("speed", {"qps": {Operation.CREATE: 0}}, InvalidMerchantAccount),
    ("live at another address", {"mode": "live"}, AddressNotAllowed),
    ("the secret itself", {"secret_refs": {"merchant_key": "x", "apiv3_key": APIV3}}, BadCredentials),
    ("no such file", {"secret_refs": {"merchant_key": "file:/nowhere", "apiv3_key": "env:PATH"}}, BadCredentials),
    ("no such variable", {"secret_refs": {"merchant_key": "env:NO_1", "apiv3_key": "env:PATH"}}, BadCredentials),
    ("a folder", {"secret_refs": {"merchant_key": "file:/tmp", "apiv3_key": "env:PATH"}}, BadCredentials),
    ("endless file", {"secret_refs": {"merchant_key": "file:/dev/zero", "apiv3_key": "env:PATH"}}, BadCredentials),
    ("secret of another channel", {"secret_refs": {"merchant_key": "env:A", "apiv3_key": "env:A", "x": "env:A"}},
     BadCredentials),
    ("missing secret", {"secret_refs": {"apiv3_key": "env:PATH"}}, BadCredentials),
]  # fmt: skip


@pytest.mark.parametrize(("change", "refusal"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_refused(db: Database, accounts: MerchantAccounts, row: AccountRow, change: dict, refusal: type):
    with pytest.raises(refusal) as refused:
        await add(db, accounts, replace(row, **change))
    assert APIV3 not in str(refused.value)
    async with db.transaction() as tx:
        assert await list_accounts(tx) == []


async def test_pausing_an_account_that_is_not_there(db: Database):
    with pytest.raises(MerchantAccountNotFound):
        async with db.transaction() as tx:
            await set_state(tx, book=1, name="nobody", state="paused", now=NOW)
