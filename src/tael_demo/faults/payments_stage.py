"""The channels of a payments fault run: WeChat Pay, Alipay and 99bill, each with a merchant account that may pay out.

The stage has the WeChat merchant account already; this adds the others, the routes of payouts, and a second person.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tael import routing
from tael.base.clock import DatabaseClock
from tael.base.db import DatabaseUnavailable, OutcomeUnknown
from tael.base.ids import Ids
from tael.channels import registry
from tael.channels.accounts import AccountRow, MerchantAccounts
from tael.channels.contract import Operation
from tael.channels.transport import Transport
from tael.guard import keys
from tael.routing import Route
from tael_demo.faults.stage import BOOK, MASTER_KEY, FaultStage
from tael_sandbox import ChangeMerchant

TOPICS = ("recharge.*", "payment.*", "refund.*", "withdrawal.*", "transfer.*")
CURRENCY = "CNY"
_PLENTY = 1_000_000_000
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Channels:
    """The merchant accounts by channel, their names in the channels' own book, and the key of who approves."""

    accounts: dict[str, int]
    at_channel: dict[str, str]
    app_id: str
    second_person: str


async def open_channels(stage: FaultStage) -> Channels:
    """Add what the stage lacks; before its servers start, so that all of them know every merchant account."""
    sandbox, alipay, bill99 = stage.sandbox, stage.sandbox.alipay.merchant, stage.sandbox.bill99.merchant
    await sandbox.change_merchant(sandbox.merchant.mchid, ChangeMerchant(settles_after_s=1))
    await sandbox.top_up(_PLENTY)
    await sandbox.alipay.top_up(_PLENTY)
    await sandbox.bill99.top_up(_PLENTY)
    await sandbox.bill99.settle_after(0)
    clock = await DatabaseClock.synchronised(stage.db)
    ids, now = await Ids.lease(stage.db, clock.now), clock.now()
    alipay_row = AccountRow(
        book=BOOK, id=ids.next(), name="alipay", channel="alipay", mode="test", state="active",
        mchid=alipay.seller_id, appid=alipay.app_id, base_url=sandbox.base_url, config={"mode": "certificate"},
        secret_refs={
            "app_private_key": f"file:{alipay.private_key_path}", "app_cert": f"file:{alipay.app_certificate_path}",
            "alipay_cert": f"file:{alipay.alipay_certificate_path}",
            "alipay_root_cert": f"file:{alipay.alipay_root_path}",
        },
        qps=dict.fromkeys(Operation, 1000), changed_at=now,
    )  # fmt: skip
    bill99_row = AccountRow(
        book=BOOK, id=ids.next(), name="bill99", channel="bill99", mode="test", state="active",
        mchid=bill99.member_code, appid="", base_url=bill99.base_url, config={},
        secret_refs={
            "member_key": f"file:{bill99.private_key_path}",
            "bill99_certificate": f"file:{bill99.bill99_certificate_path}",
        },
        qps=dict.fromkeys(Operation, 1000), changed_at=now,
    )  # fmt: skip
    async with stage.db.transaction() as tx:
        wechat = await tx.fetchval("select id from merchant_account where book = $1 and channel = 'wechat'", BOOK)
        assert isinstance(wechat, int), "the stage has opened it"
        accounts = MerchantAccounts(registry.connectors(Transport()))
        for row in (alipay_row, bill99_row):
            await accounts.add(tx, row)
        known = {"wechat": wechat, "alipay": alipay_row.id, "bill99": bill99_row.id}
        for channel, account in known.items():
            await routing.put_route(tx, Route(BOOK, "payout", account, CURRENCY, channel, channel, 0), now=now)
        key = await keys.issue(tx, book=BOOK, mode="test", person="li", pepper=MASTER_KEY.encode(), now=now)
    await ids.release(stage.db)
    names = {
        "wechat": f"merchant/{sandbox.merchant.mchid}", "alipay": f"alipay/merchant/{alipay.app_id}",
        "bill99": f"bill99/merchant/{bill99.member_code}",
    }  # fmt: skip
    return Channels(known, names, sandbox.merchant.appid, key)


async def hurry(stage: FaultStage, *, within_s: int = 3600) -> None:
    """Let time pass for what waits for its time: tasks and callbacks due soon, and merchant accounts that cool off."""
    while True:
        try:
            async with stage.db.transaction() as tx:
                for statement in _HURRY:
                    await tx.execute(statement, within_s)
        except (DatabaseUnavailable, OutcomeUnknown):  # it was killed too, and is coming back
            await asyncio.sleep(_PAUSE_S)
        else:
            return


_HURRY: Sequence[str] = (
    """update task set due_at = clock_timestamp() where lease is null and dead_at is null
         and due_at between clock_timestamp() and clock_timestamp() + make_interval(secs => $1)""",
    """update callback_delivery set due_at = clock_timestamp() where status = 'waiting' and lease is null
         and due_at between clock_timestamp() and clock_timestamp() + make_interval(secs => $1)""",
    "update route set cooling_until = null where cooling_until is not null and $1::int > 0",
)
