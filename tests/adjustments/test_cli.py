"""`tael adjustment ...` with real keys: two people, one book, and a key that says who acts."""

import json
from collections.abc import Awaitable, Callable

import pytest

from tael.adjustments import LegsRefused
from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.base.errors import TaelError, code
from tael.cli.adjustments import app
from tael.cli.keys import app as key_app
from tael.guard import keys
from tael.guard.caller import InsufficientScope
from tael.guard.keys import InvalidApiKey, InvalidPerson
from tael.ledger.verify import verify

from .conftest import ALICE, BANK, BOB, BOOK, open_books

PEPPER = "k" * 32
As = Callable[..., Awaitable[str]]


@pytest.fixture
async def as_(db: Database, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> As:
    """Run a command as a person; answers what was printed."""
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    monkeypatch.setenv("TAEL_MASTER_KEY", PEPPER)
    monkeypatch.setenv("COLUMNS", "200")
    clock = await DatabaseClock.synchronised(db)
    await open_books(db, clock)

    async def run(person: str | None, *words: str, scopes: tuple[str, ...] = keys.SCOPES) -> str:
        async with db.transaction() as tx:
            key = await keys.issue(
                tx, book=BOOK, mode="test", pepper=PEPPER.encode(), scopes=scopes, now=clock.now(), person=person
            )
        monkeypatch.setenv("TAEL_API_KEY", key)
        capsys.readouterr()
        await app.run_async(list(words), result_action="return_value")
        return capsys.readouterr().out

    return run


async def propose(as_: As, key: str, *legs: str, by: str = "wang") -> str:
    words = ["propose", key, "--reason", "complaint 17", "--currency", "CNY", "--json"]
    (made,) = json.loads(await as_(by, *words, *(word for leg in legs for word in ("--leg", leg))))
    return made["adjustment_no"]


async def said(as_: As, person: str | None, *words: str) -> str:
    try:
        return json.loads(await as_(person, *words, "--json"))[0]["state"]
    except TaelError as refusal:
        return code(type(refusal))


async def test_two_people(as_: As, db: Database) -> None:
    number = await propose(as_, "one", f"{BANK}:{ALICE}:5000", f"{ALICE}:{BOB}:70")
    assert await propose(as_, "one", f"{BANK}:{ALICE}:5000", f"{ALICE}:{BOB}:70") == number
    assert await said(as_, "wang", "approve", number) == "self_approval"
    assert await said(as_, "li", "approve", number, "--seen", "0" * 64) == "payload_changed"
    (waits,) = json.loads(await as_("li", "list", "--state", "proposed", "--json"))
    assert await said(as_, "li", "approve", number, "--seen", waits["payload_sha256"], "--note", "ok") == "posted"
    assert await said(as_, "li", "approve", number) == "already_decided"
    table = await as_("li", "list")
    assert number in table
    assert "1 of 1" in table
    other = await propose(as_, "two", f"{ALICE}:{BOB}:1")
    assert await said(as_, "li", "reject", other, "--note", "no document") == "rejected"
    third = await propose(as_, "three", f"{ALICE}:{BOB}:1")
    assert await said(as_, None, "cancel", third) == "cancelled"
    assert (await verify(db, BOOK)).ok


async def test_who_may_not(as_: As, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InsufficientScope):
        await as_("li", "list", scopes=("adjustments:write",))
    with pytest.raises(InsufficientScope):
        await as_("li", "approve", "AD1", scopes=("adjustments:write", "adjustments:read"))
    for wrong in ("", "tael_test_sk_x"):
        monkeypatch.setenv("TAEL_API_KEY", wrong)
        with pytest.raises(InvalidApiKey):
            await app.run_async(["list"], result_action="return_value")


@pytest.mark.parametrize("leg", ["", "1:2", "1:2:3:4", "1:2:x", "1:2:-3", "1:2:1.5", "1:2:٣", f"1:2:{10**20}"])
async def test_legs_that_are_none(as_: As, leg: str) -> None:
    with pytest.raises(LegsRefused):
        await propose(as_, "one", leg)


async def test_a_key_of_a_person(as_: As, capsys: pytest.CaptureFixture[str]) -> None:
    await key_app.run_async(["create", "--person", "wang"], result_action="return_value")
    await key_app.run_async(["create"], result_action="return_value")
    capsys.readouterr()
    await key_app.run_async(["list", "--json"], result_action="return_value")
    assert [one["person"] for one in json.loads(capsys.readouterr().out)] == ["wang", None]
    await key_app.run_async(["list"], result_action="return_value")
    assert "wang" in capsys.readouterr().out
    with pytest.raises(InvalidPerson):
        await key_app.run_async(["create", "--person", "key:abcdefgh"], result_action="return_value")
