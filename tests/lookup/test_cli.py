"""`tael lookup` and `tael lost`, on the database of a shop."""

import json

import pytest

from shop import Shop
from tael.cli.commands import app
from tael.lookup import NothingFound

from .test_story import eventful


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()  # what was logged before
    await app.run_async(list(words), result_action="return_value")
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    monkeypatch.setenv("COLUMNS", "240")


async def test_the_story_is_printed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    order_no, attempt_no = await eventful(shop)
    text = await run(capsys, "lookup", attempt_no)
    for words in (
        "create: POST /v3/pay/transactions/native -> no reply, unknown", "notice: paid -> known", "payment.paid #1",
        "Cr customer.balance", "attempt 1 -> ", "attempt 2 -> delivered 204", "←", "→", order_no,
    ):  # fmt: skip
        assert words in text, text
    assert "request sha256" not in text
    raw = await run(capsys, "lookup", attempt_no, "--raw")
    assert '"out_trade_no":"' + attempt_no in raw.replace('": "', '":"')
    shown = json.loads(await run(capsys, "lookup", attempt_no, "--json"))
    assert [story["number"] for story in shown["stories"]] == [order_no]
    with pytest.raises(NothingFound):
        await run(capsys, "lookup", attempt_no, "--book", "2")


async def test_losses_are_printed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    account = await shop.account()
    await shop.paid(account)
    began = f"{shop.clock.now():%Y-%m-%d}"
    words = ("lost", "--since", began, "--until", "2200-01-01")
    shown = json.loads(await run(capsys, *words, "--json"))
    assert shown["external"] == {"wechat": {"paid": 1, "recovered": 0}}
    assert (shown["internal"]["orders"], shown["internal"]["unpublished"]) == (1, 1)
    assert "settled because we asked, of 1 paid" in await run(capsys, *words)
    assert json.loads(await run(capsys, "lost", "--book", "2", "--json"))["external"] == {}
