"""`tael transfer ...` shows what happened, to whoever may read it."""

import json

import pytest

from tael.cli.transfers import app
from tael.guard.caller import InsufficientScope

from .conftest import ALICE, BOB, PEPPER, Company, asked


@pytest.fixture
def settings(dsn: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    monkeypatch.setenv("TAEL_MASTER_KEY", PEPPER.decode())
    monkeypatch.setenv("COLUMNS", "200")
    return monkeypatch


async def test_what_it_shows(
    company: Company, settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = (await company.transfer(note="dinner")).json()
    batch = (await company.batch(asked(ALICE, BOB, 10**9), asked(ALICE, BOB, 1), atomic=False)).json()
    hold = await company.held(amount=1_234)
    settings.setenv("TAEL_API_KEY", await company.key("transfers:read"))

    async def run(*words: str) -> str:
        capsys.readouterr()
        await app.run_async(list(words), result_action="return_value")
        return capsys.readouterr().out

    assert json.loads(await run("show", one["order_no"], "--json")) == [one]
    assert json.loads(await run("batch", batch["batch_no"])) == batch
    listed = json.loads(await run("list", str(BOB), "--direction", "incoming", "--json"))
    assert [shown["amount"] for shown in listed] == [1, 100]
    assert await run("list", str(BOB), "--json") == "[]\n"
    assert "dinner" in await run("list", str(ALICE))
    (held,) = json.loads(await run("holds", str(ALICE), "--json"))
    assert (held["id"], held["state"]) == (hold, "open")
    assert "12.34 CNY" in await run("holds", str(ALICE))


async def test_without_the_permission(company: Company, settings: pytest.MonkeyPatch) -> None:
    settings.setenv("TAEL_API_KEY", await company.key("accounts:read"))
    with pytest.raises(InsufficientScope):
        await app.run_async(["list", str(ALICE)], result_action="return_value")
