"""`tael refund ...` with real keys and a running channel: the key says who acts, the business's number what is new."""

import json
from collections.abc import Awaitable, Callable

import pytest
from cyclopts import ValidationError
from structlog.testing import capture_logs

from shop import BOOK, MASTER_KEY, Shop
from tael.base.errors import TaelError, code
from tael.cli.refunds import app
from tael.guard import keys

Run = Callable[..., Awaitable[str]]


@pytest.fixture
async def run(shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with a new key; answers what was printed."""
    for name, value in {
        "TAEL_DATABASE_URL": dsn, "TAEL_MASTER_KEY": MASTER_KEY, "TAEL_PORT": str(shop.system.settings.port),
        "COLUMNS": "250",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    async def run(*words: str, scopes: tuple[str, ...] = keys.SCOPES, book: int = BOOK) -> str:
        async with shop.db.transaction() as tx:
            key = await keys.issue(
                tx, book=book, mode="test", pepper=MASTER_KEY.encode(), scopes=scopes, now=shop.clock.now()
            )
        monkeypatch.setenv("TAEL_API_KEY", key)
        capsys.readouterr()
        with capture_logs():
            await app.run_async(list(words), result_action="return_value")
        return capsys.readouterr().out

    return run


async def said(run: Run, *words: str, **more: object) -> list[dict[str, object]] | str:
    """What a command answers, or the code of its refusal."""
    try:
        return json.loads(await run(*words, "--json", **more))
    except TaelError as refusal:
        return code(type(refusal))


async def start(run: Run, payment: object, amount: int, number: str = "B-1", **more: object) -> object:
    return await said(run, "start", str(payment), str(amount), number, "--reason", "broken", **more)


async def test_from_the_command_to_the_payer(shop: Shop, run: Run) -> None:
    payment = (await shop.paid(await shop.account()))["order_no"]
    (refund,) = await start(run, payment, 4_000)
    assert (refund["state"], refund["amount"], refund["payment_no"], refund["reason"]) == (
        "paying", 4_000, payment, "broken",
    )  # fmt: skip
    assert await start(run, payment, 4_000) == [refund], "the same command starts nothing new"
    await shop.advance(6)
    await shop.send_refunds()
    assert [(one.refund_minor, one.state) for one in await shop.sim.refunds()] == [(4_000, "SUCCESS")]
    (shown,) = await said(run, "show", refund["refund_no"])
    assert shown["state"] == "paid"
    assert shown == (await shop.http.get(f"/v1/refunds/{refund['refund_no']}")).json()
    assert await said(run, "list") == await said(run, "list", "--state", "paid") == [shown]
    assert await said(run, "list", "--state", "failed") == []
    table = await run("list")
    for word in (refund["refund_no"], "B-1", "40.00 CNY", "paid", payment):
        assert str(word) in table, word
    await shop.check_books()


async def test_what_is_refused(shop: Shop, run: Run) -> None:
    payment = (await shop.paid(await shop.account(), 1_000))["order_no"]
    reader = {"scopes": ("refunds:read",)}
    assert await start(run, payment, 100, **reader) == "insufficient_scope"
    assert await start(run, payment, 1_001) == "refund_exceeds"
    assert await start(run, "RC" + "0" * 30, 100) == "order_not_found"
    assert await said(run, "list", **reader) == []
    assert await shop.count("refund") == 0
    (refund,) = await start(run, payment, 100)
    assert await start(run, payment, 200) == "idempotency_key_reused"
    assert await said(run, "show", refund["refund_no"], book=2) == "order_not_found"
    assert await said(run, "show", str(payment)) == "order_not_found"
    assert await said(run, "list", book=2) == []


@pytest.mark.parametrize(
    "changed", [{"amount": "0"}, {"amount": "-1"}, {"number": "B 1"}, {"reason": "x" * 81}], ids=str
)
async def test_what_the_command_line_itself_refuses(changed: dict[str, str]) -> None:
    words = {"payment": "RC" + "0" * 30, "amount": "1", "number": "B-1", "reason": "broken"} | changed
    with pytest.raises(ValidationError):
        await app.run_async(
            ["start", *(f"--{name}={value}" for name, value in words.items())],
            exit_on_error=False, print_error=False, result_action="return_value",
        )  # fmt: skip
