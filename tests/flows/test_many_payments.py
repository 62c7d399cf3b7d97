"""Many payments through a channel that takes few calls: none is lost, and the limit is never exceeded."""

import asyncio
import time
from pathlib import Path

import pytest

from shop import Shop, open_shop
from tael.base.wire import Address, HttpRequest, HttpResponse, Wire

LIMIT = 25
PAYMENTS = 200


async def test_more_payments_than_the_channel_takes_all_arrive_and_no_second_holds_more_calls_than_allowed(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gets no place within two seconds is answered 202; recovery sends the same request when there is room."""
    async with open_shop(dsn, tmp_path, submission_guard_s=0) as shop:
        await limit_calls(shop)
        departures = watch_departures(monkeypatch)
        account = await shop.account()
        answers = await asyncio.gather(*(shop.recharge(account, 100 + one) for one in range(PAYMENTS)))
        assert {answer.status_code for answer in answers} <= {201, 202}
        while await shop.count("payment_order", "state = 'created'"):
            await shop.advance(30)
            await shop.recover()
        assert await shop.count("payment_attempt", "state = 'paying' and handoff is not null") == PAYMENTS
        placed = await shop.sim.orders()
        assert len({order.out_trade_no for order in placed}) == len(placed) == PAYMENTS

    departures.sort()
    most = max(
        sum(first <= one < first + 1_000_000_000 for one in departures[at:]) for at, first in enumerate(departures)
    )
    assert most <= LIMIT
    assert len(departures) == PAYMENTS, "each was sent once"


async def limit_calls(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await tx.execute("update merchant_account set qps = $1", f'{{"create": {LIMIT}}}')
    await shop.system.chores.refresh_accounts()


def watch_departures(patch: pytest.MonkeyPatch) -> list[int]:
    """When each order leaves for the channel. When it arrives is the network's affair: calls may bunch on their way."""
    departures: list[int] = []
    exchange = Wire.exchange

    async def note(wire: Wire, request: HttpRequest, to: Address) -> HttpResponse:
        if request.target.startswith("/v3/pay/transactions/native"):
            departures.append(time.monotonic_ns())
        return await exchange(wire, request, to)

    patch.setattr(Wire, "exchange", note)
    return departures
