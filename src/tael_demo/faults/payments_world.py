"""The channels' side of a payments fault run: what users and banks do there, and what the channels' own books say."""

import contextlib
import random
from collections import defaultdict
from dataclasses import dataclass, field

from tael_demo.faults.stage import FaultStage
from tael_sandbox import Fault
from tael_sandbox.remote import Refused

Amounts = defaultdict[str, list[int]]
_OURS_TO_KNOW = frozenset({"payment", "refund", "refund back", "transfer", "transfer back", "payout", "payout back"})

WECHAT_TROUBLES = (
    *(Fault(operation="notify", kind=kind, count=6) for kind in ("drop", "out_of_order", "bad_signature")),
    Fault(operation="notify", kind="duplicate", count=4, times=20),
    Fault(operation="notify", kind="late", count=4, late_s=2),
    Fault(operation="create", kind="notify_inside_create", count=2),
    *(
        Fault(operation=operation, kind=kind, count=3)
        for operation in ("create", "refund", "transfer")
        for kind in ("commit_then_drop_reply", "drop_before_commit", "5xx_before_commit", "5xx_after_commit",
                     "garbage_body", "empty_body", "truncated_body", "bad_signature")
    ),
    *(
        Fault(operation=operation, kind=kind, count=3)
        for operation in ("query", "close", "query_refund", "query_transfer")
        for kind in ("commit_then_drop_reply", "5xx_after_commit", "html_body", "unsigned")
    ),
)  # fmt: skip
ALIPAY_TROUBLES = (
    *(
        Fault(operation="notify", kind=kind, count=6)
        for kind in ("drop", "out_of_order", "bad_signature", "other_merchants_key", "extra_field", "wrong_app_id")
    ),
    Fault(operation="notify", kind="duplicate", count=4, times=20),
    Fault(operation="trade.precreate", kind="notify_inside_create", count=2),
    Fault(operation="fund.trans.uni.transfer", kind="dealing", count=4),
    Fault(operation="fund.trans.uni.transfer", kind="20000_after_commit", code="SYSTEM_ERROR", count=3),
    Fault(operation="trade.refund", kind="20000_after_commit", code="ACQ.SYSTEM_ERROR", count=3),
    *(
        Fault(operation=operation, kind=kind, count=3)
        for operation in ("trade.precreate", "trade.refund", "fund.trans.uni.transfer")
        for kind in ("commit_then_drop_reply", "drop_before_commit", "5xx_before_commit", "5xx_after_commit",
                     "garbage_body", "empty_body", "truncated_body", "bad_signature", "forged_copy")
    ),
    *(
        Fault(operation=operation, kind=kind, count=3)
        for operation in ("trade.query", "trade.close", "trade.fastpay.refund.query", "fund.trans.common.query")
        for kind in ("commit_then_drop_reply", "5xx_after_commit", "html_body", "unsigned")
    ),
)  # fmt: skip
BILL99_TROUBLES = tuple(
    Fault(operation=operation, kind=kind, count=3)
    for operation in ("pay", "query")
    for kind in ("commit_then_drop_reply", "drop_before_commit", "5xx_before_commit", "5xx_after_commit",
                 "garbage_body", "empty_body", "truncated_body", "bad_signature", "bad_seal", "doctype")
)  # fmt: skip


