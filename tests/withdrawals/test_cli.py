"""`tael withdrawal ...` with real keys: two people, one book, and a key that says who acts."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tael.base.db import Database
from tael.base.errors import TaelError, code
from tael.cli.withdrawals import app
from tael.guard import keys

from .conftest import BOOK, MASTER_KEY, Company, open_company

As = Callable[..., Awaitable[str]]


@pytest.fixture
async def company(db: Database, tmp_path: Path) -> AsyncIterator[Company]:
    """A company whose clock agrees with the database's, which is the one that commands go by."""
    async with open_company(db, tmp_path, start=datetime.now(UTC)) as opened:
        yield opened
        await opened.check()


@pytest.fixture
async def as_(company: Company, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> As:
    """Run a command as a person; answers what was printed."""
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    monkeypatch.setenv("TAEL_MASTER_KEY", MASTER_KEY)
    monkeypatch.setenv("COLUMNS", "200")

    async def run(person: str, *words: str, scopes: tuple[str, ...] = keys.SCOPES) -> str:
        async with company.db.transaction() as tx:
            key = await keys.issue(
                tx, book=BOOK, mode="test", pepper=MASTER_KEY.encode(), scopes=scopes, now=company.clock.now(),
                person=person,
            )  # fmt: skip
        monkeypatch.setenv("TAEL_API_KEY", key)
        capsys.readouterr()
        await app.run_async(list(words), result_action="return_value")
        return capsys.readouterr().out

    return run


async def said(as_: As, person: str, *words: str, **more: object) -> str:
    try:
        return json.loads(await as_(person, *words, "--json", **more))[0]["state"]
    except TaelError as refusal:
        return code(type(refusal))


async def test_two_people(company: Company, as_: As) -> None:
    account, payee = await company.open(), await company.bind()
    number = await company.asked(account, payee)
    listed = json.loads(await as_("li", "list", "--state", "reviewing", "--json"))
    assert [one["order_no"] for one in listed] == [number]
    assert await said(as_, "wang", "approve", number) == "self_approval"
    seen = listed[0]["approval"]["payload_sha256"]
    assert await said(as_, "li", "approve", number, "--seen", "0" * 64) == "payload_changed"
    assert await said(as_, "li", "approve", number, "--seen", seen) == "approved"
    await company.advance(60)
    await company.pay()
    assert await said(as_, "li", "show", number) == "paid"
    shown = await as_("li", "show", number)
    assert "****5678" in shown
    assert "li: approve" in shown
    assert "王小明" not in shown


async def test_rejected_and_cancelled(company: Company, as_: As) -> None:
    account, payee = await company.open(), await company.bind()
    one, other = await company.asked(account, payee), await company.asked(account, payee)
    assert await said(as_, "li", "reject", one, "--note", "wrong card") == "invalid"
    assert await said(as_, "wang", "cancel", other) == "invalid"
    assert await company.money(account) == (100_000, 0)
    assert await said(as_, "li", "approve", one, scopes=("withdrawals:read",)) == "insufficient_scope"
    assert await said(as_, "li", "show", "WD" + "0" * 30) == "order_not_found"
