"""`tael risk`: rules from a file into service, what they would have done, verdicts and freezes."""

import json
from pathlib import Path

import pytest

import tael.cli.risk as command
from risk.conftest import BOOK, asks, judge, table
from tael.base.clock import DatabaseClock
from tael.base.db import Database
from tael.risk import InvalidRuleSet, Risk
from tael.risk.verdicts import VerdictNotFound

STRICT = table(("amount > 100", "small_only", "refuse"))


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)


@pytest.fixture
def strict(tmp_path: Path) -> str:
    path = tmp_path / "strict.json"
    path.write_text(json.dumps(STRICT), "utf-8")
    return str(path)


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    await command.app.run_async([str(word) for word in words], result_action="return_value")
    return capsys.readouterr().out


async def test_rules_from_a_file_into_service(
    db: Database, risk: Risk, strict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = json.loads(await run(capsys, "rules", "--json"))
    assert [(one["operation"], one["version"], one["origin"]) for one in shipped] == [("withdrawal", 1, "shipped")]
    now = (await DatabaseClock.synchronised(db)).now()
    await judge(db, risk, [asks(number, number * 60) for number in range(3)], now)

    said = await run(capsys, "test", strict, "--operation", "withdrawal")
    assert "would have stopped 1 of 3" in said
    assert json.loads(await run(capsys, "test", strict, "--operation", "withdrawal", "--json"))["newly_stopped"] == 1

    assert "version 1: shadow" in await run(capsys, "shadow", strict, "--operation", "withdrawal")
    published = json.loads(await run(capsys, "publish", strict, "--operation", "withdrawal", "--note", "x", "--json"))
    assert (published["version"], published["state"], published["note"]) == (2, "active", "x")
    await judge(db, risk, [asks(9, 500, person=9)], now)
    verdict = json.loads(await run(capsys, "verdict", "withdrawal", "WD9", "--json"))
    assert (verdict["outcome"], verdict["rules"], verdict["origin"]) == ("refuse", ["small_only"], "own")
    assert "WD9: refuse by own version 2" in await run(capsys, "verdict", "withdrawal", "WD9")
    assert "small_only" in await run(capsys, "show", "withdrawal", "2")
    assert json.loads(await run(capsys, "show", "withdrawal", "2", "--json"))["content"] == STRICT
    listed = await run(capsys, "rules")
    assert [word in listed for word in ("active", "shadow", "shipped")] == [True] * 3


async def test_accounts_are_frozen_and_freed(accounts: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    assert "never frozen" in await run(capsys, "unfreeze", "1", "--reason", "x")
    done = json.loads(await run(capsys, "freeze", "1", "--reason", "stolen", "--json"))
    assert (done["frozen"], done["reason"], done["account_id"]) == (True, "stolen", "1")
    assert "account 1: free, freeze 1" in await run(capsys, "unfreeze", "1", "--reason", "found")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.json", "{", ["--operation", "withdrawal"]),
        ("x.json", "{}", ["--operation", "withdrawal"]),
        ("x.json", json.dumps(STRICT), []),
        ("x.json", json.dumps(STRICT), ["--operation", "With Drawal"]),
        ("x.toml", "operation = ", []),
        ("x.toml", "operation = 'withdrawal'", []),
        ("x.toml", "operation = 'withdrawal'", ["--operation", "transfer"]),
        ("missing.json", "", ["--operation", "withdrawal"]),
    ],
)
async def test_files_that_are_no_rules(
    name: str, text: str, words: list[str], tmp_path: Path, db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if text:
        path.write_text(text, "utf-8")
    for verb in ("publish", "shadow"):
        with pytest.raises(InvalidRuleSet):
            await run(capsys, verb, str(path), *words)
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from risk_rule_set where book = $1", BOOK) == 0


async def test_what_was_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VerdictNotFound):
        await run(capsys, "verdict", "withdrawal", "WD1")