async def arm(stage: FaultStage, dice: random.Random, *, each: int = 4) -> None:
    """Arm some troubles at every channel."""
    for trouble in dice.sample(WECHAT_TROUBLES, each):
        await stage.sandbox.fault(trouble)
    for trouble in dice.sample(ALIPAY_TROUBLES, each):
        await stage.sandbox.alipay.fault(trouble)
    for trouble in dice.sample(BILL99_TROUBLES, each // 2):
        await stage.sandbox.bill99.fault(trouble)


async def tick(stage: FaultStage, dice: random.Random) -> None:
    """What waits at the channels for a user or a bank goes on: mostly well, sometimes not; now and then it waits."""
    sandbox = stage.sandbox
    for one in await sandbox.transfers():
        if one.state == "WAIT_USER_CONFIRM":
            with contextlib.suppress(Refused):
                match dice.randrange(8):
                    case 0:
                        await sandbox.fail_transfer(one.out_bill_no)
                    case 1:
                        await sandbox.cancel_transfer(one.out_bill_no)
                    case 2:
                        continue
                    case _:
                        await sandbox.confirm_transfer(one.out_bill_no)
    for sent in await sandbox.alipay.transfers():
        if sent.status == "DEALING":
            with contextlib.suppress(Refused):
                await (sandbox.alipay.settle_transfer if dice.randrange(4) else sandbox.alipay.fail_transfer)(
                    sent.out_biz_no
                )
    for order in await sandbox.bill99.orders():
        if order.status == "101":
            with contextlib.suppress(Refused):
                await (sandbox.bill99.settle if dice.randrange(4) else sandbox.bill99.fail)(order.order_id)


async def send_back(stage: FaultStage, dice: random.Random) -> int:
    """Banks return some of what 99bill has paid; answers how many."""
    returned = 0
    for order in await stage.sandbox.bill99.orders():
        if order.status == "111" and dice.randrange(10) == 0:
            await stage.sandbox.bill99.return_(order.order_id)
            returned += 1
    return returned


@dataclass(slots=True)
class Told:
    """What the channels have done, by our number there: amounts in minor units. `asked`: every number they know.

    `net` is what each merchant account has got or given, fees and money from outside left out, by its name there.
    """

    paid: Amounts = field(default_factory=lambda: defaultdict(list))
    refunded: Amounts = field(default_factory=lambda: defaultdict(list))
    paid_out: Amounts = field(default_factory=lambda: defaultdict(list))
    returned: Amounts = field(default_factory=lambda: defaultdict(list))
    asked: set[str] = field(default_factory=set[str])
    net: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


async def read(stage: FaultStage) -> Told:
    """Read the journals of all channels."""
    told, sandbox = Told(), stage.sandbox
    for order in await sandbox.orders():
        told.asked.add(order.out_trade_no)
        told.paid[order.out_trade_no] += [one.total_minor for one in order.payments]
    for refund in await sandbox.refunds():
        told.asked.add(refund.out_refund_no)
        if refund.state == "SUCCESS":
            told.refunded[refund.out_refund_no].append(refund.refund_minor)
    for transfer in await sandbox.transfers():
        told.asked.add(transfer.out_bill_no)
        if transfer.state == "SUCCESS":
            told.paid_out[transfer.out_bill_no].append(transfer.amount_minor)
    await _read_alipay(stage, told)
    for bill in await sandbox.bill99.orders():
        told.asked.add(bill.order_id)
        if bill.status in {"111", "114"}:
            told.paid_out[bill.order_id].append(bill.amount_minor)
        if bill.status == "114":
            told.returned[bill.order_id].append(bill.amount_minor)
    for entry in (await sandbox.book()).entries:
        if entry.kind in _OURS_TO_KNOW:
            told.net[entry.credit] += entry.amount_minor
            told.net[entry.debit] -= entry.amount_minor
    return told


async def _read_alipay(stage: FaultStage, told: Told) -> None:
    for trade in await stage.sandbox.alipay.trades():
        told.asked.add(trade.out_trade_no)
        told.paid[trade.out_trade_no] += [one.total_minor for one in trade.payments]
        for back in trade.refunds:
            told.asked.add(back.out_request_no)
            told.refunded[back.out_request_no].append(back.amount_minor)
    for sent in await stage.sandbox.alipay.transfers():
        told.asked.add(sent.out_biz_no)
        if sent.status in {"SUCCESS", "REFUND"}:
            told.paid_out[sent.out_biz_no].append(sent.amount_minor)
        if sent.status == "REFUND":
            told.returned[sent.out_biz_no].append(sent.amount_minor)
